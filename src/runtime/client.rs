//! The client side of HTTP, once: CLIENT span, trace context, metrics, timeouts, bounded retry.

mod attempt;
mod budget;
mod call;
mod trouble;

use std::time::{Duration, Instant, SystemTime};

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, HttpDate, LOCATION, RETRY_AFTER};
use actix_web::web::Bytes;
use awc::error::{PayloadError, SendRequestError};
use tokio::time::timeout_at;
use tracing::field::Empty;
use tracing::{Instrument, Span};

pub use self::attempt::{AttemptGuard, CallDurations};
pub use self::budget::RetryBudget;
pub use self::call::{Call, encode};
use super::http::LAME_DUCK;
use super::propagation::inject_current_span;
use super::redact::redacted;
use super::{Faults, Problem, deadline};

/// The largest answer that is read, in bytes: a page, or one row of the largest size, and then some.
const MAX_ANSWER: usize = 1024 * 1024;
/// How long a connection may have been idle to be used again: far less than a draining server goes on serving, which closes those
/// that stayed idle. So no request is written to a connection that is being closed, and a call that must not be repeated is
/// not lost to a rolling restart.
const KEEP_ALIVE: Duration = Duration::from_millis(100);
const _: () = assert!(KEEP_ALIVE.as_millis() < LAME_DUCK.as_millis());
/// Attempts in all, for calls that may be repeated.
const ATTEMPTS: u32 = 3;
/// Wait before the second attempt; doubles, with jitter.
const RETRY_BASE: Duration = Duration::from_millis(25);

/// Client of one other service. awc's connections belong to one thread: build one in each worker.
#[derive(Clone)]
pub struct HttpClient {
    awc: awc::Client,
    peer: &'static str,
    base: String,
    address: String,
    port: Option<i64>,
    durations: CallDurations,
    retries: RetryBudget,
    timeout: Duration,
    faults: Faults,
}

/// Answer that arrived whole.
#[derive(Debug)]
pub struct Reply {
    /// Any status code.
    pub status: StatusCode,
    /// The resource that a 201 made.
    pub location: Option<HeaderValue>,
    /// When another attempt may be welcome, where it says so.
    pub retry_after: Option<Duration>,
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
        let authority = base.split_once("://").map_or("", |(_, rest)| rest);
        let authority = authority.split('/').next().unwrap_or_default();
        let (address, port) = host_and_port(authority);
        Self {
            awc: connections(connect_timeout),
            peer,
            base: base.to_owned(),
            address: address.to_owned(),
            port: port.map_or(Some(80), |port| port.parse().ok()),
            durations: CallDurations::of(peer),
            retries: RetryBudget::default(),
            timeout,
            faults: Faults::default(),
        }
    }

    /// The same, with what faults do to calls.
    pub fn with_faults(self, faults: &Faults) -> Self {
        Self { faults: faults.clone(), ..self }
    }

    /// Sends a call. Repeats it where nothing can have arrived, or where it is idempotent and the
    /// connection broke or the answer asks for another attempt; each attempt is a span of its own. A
    /// service that failed because of one behind it does not ask: that call was repeated already,
    /// where it failed. All of it ends with the request that it is made for.
    pub async fn call(&self, call: Call) -> Result<Reply, CallError> {
        let url = call.url(&self.base);
        let deadline = deadline::at_most(Instant::now() + self.timeout);
        self.retries.earn();
        let mut before = None;
        let mut attempt = 1;
        loop {
            let started = Instant::now();
            let outcome = self.attempt(&call, &url, attempt, deadline).await;
            // A refusal that did come says more than that the time for another attempt ran out.
            if let (Err(CallError::Timeout(_)), Some(refusal)) = (&outcome, before.take()) {
                return refusal;
            }
            if self.storms(&call, &outcome, attempt) {
                attempt += 1;
                continue;
            }
            let Some(pause) = pause(&call, &outcome, attempt) else { return outcome };
            // One that would take as long again: our own caller waits no longer than we do.
            let left = deadline.saturating_duration_since(Instant::now());
            let in_time = pause.saturating_add(started.elapsed()) < left;
            if attempt == ATTEMPTS || !in_time || !self.retries.spend() {
                return outcome;
            }
            before = Some(outcome);
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    async fn attempt(
        &self,
        call: &Call,
        url: &str,
        attempt: u32,
        deadline: Instant,
    ) -> Result<Reply, CallError> {
        let span = self.span(call, url, attempt);
        let guard = AttemptGuard::new(span.clone(), &self.durations);
        let sending = self.over_network(attempt, self.send(call, url, deadline)).instrument(span);
        let sent = timeout_at(deadline.into(), sending).await;
        let outcome = sent.unwrap_or(Err(CallError::Timeout(self.peer)));
        match &outcome {
            Ok(reply) => guard.answered(reply.status),
            Err(error) => guard.ended(error.kind(), Some(error.kind())),
        }
        outcome
    }

    fn span(&self, call: &Call, url: &str, attempt: u32) -> Span {
        tracing::info_span!(
            "call",
            otel.name = call.name,
            otel.kind = "client",
            otel.status_code = Empty,
            http.request.method = call.method().as_str(),
            http.request.resend_count = (attempt > 1).then(|| i64::from(attempt) - 1),
            http.response.status_code = Empty,
            url.template = call.template(),
            url.full = &*redacted(url),
            server.address = self.address,
            server.port = self.port,
            service.peer.name = self.peer,
            "error.type" = Empty,
        )
    }

    async fn send(&self, call: &Call, url: &str, deadline: Instant) -> Result<Reply, CallError> {
        let patience = deadline::milliseconds_until(deadline);
        let mut request =
            self.awc.request(call.method(), url).insert_header((deadline::EXPECTED_TIME, patience));
        for (name, value) in &call.headers {
            request = request.insert_header((*name, value.as_str()));
        }
        inject_current_span(request.headers_mut());
        let sent = match &call.body {
            Some(body) => {
                let json = HeaderValue::from_static("application/json");
                request.insert_header((CONTENT_TYPE, json)).send_body(body.clone()).await
            }
            None => request.send().await,
        };
        let mut response = sent.map_err(|error| self.not_sent(error))?;
        let body = response.body().limit(MAX_ANSWER).await.map_err(|error| self.not_read(&error))?;
        let headers = response.headers();
        let (location, retry_after) = (headers.get(LOCATION).cloned(), retry_after(headers));
        Ok(Reply { status: response.status(), location, retry_after, body })
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

/// A client whose calls share connections and are bounded by their callers' own deadlines.
pub fn connections(connect_timeout: Duration) -> awc::Client {
    let connector = awc::Connector::new().timeout(connect_timeout).conn_keep_alive(KEEP_ALIVE).limit(256);
    awc::Client::builder()
        .connector(connector)
        .disable_timeout()
        .disable_redirects()
        .add_default_header(("user-agent", concat!("o11y-lab/", env!("CARGO_PKG_VERSION"))))
        .finish()
}

/// Whether a server listens at `base`: a probe for `/ready`, not a promise. A connection says it and
/// costs the other side no request.
pub async fn listens(base: &str) -> Result<(), String> {
    let authority = base.split_once("://").map_or(base, |(_, rest)| rest);
    let authority = authority.split('/').next().unwrap_or_default();
    let has_port = host_and_port(authority).1.is_some();
    let address = if has_port { authority.to_owned() } else { format!("{authority}:80") };
    tokio::net::TcpStream::connect(address).await.map(drop).map_err(|error| match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "nobody listens there".to_owned(),
        _ => "cannot be reached".to_owned(),
    })
}

/// The colons inside an IPv6 literal's brackets are no port's.
fn host_and_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

/// How long to wait before a call is repeated; `None` where it is not.
fn pause(call: &Call, outcome: &Result<Reply, CallError>, attempt: u32) -> Option<Duration> {
    let jittered = || RETRY_BASE.mul_f64(f64::from(1 << (attempt - 1)) * (fastrand::f64() + 0.5));
    match outcome {
        Err(CallError::Unreachable { .. }) => Some(jittered()),
        Err(CallError::Broken { .. }) => call.idempotent.then(jittered),
        Err(CallError::Timeout(_)) => None,
        Ok(reply) => {
            let refused = matches!(reply.status.as_u16(), 429 | 503);
            // Not before it was asked for, and not all at once then.
            reply
                .retry_after
                .filter(|_| call.idempotent && refused)
                .map(|asked| asked.saturating_add(jittered()))
        }
    }
}

/// `Retry-After` in either of its forms (RFC 9110, section 10.2.3).
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    text.parse().map(Duration::from_secs).ok().or_else(|| {
        let date: SystemTime = text.parse::<HttpDate>().ok()?.into();
        Some(date.duration_since(SystemTime::now()).unwrap_or_default())
    })
}

#[cfg(test)]
mod tests;
