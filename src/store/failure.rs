//! What a database's error means to a caller, to a metric and to a span.

use std::borrow::Cow;

use super::StoreError;
use crate::sqlite::SqliteError;

/// Reason for clients and `/ready` where a deadline has passed.
pub(super) const TOO_SLOW: &str = "the database did not answer in time";
const AWAY: &str = "the database cannot be reached";
const NO_CONNECTION: &str = "no connection to the database could be had in time";
const NOT_WRITABLE: &str = "the database cannot be written to";
const UNUSABLE: &str = "the database's schema is not one this version can use";

/// What an operation can fail with, in the words of the one that knows: for logs.
#[derive(Debug, thiserror::Error)]
pub(super) enum DbError {
    #[error(transparent)]
    Sqlite(SqliteError),
    #[error(transparent)]
    Postgres(#[from] sqlx::Error),
    /// Every connection was in use until the deadline, or none could be made.
    #[error("timed out while waiting for a connection")]
    NoConnection,
    /// The store has been closed.
    #[error("the store is closed")]
    Closed,
    /// The tables are another version's.
    #[error("{0}")]
    Unusable(String),
    /// A defect of ours or of the data.
    #[error("{0}")]
    Internal(String),
}

impl DbError {
    /// A column that holds what only we write and yet cannot be read.
    pub(super) fn unreadable(column: &str, error: impl std::fmt::Display) -> Self {
        Self::Internal(format!("column {column} cannot be read: {error}"))
    }

    /// The database's own code: SQLite's extended result code or an SQLSTATE.
    pub(super) fn code(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Sqlite(error) => error.extended_code().map(|code| code.to_string().into()),
            Self::Postgres(error) => error.as_database_error()?.code(),
            _ => None,
        }
    }

    fn is_unique_violation(&self) -> bool {
        match self {
            Self::Sqlite(error) => error.is_unique_violation(),
            Self::Postgres(error) => error.as_database_error().is_some_and(|e| e.is_unique_violation()),
            _ => false,
        }
    }

    /// Why the database cannot serve right now; `None` where trying again will not help.
    pub(super) fn reason(&self) -> Option<&'static str> {
        use sqlx::Error as Pg;
        match self {
            Self::Sqlite(error) if error.is_unusable() => Some(UNUSABLE),
            Self::Postgres(Pg::Io(_) | Pg::Tls(_) | Pg::Protocol(_) | Pg::Configuration(_)) => Some(AWAY),
            Self::Postgres(Pg::WorkerCrashed) => Some(AWAY),
            Self::Sqlite(_) | Self::Postgres(_) => reason_of_code(&self.code()?),
            Self::NoConnection => Some(NO_CONNECTION),
            Self::Closed => Some("the store is closed"),
            Self::Unusable(_) => Some(UNUSABLE),
            Self::Internal(_) => None,
        }
    }

    /// Whether PostgreSQL refused a statement, or ended one that took too long, and said so: then the
    /// connection is in order.
    pub(super) fn leaves_connection(&self) -> bool {
        let Self::Postgres(sqlx::Error::Database(error)) = self else { return false };
        self.reason().is_none() || matches!(error.code().as_deref(), Some("57014" | "55P03"))
    }

    /// Whether the server is away, and every connection to it is lost.
    pub(super) fn is_away(&self) -> bool {
        self.reason() == Some(AWAY)
    }
}

impl From<SqliteError> for DbError {
    fn from(error: SqliteError) -> Self {
        Self::Sqlite(error)
    }
}

impl From<rusqlite::Error> for DbError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error.into())
    }
}

/// On the way out of SQLite's thread.
impl From<DbError> for SqliteError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Sqlite(error) => error,
            DbError::Unusable(text) => Self::unusable(text),
            other => Self::other(other.to_string()),
        }
    }
}

/// One failed operation.
pub(super) struct Failure {
    /// The label `outcome`.
    pub(super) outcome: Outcome,
    /// `error.type`, unless it is a conflict: then the answer is the client's business, no error.
    pub(super) error_type: Option<String>,
    /// What the caller gets.
    pub(super) error: StoreError,
}

/// How an operation ended: the values of the label `outcome`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Outcome {
    Ok,
    Conflict,
    Timeout,
    Error,
}

impl Outcome {
    pub(super) const COUNT: usize = 4;

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Conflict => "conflict",
            Self::Timeout => "timeout",
            Self::Error => "error",
        }
    }
}

impl Failure {
    /// Reads a database's error. `conflict` names what must be unique; where it is `None` a unique
    /// violation is a defect.
    pub(super) fn of(error: &DbError, conflict: Option<&'static str>) -> Self {
        if let Some(text) = conflict.filter(|_| error.is_unique_violation()) {
            return Self { outcome: Outcome::Conflict, error_type: None, error: StoreError::Conflict(text) };
        }
        let code = error.code();
        let kind = code.as_deref().unwrap_or(match error {
            DbError::NoConnection => "timeout",
            DbError::Postgres(sqlx::Error::Io(_) | sqlx::Error::Tls(_)) => "connection",
            _ => "_OTHER",
        });
        let reason = error.reason();
        let late = matches!(reason, Some(TOO_SLOW | NO_CONNECTION));
        let outcome = if late { Outcome::Timeout } else { Outcome::Error };
        let told = match reason {
            Some(text) => StoreError::Unavailable(text.to_owned()),
            None => StoreError::Internal(error.to_string()),
        };
        Self { outcome, error_type: Some(kind.to_owned()), error: told }
    }

    /// The failure of an operation whose deadline has passed.
    pub(super) fn too_slow() -> Self {
        let error = StoreError::Unavailable(TOO_SLOW.to_owned());
        Self { outcome: Outcome::Timeout, error_type: Some("timeout".to_owned()), error }
    }
}

/// An SQLSTATE always has five characters and an extended result code of SQLite at most four, so
/// the code alone tells them apart.
fn reason_of_code(code: &str) -> Option<&'static str> {
    if code.len() != 5 {
        // The low byte is the primary result code: https://www.sqlite.org/rescode.html
        return match code.parse::<u32>().ok()? & 0xff {
            5 | 6 | 9 => Some(TOO_SLOW),  // BUSY, LOCKED, INTERRUPT
            8 | 13 => Some(NOT_WRITABLE), // READONLY, FULL
            10 | 14 => Some(AWAY),        // IOERR, CANTOPEN
            _ => None,
        };
    }
    // https://www.postgresql.org/docs/current/errcodes-appendix.html
    match (code.get(..2).unwrap_or_default(), code) {
        // query_canceled (statement_timeout), lock_not_available, the session's time limits
        (_, "57014" | "55P03" | "25P03" | "57P05") => Some(TOO_SLOW),
        (_, "25006" | "53100") => Some(NOT_WRITABLE),
        // connection, authorization, no such database, resources, shutdown, serialization
        ("08" | "28" | "3D" | "53" | "57" | "40", _) => Some(AWAY),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_both_databases_are_told_apart() {
        for (code, expected) in [
            ("5", Some(TOO_SLOW)),
            ("517", Some(TOO_SLOW)),
            ("9", Some(TOO_SLOW)),
            ("14", Some(AWAY)),
            ("8", Some(NOT_WRITABLE)),
            ("2067", None),
            ("57014", Some(TOO_SLOW)),
            ("57P01", Some(AWAY)),
            ("53300", Some(AWAY)),
            ("53100", Some(NOT_WRITABLE)),
            ("42P01", None),
            ("", None),
            ("é1", None),
        ] {
            assert_eq!(reason_of_code(code), expected, "{code}");
        }
    }
}
