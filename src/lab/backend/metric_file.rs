//! Metrics in a file of OTLP's JSON: of each series what it shows in the end.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::BackendError;
use super::file::{GrowingFile, LineTally};
use super::line::LineMessage;
use super::span::{SpanAttributes, array, attributes, nanos};

/// A file and the series that are in it.
pub(super) struct MetricFile {
    file: GrowingFile,
    /// By name, attributes of the resource and of the series.
    series: BTreeMap<String, FileSeries>,
}

/// A series so far.
pub(super) struct FileSeries {
    /// Its name in OTLP.
    pub(super) name: String,
    /// `service.name`.
    pub(super) service: String,
    kind: &'static str,
    unit: Value,
    resource: SpanAttributes,
    attributes: SpanAttributes,
    /// A number's value, or count and sum of a histogram.
    latest: [f64; 2],
    /// Of a histogram: the bounds of its buckets, and how many lie in each.
    bounds: Value,
    counts: Vec<f64>,
    /// Nanoseconds since the epoch.
    time: u64,
}

/// The kinds, as OTLP and as the console name them.
const KINDS: [(&str, &str); 4] = [
    ("sum", "counter"),
    ("gauge", "gauge"),
    ("histogram", "histogram"),
    ("exponentialHistogram", "exponentialHistogram"),
];

impl MetricFile {
    /// All that is in it.
    pub(super) fn new(path: &str) -> Self {
        Self { file: GrowingFile::whole(path), series: BTreeMap::new() }
    }

    /// How much was read.
    pub(super) fn tally(&self) -> LineTally {
        self.file.tally()
    }

    /// Every series by now.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn read(&mut self) -> Result<impl Iterator<Item = &FileSeries>, BackendError> {
        let all = &mut self.series;
        self.file.read(|line| {
            let Some(message) = message(line) else { return false };
            for group in array(&message["resourceMetrics"]) {
                let resource = attributes(&group["resource"]["attributes"]);
                for metric in array(&group["scopeMetrics"]).iter().flat_map(|scope| array(&scope["metrics"]))
                {
                    for (kind, shown) in KINDS {
                        array(&metric[kind]["dataPoints"])
                            .iter()
                            .for_each(|point| add(all, &resource, metric, (kind, shown), point));
                    }
                }
            }
            true
        })?;
        Ok(self.series.values())
    }
}

/// The whole of a message that has metrics; of another one that it is one.
fn message(line: &[u8]) -> Option<Value> {
    let has_metrics = LineMessage::read(line)?.has_metrics();
    if has_metrics { serde_json::from_slice(line).ok() } else { Some(Value::Null) }
}

fn add(
    all: &mut BTreeMap<String, FileSeries>,
    resource: &SpanAttributes,
    metric: &Value,
    (kind, shown): (&str, &'static str),
    point: &Value,
) {
    let own = attributes(&point["attributes"]);
    let key = json!([metric["name"], resource, own]).to_string();
    let number = |key: &str| point[key].as_f64().or_else(|| point[key].as_str()?.parse().ok());
    let value = match kind {
        "sum" | "gauge" => [number("asInt").or_else(|| number("asDouble")).unwrap_or_default(), 0.0],
        _ => [number("count").unwrap_or_default(), number("sum").unwrap_or_default()],
    };
    let temporality = &metric[kind]["aggregationTemporality"];
    let delta = *temporality == 1 || temporality.as_str().is_some_and(|name| name.ends_with("DELTA"));
    // A sum that also goes down is no counter.
    let shown = if kind == "sum" && metric[kind]["isMonotonic"] != true { "upDownCounter" } else { shown };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let series = all.entry(key).or_insert_with(|| FileSeries {
        name: text(&metric["name"]),
        service: resource.get("service.name").map(text).unwrap_or_default(),
        kind: shown,
        unit: metric["unit"].clone(),
        resource: resource.clone(),
        attributes: own,
        latest: [0.0; 2],
        bounds: Value::Null,
        counts: Vec::new(),
        time: 0,
    });
    let time = nanos(&point["timeUnixNano"]);
    // A 64-bit number, which OTLP JSON writes as text.
    let whole = |value: &Value| value.as_f64().or_else(|| value.as_str()?.parse().ok()).unwrap_or_default();
    let counts: Vec<f64> = array(&point["bucketCounts"]).iter().map(whole).collect();
    if delta {
        series.counts.resize(counts.len(), 0.0);
        series.counts.iter_mut().zip(counts).for_each(|(so_far, more)| *so_far += more);
        series.bounds = point["explicitBounds"].clone();
        series.latest.iter_mut().zip(value).for_each(|(so_far, more)| *so_far += more);
    } else if time >= series.time {
        // A collector's retries may write an older point behind a newer one.
        (series.latest, series.counts) = (value, counts);
        series.bounds = point["explicitBounds"].clone();
    }
    series.time = series.time.max(time);
}

impl FileSeries {
    /// As the console's API has a series.
    pub(super) fn as_console(&self) -> Value {
        let [value, sum] = self.latest;
        json!({
            "kind": self.kind, "unit": self.unit, "service": self.service, "resource": self.resource,
            "name": self.name, "attributes": self.attributes,
            "latest": {"value": value, "count": value, "sum": sum, "bounds": self.bounds, "counts": self.counts},
            "points": [{"time": self.time / 1_000}],
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::lab::backend::count::CountReader;
    use crate::schema::{OtlpMetric, names};

    fn line(metric: &Value, value: &Value, time: u64, temporality: u8) -> String {
        let mut point = value.clone();
        point["timeUnixNano"] = json!(time.to_string());
        point["attributes"] = json!([]);
        let mut metric = metric.clone();
        let kind = metric["kind"].as_str().unwrap().to_owned();
        metric[&kind] =
            json!({"dataPoints": [point], "aggregationTemporality": temporality, "isMonotonic": true});
        let pair = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
        let resource = json!([pair("service.name", "order-service"), pair("service.instance.id", "one")]);
        json!({"resourceMetrics": [{"resource": {"attributes": resource}, "scopeMetrics": [{"metrics": [metric]}]}]})
            .to_string()
    }

    #[actix_web::test]
    async fn the_newest_value_of_a_series_counts_deltas_add_up_and_the_names_are_those_of_the_page() {
        let of = |name: &str, kind: &str| {
            let row = OtlpMetric::of(name).unwrap();
            json!({"name": row.name, "unit": row.unit, "kind": kind})
        };
        let (orders, value) = (of(names::ORDERS_CREATED, "sum"), of(names::ORDER_VALUE, "histogram"));
        let second = 1_000_000_000;
        let lines = [
            line(&orders, &json!({"asInt": "3"}), 2 * second, 2),
            line(&orders, &json!({"asInt": "2"}), second, 2),
            line(&value, &json!({"count": "1", "sum": 10.0}), second, 1),
            line(&value, &json!({"count": "2", "sum": 5.5}), 3 * second, 1),
        ];
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), lines.join("\n") + "\n").unwrap();
        let reader = CountReader::file(file.path().to_str().unwrap());
        let found = reader.read().await.unwrap();
        let mut all: Vec<_> = found.values.iter().map(|(key, value)| (key.metric.as_str(), *value)).collect();
        all.sort_by_key(|(name, _)| *name);
        let (count, sum) = (format!("{}_count", names::ORDER_VALUE), format!("{}_sum", names::ORDER_VALUE));
        assert_eq!(all, [(count.as_str(), 3.0), (sum.as_str(), 15.5), (names::ORDERS_CREATED, 3.0)]);
        assert!(found.strange.is_empty(), "{:?}", found.strange);
        assert_eq!((found.newest["order-service"], found.processes["order-service"].len()), (3.0, 1));
        assert_eq!(reader.tally(), Some(LineTally { lines: 4, bad: 0 }));
    }
}
