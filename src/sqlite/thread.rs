//! The thread of one file: takes what waits, reads first, then all writes in one transaction.

use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

use super::{FileOptions, Job, Ran, SqliteError, Work};

/// Most operations in one transaction: the last one waits for all of them.
const MOST_SHARED: usize = 128;
/// While another process writes, those that only read need not wait for it: the lock is asked for
/// in portions, and between two of them reads have their turn.
const LOCK_PORTION: Duration = Duration::from_millis(20);
/// Prepared statements kept. Each service has fewer.
const STATEMENTS: usize = 32;

/// Starts the thread; it ends when the last sender is dropped.
pub(super) fn start(options: FileOptions, capacity: usize) -> Result<SyncSender<Job>, SqliteError> {
    let (sender, jobs) = sync_channel(capacity);
    std::thread::Builder::new()
        .name("sqlite".to_owned())
        .spawn(move || Thread { options, open: None }.run(&jobs))
        .map_err(|error| SqliteError::io(&error))?;
    Ok(sender)
}

struct Thread {
    options: FileOptions,
    open: Option<Open>,
}

struct Open {
    connection: Connection,
    /// Device and inode of the file.
    identity: Option<(u64, u64)>,
}

impl Thread {
    fn run(mut self, jobs: &Receiver<Job>) {
        let mut writes = Vec::new();
        let mut since = Instant::now();
        loop {
            // With writes that wait for the lock: only what is there already.
            let next = if writes.is_empty() { jobs.recv().ok() } else { jobs.try_recv().ok() };
            if next.is_none() && writes.is_empty() {
                return;
            }
            if writes.is_empty() {
                since = Instant::now();
            }
            let mut closing = None;
            for job in next.into_iter().chain(jobs.try_iter()).take(MOST_SHARED) {
                match job {
                    Job::Read(work) => self.read(work),
                    Job::Write(work) => writes.push(work),
                    Job::Close(done) => closing = Some(done),
                }
            }
            let patience = self.options.busy_timeout.saturating_sub(since.elapsed());
            writes = self.write(writes, patience);
            if let Some(done) = closing {
                self.fail(std::mem::take(&mut writes), &SqliteError::lost("is closed"));
                self.open = None;
                let _ = done.send(());
                return;
            }
        }
    }

    fn read(&mut self, work: Work) {
        let ran = match self.connection() {
            Ok(connection) => run(work, Ok(connection)),
            Err(error) => run(work, Err(error)),
        };
        (ran.tell)(Ok(()));
    }

    /// Runs `writes` in one transaction. Returns them where another process has the lock and there
    /// is patience left.
    fn write(&mut self, writes: Vec<Work>, patience: Duration) -> Vec<Work> {
        if writes.is_empty() {
            return writes;
        }
        let begun = self.connection().and_then(|connection| {
            connection.busy_timeout(patience.min(LOCK_PORTION))?;
            Ok(connection.execute_batch("BEGIN IMMEDIATE")?)
        });
        match begun {
            Ok(()) => self.transaction(writes),
            Err(error) if error.is_busy() && patience > LOCK_PORTION => return writes,
            Err(error) => self.fail(writes, &error),
        }
        Vec::new()
    }
}

impl Thread {
    /// Runs operations in the transaction that has begun, commits, and tells the callers.
    fn transaction(&mut self, writes: Vec<Work>) {
        let Some(open) = self.open.as_ref() else { return };
        let connection = &open.connection;
        let alone = writes.len() == 1;
        let mut ran = Vec::with_capacity(writes.len());
        let mut writes = writes.into_iter();
        let mut outcome = Ok(());
        for work in writes.by_ref() {
            match in_savepoint(connection, work, alone) {
                Ok(one) => ran.push(one),
                Err((one, error)) => {
                    ran.push(one);
                    outcome = Err(error);
                    break;
                }
            }
        }
        if outcome.is_ok() {
            let any = ran.iter().any(|one| one.keep);
            outcome =
                connection.execute_batch(if any { "COMMIT" } else { "ROLLBACK" }).map_err(SqliteError::from);
        }
        if let Err(error) = &outcome {
            // Whatever state it is in: closing it undoes what was not committed.
            self.open = None;
            self.fail(writes.collect(), error);
        }
        for one in ran {
            (one.tell)(outcome.clone());
        }
    }

    fn fail(&mut self, works: Vec<Work>, error: &SqliteError) {
        for work in works {
            (run(work, Err(error.clone())).tell)(Ok(()));
        }
    }

    /// The connection to the file that is there now.
    fn connection(&mut self) -> Result<&Connection, SqliteError> {
        let identity = identity(&self.options.path);
        let current = self.open.as_ref().is_some_and(|open| identity.is_some() && open.identity == identity);
        if !current {
            self.open = None;
            let connection = open(&self.options)?;
            self.open = Some(Open { connection, identity: self::identity(&self.options.path) });
        }
        self.open.as_ref().map(|open| &open.connection).ok_or_else(|| SqliteError::lost("is not open"))
    }
}

/// Runs an operation so that it can be undone by itself. An error means that the whole transaction
/// is gone; the operation comes with it, to be told.
fn in_savepoint(connection: &Connection, work: Work, alone: bool) -> Result<Ran, (Ran, SqliteError)> {
    if !alone && let Err(error) = connection.execute_batch("SAVEPOINT operation") {
        let error = SqliteError::from(error);
        return Err((run(work, Err(error.clone())), error));
    }
    let ran = run(work, Ok(connection));
    // A full disk or a failed read may have ended the transaction by itself.
    if connection.is_autocommit() {
        return Err((ran, SqliteError::lost("the transaction was rolled back")));
    }
    let end = match (alone, ran.keep) {
        (true, _) => return Ok(ran),
        (false, true) => "RELEASE operation",
        (false, false) => "ROLLBACK TO operation; RELEASE operation",
    };
    match connection.execute_batch(end) {
        Ok(()) => Ok(ran),
        Err(error) => Err((ran, error.into())),
    }
}

/// A panic is one operation's failure and not the end of the thread: its caller hears that it did
/// not end.
fn run(work: Work, connection: Result<&Connection, SqliteError>) -> Ran {
    catch_unwind(AssertUnwindSafe(|| (work.0)(connection)))
        .unwrap_or_else(|_| Ran { keep: false, tell: Box::new(|_| {}) })
}

/// Device and inode, a microsecond's work.
fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()))
}

/// Processes that start together may collide while one of them makes the file, which SQLite reports
/// without waiting: so the wait is ours.
fn open(options: &FileOptions) -> Result<Connection, SqliteError> {
    let started = Instant::now();
    loop {
        match try_open(options) {
            Err(error) if error.is_busy() && started.elapsed() < options.busy_timeout => {
                std::thread::sleep(Duration::from_millis(fastrand::u64(5..30)));
            }
            opened => return opened,
        }
    }
}

fn try_open(options: &FileOptions) -> Result<Connection, SqliteError> {
    make_file(&options.path).map_err(|error| SqliteError::io(&error))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(&options.path, flags)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.busy_timeout(options.busy_timeout)?;
    connection.execute_batch(PRAGMAS)?;
    (options.prepare)(&mut connection)?;
    Ok(connection)
}

/// NORMAL with a write-ahead log survives the death of any process; only a power cut can cost the
/// last commits. The log is written back in small portions, because whoever commits then waits for
/// the disk: some ten milliseconds for so many pages, a tenth of a second for some thousands.
const PRAGMAS: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    PRAGMA foreign_keys = ON;
    PRAGMA temp_store = MEMORY;
    PRAGMA wal_autocheckpoint = 500;
    PRAGMA journal_size_limit = 2048000;
";

/// SQLite gives a new file, and the log beside it, the permissions of the empty one it finds.
fn make_file(path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}
