//! What becomes of a request, told once: to metrics, log and, where nobody waits for an answer any
//! more, the span.

use std::time::Instant;

use actix_web::Error;
use actix_web::body::BoxBody;
use actix_web::dev::ServiceResponse;
use actix_web::http::StatusCode;
use tracing::Span;

use super::Surface;
use super::routes::RouteRow;
use crate::runtime::Problem;
use crate::runtime::body::BodyArrival;
use crate::schema::CLIENT_CLOSED_REQUEST;

/// A request with a row of the route table, from its head to its answer. Dropped without one, its client
/// has gone away: that is counted and logged as status 499.
pub(super) struct Served<'a> {
    surface: &'a Surface,
    row: &'a RouteRow,
    arrival: BodyArrival,
    started: Instant,
    span: Span,
    answered: bool,
}

impl<'a> Served<'a> {
    pub(super) fn begin(surface: &'a Surface, row: &'a RouteRow, arrival: BodyArrival) -> Self {
        Self { surface, row, arrival, started: Instant::now(), span: Span::current(), answered: false }
    }

    pub(super) fn answered(mut self, outcome: &Result<ServiceResponse<BoxBody>, Error>) {
        self.answered = true;
        let status = status_of(outcome);
        self.count(status);
        self.log(status, outcome);
    }

    /// To wait for a body that did not come was none of our work: an objective for latency must not suffer
    /// from it.
    fn count(&self, status: StatusCode) {
        let waited = self.arrival.missing().unwrap_or_default();
        self.row.observe(status, self.started.elapsed().saturating_sub(waited));
        (self.surface.on_answer)(self.row.route, status);
    }

    fn log(&self, status: StatusCode, outcome: &Result<ServiceResponse<BoxBody>, Error>) {
        let (method, route, duration) = (self.row.method, self.row.path(), self.milliseconds());
        if status.is_server_error() {
            let error = match outcome {
                Ok(response) => response.response().error(),
                Err(error) => Some(error),
            };
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

    /// Of the whole request, a microsecond fine.
    fn milliseconds(&self) -> f64 {
        (self.started.elapsed().as_secs_f64() * 1e6).round() / 1e3
    }

    fn aborted(&self) {
        if let Ok(status) = StatusCode::from_u16(CLIENT_CLOSED_REQUEST) {
            self.span.in_scope(|| self.count(status));
        }
        self.span.record("http.response.status_code", i64::from(CLIENT_CLOSED_REQUEST));
        // No status of the span: as with a 4xx, it is the client's doing.
        self.span.record("error.type", "cancelled");
        self.span.in_scope(|| {
            tracing::info!(
                method = self.row.method,
                route = self.row.path(),
                status = CLIENT_CLOSED_REQUEST,
                durationMs = self.milliseconds(),
                "request aborted by its client"
            );
        });
    }
}

impl Drop for Served<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.aborted();
        }
    }
}

/// The status of an answer.
pub(super) fn status_of(outcome: &Result<ServiceResponse<BoxBody>, Error>) -> StatusCode {
    match outcome {
        Ok(response) => response.status(),
        Err(error) => error.as_response_error().status_code(),
    }
}
