//! What a data point says.

use std::mem::size_of;
use std::sync::Arc;

use serde_json::{Value, json};

use super::exponential::Exponential;
use crate::console::attributes::double;
use crate::console::percentile::PercentileBound;

/// A number, with the type that it was sent with: a counter beyond 2^53 keeps its digits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Int(i64),
    Double(f64),
}

impl Number {
    pub(super) fn as_f64(self) -> f64 {
        match self {
            Self::Int(number) => number as f64,
            Self::Double(number) => number,
        }
    }

    /// Whole as long as both are and the sum fits.
    fn plus(self, other: Self) -> Self {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) if a.checked_add(b).is_some() => Self::Int(a + b),
            _ => Self::Double(self.as_f64() + other.as_f64()),
        }
    }

    pub(super) fn json(self) -> Value {
        match self {
            Self::Int(number) => json!(number),
            Self::Double(number) => double(number),
        }
    }
}

/// How many were counted, and what is known of all of them together.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Counted {
    pub(super) count: u64,
    pub(super) sum: Option<f64>,
    pub(super) min: Option<f64>,
    pub(super) max: Option<f64>,
}

impl Counted {
    pub(super) fn plus(&self, more: &Self) -> Self {
        let both = |a: Option<f64>, b: Option<f64>, pick: fn(f64, f64) -> f64| Some(pick(a?, b?));
        Self {
            count: self.count.saturating_add(more.count),
            sum: both(self.sum, more.sum, |a, b| a + b),
            min: both(self.min, more.min, f64::min),
            max: both(self.max, more.max, f64::max),
        }
    }
}

/// A histogram with explicit bounds, each the upper one of its bucket; one more bucket lies beyond the last.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Histogram {
    pub(super) all: Counted,
    pub(super) bounds: Arc<[f64]>,
    /// One more than the bounds, or none.
    pub(super) counts: Box<[u64]>,
}

impl Histogram {
    /// Without bounds there may be one bucket or none.
    fn same_buckets(&self, other: &Self) -> bool {
        self.bounds == other.bounds && self.counts.len() == other.counts.len()
    }

    /// What both counted; nothing where their buckets differ.
    fn plus(&self, more: &Self) -> Option<Self> {
        let counts = self
            .same_buckets(more)
            .then(|| self.counts.iter().zip(&more.counts).map(|(a, b)| a.saturating_add(*b)).collect())?;
        Some(Self { all: self.all.plus(&more.all), bounds: self.bounds.clone(), counts })
    }

    /// The bound that so large a share of what came after `earlier` does not exceed.
    fn percentile(&self, earlier: Option<&Self>, share: f64) -> Option<PercentileBound> {
        let before = |at: usize| earlier.and_then(|earlier| earlier.counts.get(at)).copied().unwrap_or(0);
        let since: Vec<u64> =
            self.counts.iter().enumerate().map(|(at, count)| count.saturating_sub(before(at))).collect();
        let at = rank(&since, share)?;
        self.bounds
            .get(at)
            .map(|bound| PercentileBound::AtMost(*bound))
            .or_else(|| self.bounds.last().map(|bound| PercentileBound::MoreThan(*bound)))
    }
}

/// In which of the buckets the percentile lies; nothing where all are empty.
pub(super) fn rank(counts: &[u64], share: f64) -> Option<usize> {
    let total: u64 = counts.iter().fold(0, |sum, count| sum.saturating_add(*count));
    let wanted = ((total as f64 * share).ceil() as u64).max(1);
    let mut counted = 0_u64;
    counts.iter().position(|count| {
        counted = counted.saturating_add(*count);
        counted >= wanted
    })
}

/// A count and sum with quantiles that the program itself computed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Summary {
    pub(super) count: u64,
    pub(super) sum: f64,
    /// Each a share of 0 to 1 and its value.
    pub(super) quantiles: Box<[(f64, f64)]>,
}

/// The value of a point; large ones are shared by fine and coarse points.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum PointValue {
    Number(Number),
    Histogram(Arc<Histogram>),
    Exponential(Arc<Exponential>),
    Summary(Arc<Summary>),
}

impl PointValue {
    /// This and a delta together; nothing where they cannot be added, as after a change of bounds.
    pub(super) fn plus(&self, delta: &Self) -> Option<Self> {
        Some(match (self, delta) {
            (Self::Number(a), Self::Number(b)) => Self::Number(a.plus(*b)),
            (Self::Histogram(a), Self::Histogram(b)) => Self::Histogram(a.plus(b)?.into()),
            (Self::Exponential(a), Self::Exponential(b)) => Self::Exponential(a.plus(b).into()),
            _ => return None,
        })
    }

    /// What only grows: a counter's value, a histogram's count.
    pub(super) fn counted(&self) -> f64 {
        match self {
            Self::Number(number) => number.as_f64(),
            Self::Histogram(histogram) => histogram.all.count as f64,
            Self::Exponential(histogram) => histogram.all.count as f64,
            Self::Summary(summary) => summary.count as f64,
        }
    }

    /// Whether this can be a later state of what `earlier` counts.
    pub(super) fn continues(&self, earlier: &Self) -> bool {
        let same_buckets = match (self, earlier) {
            (Self::Histogram(now), Self::Histogram(then)) => now.same_buckets(then),
            (Self::Exponential(now), Self::Exponential(then)) => now.scale <= then.scale,
            _ => true,
        };
        same_buckets && self.counted() >= earlier.counted()
    }

    /// A percentile of what was measured after `earlier`, or since the beginning.
    pub(super) fn percentile(&self, earlier: Option<&Self>, share: f64) -> Option<PercentileBound> {
        match (self, earlier) {
            (Self::Histogram(now), Some(Self::Histogram(then))) => now.percentile(Some(then), share),
            (Self::Histogram(now), _) => now.percentile(None, share),
            (Self::Exponential(now), Some(Self::Exponential(then))) => now.percentile(Some(then), share),
            (Self::Exponential(now), _) => now.percentile(None, share),
            _ => None,
        }
    }

    /// Bytes beyond its own struct.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Number(_) => 0,
            Self::Histogram(histogram) => {
                size_of::<Histogram>() + 16 + 8 * (histogram.counts.len() + histogram.bounds.len())
            }
            Self::Exponential(histogram) => 16 + histogram.weight(),
            Self::Summary(summary) => size_of::<Summary>() + 16 + 16 * summary.quantiles.len(),
        }
    }
}
