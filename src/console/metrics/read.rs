//! A data point of OTLP as a value, or why it is refused.

use opentelemetry_proto::tonic::common::v1::KeyValue;

use super::exponential::{Buckets, Exponential, MOST_BUCKETS, SCALES};
use super::value::{Counted, Histogram, Number, PointValue, Summary};
use crate::otlp::metric_fields::DataPoint;
use crate::otlp::points::{
    Exemplar, ExponentialBuckets, ExponentialPoint, HistogramPoint, NumberPoint, NumberValue, SummaryPoint,
};

/// `FLAG_NO_RECORDED_VALUE`: the series has ended, or was not measured.
const NO_VALUE: u32 = 1;
const ONE_SUM: &str = "the counts of the buckets must add up to the count";
const TOO_MANY: &str = "a histogram must not have more than 1024 buckets";

/// What every point has.
pub(super) struct PointParts {
    pub(super) time: u64,
    pub(super) start: u64,
    pub(super) attributes: Vec<KeyValue>,
    pub(super) exemplars: Vec<Exemplar>,
    /// Nothing where the point says that there is none.
    pub(super) value: Option<PointValue>,
}

/// A kind of data point.
pub(super) trait ReadPoint: DataPoint {
    /// Its parts, or why it is refused.
    fn parts(self) -> Result<PointParts, &'static str>;
}

impl ReadPoint for NumberPoint {
    fn parts(self) -> Result<PointParts, &'static str> {
        let Self { time, start, attributes, exemplars, value, flags } = self;
        let value = match value {
            _ if flags & NO_VALUE != 0 => None,
            Some(NumberValue::Int(number)) => Some(Number::Int(number)),
            Some(NumberValue::Double(number)) => Some(Number::Double(number)),
            None => return Err("a data point must have a value"),
        };
        Ok(PointParts { time, start, attributes, exemplars, value: value.map(PointValue::Number) })
    }
}

impl ReadPoint for HistogramPoint {
    fn parts(self) -> Result<PointParts, &'static str> {
        let Self { time, start, attributes, exemplars, count, sum, min, max, counts, bounds, flags } = self;
        let value = if flags & NO_VALUE != 0 {
            None
        } else {
            let (bounds, counts) = explicit(count, bounds, counts)?;
            let all = Counted { count, sum, min, max };
            Some(PointValue::Histogram(Histogram { all, bounds: bounds.into(), counts }.into()))
        };
        Ok(PointParts { time, start, attributes, exemplars, value })
    }
}

/// Bounds and counts that belong together. Without either it is a count and a sum.
fn explicit(count: u64, bounds: Vec<f64>, counts: Vec<u64>) -> Result<(Vec<f64>, Box<[u64]>), &'static str> {
    if counts.len() > MOST_BUCKETS {
        return Err(TOO_MANY);
    }
    if !(counts.is_empty() && bounds.is_empty()) && counts.len() != bounds.len() + 1 {
        return Err("a histogram must have one count more than it has bounds");
    }
    if !bounds.is_sorted_by(|a, b| a < b) || bounds.iter().any(|bound| bound.is_nan()) {
        return Err("the bounds of a histogram must ascend");
    }
    if !counts.is_empty() && added_up(&counts) != Some(count) {
        return Err(ONE_SUM);
    }
    Ok((bounds, counts.into()))
}

impl ReadPoint for ExponentialPoint {
    fn parts(self) -> Result<PointParts, &'static str> {
        let Self { time, start, flags, count, sum, min, max, scale, zero_threshold, .. } = self;
        let (attributes, exemplars, zero) = (self.attributes, self.exemplars, self.zero_count);
        let value = if flags & NO_VALUE != 0 {
            None
        } else if !SCALES.contains(&scale) {
            return Err("the scale of a histogram must be between -10 and 20");
        } else {
            let (positive, negative) = (buckets(self.positive)?, buckets(self.negative)?);
            let parts = [Some(zero), added_up(&positive.counts), added_up(&negative.counts)];
            if parts.into_iter().try_fold(0_u64, |sum, part| sum.checked_add(part?)) != Some(count) {
                return Err(ONE_SUM);
            }
            let all = Counted { count, sum, min, max };
            let histogram = Exponential { all, scale, zero, zero_threshold, positive, negative };
            Some(PointValue::Exponential(histogram.into()))
        };
        Ok(PointParts { time, start, attributes, exemplars, value })
    }
}

fn buckets(buckets: Option<ExponentialBuckets>) -> Result<Buckets, &'static str> {
    let ExponentialBuckets { offset, counts } = buckets.unwrap_or_default();
    if counts.len() > MOST_BUCKETS {
        return Err(TOO_MANY);
    }
    Ok(Buckets { offset, counts: counts.into() })
}

fn added_up(counts: &[u64]) -> Option<u64> {
    counts.iter().try_fold(0_u64, |sum, count| sum.checked_add(*count))
}

impl ReadPoint for SummaryPoint {
    fn parts(self) -> Result<PointParts, &'static str> {
        let Self { time, start, attributes, count, sum, quantiles, flags } = self;
        let quantiles: Box<[_]> = quantiles.iter().map(|q| (q.quantile, q.value)).collect();
        if quantiles.iter().any(|(share, _)| !(0.0..=1.0).contains(share)) {
            return Err("a quantile must be between 0 and 1");
        }
        let summary = PointValue::Summary(Summary { count, sum, quantiles }.into());
        let value = (flags & NO_VALUE == 0).then_some(summary);
        Ok(PointParts { time, start, attributes, exemplars: Vec::new(), value })
    }
}
