//! The one place every operation passes: its place, its time limit, its metric, its span.

use tokio::sync::{SemaphorePermit, TryAcquireError};
use tokio::time::{Instant, sleep, timeout_at};

use super::connect::PgSession;
use super::db::Backend;
use super::engine::Engine;
use super::failure::DbError;
use super::leak::Trouble;
use super::op::{Measure, Op};
use super::page::PageRows;
use super::pool::{PgHeld, PgPool};
use super::statement::{Read, Statement};
use super::tx::{Tx, TxAnswer, run_on_sqlite};
use super::{Db, StoreError};
use crate::schema::faults;
use crate::sqlite::SqliteError;

/// How an operation runs.
#[derive(Clone, Copy)]
enum Manner {
    /// A single statement.
    Single,
    /// All of its statements or none.
    Transaction,
}

impl Db {
    /// Runs a statement and reads every row.
    pub(super) async fn rows<T: Send + 'static>(
        &self,
        op: &'static Op,
        statement: Statement,
        read: Read<T>,
    ) -> Result<Vec<T>, StoreError> {
        self.single(op, move |mut tx| Box::pin(async move { tx.rows(statement, read).await })).await
    }

    /// Runs a statement and reads its rows as far as a page has room for them; `size` is about what a row
    /// takes in an answer.
    pub(super) async fn page_rows<T: Send + 'static>(
        &self,
        op: &'static Op,
        statement: Statement,
        read: Read<T>,
        size: fn(&T) -> usize,
    ) -> Result<PageRows<T>, StoreError> {
        self.single(op, move |mut tx| Box::pin(async move { tx.page_rows(statement, read, size).await }))
            .await
    }

    /// Runs a statement that has at most one row.
    pub(super) async fn row<T: Send + 'static>(
        &self,
        op: &'static Op,
        statement: Statement,
        read: Read<T>,
    ) -> Result<Option<T>, StoreError> {
        self.single(op, move |mut tx| Box::pin(async move { tx.row(statement, read).await })).await
    }

    /// Runs a statement that always has a row.
    pub(super) async fn one<T: Send + 'static>(
        &self,
        op: &'static Op,
        statement: Statement,
        read: Read<T>,
    ) -> Result<T, StoreError> {
        self.single(op, move |mut tx| Box::pin(async move { tx.one(statement, read).await })).await
    }

    /// Runs a statement and says how many rows it changed.
    pub(super) async fn execute(&self, op: &'static Op, statement: Statement) -> Result<u64, StoreError> {
        self.single(op, move |mut tx| Box::pin(async move { tx.execute(statement).await })).await
    }

    /// Runs an operation all of whose changes happen, or, where it fails, none. An answer that comes
    /// too late does not tell: then they may have happened all the same.
    pub(super) async fn transaction<T, F>(&self, op: &'static Op, operation: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(Tx<'a>) -> TxAnswer<'a, T> + Send + 'static,
    {
        self.transaction_and(op, operation, |_| {}).await
    }

    /// As [`Db::transaction`]; `committed` is called with what was committed, on whatever thread, also
    /// where that answers too late and its caller is told that it failed.
    pub(super) async fn transaction_and<T, F, C>(
        &self,
        op: &'static Op,
        operation: F,
        committed: C,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(Tx<'a>) -> TxAnswer<'a, T> + Send + 'static,
        C: FnOnce(&T) + Send + 'static,
    {
        self.measured(op, Manner::Transaction, self.trouble(), operation, committed).await
    }

    /// Asks the database for as good as nothing. No fault hits it: it is for readiness.
    pub(super) async fn ask(&self, op: &'static Op) -> Result<(), StoreError> {
        let select = Statement::new("SELECT 1");
        let asked = self.measured(
            op,
            Manner::Single,
            Trouble::default(),
            |mut tx| Box::pin(async move { tx.rows(select, |_| Ok(())).await }),
            |_| {},
        );
        asked.await.map(drop)
    }

    async fn single<T, F>(&self, op: &'static Op, operation: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(Tx<'a>) -> TxAnswer<'a, T> + Send + 'static,
    {
        self.measured(op, Manner::Single, self.trouble(), operation, |_| {}).await
    }

    async fn measured<T, F, C>(
        &self,
        op: &'static Op,
        manner: Manner,
        trouble: Trouble,
        operation: F,
        committed: C,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(Tx<'a>) -> TxAnswer<'a, T> + Send + 'static,
        C: FnOnce(&T) + Send + 'static,
    {
        let mut measure = Measure::start(self, op);
        if let Err(reason) = self.state() {
            return Err(measure.not_ready(reason));
        }
        let deadline = self.deadline();
        let place = match self.place(&mut measure, trouble, deadline).await {
            Ok(place) => place,
            Err(error) => return Err(measure.failed(&error)),
        };
        measure.at_work();
        if trouble.slow.is_some() {
            measure.mark(faults::SLOW_DB);
        }
        let worked = async {
            if let Some(slow) = trouble.slow {
                // As if the database took so much longer; its thread or connection serves others.
                sleep(slow).await;
            }
            self.run(op, manner, operation, committed, deadline).await
        };
        let outcome = timeout_at(deadline, worked).await;
        if let (true, Some(place)) = (trouble.leaks && op.is_traced(), place) {
            self.leak().keep(place);
        }
        match outcome {
            Ok(Ok(value)) => {
                measure.succeeded();
                Ok(value)
            }
            Ok(Err(error)) => Err(measure.failed(&error)),
            Err(_) => Err(measure.too_slow()),
        }
    }

    /// One of as many places as there may be connections. A file has one thread for all and takes
    /// what comes, so there a place is waited for only by an operation that is slow on purpose, which
    /// would hold its connection, or where places leak.
    async fn place(
        &self,
        measure: &mut Measure,
        trouble: Trouble,
        deadline: Instant,
    ) -> Result<Option<SemaphorePermit<'_>>, DbError> {
        let places = self.places();
        match places.try_acquire() {
            Ok(place) => return Ok(Some(place)),
            Err(TryAcquireError::Closed) => return Err(DbError::Closed),
            Err(TryAcquireError::NoPermits) => {}
        }
        if self.engine() == Engine::Sqlite && trouble.slow.is_none() && !trouble.scarce {
            return Ok(None);
        }
        if trouble.scarce && self.leaked_all() {
            measure.mark(faults::POOL_LEAK);
        }
        match timeout_at(deadline, places.acquire()).await {
            Ok(place) => place.map(Some).map_err(|_| DbError::Closed),
            Err(_) => Err(DbError::NoConnection),
        }
    }

    async fn run<T, F, C>(
        &self,
        op: &'static Op,
        manner: Manner,
        operation: F,
        committed: C,
        deadline: Instant,
    ) -> Result<T, DbError>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(Tx<'a>) -> TxAnswer<'a, T> + Send + 'static,
        C: FnOnce(&T) + Send + 'static,
    {
        match self.backend() {
            Backend::Sqlite(file) => {
                let work = move |connection: &mut rusqlite::Connection| -> Result<T, SqliteError> {
                    run_on_sqlite(connection, operation)
                };
                match op.only_reads() {
                    true => Ok(file.read(work).await?),
                    false => Ok(file.write_and(work, committed).await?),
                }
            }
            Backend::Postgres(pool) => {
                let mut held = pool.get(deadline).await?;
                if let (Manner::Single, PgSession::Own) = (manner, held.session()) {
                    let answer = operation(held.tx()).await;
                    pool.put(held, &answer);
                    return answer;
                }
                match in_transaction(pool, &mut held, operation).await {
                    Ok(value) => pool.commit(held, value, committed).await,
                    failed => {
                        pool.put(held, &failed);
                        failed
                    }
                }
            }
        }
    }
}

/// Runs an operation in a transaction that is still to be committed. Where the database refuses a
/// statement, what was done is undone; after any other failure the connection is closed, which undoes it
/// too.
async fn in_transaction<T, F>(pool: &PgPool, held: &mut PgHeld, operation: F) -> Result<T, DbError>
where
    F: for<'a> FnOnce(Tx<'a>) -> TxAnswer<'a, T>,
{
    held.begin(pool.server().begin(held.session())).await?;
    let answer = operation(held.tx()).await;
    // Where that fails too, the first reason is the one to tell.
    if answer.as_ref().is_err_and(DbError::leaves_connection) {
        drop(held.end("ROLLBACK").await);
    }
    answer
}
