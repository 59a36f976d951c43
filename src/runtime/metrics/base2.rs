//! Base-2 exponential histogram (OpenTelemetry's metrics SDK, "Base2 Exponential Bucket Histogram
//! Aggregation"): buckets between powers of 2^(2^-scale), as fine as [`MOST_BUCKETS`] of them allow.

/// The specification's default.
const MOST_BUCKETS: i64 = 160;
/// The specification's default: the finest scale.
const FINEST: i32 = 20;

/// Counts of observations by exponential buckets. A value below zero counts as zero: the schema has no metric
/// with such values.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::runtime) struct Base2Histogram {
    /// Bucket `i` holds what is above `base^i` up to `base^(i + 1)`, with `base` = 2^(2^-scale).
    pub(in crate::runtime) scale: i32,
    /// The index of the first of `counts`.
    pub(in crate::runtime) offset: i32,
    /// From the first bucket in use to the last.
    pub(in crate::runtime) counts: Vec<u64>,
    /// Observations of zero.
    pub(in crate::runtime) zero: u64,
    /// All observations.
    pub(in crate::runtime) count: u64,
    /// Their sum.
    pub(in crate::runtime) sum: f64,
    /// The least and the largest one; infinite before the first.
    pub(in crate::runtime) range: (f64, f64),
}

impl Default for Base2Histogram {
    fn default() -> Self {
        let range = (f64::INFINITY, f64::NEG_INFINITY);
        Self { scale: FINEST, offset: 0, counts: Vec::new(), zero: 0, count: 0, sum: 0.0, range }
    }
}

impl Base2Histogram {
    /// Counts a finite value; any other is ignored.
    pub(super) fn record(&mut self, value: f64) {
        if !value.is_finite() {
            return;
        }
        self.count += 1;
        self.sum += value;
        self.range = (self.range.0.min(value), self.range.1.max(value));
        if value <= 0.0 {
            self.zero += 1;
            return;
        }
        let index = self.make_room(value);
        let at = usize::try_from(index - i64::from(self.offset)).unwrap_or_default();
        if let Some(count) = self.counts.get_mut(at) {
            *count += 1;
        }
    }

    /// The index of the bucket of `value`, which exists afterwards, at a coarser scale where it has to be.
    fn make_room(&mut self, value: f64) -> i64 {
        let mut index = index(value, self.scale);
        if self.counts.is_empty() {
            self.offset = as_index(index);
            self.counts.push(0);
            return index;
        }
        let (mut low, mut high) = self.ends(index);
        while high - low >= MOST_BUCKETS {
            self.coarsen();
            index >>= 1;
            (low, high) = self.ends(index);
        }
        let before = usize::try_from(i64::from(self.offset) - low).unwrap_or_default();
        self.counts.splice(0..0, std::iter::repeat_n(0, before));
        self.offset = as_index(low);
        self.counts.resize(usize::try_from(high - low + 1).unwrap_or_default(), 0);
        index
    }

    /// The first and the last bucket, were there one at `index` too.
    fn ends(&self, index: i64) -> (i64, i64) {
        let first = i64::from(self.offset);
        let last = first + i64::try_from(self.counts.len()).unwrap_or_default() - 1;
        (first.min(index), last.max(index))
    }

    /// Makes one bucket of each two.
    fn coarsen(&mut self) {
        let first = i64::from(self.offset) >> 1;
        let mut merged: Vec<u64> = Vec::with_capacity(self.counts.len() / 2 + 1);
        for (index, count) in (i64::from(self.offset)..).zip(&self.counts) {
            match merged.get_mut(usize::try_from((index >> 1) - first).unwrap_or_default()) {
                Some(bucket) => *bucket += count,
                None => merged.push(*count),
            }
        }
        self.counts = merged;
        self.offset = as_index(first);
        self.scale -= 1;
    }
}

/// Indices of finite values at the finest scale are below 2^31.
fn as_index(index: i64) -> i32 {
    i32::try_from(index).unwrap_or_default()
}

/// The bucket of a value above zero.
fn index(value: f64, scale: i32) -> i64 {
    let bits = value.to_bits();
    let fraction = bits & ((1 << 52) - 1);
    // What is below the normal numbers counts with the smallest of them.
    let exponent = i64::try_from(bits >> 52).unwrap_or_default().max(1) - 1023;
    // An upper bound belongs to the bucket below it: powers of two are bounds at every scale.
    if fraction == 0 || bits >> 52 == 0 {
        return if scale > 0 { (exponent << scale) - 1 } else { (exponent - 1) >> -scale };
    }
    if scale <= 0 {
        return exponent >> -scale;
    }
    // The logarithm may be off by its last bit: the power of two below the value is not.
    let (least, most) = (exponent << scale, ((exponent + 1) << scale) - 1);
    let index = (value.log2() * f64::from(1 << scale)).ceil() as i64 - 1;
    index.clamp(least, most)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f64]) -> Base2Histogram {
        let mut histogram = Base2Histogram::default();
        values.iter().for_each(|value| histogram.record(*value));
        histogram
    }

    /// The lower and the upper bound of a bucket.
    fn bounds(histogram: &Base2Histogram, at: usize) -> (f64, f64) {
        let power = |index: i64| ((index as f64) * 2f64.powi(-histogram.scale)).exp2();
        let index = i64::from(histogram.offset) + at as i64;
        (power(index), power(index + 1))
    }

    #[test]
    fn powers_of_two_are_upper_bounds_at_every_scale() {
        for (value, scale, expected) in [
            (1.0, 0, -1),
            (1.5, 0, 0),
            (2.0, 0, 0),
            (2.1, 0, 1),
            (1.0, 3, -1),
            (2.0, 3, 7),
            (4.0, -1, 0),
            (4.1, -1, 1),
            (0.25, -1, -2),
            (f64::MIN_POSITIVE, 0, -1023),
            (f64::MIN_POSITIVE / 8.0, 0, -1023),
            (f64::MAX, 20, (1024 << 20) - 1),
        ] {
            assert_eq!(index(value, scale), expected, "{value} {scale}");
        }
    }

    #[test]
    fn every_value_is_in_its_bucket_whatever_the_order_and_buckets_are_no_more_than_160() {
        let mut values: Vec<f64> = (0..5000).map(|n| 1e-4 * 1.003f64.powi(n * 7 % 5000)).collect();
        for _ in 0..2 {
            let histogram = of(&values);
            assert!(histogram.counts.len() <= 160 && histogram.counts.len() > 80, "{histogram:?}");
            assert_eq!((histogram.count, histogram.counts.iter().sum::<u64>()), (5000, 5000));
            for (at, count) in histogram.counts.iter().enumerate() {
                let (low, high) = bounds(&histogram, at);
                // One in 10^12 for what the test's own powers are off.
                let inside =
                    values.iter().filter(|v| **v > low * (1.0 + 1e-12) && **v <= high * (1.0 + 1e-12));
                assert_eq!(inside.count() as u64, *count, "{low} {high}");
            }
            values.reverse();
        }
    }

    #[test]
    fn one_value_has_the_finest_scale_and_two_far_apart_a_coarse_one() {
        let one = of(&[0.1, 0.1]);
        assert_eq!((one.scale, &one.counts[..], one.sum, one.range), (20, &[2][..], 0.2, (0.1, 0.1)));
        let (low, high) = bounds(&one, 0);
        assert!(low < 0.1 && 0.1 <= high * (1.0 + 1e-12), "{low} {high}");
        let far = of(&[f64::MIN_POSITIVE, f64::MAX]);
        assert!(far.scale < -3 && far.counts.len() <= 160, "{far:?}");
        assert_eq!(far.counts.iter().sum::<u64>(), 2);
    }

    #[test]
    fn zeros_are_counted_apart_and_what_is_no_number_not_at_all() {
        let histogram = of(&[0.0, f64::NAN, f64::INFINITY, 3.0]);
        assert_eq!(
            (histogram.zero, histogram.count, histogram.sum, histogram.range),
            (1, 2, 3.0, (0.0, 3.0))
        );
        assert_eq!(histogram.counts, [1]);
    }
}
