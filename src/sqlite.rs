//! SQLite files, each with a thread of its own: one hop for an operation, one commit for all that wait.
//!
//! SQLite's calls block, so they are made on a thread and never on one that serves requests. An
//! operation is a closure over the connection: all its statements run in one visit to the thread.
//! Writes that arrive while others are being committed share the next transaction, each in a
//! savepoint, so that one that fails takes nothing of its neighbours along (group commit; Gray and
//! Reuter, *Transaction Processing*, section 9.4.4). Success is told after the commit only.
//!
//! A file that is deleted, replaced (its logs with it) or damaged while it is open is opened again by
//! the next call: SQLite itself would go on with the deleted one, alone and unnoticed.

mod error;
mod limit;
mod log;
mod mailbox;
mod open;
mod thread;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::oneshot;

pub use error::SqliteError;
pub use open::{bytes_left, make_file};

use mailbox::{Job, Mailbox, Ran, Work};

/// Prepares a new connection, before anything else: tables, further pragmas. It runs outside of any
/// transaction, without [`FileOptions::run_timeout`].
pub type Prepare = Arc<dyn Fn(&mut Connection) -> Result<(), SqliteError> + Send + Sync>;

/// How a file is opened.
#[derive(Clone)]
pub struct FileOptions {
    /// Where it is; it and its folder are made if missing, readable by this user alone.
    pub path: PathBuf,
    /// The longest wait for another process's write.
    pub busy_timeout: Duration,
    /// The longest one operation may run: then its statement is interrupted, and the operation has
    /// failed with the code `SQLITE_INTERRUPT`.
    pub run_timeout: Duration,
    /// Runs on each new connection.
    pub prepare: Prepare,
}

/// One file. Clones share its thread, which ends with the last of them.
#[derive(Clone)]
pub struct SqliteFile {
    inner: Arc<SqliteInner>,
}

struct SqliteInner {
    options: FileOptions,
    mailbox: Arc<Mailbox>,
}

impl SqliteFile {
    /// Opens nothing yet: the first call does, and each call after the file was lost.
    pub fn new(options: FileOptions) -> Self {
        Self { inner: Arc::new(SqliteInner { options, mailbox: Arc::default() }) }
    }

    /// Runs an operation that only reads. Its statements may see different states of the file; where
    /// that matters, the operation begins a transaction itself.
    ///
    /// Await it with a time limit. An operation whose caller has gone away before its turn is not
    /// run; one that is under way is finished.
    ///
    /// # Errors
    /// The operation's own, and SQLite's.
    pub async fn read<T, F>(&self, operation: F) -> Result<T, SqliteError>
    where
        F: FnOnce(&mut Connection) -> Result<T, SqliteError> + Send + 'static,
        T: Send + 'static,
    {
        self.call(Job::Read, operation, |_| {}).await
    }

    /// Runs an operation in a transaction that holds the write lock from its beginning. `Ok` is
    /// answered after the commit; with `Err` nothing of the operation remains. It must not begin or
    /// end a transaction itself.
    ///
    /// Await it with a time limit, as [`SqliteFile::read`]; one that is under way may be committed
    /// although its caller has gone away.
    ///
    /// # Errors
    /// The operation's own, and SQLite's; also those of a neighbour whose failure ended the
    /// transaction, such as a full disk.
    pub async fn write<T, F>(&self, operation: F) -> Result<T, SqliteError>
    where
        F: FnOnce(&mut Connection) -> Result<T, SqliteError> + Send + 'static,
        T: Send + 'static,
    {
        self.write_and(operation, |_| {}).await
    }

    /// As [`SqliteFile::write`]; `committed` is called with what was committed, on the file's thread, also
    /// where the caller has gone away by then.
    pub async fn write_and<T, F, C>(&self, operation: F, committed: C) -> Result<T, SqliteError>
    where
        F: FnOnce(&mut Connection) -> Result<T, SqliteError> + Send + 'static,
        C: FnOnce(&T) + Send + 'static,
        T: Send + 'static,
    {
        self.call(Job::Write, operation, committed).await
    }

    /// The bytes that are left on the file's disk, asked on the file's thread: a disk that hangs holds up nobody else.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub async fn bytes_left(&self) -> Result<u64, SqliteError> {
        let path = self.inner.options.path.clone();
        self.read(move |_| bytes_left(&path).map_err(|error| SqliteError::io(&error))).await
    }

    /// Closes the file after what was asked for before; a later call opens it again.
    pub async fn close(&self) {
        let _ = self.inner.mailbox.close().await;
    }

    async fn call<T, F, C>(&self, kind: fn(Work) -> Job, operation: F, done: C) -> Result<T, SqliteError>
    where
        F: FnOnce(&mut Connection) -> Result<T, SqliteError> + Send + 'static,
        C: FnOnce(&T) + Send + 'static,
        T: Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job = kind(work(operation, answer, done));
        let start = |mailbox| thread::start(self.inner.options.clone(), mailbox);
        self.inner.mailbox.put(job, start)?;
        answered.await.unwrap_or_else(|_| Err(SqliteError::other("the operation did not end")))
    }
}

impl Drop for SqliteInner {
    fn drop(&mut self) {
        self.mailbox.end();
    }
}

fn work<T, F, C>(operation: F, answer: oneshot::Sender<Result<T, SqliteError>>, done: C) -> Work
where
    F: FnOnce(&mut Connection) -> Result<T, SqliteError> + Send + 'static,
    C: FnOnce(&T) + Send + 'static,
    T: Send + 'static,
{
    Box::new(move |connection| {
        if answer.is_closed() {
            return Ran::of(Some(SqliteError::other("the caller has gone away")), |_| {});
        }
        let result = connection.and_then(operation);
        Ran::of(result.as_ref().err().cloned(), move |committed| {
            let result = result.and_then(|value| committed.map(|()| value));
            if let Ok(value) = &result {
                done(value);
            }
            // An error here: the caller has gone away meanwhile.
            let _ = answer.send(result);
        })
    })
}

#[cfg(test)]
mod tests;
