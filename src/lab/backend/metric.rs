//! Metrics: series that a Prometheus answers a query with.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{BackendError, QueryApi, encoded, texts};

/// One series of a query's answer.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricSeries {
    /// All labels, `__name__` included where the query keeps it.
    pub labels: BTreeMap<String, String>,
    /// The value now; NaN and infinities are values of Prometheus too.
    pub value: f64,
}

/// A reader of metrics.
pub struct MetricReader(QueryApi);

impl MetricReader {
    /// A Prometheus at this base URL.
    pub fn prometheus(base: &str) -> Self {
        Self(QueryApi::new(base))
    }

    /// The series that a PromQL expression finds now; it has to be an instant vector.
    ///
    /// # Errors
    /// The backend cannot be read, or refuses the expression.
    pub async fn query(&self, expr: &str) -> Result<Vec<MetricSeries>, BackendError> {
        let path = format!("/api/v1/query?query={}", encoded(expr));
        let found = self.0.list(&path, "/data/result", "an instant vector").await?;
        Ok(found.iter().filter_map(series).collect())
    }
}

fn series(found: &Value) -> Option<MetricSeries> {
    // [seconds since the epoch, "value"]
    let value = found["value"].get(1)?.as_str()?.parse().ok()?;
    Some(MetricSeries { labels: texts(&found["metric"]), value })
}
