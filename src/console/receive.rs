//! OTLP over HTTP: protobuf or JSON, plain or packed, one path for each signal. What becomes of a body, gRPC shares.
//!
//! A page in a browser is refused: whatever site a person visits must not write into their console.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{StatusCode, header};
use actix_web::middleware::{Next, from_fn};
use actix_web::{Error, HttpRequest, HttpResponse, web};
use prost::Message;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::body::{BodyHead, OtlpRefusal, unpack};
use super::export::{LOGS, METRICS, OtlpExport, SignalExport, TRACES, UnreadableExport};
use super::state::Console;

/// The receiver's routes, each also with a slash at its end.
pub(super) fn routes(app: &mut web::ServiceConfig) {
    let mut all = web::scope("").wrap(from_fn(no_page));
    // One resource for each: several patterns of one are a regular expression that each request goes through.
    for slash in ["", "/"] {
        let at = |path: &str| web::resource(format!("{path}{slash}"));
        all = all
            .service(at("/v1/traces").route(web::post().to(spans)))
            .service(at("/v1/logs").route(web::post().to(records)))
            .service(at("/v1/metrics").route(web::post().to(points)));
    }
    app.service(all.default_service(web::to(HttpResponse::NotFound)));
}

/// A browser puts `Origin` on every POST of a page, also where the page has made its own name point
/// here (DNS rebinding); exporters send none. Host names are not judged: containers know the
/// receiver by all kinds of them.
async fn no_page<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    if !request.headers().contains_key(header::ORIGIN) {
        return next.call(request).await.map(ServiceResponse::map_into_left_body);
    }
    let refusal = HttpResponse::Forbidden().body("telemetry is not taken from web pages\n");
    Ok(request.into_response(refusal).map_into_right_body())
}

async fn spans(console: web::Data<Console>, request: HttpRequest, body: web::Payload) -> HttpResponse {
    receive(&TRACES, &console, &request, body, |export| console.take_spans(export)).await
}

async fn records(console: web::Data<Console>, request: HttpRequest, body: web::Payload) -> HttpResponse {
    receive(&LOGS, &console, &request, body, |export| console.take_records(export)).await
}

async fn points(console: web::Data<Console>, request: HttpRequest, body: web::Payload) -> HttpResponse {
    receive(&METRICS, &console, &request, body, |export| console.take_metrics(export)).await
}

const PROTOBUF: &str = "application/x-protobuf";

/// How the client writes, and wants to be answered.
#[derive(Clone, Copy)]
enum OtlpEncoding {
    Protobuf,
    Json,
}

impl OtlpEncoding {
    fn of(request: &HttpRequest) -> Option<Self> {
        let value = request.headers().get(header::CONTENT_TYPE)?.to_str().ok()?;
        match value.split(';').next()?.trim().to_ascii_lowercase().as_str() {
            PROTOBUF => Some(Self::Protobuf),
            "application/json" => Some(Self::Json),
            _ => None,
        }
    }

    fn answer<T: Message + Serialize>(self, answer: &T) -> HttpResponse {
        match self {
            Self::Protobuf => HttpResponse::Ok().content_type(PROTOBUF).body(answer.encode_to_vec()),
            Self::Json => HttpResponse::Ok().json(in_json(answer)),
        }
    }

    /// A `google.rpc.Status` with only its message (field 2), as OTLP has errors.
    fn refuse(self, OtlpRefusal(status, message): OtlpRefusal) -> HttpResponse {
        let mut answer = HttpResponse::build(status);
        match status {
            StatusCode::SERVICE_UNAVAILABLE => _ = answer.insert_header((header::RETRY_AFTER, "1")),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                answer.insert_header((header::ACCEPT_ENCODING, "gzip, deflate"));
            }
            _ => {}
        }
        match self {
            Self::Protobuf => {
                let mut body = Vec::new();
                prost::encoding::string::encode(2, &message, &mut body);
                answer.content_type(PROTOBUF).body(body)
            }
            Self::Json => answer.json(json!({"message": message})),
        }
    }
}

/// The answer as protobuf's JSON has it: its 64-bit numbers are texts.
fn in_json(answer: &impl Serialize) -> Value {
    let mut answer = serde_json::to_value(answer).unwrap_or_default();
    let fields = answer.get_mut("partialSuccess").and_then(Value::as_object_mut);
    for value in fields.into_iter().flat_map(Map::values_mut).filter(|value| value.is_number()) {
        *value = value.to_string().into();
    }
    answer
}

fn unsupported() -> HttpResponse {
    HttpResponse::UnsupportedMediaType()
        .body("Content-Type must be application/x-protobuf or application/json\n")
}

impl From<UnreadableExport> for OtlpRefusal {
    fn from(why: UnreadableExport) -> Self {
        match why {
            UnreadableExport::Malformed(why) => {
                Self(StatusCode::BAD_REQUEST, format!("cannot decode the export: {why}"))
            }
            UnreadableExport::TooMuch => {
                Self(StatusCode::PAYLOAD_TOO_LARGE, "the export holds too much: send smaller batches".into())
            }
        }
    }
}

/// Reads, takes and answers: the same for every signal.
async fn receive<A: Message + Serialize>(
    signal: &'static SignalExport,
    console: &Console,
    request: &HttpRequest,
    body: web::Payload,
    take: impl FnOnce(OtlpExport) -> A,
) -> HttpResponse {
    let Some(encoding) = OtlpEncoding::of(request) else { return unsupported() };
    let (body, _share) = match console.bodies.read(request, body).await {
        Ok(read) => read,
        Err(refusal) => return encoding.refuse(refusal),
    };
    let is_json = matches!(encoding, OtlpEncoding::Json);
    match take_body(signal, console, BodyHead::of(request), is_json, &body, take) {
        Ok(answer) => encoding.answer(&answer),
        Err(refusal) => encoding.refuse(refusal),
    }
}

/// Unpacks, decodes, retains, sends on and hands over a body, whatever brought it.
pub(super) fn take_body<A>(
    signal: &'static SignalExport,
    console: &Console,
    head: BodyHead<'_>,
    is_json: bool,
    body: &web::Bytes,
    take: impl FnOnce(OtlpExport) -> A,
) -> Result<A, OtlpRefusal> {
    let _turn = console.bodies.turn();
    let unpacked = unpack(head.coding, body.clone())?;
    let export = OtlpExport::read(signal, unpacked.clone(), is_json)?;
    if let Some(retention) = &console.retention {
        retention.note_export(signal.kind, is_json, &unpacked);
    }
    if let Some(forward) = &console.forward {
        forward.push(signal.kind, head, body, export.items());
    }
    Ok(take(export))
}

#[cfg(test)]
#[path = "receive_tests.rs"]
mod tests;
