//! Data points out of the recorder's series.

use std::sync::Arc;

use metrics::Key;
use opentelemetry::KeyValue;

use crate::runtime::metrics::{
    Base2Histogram, BucketExemplar, ObservedHistogram, ObservedSeries, ObservedValue,
};
use crate::runtime::process::CPU_COUNTS_PER_SECOND;
use crate::runtime::telemetry::version;
use crate::schema::{INTEGER_KEYS, OTLP_METRICS, OtlpKind, OtlpMetric, names};

/// One metric with its points.
#[derive(Debug)]
pub(super) struct OtlpMetricData {
    pub(super) row: &'static OtlpMetric,
    pub(super) description: &'static str,
    pub(super) points: Vec<OtlpPoint>,
}

/// One point of a series.
#[derive(Clone, Debug)]
pub(super) struct OtlpPoint {
    /// The number of its series.
    pub(super) series: usize,
    pub(super) attributes: Vec<KeyValue>,
    pub(super) value: OtlpValue,
    pub(super) exemplars: Vec<BucketExemplar>,
}

/// What a point says.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum OtlpValue {
    /// Of sums: whole, as what they count.
    Integer(i64),
    /// Of gauges.
    Double(f64),
    /// Explicit buckets: upper bounds, and what is in each bucket alone, with one above the last bound.
    Buckets { bounds: Vec<f64>, counts: Vec<u64>, count: u64, sum: f64 },
    /// Exponential buckets.
    Base2(Base2Histogram),
}

/// How histograms are collected.
#[derive(Clone, Copy, Debug)]
pub(super) struct HistogramStyle {
    pub(super) exponential: bool,
    /// Whether exponential buckets begin again with each collection.
    pub(super) taken: bool,
    /// Older exemplars have been told.
    pub(super) exemplars_since: u64,
}

/// The points of all series, in the order of the schema's metrics; what the schema does not know is left out.
pub(super) fn collect(series: &[Arc<ObservedSeries>], style: HistogramStyle) -> Vec<OtlpMetricData> {
    let of_row = |row: &'static OtlpMetric| {
        let own = series.iter().filter(|series| series.key.name() == row.metric);
        let points: Vec<_> = own.map(|series| point(row, series, style)).collect();
        (!points.is_empty()).then(|| OtlpMetricData { row, description: row.help(), points })
    };
    OTLP_METRICS.iter().filter_map(of_row).collect()
}

fn point(row: &OtlpMetric, series: &ObservedSeries, style: HistogramStyle) -> OtlpPoint {
    let mut exemplars = Vec::new();
    let value = match &series.value {
        ObservedValue::Counter(counter) => number(row, counter.value() as f64),
        ObservedValue::Gauge(gauge) => number(row, gauge.value()),
        ObservedValue::Histogram(histogram) => {
            exemplars = new_exemplars(row, histogram, style.exemplars_since);
            match style.exponential {
                true => OtlpValue::Base2(histogram.base2(style.taken)),
                false => explicit(row, histogram),
            }
        }
    };
    OtlpPoint { series: series.number, attributes: attributes(row, &series.key), value, exemplars }
}

fn number(row: &OtlpMetric, value: f64) -> OtlpValue {
    match row.kind {
        OtlpKind::Gauge => OtlpValue::Double(value / row.divisor),
        OtlpKind::ObservedSum => OtlpValue::Double(value / CPU_COUNTS_PER_SECOND),
        _ => OtlpValue::Integer(value as i64),
    }
}

fn explicit(row: &OtlpMetric, histogram: &ObservedHistogram) -> OtlpValue {
    let bounds = histogram.bounds().iter().map(|bound| bound / row.divisor).collect();
    let (counts, sum) = histogram.counts();
    OtlpValue::Buckets { bounds, count: counts.iter().sum(), counts, sum: sum / row.divisor }
}

fn new_exemplars(row: &OtlpMetric, histogram: &ObservedHistogram, since: u64) -> Vec<BucketExemplar> {
    let in_unit = |e: BucketExemplar| BucketExemplar { value: e.value / row.divisor, ..e };
    let new = histogram.exemplars().into_iter().flatten().filter(|exemplar| exemplar.time > since);
    new.map(in_unit).collect()
}

/// The labels as attributes, under their keys in OTLP.
fn attributes(row: &OtlpMetric, key: &Key) -> Vec<KeyValue> {
    let mut all: Vec<_> = row.fixed.iter().map(|(key, value)| KeyValue::new(*key, *value)).collect();
    for (label, value) in key.labels().map(|label| (label.key(), label.value())) {
        // Of a process that says what it runs, the one label that changes.
        let value = if (row.metric, label) == (names::BUILD_INFO, "version") { version() } else { value };
        if let Some(key) = row.key(label) {
            let number = INTEGER_KEYS.contains(&key).then(|| value.parse::<i64>().ok()).flatten();
            all.push(match number {
                Some(number) => KeyValue::new(key.to_owned(), number),
                None => KeyValue::new(key.to_owned(), value.to_owned()),
            });
        }
        if row.is_error(label, value) {
            all.push(KeyValue::new("error.type", value.to_owned()));
        }
    }
    all
}
