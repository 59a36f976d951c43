//! Readers of telemetry backends, read only: traces, metrics, log lines and alerts as a backend holds
//! them, each signal in types of its own, all through one HTTP helper with a deadline and a size limit.
//!
//! Whatever judges a backend reads it here: the commands, the console's scrape, and the tests.

pub mod alert;
pub mod count;
pub mod log;
pub mod metric;
mod span;
pub mod trace;

use std::time::Duration;

use actix_web::http::StatusCode;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::config::without_login;
use crate::runtime::oneshot::{OneShot, OneShotError};

/// Longest time for one query.
const QUERY_WITHIN: Duration = Duration::from_secs(10);
/// The largest answer to a query, in bytes.
const LARGEST_ANSWER: usize = 64 << 20;

/// Why a backend could not be read.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// It did not answer, or not in time.
    #[error("{url}: {why}")]
    Unanswered {
        /// What was asked.
        url: String,
        /// Why there is no answer.
        why: OneShotError,
    },
    /// It refused the query.
    #[error("{url} answered {status}")]
    Refused {
        /// What was asked.
        url: String,
        /// The status code.
        status: u16,
    },
    /// The answer is not what its query API promises.
    #[error("{url} answered something that is not {expected}")]
    Unreadable {
        /// What was asked.
        url: String,
        /// What was expected instead, in words.
        expected: &'static str,
    },
}

/// A backend's query API at one base URL, such as `http://127.0.0.1:3005`.
struct QueryApi {
    base: String,
    /// The same as it may be shown.
    shown: String,
    http: OneShot,
}

impl QueryApi {
    fn new(base: &str) -> Self {
        let base = base.trim_end_matches('/').to_owned();
        let shown = without_login(&base);
        Self { base, shown, http: OneShot::new(QUERY_WITHIN, LARGEST_ANSWER) }
    }

    /// The JSON at a path, query included; `None` where the backend knows no such thing (404).
    async fn find(&self, path: &str) -> Result<Option<Value>, BackendError> {
        let url = format!("{}{path}", self.shown);
        match self.http.get(&format!("{}{path}", self.base)).await {
            Ok(answer) if answer.status == StatusCode::NOT_FOUND => Ok(None),
            Ok(answer) if !answer.is_success() => {
                Err(BackendError::Refused { url, status: answer.status.as_u16() })
            }
            Ok(answer) => match answer.json() {
                Some(json) => Ok(Some(json)),
                None => Err(BackendError::Unreadable { url, expected: "JSON" }),
            },
            Err(why) => Err(BackendError::Unanswered { url, why }),
        }
    }

    /// The JSON at a path that has to be there.
    async fn get(&self, path: &str) -> Result<Value, BackendError> {
        let found = self.find(path).await?;
        found.ok_or_else(|| BackendError::Refused { url: format!("{}{path}", self.shown), status: 404 })
    }

    /// The JSON values at a path that has one a line; lines that are none are passed over.
    async fn json_lines(&self, path: &str) -> Result<Vec<Value>, BackendError> {
        let url = format!("{}{path}", self.shown);
        match self.http.get(&format!("{}{path}", self.base)).await {
            Ok(answer) if answer.is_success() => {
                let lines = answer.body.split(|byte| *byte == b'\n');
                Ok(lines.filter_map(|line| serde_json::from_slice(line).ok()).collect())
            }
            Ok(answer) => Err(BackendError::Refused { url, status: answer.status.as_u16() }),
            Err(why) => Err(BackendError::Unanswered { url, why }),
        }
    }

    /// The list that [`QueryApi::get`] finds at a JSON pointer.
    async fn list(
        &self,
        path: &str,
        pointer: &str,
        expected: &'static str,
    ) -> Result<Vec<Value>, BackendError> {
        let mut json = self.get(path).await?;
        match json.pointer_mut(pointer).map(Value::take) {
            Some(Value::Array(list)) => Ok(list),
            _ => Err(BackendError::Unreadable { url: format!("{}{path}", self.shown), expected }),
        }
    }
}

/// A value as a query string takes it.
fn encoded(value: &str) -> String {
    utf8_percent_encode(value, NON_ALPHANUMERIC).to_string()
}

/// The texts of a JSON object, such as labels.
fn texts(object: &Value) -> std::collections::BTreeMap<String, String> {
    let pairs = object.as_object().into_iter().flatten();
    pairs.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

#[cfg(test)]
mod tests;
