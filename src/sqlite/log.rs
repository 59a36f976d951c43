//! The bound of the write-ahead log.
//!
//! SQLite writes the log back after a commit and says nothing where that fails: the disk is full, or a reader
//! of another process holds on to an old state. The log then grows with each commit, and over whatever space
//! is freed. So a log that has grown large, or whose disk was full, has to be written back before
//! anything is added to it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ffi};

use super::SqliteError;

/// Larger than this in bytes, the log should be written back: four times what is left of it in peace.
const LARGE: u64 = 8 << 20;
/// Larger than this, nothing is added to it.
pub(super) const LARGEST: u64 = 32 << 20;
/// Time between two views of its size, in which it grows by some MB at most.
const INTERVAL: Duration = Duration::from_millis(50);

/// Keeps one file's log small.
pub(super) struct LogBound {
    log: PathBuf,
    seen: Option<Instant>,
    disk_failed: bool,
}

impl LogBound {
    /// Of the database at `path`.
    pub(super) fn of(path: &Path) -> Self {
        let mut log = OsString::from(path);
        log.push("-wal");
        Self { log: log.into(), seen: None, disk_failed: false }
    }

    /// Remembers a write that failed by the disk.
    pub(super) fn failed(&mut self, error: &SqliteError) {
        self.disk_failed |= matches!(error.code(), Some(ffi::SQLITE_FULL | ffi::SQLITE_IOERR));
    }

    /// To be called before a transaction, outside of any, with no patience for locks.
    ///
    /// # Errors
    /// Why the log cannot be written back and must not grow.
    pub(super) fn keep(&mut self, connection: &Connection) -> Result<(), SqliteError> {
        if !self.disk_failed && self.seen.is_some_and(|seen| seen.elapsed() < INTERVAL) {
            return Ok(());
        }
        // A refusal is no view: the next attempt sees for itself.
        self.seen = None;
        let size = std::fs::metadata(&self.log).map_or(0, |log| log.len());
        if self.disk_failed || size > LARGE {
            // After that the next commit begins the log anew, and cuts it to the size it has in peace.
            let busy: i64 = connection.query_row("PRAGMA wal_checkpoint(RESTART)", [], |row| row.get(0))?;
            self.disk_failed = false;
            if busy != 0 && size > LARGEST {
                return Err(SqliteError::log_too_large());
            }
        }
        self.seen = Some(Instant::now());
        Ok(())
    }
}
