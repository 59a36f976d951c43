//! What stands around the recorder of the Prometheus crate: it counts, and beside each of its histograms an
//! exemplar of every bucket is kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, RwLock};

use metrics::{Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use metrics_exporter_prometheus::PrometheusRecorder;

use super::base2::Base2Histogram;
use super::exemplar::{BucketExemplar, Reservoir};
use super::options::{ExemplarFilter, ObservationOptions};
use crate::exposition::MetricSample;
use crate::schema::{Kind, METRICS, OtlpMetric};

/// Hands everything on to the recorder of the Prometheus crate, histograms by way of [`ObservedHistogram`].
pub(super) struct ObservingRecorder {
    inner: PrometheusRecorder,
    histograms: Histograms,
}

/// The histograms that were asked for so far: as many as the schema has series. Clones share them.
#[derive(Clone, Default)]
pub(in crate::runtime) struct Histograms {
    all: Arc<RwLock<HashMap<Key, Arc<ObservedHistogram>>>>,
    options: Arc<ObservationOptions>,
}

/// One series: what counts it, and beside it the exemplars of its buckets.
pub(in crate::runtime) struct ObservedHistogram {
    inner: Histogram,
    bounds: &'static [f64],
    exemplars: Reservoir,
    /// Empty but where exponential buckets are asked for.
    base2: Mutex<Option<Box<Base2Histogram>>>,
    /// What makes OTLP's unit of the metric's own.
    divisor: f64,
    options: Arc<ObservationOptions>,
}

impl HistogramFn for ObservedHistogram {
    fn record(&self, value: f64) {
        self.inner.record(value);
        self.exemplars.offer(value, self.bounds, self.options.filter());
        if self.options.exponential() {
            // Waits for another observation of this very series at the most: what counts must not be lost.
            let mut base2 = self.base2.lock().unwrap_or_else(|e| e.into_inner());
            base2.get_or_insert_default().record(value / self.divisor);
        }
    }
}

impl ObservedHistogram {
    /// The exemplar of each bucket, in the metric's own unit; empty before the first.
    pub(in crate::runtime) fn exemplars(&self) -> Box<[Option<BucketExemplar>]> {
        self.exemplars.copy().unwrap_or_default()
    }

    /// What was observed so far in exponential buckets, in OTLP's unit; counting begins again where it is
    /// `taken`.
    pub(in crate::runtime) fn base2(&self, taken: bool) -> Base2Histogram {
        let mut base2 = self.base2.lock().unwrap_or_else(|e| e.into_inner());
        let found = if taken { base2.take() } else { base2.clone() };
        *found.unwrap_or_default()
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
            base2: Mutex::default(),
            divisor: OtlpMetric::of(key.name()).map_or(1.0, |row| row.divisor),
            options: self.histograms.options.clone(),
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
    /// What is kept beside the numbers from now on.
    #[allow(dead_code, reason = "called once the settings say what")]
    pub(super) fn keep(&self, filter: ExemplarFilter, exponential: bool) {
        self.options.set(filter, exponential);
    }

    /// The one histogram of a key: whoever asks again shares its exemplars.
    fn of(&self, key: &Key, new: impl FnOnce() -> ObservedHistogram) -> Histogram {
        let known = self.all.read().unwrap_or_else(|e| e.into_inner()).get(key).cloned();
        let histogram = known.unwrap_or_else(|| {
            let mut all = self.all.write().unwrap_or_else(|e| e.into_inner());
            all.entry(key.clone()).or_insert_with(|| Arc::new(new())).clone()
        });
        Histogram::from_arc(histogram)
    }

    /// The histogram that a bucket of a page belongs to.
    pub(in crate::runtime) fn of_bucket(&self, bucket: &MetricSample<'_>) -> Option<Arc<ObservedHistogram>> {
        let name = bucket.name.strip_suffix("_bucket").unwrap_or(bucket.name);
        let labels = bucket.labels.iter().filter(|(key, _)| *key != "le");
        let labels =
            labels.map(|(key, value)| metrics::Label::new((*key).to_owned(), value.clone().into_owned()));
        let key = Key::from_parts(name.to_owned(), labels.collect::<Vec<_>>());
        self.all.read().unwrap_or_else(|e| e.into_inner()).get(&key).cloned()
    }
}
