//! The client that sends requests: each within a time limit, with a trace of its own.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client as HttpClient, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};

type Http = HttpClient<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// The most of an answer's body that is kept; the rest is read and forgotten.
const KEPT: usize = 64 * 1024;
/// Shorter than the gateway keeps an idle connection, so that none is taken up as it closes.
const IDLE: Duration = Duration::from_secs(4);
/// The time limit of what is not measured.
const PATIENCE: Duration = Duration::from_secs(15);

/// Sends requests to one gateway.
pub(super) struct LoadClient {
    http: Http,
    base: String,
    timeout: Duration,
}

/// The outcome of a request.
pub(super) struct LoadReply {
    /// The trace that it began: 32 hexadecimal digits.
    pub(super) trace_id: String,
    /// The answer, or why there is none.
    pub(super) result: Result<LoadAnswer, LoadFailure>,
}

/// An answer, read to its end.
pub(super) struct LoadAnswer {
    pub(super) status: u16,
    /// Its first bytes.
    pub(super) body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum LoadFailure {
    /// Not within the time limit.
    #[error("no answer in time")]
    Timeout,
    /// No connection, or one that broke.
    #[error("{0}")]
    Connect(String),
}

impl LoadClient {
    /// A client for the gateway at `base`; no request takes longer than `timeout`.
    ///
    /// # Errors
    /// The system's certificates cannot be had and `base` is https.
    pub(super) fn new(base: String, timeout: Duration, connections: usize) -> anyhow::Result<Self> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        // A plain URL needs no authorities, and a container without any is no reason to fail.
        let tls = trusting(!base.starts_with("http://"))?;
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let http = HttpClient::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(connections)
            .build(connector);
        Ok(Self { http, base, timeout })
    }

    /// The same with time enough for requests that only prepare a run, whatever limit is tested.
    pub(super) fn patient(&self) -> Self {
        let (http, base) = (self.http.clone(), self.base.clone());
        Self { http, base, timeout: self.timeout.max(PATIENCE) }
    }

    /// The gateway's URL.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// Sends one request; a body is JSON, an empty one is none.
    pub(super) async fn send(&self, method: &str, path: &str, body: String) -> LoadReply {
        let trace_id = format!("{:032x}", fastrand::u128(1..));
        // Sampled: the slowest are to be found in the trace backend.
        let parent = format!("00-{trace_id}-{:016x}-01", fastrand::u64(1..));
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("user-agent", "o11y-lab-load")
            .header("traceparent", parent);
        if !body.is_empty() {
            request = request.header("content-type", "application/json");
        }
        let result = match request.body(Full::from(body)) {
            Err(error) => Err(LoadFailure::Connect(error.to_string())),
            Ok(request) => match tokio::time::timeout(self.timeout, answer(&self.http, request)).await {
                Ok(answered) => answered.map_err(|error| failure(&*error)),
                Err(_) => Err(LoadFailure::Timeout),
            },
        };
        LoadReply { trace_id, result }
    }
}

/// TLS by the system's authorities, or where none are `wanted`, by none.
fn trusting(wanted: bool) -> anyhow::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    if wanted {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        ensure!(
            !roots.is_empty(),
            "the HTTP client cannot be built: this system has no certificate authorities"
        );
    }
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(ring).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

async fn answer(
    http: &Http,
    request: Request<Full<Bytes>>,
) -> Result<LoadAnswer, Box<dyn Error + Send + Sync>> {
    let mut response = http.request(request).await?;
    let mut body = Vec::new();
    while let Some(frame) = response.body_mut().frame().await {
        let room = KEPT - body.len();
        if let Some(chunk) = frame?.data_ref() {
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        }
    }
    Ok(LoadAnswer { status: response.status().as_u16(), body })
}

fn failure(error: &(dyn Error + 'static)) -> LoadFailure {
    // The innermost cause says most and does not repeat the URL.
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    LoadFailure::Connect(inner.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use actix_web::http::header::HeaderMap;
    use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};

    use super::*;

    fn header(headers: &HeaderMap, name: &str) -> String {
        headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    }

    async fn echo(request: HttpRequest, body: String) -> HttpResponse {
        let names = ["user-agent", "traceparent", "content-type"];
        let headers = names.map(|name| header(request.headers(), name));
        HttpResponse::Created().body(format!("{} {body}", headers.join(" ")))
    }

    #[actix_web::test]
    async fn a_request_has_a_trace_of_its_own_and_says_who_sends_it() {
        let server = HttpServer::new(|| {
            App::new()
                .route("/echo", web::post().to(echo))
                .route("/large", web::get().to(|| async { "x".repeat(3 * KEPT + 1) }))
                .route(
                    "/moved",
                    web::get().to(|| async {
                        HttpResponse::Found().insert_header(("location", "/large")).finish()
                    }),
                )
        });
        let server = server.workers(1).bind(("127.0.0.1", 0)).unwrap();
        let base = format!("http://{}", server.addrs()[0]);
        let server = server.run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        let client = LoadClient::new(base, Duration::from_secs(20), 2).unwrap();

        let one = client.send("POST", "/echo", "{}".to_owned()).await;
        let two = client.send("POST", "/echo", "{}".to_owned()).await;
        assert_ne!(one.trace_id, two.trace_id);
        let answer = one.result.unwrap();
        let text = String::from_utf8(answer.body).unwrap();
        let words: Vec<_> = text.split(' ').collect();
        assert_eq!(
            (answer.status, words[0], words[2], words[3]),
            (201, "o11y-lab-load", "application/json", "{}")
        );
        let parent: Vec<_> = words[1].split('-').collect();
        assert_eq!(
            (parent[0], parent[1], parent[2].len(), parent[3]),
            ("00", one.trace_id.as_str(), 16, "01")
        );

        let large = client.send("GET", "/large", String::new()).await.result.unwrap();
        assert_eq!(large.body.len(), KEPT, "the rest is read and forgotten");
        let moved = client.send("GET", "/moved", String::new()).await.result.unwrap();
        assert_eq!(moved.status, 302, "a redirect is an answer");
        handle.stop(false).await;
    }

    #[actix_web::test]
    async fn a_port_that_nobody_listens_on_is_no_connection() {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let client = LoadClient::new(base, Duration::from_secs(20), 1).unwrap();
        let reply = client.send("GET", "/", String::new()).await;
        assert!(matches!(reply.result, Err(LoadFailure::Connect(why)) if why.contains("refused")));
    }

    #[actix_web::test]
    async fn whoever_never_answers_is_a_timeout() {
        // Connections are taken by the kernel, and never read.
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let client = LoadClient::new(base, Duration::from_millis(100), 1).unwrap();
        let reply = client.send("GET", "/", String::new()).await;
        assert_eq!(reply.result.err(), Some(LoadFailure::Timeout));
    }
}
