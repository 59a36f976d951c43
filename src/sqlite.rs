//! SQLite files, each with a thread of its own: one hop for an operation, one commit for all that wait.
//!
//! SQLite's calls block, so they are made on a thread and never on one that serves requests. An
//! operation is a closure over the connection: all its statements run in one visit to the thread.
//! Writes that arrive while others are being committed share the next transaction, each in a
//! savepoint, so that one that fails takes nothing of its neighbours along (group commit; Gray and
//! Reuter, *Transaction Processing*, section 9.4.4). Nobody hears of success before the commit.
//!
//! A file that is deleted, replaced or damaged while it is open is opened again by the next call:
//! SQLite itself would go on with the deleted one, alone and unnoticed.

mod error;
mod thread;

use std::path::PathBuf;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::oneshot;

pub use error::SqliteError;

/// Operations that may wait for the thread. Each belongs to a request or a message in flight, which
/// are bounded themselves.
const MAX_WAITING: usize = 4096;

/// How a file is opened.
#[derive(Clone)]
pub struct FileOptions {
    /// Where it is; it and its folder are made if missing, readable by this user alone.
    pub path: PathBuf,
    /// The longest wait for another process's write.
    pub busy_timeout: Duration,
    /// Runs on each new connection, before anything else: tables, further pragmas.
    pub prepare: fn(&mut Connection) -> rusqlite::Result<()>,
}

/// One file. Clones share its thread, which ends with the last of them.
#[derive(Clone)]
pub struct SqliteFile {
    inner: Arc<Inner>,
}

struct Inner {
    options: FileOptions,
    /// `None` until the first call.
    jobs: Mutex<Option<SyncSender<Job>>>,
}

/// What the thread is asked for.
enum Job {
    /// Runs outside of any transaction.
    Read(Work),
    /// Runs in a transaction, perhaps with others.
    Write(Work),
    /// Ends the thread when what came before is done.
    Close(oneshot::Sender<()>),
}

/// One operation: given the connection, or why there is none.
struct Work(Box<Operation>);

type Operation = dyn FnOnce(Result<&Connection, SqliteError>) -> Ran + Send;

/// An operation that has run and whose caller has not been told yet.
struct Ran {
    /// Whether its changes are to be kept.
    keep: bool,
    /// Tells the caller, with what became of the transaction.
    tell: Box<dyn FnOnce(Result<(), SqliteError>) + Send>,
}

impl SqliteFile {
    /// Opens nothing yet: the first call does, and each call after the file was lost.
    pub fn new(options: FileOptions) -> Self {
        Self { inner: Arc::new(Inner { options, jobs: Mutex::new(None) }) }
    }

    /// Runs an operation that only reads. Statements of one operation may see different states of
    /// the file; where that matters, the operation begins a transaction itself.
    ///
    /// Await it with a time limit. An operation whose caller has gone away before its turn is not
    /// run; one that is under way is finished.
    ///
    /// # Errors
    /// The operation's own, and SQLite's.
    pub async fn read<T, E, F>(&self, operation: F) -> Result<T, E>
    where
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<SqliteError> + Send + 'static,
    {
        self.call(Job::Read, operation).await
    }

    /// Runs an operation in a transaction that holds the write lock from its beginning. `Ok` is
    /// answered after the commit; with `Err` nothing of the operation remains. It must not begin or
    /// end a transaction itself.
    ///
    /// Await it with a time limit, as [`SqliteFile::read`]; one that is under way may be committed
    /// although nobody waits any more.
    ///
    /// # Errors
    /// The operation's own, and SQLite's.
    pub async fn write<T, E, F>(&self, operation: F) -> Result<T, E>
    where
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<SqliteError> + Send + 'static,
    {
        self.call(Job::Write, operation).await
    }

    /// Closes the file after what was asked before; a later call opens it again.
    pub async fn close(&self) {
        let jobs = self.slot().take();
        let (done, closed) = oneshot::channel();
        if jobs.is_some_and(|jobs| jobs.try_send(Job::Close(done)).is_ok()) {
            let _ = closed.await;
        }
    }

    async fn call<T, E, F>(&self, kind: fn(Work) -> Job, operation: F) -> Result<T, E>
    where
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<SqliteError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel::<Result<T, E>>();
        self.send(kind(Work::new(operation, answer)))?;
        answered.await.unwrap_or_else(|_| Err(SqliteError::lost("the operation did not end").into()))
    }

    fn send(&self, job: Job) -> Result<(), SqliteError> {
        let mut slot = self.slot();
        let job = match slot.as_ref() {
            None => job,
            Some(jobs) => match jobs.try_send(job) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Full(_)) => return Err(SqliteError::lost("too many operations wait")),
                // The thread has ended with a panic: another one takes its place.
                Err(TrySendError::Disconnected(job)) => job,
            },
        };
        let jobs = thread::start(self.inner.options.clone(), MAX_WAITING)?;
        let sent = jobs.try_send(job).map_err(|_| SqliteError::lost("is closed"));
        *slot = Some(jobs);
        sent
    }

    fn slot(&self) -> MutexGuard<'_, Option<SyncSender<Job>>> {
        self.inner.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Work {
    fn new<T, E, F>(operation: F, answer: oneshot::Sender<Result<T, E>>) -> Self
    where
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<SqliteError> + Send + 'static,
    {
        Self(Box::new(move |connection| {
            // Nobody waits any more: then nothing is done.
            if answer.is_closed() {
                return Ran { keep: false, tell: Box::new(|_| {}) };
            }
            let result = connection.map_err(E::from).and_then(operation);
            Ran {
                keep: result.is_ok(),
                tell: Box::new(move |committed| {
                    let result = result.and_then(|value| committed.map(|()| value).map_err(E::from));
                    // The caller may have gone away meanwhile.
                    let _ = answer.send(result);
                }),
            }
        }))
    }
}

#[cfg(test)]
mod tests;
