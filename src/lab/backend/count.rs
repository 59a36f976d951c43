//! Counters as a backend holds them, under the names and labels of `/metrics` whatever the backend calls
//! them: the pages of the roles, a Prometheus (scraped, or by OTLP), the console, files of a collector.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use futures_util::StreamExt as _;
use serde_json::Value;

use super::file::LineTally;
use super::metric_file::MetricFile;
use super::span::array;
use super::{BackendAccess, BackendError, QueryApi, encoded, texts};
use crate::config::without_login;
use crate::exposition::samples;
use crate::runtime::oneshot::OneShot;
use crate::schema::{Kind, METRICS, Metric, OtlpKind, OtlpMetric, SERVICES, names};

/// A series: who counts, what, and the labels that tell it from others of its metric.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CountKey {
    /// `service.name` of who counts.
    pub service: String,
    /// The name on `/metrics`; of a histogram with `_count` or `_sum`.
    pub metric: String,
    /// Those labels that `METRICS` has of the metric.
    pub labels: BTreeMap<String, String>,
}

/// Every counter, and count and sum of every histogram, at one moment.
#[derive(Clone, Debug, Default)]
pub struct CountSnapshot {
    /// The values; those of several processes of one service are added.
    pub values: BTreeMap<CountKey, f64>,
    /// Which processes of a service have counted: start times, or instance ids.
    pub processes: BTreeMap<String, BTreeSet<String>>,
    /// When the newest sample of a service was taken, in seconds since the epoch; none where a value is
    /// always as new as the answer.
    pub newest: BTreeMap<String, f64>,
    /// What is not as the schema has it: a kind, a unit, a label value; one sentence each.
    pub strange: BTreeSet<String>,
}

impl CountSnapshot {
    /// The value of a series, if there is one.
    pub fn value(&self, key: &CountKey) -> Option<f64> {
        self.values.get(key).copied()
    }

    /// By how much a series has grown since an earlier snapshot; one that is not there counts as 0.
    pub fn grown(&self, before: &Self, key: &CountKey) -> f64 {
        self.value(key).unwrap_or_default() - before.value(key).unwrap_or_default()
    }

    fn add(&mut self, key: CountKey, value: f64) {
        *self.values.entry(key).or_default() += value;
    }

    /// Notes where `labels` has a value outside its closed set.
    fn note(&mut self, service: &str, metric: &Metric, labels: &BTreeMap<String, String>) {
        for label in metric.labels.iter().filter(|label| !label.values.is_empty()) {
            if let Some(value) = labels.get(label.key).filter(|value| !label.values.contains(&value.as_str()))
            {
                self.strange.insert(format!("{service}: {}{{{}=\"{value}\"}}", metric.name, label.key));
            }
        }
    }
}

/// A reader of counters.
pub struct CountReader(CountSource);

enum CountSource {
    /// The pages themselves: service and URL.
    Pages(Vec<(&'static str, String)>),
    Prometheus(QueryApi),
    Console(QueryApi),
    File(RefCell<MetricFile>),
}

/// Questions at once to one backend.
const AT_ONCE: usize = 8;

impl CountReader {
    /// The pages of services at these base URLs.
    pub fn pages(pages: Vec<(&'static str, String)>) -> Self {
        Self(CountSource::Pages(pages))
    }

    /// A Prometheus, or anything with its query API, at this base URL; the `job` of a series is its service.
    pub fn prometheus(base: &str) -> Self {
        Self(CountSource::Prometheus(QueryApi::new(base)))
    }

    /// The metrics that the console at this base URL was sent by OTLP.
    pub fn console(base: &str) -> Self {
        Self(CountSource::Console(QueryApi::new(base)))
    }

    /// The metrics in a file that a collector's file exporter writes, as JSON.
    pub fn file(path: &str) -> Self {
        Self(CountSource::File(RefCell::new(MetricFile::new(path))))
    }

    /// How much of a file was read; `None` of a server.
    pub fn tally(&self) -> Option<LineTally> {
        match &self.0 {
            CountSource::File(file) => Some(file.borrow().tally()),
            _ => None,
        }
    }

    /// The same, reached in this way.
    #[must_use]
    pub fn through(self, access: &BackendAccess) -> Self {
        Self(match self.0 {
            CountSource::Pages(pages) => CountSource::Pages(pages),
            CountSource::Prometheus(api) => CountSource::Prometheus(api.through(access)),
            CountSource::Console(api) => CountSource::Console(api.through(access)),
            file @ CountSource::File(_) => file,
        })
    }

    /// All counters now.
    ///
    /// # Errors
    /// The backend cannot be read, or one of the pages cannot.
    pub async fn read(&self) -> Result<CountSnapshot, BackendError> {
        match &self.0 {
            CountSource::Pages(pages) => of_pages(pages).await,
            CountSource::Prometheus(api) => of_prometheus(api).await,
            CountSource::Console(api) => of_console(api).await,
            CountSource::File(file) => of_file(&mut file.borrow_mut()),
        }
    }
}

/// The metrics that count: counters, and histograms by their counts and sums.
fn counted() -> impl Iterator<Item = &'static Metric> {
    METRICS.iter().filter(|metric| !matches!(metric.kind, Kind::Gauge))
}

/// The names of a metric's series that are read.
fn series_names(metric: &Metric) -> Vec<(&'static str, String)> {
    match metric.kind {
        Kind::Histogram(_) => {
            ["_count", "_sum"].map(|suffix| (suffix, format!("{}{suffix}", metric.name))).into()
        }
        _ => vec![("", metric.name.to_owned())],
    }
}

async fn of_pages(pages: &[(&'static str, String)]) -> Result<CountSnapshot, BackendError> {
    let http = OneShot::new(super::QUERY_WITHIN, super::LARGEST_ANSWER);
    let wanted: BTreeMap<String, &Metric> = counted()
        .flat_map(|metric| series_names(metric).into_iter().map(move |(_, name)| (name, metric)))
        .collect();
    let mut found = CountSnapshot::default();
    for (service, base) in pages {
        let url = format!("{}/metrics", without_login(base));
        let answer = match http.get(&format!("{base}/metrics")).await {
            Ok(answer) if answer.is_success() => answer,
            Ok(answer) => return Err(BackendError::Refused { url, status: answer.status.as_u16() }),
            Err(why) => return Err(BackendError::Unanswered { url, why }),
        };
        let page = String::from_utf8_lossy(&answer.body);
        for sample in samples(&page) {
            if sample.name == names::PROCESS_START {
                let start = sample.value.to_string();
                found.processes.entry((*service).to_owned()).or_default().insert(start);
            }
            let Some(metric) = wanted.get(sample.name) else { continue };
            let labels: BTreeMap<String, String> =
                sample.labels.iter().map(|(key, value)| ((*key).to_owned(), value.to_string())).collect();
            found.note(service, metric, &labels);
            found.add(key(service, sample.name, metric, &labels), sample.value);
        }
    }
    Ok(found)
}

fn key(service: &str, name: &str, metric: &Metric, labels: &BTreeMap<String, String>) -> CountKey {
    let own =
        metric.labels.iter().filter_map(|label| Some((label.key.to_owned(), labels.get(label.key)?.clone())));
    CountKey { service: service.to_owned(), metric: name.to_owned(), labels: own.collect() }
}

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

async fn of_prometheus(api: &QueryApi) -> Result<CountSnapshot, BackendError> {
    const EXPECTED: &str = "an instant vector";
    let names = prometheus_names();
    let services: Vec<_> = SERVICES.iter().map(|service| service.name).collect();
    let jobs = services.join("|");
    let all: Vec<_> = names.keys().map(String::as_str).collect();
    let query = async |expr: String| {
        api.list(&format!("/api/v1/query?query={}", encoded(&expr)), "/data/result", EXPECTED).await
    };
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

fn of_file(file: &mut MetricFile) -> Result<CountSnapshot, BackendError> {
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

async fn of_console(api: &QueryApi) -> Result<CountSnapshot, BackendError> {
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
        if let Some(id) = series["resource"]["service.instance.id"].as_str() {
            self.processes.entry(service.to_owned()).or_default().insert(id.to_owned());
        }
        let micros = array(&series["points"]).last().and_then(|point| point["time"].as_f64());
        let newest = self.newest.entry(service.to_owned()).or_default();
        *newest = newest.max(micros.unwrap_or_default() / 1e6);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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

    #[test]
    fn a_series_of_the_console_counts_under_the_name_of_the_page_and_a_strange_unit_is_said() {
        let metric = METRICS.iter().find(|metric| metric.name == names::HTTP_SERVER_DURATION);
        let metric = metric.unwrap_or(&METRICS[0]);
        let mut found = CountSnapshot::default();
        let series = |unit: &str| {
            json!({"kind": "histogram", "unit": unit, "service": "api-gateway",
                "attributes": {"http.route": "/", "http.request.method": "GET", "http.response.status_code": 200},
                "latest": {"count": 3, "sum": 0.5}, "points": [{"time": 5_000_000}],
                "resource": {"service.instance.id": "one"}})
        };
        let otlp = OtlpMetric::of(metric.name).unwrap_or_else(|| unreachable!());
        found.console_series(metric, otlp, "api-gateway", &series("s"));
        assert!(found.strange.is_empty());
        let key = found.values.keys().find(|key| key.metric.ends_with("_count"));
        let labels = key.map(|key| key.labels.values().cloned().collect::<Vec<_>>().join(" "));
        assert_eq!(labels.as_deref(), Some("GET 200 /"));
        assert_eq!(key.and_then(|key| found.value(key)), Some(3.0));
        assert_eq!(found.newest["api-gateway"], 5.0);
        found.console_series(metric, otlp, "api-gateway", &series("ms"));
        assert_eq!(found.strange.len(), 1);
    }
}
