//! Counters as OTLP brought them: to the console, or into a file of a collector.

use std::collections::BTreeMap;

use futures_util::StreamExt as _;
use serde_json::Value;

use super::super::metric_file::MetricFile;
use super::super::span::array;
use super::super::{BackendError, QueryApi, encoded};
use super::{CountSnapshot, bound_of, counted, key, latencies_key, series_names};
use crate::schema::{Metric, OtlpKind, OtlpMetric, SERVICES, names};

/// Questions at once to one backend.
const AT_ONCE: usize = 8;
/// The most series of one metric of one service in one answer.
const MOST_SERIES: usize = 200;

/// Each metric that counts, under its name in OTLP, of each service that has it.
fn sent() -> Vec<(&'static Metric, &'static OtlpMetric, &'static str)> {
    let mut all = Vec::new();
    for metric in counted() {
        for service in SERVICES.iter().filter(|service| metric.exposed_by(service.role)) {
            all.extend(OtlpMetric::of(metric.name).map(|otlp| (metric, otlp, service.name)));
        }
    }
    all
}

pub(super) fn of_file(file: &mut MetricFile) -> Result<CountSnapshot, BackendError> {
    let (mut found, sent) = (CountSnapshot::default(), sent());
    for series in file.read()? {
        for (metric, otlp, service) in &sent {
            if (otlp.name, *service) == (series.name.as_str(), series.service.as_str()) {
                found.console_series(metric, otlp, service, &series.as_console());
            }
        }
    }
    Ok(found)
}

pub(super) async fn of_console(api: &QueryApi) -> Result<CountSnapshot, BackendError> {
    let ask = async |(metric, otlp, service): (&'static Metric, &'static OtlpMetric, &'static str)| {
        // The latest value is told whatever is asked for; a minute shows how new it is.
        let path =
            format!("/api/metrics/{}?service={}&limit=200&since=1m", encoded(otlp.name), encoded(service));
        Ok::<_, BackendError>((metric, otlp, service, api.find(&path).await?))
    };
    let mut answers = futures_util::stream::iter(sent()).map(ask).buffer_unordered(AT_ONCE);
    let mut found = CountSnapshot::default();
    while let Some(answer) = answers.next().await {
        let (metric, otlp, service, answer) = answer?;
        let answer = answer.unwrap_or_default();
        for series in array(&answer["series"]).iter().filter(|series| series["service"] == service) {
            found.console_series(metric, otlp, service, series);
        }
    }
    Ok(found)
}

impl CountSnapshot {
    fn console_series(&mut self, metric: &Metric, otlp: &OtlpMetric, service: &str, series: &Value) {
        let kind = series["kind"].as_str().unwrap_or_default();
        let right = match otlp.kind {
            OtlpKind::Histogram => kind.to_lowercase().ends_with("histogram"),
            _ => kind == "counter",
        };
        if !right || series["unit"] != otlp.unit {
            let unit = &series["unit"];
            self.strange.insert(format!("{service}: {} is a {kind} in {unit}", otlp.name));
        }
        let text = |key: &str| match &series["attributes"][key] {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        };
        let labels = metric.labels.iter();
        let labels: BTreeMap<_, _> =
            labels.filter_map(|label| Some((label.key.to_owned(), text(otlp.key(label.key)?)?))).collect();
        self.note(service, metric, &labels);
        let latest = &series["latest"];
        for (suffix, name) in series_names(metric) {
            let field = suffix.strip_prefix('_').unwrap_or("value");
            let scale = if suffix == "_sum" { otlp.divisor } else { 1.0 };
            let value = latest[field].as_f64().unwrap_or_default() * scale;
            self.add(key(service, &name, metric, &labels), value);
        }
        if metric.name == names::HTTP_SERVER_DURATION {
            let key = key(service, &latencies_key(), metric, &labels);
            for (bound, count) in cumulative(&latest["bounds"], &latest["counts"]) {
                self.bucket(&key, bound, count);
            }
        }
        if let Some(id) = series["resource"]["service.instance.id"].as_str() {
            self.processes.entry(service.to_owned()).or_default().insert(id.to_owned());
        }
        let so_far = self.newest.entry(service.to_owned()).or_default();
        *so_far = so_far.max(newest(series));
    }
}

/// How many lie at or below each bound, of the numbers that lie between two.
fn cumulative(bounds: &Value, counts: &Value) -> Vec<(u64, f64)> {
    let bounds = array(bounds).iter().filter_map(Value::as_f64).chain([f64::INFINITY]);
    let mut sum = 0.0;
    let counts = array(counts).iter().map(|count| {
        sum += count.as_f64().unwrap_or_default();
        sum
    });
    bounds.zip(counts).filter_map(|(bound, sum)| Some((bound_of(bound)?, sum))).collect()
}

/// Every series of the lab's services, as the console's API has them, each with its metric's `name`.
pub(super) async fn series_in(api: &QueryApi, since: f64) -> Result<Vec<Value>, BackendError> {
    let mut asked = Vec::new();
    for service in &SERVICES {
        let path = format!("/api/metrics?service={}&limit=2000", encoded(service.name));
        for metric in api.list(&path, "/metrics", "a list of metrics").await? {
            let name = metric["name"].as_str().unwrap_or_default().to_owned();
            asked.push((name, service.name));
        }
    }
    asked.sort();
    asked.dedup();
    let ask = async |(name, service): (String, &str)| {
        let path = format!(
            "/api/metrics/{}?service={}&limit={MOST_SERIES}&since=1m",
            encoded(&name),
            encoded(service)
        );
        Ok::<_, BackendError>((name, api.find(&path).await?.unwrap_or_default()))
    };
    let mut answers = futures_util::stream::iter(asked).map(ask).buffer_unordered(AT_ONCE);
    let mut found = Vec::new();
    while let Some(answer) = answers.next().await {
        let (name, mut answer) = answer?;
        let Value::Array(all) = answer["series"].take() else { continue };
        found.extend(all.into_iter().filter(|series| newest(series) >= since).map(|mut series| {
            series["name"] = name.as_str().into();
            series
        }));
    }
    Ok(found)
}

/// The same of a file.
pub(super) fn series_of(file: &mut MetricFile, since: f64) -> Result<Vec<Value>, BackendError> {
    let ours = |name: &str| SERVICES.iter().any(|service| service.name == name);
    let all = file.read()?.filter(|series| ours(&series.service)).map(|series| series.as_console());
    Ok(all.filter(|series| newest(series) >= since).collect())
}

/// When the newest point of a series was taken, in seconds since the epoch.
fn newest(series: &Value) -> f64 {
    array(&series["points"]).last().and_then(|point| point["time"].as_f64()).unwrap_or_default() / 1e6
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::schema::METRICS;

    #[test]
    fn a_series_of_the_console_counts_under_the_name_of_the_page_and_a_strange_unit_is_said() {
        let metric = METRICS.iter().find(|metric| metric.name == names::HTTP_SERVER_DURATION);
        let metric = metric.unwrap_or(&METRICS[0]);
        let mut found = CountSnapshot::default();
        let series = |unit: &str| {
            json!({"kind": "histogram", "unit": unit, "service": "api-gateway",
                "attributes": {"http.route": "/", "http.request.method": "GET", "http.response.status_code": 200},
                "latest": {"count": 3, "sum": 0.5, "bounds": [0.001, 0.5], "counts": [1, 0, 2]},
                "points": [{"time": 5_000_000}], "resource": {"service.instance.id": "one"}})
        };
        let otlp = OtlpMetric::of(metric.name).unwrap_or_else(|| unreachable!());
        found.console_series(metric, otlp, "api-gateway", &series("s"));
        assert!(found.strange.is_empty());
        let key = found.values.keys().find(|key| key.metric.ends_with("_count"));
        let labels = key.map(|key| key.labels.values().cloned().collect::<Vec<_>>().join(" "));
        assert_eq!(labels.as_deref(), Some("GET 200 /"));
        assert_eq!(key.and_then(|key| found.value(key)), Some(3.0));
        let buckets = key.and_then(|key| found.buckets.get(key)).cloned().unwrap_or_default();
        assert_eq!(buckets, BTreeMap::from([(1_000_000, 1.0), (500_000_000, 1.0), (u64::MAX, 3.0)]));
        assert_eq!(found.newest["api-gateway"], 5.0);
        found.console_series(metric, otlp, "api-gateway", &series("ms"));
        assert_eq!(found.strange.len(), 1);
    }
}
