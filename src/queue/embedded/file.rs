//! The queue's file: how it is opened, how long a call may take, what its errors mean.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior, ffi};

use crate::queue::QueueError;
use crate::sqlite::{FileOptions, SqliteError, SqliteFile};

/// Longest time one call may take, opening the file included.
const CALL_TIMEOUT: Duration = Duration::from_secs(3);
/// Longest wait for another process's write; shorter, so that the reason is known.
const BUSY_TIMEOUT: Duration = Duration::from_millis(2500);

/// Opens nothing yet: the first call does.
pub(super) fn file(path: PathBuf) -> SqliteFile {
    SqliteFile::new(FileOptions {
        path,
        busy_timeout: BUSY_TIMEOUT,
        run_timeout: CALL_TIMEOUT,
        prepare: Arc::new(|connection| Ok(prepare(connection)?)),
    })
}

/// Bounds a call and turns SQLite's error into a reason.
pub(super) async fn within<T>(call: impl Future<Output = Result<T, SqliteError>>) -> Result<T, QueueError> {
    match tokio::time::timeout(CALL_TIMEOUT, call).await {
        Ok(result) => result.map_err(|error| reason(&error)),
        Err(_) => Err(unavailable("did not answer in time")),
    }
}

/// Closes the file, unless that takes too long.
pub(super) async fn close(file: &SqliteFile) {
    let _ = tokio::time::timeout(CALL_TIMEOUT, file.close()).await;
}

/// Creates the tables, once, whichever process comes first.
fn prepare(connection: &mut Connection) -> rusqlite::Result<()> {
    if version(connection)? != 0 {
        return Ok(());
    }
    let transaction = Transaction::new(connection, TransactionBehavior::Immediate)?;
    if version(&transaction)? == 0 {
        transaction.execute_batch(include_str!("schema.sql"))?;
    }
    transaction.commit()
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

fn reason(error: &SqliteError) -> QueueError {
    unavailable(match error.code() {
        _ if error.is_busy() => "is locked by another process",
        Some(ffi::SQLITE_CORRUPT | ffi::SQLITE_NOTADB) => "is damaged or not a queue",
        Some(ffi::SQLITE_INTERRUPT) => "did not answer in time",
        Some(ffi::SQLITE_FULL) => "cannot grow because the disk is full",
        Some(ffi::SQLITE_READONLY) => "is read-only",
        Some(ffi::SQLITE_CANTOPEN | ffi::SQLITE_IOERR) => "cannot be opened, read or written",
        _ => {
            tracing::debug!(%error, "The queue's file failed");
            "failed"
        }
    })
}

fn unavailable(what: &str) -> QueueError {
    QueueError::Unavailable(format!("the queue's file {what}"))
}
