//! Counters in a Prometheus, or in what has its query API.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::super::{BackendError, QueryApi, encoded, texts};
use super::{CountSnapshot, buckets_name, counted, key, latencies, series_names};
use crate::schema::{Metric, OtlpMetric, SERVICES, names};

const EXPECTED: &str = "an instant vector";

/// What a Prometheus may call each series that is read: the names of `/metrics`, and those that it makes of
/// OTLP's where these are others.
fn prometheus_names() -> BTreeMap<String, (&'static Metric, String)> {
    let mut all = BTreeMap::new();
    for metric in counted() {
        for (suffix, name) in series_names(metric) {
            if let Some(otlp) = OtlpMetric::of(metric.name) {
                all.insert(format!("{}{suffix}", otlp.prometheus_name()), (metric, name.clone()));
            }
            all.insert(name.clone(), (metric, name));
        }
    }
    all
}

pub(super) async fn of_prometheus(api: &QueryApi) -> Result<CountSnapshot, BackendError> {
    let names = prometheus_names();
    let jobs = jobs();
    let all: Vec<_> = names.keys().map(String::as_str).collect();
    let query = async |expr: String| query(api, &expr).await;
    let mut found = CountSnapshot::default();
    for series in query(format!("{{__name__=~\"{}\",job=~\"{jobs}\"}}", all.join("|"))).await? {
        let mut labels = texts(&series["metric"]);
        let name = labels.remove("__name__").unwrap_or_default();
        let value = series["value"].get(1).and_then(Value::as_str).and_then(|text| text.parse().ok());
        let (Some((metric, name)), Some(value)) = (names.get(&name), value) else { continue };
        rename(metric, &mut labels);
        let service = labels.get("job").cloned().unwrap_or_default();
        found.note(&service, metric, &labels);
        found.add(key(&service, name, metric, &labels), value);
    }
    for series in query(format!("{}{{job=~\"{jobs}\"}}", buckets_name())).await? {
        let mut labels = texts(&series["metric"]);
        rename(latencies(), &mut labels);
        let value = series["value"].get(1).and_then(Value::as_str).and_then(|text| text.parse().ok());
        let service = labels.get("job").cloned().unwrap_or_default();
        found.add_bucket(&service, &labels, value.unwrap_or_default());
    }
    let info = names::BUILD_INFO;
    for series in query(format!("timestamp({info}{{job=~\"{jobs}\"}})")).await? {
        let time = series["value"].get(1).and_then(Value::as_str).and_then(|text| text.parse::<f64>().ok());
        let newest =
            found.newest.entry(texts(&series["metric"]).remove("job").unwrap_or_default()).or_default();
        *newest = newest.max(time.unwrap_or_default());
    }
    for series in query(format!("{}{{job=~\"{jobs}\"}}", names::PROCESS_START)).await? {
        let job = texts(&series["metric"]).remove("job").unwrap_or_default();
        let start = series["value"].get(1).and_then(Value::as_str).unwrap_or_default().to_owned();
        found.processes.entry(job).or_default().insert(start);
    }
    Ok(found)
}

/// Gives labels that came by OTLP the keys of `/metrics`.
fn rename(metric: &Metric, labels: &mut BTreeMap<String, String>) {
    let Some(otlp) = OtlpMetric::of(metric.name) else { return };
    for label in metric.labels {
        if let Some(value) = otlp.key(label.key).and_then(|key| labels.get(&key.replace('.', "_"))).cloned() {
            labels.entry(label.key.to_owned()).or_insert(value);
        }
    }
}

/// The names of all series of the lab's jobs, each with its job.
pub(super) async fn names_in(api: &QueryApi) -> Result<BTreeSet<(String, String)>, BackendError> {
    let found = query(api, &format!("count by (__name__, job) ({{job=~\"{}\"}})", jobs())).await?;
    let named = found
        .iter()
        .map(|series| texts(&series["metric"]))
        .filter_map(|mut labels| Some((labels.remove("job")?, labels.remove("__name__")?)));
    Ok(named.collect())
}

/// The services, as a pattern.
fn jobs() -> String {
    let services: Vec<_> = SERVICES.iter().map(|service| service.name).collect();
    services.join("|")
}

async fn query(api: &QueryApi, expr: &str) -> Result<Vec<Value>, BackendError> {
    api.list(&format!("/api/v1/query?query={}", encoded(expr)), "/data/result", EXPECTED).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::METRICS;

    #[test]
    fn what_a_prometheus_was_sent_by_otlp_has_the_names_and_labels_of_the_pages() {
        let names = prometheus_names();
        assert_eq!(names["messaging_client_sent_messages_total"].1, names::QUEUE_PUBLISHED);
        assert_eq!(names["gateway_requests_total"].1, names::GATEWAY_REQUESTS);
        let metric = METRICS.iter().find(|metric| metric.name == names::HTTP_CLIENT_DURATION);
        let mut labels = BTreeMap::from([("service_peer_name".to_owned(), "user-service".to_owned())]);
        rename(metric.unwrap_or(&METRICS[0]), &mut labels);
        assert_eq!(labels["peer_service"], "user-service");
    }
}
