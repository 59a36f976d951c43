//! One request: sent within a time limit, with a trace of its own, and what came of it.

use std::error::Error;
use std::time::Duration;

use anyhow::Context as _;
use reqwest::{Method, redirect};

/// The most of an answer's body that is kept; the rest is read and forgotten.
const KEPT: usize = 64 * 1024;
/// Shorter than the gateway keeps an idle connection, so that none is taken up as it closes.
const IDLE: Duration = Duration::from_secs(4);

/// Sends requests to one gateway.
pub(super) struct Client {
    http: reqwest::Client,
    base: String,
}

/// What came of a request.
pub(super) struct Reply {
    /// The trace that it began: 32 hexadecimal digits.
    pub(super) trace_id: String,
    /// The answer, or why there is none.
    pub(super) result: Result<Answer, Failure>,
}

/// An answer, read to its end.
pub(super) struct Answer {
    pub(super) status: u16,
    /// Its first bytes.
    pub(super) body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    /// Not within the time limit.
    #[error("no answer in time")]
    Timeout,
    /// No connection, or one that broke.
    #[error("{0}")]
    Connect(String),
}

impl Client {
    /// A client for the gateway at `base`; no request takes longer than `timeout`.
    ///
    /// # Errors
    /// The system's certificates cannot be had and `base` is https.
    pub(super) fn new(base: String, timeout: Duration, connections: usize) -> anyhow::Result<Self> {
        // Fails where it is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .user_agent("o11y-lab-load")
            .timeout(timeout)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .tcp_nodelay(true)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(connections);
        if base.starts_with("http://") {
            // Or the system's authorities are loaded for nothing, and a container without any fails.
            builder = builder.tls_certs_only([]);
        }
        Ok(Self { http: builder.build().context("the HTTP client cannot be built")?, base })
    }

    /// The gateway's URL.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// Sends one request; a body is JSON, an empty one is none.
    pub(super) async fn send(&self, method: &str, path: &str, body: String) -> Reply {
        let trace_id = format!("{:032x}", fastrand::u128(1..));
        // Sampled: the slowest are to be found in the trace backend.
        let parent = format!("00-{trace_id}-{:016x}-01", fastrand::u64(1..));
        let method = Method::from_bytes(method.as_bytes()).unwrap_or(Method::GET);
        let mut request =
            self.http.request(method, format!("{}{path}", self.base)).header("traceparent", parent);
        if !body.is_empty() {
            request = request.header("content-type", "application/json").body(body);
        }
        Reply { trace_id, result: answer(request).await.map_err(|error| failure(&error)) }
    }
}

async fn answer(request: reqwest::RequestBuilder) -> Result<Answer, reqwest::Error> {
    let mut response = request.send().await?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = KEPT - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
    }
    Ok(Answer { status: response.status().as_u16(), body })
}

fn failure(error: &reqwest::Error) -> Failure {
    if error.is_timeout() && !error.is_connect() {
        return Failure::Timeout;
    }
    // The innermost cause says most and does not repeat the URL.
    let mut inner: &dyn Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    Failure::Connect(inner.to_string())
}
