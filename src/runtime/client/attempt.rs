//! One attempt of a call: its span and its metric, settled whatever becomes of it.

use std::time::Instant;

use actix_web::http::StatusCode;
use metrics::Histogram;
use tracing::Span;

use super::{CallError, Reply};
use crate::schema::names;

/// The outcomes of a call, a closed set; of those of a call that was answered the class of its status.
const OUTCOMES: [&str; 5] = ["2xx", "4xx", "5xx", "timeout", "unreachable"];

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

    /// Observes a call that began at `started`.
    pub fn observe(&self, outcome: &'static str, started: Instant) {
        let series = OUTCOMES.iter().zip(&self.0).find(|(known, _)| **known == outcome);
        if let Some((_, histogram)) = series {
            histogram.record(started.elapsed().as_secs_f64());
        }
    }
}

/// Span and metric of an attempt, settled also when the time ran out and its future was dropped.
pub(super) struct AttemptGuard<'a> {
    span: Span,
    durations: &'a CallDurations,
    started: Instant,
    settled: bool,
}

impl<'a> AttemptGuard<'a> {
    pub(super) fn new(span: Span, durations: &'a CallDurations) -> Self {
        Self { span, durations, started: Instant::now(), settled: false }
    }

    pub(super) fn settle(&mut self, outcome: &Result<Reply, CallError>) {
        match outcome {
            Ok(reply) => {
                self.span.record("http.response.status_code", i64::from(reply.status.as_u16()));
                if reply.status.is_client_error() || reply.status.is_server_error() {
                    self.failed(reply.status.as_str());
                }
                self.observe(class(reply.status));
            }
            Err(error) => {
                self.failed(error.kind());
                self.observe(error.kind());
            }
        }
    }

    /// On a CLIENT span a 4xx is an error too: the caller sent something that was refused.
    fn failed(&self, kind: &str) {
        self.span.record("error.type", kind);
        self.span.record("otel.status_code", "ERROR");
    }

    fn observe(&mut self, outcome: &'static str) {
        self.settled = true;
        self.durations.observe(outcome, self.started);
    }
}

impl Drop for AttemptGuard<'_> {
    fn drop(&mut self) {
        if !self.settled {
            self.failed("timeout");
            self.observe("timeout");
        }
    }
}

/// The class of a status code, a closed set.
fn class(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400..=499 => "4xx",
        500..=599 => "5xx",
        _ => "2xx",
    }
}
