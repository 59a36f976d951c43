//! What happens around every handler: limits, the time limit, RED metrics, one log line, and an
//! answer in the one form errors have.

use std::time::Instant;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::http::{StatusCode, header};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage, ResponseError};
use opentelemetry::trace::TraceContextExt;

use super::drain::OpenConnection;
use super::routes::RouteRow;
use super::{Destination, Surface};
use crate::runtime::error::{PROBLEM_JSON, Problem, TRACE_RESPONSE, trace_response};
use crate::schema::Route;

/// The largest sum of header names and values, in bytes.
const MAX_HEADERS: usize = 16 * 1024;
/// The longest request target, in bytes.
const MAX_TARGET: usize = 8 * 1024;

/// The middleware. Operational routes have the time limit and the one form of errors, and nothing
/// else: they are neither counted nor logged.
pub(super) async fn observe(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let Some(surface) = request.app_data::<Data<Surface>>().cloned() else {
        return next.call(request).await.map(ServiceResponse::map_into_boxed_body);
    };
    let _in_flight = surface.in_flight.enter(request.conn_data::<OpenConnection>());
    let known = request.extensions().get::<Destination>().copied();
    let row = match known.unwrap_or_else(|| surface.destination(&request)) {
        Destination::Operational(methods) => {
            return finish(in_time(&surface, None, request, next).await, |_| methods.to_owned());
        }
        Destination::Row(row) => surface.routes.row(row),
    };
    let Some(row) = row else { return Err(Problem::internal("no such row of the route table").into()) };
    let started = Instant::now();
    let _active = row.begin();

    let outcome = match check_head(&request) {
        Err(problem) => Err(problem.in_current_span().into()),
        Ok(()) => in_time(&surface, row.route, request, next).await,
    };
    let mut outcome = finish(outcome, |path| surface.routes.methods(path));

    let status = status_of(&outcome);
    row.observe(status, started);
    (surface.on_answer)(row.route, status);
    log(row, &outcome, started);
    if let (Ok(response), true) = (&mut outcome, surface.health.is_draining()) {
        // Tells clients with a kept connection to come back on a new one, to another instance.
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    outcome
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

/// Errors that the framework answered by itself (405, a bad path) get the form of ours. `methods`
/// says what a path allows.
fn finish(
    outcome: Result<ServiceResponse<BoxBody>, Error>,
    methods: impl Fn(&str) -> String,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let mut response = outcome?;
    let status = response.status();
    if status.is_client_error() && !has_our_form(&response) {
        let mut problem = Problem::new(status, status.canonical_reason().unwrap_or("refused").to_lowercase());
        if status == StatusCode::METHOD_NOT_ALLOWED {
            problem = problem.with_allow(methods(response.request().match_info().as_str()));
        }
        let answer = problem.error_response();
        response = response.into_response(answer);
    }
    let value = opentelemetry::Context::map_current(|context| trace_response(context.span().span_context()));
    if let Some(value) = value {
        response.headers_mut().insert(HeaderName::from_static(TRACE_RESPONSE), value);
    }
    Ok(response)
}

fn has_our_form(response: &ServiceResponse<BoxBody>) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind == PROBLEM_JSON || kind == "application/json")
}

fn status_of(outcome: &Result<ServiceResponse<BoxBody>, Error>) -> StatusCode {
    match outcome {
        Ok(response) => response.status(),
        Err(error) => error.as_response_error().status_code(),
    }
}

fn log(row: &RouteRow, outcome: &Result<ServiceResponse<BoxBody>, Error>, started: Instant) {
    let status = status_of(outcome);
    let (method, route) = (row.method, row.path());
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
