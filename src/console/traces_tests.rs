//! The bounds of the store, whatever comes in.
#![allow(clippy::unwrap_used)]
use opentelemetry_proto::tonic::trace::v1::Span;

use super::*;
use crate::console::sample;
use crate::console::stored_trace::MAX_SPANS_PER_TRACE;

fn filled(traces: u128, spans_each: u64, limit: usize) -> TraceStore {
    let mut store = TraceStore::new(limit, 64 << 20);
    let origin = sample::origin("api-gateway");
    for trace in 1..=traces {
        for span in 1..=spans_each {
            store.insert(&origin, sample::span(trace, span, 0)).unwrap();
        }
    }
    store
}

#[test]
fn the_oldest_traces_go_whole_when_there_are_too_many_spans() {
    let store = filled(10, 3, 10);
    assert_eq!((store.len(), store.stats.spans), (3, 9));
    assert_eq!((store.stats.evicted_traces, store.stats.evicted_spans), (7, 21));
    assert!(store.get(10).is_some() && store.get(7).is_none());
}

#[test]
fn a_trace_that_still_grows_outlives_a_newer_one_that_does_not() {
    let mut store = filled(2, 1, 2);
    let origin = sample::origin("api-gateway");
    store.insert(&origin, sample::span(1, 9, 0)).unwrap();
    assert!(store.get(1).is_some() && store.get(2).is_none());
}

#[test]
fn the_memory_bound_holds_whatever_the_spans_carry_and_returns_to_zero() {
    let mut store = TraceStore::new(usize::MAX, 1 << 20);
    let origin = sample::origin("api-gateway");
    for trace in 1..=100 {
        let mut span = sample::span(trace, 1, 0);
        span.name = "x".repeat(50_000);
        store.insert(&origin, span).unwrap();
        assert!(store.stats.bytes <= 1 << 20);
    }
    assert!((10..=21).contains(&store.len()), "{}", store.len());
    store.max_bytes = 0;
    store.evict();
    assert_eq!((store.stats.bytes, store.stats.spans, store.order.len()), (0, 0, 0));
}

#[test]
fn one_trace_cannot_take_more_than_its_share() {
    let mut store = filled(1, MAX_SPANS_PER_TRACE as u64, 50_000);
    let origin = sample::origin("api-gateway");
    assert!(store.insert(&origin, sample::span(1, 1_000_000, 0)).is_err());
    assert_eq!((store.stats.rejected, store.stats.spans), (1, MAX_SPANS_PER_TRACE));
}

#[test]
fn a_span_sent_twice_is_kept_once() {
    let mut store = filled(1, 2, 100);
    let bytes = store.stats.bytes;
    store.insert(&sample::origin("api-gateway"), sample::span(1, 2, 0)).unwrap();
    assert_eq!((store.stats.spans, store.stats.bytes), (2, bytes));
}

#[test]
fn a_span_that_is_its_own_parent_is_a_root() {
    let mut store = TraceStore::new(10, 1 << 20);
    store.insert(&sample::origin("a"), sample::span(1, 5, 5)).unwrap();
    assert_eq!(store.get(1).unwrap().spans[0].parent(), 0);
}

#[test]
fn two_spans_with_one_id_and_different_kind_are_both_kept_and_each_is_corrected_for_itself() {
    let mut store = TraceStore::new(10, 1 << 20);
    let origin = sample::origin("a");
    let client = || Span { kind: 3, name: "client".into(), ..sample::span(1, 2, 1) };
    for span in [client(), sample::span(1, 2, 1), client(), sample::span(1, 3, 2)] {
        store.insert(&origin, span).unwrap();
    }
    let trace = store.get(1).unwrap();
    let names: Vec<_> = trace.spans.iter().map(|kept| kept.span.name()).collect();
    assert_eq!(names, ["client", "span 2", "span 3"]);
    assert_eq!((trace.span(2).unwrap().id(), trace.root()), (2, 0), "the third is their child");
}

#[test]
fn a_corrected_span_moves_the_extent_of_its_trace() {
    let mut store = TraceStore::new(10, 1 << 20);
    let mut take = |id, from, to| {
        store.insert(&sample::origin("a"), sample::timed(id, 0, from, to)).unwrap();
        let trace = store.get(1).unwrap();
        ((trace.start - sample::START) / 1_000_000, (trace.end - sample::START) / 1_000_000)
    };
    assert_eq!(take(1, 0, 500), (0, 500));
    assert_eq!(take(2, 20, 30), (0, 500));
    assert_eq!(take(1, 10, 40), (10, 40));
    assert_eq!(take(1, 25, 28), (20, 30));
}

#[test]
fn what_has_no_time_is_placed_by_the_time_it_has_or_refused() {
    let mut store = TraceStore::new(10, 1 << 20);
    let mut take = |start_time_unix_nano, end_time_unix_nano| {
        let mut span = Span { start_time_unix_nano, end_time_unix_nano, ..sample::span(1, 1, 0) };
        span.events.push(Default::default());
        store.insert(&sample::origin("a"), span)?;
        let trace = store.get(1).unwrap();
        let span = trace.spans[0].span.decode();
        assert_eq!((trace.start, trace.end), (span.start_time_unix_nano, span.end_time_unix_nano));
        Ok::<_, &str>((trace.start, trace.end, span.events[0].time_unix_nano))
    };
    assert_eq!(take(0, 7), Ok((7, 7, 7)));
    assert_eq!(take(5, 0), Ok((5, 5, 5)));
    assert_eq!(take(5, 7), Ok((5, 7, 5)));
    assert_eq!(take(0, 0), Err("a span must have a start or an end"));
}

/// One that was put together elsewhere.
fn put_together(id: u128, spans: u64) -> StoredTrace {
    let mut trace = StoredTrace::empty(id);
    for span in 1..=spans {
        let (_, kept) = StoredSpan::new(sample::span(id, span, 0).into()).unwrap();
        trace.put(&sample::origin("a"), kept);
    }
    trace
}

#[test]
fn a_trace_that_is_adopted_is_counted_and_bounded_like_one_that_came_span_by_span() {
    let mut one_by_one = filled(3, 4, 100);
    let mut store = TraceStore::new(100, 64 << 20);
    (1..=3).for_each(|id| store.adopt(put_together(id, 4), 4));
    let counts = |store: &TraceStore| (store.stats.spans, store.stats.received, store.order.len());
    assert_eq!(counts(&store), counts(&one_by_one));
    // Part of it is there already, and one of its spans came twice.
    for store in [&mut store, &mut one_by_one] {
        store.adopt(put_together(2, 6), 7);
    }
    assert_eq!((store.stats.spans, store.stats.received), (14, 19));
    assert_eq!(counts(&store), counts(&one_by_one));
    (4..=100).for_each(|id| store.adopt(put_together(id, 4), 4));
    assert_eq!((store.stats.spans, store.len()), (100, 25));
    assert!(store.get(2).is_none() && store.get(100).is_some());
}

#[test]
fn of_an_adopted_trace_that_is_too_large_what_has_room_is_kept() {
    let mut store = TraceStore::new(1_000, 8_000);
    store.adopt(put_together(1, 100), 100);
    let stats = store.stats;
    assert!(
        stats.bytes <= 2_000 && stats.spans > 2 && stats.spans as u64 + stats.rejected == 100,
        "{stats:?}"
    );
}
