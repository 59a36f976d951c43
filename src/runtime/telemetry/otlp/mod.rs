//! OTLP over HTTP and gRPC, for any signal: one batch at a time, one deadline for all its attempts, one account.

mod batch;
mod client;
mod connection;
mod envelope;
pub(crate) mod grpc;
mod ledger;
mod occasional;
mod stdout;
mod tls;
mod wire;

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::Result;
use flate2::{Compression, write::GzEncoder};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER, TE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use hyper::body::Bytes;

pub(super) use batch::{BatchProcessor, EncodedBatch};
pub(super) use client::{Client, ReceiverReply};
pub(super) use envelope::Envelope;
pub(super) use grpc::path as grpc_path;
pub(super) use ledger::Ledger;
pub(crate) use occasional::{ExportOutage, Occasional};
pub(super) use stdout::StdoutLines;
pub(super) use wire::Wire;

use super::settings::{Export, Protocol};
use super::signal::{PartialSuccess, Signal};

/// The most of a backend's answer that is read, in bytes.
const LARGEST_ANSWER: usize = 64 * 1024;
const AGENT: &str = concat!("OTel-OTLP-Exporter-Rust o11y-lab/", env!("CARGO_PKG_VERSION"));
/// Attempts after the first.
const RETRIES: u32 = 3;
const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_millis(1600);
/// The longest a backend may tell us to wait.
const LONGEST_THROTTLE: Duration = Duration::from_secs(30);

/// What to do about a backend that takes no deltas.
const REFUSES_DELTA: &str = ": Prometheus refuses delta temporality: set OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=cumulative";

/// What to try where gRPC is spoken to a port for HTTP, and the other way round.
const NO_GRPC: &str =
    " (OTLP over HTTP has another port, mostly 4318: OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf)";
const PERHAPS_GRPC: &str = " (this may be a port for gRPC: OTLP over HTTP has another one, mostly 4318, or OTEL_EXPORTER_OTLP_PROTOCOL=grpc)";

/// What to try with a backend that cannot read an export in JSON.
const PERHAPS_NO_JSON: &str =
    ": not every receiver takes JSON (VictoriaLogs does not): try OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf";

/// Sends the batches of one signal. It blocks: call it from the signal's own exporting thread.
#[derive(Debug)]
pub(super) struct Sender {
    signal: Signal,
    /// None where nothing goes by OTLP.
    client: Option<Client>,
    export: Export,
}

/// Why an attempt failed.
struct ExportFailure {
    cause: String,
    /// Whether the specification allows another attempt.
    passing: bool,
    /// The least time until then, as the backend asked.
    wait: Duration,
}

impl Sender {
    /// Everything is passed explicitly: nothing here reads the environment but for the proxy's.
    ///
    /// # Errors
    /// A PEM file that cannot be used, or no authorities to trust for an https endpoint.
    pub(super) fn new(signal: Signal, export: &Export) -> Result<Self> {
        let client = export.otlp.then(|| Client::for_export(export)).transpose()?;
        Ok(Self { signal, client, export: export.clone() })
    }

    /// Sends one encoded batch, within the timeout of the settings; returns what the backend says of
    /// it, or why it did not take the batch. Where the settings say so, it is printed as well, or only that.
    pub(super) fn send(&self, body: Vec<u8>) -> Result<PartialSuccess, String> {
        if let Some(lines) = self.export.lines.as_ref().filter(|_| self.export.console) {
            lines.export(self.signal, &body);
        }
        if self.client.is_none() {
            return Ok(PartialSuccess::default());
        }
        let (body, head) = self.body(body)?;
        self.send_as(body, &head)
    }

    /// The same for a body as it is; `head` says what that is.
    pub(super) fn send_as(&self, body: Bytes, head: &HeaderMap) -> Result<PartialSuccess, String> {
        let deadline = Instant::now() + self.export.timeout;
        let client = self.client.as_ref().ok_or("nothing is sent by OTLP")?;
        client.block_on(async {
            let mut delay = FIRST_DELAY;
            let mut retries = 0;
            loop {
                let left = deadline.saturating_duration_since(Instant::now());
                let failure = match self.attempt(client, body.clone(), head, left).await {
                    Ok(partial) => return Ok(partial),
                    Err(failure) => failure,
                };
                let wait = jittered(delay).max(failure.wait);
                let left = deadline.saturating_duration_since(Instant::now());
                if !failure.passing || retries == RETRIES || wait >= left {
                    return Err(failure.cause);
                }
                tokio::time::sleep(wait).await;
                retries += 1;
                delay = (2 * delay.max(failure.wait)).min(LONGEST_DELAY.max(failure.wait));
            }
        })
    }

    /// Host and port that it sends to.
    pub(super) fn place(&self) -> String {
        let url = &self.export.endpoint;
        let host = url.host_str().unwrap_or_default();
        url.port_or_known_default().map_or(host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// A message as the protocol sends it, with the headers that say so.
    fn body(&self, message: Vec<u8>) -> Result<(Bytes, HeaderMap), String> {
        let protocol = self.export.protocol;
        let message = match protocol {
            Protocol::HttpJson => {
                let json = crate::otlp::protobuf_to_json(&message, self.signal.label());
                json.ok_or("the batch could not be written as JSON")?.into_bytes()
            }
            Protocol::HttpProtobuf | Protocol::Grpc => message,
        };
        let (message, packed) = match self.export.gzip.then(|| gzip(&message)) {
            Some(Ok(small)) => (small, true),
            _ => (message, false),
        };
        let (content, encoding) = match protocol {
            Protocol::HttpProtobuf => ("application/x-protobuf", CONTENT_ENCODING),
            Protocol::HttpJson => ("application/json", CONTENT_ENCODING),
            Protocol::Grpc => (grpc::CONTENT_TYPE, grpc::ENCODING),
        };
        let mut head = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content))]);
        if packed {
            head.insert(encoding, HeaderValue::from_static("gzip"));
        }
        let framed = protocol == Protocol::Grpc;
        Ok((if framed { grpc::framed(&message, packed) } else { message }.into(), head))
    }

    async fn attempt(
        &self,
        client: &Client,
        body: Bytes,
        head: &HeaderMap,
        left: Duration,
    ) -> Result<PartialSuccess, ExportFailure> {
        let mut request =
            Request::post("/").body(body).map_err(|error| ExportFailure::last(error.to_string()))?;
        let headers = request.headers_mut();
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        headers.extend(head.clone());
        if self.export.protocol == Protocol::Grpc {
            headers.insert(TE, HeaderValue::from_static("trailers"));
            headers.extend([grpc::timeout(left)]);
        }
        headers.extend(self.export.headers.clone());
        let speaks = self.export.protocol;
        let reply = client.send(request, LARGEST_ANSWER, left).await;
        let reply = reply.map_err(|cause| ExportFailure::passing(foreign_words(speaks, cause)))?;
        if let Some(cause) = no_answer(&reply, speaks) {
            return Err(ExportFailure::last(cause));
        }
        if !reply.status.is_success() {
            return Err(ExportFailure::of(&reply, advice(&reply, self.signal, self.export.protocol)));
        }
        if self.export.protocol == Protocol::Grpc {
            return match grpc::status(&reply.headers, &reply.trailers) {
                Some(0) => Ok(self.signal.partial_success(grpc::message(&reply.body))),
                code => Err(ExportFailure::of_grpc(code)),
            };
        }
        // Some answer in another encoding than they were asked in.
        match is_json(&reply) {
            true => Ok(self.signal.partial_success_in_json(&reply.body)),
            false => Ok(self.signal.partial_success(&reply.body)),
        }
    }
}

/// The content type of an answer, without its parameters.
fn content_type(reply: &ReceiverReply) -> &str {
    let value = reply.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    value.and_then(|value| value.split(';').next()).unwrap_or_default().trim()
}

/// Whether an answer is in JSON: it says so, or begins as an object does and no message of protobuf.
fn is_json(reply: &ReceiverReply) -> bool {
    content_type(reply) == "application/json" || reply.body.first() == Some(&b'{')
}

/// What answers without speaking the protocol, where it does not: a page of a proxy or of another program would else
/// count as an export.
fn no_answer(reply: &ReceiverReply, protocol: Protocol) -> Option<String> {
    let kind = content_type(reply);
    let shown = if kind.is_empty() { "nothing that says what it is" } else { kind };
    if protocol == Protocol::Grpc {
        let foreign = !kind.starts_with(grpc::CONTENT_TYPE) && !reply.headers.contains_key(grpc::STATUS);
        return foreign.then(|| {
            format!("the backend answered {} with {shown}, which is no gRPC{NO_GRPC}", reply.status)
        });
    }
    let readable = kind != "text/html" && Signal::is_answer(&reply.body, is_json(reply));
    let foreign = reply.status.is_success() && !readable;
    foreign.then(|| {
        format!(
            "the backend answered {} with {shown} that is no answer to an export: is this address a receiver of OTLP?",
            reply.status
        )
    })
}

/// The words of a connection that broke because the other side speaks another protocol, with that.
fn foreign_words(protocol: Protocol, cause: String) -> String {
    let http2 = ["frame with invalid size", "http2 error", "GOAWAY", "protocol error"];
    match protocol {
        Protocol::Grpc if http2.iter().any(|word| cause.contains(word)) => {
            format!("{cause}: this is no gRPC{NO_GRPC}")
        }
        Protocol::HttpProtobuf | Protocol::HttpJson if cause.contains("invalid HTTP version") => {
            format!("{cause}{PERHAPS_GRPC}")
        }
        _ => cause,
    }
}

impl ExportFailure {
    fn last(cause: String) -> Self {
        Self { cause, passing: false, wait: Duration::ZERO }
    }

    fn passing(cause: String) -> Self {
        Self { cause, passing: true, wait: Duration::ZERO }
    }

    fn of_grpc(code: Option<usize>) -> Self {
        let Some(code) = code else { return Self::passing("the backend's answer broke off".to_owned()) };
        let (name, passing) = grpc::meaning(code);
        Self { cause: format!("the backend answered {name} ({code})"), passing, wait: Duration::ZERO }
    }

    /// The specification: 429, 502, 503 and 504 are tried again, after the time the backend names.
    fn of(reply: &ReceiverReply, advice: &str) -> Self {
        let throttled =
            matches!(reply.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
        let passing =
            throttled || matches!(reply.status, StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT);
        let seconds =
            reply.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let wait = seconds.filter(|_| throttled).map_or(Duration::ZERO, Duration::from_secs);
        let cause = format!("the backend answered {}{advice}", reply.status);
        Self { cause, passing, wait: wait.min(LONGEST_THROTTLE) }
    }
}

/// What to set otherwise, where the answer tells; or nothing.
///
/// Prometheus's receiver answers 500 to an export with one delta sum and keeps nothing of it. Why stands in the body only, in
/// words of its own: `invalid temporality and type combination for metric "…"` (3.16).
fn advice(reply: &ReceiverReply, signal: Signal, protocol: Protocol) -> &'static str {
    let unread = matches!(reply.status, StatusCode::BAD_REQUEST | StatusCode::UNSUPPORTED_MEDIA_TYPE);
    match (signal, protocol) {
        (Signal::Metrics, _) if String::from_utf8_lossy(&reply.body).contains("invalid temporality") => {
            REFUSES_DELTA
        }
        (_, Protocol::HttpJson) if unread => PERHAPS_NO_JSON,
        _ => "",
    }
}

/// Processes that lost one backend at one moment should not come back to it at one moment.
fn jittered(delay: Duration) -> Duration {
    delay + Duration::from_millis(fastrand::u64(0..=100))
}

fn gzip(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body)?;
    encoder.finish()
}

#[cfg(test)]
mod tests;
