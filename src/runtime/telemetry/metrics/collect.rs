//! Data points out of a page of `/metrics`, so that both say the same numbers.

use opentelemetry::KeyValue;

use crate::exposition::{MetricFamily, MetricSample, families};
use crate::runtime::metrics::{Base2Histogram, BucketExemplar, Histograms};
use crate::schema::{INTEGER_KEYS, OtlpKind, OtlpMetric};

/// One metric with its points.
#[derive(Debug)]
pub(super) struct OtlpMetricData {
    pub(super) row: &'static OtlpMetric,
    pub(super) description: String,
    pub(super) points: Vec<OtlpPoint>,
}

/// One point of a series.
#[derive(Clone, Debug)]
pub(super) struct OtlpPoint {
    /// The series on the page, which tells it apart.
    pub(super) series: String,
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

/// The points of a page, in the order of the schema's families on it; what the schema does not know is left out.
pub(super) fn collect(page: &str, histograms: &Histograms, style: HistogramStyle) -> Vec<OtlpMetricData> {
    let known = families(page).into_iter().filter_map(|family| Some((OtlpMetric::of(family.name)?, family)));
    known
        .map(|(row, family)| OtlpMetricData {
            row,
            description: family.help.replace("\\n", "\n").replace("\\\\", "\\"),
            points: match row.kind {
                OtlpKind::Histogram => histogram_points(row, &family, histograms, style),
                _ => family.lines.iter().filter_map(|line| number_point(row, line)).collect(),
            },
        })
        .collect()
}

fn number_point(row: &OtlpMetric, line: &str) -> Option<OtlpPoint> {
    let sample = MetricSample::parse(line)?;
    let value = match row.kind {
        OtlpKind::Gauge => OtlpValue::Double(sample.value / row.divisor),
        _ => OtlpValue::Integer(sample.value as i64),
    };
    let (series, attributes) = (series_of(line), attributes(row, &sample));
    Some(OtlpPoint { series, attributes, value, exemplars: Vec::new() })
}

fn series_of(line: &str) -> String {
    line.rsplit_once(' ').map_or(line, |(series, _)| series).to_owned()
}

/// A page has the buckets of a series in order, cumulative, then its sum, then its count.
fn histogram_points(
    row: &OtlpMetric,
    family: &MetricFamily<'_>,
    histograms: &Histograms,
    style: HistogramStyle,
) -> Vec<OtlpPoint> {
    let (mut points, mut buckets, mut sum) = (Vec::new(), Vec::new(), 0.0);
    for line in &family.lines {
        let Some(sample) = MetricSample::parse(line) else { continue };
        if sample.name.ends_with("_bucket") {
            buckets.push(sample);
        } else if sample.name.ends_with("_sum") {
            sum = sample.value / row.divisor;
        } else if let Some(first) = buckets.first() {
            let observed = histograms.of_bucket(first);
            let mut point = OtlpPoint {
                series: series_of(line),
                attributes: attributes(row, &sample),
                value: explicit(row, &buckets, sample.value as u64, sum),
                exemplars: Vec::new(),
            };
            if let Some(observed) = observed {
                let new = |exemplar: &BucketExemplar| exemplar.time > style.exemplars_since;
                let in_unit = |e: BucketExemplar| BucketExemplar { value: e.value / row.divisor, ..e };
                let exemplars = observed.exemplars().into_iter().flatten();
                point.exemplars = exemplars.filter(new).map(in_unit).collect();
                if style.exponential {
                    point.value = OtlpValue::Base2(observed.base2(style.taken));
                }
            }
            points.push(point);
            buckets.clear();
        }
    }
    points
}

fn explicit(row: &OtlpMetric, buckets: &[MetricSample<'_>], count: u64, sum: f64) -> OtlpValue {
    let bounds = buckets.iter().filter_map(|bucket| bucket.label("le").parse::<f64>().ok());
    let bounds = bounds.filter(|bound| bound.is_finite()).map(|bound| bound / row.divisor).collect();
    let mut before = 0;
    let alone = |bucket: &MetricSample<'_>| {
        let all = bucket.value as u64;
        all.saturating_sub(std::mem::replace(&mut before, all))
    };
    OtlpValue::Buckets { bounds, counts: buckets.iter().map(alone).collect(), count, sum }
}

/// The labels as attributes, under their keys in OTLP.
fn attributes(row: &OtlpMetric, sample: &MetricSample<'_>) -> Vec<KeyValue> {
    let mut all: Vec<_> = row.fixed.iter().map(|(key, value)| KeyValue::new(*key, *value)).collect();
    for (label, value) in sample.labels.iter().filter(|(label, _)| *label != "le") {
        if let Some(key) = row.key(label) {
            let number = INTEGER_KEYS.contains(&key).then(|| value.parse::<i64>().ok()).flatten();
            all.push(match number {
                Some(number) => KeyValue::new(key.to_owned(), number),
                None => KeyValue::new(key.to_owned(), value.clone().into_owned()),
            });
        }
        if row.is_error(label, value) {
            all.push(KeyValue::new("error.type", value.clone().into_owned()));
        }
    }
    all
}
