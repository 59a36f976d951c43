//! OTLP over HTTP: protobuf or JSON, plain or gzip, one path for the signals.
//!
//! Spans and log records are kept. Metrics are answered with success and dropped: the console reads
//! the services' `/metrics` itself, and an SDK that also sends metrics should not log errors for it.
//! A page in a browser is refused: whatever site a person visits must not write into their console.

use std::io::Read;
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{StatusCode, header};
use actix_web::middleware::{Next, from_fn};
use actix_web::{Error, HttpRequest, HttpResponse, web};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message;
use serde::Serialize;
use serde_json::json;

use super::export::{OtlpExport, UnreadableExport};
use super::state::Console;

/// The largest body taken, as sent and unpacked, in bytes.
const MOST_SENT: usize = 8 << 20;
const MOST_UNPACKED: usize = 16 << 20;
/// The longest a client may take to send it.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The receiver's routes.
pub(super) fn routes(app: &mut web::ServiceConfig) {
    let all = web::scope("")
        .wrap(from_fn(no_page))
        .route("/v1/traces", web::post().to(spans))
        .route("/v1/logs", web::post().to(records))
        .route("/v1/metrics", web::post().to(dropped))
        .default_service(web::to(HttpResponse::NotFound));
    app.service(all);
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
    receive(&request, body, |export: ExportTraceServiceRequest| console.take_spans(export)).await
}

async fn records(console: web::Data<Console>, request: HttpRequest, body: web::Payload) -> HttpResponse {
    receive(&request, body, |export: ExportLogsServiceRequest| console.take_records(export)).await
}

async fn dropped(request: HttpRequest) -> HttpResponse {
    let Some(encoding) = OtlpEncoding::of(&request) else { return unsupported() };
    // An export response without a partial success is the same for every signal.
    encoding.answer(&ExportTraceServiceResponse::default())
}

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
            "application/x-protobuf" => Some(Self::Protobuf),
            "application/json" => Some(Self::Json),
            _ => None,
        }
    }

    fn decode<T: OtlpExport>(self, body: &[u8]) -> Result<T, OtlpRefusal> {
        T::read(body, matches!(self, Self::Json)).map_err(|why| match why {
            UnreadableExport::Malformed(why) => {
                OtlpRefusal(StatusCode::BAD_REQUEST, format!("cannot decode the export: {why}"))
            }
            UnreadableExport::TooMuch => OtlpRefusal(
                StatusCode::PAYLOAD_TOO_LARGE,
                "the export holds too much: send smaller batches".into(),
            ),
        })
    }

    fn answer<T: Message + Serialize>(self, answer: &T) -> HttpResponse {
        match self {
            Self::Protobuf => protobuf(StatusCode::OK, answer.encode_to_vec()),
            Self::Json => HttpResponse::Ok().json(answer),
        }
    }

    /// A `google.rpc.Status` with only its message (field 2), as OTLP has errors.
    fn refuse(self, OtlpRefusal(status, message): OtlpRefusal) -> HttpResponse {
        match self {
            Self::Protobuf => {
                let mut body = Vec::new();
                prost::encoding::string::encode(2, &message, &mut body);
                protobuf(status, body)
            }
            Self::Json => HttpResponse::build(status).json(json!({"message": message})),
        }
    }
}

struct OtlpRefusal(StatusCode, String);

fn protobuf(status: StatusCode, body: Vec<u8>) -> HttpResponse {
    HttpResponse::build(status).content_type("application/x-protobuf").body(body)
}

fn unsupported() -> HttpResponse {
    HttpResponse::UnsupportedMediaType()
        .body("Content-Type must be application/x-protobuf or application/json\n")
}

/// Reads, unpacks, decodes, hands over and answers: the same for every signal.
async fn receive<Q, A>(request: &HttpRequest, body: web::Payload, take: impl FnOnce(Q) -> A) -> HttpResponse
where
    Q: OtlpExport,
    A: Message + Serialize,
{
    let Some(encoding) = OtlpEncoding::of(request) else { return unsupported() };
    let export = match read(request, body).await {
        Ok(bytes) => unpack(request, bytes).and_then(|bytes| encoding.decode(&bytes)),
        Err(refusal) => Err(refusal),
    };
    match export {
        Ok(export) => encoding.answer(&take(export)),
        Err(refusal) => encoding.refuse(refusal),
    }
}

async fn read(request: &HttpRequest, body: web::Payload) -> Result<web::Bytes, OtlpRefusal> {
    let too_large = || OtlpRefusal(StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 8 MiB".into());
    let told =
        request.headers().get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
    if told.is_some_and(|length| length > MOST_SENT) {
        return Err(too_large());
    }
    match tokio::time::timeout(BODY_TIMEOUT, body.to_bytes_limited(MOST_SENT)).await {
        Ok(Ok(Ok(bytes))) => Ok(bytes),
        Ok(Ok(Err(_))) => Err(OtlpRefusal(StatusCode::BAD_REQUEST, "the body did not arrive whole".into())),
        Ok(Err(_)) => Err(too_large()),
        Err(_) => Err(OtlpRefusal(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in 10 s".into())),
    }
}

fn unpack(request: &HttpRequest, body: web::Bytes) -> Result<web::Bytes, OtlpRefusal> {
    let coding = request.headers().get(header::CONTENT_ENCODING).map_or(&b""[..], |v| v.as_bytes());
    if coding.is_empty() || coding.eq_ignore_ascii_case(b"identity") {
        return Ok(body);
    }
    if !coding.eq_ignore_ascii_case(b"gzip") {
        let why = "Content-Encoding must be gzip or identity";
        return Err(OtlpRefusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, why.into()));
    }
    let mut unpacked = Vec::new();
    let mut reader = flate2::read::MultiGzDecoder::new(&body[..]).take(MOST_UNPACKED as u64 + 1);
    match reader.read_to_end(&mut unpacked) {
        Err(_) => Err(OtlpRefusal(StatusCode::BAD_REQUEST, "the body is not valid gzip".into())),
        Ok(size) if size > MOST_UNPACKED => {
            Err(OtlpRefusal(StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 16 MiB unpacked".into()))
        }
        Ok(_) => Ok(unpacked.into()),
    }
}

#[cfg(test)]
#[path = "receive_tests.rs"]
mod tests;
