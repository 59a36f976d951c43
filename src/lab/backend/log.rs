//! Log lines as a backend stored them, read through the console's API.

use serde_json::{Map, Value};

use super::{BackendError, QueryApi, encoded};

/// One log line: the JSON object that a service wrote.
#[derive(Clone, Debug, PartialEq)]
pub struct LogLine {
    /// Every field, as it was written.
    pub fields: Map<String, Value>,
}

impl LogLine {
    /// From a line of a service's output; `None` where it is no JSON object.
    pub fn parse(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok().map(|fields| Self { fields })
    }

    /// A field that is text, such as `level`, `message`, `service` or `traceId`; empty without one.
    pub fn text(&self, field: &str) -> &str {
        self.fields.get(field).and_then(Value::as_str).unwrap_or_default()
    }
}

/// A reader of log lines.
pub struct LogReader(QueryApi);

impl LogReader {
    /// The console at this base URL.
    pub fn console(base: &str) -> Self {
        Self(QueryApi::new(base))
    }

    /// The newest lines of one trace, `limit` at most, newest last.
    ///
    /// # Errors
    /// The backend cannot be read.
    pub async fn of_trace(&self, id: &str, limit: usize) -> Result<Vec<LogLine>, BackendError> {
        self.search(&format!("traceId={}&limit={limit}", encoded(id))).await
    }

    /// The newest lines of one service, `limit` at most, newest last.
    ///
    /// # Errors
    /// The backend cannot be read.
    pub async fn of_service(&self, service: &str, limit: usize) -> Result<Vec<LogLine>, BackendError> {
        self.search(&format!("service={}&limit={limit}", encoded(service))).await
    }

    async fn search(&self, query: &str) -> Result<Vec<LogLine>, BackendError> {
        let lines = self.0.list(&format!("/api/logs?{query}"), "/logs", "a list of log lines").await?;
        let line = |line| match line {
            Value::Object(fields) => Some(LogLine { fields }),
            _ => None,
        };
        Ok(lines.into_iter().filter_map(line).collect())
    }
}
