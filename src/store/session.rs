//! The one place every operation passes: its connection, its time limit, its metric, its span.

use std::time::Duration;

use sqlx::Any;
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::pool::PoolConnection;
use sqlx::query::Query;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};
use tracing::field::Empty;
use tracing::{Span, info_span, warn};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::failure::Failure;
use super::{Db, StoreError};
use crate::schema::{FAULT_ATTRIBUTE, faults, names};

/// A statement with its arguments.
pub(super) type Statement<'q> = Query<'q, Any, AnyArguments>;
/// Reads a row.
pub(super) type Read<T> = fn(&AnyRow) -> sqlx::Result<T>;

/// What is known of an operation before it runs.
pub(super) struct Op {
    verb: &'static str,
    table: &'static str,
    statements: &'static [&'static str],
    traced: bool,
    conflict: Option<&'static str>,
}

impl Op {
    /// An operation a request waits for: measured, and one CLIENT span in the request's trace,
    /// however many statements it has.
    pub(super) const fn traced(
        verb: &'static str,
        table: &'static str,
        statements: &'static [&'static str],
    ) -> Self {
        Self { verb, table, statements, traced: true, conflict: None }
    }

    /// Bookkeeping: measured and not traced. The outbox is polled all day and readiness is asked
    /// every few seconds; each would be a trace of its own and bury the requests. The idempotency
    /// of a notification is no span of the trace the lab promises either.
    pub(super) const fn quiet(verb: &'static str, table: &'static str) -> Self {
        Self { verb, table, statements: &[], traced: false, conflict: None }
    }

    /// Makes a unique violation an answer, [`StoreError::Conflict`] with this text.
    pub(super) const fn or_conflict(mut self, text: &'static str) -> Self {
        self.conflict = Some(text);
        self
    }
}

/// One operation under way. It ends when it is dropped: then the metric is recorded and the
/// connection goes back to the pool, or is closed if a statement or transaction was left unfinished.
pub(super) struct Session {
    /// Taken out only by the drop.
    connection: Option<PoolConnection<Any>>,
    deadline: Instant,
    /// False while a statement is under way. A connection whose statement was abandoned may still
    /// be inside a transaction, and whatever the next borrower writes would never be committed.
    whole: bool,
    in_transaction: bool,
    measure: Measure,
}

impl Session {
    pub(super) async fn open(db: &Db, op: &'static Op) -> Result<Self, StoreError> {
        let mut measure = Measure::start(db.clone(), op);
        if let Err(reason) = db.state() {
            measure.fail("error", Some("not_ready"));
            return Err(StoreError::Unavailable(reason.to_owned()));
        }
        let deadline = db.deadline();
        let connection = db.connect(deadline).await.map_err(|e| measure.failed(&e))?;
        measure.outcome = "ok";
        Ok(Self { connection: Some(connection), deadline, whole: true, in_transaction: false, measure })
    }

    /// Lets the operation take so much longer, as if the database did; the time limit stays. The
    /// connection counts as at work meanwhile: it is held, and closed if the caller goes away.
    pub(super) async fn linger(&mut self, extra: Duration) -> Result<(), StoreError> {
        self.measure.span.set_attribute(FAULT_ATTRIBUTE, faults::SLOW_DB);
        self.whole = false;
        let waited = timeout_at(self.deadline, tokio::time::sleep(extra)).await;
        self.settle(waited.map(Ok))
    }

    /// Runs a statement and reads every row. All of them: a write with RETURNING that is dropped
    /// after its first row has answered before it is committed.
    pub(super) async fn rows<T>(
        &mut self,
        statement: Statement<'_>,
        read: Read<T>,
    ) -> Result<Vec<T>, StoreError> {
        self.whole = false;
        let connection = self.connection.as_deref_mut().ok_or_else(closed)?;
        let answer = timeout_at(self.deadline, statement.fetch_all(connection)).await;
        let rows = self.settle(answer)?;
        rows.iter().map(read).collect::<sqlx::Result<_>>().map_err(|e| self.measure.failed(&e))
    }

    /// Runs a statement that has at most one row.
    pub(super) async fn row<T>(
        &mut self,
        statement: Statement<'_>,
        read: Read<T>,
    ) -> Result<Option<T>, StoreError> {
        Ok(self.rows(statement, read).await?.pop())
    }

    /// Runs a statement that always has a row.
    pub(super) async fn one<T>(&mut self, statement: Statement<'_>, read: Read<T>) -> Result<T, StoreError> {
        let row = self.row(statement, read).await?;
        row.ok_or_else(|| self.measure.failed(&sqlx::Error::RowNotFound))
    }

    /// Runs a statement and says how many rows it changed.
    pub(super) async fn execute(&mut self, statement: Statement<'_>) -> Result<u64, StoreError> {
        self.whole = false;
        let connection = self.connection.as_deref_mut().ok_or_else(closed)?;
        let answer = timeout_at(self.deadline, statement.execute(connection)).await;
        self.settle(answer).map(|result| result.rows_affected())
    }

    /// Begins a transaction. Without [`Session::commit`] nothing of it remains.
    pub(super) async fn begin(&mut self) -> Result<(), StoreError> {
        self.in_transaction = true;
        let statement = self.measure.db.engine().begin();
        self.execute(sqlx::query(statement)).await.map(drop)
    }

    /// Makes it last. Where the answer does not come in time it may have happened all the same.
    pub(super) async fn commit(&mut self) -> Result<(), StoreError> {
        self.execute(sqlx::query("COMMIT")).await?;
        self.in_transaction = false;
        Ok(())
    }

    /// Undoes it and keeps the connection, for an answer that is no failure.
    pub(super) async fn roll_back(&mut self) -> Result<(), StoreError> {
        self.execute(sqlx::query("ROLLBACK")).await?;
        self.in_transaction = false;
        Ok(())
    }

    fn settle<T>(&mut self, answer: Result<sqlx::Result<T>, Elapsed>) -> Result<T, StoreError> {
        match answer {
            Ok(Ok(value)) => {
                self.whole = true;
                Ok(value)
            }
            Ok(Err(error)) => {
                let failed = self.measure.failed(&error);
                // The database refused and said so: the connection is in order.
                self.whole =
                    error.as_database_error().is_some() && !matches!(failed, StoreError::Unavailable(_));
                Err(failed)
            }
            Err(_) => Err(self.measure.too_slow()),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(mut connection) = self.connection.take() {
            if !self.whole || self.in_transaction {
                connection.close_on_drop();
            }
            // Where an HTTP worker's runtime is being torn down there is none to end it on.
            let _home = self.measure.db.runtime().enter();
            drop(connection);
        }
        if !self.whole && self.measure.outcome == "ok" {
            // The caller went away while the database was at work.
            self.measure.fail("error", Some("cancelled"));
        }
    }
}

fn closed() -> StoreError {
    StoreError::Internal("the session is over".to_owned())
}

/// Takes the time and the outcome of one operation.
struct Measure {
    db: Db,
    op: &'static Op,
    started: Instant,
    span: Span,
    /// An error until there is a connection: the caller may go away while it waits for one.
    outcome: &'static str,
}

impl Measure {
    fn start(db: Db, op: &'static Op) -> Self {
        let span = if op.traced { span(&db, op) } else { Span::none() };
        Self { db, op, started: Instant::now(), span, outcome: "error" }
    }

    fn failed(&mut self, error: &sqlx::Error) -> StoreError {
        let failure = Failure::of(error, self.op.conflict);
        if let Some(code) = error.as_database_error().and_then(|e| e.code()) {
            self.span.record("db.response.status_code", &*code);
        }
        if !matches!(failure.error, StoreError::Conflict(_)) {
            self.tell(&error.to_string());
        }
        self.fail(failure.outcome, failure.error_type.as_deref());
        failure.error
    }

    fn too_slow(&mut self) -> StoreError {
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

    fn fail(&mut self, outcome: &'static str, error_type: Option<&str>) {
        self.outcome = outcome;
        if let Some(error_type) = error_type {
            self.span.record("error.type", error_type);
            self.span.record("otel.status_code", "ERROR");
        }
    }
}

impl Drop for Measure {
    fn drop(&mut self) {
        let seconds = self.started.elapsed().as_secs_f64();
        metrics::histogram!(
            names::DB_DURATION, "db_operation_name" => self.op.verb, "outcome" => self.outcome
        )
        .record(seconds);
    }
}

/// Never entered: what a caller does meanwhile, such as writing a message's headers, belongs to the
/// request and not to its database operation.
fn span(db: &Db, op: &Op) -> Span {
    let name = format!("{} {}", op.verb, op.table);
    info_span!(
        "database",
        otel.name = name,
        otel.kind = "client",
        otel.status_code = Empty,
        db.system.name = db.engine().system(),
        db.namespace = db.namespace(),
        db.collection.name = op.table,
        db.operation.name = op.verb,
        db.query.text = op.statements.join("; "),
        db.query.summary = name,
        db.response.status_code = Empty,
        "error.type" = Empty,
    )
}
