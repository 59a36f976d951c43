//! Errors that each of those who shared a commit can be told.

use rusqlite::ffi;

/// What went wrong, by SQLite's own codes (<https://www.sqlite.org/rescode.html>) where it is
/// SQLite's. The text is for logs: it may name tables and files.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct SqliteError {
    kind: ErrorClass,
    message: String,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum ErrorClass {
    /// An extended result code.
    Code(i32),
    Unusable,
    Other,
}

impl SqliteError {
    fn new(kind: ErrorClass, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// A failure that is not SQLite's, such as a column that cannot be read.
    pub fn other(message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Other, message)
    }

    /// A file that is sound and yet holds what this program cannot use: for
    /// [`Prepare`](super::Prepare).
    pub fn unusable(message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Unusable, message)
    }

    /// More operations wait than may: as busy as a lock that is never free.
    pub(super) fn crowded() -> Self {
        Self::new(ErrorClass::Code(ffi::SQLITE_BUSY), "too many operations wait")
    }

    /// The log cannot be written back while another connection reads an old state: as busy as a lock.
    pub(super) fn log_too_large() -> Self {
        Self::new(ErrorClass::Code(ffi::SQLITE_BUSY), "the write-ahead log is too large, and in use")
    }

    /// A folder or file that cannot be made, a thread that cannot be started.
    pub(super) fn io(error: &std::io::Error) -> Self {
        Self::new(ErrorClass::Code(ffi::SQLITE_CANTOPEN), error.to_string())
    }

    /// The extended result code, where SQLite gave one.
    pub fn extended_code(&self) -> Option<i32> {
        match self.kind {
            ErrorClass::Code(code) => Some(code),
            _ => None,
        }
    }

    /// The primary result code: the low byte of the extended one.
    pub fn code(&self) -> Option<i32> {
        self.extended_code().map(|code| code & 0xff)
    }

    /// Whether another connection has the lock.
    pub fn is_busy(&self) -> bool {
        matches!(self.code(), Some(ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED))
    }

    /// Whether a unique index refused a row.
    pub fn is_unique_violation(&self) -> bool {
        matches!(
            self.extended_code(),
            Some(ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY)
        )
    }

    /// Whether the file holds what this program cannot use.
    pub fn is_unusable(&self) -> bool {
        self.kind == ErrorClass::Unusable
    }

    /// Whether a new connection may fare better: the file is damaged, away or not writable.
    pub(super) fn ruins_connection(&self) -> bool {
        matches!(
            self.code(),
            Some(
                ffi::SQLITE_CORRUPT
                    | ffi::SQLITE_NOTADB
                    | ffi::SQLITE_IOERR
                    | ffi::SQLITE_CANTOPEN
                    | ffi::SQLITE_READONLY
                    | ffi::SQLITE_PROTOCOL
                    | ffi::SQLITE_INTERNAL
                    | ffi::SQLITE_NOMEM
            )
        )
    }
}

impl From<rusqlite::Error> for SqliteError {
    fn from(error: rusqlite::Error) -> Self {
        let kind = match &error {
            rusqlite::Error::SqliteFailure(failure, _) => ErrorClass::Code(failure.extended_code),
            rusqlite::Error::SqlInputError { error, .. } => ErrorClass::Code(error.extended_code),
            _ => ErrorClass::Other,
        };
        Self { kind, message: error.to_string() }
    }
}
