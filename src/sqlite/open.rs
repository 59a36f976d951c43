//! Opening a file, and whether it is still the one that was opened.

use std::fs::Permissions;
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

use super::{FileOptions, SqliteError};

/// Prepared statements kept. Each service has fewer.
const STATEMENTS: usize = 32;

/// NORMAL with a write-ahead log survives the death of any process; only a power cut can cost the
/// last commits. The log is written back in small portions, because the one who commits then waits
/// for the disk: some ten milliseconds for so many pages, a tenth of a second for some thousands.
/// The size limit is the same in bytes: what stays of a log that a backlog made larger.
const PRAGMAS: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    PRAGMA foreign_keys = ON;
    PRAGMA wal_autocheckpoint = 500;
    PRAGMA journal_size_limit = 2048000;
";

/// Device and inode of a file: a `stat`, about a microsecond's work.
pub(super) fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()))
}

/// The bytes that an unprivileged process may still write on the disk of a folder or file.
///
/// # Errors
/// There is no such file, or its disk says nothing.
pub fn bytes_left(path: &Path) -> std::io::Result<u64> {
    let disk = nix::sys::statvfs::statvfs(path)?;
    #[allow(clippy::useless_conversion, reason = "32 bits on some systems")]
    let left = u64::from(disk.blocks_available()).saturating_mul(u64::from(disk.fragment_size()));
    Ok(left)
}

/// Processes that start together may collide while one of them makes the file, which SQLite reports
/// without waiting: so the wait is ours.
pub(super) fn open(options: &FileOptions) -> Result<Connection, SqliteError> {
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
    make_private(&options.path);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(&options.path, flags)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.busy_timeout(options.busy_timeout)?;
    connection.execute_batch(PRAGMAS)?;
    (options.prepare)(&mut connection)?;
    Ok(connection)
}

/// Takes from others what an earlier version left them of a file and its logs. Where the file is not ours
/// to change, it stays as its owner wants it.
fn make_private(path: &Path) {
    for ending in ["", "-wal", "-shm"] {
        let mut file = path.as_os_str().to_owned();
        file.push(ending);
        let open = std::fs::metadata(&file).is_ok_and(|meta| meta.mode() & 0o077 != 0);
        if open && let Err(error) = std::fs::set_permissions(&file, Permissions::from_mode(0o600)) {
            tracing::debug!(%error, "A file of the data folder stays readable by others");
        }
    }
}

/// Makes a file and its folder if missing, readable by this user alone: SQLite gives the logs beside a
/// file the file's own permissions, and takes an empty file for a new database. A file that exists
/// is left as it is: what is wrong with it may be put right meanwhile.
///
/// # Errors
/// Why one of them cannot be made.
pub fn make_file(path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}
