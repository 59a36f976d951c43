//! The connection an operation runs on: SQLite's on the file's thread, PostgreSQL's wherever it is
//! awaited. On SQLite nothing here ever waits, so an operation is one poll.

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, TryStreamExt};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Executor};

use super::connect::PgSession;
use super::failure::DbError;
use super::page::PageRows;
use super::statement::{Read, Row, Statement};
use crate::sqlite::SqliteError;

/// What an operation runs its statements on.
pub(super) enum Tx<'a> {
    Sqlite(&'a mut rusqlite::Connection),
    Postgres(&'a mut PgConnection, PgSession),
}

/// What an operation returns. An operation is `for<'a> FnOnce(Tx<'a>) -> TxAnswer<'a, T>`: statements on
/// one connection, and what becomes of their rows. It may wait for the [`Tx`] and for nothing else.
pub(super) type TxAnswer<'a, T> = BoxFuture<'a, Result<T, DbError>>;

impl Tx<'_> {
    /// Runs a statement and reads every row. All of them: a write with RETURNING that is dropped
    /// after its first row has answered before it is done.
    pub(super) async fn rows<T>(&mut self, statement: Statement, read: Read<T>) -> Result<Vec<T>, DbError> {
        match self {
            Self::Sqlite(connection) => sqlite_rows(connection, &statement, read),
            Self::Postgres(connection, session) => {
                let rows = statement.on_postgres(*session).fetch_all(&mut **connection).await?;
                rows.iter().map(|row| read(&Row::Postgres(row))).collect()
            }
        }
    }

    /// Runs a statement and reads its rows as far as a page has room for them.
    pub(super) async fn page_rows<T>(
        &mut self,
        statement: Statement,
        read: Read<T>,
        size: fn(&T) -> usize,
    ) -> Result<PageRows<T>, DbError> {
        let mut page = PageRows::new(size);
        match self {
            Self::Sqlite(connection) => {
                let mut prepared = statement.on_sqlite(connection)?;
                let mut rows = prepared.raw_query();
                while !page.is_full()
                    && let Some(row) = rows.next()?
                {
                    page.push(read(&Row::Sqlite(row))?);
                }
            }
            Self::Postgres(connection, session) => {
                let mut rows = statement.on_postgres(*session).fetch(&mut **connection);
                // To the end: an answer that is dropped half-way would be the next statement's to read.
                while let Some(row) = rows.try_next().await? {
                    if !page.is_full() {
                        page.push(read(&Row::Postgres(&row))?);
                    }
                }
            }
        }
        Ok(page)
    }

    /// Runs a statement that has at most one row.
    pub(super) async fn row<T>(&mut self, statement: Statement, read: Read<T>) -> Result<Option<T>, DbError> {
        Ok(self.rows(statement, read).await?.pop())
    }

    /// Runs a statement that always has a row.
    pub(super) async fn one<T>(&mut self, statement: Statement, read: Read<T>) -> Result<T, DbError> {
        self.row(statement, read).await?.ok_or_else(|| DbError::Internal("no row came back".to_owned()))
    }

    /// Runs a statement and says how many rows it changed.
    pub(super) async fn execute(&mut self, statement: Statement) -> Result<u64, DbError> {
        match self {
            Self::Sqlite(connection) => {
                let changed = statement.on_sqlite(connection)?.raw_execute()?;
                Ok(u64::try_from(changed).unwrap_or_default())
            }
            Self::Postgres(connection, session) => {
                Ok(statement.on_postgres(*session).execute(&mut **connection).await?.rows_affected())
            }
        }
    }

    /// Runs several statements of our own without arguments; their answers are not read.
    pub(super) async fn script(&mut self, sql: String) -> Result<(), DbError> {
        match self {
            Self::Sqlite(connection) => Ok(connection.execute_batch(&sql)?),
            Self::Postgres(connection, _) => {
                connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await?;
                Ok(())
            }
        }
    }
}

fn sqlite_rows<T>(
    connection: &rusqlite::Connection,
    statement: &Statement,
    read: Read<T>,
) -> Result<Vec<T>, DbError> {
    let mut prepared = statement.on_sqlite(connection)?;
    let (mut rows, mut all) = (prepared.raw_query(), Vec::new());
    while let Some(row) = rows.next()? {
        all.push(read(&Row::Sqlite(row))?);
    }
    Ok(all)
}

/// Runs an operation to its end on SQLite's thread.
pub(super) fn run_on_sqlite<T, F>(
    connection: &mut rusqlite::Connection,
    operation: F,
) -> Result<T, SqliteError>
where
    F: for<'a> FnOnce(Tx<'a>) -> TxAnswer<'a, T>,
{
    let answer = operation(Tx::Sqlite(connection)).now_or_never();
    answer
        .unwrap_or_else(|| Err(DbError::Internal("an operation waited".to_owned())))
        .map_err(SqliteError::from)
}
