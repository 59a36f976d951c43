//! Readers of telemetry backends, read only: traces, metrics, log lines and alerts as a backend holds
//! them, each signal in types of its own, all through one HTTP helper with a deadline and a size limit.
//!
//! Whatever judges a backend reads it here: the commands, the console's scrape, and the tests.

mod access;
pub mod alert;
pub mod count;
mod file;
mod item_file;
mod line;
pub mod log;
pub mod metric;
mod metric_file;
mod span;
pub mod station;
mod tempo;
pub mod trace;
pub mod window;

use std::time::Duration;

use actix_web::http::{Method, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

pub use access::BackendAccess;
pub use file::LineTally;

use crate::config::{basic_login, without_login};
use crate::runtime::oneshot::{OneShot, OneShotAnswer, OneShotError};

/// Longest time for one query.
const QUERY_WITHIN: Duration = Duration::from_secs(10);
/// The largest answer to a query, in bytes.
const LARGEST_ANSWER: usize = 64 << 20;

/// So much of a path and its query is shown in an error, in characters.
const LONGEST_SHOWN: usize = 160;

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
    /// It has no such question.
    #[error("this backend cannot be asked for that")]
    Unsupported,
    /// A file that stands for a backend cannot be read.
    #[error("{path}: {why}")]
    File {
        /// Which.
        path: String,
        /// Why not, in words.
        why: String,
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
    /// Without a login.
    base: String,
    /// Of the login in the URL.
    login: Option<String>,
    access: BackendAccess,
    http: OneShot,
}

impl QueryApi {
    fn new(base: &str) -> Self {
        let login = url::Url::parse(base).ok().and_then(|url| basic_login(&url));
        let http = OneShot::new(QUERY_WITHIN, LARGEST_ANSWER).keeping();
        Self { base: without_login(base), login, access: BackendAccess::default(), http }
    }

    /// The same, reached in this way.
    fn through(self, access: &BackendAccess) -> Self {
        let http = OneShot::over(QUERY_WITHIN, LARGEST_ANSWER, access.tls.clone()).keeping();
        Self { access: access.clone(), http, ..self }
    }

    async fn ask(&self, path: &str) -> Result<OneShotAnswer, OneShotError> {
        let login = self.login.iter().map(|login| ("authorization", login.as_str()));
        let named = self.access.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        // What stands in the URL is this backend's own, so it comes last and replaces the other.
        let headers: Vec<_> = named.chain(login).collect();
        self.http.send(Method::GET, &format!("{}{path}", self.base), &headers, None).await
    }

    /// What was asked, as an error says it: a question about many traces has thousands of characters.
    fn shown(&self, path: &str) -> String {
        let end = path.char_indices().nth(LONGEST_SHOWN).map_or(path.len(), |(end, _)| end);
        let rest = if end < path.len() { "…" } else { "" };
        format!("{}{}{rest}", self.base, &path[..end])
    }

    /// The JSON at a path, query included; `None` where the backend knows no such thing (404).
    async fn find(&self, path: &str) -> Result<Option<Value>, BackendError> {
        let (answer, url) = (self.ask(path).await, self.shown(path));
        match answer {
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
        found.ok_or_else(|| BackendError::Refused { url: self.shown(path), status: 404 })
    }

    /// The JSON values at a path that has one a line.
    async fn json_lines(&self, path: &str) -> Result<Vec<Value>, BackendError> {
        let (answer, url) = (self.ask(path).await, self.shown(path));
        match answer {
            Ok(answer) if answer.is_success() => {
                let lines =
                    answer.body.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
                let values: Result<_, _> = lines.map(serde_json::from_slice).collect();
                values.map_err(|_| BackendError::Unreadable { url, expected: "one JSON value a line" })
            }
            Ok(answer) => Err(BackendError::Refused { url, status: answer.status.as_u16() }),
            Err(why) => Err(BackendError::Unanswered { url, why }),
        }
    }

    /// How many items of a signal the console has let go of so far for want of room: it keeps so many.
    async fn let_go(&self, signal: &str, field: &str) -> Option<u64> {
        self.find("/api/overview").await.ok()??[signal][field].as_u64()
    }

    /// How many items of a signal the console has of each of these traces, in the order of the ids.
    async fn many_counts(&self, ids: &[&str], signal: &str) -> Result<Vec<usize>, BackendError> {
        const EXPECTED: &str = "a number for each trace";
        let path = format!("/api/many/counts?traceId={}", ids.join(","));
        let counts = self.list(&path, signal, EXPECTED).await?;
        let counts: Option<Vec<_>> =
            counts.iter().map(|count| usize::try_from(count.as_u64()?).ok()).collect();
        counts.filter(|counts| counts.len() == ids.len()).ok_or_else(|| self.unreadable(&path, EXPECTED))
    }

    fn unreadable(&self, path: &str, expected: &'static str) -> BackendError {
        BackendError::Unreadable { url: self.shown(path), expected }
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
            _ => Err(self.unreadable(path, expected)),
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
