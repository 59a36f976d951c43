//! What stands around the recorder of the Prometheus crate: every observation is counted by it, for the page, and
//! beside it by series of our own, for OTLP and exemplars. Both are fed in one place, so they say the same numbers,
//! but for the last digits of a sum, which depend on the order of its addends.

use std::sync::Arc;

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use metrics_exporter_prometheus::PrometheusRecorder;

use super::observed::{Observations, ObservedCounter, ObservedGauge, ObservedValue};
use crate::schema::{METRICS, MetricKind};

/// Hands everything on to the recorder of the Prometheus crate, and keeps what was observed.
pub(super) struct ObservingRecorder {
    inner: PrometheusRecorder,
    observations: Observations,
}

impl ObservingRecorder {
    pub(super) fn new(inner: PrometheusRecorder) -> Self {
        Self { inner, observations: Observations::default() }
    }

    pub(super) fn observations(&self) -> Observations {
        self.observations.clone()
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
        let new = || ObservedCounter::new(self.inner.register_counter(key, metadata));
        match &self.observations.of(key, || ObservedValue::Counter(Arc::new(new()))).value {
            ObservedValue::Counter(counter) => Counter::from_arc(counter.clone()),
            _ => self.inner.register_counter(key, metadata),
        }
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        let new = || ObservedGauge::new(self.inner.register_gauge(key, metadata));
        match &self.observations.of(key, || ObservedValue::Gauge(Arc::new(new()))).value {
            ObservedValue::Gauge(gauge) => Gauge::from_arc(gauge.clone()),
            _ => self.inner.register_gauge(key, metadata),
        }
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        // One that the schema does not know is a summary on the page.
        let Some(bounds) = bounds(key.name()) else { return self.inner.register_histogram(key, metadata) };
        let inner = || self.inner.register_histogram(key, metadata);
        let new = || self.observations.histogram(key, inner(), bounds);
        match &self.observations.of(key, || ObservedValue::Histogram(Arc::new(new()))).value {
            ObservedValue::Histogram(histogram) => Histogram::from_arc(histogram.clone()),
            _ => self.inner.register_histogram(key, metadata),
        }
    }
}

fn bounds(name: &str) -> Option<&'static [f64]> {
    METRICS.iter().find(|metric| metric.name == name).and_then(|metric| match metric.kind {
        MetricKind::Histogram(bounds) => Some(bounds),
        MetricKind::Counter | MetricKind::Gauge => None,
    })
}
