//! One call: its message read within the budget of all bodies, taken, and answered with a status.

use std::time::Duration;

use actix_web::http::StatusCode as HttpStatus;
use actix_web::web;
use futures_util::{StreamExt as _, stream};
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::header::{ALLOW, CONTENT_TYPE, ORIGIN};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Bytes;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use prost::Message as _;
use tokio::time::timeout;

use crate::console::body::{BodyHead, OtlpRefusal, collect};
use crate::console::export::{LOGS, METRICS, OtlpExport, SignalExport, TRACES};
use crate::console::receive::take_body;
use crate::console::state::Console;
use crate::runtime::telemetry::grpc;

/// The longest a call may take, however long its client would wait.
pub(super) const LONGEST: Duration = Duration::from_secs(15);
const ACCEPTED: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
/// What a status message may not hold as it is (gRPC over HTTP2, "Percent-Encoded").
const ESCAPED: &AsciiSet = &CONTROLS.add(b'%');

// The codes that are answered (grpc/status, "Status codes").
const INVALID_ARGUMENT: u16 = 3;
const DEADLINE_EXCEEDED: u16 = 4;
const PERMISSION_DENIED: u16 = 7;
const RESOURCE_EXHAUSTED: u16 = 8;
const UNIMPLEMENTED: u16 = 12;
const INTERNAL: u16 = 13;
const UNAVAILABLE: u16 = 14;

/// Why a call fails: a code and what is said of it.
#[derive(Debug)]
struct GrpcFailure(u16, String);

impl GrpcFailure {
    fn new(code: u16, why: &str) -> Self {
        Self(code, why.to_owned())
    }
}

impl From<OtlpRefusal> for GrpcFailure {
    /// OTLP specification, "Failures": what cannot be decoded is INVALID_ARGUMENT; where a client may try again,
    /// UNAVAILABLE. RESOURCE_EXHAUSTED alone says that it may not.
    fn from(OtlpRefusal(status, why): OtlpRefusal) -> Self {
        let code = match status {
            HttpStatus::PAYLOAD_TOO_LARGE => RESOURCE_EXHAUSTED,
            HttpStatus::SERVICE_UNAVAILABLE => UNAVAILABLE,
            HttpStatus::UNSUPPORTED_MEDIA_TYPE => UNIMPLEMENTED,
            _ => INVALID_ARGUMENT,
        };
        Self(code, why)
    }
}

type Take = fn(&Console, OtlpExport) -> Vec<u8>;
const SERVICES: [(&SignalExport, Take); 3] = [
    (&TRACES, |console, export| console.take_spans(export).encode_to_vec()),
    (&LOGS, |console, export| console.take_records(export).encode_to_vec()),
    (&METRICS, |console, export| console.take_metrics(export).encode_to_vec()),
];

/// Answers one call. Where its client has gone away there is nobody to tell.
pub(super) async fn serve(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    console: web::Data<Console>,
) {
    let (head, mut body) = request.into_parts();
    if let Some(refusal) = no_grpc(&head.method, &head.headers) {
        let _ = respond.send_response(refusal, true);
        return;
    }
    let outcome = match deadline(&head.headers) {
        Ok(limit) => {
            let export = export(head.uri.path(), &head.headers, &mut body, &console);
            timeout(limit, export).await.unwrap_or_else(|_| {
                Err(GrpcFailure::new(DEADLINE_EXCEEDED, "the export did not arrive in time"))
            })
        }
        Err(failure) => Err(failure),
    };
    let _ = answer(&mut respond, outcome);
}

/// What is no gRPC is answered as HTTP has it.
fn no_grpc(method: &Method, head: &HeaderMap) -> Option<Response<()>> {
    let mut refusal = Response::new(());
    if *method != Method::POST {
        *refusal.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        return Some(refusal);
    }
    *refusal.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    let content = head.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    // Of the formats behind a plus, protobuf is the one taken.
    let format = content.strip_prefix(grpc::CONTENT_TYPE.as_bytes());
    let known = format.is_some_and(|format| matches!(format, b"" | b"+proto") || format.starts_with(b";"));
    (!known).then_some(refusal)
}

/// How long the call may take: as long as its client waits, at most [`LONGEST`].
fn deadline(head: &HeaderMap) -> Result<Duration, GrpcFailure> {
    let Some(value) = head.get(grpc::TIMEOUT) else { return Ok(LONGEST) };
    let malformed = || GrpcFailure::new(INTERNAL, "grpc-timeout is malformed");
    let text = value.to_str().map_err(|_| malformed())?;
    let (digits, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(malformed)?;
    let right = (1..=8).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    let number: u64 = digits.parse().ok().filter(|_| right).ok_or_else(malformed)?;
    let limit = match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return Err(malformed()),
    };
    Ok(limit.min(LONGEST))
}

/// The answer's message.
async fn export(
    path: &str,
    head: &HeaderMap,
    body: &mut RecvStream,
    console: &Console,
) -> Result<Vec<u8>, GrpcFailure> {
    // A page in a browser is refused, as over HTTP.
    if head.contains_key(ORIGIN) {
        return Err(GrpcFailure::new(PERMISSION_DENIED, "telemetry is not taken from web pages"));
    }
    let service = SERVICES.iter().find(|(signal, _)| grpc::path(signal.kind) == path);
    let Some((signal, take)) = service else {
        return Err(GrpcFailure::new(
            UNIMPLEMENTED,
            "this receiver has OTLP's Export of traces, logs and metrics, and no other method",
        ));
    };
    let FrameHead { packed, length, begun } = frame_head(body).await?;
    let _share = console.bodies.share(length).await?;
    let message = rest(body, begun, length).await?;
    let coding = head.get(grpc::ENCODING).map(HeaderValue::as_bytes).unwrap_or_default();
    let plain = matches!(coding, b"" | b"identity");
    if packed && plain {
        return Err(GrpcFailure::new(INTERNAL, "the message is compressed and grpc-encoding names nothing"));
    }
    let coding = if packed { coding } else { b"" };
    // As over HTTP the message would be named; that is how it is sent on.
    let head = BodyHead { content_type: b"application/x-protobuf", coding };
    Ok(take_body(signal, console, head, false, &message, |export| take(console, export))?)
}

/// What stands before a message, and what has come of it with that.
struct FrameHead {
    packed: bool,
    length: usize,
    begun: Bytes,
}

async fn frame_head(body: &mut RecvStream) -> Result<FrameHead, GrpcFailure> {
    let mut come = Vec::new();
    while come.len() < grpc::FRAME {
        match next(body).await {
            Some(Ok(chunk)) => come.extend_from_slice(&chunk),
            Some(Err(failure)) => return Err(failure),
            None if come.is_empty() => {
                return Err(GrpcFailure::new(UNIMPLEMENTED, "the call has no message"));
            }
            None => return Err(broken_off()),
        }
    }
    let (flag, length) = (come[0], [come[1], come[2], come[3], come[4]]);
    if flag > 1 {
        return Err(GrpcFailure::new(INTERNAL, "the message's frame is malformed"));
    }
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    Ok(FrameHead { packed: flag == 1, length, begun: Bytes::from(come).slice(grpc::FRAME..) })
}

/// The whole message, of which a part has begun; a unary call has one.
async fn rest(body: &mut RecvStream, begun: Bytes, length: usize) -> Result<Bytes, GrpcFailure> {
    let begun = stream::iter([Ok(begun)]);
    let coming = stream::unfold(body, async |body| next(body).await.map(|chunk| (chunk, body)));
    let message = collect(std::pin::pin!(begun.chain(coming)), length).await;
    match message {
        Ok(message) if message.len() == length => Ok(message),
        Ok(_) => Err(broken_off()),
        Err(OtlpRefusal(HttpStatus::PAYLOAD_TOO_LARGE, _)) => {
            Err(GrpcFailure::new(UNIMPLEMENTED, "the call has more than one message"))
        }
        Err(refusal) => Err(refusal.into()),
    }
}

/// The next piece; there is room for as much again once it is taken.
async fn next(body: &mut RecvStream) -> Option<Result<Bytes, GrpcFailure>> {
    let chunk = body.data().await?;
    Some(chunk.map_err(|_| broken_off()).and_then(|chunk| {
        let released = body.flow_control().release_capacity(chunk.len());
        released.map(|()| chunk).map_err(|_| broken_off())
    }))
}

fn broken_off() -> GrpcFailure {
    GrpcFailure::new(INVALID_ARGUMENT, "the message did not arrive whole")
}

fn answer(respond: &mut SendResponse<Bytes>, outcome: Result<Vec<u8>, GrpcFailure>) -> Result<(), h2::Error> {
    let mut head = Response::new(());
    let headers = head.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(grpc::CONTENT_TYPE));
    headers.insert(ACCEPTED, HeaderValue::from_static("identity,gzip,deflate"));
    match outcome {
        Ok(message) => {
            let mut stream: SendStream<Bytes> = respond.send_response(head, false)?;
            stream.send_data(grpc::framed(&message, false).into(), false)?;
            let status = (HeaderName::from_static(grpc::STATUS), HeaderValue::from_static("0"));
            stream.send_trailers(HeaderMap::from_iter([status]))
        }
        Err(GrpcFailure(code, why)) => {
            headers.insert(grpc::STATUS, code.into());
            let why = HeaderValue::from_str(&utf8_percent_encode(&why, ESCAPED).to_string());
            headers.extend(why.ok().map(|why| (MESSAGE, why)));
            respond.send_response(head, true).map(drop)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_may_take_as_long_as_its_client_waits_and_no_longer_than_the_receiver_lets_it() {
        let limit = |text: &'static str| {
            let head = HeaderMap::from_iter([(grpc::TIMEOUT, HeaderValue::from_static(text))]);
            deadline(&head).map_err(|failure| failure.0)
        };
        assert_eq!(
            ["2S", "1500m", "250u", "1n", "1H", "99999999M"].map(limit),
            [
                Ok(Duration::from_secs(2)),
                Ok(Duration::from_millis(1500)),
                Ok(Duration::from_micros(250)),
                Ok(Duration::from_nanos(1)),
                Ok(LONGEST),
                Ok(LONGEST),
            ]
        );
        for malformed in ["", "S", "2", "2s", "-1S", "+1S", "123456789S", "2 S"] {
            assert_eq!(limit(malformed), Err(INTERNAL), "{malformed:?}");
        }
        assert_eq!(deadline(&HeaderMap::new()).ok(), Some(LONGEST));
    }
}
