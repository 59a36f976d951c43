//! The SERVER span of a request: named, parented and classified in this one place.
//!
//! OpenTelemetry semantic conventions for HTTP spans: named by route template, never by raw path;
//! a 4xx is the client's doing and not an error of this span.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{FORWARDED, HOST};
use actix_web::http::{StatusCode, Version};
use actix_web::web::Data;
use actix_web::{Error, HttpMessage};
use opentelemetry::KeyValue;
use tracing::Span;
use tracing::field::Empty;
use tracing_actix_web::RootSpanBuilder;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::connection::ConnectionState;
use super::routes::RouteRow;
use super::{Destination, Surface};
use crate::runtime::Problem;
use crate::runtime::propagation::{HttpFields, extract};
use crate::runtime::redact::redacted;
use crate::schema::OTHER_METHOD;

/// Builder of the root span; see the module.
pub(super) struct ServerSpan;

impl RootSpanBuilder for ServerSpan {
    fn on_request_start(request: &ServiceRequest) -> Span {
        let Some(surface) = request.app_data::<Data<Surface>>() else { return Span::none() };
        if request.conn_data::<ConnectionState>().is_some_and(ConnectionState::is_over) {
            return Span::none();
        }
        let destination = surface.destination(request);
        request.extensions_mut().insert(destination);
        let Destination::Row(row) = destination else { return Span::none() };
        match surface.routes.row(row) {
            Some(row) if !row.route.is_some_and(|route| route.is_internal()) => span(request, row),
            _ => Span::none(),
        }
    }

    fn on_request_end<B: MessageBody>(span: Span, outcome: &Result<ServiceResponse<B>, Error>) {
        let (status, error) = match outcome {
            Ok(response) => (response.status(), response.response().error()),
            Err(error) => (error.as_response_error().status_code(), Some(error)),
        };
        span.record("http.response.status_code", i64::from(status.as_u16()));
        if status.is_server_error() {
            span.record("otel.status_code", "ERROR");
            span.record("error.type", status.as_str());
            record_exception(&span, status, error);
        }
    }
}

fn span(request: &ServiceRequest, row: &RouteRow) -> Span {
    let forwarded = forwarded(request).then(|| request.connection_info());
    let (scheme, host) = match &forwarded {
        Some(info) => (info.scheme(), info.host()),
        None => (request.uri().scheme_str().unwrap_or("http"), host(request)),
    };
    let (address, port) = host_and_port(host);
    let span = tracing::info_span!(
        "request",
        otel.name = row.span_name,
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = row.method,
        http.request.method_original = (row.method == OTHER_METHOD).then(|| short(request.method().as_str())),
        http.route = row.route.map(|route| route.path),
        http.response.status_code = Empty,
        url.path = short(request.path()),
        url.query =
            Some(short(request.query_string())).filter(|query| !query.is_empty()).map(redacted).as_deref(),
        url.scheme = scheme,
        server.address = Some(short(address)).filter(|address| !address.is_empty()),
        server.port = port,
        client.address = request.head().peer_addr.map(|peer| display(peer.ip())),
        network.protocol.version = protocol(request.version()),
        user_agent.original = text(request, "user-agent").map(short),
        "error.type" = Empty,
    );
    // An error here means tracing is off; the span is then a plain one.
    let _ = span.set_parent(extract(&HttpFields(request.headers())));
    span
}

/// What a client says, cut: a head may be as long as the server reads one, and a span waits in memory.
fn short(text: &str) -> &str {
    &text[..text.floor_char_boundary(1024)]
}

/// Whether a proxy says what the client asked for: only then actix has to read and copy it all.
fn forwarded(request: &ServiceRequest) -> bool {
    let headers = request.headers();
    headers.contains_key(FORWARDED)
        || headers.contains_key("x-forwarded-host")
        || headers.contains_key("x-forwarded-proto")
}

fn host(request: &ServiceRequest) -> &str {
    let header = request.headers().get(HOST).and_then(|value| value.to_str().ok());
    let authority = || request.uri().authority().map(|authority| authority.as_str());
    header.or_else(authority).unwrap_or_default()
}

/// The exception is recorded once, on the span of the service in which it happened: a problem that
/// merely passes an upstream's failure on has no cause of its own.
fn record_exception(span: &Span, status: StatusCode, error: Option<&Error>) {
    let cause = error.and_then(|e| e.as_error::<Problem>()).and_then(Problem::cause);
    if let Some(cause) = cause {
        span.add_event(
            "exception",
            vec![
                KeyValue::new("exception.type", status.canonical_reason().unwrap_or("Error")),
                KeyValue::new("exception.message", cause.to_owned()),
            ],
        );
    }
}

fn text<'a>(request: &'a ServiceRequest, name: &str) -> Option<&'a str> {
    request.headers().get(name).and_then(|value| value.to_str().ok())
}

fn host_and_port(host: &str) -> (&str, Option<i64>) {
    match host.rsplit_once(':') {
        Some((address, port)) if port.bytes().all(|b| b.is_ascii_digit()) => (address, port.parse().ok()),
        _ => (host, None),
    }
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        _ => "1.1",
    }
}
