//! The SERVER span of a request: named, parented and classified in this one place.
//!
//! OpenTelemetry semantic conventions for HTTP spans: named by route template, never by raw path;
//! a 4xx is the client's doing and not an error of this span.

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{StatusCode, Version};
use actix_web::web::Data;
use opentelemetry::KeyValue;
use tracing::Span;
use tracing::field::Empty;
use tracing_actix_web::RootSpanBuilder;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::Surface;
use crate::runtime::Problem;
use crate::runtime::propagation::{HttpFields, extract};
use crate::schema::OTHER_METHOD;

/// Builds the root span; see the module.
pub(super) struct ServerSpan;

impl RootSpanBuilder for ServerSpan {
    fn on_request_start(request: &ServiceRequest) -> Span {
        let Some(surface) = request.app_data::<Data<Surface>>() else { return Span::none() };
        let pattern = request.match_pattern();
        let method = super::observe::known_method(request.method());
        let route = surface.route(request.method().as_str(), pattern.as_deref());
        if surface.operational(request.path()).is_some() || route.is_some_and(|r| r.is_internal()) {
            return Span::none();
        }
        let name = match route {
            Some(route) => format!("{method} {}", route.path),
            None if method == OTHER_METHOD => "HTTP".to_owned(),
            None => method.to_owned(),
        };
        let info = request.connection_info();
        let (address, port) = host_and_port(info.host());
        let span = tracing::info_span!(
            "request",
            otel.name = name,
            otel.kind = "server",
            otel.status_code = Empty,
            http.request.method = method,
            http.request.method_original = (method == OTHER_METHOD).then(|| request.method().as_str()),
            http.route = route.map(|r| r.path),
            http.response.status_code = Empty,
            url.path = request.path(),
            url.query = Some(request.query_string()).filter(|query| !query.is_empty()),
            url.scheme = info.scheme(),
            server.address = address,
            server.port = port,
            client.address = info.peer_addr(),
            network.protocol.version = protocol(request.version()),
            user_agent.original = text(request, "user-agent"),
            "error.type" = Empty,
        );
        // An error here means tracing is off; the span is then a plain one.
        let _ = span.set_parent(extract(&HttpFields(request.headers())));
        span
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
