//! Histograms whose bounds are the powers of a base: bucket `i` holds what is above base^i and at most
//! base^(i+1), and the base is 2^(2^-scale). One scale less joins every two buckets.

use std::cmp::Ordering;
use std::mem::size_of;
use std::ops::RangeInclusive;

use super::value::{Counted, rank};
use crate::console::percentile::PercentileBound;

/// Most buckets of one sign. A sum of two histograms that would have more gets a smaller scale.
pub(super) const MOST_BUCKETS: usize = 1_024;
/// The scales that are taken: all that OpenTelemetry's SDKs send. Sums may have smaller ones.
pub(super) const SCALES: RangeInclusive<i32> = -10..=20;

/// Neighbouring buckets of one sign, from `offset` on.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Buckets {
    pub(super) offset: i32,
    pub(super) counts: Box<[u64]>,
}

impl Buckets {
    /// Where the first bucket is and where the last one ends, at a scale that is smaller by so much.
    fn range(&self, by: u32) -> Option<(i64, i64)> {
        let (by, first) = (by.min(62), i64::from(self.offset));
        let last = first + self.counts.len() as i64 - 1;
        (!self.counts.is_empty()).then(|| (first >> by, (last >> by) + 1))
    }

    fn of(&self, index: i64) -> u64 {
        let at = usize::try_from(index - i64::from(self.offset)).ok();
        at.and_then(|at| self.counts.get(at)).copied().unwrap_or(0)
    }

    /// The same at a scale that is smaller by so much.
    fn coarser(&self, by: u32) -> Self {
        let Some((low, end)) = self.range(by).filter(|_| by > 0) else { return self.clone() };
        let mut counts = vec![0_u64; usize::try_from(end - low).unwrap_or(0)];
        for (index, count) in (i64::from(self.offset)..).zip(&self.counts) {
            let place = usize::try_from((index >> by.min(62)) - low).unwrap_or(0);
            counts[place] = counts[place].saturating_add(*count);
        }
        Self { offset: i32::try_from(low).unwrap_or(i32::MIN), counts: counts.into() }
    }

    fn plus(&self, more: &Self) -> Self {
        let (low, length) = together([self.range(0), more.range(0)]);
        let sum = (low..).take(length).map(|index| self.of(index).saturating_add(more.of(index)));
        Self { offset: i32::try_from(low).unwrap_or(i32::MIN), counts: sum.collect() }
    }

    fn since(&self, earlier: &Self) -> Self {
        let counts = (i64::from(self.offset)..).zip(&self.counts);
        let counts = counts.map(|(index, count)| count.saturating_sub(earlier.of(index))).collect();
        Self { offset: self.offset, counts }
    }
}

/// Where several ranges together begin and how many buckets they are.
fn together(ranges: [Option<(i64, i64)>; 2]) -> (i64, usize) {
    let low = ranges.iter().flatten().map(|range| range.0).min().unwrap_or(0);
    let end = ranges.iter().flatten().map(|range| range.1).max().unwrap_or(0);
    (low, usize::try_from(end - low).unwrap_or(0))
}

/// One such histogram.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Exponential {
    pub(super) all: Counted,
    pub(super) scale: i32,
    /// How many were within `zero_threshold` of zero.
    pub(super) zero: u64,
    pub(super) zero_threshold: f64,
    pub(super) positive: Buckets,
    pub(super) negative: Buckets,
}

impl Exponential {
    /// What both counted, at a scale that suits both and keeps the buckets few.
    pub(super) fn plus(&self, more: &Self) -> Self {
        let mut scale = self.scale.min(more.scale);
        let (a, b) = loop {
            let (a, b) = (self.down_to(scale), more.down_to(scale));
            let signs = [(&self.positive, &more.positive), (&self.negative, &more.negative)];
            let few = |(of_a, of_b): (&Buckets, &Buckets)| {
                together([of_a.range(a), of_b.range(b)]).1 <= MOST_BUCKETS
            };
            // Ends: 32 scales further down every index is 0 or -1.
            if signs.into_iter().all(few) {
                break (a, b);
            }
            scale -= 1;
        };
        Self {
            all: self.all.plus(&more.all),
            scale,
            zero: self.zero.saturating_add(more.zero),
            zero_threshold: self.zero_threshold.max(more.zero_threshold),
            positive: self.positive.coarser(a).plus(&more.positive.coarser(b)),
            negative: self.negative.coarser(a).plus(&more.negative.coarser(b)),
        }
    }

    /// By how much its scale exceeds a smaller one.
    fn down_to(&self, scale: i32) -> u32 {
        u32::try_from(i64::from(self.scale) - i64::from(scale)).unwrap_or(0)
    }

    /// The bound that so large a share of what came after `earlier` does not exceed.
    pub(super) fn percentile(&self, earlier: Option<&Self>, share: f64) -> Option<PercentileBound> {
        let since = |now: &Buckets, of: fn(&Self) -> &Buckets| {
            earlier.map_or_else(
                || now.clone(),
                |earlier| now.since(&of(earlier).coarser(earlier.down_to(self.scale))),
            )
        };
        let positive = since(&self.positive, |histogram| &histogram.positive);
        let negative = since(&self.negative, |histogram| &histogram.negative);
        // From the smallest value to the largest.
        let below = negative.counts.iter().rev();
        let zero = self.zero.saturating_sub(earlier.map_or(0, |earlier| earlier.zero));
        let counts: Vec<u64> = below.chain([&zero]).chain(&positive.counts).copied().collect();
        let at = rank(&counts, share)?;
        let middle = negative.counts.len();
        let bound = match at.cmp(&middle) {
            Ordering::Less => -self.power(i64::from(negative.offset) + (middle - 1 - at) as i64),
            Ordering::Equal => self.zero_threshold,
            Ordering::Greater => self.power(i64::from(positive.offset) + (at - middle) as i64),
        };
        Some(PercentileBound::AtMost(bound))
    }

    /// The lower bound of the bucket with this index.
    pub(super) fn power(&self, index: i64) -> f64 {
        (index as f64 * (-f64::from(self.scale)).exp2()).exp2()
    }

    pub(super) fn weight(&self) -> usize {
        size_of::<Self>() + 8 * (self.positive.counts.len() + self.negative.counts.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(scale: i32, offset: i32, counts: &[u64]) -> Exponential {
        let count = counts.iter().sum();
        Exponential {
            all: Counted { count, ..Counted::default() },
            scale,
            positive: Buckets { offset, counts: counts.into() },
            ..Exponential::default()
        }
    }

    #[test]
    fn two_of_different_scales_add_up_at_the_smaller_one_and_no_count_is_lost() {
        // At scale 1 the bounds are powers of the square root of 2; at scale 0 they are powers of 2.
        let sum = of(1, -3, &[1, 2, 3, 4, 5]).plus(&of(0, 3, &[7]));
        // Indexes -3..=1 become -2, -1, -1, 0, 0.
        assert_eq!((sum.scale, sum.positive.offset), (0, -2));
        assert_eq!(*sum.positive.counts, [1, 5, 9, 0, 0, 7]);
        assert_eq!(sum.all.count, 22);
    }

    #[test]
    fn buckets_far_apart_are_joined_until_they_are_few() {
        let sum = of(20, i32::MIN, &[1]).plus(&of(20, i32::MAX, &[2]));
        assert!(sum.positive.counts.len() <= MOST_BUCKETS, "{}", sum.positive.counts.len());
        assert_eq!(sum.positive.counts.iter().sum::<u64>(), 3);
    }

    #[test]
    fn the_buckets_of_any_two_that_are_taken_stay_few() {
        for (a, b) in [(*SCALES.start(), *SCALES.end()), (*SCALES.start(), *SCALES.start())] {
            let mut sum = of(a, i32::MIN, &[1; MOST_BUCKETS]).plus(&of(b, i32::MAX, &[1; MOST_BUCKETS]));
            sum = sum.plus(&of(b, 0, &[1; MOST_BUCKETS]));
            assert!(sum.positive.counts.len() <= MOST_BUCKETS, "{}", sum.positive.counts.len());
            assert_eq!(sum.positive.counts.iter().sum::<u64>(), 3 * MOST_BUCKETS as u64);
        }
    }

    #[test]
    fn a_percentile_is_the_upper_bound_of_its_bucket_on_either_side_of_zero() {
        let mut histogram = of(0, 0, &[50, 50]);
        let at_most = |histogram: &Exponential, share| histogram.percentile(None, share);
        assert_eq!(at_most(&histogram, 0.5), Some(PercentileBound::AtMost(2.0)));
        assert_eq!(at_most(&histogram, 0.51), Some(PercentileBound::AtMost(4.0)));
        (histogram.zero, histogram.zero_threshold) = (100, 0.25);
        histogram.negative = Buckets { offset: 1, counts: [100, 100].into() };
        // -8 to -4, -4 to -2, about zero, 1 to 2, 2 to 4.
        let found = [0.1, 0.5, 0.75, 0.8, 1.0].map(|share| at_most(&histogram, share));
        assert_eq!(found, [-4.0, -2.0, 0.25, 2.0, 4.0].map(|bound| Some(PercentileBound::AtMost(bound))));
        assert_eq!(at_most(&Exponential::default(), 0.5), None);
        assert_eq!(of(1, 0, &[5]).percentile(Some(&of(1, 0, &[5])), 0.5), None);
    }
}
