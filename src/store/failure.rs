//! What a driver's error means to a caller, to a metric and to a span.

use sqlx::Error;

use super::StoreError;

/// Reason for clients and `/ready` where a deadline has passed.
pub(super) const TOO_SLOW: &str = "the database did not answer in time";
const AWAY: &str = "the database cannot be reached";
const NO_CONNECTION: &str = "no connection to the database could be had in time";
const NOT_WRITABLE: &str = "the database cannot be written to";

/// One failed operation.
pub(super) struct Failure {
    /// The label `outcome`.
    pub(super) outcome: &'static str,
    /// `error.type`, unless it is a conflict: then the answer is the client's business, no error.
    pub(super) error_type: Option<String>,
    /// What the caller gets.
    pub(super) error: StoreError,
}

impl Failure {
    /// Reads a driver's error. `conflict` names what must be unique; where it is `None` a unique
    /// violation is a defect.
    pub(super) fn of(error: &Error, conflict: Option<&'static str>) -> Self {
        if let (Error::Database(e), Some(text)) = (error, conflict)
            && e.is_unique_violation()
        {
            return Self { outcome: "conflict", error_type: None, error: StoreError::Conflict(text) };
        }
        let code = error.as_database_error().and_then(|e| e.code());
        let kind = code.as_deref().unwrap_or(match error {
            Error::PoolTimedOut => "timeout",
            Error::Io(_) | Error::Tls(_) => "connection",
            _ => "_OTHER",
        });
        let (outcome, error_type) = match reason(error, code.as_deref()) {
            Some(TOO_SLOW | NO_CONNECTION) => ("timeout", kind),
            _ => ("error", kind),
        };
        let error = match reason(error, code.as_deref()) {
            Some(text) => StoreError::Unavailable(text.to_owned()),
            None => StoreError::Internal(error.to_string()),
        };
        Self { outcome, error_type: Some(error_type.to_owned()), error }
    }

    /// The failure of an operation whose deadline has passed.
    pub(super) fn too_slow() -> Self {
        let error = StoreError::Unavailable(TOO_SLOW.to_owned());
        Self { outcome: "timeout", error_type: Some("timeout".to_owned()), error }
    }
}

/// Why the database cannot serve right now; `None` where trying again will not help.
pub(super) fn reason(error: &Error, code: Option<&str>) -> Option<&'static str> {
    match error {
        Error::Database(_) => code.and_then(reason_of_code),
        Error::PoolTimedOut => Some(NO_CONNECTION),
        Error::PoolClosed => Some("the store is closed"),
        Error::Io(_) | Error::Tls(_) | Error::Protocol(_) | Error::Configuration(_) => Some(AWAY),
        Error::WorkerCrashed => Some(AWAY),
        _ => None,
    }
}

/// An SQLSTATE always has five characters and an extended result code of SQLite at most four, so
/// the code alone tells them apart.
fn reason_of_code(code: &str) -> Option<&'static str> {
    if code.len() != 5 {
        // The low byte is the primary result code: https://www.sqlite.org/rescode.html
        return match code.parse::<u32>().ok()? & 0xff {
            5 | 6 => Some(TOO_SLOW),      // BUSY, LOCKED
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
