//! Percentiles of durations, no more exact than their source allows.
//!
//! Spans carry every duration, so theirs is one of them (nearest rank). Buckets only say between which
//! bounds a duration lies. Interpolating in them invents a number that the traces beside it may
//! contradict, so theirs is a bound.

use serde_json::{Value, json};

use super::attributes::double;

/// A histogram's upper bounds, ascending, each with how many observations were at most that.
/// The last bound is infinite.
pub(super) type BucketCounts = Vec<(f64, f64)>;

/// What buckets tell of a percentile, in the unit of their bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum PercentileBound {
    /// It is this or less.
    AtMost(f64),
    /// It is more than this.
    MoreThan(f64),
}

impl PercentileBound {
    /// Of all that several histograms counted, whose bounds may differ; nothing where they counted nothing.
    ///
    /// At any bound, each histogram has counted at least what stands at its own largest bound up to
    /// there. So no two are ever added bucket by bucket, and what comes out is true of all.
    pub(super) fn of_buckets(histograms: &[&BucketCounts], percent: f64) -> Option<Self> {
        let total: f64 = histograms.iter().filter_map(|buckets| buckets.last()).map(|last| last.1).sum();
        if total <= 0.0 {
            return None;
        }
        let rank = (total * percent / 100.0).ceil().max(1.0);
        let mut bounds: Vec<f64> =
            histograms.iter().flat_map(|buckets| buckets.iter().map(|b| b.0)).collect();
        bounds.retain(|bound| bound.is_finite());
        bounds.sort_unstable_by(f64::total_cmp);
        let counted = |bound: f64| histograms.iter().map(|buckets| up_to(buckets, bound)).sum::<f64>();
        if let Some(bound) = bounds.get(bounds.partition_point(|bound| counted(*bound) < rank)) {
            return Some(Self::AtMost(*bound));
        }
        // More lies beyond the bounds than may: certainly above the lowest of the places where one ends.
        histograms.iter().filter_map(|buckets| overflows(buckets)).min_by(f64::total_cmp).map(Self::MoreThan)
    }

    /// What holds for two groups together, of each of which one holds; nothing where one has a ceiling and the other a floor.
    pub(super) fn of_both(self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::AtMost(a), Self::AtMost(b)) => Some(Self::AtMost(a.max(b))),
            (Self::MoreThan(a), Self::MoreThan(b)) => Some(Self::MoreThan(a.min(b))),
            _ => None,
        }
    }

    /// `{"value":N,"bound":"at most"}`, or `"more than"`.
    pub(super) fn json(self) -> Value {
        match self {
            Self::AtMost(value) => json!({"value": double(value), "bound": "at most"}),
            Self::MoreThan(value) => json!({"value": double(value), "bound": "more than"}),
        }
    }
}

/// What is known of a 95th percentile.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Percentile {
    /// It is this, in nanoseconds, from so many spans.
    Exact(u64, usize),
    /// It is this or less, in seconds.
    AtMost(f64),
    /// It is more than this, in seconds.
    MoreThan(f64),
}

impl Percentile {
    /// Of durations in nanoseconds; nothing without any.
    pub(super) fn of_durations(mut nanos: Vec<u64>) -> Option<Self> {
        let count = nanos.len();
        let place = (count * 19).div_ceil(20).checked_sub(1)?;
        Some(Self::Exact(*nanos.select_nth_unstable(place).1, count))
    }

    /// Of all that several histograms counted, whose bounds are seconds; nothing without durations.
    pub(super) fn of_buckets(histograms: &[&BucketCounts]) -> Option<Self> {
        PercentileBound::of_buckets(histograms, 95.0).map(|bound| match bound {
            PercentileBound::AtMost(seconds) => Self::AtMost(seconds),
            PercentileBound::MoreThan(seconds) => Self::MoreThan(seconds),
        })
    }

    /// `{"ms":N,"bound":"exact","spans":N}`, or with `"at most"` or `"more than"` and without spans.
    pub(super) fn json(self) -> Value {
        match self {
            Self::Exact(nanos, spans) => json!({"ms": nanos as f64 / 1e6, "bound": "exact", "spans": spans}),
            Self::AtMost(seconds) => json!({"ms": seconds * 1e3, "bound": "at most"}),
            Self::MoreThan(seconds) => json!({"ms": seconds * 1e3, "bound": "more than"}),
        }
    }
}

/// How many were certainly at most this long.
fn up_to(buckets: &BucketCounts, bound: f64) -> f64 {
    buckets.iter().rfind(|bucket| bucket.0 <= bound).map_or(0.0, |bucket| bucket.1)
}

/// The largest finite bound, where durations lie beyond it.
fn overflows(buckets: &BucketCounts) -> Option<f64> {
    let (bound, counted) = buckets.iter().rfind(|bucket| bucket.0.is_finite())?;
    buckets.last().filter(|all| all.1 > *counted).map(|_| *bound)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const INF: f64 = f64::INFINITY;

    #[test]
    fn of_durations_it_is_one_of_them_and_never_one_in_between() {
        let exact = |nanos: Vec<u64>| Percentile::of_durations(nanos);
        assert_eq!(exact(vec![]), None);
        assert_eq!(exact(vec![803_000_000; 3]), Some(Percentile::Exact(803_000_000, 3)));
        assert_eq!(exact((1..=20).rev().collect()), Some(Percentile::Exact(19, 20)));
        assert_eq!(exact((1..=21).collect()), Some(Percentile::Exact(20, 21)));
        assert_eq!(exact((1..=100).collect()), Some(Percentile::Exact(95, 100)));
    }

    #[test]
    fn of_buckets_it_is_a_bound_and_not_a_place_in_between() {
        let of = |buckets: &BucketCounts| Percentile::of_buckets(&[buckets]);
        assert_eq!(of(&vec![(0.5, 0.0), (1.5, 10.0), (INF, 10.0)]), Some(Percentile::AtMost(1.5)));
        assert_eq!(of(&vec![(0.1, 95.0), (1.0, 100.0), (INF, 100.0)]), Some(Percentile::AtMost(0.1)));
        assert_eq!(of(&vec![(0.1, 94.0), (1.0, 100.0), (INF, 100.0)]), Some(Percentile::AtMost(1.0)));
        assert_eq!(of(&vec![(0.1, 94.0), (INF, 100.0)]), Some(Percentile::MoreThan(0.1)));
        assert_eq!(of(&vec![(0.1, 0.0), (INF, 0.0)]), None);
        assert_eq!((of(&vec![(INF, 3.0)]), of(&vec![])), (None, None));
    }

    #[test]
    fn two_histograms_with_different_bounds_are_not_added_bucket_by_bucket() {
        // 100 requests of at most 5 ms beside 10 messages of at most 10 ms.
        let requests = vec![(0.005, 100.0), (0.01, 100.0), (10.0, 100.0), (INF, 100.0)];
        let messages = vec![(0.01, 10.0), (0.1, 10.0), (15.0, 10.0), (INF, 10.0)];
        assert_eq!(Percentile::of_buckets(&[&requests, &messages]), Some(Percentile::AtMost(0.01)));
        let slow = vec![(0.01, 0.0), (15.0, 10.0), (INF, 10.0)];
        assert_eq!(Percentile::of_buckets(&[&requests, &slow]), Some(Percentile::AtMost(15.0)));
        // Half of all took longer than 0.1 s; how much longer than that nobody has counted.
        let beyond = vec![(0.1, 0.0), (INF, 100.0)];
        assert_eq!(Percentile::of_buckets(&[&requests, &beyond]), Some(Percentile::MoreThan(0.1)));
    }
}
