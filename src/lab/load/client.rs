//! The client that sends requests: each within a time limit, with a trace of its own.

use std::cell::Cell;
use std::error::Error;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client as HttpClient, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use opentelemetry::global::BoxedTracer;
use rustls::RootCertStore;

use super::connect::{ConnectStopwatch, Measured};
use super::span::{RequestSpan, RequestTrace, Server};
use crate::runtime::error::{TRACE_RESPONSE, innermost};
use crate::runtime::tls;

type Http = HttpClient<Measured<HttpsConnector<HttpConnector>>, Full<Bytes>>;

/// The most of an answer's body that is kept; the rest is read and forgotten.
const KEPT: usize = 64 * 1024;
/// Shorter than the gateway keeps an idle connection, so that none is taken up as it closes.
const IDLE: Duration = Duration::from_secs(4);
/// The time limit of what is not measured.
const PATIENCE: Duration = Duration::from_secs(15);

/// Sends requests to one gateway.
#[derive(Clone)]
pub(super) struct LoadClient {
    http: Http,
    base: Rc<str>,
    server: Rc<Server>,
    timeout: Duration,
    tracer: Rc<BoxedTracer>,
    /// Whether requests have spans.
    traced: Rc<Cell<bool>>,
}

/// The outcome of a request.
pub(super) struct LoadReply {
    /// Its trace, where one is known.
    pub(super) trace: Option<RequestTrace>,
    /// How long the connection took that it opened.
    pub(super) connect: Option<Duration>,
    /// The answer, or why there is none.
    pub(super) result: Result<LoadAnswer, LoadFailure>,
}

/// An answer, read to its end.
pub(super) struct LoadAnswer {
    pub(super) status: u16,
    /// The trace that the gateway names.
    pub(super) trace: Option<RequestTrace>,
    /// Its first bytes.
    pub(super) body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum LoadFailure {
    /// Not within the time limit.
    #[error("no answer in time")]
    Timeout,
    /// No connection within the time limit.
    #[error("no connection in time")]
    ConnectTimeout,
    /// No connection, or one that broke.
    #[error("{0}")]
    Connect(String),
}

impl LoadFailure {
    /// `error.type`, one of a closed set.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Timeout | Self::ConnectTimeout => "timeout",
            Self::Connect(_) => "unreachable",
        }
    }
}

impl LoadClient {
    /// A client for the gateway at `base`; no request takes longer than `timeout`. Spans are `tracer`'s,
    /// from the moment on that they are asked for.
    ///
    /// # Errors
    /// The system's certificates cannot be had and `base` is https.
    pub(super) fn new(
        base: &str,
        timeout: Duration,
        connections: usize,
        tracer: BoxedTracer,
    ) -> anyhow::Result<Self> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        // A plain URL needs no authorities, and a container without any is no reason to fail.
        let roots = if base.starts_with("http://") { RootCertStore::empty() } else { tls::system_roots() };
        ensure!(
            base.starts_with("http://") || !roots.is_empty(),
            "the HTTP client cannot be built: this system has no certificate authorities"
        );
        let tls = tls::trusting(roots)?.with_no_client_auth();
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let http = HttpClient::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(connections)
            .build(Measured(connector));
        let (tracer, traced) = (Rc::new(tracer), Rc::new(Cell::new(false)));
        Ok(Self { http, base: base.into(), server: Rc::new(Server::of(base)), timeout, tracer, traced })
    }

    /// The same with time enough for requests that only prepare a run, whatever limit is tested.
    pub(super) fn patient(&self) -> Self {
        Self { timeout: self.timeout.max(PATIENCE), ..self.clone() }
    }

    /// Whether requests have spans from now on, in all clones.
    pub(super) fn trace(&self, on: bool) {
        self.traced.set(on);
    }

    /// The gateway.
    pub(super) fn server(&self) -> &Server {
        &self.server
    }

    /// Sends one request of a route, `METHOD /template`; a body is JSON, an empty one is none.
    pub(super) async fn send(&self, route: &'static str, path: &str, body: String) -> LoadReply {
        let url = format!("{}{path}", self.base);
        let span = match self.traced.get() {
            true => RequestSpan::begin(&self.tracer, route, path, &self.server),
            false => RequestSpan::none(),
        };
        let stopwatch = Arc::<ConnectStopwatch>::default();
        let result = match request(route, url, &span, body) {
            Err(error) => Err(LoadFailure::Connect(error.to_string())),
            Ok(mut request) => {
                stopwatch.follow(&mut request);
                let answered = stopwatch.clone().measure(answer(&self.http, request));
                match tokio::time::timeout(self.timeout, answered).await {
                    Ok(answered) => answered.map_err(|error| LoadFailure::Connect(innermost(&*error))),
                    Err(_) if stopwatch.waits() => Err(LoadFailure::ConnectTimeout),
                    Err(_) => Err(LoadFailure::Timeout),
                }
            }
        };
        let theirs = result.as_ref().ok().and_then(|answer| answer.trace.clone());
        // The gateway may record what we did not: a sampler of its own, or no span of ours at all.
        let trace = match span.trace() {
            Some(ours) if ours.sampled => Some(ours),
            ours => theirs.or(ours),
        };
        span.end(&result);
        LoadReply { trace, connect: stopwatch.took(), result }
    }
}

fn request(
    route: &str,
    url: String,
    span: &RequestSpan,
    body: String,
) -> Result<Request<Full<Bytes>>, http::Error> {
    let method = route.split(' ').next().unwrap_or_default();
    let mut request = Request::builder().method(method).uri(url).header("user-agent", "o11y-lab-load");
    for (name, value) in span.fields() {
        request = request.header(name, value);
    }
    if !body.is_empty() {
        request = request.header("content-type", "application/json");
    }
    request.body(Full::from(body))
}

async fn answer(
    http: &Http,
    request: Request<Full<Bytes>>,
) -> Result<LoadAnswer, Box<dyn Error + Send + Sync>> {
    let mut response = http.request(request).await?;
    let named = response.headers().get(TRACE_RESPONSE).and_then(|value| value.to_str().ok());
    let trace = named.and_then(RequestTrace::in_answer);
    let mut body = Vec::new();
    while let Some(frame) = response.body_mut().frame().await {
        let room = KEPT - body.len();
        if let Some(chunk) = frame?.data_ref() {
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        }
    }
    Ok(LoadAnswer { status: response.status().as_u16(), trace, body })
}

#[cfg(test)]
mod tests;
