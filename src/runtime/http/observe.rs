//! What happens around every handler: limits, the time limit, RED metrics, one log line, and an
//! answer in the one form errors have.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::http::{ConnectionType, Method, StatusCode, header};
use actix_web::middleware::Next;
use actix_web::web::{Bytes, Data};
use actix_web::{Error, HttpMessage, ResponseError};
use opentelemetry::trace::TraceContextExt;

use super::connection::ConnectionState;
use super::drain::OpenConnection;
use super::served::{Served, status_of};
use super::{Destination, Surface};
use crate::runtime::body::{self, BodyArrival};
use crate::runtime::deadline;
use crate::runtime::error::{PROBLEM_JSON, Problem, TRACE_RESPONSE, trace_response};
use crate::schema::{Role, Route};

/// The largest sum of header names and values, in bytes.
const MAX_HEADERS: usize = 16 * 1024;
/// The longest request target, in bytes.
const MAX_TARGET: usize = 8 * 1024;

/// The middleware. Operational routes have the time limit and the one form of errors, and nothing
/// else: they are neither counted nor logged.
pub(super) async fn observe(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let Some(surface) = request.app_data::<Data<Surface>>().cloned() else {
        return next.call(request).await.map(ServiceResponse::map_into_boxed_body);
    };
    let state = request.conn_data::<ConnectionState>().cloned().unwrap_or_default();
    if state.is_over() {
        // The socket ends the connection, and with it this.
        state.refuse();
        return std::future::pending().await;
    }
    let _serving = state.begin(request.head());
    let _in_flight = surface.in_flight.enter(request.conn_data::<OpenConnection>());
    let arrival = request.conn_data::<BodyArrival>().cloned().unwrap_or_default();
    arrival.reset();
    let known = request.extensions().get::<Destination>().copied();
    let destination = known.unwrap_or_else(|| surface.destination(&request));
    let wants_head = request.method() == Method::HEAD;
    if wants_head {
        // Routed as the GET it stands for.
        request.head_mut().method = Method::GET;
    }
    let finish = |outcome, methods: &dyn Fn(&str) -> String| {
        let outcome = finish(outcome, methods);
        if wants_head { outcome.map(without_body) } else { outcome }
    };
    let row = match destination {
        Destination::Operational(methods) => {
            let outcome = in_time(&surface, None, &arrival, request, next).await;
            return finish(outcome, &|_| methods.to_owned());
        }
        Destination::Row(row) => surface.routes.row(row),
    };
    let Some(row) = row else { return Err(Problem::internal("no such row of the route table").into()) };
    let served = Served::begin(&surface, row, arrival.clone());
    let _active = row.begin();

    let outcome = match check_head(&request) {
        Err(problem) => Err(problem.in_current_span().into()),
        Ok(()) => in_time(&surface, row.route, &arrival, request, next).await,
    };
    let outcome = finish(outcome, &|path| surface.routes.methods(path));
    let mut outcome = outcome.map(|response| surface.memory.hold(response));

    served.answered(&outcome);
    if status_of(&outcome) == StatusCode::REQUEST_TIMEOUT {
        // Whatever came now would be the rest of its body.
        state.close();
    }
    // Of a drain it tells clients with a kept connection to come back on a new one, to another instance.
    let last = state.is_over() || surface.health.is_draining();
    if let (Ok(response), true) = (&mut outcome, last) {
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    outcome
}

/// Hands the request on, unless a fault of its `route` comes between; all of it within the limit, and
/// within what the caller says that it waits.
async fn in_time(
    surface: &Surface,
    route: Option<&'static Route>,
    arrival: &BodyArrival,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    // Whoever comes to the gateway may wait as long as it likes: its patience must not be our failure.
    let expected = deadline::expected(request.headers()).filter(|_| surface.service.role != Role::Gateway);
    let limit = expected.map_or(surface.request_timeout, |time| time.min(surface.request_timeout));
    let deadline = Instant::now() + limit;
    let answer = async {
        // The Lambda Invoke API is AWS's: what fails there is the function behind it.
        if let Some(route) = route.filter(|route| !route.is_internal()) {
            let path = request.match_info().as_str();
            surface.faults.request(route, path).await.map_err(Problem::in_current_span)?;
        }
        next.call(request).await
    };
    match tokio::time::timeout_at(deadline.into(), deadline::scope(deadline, answer)).await {
        Ok(outcome) => outcome.map(ServiceResponse::map_into_boxed_body),
        Err(_) if arrival.missing().is_some() => Err(body::late().in_current_span().into()),
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
    methods: &dyn Fn(&str) -> String,
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

/// The head of an answer, with the length its body would have. Not left to the connection: of pipelined
/// requests it remembers the method of the last one that it has read.
fn without_body(mut response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    let BodySize::Sized(length) = response.response().body().size() else { return response };
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    response.response_mut().head_mut().no_chunking(true);
    response.map_body(|_, _| BoxBody::new(HeadOnly))
}

/// The body of an answer to HEAD.
struct HeadOnly;

impl MessageBody for HeadOnly {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        // Else the connection would write a length of its own.
        BodySize::Stream
    }

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Poll::Ready(None)
    }
}

fn has_our_form(response: &ServiceResponse<BoxBody>) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind == PROBLEM_JSON || kind == "application/json")
}
