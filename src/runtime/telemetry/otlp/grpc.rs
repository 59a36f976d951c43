//! gRPC's unary calls (github.com/grpc/grpc, "gRPC over HTTP2"): one message each way, framed, and a status at
//! the end.

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};

use crate::runtime::telemetry::signal::Signal;

pub(crate) const CONTENT_TYPE: &str = "application/grpc";
/// Says how the message of a frame is compressed.
pub(crate) const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
/// Says how long the caller waits.
pub(crate) const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
pub(crate) const STATUS: &str = "grpc-status";
/// Before a message: whether it is compressed, and its length in four bytes.
pub(crate) const FRAME: usize = 5;

/// The codes by number (grpc/status, "Status codes").
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];
/// Those after which an export may be tried again (OTLP specification, "OTLP/gRPC Response"). Without the
/// RetryInfo that it wants beside it, RESOURCE_EXHAUSTED is not one.
const PASSING: [&str; 6] =
    ["CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"];

/// The path of the service that takes a signal's exports.
pub(crate) fn path(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    }
}

/// A message as a body.
pub(crate) fn framed(message: &[u8], packed: bool) -> Vec<u8> {
    let mut frame = Vec::with_capacity(FRAME + message.len());
    frame.push(packed.into());
    // A batch is far below four gigabytes.
    frame.extend_from_slice(&u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
    frame.extend_from_slice(message);
    frame
}

/// The message of an answer. What is compressed or broken says nothing.
pub(super) fn message(body: &[u8]) -> &[u8] {
    let Some((&[0, a, b, c, d], rest)) = body.split_first_chunk::<FRAME>() else { return &[] };
    let length = u32::from_be_bytes([a, b, c, d]);
    usize::try_from(length).ok().and_then(|length| rest.get(..length)).unwrap_or_default()
}

/// The code at an answer's end, or in its head where it has nothing else; none where it broke off.
pub(super) fn status(head: &HeaderMap, trailers: &HeaderMap) -> Option<usize> {
    let value = trailers.get(STATUS).or_else(|| head.get(STATUS))?;
    value.to_str().ok()?.parse().ok()
}

/// A code's name, and whether another attempt may be made after it.
pub(super) fn meaning(code: usize) -> (&'static str, bool) {
    let name = CODES.get(code).copied().unwrap_or("an unknown code");
    (name, PASSING.contains(&name))
}

/// The time that the caller waits, in milliseconds of at most eight digits.
pub(super) fn timeout(left: std::time::Duration) -> (HeaderName, HeaderValue) {
    let milliseconds = left.as_millis().clamp(1, 99_999_999);
    let value = HeaderValue::from_str(&format!("{milliseconds}m"));
    (TIMEOUT, value.unwrap_or(HeaderValue::from_static("10S")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_holds_its_message_and_what_is_cut_off_holds_none() {
        let frame = framed(b"abc", false);
        assert_eq!(frame, b"\0\0\0\0\x03abc");
        assert_eq!(message(&frame), b"abc");
        for broken in [&frame[..4], &frame[..7], b"\x01\0\0\0\x03abc", b""] {
            assert_eq!(message(broken), b"", "{broken:?}");
        }
    }

    #[test]
    fn a_status_in_the_trailers_counts_before_one_in_the_head() {
        let map =
            |code: &str| HeaderMap::from_iter([(HeaderName::from_static(STATUS), code.parse().unwrap())]);
        assert_eq!(status(&map("0"), &map("14")), Some(14));
        assert_eq!(status(&map("12"), &HeaderMap::new()), Some(12));
        assert_eq!(status(&HeaderMap::new(), &HeaderMap::new()), None);
        assert_eq!(
            [14, 12, 8, 99].map(meaning),
            [
                ("UNAVAILABLE", true),
                ("UNIMPLEMENTED", false),
                ("RESOURCE_EXHAUSTED", false),
                ("an unknown code", false),
            ]
        );
    }
}
