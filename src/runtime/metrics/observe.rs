//! What stands around the recorder of the Prometheus crate: it counts, and beside each of its histograms an
//! exemplar of every bucket is kept.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use metrics::{Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use metrics_exporter_prometheus::PrometheusRecorder;

use super::exemplar::{Exemplar, Reservoir};
use crate::exposition::MetricSample;
use crate::schema::{Kind, METRICS};

/// Hands everything on to the recorder of the Prometheus crate, histograms by way of [`ObservedHistogram`].
pub(super) struct ObservingRecorder {
    inner: PrometheusRecorder,
    histograms: Histograms,
}

/// The histograms that were asked for so far: as many as the schema has series. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Histograms(Arc<RwLock<HashMap<Key, Arc<ObservedHistogram>>>>);

/// One series: what counts it, and beside it the exemplars of its buckets.
struct ObservedHistogram {
    inner: Histogram,
    bounds: &'static [f64],
    exemplars: Reservoir,
}

impl HistogramFn for ObservedHistogram {
    fn record(&self, value: f64) {
        self.inner.record(value);
        self.exemplars.offer(value, self.bounds);
    }
}

impl ObservingRecorder {
    pub(super) fn new(inner: PrometheusRecorder) -> Self {
        Self { inner, histograms: Histograms::default() }
    }

    pub(super) fn histograms(&self) -> Histograms {
        self.histograms.clone()
    }
}

impl Recorder for ObservingRecorder {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, description: SharedString) {
        self.inner.describe_counter(name, unit, description);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, description: SharedString) {
        self.inner.describe_gauge(name, unit, description);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, description: SharedString) {
        self.inner.describe_histogram(name, unit, description);
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        self.inner.register_counter(key, metadata)
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        self.inner.register_gauge(key, metadata)
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        let Some(bounds) = bounds(key.name()) else { return self.inner.register_histogram(key, metadata) };
        self.histograms.of(key, || ObservedHistogram {
            inner: self.inner.register_histogram(key, metadata),
            bounds,
            exemplars: Reservoir::default(),
        })
    }
}

fn bounds(name: &str) -> Option<&'static [f64]> {
    METRICS.iter().find(|metric| metric.name == name).and_then(|metric| match metric.kind {
        Kind::Histogram(bounds) => Some(bounds),
        Kind::Counter | Kind::Gauge => None,
    })
}

impl Histograms {
    /// The one histogram of a key: whoever asks again shares its exemplars.
    fn of(&self, key: &Key, new: impl FnOnce() -> ObservedHistogram) -> Histogram {
        let known = self.0.read().unwrap_or_else(|e| e.into_inner()).get(key).cloned();
        let histogram = known.unwrap_or_else(|| {
            let mut all = self.0.write().unwrap_or_else(|e| e.into_inner());
            all.entry(key.clone()).or_insert_with(|| Arc::new(new())).clone()
        });
        Histogram::from_arc(histogram)
    }

    /// The exemplars of the series that a bucket of a page belongs to, a slot for each of its buckets in
    /// order; empty where there is none yet.
    pub(super) fn exemplars(&self, bucket: &MetricSample<'_>) -> Box<[Option<Exemplar>]> {
        let name = bucket.name.strip_suffix("_bucket").unwrap_or(bucket.name);
        let labels = bucket.labels.iter().filter(|(key, _)| *key != "le");
        let labels: Vec<_> = labels
            .map(|(key, value)| metrics::Label::new((*key).to_owned(), value.clone().into_owned()))
            .collect();
        let all = self.0.read().unwrap_or_else(|e| e.into_inner());
        let found = all.get(&Key::from_parts(name.to_owned(), labels));
        found.and_then(|histogram| histogram.exemplars.copy()).unwrap_or_default()
    }
}
