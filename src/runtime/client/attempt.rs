//! One attempt of a call: its span and its metric, settled whatever becomes of it.

use std::time::Instant;

use actix_web::http::StatusCode;
use metrics::Histogram;
use tracing::Span;

use crate::schema::names;

/// What becomes of a call: the class of its answer, or why there is none. A closed set.
const OUTCOMES: [&str; 7] = ["2xx", "3xx", "4xx", "5xx", "timeout", "unreachable", "cancelled"];

/// Series of [`names::HTTP_CLIENT_DURATION`] of one peer, one for each outcome, looked up once.
#[derive(Clone)]
pub struct CallDurations([Histogram; OUTCOMES.len()]);

impl CallDurations {
    /// The series of calls to the service `peer`.
    pub fn of(peer: &'static str) -> Self {
        let series = |outcome| {
            let labels = [("peer_service", peer), ("outcome", outcome)];
            metrics::histogram!(names::HTTP_CLIENT_DURATION, &labels)
        };
        Self(OUTCOMES.map(series))
    }

    fn observe(&self, outcome: &'static str, started: Instant) {
        let series = OUTCOMES.iter().zip(&self.0).find(|(known, _)| **known == outcome);
        if let Some((_, histogram)) = series {
            histogram.record(started.elapsed().as_secs_f64());
        }
    }
}

/// Span and metric of an attempt. Dropped before it was settled, its caller went away: cancelled.
pub struct AttemptGuard<'a> {
    span: Span,
    durations: &'a CallDurations,
    started: Instant,
    settled: bool,
}

impl<'a> AttemptGuard<'a> {
    /// An attempt begins.
    pub fn new(span: Span, durations: &'a CallDurations) -> Self {
        Self { span, durations, started: Instant::now(), settled: false }
    }

    /// It was answered with `status`.
    pub fn answered(mut self, status: StatusCode) {
        self.span.record("http.response.status_code", i64::from(status.as_u16()));
        // On a CLIENT span a 4xx is an error too: the caller sent something that was refused.
        let failed = status.is_client_error() || status.is_server_error();
        let class = class(status);
        self.settle(class, failed.then(|| status.as_str()));
    }

    /// It ended with `outcome`, one of the closed set; `error_type` where that is a failure.
    pub fn ended(mut self, outcome: &'static str, error_type: Option<&str>) {
        self.settle(outcome, error_type);
    }

    fn settle(&mut self, outcome: &'static str, error_type: Option<&str>) {
        if let Some(kind) = error_type {
            self.span.record("error.type", kind);
            self.span.record("otel.status_code", "ERROR");
        }
        self.settled = true;
        // Its own span, not the request's, becomes the exemplar.
        self.span.in_scope(|| self.durations.observe(outcome, self.started));
    }
}

impl Drop for AttemptGuard<'_> {
    fn drop(&mut self) {
        if !self.settled {
            self.settle("cancelled", Some("cancelled"));
        }
    }
}

/// The class of a status code, a closed set. What is none of the known ones is taken for a failure.
fn class(status: StatusCode) -> &'static str {
    match status.as_u16() {
        100..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    }
}
