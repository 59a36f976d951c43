//! How long an operation may run: SQLite itself sets no bound to a statement.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::SqliteError;

/// Instructions of SQLite's machine between two readings of the clock: some ten microseconds.
const INSTRUCTIONS: i32 = 2000;

/// Interrupts what runs too long.
pub(super) struct RunLimit {
    opened: Instant,
    timeout: Duration,
    /// Milliseconds after `opened`; the largest number while nothing runs.
    until: Arc<AtomicU64>,
}

impl RunLimit {
    pub(super) fn of(connection: &Connection, timeout: Duration) -> Result<Self, SqliteError> {
        let (opened, until) = (Instant::now(), Arc::new(AtomicU64::new(u64::MAX)));
        let watched = until.clone();
        connection.progress_handler(
            INSTRUCTIONS,
            Some(move || milliseconds(opened.elapsed()) > watched.load(Ordering::Relaxed)),
        )?;
        Ok(Self { opened, timeout, until })
    }

    pub(super) fn begin(&self) {
        let until = milliseconds(self.opened.elapsed() + self.timeout);
        self.until.store(until, Ordering::Relaxed);
    }

    pub(super) fn end(&self) {
        self.until.store(u64::MAX, Ordering::Relaxed);
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
