//! Errors that everybody who shared a commit can be told.

/// What went wrong, by SQLite's own codes (<https://www.sqlite.org/rescode.html>). The text is for
/// logs: it may name tables and files.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct SqliteError {
    code: Option<i32>,
    message: String,
}

impl SqliteError {
    /// An operation that SQLite never answered.
    pub(super) fn lost(message: &str) -> Self {
        Self { code: None, message: message.to_owned() }
    }

    /// A folder or file that cannot be made.
    pub(super) fn io(error: &std::io::Error) -> Self {
        Self { code: Some(rusqlite::ffi::SQLITE_CANTOPEN), message: error.to_string() }
    }

    /// A column that holds what only this program writes and yet cannot be read.
    pub fn unreadable(column: &str, error: impl std::fmt::Display) -> Self {
        Self { code: None, message: format!("column {column} cannot be read: {error}") }
    }

    /// The extended result code, where SQLite gave one.
    pub fn extended_code(&self) -> Option<i32> {
        self.code
    }

    /// The primary result code: the low byte of the extended one.
    pub fn code(&self) -> Option<i32> {
        self.code.map(|code| code & 0xff)
    }

    /// Whether another connection has the lock.
    pub fn is_busy(&self) -> bool {
        matches!(self.code(), Some(rusqlite::ffi::SQLITE_BUSY | rusqlite::ffi::SQLITE_LOCKED))
    }

    /// Whether a unique index refused a row.
    pub fn is_unique_violation(&self) -> bool {
        use rusqlite::ffi::{SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_UNIQUE};
        matches!(self.code, Some(SQLITE_CONSTRAINT_UNIQUE | SQLITE_CONSTRAINT_PRIMARYKEY))
    }
}

impl From<rusqlite::Error> for SqliteError {
    fn from(error: rusqlite::Error) -> Self {
        let code = match &error {
            rusqlite::Error::SqliteFailure(failure, _) => Some(failure.extended_code),
            rusqlite::Error::SqlInputError { error, .. } => Some(error.extended_code),
            _ => None,
        };
        Self { code, message: error.to_string() }
    }
}
