//! What happens around every handler: limits, the time limit, RED metrics, one log line, and an
//! answer in the one form errors have.

use std::time::Instant;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode, header};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, ResponseError};
use opentelemetry::trace::TraceContextExt;

use super::Surface;
use super::drain::Connection;
use crate::runtime::error::{PROBLEM_JSON, Problem, TRACE_RESPONSE, trace_response};
use crate::runtime::metrics::{route_labels, server_labels};
use crate::schema::{KNOWN_METHODS, OTHER_METHOD, OTHER_ROUTE, Route, names};

/// The largest sum of header names and values, in bytes.
const MAX_HEADERS: usize = 16 * 1024;
/// The longest request target, in bytes.
const MAX_TARGET: usize = 8 * 1024;

/// The method as it stands in labels and span names.
pub(super) fn known_method(method: &Method) -> &'static str {
    KNOWN_METHODS.into_iter().find(|known| *known == method.as_str()).unwrap_or(OTHER_METHOD)
}

/// The middleware. Operational routes have the time limit and the one form of errors, and nothing
/// else: nobody counts or logs them.
pub(super) async fn observe(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let Some(surface) = request.app_data::<Data<Surface>>().cloned() else {
        return next.call(request).await.map(ServiceResponse::map_into_boxed_body);
    };
    let _in_hand = surface.in_hand.enter(request.conn_data::<Connection>());
    if let Some(methods) = surface.operational(request.path()) {
        return finish(in_time(&surface, None, request, next).await, methods);
    }
    let started = Instant::now();
    let method = known_method(request.method());
    let pattern = request.match_pattern();
    let route = surface.route(request.method().as_str(), pattern.as_deref());
    let _active = Active::new(method, route);
    let allowed = pattern.map(|pattern| methods_of(surface.routes, &pattern)).unwrap_or_default();

    let outcome = match check_head(&request) {
        Err(problem) => Err(problem.in_current_span().into()),
        Ok(()) => in_time(&surface, route, request, next).await,
    };
    let mut outcome = finish(outcome, &allowed);

    let status = status_of(&outcome);
    record(method, route, status, started);
    (surface.on_answer)(route, status);
    log(method, route, &outcome, started);
    if let (Ok(response), true) = (&mut outcome, surface.health.is_draining()) {
        // Tells clients with a kept connection to come back on a new one, to somebody else.
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    outcome
}

/// Counts a request as active for as long as it lives, cancelled ones included.
struct Active(metrics::Gauge);

impl Active {
    fn new(method: &'static str, route: Option<&'static Route>) -> Self {
        let gauge = metrics::gauge!(names::HTTP_SERVER_ACTIVE, &route_labels(method, path_of(route)));
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

fn path_of(route: Option<&'static Route>) -> &'static str {
    route.map_or(OTHER_ROUTE, |route| route.path)
}

/// Hands the request on, unless a fault of its `route` comes between; all of it within the limit.
async fn in_time(
    surface: &Surface,
    route: Option<&'static Route>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let answer = async {
        // The Lambda Invoke API is AWS's: what fails there is the function behind it.
        if let Some(route) = route.filter(|route| !route.is_internal()) {
            surface.faults.request(route).await.map_err(Problem::in_current_span)?;
        }
        next.call(request).await
    };
    match tokio::time::timeout(surface.request_timeout, answer).await {
        Ok(outcome) => outcome.map(ServiceResponse::map_into_boxed_body),
        Err(_) => Err(Problem::timeout("the request took too long").in_current_span().into()),
    }
}

fn check_head(request: &ServiceRequest) -> Result<(), Problem> {
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    if target > MAX_TARGET {
        let detail = format!("the request target must be at most {MAX_TARGET} bytes");
        return Err(Problem::new(StatusCode::URI_TOO_LONG, detail));
    }
    let headers: usize =
        request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if headers > MAX_HEADERS {
        let detail = format!("header fields must be at most {MAX_HEADERS} bytes in all");
        return Err(Problem::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, detail));
    }
    Ok(())
}

/// Errors that the framework answered by itself (405, a bad path) get the form of ours.
fn finish(
    outcome: Result<ServiceResponse<BoxBody>, Error>,
    allowed: &str,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let mut response = outcome?;
    let status = response.status();
    let ours = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind == PROBLEM_JSON || kind == "application/json");
    if status.is_client_error() && !ours {
        let mut problem = Problem::new(status, status.canonical_reason().unwrap_or("refused").to_lowercase());
        if status == StatusCode::METHOD_NOT_ALLOWED {
            problem = problem.with_allow(allowed.to_owned());
        }
        let answer = problem.error_response();
        response = response.into_response(answer);
    }
    let context = opentelemetry::Context::current();
    let value = trace_response(context.span().span_context()).and_then(|v| HeaderValue::try_from(v).ok());
    if let Some(value) = value {
        response.headers_mut().insert(HeaderName::from_static(TRACE_RESPONSE), value);
    }
    Ok(response)
}

fn methods_of(routes: &[Route], pattern: &str) -> String {
    let methods: Vec<_> = routes.iter().filter(|r| r.path == pattern).map(|r| r.method).collect();
    methods.join(", ")
}

fn status_of(outcome: &Result<ServiceResponse<BoxBody>, Error>) -> StatusCode {
    match outcome {
        Ok(response) => response.status(),
        Err(error) => error.as_response_error().status_code(),
    }
}

fn record(method: &'static str, route: Option<&'static Route>, status: StatusCode, started: Instant) {
    let labels = server_labels(method, path_of(route), status.as_u16());
    metrics::histogram!(names::HTTP_SERVER_DURATION, &labels).record(started.elapsed().as_secs_f64());
}

fn log(
    method: &'static str,
    route: Option<&'static Route>,
    outcome: &Result<ServiceResponse<BoxBody>, Error>,
    started: Instant,
) {
    let status = status_of(outcome);
    let route = path_of(route);
    let duration = started.elapsed().as_secs_f64() * 1e3;
    let duration = (duration * 1e3).round() / 1e3;
    let error = match outcome {
        Ok(response) => response.response().error(),
        Err(error) => Some(error),
    };
    if status.is_server_error() {
        let problem = error.and_then(|error| error.as_error::<Problem>());
        let detail = problem.map(Problem::detail);
        let cause = problem.and_then(Problem::cause);
        tracing::error!(
            method,
            route,
            status = status.as_u16(),
            durationMs = duration,
            detail,
            cause,
            "request failed"
        );
    } else {
        tracing::info!(method, route, status = status.as_u16(), durationMs = duration, "request served");
    }
}
