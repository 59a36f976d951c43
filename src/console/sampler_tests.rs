//! Decisions at times that the tests say.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use opentelemetry_proto::tonic::trace::v1::Span;

use super::*;
use crate::console::sample::{self, START};

const SECOND: u64 = 1_000_000_000;

fn rules(error: bool, slower_ms: Option<u64>, ratio: Option<f64>) -> KeepRules {
    KeepRules { error, slower: slower_ms.map(Duration::from_millis), ratio, wait: Duration::from_secs(5) }
}

fn sampler(rules: KeepRules) -> TailSampler {
    TailSampler::new(rules, 1 << 20)
}

/// A span between two times in milliseconds.
fn span(trace: u128, id: u64, from: u64, to: u64) -> Span {
    Span { trace_id: trace.to_be_bytes().to_vec(), ..sample::timed(id, 0, from, to) }
}

fn failed(trace: u128, id: u64) -> Span {
    let mut span = span(trace, id, 0, 10);
    span.status.get_or_insert_default().code = 2;
    span
}

/// The traces that are kept at `now`.
fn kept(sampler: &mut TailSampler, now: u64) -> Vec<u128> {
    sampler.decide(now).iter().map(|kept| kept.trace.id).collect()
}

#[test]
fn a_trace_is_decided_a_wait_after_its_first_span_by_all_that_came_until_then() {
    let (mut sampler, origin) = (sampler(rules(true, Some(500), None)), sample::origin("a"));
    assert!(sampler.take(&origin, span(1, 1, 0, 10), START).unwrap().is_none());
    assert!(sampler.take(&origin, span(2, 2, 0, 300), START + SECOND).unwrap().is_none());
    assert!(sampler.take(&origin, span(3, 3, 0, 10), START + 2 * SECOND).unwrap().is_none());
    // The failure comes last, and the two parts of the second trace are together slower than either.
    assert!(sampler.take(&origin, failed(1, 4), START + 4 * SECOND).unwrap().is_none());
    assert!(sampler.take(&origin, span(2, 5, 400, 501), START + 4 * SECOND).unwrap().is_none());
    assert_eq!(kept(&mut sampler, START + 5 * SECOND - 1), [0_u128; 0]);
    assert_eq!(kept(&mut sampler, START + 5 * SECOND), [1]);
    assert_eq!(kept(&mut sampler, START + 6 * SECOND), [2]);
    assert_eq!(kept(&mut sampler, START + 60 * SECOND), [0_u128; 0]);
    let counts = SamplerCounts {
        kept_traces: 2,
        dropped_traces: 1,
        kept_spans: 4,
        dropped_spans: 1,
        ..SamplerCounts::default()
    };
    assert_eq!((sampler.counts, sampler.bytes()), (counts, 0));
}

#[test]
fn a_trace_that_took_as_long_as_the_rule_says_is_not_slower() {
    let (mut sampler, origin) = (sampler(rules(false, Some(500), None)), sample::origin("a"));
    sampler.take(&origin, span(1, 1, 0, 500), START).unwrap();
    assert_eq!(kept(&mut sampler, START + 5 * SECOND), [0_u128; 0]);
}

#[test]
fn late_spans_follow_the_decision_and_are_counted() {
    let (mut sampler, origin) = (sampler(rules(true, None, None)), sample::origin("a"));
    sampler.take(&origin, failed(1, 1), START).unwrap();
    sampler.take(&origin, span(2, 2, 0, 1), START).unwrap();
    assert_eq!(kept(&mut sampler, START + 5 * SECOND), [1]);
    assert!(sampler.take(&origin, span(1, 3, 0, 1), START + 6 * SECOND).unwrap().is_some());
    // Too late: what it says changes nothing.
    assert!(sampler.take(&origin, failed(2, 4), START + 6 * SECOND).unwrap().is_none());
    let counts = sampler.counts;
    assert_eq!(
        (counts.late_kept, counts.late_dropped, counts.kept_spans, counts.dropped_spans),
        (1, 1, 2, 2)
    );
    assert_eq!(sampler.not_stored(), 2);
}

#[test]
fn where_there_is_no_room_the_oldest_is_decided_early_and_the_rest_waits() {
    let (mut sampler, origin) = (TailSampler::new(rules(true, None, None), 6_000), sample::origin("a"));
    for trace in 1..=100 {
        sampler.take(&origin, failed(trace, 1), START + u64::try_from(trace).unwrap()).unwrap();
        sampler.decide(START + 200);
        assert!(sampler.bytes() <= 6_000, "{}", sampler.bytes());
    }
    let counts = sampler.counts;
    assert!(
        counts.early > 50 && counts.early == counts.kept_traces && counts.kept_traces < 100,
        "{counts:?}"
    );
}

#[test]
fn decisions_are_remembered_for_a_bounded_number_of_traces() {
    let (mut sampler, origin) = (sampler(rules(true, None, None)), sample::origin("a"));
    for trace in 1..=60_000_u128 {
        sampler.take(&origin, span(trace, 1, 0, 1), START).unwrap();
        sampler.decide(START + 5 * SECOND);
    }
    assert_eq!((sampler.decisions.len(), sampler.decided.len()), (MOST_DECISIONS, MOST_DECISIONS));
}

#[test]
fn a_ratio_decides_as_the_sdks_sampler_does_so_that_they_nest() {
    use opentelemetry::trace::{SpanKind, TraceId as SdkTraceId};
    use opentelemetry_sdk::trace::{Sampler, SamplingDecision, ShouldSample};
    let mut random = fastrand::Rng::with_seed(14);
    for ratio in [0.0, 0.1, 0.5, 1.0] {
        for _ in 0..2_000 {
            let trace = random.u128(1..);
            let sdk = Sampler::TraceIdRatioBased(ratio).should_sample(
                None,
                SdkTraceId::from(trace),
                "span",
                &SpanKind::Server,
                &[],
                &[],
            );
            let sampled = sdk.decision == SamplingDecision::RecordAndSample;
            assert_eq!(is_in_share(trace, ratio), sampled, "{trace:032x} {ratio}");
        }
    }
}

#[test]
fn figures_are_of_all_that_was_served_whatever_is_kept() {
    let (mut sampler, origin) = (sampler(rules(true, None, None)), sample::origin("shop"));
    for trace in 1..=4 {
        sampler
            .take(&origin, if trace == 1 { failed(trace, 1) } else { span(trace, 1, 0, 10) }, START)
            .unwrap();
    }
    assert_eq!(kept(&mut sampler, START + 5 * SECOND), [1]);
    assert_eq!(sampler.served.ended(START..=u64::MAX).counts("shop"), (4, 1));
}

#[test]
fn a_span_that_came_twice_before_the_decision_is_kept_once_and_counted_twice() {
    let (mut sampler, origin) = (sampler(rules(true, None, None)), sample::origin("a"));
    let long = Span { name: "x".repeat(500), ..failed(1, 1) };
    for span in [long, failed(1, 1), failed(1, 2)] {
        sampler.take(&origin, span, START).unwrap();
    }
    assert_eq!(sampler.not_stored(), 3);
    let kept = sampler.decide(START + 5 * SECOND);
    assert_eq!((kept.len(), kept[0].trace.spans.len(), kept[0].received), (1, 2, 3));
    assert_eq!((sampler.counts.kept_spans, sampler.bytes()), (3, 0));
}

#[test]
fn a_trace_that_waits_may_not_take_all_the_room() {
    let (mut sampler, origin) = (TailSampler::new(rules(true, None, None), 6_000), sample::origin("a"));
    let taken = (1..=100).map(|id| sampler.take(&origin, failed(1, id), START)).filter(Result::is_ok).count();
    assert!((5..50).contains(&taken) && sampler.bytes() <= 6_000, "{taken}");
    assert_eq!(sampler.take(&origin, failed(1, 200), START).err(), Some(FULL));
    // One that corrects another takes none.
    sampler.take(&origin, failed(1, 1), START).unwrap();
}
