//! One attempt of a call: its span and its metric, settled whatever becomes of it.

use std::time::Instant;

use actix_web::http::StatusCode;
use tracing::Span;

use super::{CallError, Reply};
use crate::schema::names;

/// Settles span and metric of an attempt, also when the time ran out and its future was dropped.
pub(super) struct Guard {
    span: Span,
    peer: &'static str,
    started: Instant,
    settled: bool,
}

impl Guard {
    pub(super) fn new(span: Span, peer: &'static str) -> Self {
        Self { span, peer, started: Instant::now(), settled: false }
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
        let labels = [("peer_service", self.peer), ("outcome", outcome)];
        metrics::histogram!(names::HTTP_CLIENT_DURATION, &labels)
            .record(self.started.elapsed().as_secs_f64());
    }
}

impl Drop for Guard {
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
