//! The client side of HTTP, once: CLIENT span, trace context, metrics, timeouts, bounded retry.

use std::time::{Duration, Instant};

use actix_web::http::header::{CONTENT_TYPE, HeaderMap};
use actix_web::http::{Method, StatusCode};
use actix_web::web::Bytes;
use awc::error::{PayloadError, SendRequestError};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tokio::time::timeout_at;
use tracing::field::Empty;
use tracing::{Instrument, Span};

use super::Problem;
use super::propagation::fields_of_current_span;
use crate::schema::names;

/// The largest answer that is read, in bytes: a page of 500 orders at their largest is far below.
const MAX_ANSWER: usize = 16 * 1024 * 1024;
/// Idle connections are given up before the server does; see `runtime::http`.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// Attempts in all, for calls that may be repeated.
const ATTEMPTS: u32 = 3;
/// Wait before the second attempt; doubles, with jitter.
const RETRY_BASE: Duration = Duration::from_millis(25);
/// RFC 3986 unreserved characters stay; everything else in a segment is encoded, `/` above all.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A client of one other service. awc's connections belong to one thread: build one in each worker.
#[derive(Clone)]
pub struct HttpClient {
    awc: awc::Client,
    peer: &'static str,
    base: String,
    timeout: Duration,
}

/// One call: a template for names, its parameters for the path.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// The method.
    pub method: Method,
    /// The path with `{}` placeholders, as in `/users/{id}`: span name and `url.template`.
    pub template: &'static str,
    /// What goes into the placeholders, in order; encoded here.
    pub params: Vec<String>,
    /// The query string, without `?`.
    pub query: Option<String>,
    /// The body, sent as JSON.
    pub body: Option<&'a Value>,
    /// Further header fields.
    pub headers: Vec<(&'static str, String)>,
    /// Whether sending it twice does no harm.
    pub idempotent: bool,
}

impl<'a> Call<'a> {
    /// A GET.
    pub fn get(template: &'static str) -> Self {
        Self::new(Method::GET, template, None, true)
    }

    /// A call with a JSON body that must arrive at most once unless marked otherwise.
    pub fn send(method: Method, template: &'static str, body: &'a Value) -> Self {
        Self::new(method, template, Some(body), false)
    }

    fn new(method: Method, template: &'static str, body: Option<&'a Value>, idempotent: bool) -> Self {
        Self { method, template, params: Vec::new(), query: None, body, headers: Vec::new(), idempotent }
    }

    /// Fills the next placeholder.
    pub fn param(mut self, value: impl ToString) -> Self {
        self.params.push(value.to_string());
        self
    }

    fn path(&self) -> String {
        let mut params = self.params.iter();
        let segments = self.template.split('/').map(|segment| {
            let filled = segment.starts_with('{').then(|| params.next()).flatten();
            filled.map_or_else(|| segment.to_owned(), |value| encode(value))
        });
        let path = segments.collect::<Vec<_>>().join("/");
        match &self.query {
            Some(query) => format!("{path}?{query}"),
            None => path,
        }
    }
}

/// A dot segment would be resolved away on its way, so its dots are encoded too.
fn encode(segment: &str) -> String {
    match segment {
        "." => "%2E".to_owned(),
        ".." => "%2E%2E".to_owned(),
        _ => utf8_percent_encode(segment, SEGMENT).to_string(),
    }
}

/// An answer that arrived whole.
#[derive(Debug)]
pub struct Reply {
    /// Any status code.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// No answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Not within the time allowed.
    #[error("{0} did not answer in time")]
    Timeout(&'static str),
    /// No connection; the call was certainly not received.
    #[error("{peer} cannot be reached")]
    Unreachable {
        /// Who.
        peer: &'static str,
        /// Why, for the log.
        cause: String,
    },
    /// The connection broke; the call may have been received.
    #[error("{peer} broke off")]
    Broken {
        /// Who.
        peer: &'static str,
        /// Why, for the log.
        cause: String,
    },
}

impl CallError {
    fn kind(&self) -> &'static str {
        match self {
            Self::Timeout(_) => "timeout",
            Self::Unreachable { .. } | Self::Broken { .. } => "unreachable",
        }
    }
}

impl From<CallError> for Problem {
    fn from(error: CallError) -> Self {
        let detail = error.to_string();
        match error {
            CallError::Timeout(_) => Self::timeout(detail),
            CallError::Unreachable { cause, .. } | CallError::Broken { cause, .. } => {
                Self::unavailable(detail).because(cause)
            }
        }
    }
}

impl HttpClient {
    /// A client of the service `peer` at `base`. `timeout` bounds a call with all its attempts.
    pub fn new(peer: &'static str, base: &str, connect_timeout: Duration, timeout: Duration) -> Self {
        let connector = awc::Connector::new().timeout(connect_timeout).conn_keep_alive(KEEP_ALIVE).limit(256);
        let awc = awc::Client::builder()
            .connector(connector)
            .disable_timeout()
            .disable_redirects()
            .add_default_header(("user-agent", concat!("o11y-lab/", env!("CARGO_PKG_VERSION"))))
            .finish();
        Self { awc, peer, base: base.to_owned(), timeout }
    }

    /// Sends a call. Repeats it where nothing can have arrived, or where it is idempotent and the
    /// answer says that another attempt may help; each attempt is a span of its own.
    pub async fn call(&self, call: Call<'_>) -> Result<Reply, CallError> {
        let deadline = Instant::now() + self.timeout;
        let mut before = None;
        let mut attempt = 1;
        loop {
            let started = Instant::now();
            let attempted = timeout_at(deadline.into(), self.attempt(&call, attempt)).await;
            // A refusal that did come says more than that the time for another attempt ran out.
            let Ok(outcome) = attempted else {
                return before.unwrap_or(Err(CallError::Timeout(self.peer)));
            };
            // One that would take as long again: our own caller waits no longer than we do.
            let in_time = Instant::now() + started.elapsed() < deadline;
            if attempt == ATTEMPTS || !in_time || !worth_repeating(&call, &outcome) {
                return outcome;
            }
            before = Some(outcome);
            let jitter = fastrand::f64() + 0.5;
            tokio::time::sleep(RETRY_BASE.mul_f64(f64::from(1 << (attempt - 1)) * jitter)).await;
            attempt += 1;
        }
    }

    async fn attempt(&self, call: &Call<'_>, attempt: u32) -> Result<Reply, CallError> {
        let span = self.span(call, attempt);
        let mut guard =
            Guard { span: span.clone(), peer: self.peer, started: Instant::now(), settled: false };
        let outcome = self.send(call).instrument(span).await;
        guard.settle(&outcome);
        outcome
    }

    fn span(&self, call: &Call<'_>, attempt: u32) -> Span {
        let authority = self.base.split_once("://").map_or("", |(_, rest)| rest);
        let authority = authority.split('/').next().unwrap_or_default();
        let (address, port) = authority.rsplit_once(':').unwrap_or((authority, "80"));
        tracing::info_span!(
            "call",
            otel.name = format!("{} {}", call.method, call.template),
            otel.kind = "client",
            otel.status_code = Empty,
            http.request.method = call.method.as_str(),
            http.request.resend_count = (attempt > 1).then(|| i64::from(attempt) - 1),
            http.response.status_code = Empty,
            url.template = call.template,
            url.full = format!("{}{}", self.base, call.path()),
            server.address = address,
            server.port = port.parse::<i64>().ok(),
            service.peer.name = self.peer,
            "error.type" = Empty,
        )
    }

    async fn send(&self, call: &Call<'_>) -> Result<Reply, CallError> {
        let mut request = self.awc.request(call.method.clone(), format!("{}{}", self.base, call.path()));
        for (name, value) in &call.headers {
            request = request.insert_header((*name, value.as_str()));
        }
        for (name, value) in fields_of_current_span() {
            request = request.insert_header((name, value));
        }
        let sent = match call.body {
            Some(body) => {
                request.insert_header((CONTENT_TYPE, "application/json")).send_body(body.to_string()).await
            }
            None => request.send().await,
        };
        let mut response = sent.map_err(|error| self.not_sent(error))?;
        let body = response.body().limit(MAX_ANSWER).await.map_err(|error| self.not_read(&error))?;
        Ok(Reply { status: response.status(), headers: response.headers().clone(), body })
    }

    fn not_sent(&self, error: SendRequestError) -> CallError {
        match error {
            SendRequestError::Timeout | SendRequestError::Connect(awc::error::ConnectError::Timeout) => {
                CallError::Timeout(self.peer)
            }
            SendRequestError::Connect(awc::error::ConnectError::Disconnected) => {
                CallError::Broken { peer: self.peer, cause: "disconnected".into() }
            }
            SendRequestError::Connect(cause) => {
                CallError::Unreachable { peer: self.peer, cause: cause.to_string() }
            }
            other => CallError::Broken { peer: self.peer, cause: other.to_string() },
        }
    }

    fn not_read(&self, error: &PayloadError) -> CallError {
        CallError::Broken { peer: self.peer, cause: error.to_string() }
    }
}

/// Whether somebody listens at `base`: a look for `/ready`, not a promise. A connection says it and
/// costs the other side no request.
pub async fn listens(base: &str) -> Result<(), String> {
    let authority = base.split_once("://").map_or(base, |(_, rest)| rest);
    let authority = authority.split('/').next().unwrap_or_default();
    let address = if authority.contains(':') { authority.to_owned() } else { format!("{authority}:80") };
    tokio::net::TcpStream::connect(address).await.map(drop).map_err(|error| match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "nobody listens there".to_owned(),
        _ => "cannot be reached".to_owned(),
    })
}

fn worth_repeating(call: &Call<'_>, outcome: &Result<Reply, CallError>) -> bool {
    match outcome {
        Err(CallError::Unreachable { .. }) => true,
        Err(CallError::Broken { .. }) => call.idempotent,
        Err(CallError::Timeout(_)) => false,
        Ok(reply) => call.idempotent && matches!(reply.status.as_u16(), 502 | 503),
    }
}

/// Settles span and metric of an attempt, also when the time ran out and its future was dropped.
struct Guard {
    span: Span,
    peer: &'static str,
    started: Instant,
    settled: bool,
}

impl Guard {
    fn settle(&mut self, outcome: &Result<Reply, CallError>) {
        match outcome {
            Ok(reply) => {
                self.span.record("http.response.status_code", i64::from(reply.status.as_u16()));
                if reply.status.is_client_error() || reply.status.is_server_error() {
                    self.failed(reply.status.as_str());
                }
                self.observe(class(reply.status));
            }
            Err(error) => {
                self.failed(error.kind());
                self.observe(error.kind());
            }
        }
    }

    /// On a CLIENT span a 4xx is an error too: the caller sent something that was refused.
    fn failed(&self, kind: &str) {
        self.span.record("error.type", kind);
        self.span.record("otel.status_code", "ERROR");
    }

    fn observe(&mut self, outcome: &'static str) {
        self.settled = true;
        let labels = [("peer_service", self.peer), ("outcome", outcome)];
        metrics::histogram!(names::HTTP_CLIENT_DURATION, &labels)
            .record(self.started.elapsed().as_secs_f64());
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if !self.settled {
            self.failed("timeout");
            self.observe("timeout");
        }
    }
}

/// The class of a status code, a closed set.
pub fn class(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400..=499 => "4xx",
        500..=599 => "5xx",
        _ => "2xx",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_cannot_leave_its_path_segment() {
        let path = |value: &str| Call::get("/users/{id}").param(value).path();
        assert_eq!(path("7"), "/users/7");
        assert_eq!(path("../health"), "/users/..%2Fhealth");
        assert_eq!(path(".."), "/users/%2E%2E");
        assert_eq!(path("a?b#c%2f é"), "/users/a%3Fb%23c%252f%20%C3%A9");
    }
}
