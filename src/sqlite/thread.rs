//! The thread of one file: takes what waits, reads first, then all writes in one transaction.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::Thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::limit::RunLimit;
use super::log::LogBound;
use super::mailbox::{Job, MAX_WAITING, Mailbox, Ran, Work};
use super::open::{identity, open};
use super::{FileOptions, SqliteError};

/// Most operations in one transaction: the last one waits for all of them.
const MOST_SHARED: usize = 128;
/// Time between two attempts to get the write lock while another process has it. Reads have their
/// turn meanwhile.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(10);

/// Starts the thread.
pub(super) fn start(options: FileOptions, mailbox: Arc<Mailbox>) -> std::io::Result<Thread> {
    let run = move || {
        let _crash = Crash(mailbox.clone());
        // The worker, and with it the connection, is gone before this is.
        let closing = Worker::new(options).run(&mailbox);
        drop(closing);
    };
    Ok(std::thread::Builder::new().name("sqlite".to_owned()).spawn(run)?.thread().clone())
}

/// Tells of a thread that ends by a panic.
struct Crash(Arc<Mailbox>);

impl Drop for Crash {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.crashed();
        }
    }
}

struct Worker {
    options: FileOptions,
    open: Option<OpenFile>,
    log: LogBound,
    /// Writes and when they came.
    writes: VecDeque<(Instant, Work)>,
    /// Until the next attempt to begin a transaction for them.
    pause: Duration,
}

struct OpenFile {
    connection: Connection,
    /// Device and inode of the file.
    identity: Option<(u64, u64)>,
    limit: RunLimit,
}

impl Worker {
    fn new(options: FileOptions) -> Self {
        let log = LogBound::of(&options.path);
        Self { options, open: None, log, writes: VecDeque::new(), pause: Duration::ZERO }
    }

    /// Ends when the mailbox says so and every write is settled. The answer is to be dropped when the
    /// connection is closed.
    fn run(&mut self, mailbox: &Mailbox) -> Vec<oneshot::Sender<()>> {
        let mut jobs = Vec::new();
        loop {
            let patience = (!self.writes.is_empty()).then_some(self.pause);
            let room = MOST_SHARED.min(MAX_WAITING.saturating_sub(self.writes.len()));
            if let ControlFlow::Break(closing) = mailbox.take(&mut jobs, room, patience) {
                return closing;
            }
            for job in jobs.drain(..) {
                match job {
                    Job::Read(work) => self.read(work),
                    Job::Write(work) => self.writes.push_back((Instant::now(), work)),
                }
            }
            self.write();
        }
    }

    fn read(&mut self, work: Work) {
        let ran = match self.current() {
            Ok(open) => open.run(work),
            Err(error) => run(work, Err(error)),
        };
        self.give_up_if_ruined(ran.failure.as_ref());
        // A transaction that a read began and left open would swallow all that comes after it.
        if self.open.as_ref().is_some_and(|open| !open.connection.is_autocommit()) {
            self.open = None;
        }
        (ran.tell)(Ok(()));
    }

    /// Runs the writes that wait, or leaves them where another process has the lock and there is
    /// patience left.
    fn write(&mut self) {
        if self.writes.is_empty() {
            return;
        }
        match self.begin() {
            Ok(()) => {
                self.pause = Duration::ZERO;
                self.transaction();
            }
            Err(error) if error.is_busy() => {
                self.pause = (self.pause * 2).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
                let patience = self.options.busy_timeout;
                while self.writes.front().is_some_and(|(since, _)| since.elapsed() >= patience) {
                    self.fail(1, &error);
                }
            }
            Err(error) => {
                self.give_up_if_ruined(Some(&error));
                self.fail(self.writes.len(), &error);
            }
        }
    }

    fn begin(&mut self) -> Result<(), SqliteError> {
        let busy_timeout = self.options.busy_timeout;
        self.current()?;
        let Some(OpenFile { connection, .. }) = &self.open else { return Ok(()) };
        connection.busy_timeout(Duration::ZERO)?;
        let begun = self.log.keep(connection).and_then(|()| execute(connection, "BEGIN IMMEDIATE"));
        connection.busy_timeout(busy_timeout)?;
        begun
    }

    /// Runs operations in the transaction that has begun, commits, and tells the callers. An
    /// operation that ends the transaction for all leaves those behind it for the next one.
    fn transaction(&mut self) {
        let Some(open) = self.open.as_mut() else { return };
        let count = self.writes.len().min(MOST_SHARED);
        let mut ran = Vec::with_capacity(count);
        let mut outcome = Ok(());
        while ran.len() < count && outcome.is_ok() {
            let Some((_, work)) = self.writes.pop_front() else { break };
            let (one, intact) = open.run_apart(work, count == 1);
            ran.push(one);
            outcome = intact;
        }
        if outcome.is_ok() {
            let any = ran.iter().any(|one| one.failure.is_none());
            outcome = execute(&open.connection, if any { "COMMIT" } else { "ROLLBACK" });
        }
        match &outcome {
            // Whatever state it is in: closing it undoes what was not committed.
            Err(error) => {
                self.log.failed(error);
                self.open = None;
            }
            Ok(()) => ran.iter().for_each(|one| self.give_up_if_ruined(one.failure.as_ref())),
        }
        for one in ran {
            (one.tell)(outcome.clone());
        }
    }

    /// Fails the oldest writes.
    fn fail(&mut self, count: usize, error: &SqliteError) {
        for (_, work) in self.writes.drain(..count) {
            (run(work, Err(error.clone())).tell)(Ok(()));
        }
    }

    /// The connection to the file that is there now.
    fn current(&mut self) -> Result<&mut OpenFile, SqliteError> {
        let now = identity(&self.options.path);
        if self.open.as_ref().is_none_or(|open| now.is_none() || open.identity != now) {
            self.open = None;
            let connection = open(&self.options)?;
            let limit = RunLimit::of(&connection, self.options.run_timeout)?;
            let identity = identity(&self.options.path);
            self.open = Some(OpenFile { connection, identity, limit });
        }
        self.open.as_mut().ok_or_else(|| SqliteError::other("the file is not open"))
    }

    fn give_up_if_ruined(&mut self, failure: Option<&SqliteError>) {
        let Some(failure) = failure else { return };
        self.log.failed(failure);
        if failure.ruins_connection() {
            self.open = None;
        }
    }
}

impl OpenFile {
    fn run(&mut self, work: Work) -> Ran {
        self.limit.begin();
        let ran = run(work, Ok(&mut self.connection));
        self.limit.end();
        ran
    }

    /// Runs an operation so that it can be undone by itself, and says whether the transaction, and
    /// with it all that ran before, is still there.
    fn run_apart(&mut self, work: Work, alone: bool) -> (Ran, Result<(), SqliteError>) {
        if !alone && let Err(error) = execute(&self.connection, "SAVEPOINT operation") {
            return (run(work, Err(error.clone())), Err(error));
        }
        let ran = self.run(work);
        // A full disk, a failed read or an interrupted write ends the transaction by itself.
        if self.connection.is_autocommit() {
            let reason = ran.failure.clone();
            return (ran, Err(reason.unwrap_or_else(|| SqliteError::other("the transaction has ended"))));
        }
        let ended = match (alone, &ran.failure) {
            (true, _) => Ok(()),
            (false, None) => execute(&self.connection, "RELEASE operation"),
            (false, Some(_)) => execute(&self.connection, "ROLLBACK TO operation")
                .and_then(|()| execute(&self.connection, "RELEASE operation")),
        };
        (ran, ended)
    }
}

fn execute(connection: &Connection, sql: &str) -> Result<(), SqliteError> {
    connection.prepare_cached(sql)?.raw_execute()?;
    Ok(())
}

/// A panic is one operation's failure and not the end of the thread: its caller hears that it did
/// not end, because the answer is dropped.
fn run(work: Work, connection: Result<&mut Connection, SqliteError>) -> Ran {
    catch_unwind(AssertUnwindSafe(|| work(connection)))
        .unwrap_or_else(|_| Ran::of(Some(SqliteError::other("the operation panicked")), |_| {}))
}
