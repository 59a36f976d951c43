//! One series read at any time: how much came in a span of time, what it showed then.

use std::sync::Arc;

use super::series::{COARSE, StoredPoint, StoredSeries};
use super::value::{Histogram, PointValue};
use crate::console::percentile::{BucketCounts, PercentileBound};

const SECOND: u64 = 1_000_000_000;
/// A first point that counts since no longer than this before it tells what came; before, nobody watched.
const NEW_FOR: u64 = 90 * SECOND;
/// How long the last value of a series counts as its value, at least; otherwise three times its interval.
const STALE: u64 = 30 * SECOND;

/// What came between two points of a series, resets taken out.
#[derive(Debug)]
struct Increase {
    from: u64,
    to: u64,
    more: f64,
    /// What came in all increases before it, and of how many nanoseconds they tell.
    before: (f64, u64),
    /// By bucket, where they have the bounds of the newest point.
    buckets: Option<Box<[u64]>>,
}

impl Increase {
    /// What came until its end, and of how many nanoseconds points tell until then.
    fn after(&self) -> (f64, u64) {
        (self.before.0 + self.more, self.before.1 + (self.to - self.from))
    }
}

/// The points of a series from a time on. Times are nanoseconds since the epoch.
#[derive(Debug)]
pub(super) struct Timeline {
    /// In the order of time, without overlap.
    increases: Vec<Increase>,
    values: Vec<(u64, f64)>,
    bounds: Option<Arc<[f64]>>,
    /// Histograms without such bounds, each with whether it counts anew.
    exponential: Vec<(u64, bool, PointValue)>,
}

impl Timeline {
    /// Buckets are read only where they are asked for.
    pub(super) fn new(series: &StoredSeries, from: u64, with_buckets: bool) -> Self {
        let points = series.since(from);
        let last = series.latest().filter(|_| with_buckets);
        let bounds = last.and_then(|last| histogram(&last.value)).map(|last| last.bounds.clone());
        let mut before = points.first().and_then(|first| series.before(first.time));
        let mut increases: Vec<Increase> = Vec::with_capacity(points.len());
        for point in &points {
            if let Some(mut next) = increase(series, before, point, bounds.as_ref()) {
                next.before = increases.last().map_or((0.0, 0), Increase::after);
                increases.push(next);
            }
            before = Some(point);
        }
        let values = match series.latest().map(|last| &last.value) {
            Some(PointValue::Number(_)) => points.iter().map(|p| (p.time, p.value.counted())).collect(),
            _ => Vec::new(),
        };
        let exponential = points
            .iter()
            .filter(|point| with_buckets && matches!(point.value, PointValue::Exponential(_)))
            .map(|point| (point.time, point.fresh, point.value.clone()))
            .collect();
        Self { increases, values, bounds, exponential }
    }

    /// How much came until a time since the first point, and of how many nanoseconds points tell.
    fn until(&self, at: u64) -> (f64, u64) {
        let next = self.increases.partition_point(|increase| increase.from < at);
        let Some(last) = next.checked_sub(1).map(|last| &self.increases[last]) else { return (0.0, 0) };
        let (shared, whole) = (last.to.min(at) - last.from, last.to - last.from);
        (last.before.0 + last.more * shared as f64 / whole as f64, last.before.1 + shared)
    }

    /// How much came in `(from, to]`, and of how many nanoseconds of it points tell; nothing where none does.
    fn came(&self, from: u64, to: u64) -> Option<(f64, u64)> {
        let ((before, earlier), (after, later)) = (self.until(from), self.until(to));
        (later > earlier).then_some(((after - before).max(0.0), later - earlier))
    }

    /// How much came in `(from, to]`, as far as points tell of it; nothing where none does.
    pub(super) fn more(&self, from: u64, to: u64) -> Option<f64> {
        self.came(from, to).map(|(more, _)| more)
    }

    /// How much came a second in `(from, to]`, over the part of it that points tell of; nothing where none does.
    pub(super) fn rate(&self, from: u64, to: u64) -> Option<f64> {
        self.came(from, to).map(|(more, told)| more / (told as f64 / 1e9))
    }

    /// Since when points tell what came.
    pub(super) fn told_since(&self) -> Option<u64> {
        self.increases.first().map(|first| first.from)
    }

    /// The value at a time, if it was still sent then.
    pub(super) fn value(&self, at: u64) -> Option<f64> {
        let next = self.values.partition_point(|(time, _)| *time <= at);
        let (time, value) = *self.values.get(next.checked_sub(1)?)?;
        let interval = next.checked_sub(2).map_or(0, |before| time - self.values[before].0);
        (at - time <= STALE.max(3 * interval.min(COARSE.slot))).then_some(value)
    }

    /// Adds what its buckets got by points of `(from, to]`, where they have these bounds.
    fn add_buckets(&self, bounds: &Arc<[f64]>, from: u64, to: u64, sums: &mut [u64]) {
        if self.bounds.as_ref() != Some(bounds) {
            return;
        }
        let first = self.increases.partition_point(|increase| increase.to <= from);
        for increase in self.increases[first..].iter().take_while(|increase| increase.to <= to) {
            for (sum, more) in sums.iter_mut().zip(increase.buckets.iter().flatten()) {
                *sum = sum.saturating_add(*more);
            }
        }
    }

    /// What this percentile is of what exponential histograms counted in `(from, to]`.
    fn exponential(&self, from: u64, to: u64, percent: f64) -> Option<PercentileBound> {
        let until = |at: u64| self.exponential.partition_point(|(time, ..)| *time <= at);
        let (first, end) = (until(from), until(to));
        let (_, _, last) = self.exponential.get(first..end)?.last()?;
        let anew = self.exponential[first..end].iter().any(|(_, fresh, _)| *fresh);
        let before = first.checked_sub(1).filter(|_| !anew).map(|at| &self.exponential[at].2);
        last.percentile(before, percent / 100.0)
    }
}

/// What this percentile is of all that these counted in `(from, to]`. Buckets of the same bounds are added up; of others
/// and of exponential ones what holds for all together is told.
pub(super) fn percentile(of: &[&Timeline], from: u64, to: u64, percent: f64) -> Option<PercentileBound> {
    let mut seen: Vec<&Arc<[f64]>> = Vec::new();
    let mut explicit: Vec<BucketCounts> = Vec::new();
    for bounds in of.iter().filter_map(|one| one.bounds.as_ref()) {
        if seen.contains(&bounds) {
            continue;
        }
        seen.push(bounds);
        let mut sums = vec![0; bounds.len() + 1];
        of.iter().for_each(|one| one.add_buckets(bounds, from, to, &mut sums));
        explicit.push(cumulative(bounds, &sums));
    }
    let explicit: Vec<_> = explicit.iter().collect();
    let all = PercentileBound::of_buckets(&explicit, percent).into_iter();
    let mut all = all.chain(of.iter().filter_map(|one| one.exponential(from, to, percent)));
    let first = all.next()?;
    all.try_fold(first, PercentileBound::of_both)
}

/// Buckets as how many were at most each bound, and at last all.
fn cumulative(bounds: &[f64], buckets: &[u64]) -> BucketCounts {
    let ends = bounds.iter().copied().filter(|bound| bound.is_finite()).chain([f64::INFINITY]);
    let mut counted = 0_u64;
    let at_most = buckets.iter().map(|count| {
        counted = counted.saturating_add(*count);
        counted as f64
    });
    ends.zip(at_most).collect()
}

fn histogram(value: &PointValue) -> Option<&Arc<Histogram>> {
    match value {
        PointValue::Histogram(histogram) => Some(histogram),
        _ => None,
    }
}

/// What came up to a point; nothing where that is not known.
fn increase(
    series: &StoredSeries,
    before: Option<&StoredPoint>,
    point: &StoredPoint,
    bounds: Option<&Arc<[f64]>>,
) -> Option<Increase> {
    let base = before.and_then(|before| series.base(point, before));
    let from = match (base, before) {
        (Some(base), _) => base.time,
        // It began anew: all that it counts came after the point before.
        (None, Some(before)) => before.time.max(point.start),
        (None, None) => point.start.max(point.time.saturating_sub(NEW_FOR)),
    };
    let unknown = base.is_none() && before.is_none() && (point.start == 0 || point.start < from);
    if unknown || from >= point.time {
        return None;
    }
    let more = (point.value.counted() - base.map_or(0.0, |base| base.value.counted())).max(0.0);
    let buckets = bounds.filter(|_| more > 0.0).and_then(|bounds| {
        let now = histogram(&point.value).filter(|now| now.bounds == *bounds)?;
        let then = base.and_then(|base| histogram(&base.value));
        let count = |at: usize| then.and_then(|then| then.counts.get(at)).copied().unwrap_or(0);
        Some(now.counts.iter().enumerate().map(|(at, counted)| counted.saturating_sub(count(at))).collect())
    });
    Some(Increase { from, to: point.time, more, before: (0.0, 0), buckets })
}
