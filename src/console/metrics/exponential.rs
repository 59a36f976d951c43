//! Histograms whose bounds are the powers of a base: bucket `i` holds what is above base^i and at most
//! base^(i+1), and the base is 2^(2^-scale). One scale less joins every two buckets.

use std::mem::size_of;

use super::value::{Counted, PercentileBound, rank};

/// Most buckets of one sign. A sum of two histograms that would have more gets a smaller scale.
pub(super) const MOST_BUCKETS: usize = 1_024;

/// Neighbouring buckets of one sign, from `offset` on.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Buckets {
    pub(super) offset: i32,
    pub(super) counts: Box<[u64]>,
}

impl Buckets {
    /// Where the first bucket is and where the last one ends.
    fn range(&self) -> Option<(i64, i64)> {
        let first = i64::from(self.offset);
        (!self.counts.is_empty()).then(|| (first, first + self.counts.len() as i64))
    }

    fn of(&self, index: i64) -> u64 {
        let at = usize::try_from(index - i64::from(self.offset)).ok();
        at.and_then(|at| self.counts.get(at)).copied().unwrap_or(0)
    }

    /// The same at a scale that is smaller by so much.
    fn coarser(&self, by: u32) -> Self {
        let Some((first, end)) = self.range().filter(|_| by > 0) else { return self.clone() };
        let by = by.min(62);
        let low = first >> by;
        let length = usize::try_from(((end - 1) >> by) - low + 1).unwrap_or(0);
        let mut counts = vec![0_u64; length];
        for (index, count) in (first..).zip(&self.counts) {
            let place = usize::try_from((index >> by) - low).unwrap_or(0);
            counts[place] = counts[place].saturating_add(*count);
        }
        Self { offset: i32::try_from(low).unwrap_or(i32::MIN), counts: counts.into() }
    }

    /// Where both together begin and how many they are.
    fn span(&self, other: &Self) -> (i64, usize) {
        let ranges = [self.range(), other.range()];
        let low = ranges.iter().flatten().map(|range| range.0).min().unwrap_or(0);
        let end = ranges.iter().flatten().map(|range| range.1).max().unwrap_or(0);
        (low, usize::try_from(end - low).unwrap_or(0))
    }

    fn plus(&self, more: &Self) -> Self {
        let (low, length) = self.span(more);
        let sum = (low..).take(length).map(|index| self.of(index).saturating_add(more.of(index)));
        Self { offset: i32::try_from(low).unwrap_or(i32::MIN), counts: sum.collect() }
    }

    fn since(&self, earlier: &Self) -> Self {
        let counts = (i64::from(self.offset)..).zip(&self.counts);
        let counts = counts.map(|(index, count)| count.saturating_sub(earlier.of(index))).collect();
        Self { offset: self.offset, counts }
    }
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
        loop {
            let (a, b) = (self.at(scale), more.at(scale));
            let most = a.positive.span(&b.positive).1.max(a.negative.span(&b.negative).1);
            if most > MOST_BUCKETS && scale > i32::MIN {
                scale -= 1;
                continue;
            }
            return Self {
                all: a.all.plus(&b.all),
                scale,
                zero: a.zero.saturating_add(b.zero),
                zero_threshold: a.zero_threshold.max(b.zero_threshold),
                positive: a.positive.plus(&b.positive),
                negative: a.negative.plus(&b.negative),
            };
        }
    }

    /// The same at a scale that is not larger.
    fn at(&self, scale: i32) -> Self {
        let by = u32::try_from(i64::from(self.scale) - i64::from(scale)).unwrap_or(0);
        let (positive, negative) = (self.positive.coarser(by), self.negative.coarser(by));
        Self { scale, positive, negative, ..self.clone() }
    }

    /// The bound that so large a share of what came after `earlier` does not exceed.
    pub(super) fn percentile(&self, earlier: Option<&Self>, share: f64) -> Option<PercentileBound> {
        let earlier = earlier.map(|earlier| earlier.at(self.scale)).unwrap_or_default();
        let (positive, negative) =
            (self.positive.since(&earlier.positive), self.negative.since(&earlier.negative));
        // From the smallest value to the largest.
        let below = negative.counts.iter().rev();
        let zero = self.zero.saturating_sub(earlier.zero);
        let counts: Vec<u64> = below.chain([&zero]).chain(&positive.counts).copied().collect();
        let at = rank(&counts, share)?;
        let (below, middle) = (negative.counts.len(), negative.counts.len());
        let bound = if at < below {
            -self.power(i64::from(negative.offset) + (below - 1 - at) as i64)
        } else if at == middle {
            self.zero_threshold
        } else {
            self.power(i64::from(positive.offset) + (at - middle) as i64)
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
