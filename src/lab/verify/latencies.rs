//! The claim that latencies lie in the buckets in which their spans lie.
//!
//! The histogram is measured within the span of the same request, so it never says more than the span does: that side
//! holds exactly. The span ends when the answer is written, which a busy machine may delay: that side is red where it is off
//! for most. Both are said of numbers of requests at or below each bound, which hold also where a sampler or a loss
//! left only some of the spans.

use std::collections::BTreeMap;

use super::claim::{Claim, Flaws};
use super::counts::{CountedSource, shown};
use crate::lab::backend::count::{CountKey, LatencyBuckets};
use crate::schema::names;

/// Durations of SERVER spans in nanoseconds, under the key of the series that counts their requests.
pub(super) type SpanLatencies = BTreeMap<CountKey, Vec<u64>>;

/// A span this close below a bound, in nanoseconds, is on neither side: its clock is not the histogram's.
const CLOCKS: u64 = 100_000;
/// By so much an answer may be written late, in nanoseconds, beside as long again as the bound.
const LATE: u64 = 5_000_000;

/// So few say nothing.
const FEW: usize = 2;

/// The row; none where there are no buckets, or no spans.
pub(super) fn claim(counted: &CountedSource<'_>, spans: &SpanLatencies) -> Option<Claim> {
    let (mut flaws, mut all, mut compared) = (Flaws::default(), 0, 0);
    let (mut late, mut long) = (0, 0);
    let mut restarted = None;
    for (key, took) in spans {
        let Some(after) = counted.after.buckets.get(key) else { continue };
        let none = LatencyBuckets::new();
        let grown = grown(counted.before.buckets.get(key).unwrap_or(&none), after);
        compared += 1;
        // A series that did not count them all is said in its own row.
        if grown.get(&u64::MAX).copied().unwrap_or_default() < took.len() {
            continue;
        }
        all += took.len();
        let look = || counted.place(names::HTTP_SERVER_DURATION);
        if let Some(wrong) = too_slow(&grown, took) {
            flaws.add(format!("{}: {wrong}", shown(key)), look);
            restarted = restarted.or_else(|| counted.restarted(&key.service));
        }
        late += too_fast(&grown, took);
        long += grown
            .keys()
            .next()
            .map_or(0, |least| took.iter().filter(|took| is_above(**took, *least)).count());
    }
    if late > long / 2 + FEW {
        let what = format!("{late} of {long} requests lie in buckets below what their spans took");
        flaws.add(what, || counted.place(names::HTTP_SERVER_DURATION));
    }
    let expected = format!("{all} latencies lie where their spans do");
    let claim = Claim::of("metrics.latencies", counted.source, expected, &flaws).unless(restarted.as_deref());
    (compared > 0).then_some(claim)
}

/// By how much each number has grown, whole.
fn grown(before: &LatencyBuckets, after: &LatencyBuckets) -> BTreeMap<u64, usize> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is a number of requests")]
    let by = |(bound, count): (&u64, &f64)| {
        let by = count - before.get(bound).copied().unwrap_or_default();
        (*bound, by.max(0.0).round() as usize)
    };
    after.iter().map(by).collect()
}

/// Where the histogram has fewer at or below a bound than there are spans that took less.
fn too_slow(grown: &BTreeMap<u64, usize>, took: &[u64]) -> Option<String> {
    grown.iter().find_map(|(bound, count)| {
        let below = took.iter().filter(|took| **took + **took / 10 + CLOCKS <= *bound).count();
        (below > *count).then(|| {
            format!("{below} spans took less than {}, and {count} of the latencies", milliseconds(*bound))
        })
    })
}

/// How many more spans took much longer than a bound than the histogram has above it: the most over all bounds.
fn too_fast(grown: &BTreeMap<u64, usize>, took: &[u64]) -> usize {
    let all = grown.get(&u64::MAX).copied().unwrap_or_default();
    let off = grown.iter().map(|(bound, count)| {
        let above = took.iter().filter(|took| is_above(**took, *bound)).count();
        above.saturating_sub(all.saturating_sub(*count))
    });
    off.max().unwrap_or_default()
}

/// Whether a span took so much longer than a bound that its latency has to lie above it too.
fn is_above(took: u64, bound: u64) -> bool {
    took > bound.saturating_mul(2).saturating_add(LATE)
}

#[allow(clippy::cast_precision_loss, reason = "for people")]
fn milliseconds(nanos: u64) -> String {
    format!("{} ms", nanos as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::super::claim::ClaimVerdict;
    use super::*;
    use crate::lab::backend::count::CountSnapshot;

    const BOUNDS: [u64; 4] = [1_000_000, 10_000_000, 100_000_000, u64::MAX];

    fn key() -> CountKey {
        let metric = format!("{}_count", names::HTTP_SERVER_DURATION);
        CountKey { service: "user-service".to_owned(), metric, labels: BTreeMap::new() }
    }

    fn judged(counts: [f64; 4], took: &[u64]) -> (ClaimVerdict, String) {
        let before = CountSnapshot::default();
        let mut after = CountSnapshot::default();
        after.buckets.insert(key(), BOUNDS.into_iter().zip(counts).collect());
        let counted = CountedSource { source: "roles", before: &before, after: &after, look: "" };
        let claim = claim(&counted, &BTreeMap::from([(key(), took.to_vec())]));
        let claim = claim.unwrap_or_else(|| unreachable!());
        (claim.verdict, claim.found)
    }

    #[test]
    fn latencies_are_in_the_buckets_of_their_spans_or_just_beside_them() {
        let took = [500_000, 5_000_000, 5_000_000, 50_000_000];
        assert_eq!(judged([1.0, 3.0, 4.0, 4.0], &took).0, ClaimVerdict::Pass);
        // Close to a bound either side is right, and an answer may be written late.
        assert_eq!(judged([0.0, 1.0, 1.0, 1.0], &[950_000]).0, ClaimVerdict::Pass);
        assert_eq!(judged([1.0, 1.0, 1.0, 1.0], &[4_000_000]).0, ClaimVerdict::Pass);
        // A sampler left three spans of a hundred requests.
        assert_eq!(judged([40.0, 70.0, 100.0, 100.0], &took[..3]).0, ClaimVerdict::Pass);
        let (verdict, found) = judged([0.0, 0.0, 1.0, 4.0], &took);
        assert_eq!(verdict, ClaimVerdict::Fail);
        assert!(found.contains("1 spans took less than 1 ms, and 0 of the latencies"), "{found}");
    }

    #[test]
    fn one_late_answer_is_none_and_many_are_another_unit() {
        let took = [50_000_000; 40];
        assert_eq!(judged([0.0, 1.0, 40.0, 40.0], &took).0, ClaimVerdict::Pass);
        let (verdict, found) = judged([40.0, 40.0, 40.0, 40.0], &took);
        assert_eq!(verdict, ClaimVerdict::Fail);
        assert!(found.contains("40 of 40 requests lie in buckets below"), "{found}");
        // A count that did not grow is another row's.
        assert_eq!(judged([0.0, 0.0, 0.0, 39.0], &took).0, ClaimVerdict::Pass);
    }
}
