//! What waits for the thread of a file. A channel of the standard library spins and yields before it
//! sleeps, which costs more system calls than the work itself; here the thread parks at once.

use std::collections::VecDeque;
use std::io;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::SqliteError;

/// Operations that may wait. Each belongs to a request or a message in flight, which are bounded
/// themselves.
pub(super) const MAX_WAITING: usize = 4096;

/// What the thread is asked for.
pub(super) enum Job {
    /// Runs outside of any transaction.
    Read(Work),
    /// Runs in a transaction, perhaps with others.
    Write(Work),
}

/// One operation: given the connection, or why there is none.
pub(super) type Work = Box<dyn FnOnce(Result<&mut Connection, SqliteError>) -> Ran + Send>;

/// An operation that has run and whose caller has not been told yet.
pub(super) struct Ran {
    /// Why its changes are not to be kept.
    pub(super) failure: Option<SqliteError>,
    /// Tells the caller, with what became of the transaction.
    pub(super) tell: Box<dyn FnOnce(Result<(), SqliteError>) + Send>,
}

impl Ran {
    pub(super) fn of(
        failure: Option<SqliteError>,
        tell: impl FnOnce(Result<(), SqliteError>) + Send + 'static,
    ) -> Self {
        Self { failure, tell: Box::new(tell) }
    }
}

/// Where jobs wait, and who takes them.
#[derive(Default)]
pub(super) struct Mailbox {
    state: Mutex<MailboxState>,
}

#[derive(Default)]
struct MailboxState {
    jobs: VecDeque<Job>,
    /// `None` while there is no thread.
    thread: Option<Thread>,
    /// The thread ends when it has taken everything.
    ended: bool,
    /// Dropped when the thread has closed its connection.
    closing: Vec<oneshot::Sender<()>>,
}

impl Mailbox {
    /// Leaves a job for the thread, which `start` makes where there is none.
    pub(super) fn put(
        self: &Arc<Self>,
        job: Job,
        start: impl FnOnce(Arc<Self>) -> io::Result<Thread>,
    ) -> Result<(), SqliteError> {
        let thread = {
            let mut state = self.lock();
            if state.jobs.len() >= MAX_WAITING {
                return Err(SqliteError::crowded());
            }
            let thread = match &state.thread {
                Some(thread) => thread.clone(),
                None => start(self.clone()).map_err(|error| SqliteError::io(&error))?,
            };
            state.thread = Some(thread.clone());
            state.jobs.push_back(job);
            thread
        };
        // Costs a system call only where the thread sleeps.
        thread.unpark();
        Ok(())
    }

    /// Moves up to `most` jobs to `into`, for the thread. Waits for the first one, at most so long as
    /// `patience` says; `None` is as long as it takes. `Break` when the thread is to end: to be
    /// dropped when it has closed its connection.
    pub(super) fn take(
        &self,
        into: &mut Vec<Job>,
        most: usize,
        patience: Option<Duration>,
    ) -> ControlFlow<Vec<oneshot::Sender<()>>> {
        let deadline = patience.map(|patience| Instant::now() + patience);
        loop {
            {
                let mut state = self.lock();
                let count = state.jobs.len().min(most);
                into.extend(state.jobs.drain(..count));
                if count > 0 {
                    return ControlFlow::Continue(());
                }
                if state.ended && deadline.is_none() {
                    // From here on a job finds no thread and starts one.
                    let MailboxState { closing, .. } = std::mem::take(&mut *state);
                    return ControlFlow::Break(closing);
                }
            }
            match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                None => std::thread::park(),
                Some(Duration::ZERO) => return ControlFlow::Continue(()),
                Some(left) => std::thread::park_timeout(left),
            }
        }
    }

    /// Lets the thread end when everything is done.
    pub(super) fn end(&self) {
        self.lock().ended = true;
        self.wake();
    }

    /// Lets the thread end; the receiver resolves when it has closed its connection.
    pub(super) fn close(&self) -> oneshot::Receiver<()> {
        let (done, closed) = oneshot::channel();
        {
            let mut state = self.lock();
            if state.thread.is_some() {
                state.closing.push(done);
                state.ended = true;
            }
        }
        self.wake();
        closed
    }

    /// The thread has panicked: those who wait are told by the drop of their jobs.
    pub(super) fn crashed(&self) {
        let state = std::mem::take(&mut *self.lock());
        drop(state);
    }

    fn wake(&self) {
        if let Some(thread) = &self.lock().thread {
            thread.unpark();
        }
    }

    fn lock(&self) -> MutexGuard<'_, MailboxState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
