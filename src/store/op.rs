//! What is known of an operation before it runs, and what is told of it afterwards: metric and span.

use std::sync::OnceLock;

use metrics::Histogram;
use tokio::time::Instant;
use tracing::field::Empty;
use tracing::{Span, info_span, warn};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::failure::{DbError, Failure, Outcome};
use super::{Db, StoreError};
use crate::schema::{FAULT_ATTRIBUTE, names};

/// One kind of operation.
pub(super) struct Op {
    verb: &'static str,
    table: &'static str,
    statements: &'static [&'static str],
    traced: bool,
    conflict: Option<&'static str>,
    /// One for each outcome: to find a series by its labels costs more than to record in it.
    durations: [OnceLock<Histogram>; Outcome::COUNT],
    texts: OnceLock<Texts>,
}

/// What the spans of an operation say, put together once.
struct Texts {
    name: String,
    query: String,
}

impl Op {
    const fn new(
        verb: &'static str,
        table: &'static str,
        statements: &'static [&'static str],
        traced: bool,
    ) -> Self {
        let durations = [const { OnceLock::new() }; Outcome::COUNT];
        Self { verb, table, statements, traced, conflict: None, durations, texts: OnceLock::new() }
    }

    /// An operation a request waits for: measured, and one CLIENT span in the request's trace,
    /// however many statements it has.
    pub(super) const fn traced(
        verb: &'static str,
        table: &'static str,
        statements: &'static [&'static str],
    ) -> Self {
        Self::new(verb, table, statements, true)
    }

    /// Bookkeeping: measured and not traced. The outbox is polled all day and readiness is asked
    /// every few seconds; each would be a trace of its own and bury the requests. The idempotency
    /// of a notification is no span of the trace the lab promises either.
    pub(super) const fn quiet(verb: &'static str, table: &'static str) -> Self {
        Self::new(verb, table, &[], false)
    }

    /// Makes a unique violation an answer, [`StoreError::Conflict`] with this text.
    pub(super) const fn or_conflict(mut self, text: &'static str) -> Self {
        self.conflict = Some(text);
        self
    }

    /// Whether a request waits for it.
    pub(super) fn is_traced(&self) -> bool {
        self.traced
    }

    /// Whether it changes nothing.
    pub(super) fn only_reads(&self) -> bool {
        self.verb == "SELECT"
    }

    fn duration(&self, outcome: Outcome) -> &Histogram {
        self.durations[outcome as usize].get_or_init(|| {
            metrics::histogram!(
                names::DB_DURATION, "db_operation_name" => self.verb, "outcome" => outcome.as_str()
            )
        })
    }

    /// Not entered for its time: what a caller does meanwhile, such as writing a message's headers, belongs to
    /// the request and not to its database operation.
    fn span(&self, db: &Db) -> Span {
        let texts = self.texts.get_or_init(|| Texts {
            name: format!("{} {}", self.verb, self.table),
            query: self.statements.join("; "),
        });
        info_span!(
            "database",
            otel.name = texts.name,
            otel.kind = "client",
            otel.status_code = Empty,
            db.system.name = db.engine().system(),
            db.namespace = db.namespace(),
            db.collection.name = self.table,
            db.operation.name = self.verb,
            db.query.text = texts.query,
            db.query.summary = texts.name,
            db.response.status_code = Empty,
            "error.type" = Empty,
        )
    }
}

/// Takes the time and the outcome of one operation; tells them when it is dropped.
pub(super) struct Measure {
    op: &'static Op,
    started: Instant,
    span: Span,
    outcome: Outcome,
    /// Whether the database is at work: if this is dropped then, the caller has gone away.
    at_work: bool,
    marked: bool,
}

impl Measure {
    pub(super) fn start(db: &Db, op: &'static Op) -> Self {
        let span = if op.traced { op.span(db) } else { Span::none() };
        // An error until the end: the caller may go away while the operation waits.
        Self { op, started: Instant::now(), span, outcome: Outcome::Error, at_work: false, marked: false }
    }

    pub(super) fn not_ready(mut self, reason: &str) -> StoreError {
        self.fail(Outcome::Error, Some("not_ready"));
        StoreError::Unavailable(reason.to_owned())
    }

    /// A fault has hit; the first is the one that is told.
    pub(super) fn mark(&mut self, fault: &'static str) {
        if !std::mem::replace(&mut self.marked, true) {
            self.span.set_attribute(FAULT_ATTRIBUTE, fault);
        }
    }

    pub(super) fn at_work(&mut self) {
        self.at_work = true;
    }

    pub(super) fn succeeded(mut self) {
        self.at_work = false;
        self.outcome = Outcome::Ok;
    }

    pub(super) fn failed(mut self, error: &DbError) -> StoreError {
        self.at_work = false;
        let failure = Failure::of(error, self.op.conflict);
        if let Some(code) = error.code() {
            self.span.record("db.response.status_code", &*code);
        }
        if !matches!(failure.error, StoreError::Conflict(_)) {
            self.tell(&error.to_string());
        }
        self.fail(failure.outcome, failure.error_type.as_deref());
        failure.error
    }

    pub(super) fn too_slow(mut self) -> StoreError {
        self.at_work = false;
        let failure = Failure::too_slow();
        self.tell("the time limit has passed");
        self.fail(failure.outcome, failure.error_type.as_deref());
        failure.error
    }

    /// What a driver says is for logs: it may name tables, users of the database and addresses.
    fn tell(&self, reason: &str) {
        let (operation, table) = (self.op.verb, self.op.table);
        warn!(operation, table, reason, "Database operation failed");
    }

    fn fail(&mut self, outcome: Outcome, error_type: Option<&str>) {
        self.outcome = outcome;
        if let Some(error_type) = error_type {
            self.span.record("error.type", error_type);
            self.span.record("otel.status_code", "ERROR");
        }
    }
}

impl Drop for Measure {
    fn drop(&mut self) {
        if self.at_work {
            self.fail(Outcome::Error, Some("cancelled"));
        }
        // Its own span, not the request's, becomes the exemplar.
        self.span.in_scope(|| {
            self.op.duration(self.outcome).record(self.started.elapsed().as_secs_f64());
        });
    }
}
