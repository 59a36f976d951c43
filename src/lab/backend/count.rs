//! Counters as a backend holds them, under the names and labels of `/metrics` whatever the backend calls
//! them: the pages of the roles, a Prometheus (scraped, or by OTLP), the console, files of a collector.

mod console;
mod pages;
mod prometheus;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use std::time::Duration;

use serde_json::Value;

use super::file::LineTally;
use super::metric_file::MetricFile;
use super::{BackendAccess, BackendError, QueryApi};
use crate::schema::{METRICS, Metric, MetricKind, names};

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
    /// Of each series of HTTP latencies, under the key of its count: how many lie at or below each bound.
    pub buckets: BTreeMap<CountKey, LatencyBuckets>,
}

/// Numbers of latencies by the bound, in nanoseconds, at or below which they lie; [`u64::MAX`] is that of all.
pub type LatencyBuckets = BTreeMap<u64, f64>;

/// All metrics that a backend has of the lab's services.
#[derive(Debug)]
pub enum ArrivedMetrics {
    /// Their names alone, as on `/metrics` or as a Prometheus has them: service and name.
    Names(BTreeSet<(String, String)>),
    /// Their series as OTLP brought them, in the words of the console's API: `name`, `service`, `resource`, `unit`,
    /// `kind`, `attributes`, `latest`.
    Series(Vec<Value>),
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

    /// All series of a metric that are meant, added.
    pub fn sum(&self, metric: &str, which: impl Fn(&CountKey) -> bool) -> f64 {
        let all = self.values.iter().filter(|(key, _)| key.metric == metric && which(key));
        all.map(|(_, value)| value).sum()
    }

    fn add(&mut self, key: CountKey, value: f64) {
        *self.values.entry(key).or_default() += value;
    }

    fn bucket(&mut self, key: &CountKey, bound: u64, count: f64) {
        *self.buckets.entry(key.clone()).or_default().entry(bound).or_default() += count;
    }

    /// A series `_bucket`, whose labels have the bound.
    fn add_bucket(&mut self, service: &str, labels: &BTreeMap<String, String>, count: f64) {
        let bound = labels.get("le").and_then(|le| bound_of(le.parse().ok()?));
        if let Some(bound) = bound {
            self.bucket(&key(service, &latencies_key(), latencies(), labels), bound, count);
        }
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
            CountSource::Pages(pages) => pages::of_pages(pages).await,
            CountSource::Prometheus(api) => prometheus::of_prometheus(api).await,
            CountSource::Console(api) => console::of_console(api).await,
            CountSource::File(file) => console::of_file(&mut file.borrow_mut()),
        }
    }
}

impl CountReader {
    /// All metrics that are there, also those that nobody asked for; of what came by OTLP those with a point since then, in
    /// seconds since the epoch.
    ///
    /// # Errors
    /// As of [`Self::read`].
    pub async fn arrived(&self, since: f64) -> Result<ArrivedMetrics, BackendError> {
        Ok(match &self.0 {
            CountSource::Pages(all) => ArrivedMetrics::Names(pages::names_on(all).await?),
            CountSource::Prometheus(api) => ArrivedMetrics::Names(prometheus::names_in(api).await?),
            CountSource::Console(api) => ArrivedMetrics::Series(console::series_in(api, since).await?),
            CountSource::File(file) => {
                ArrivedMetrics::Series(console::series_of(&mut file.borrow_mut(), since)?)
            }
        })
    }
}

/// The metric whose buckets are read: it is the one that spans can be held against.
fn latencies() -> &'static Metric {
    METRICS.iter().find(|metric| metric.name == names::HTTP_SERVER_DURATION).unwrap_or(&METRICS[0])
}

/// What the series of its counts are called, and those of its buckets.
fn latencies_key() -> String {
    format!("{}_count", names::HTTP_SERVER_DURATION)
}

fn buckets_name() -> String {
    format!("{}_bucket", names::HTTP_SERVER_DURATION)
}

/// A bound in seconds as one in nanoseconds.
fn bound_of(seconds: f64) -> Option<u64> {
    if seconds == f64::INFINITY {
        return Some(u64::MAX);
    }
    u64::try_from(Duration::try_from_secs_f64(seconds).ok()?.as_nanos()).ok()
}

/// The metrics that count: counters, and histograms by their counts and sums.
fn counted() -> impl Iterator<Item = &'static Metric> {
    METRICS.iter().filter(|metric| !matches!(metric.kind, MetricKind::Gauge))
}

/// The names of a metric's series that are read.
fn series_names(metric: &Metric) -> Vec<(&'static str, String)> {
    match metric.kind {
        MetricKind::Histogram(_) => {
            ["_count", "_sum"].map(|suffix| (suffix, format!("{}{suffix}", metric.name))).into()
        }
        _ => vec![("", metric.name.to_owned())],
    }
}

fn key(service: &str, name: &str, metric: &Metric, labels: &BTreeMap<String, String>) -> CountKey {
    let own =
        metric.labels.iter().filter_map(|label| Some((label.key.to_owned(), labels.get(label.key)?.clone())));
    CountKey { service: service.to_owned(), metric: name.to_owned(), labels: own.collect() }
}
