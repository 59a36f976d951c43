//! Connections to the queue's file that outlive the file: a deleted, replaced or damaged one is
//! opened anew by the next call.

use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection};
use tokio::sync::{MappedMutexGuard, Mutex, MutexGuard};

use crate::queue::QueueError;

/// Longest time one call may take, opening the file included.
const CALL_TIMEOUT: Duration = Duration::from_secs(3);
/// Longest wait for another process's write; shorter, so that the reason is known.
const BUSY_TIMEOUT: Duration = Duration::from_millis(2500);
/// Pages the write-ahead log takes before it is written back. That waits for the disk, and so does
/// whoever has to do it: some ten milliseconds for so many, a tenth of a second for some thousands.
const LOG_PAGES: &str = "500";
/// The same in bytes: what stays of a log that a backlog made larger.
const LOG_BYTES: &str = "2048000";

/// A place for one connection, opened when it is first needed.
pub(super) struct File {
    path: PathBuf,
    connection: Mutex<Option<Open>>,
}

/// An open connection.
pub(super) struct Open {
    pub(super) db: SqliteConnection,
    identity: Option<(u64, u64)>,
    broken: bool,
}

impl File {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, connection: Mutex::new(None) }
    }

    /// The connection, for as long as the guard lives; waits while another task has it.
    pub(super) async fn open(&self) -> Result<MappedMutexGuard<'_, Open>, QueueError> {
        let mut slot = self.connection.lock().await;
        if !slot.as_ref().is_some_and(|open| self.is_current(open)) {
            *slot = None;
            *slot = Some(connect(&self.path).await?);
        }
        MutexGuard::try_map(slot, Option::as_mut).map_err(|_| unavailable("is not open"))
    }

    /// Whether a connection is still one to the file. SQLite would go on with a file that was
    /// deleted under it, alone and unnoticed.
    pub(super) fn is_current(&self, open: &Open) -> bool {
        !open.broken && open.identity.is_some() && open.identity == identity(&self.path)
    }

    pub(super) async fn close(&self) {
        if let Some(open) = self.connection.lock().await.take() {
            let _ = tokio::time::timeout(CALL_TIMEOUT, open.db.close()).await;
        }
    }
}

impl Open {
    /// Turns an error of SQLite into a reason, and gives the connection up if it is of no more use.
    pub(super) fn check<T>(&mut self, result: sqlx::Result<T>) -> Result<T, QueueError> {
        result.map_err(|error| {
            self.broken = !is_busy(&error) && code(&error) != Some(SQLITE_FULL);
            reason(&error)
        })
    }
}

/// Bounds a call.
pub(super) async fn within<T>(call: impl Future<Output = Result<T, QueueError>>) -> Result<T, QueueError> {
    match tokio::time::timeout(CALL_TIMEOUT, call).await {
        Ok(result) => result,
        Err(_) => Err(unavailable("did not answer in time")),
    }
}

/// A `stat` takes about a microsecond, less than to ask another thread for it.
fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()))
}

/// Processes that start together may collide while one of them creates the file, and SQLite reports
/// that without waiting: so the wait is ours.
async fn connect(path: &Path) -> Result<Open, QueueError> {
    let started = Instant::now();
    loop {
        match try_connect(path).await {
            Ok(db) => return Ok(Open { db, identity: identity(path), broken: false }),
            Err(error) if is_busy(&error) && started.elapsed() < BUSY_TIMEOUT => {
                tokio::time::sleep(Duration::from_millis(fastrand::u64(5..30))).await;
            }
            Err(error) => return Err(reason(&error)),
        }
    }
}

async fn try_connect(path: &Path) -> sqlx::Result<SqliteConnection> {
    if let Some(folder) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .busy_timeout(BUSY_TIMEOUT)
        .journal_mode(SqliteJournalMode::Wal)
        // Survives the death of any process; a power cut may cost the last commits.
        .synchronous(SqliteSynchronous::Normal)
        .pragma("journal_size_limit", LOG_BYTES)
        .pragma("wal_autocheckpoint", LOG_PAGES)
        .disable_statement_logging();
    let mut db = options.connect().await?;
    prepare(&mut db).await?;
    Ok(db)
}

/// Creates the tables, once, whichever process comes first.
async fn prepare(db: &mut SqliteConnection) -> sqlx::Result<()> {
    if version(db).await? != 0 {
        return Ok(());
    }
    let mut transaction = db.begin_with("BEGIN IMMEDIATE").await?;
    if version(&mut transaction).await? == 0 {
        sqlx::raw_sql(include_str!("schema.sql")).execute(&mut *transaction).await?;
    }
    transaction.commit().await
}

async fn version(db: &mut SqliteConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar("PRAGMA user_version").fetch_one(db).await
}

// Primary result codes, https://www.sqlite.org/rescode.html
const SQLITE_BUSY: i64 = 5;
const SQLITE_LOCKED: i64 = 6;
const SQLITE_READONLY: i64 = 8;
const SQLITE_IOERR: i64 = 10;
const SQLITE_CORRUPT: i64 = 11;
const SQLITE_FULL: i64 = 13;
const SQLITE_CANTOPEN: i64 = 14;
const SQLITE_NOTADB: i64 = 26;

fn code(error: &sqlx::Error) -> Option<i64> {
    let extended: i64 = error.as_database_error()?.code()?.parse().ok()?;
    Some(extended & 0xff)
}

fn is_busy(error: &sqlx::Error) -> bool {
    matches!(code(error), Some(SQLITE_BUSY | SQLITE_LOCKED))
}

fn reason(error: &sqlx::Error) -> QueueError {
    unavailable(match code(error) {
        _ if is_busy(error) => "is locked by another process",
        Some(SQLITE_CORRUPT | SQLITE_NOTADB) => "is damaged or not a queue",
        Some(SQLITE_FULL) => "cannot grow because the disk is full",
        Some(SQLITE_READONLY) => "is read-only",
        Some(SQLITE_CANTOPEN | SQLITE_IOERR) => "cannot be opened, read or written",
        None if matches!(error, sqlx::Error::Io(_)) => "cannot be opened, read or written",
        _ => {
            tracing::debug!(%error, "The queue's file failed");
            "failed"
        }
    })
}

pub(super) fn unavailable(what: &str) -> QueueError {
    QueueError::Unavailable(format!("the queue's file {what}"))
}
