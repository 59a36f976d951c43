//! The critical path: which work the length of a trace is made of.
//!
//! Walk backwards from the end of the root. The child that finished last before the point reached
//! is what its parent was waiting for: the time after it belongs to the parent, its own time is
//! walked the same way, and the walk goes on before its start. Children that ran beside it are
//! off the path; work that outlives its parent (a consumer after its producer) counts up to the
//! parent's end. The segments do not overlap and add up to the root's duration.
//! (The method of Uber's CRISP, which Jaeger's UI uses as well.)

use super::traces::{StoredSpan, StoredTrace};

/// A stretch of time spent in one span itself; nanoseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct PathSegment {
    pub(super) span: u64,
    pub(super) start: u64,
    pub(super) end: u64,
}

/// The segments of a trace's critical path, in order of time.
pub(super) fn path(trace: &StoredTrace) -> Vec<PathSegment> {
    let children = children(trace);
    let root = trace.root();
    let mut seen = vec![false; trace.spans.len()];
    seen[root] = true;
    let mut segments = Vec::new();
    // A work list instead of recursion: outside input decides how deep a trace is.
    let mut work = vec![(root, trace.spans[root].start(), trace.spans[root].end())];
    while let Some((place, from, until)) = work.pop() {
        let id = trace.spans[place].id();
        let mut cursor = until;
        for child in &children[place] {
            let (start, end) = clip(&trace.spans[*child], from, until);
            // A span already reached is its own ancestor; nothing else stops a loop of parents.
            if start < end && end <= cursor && !std::mem::replace(&mut seen[*child], true) {
                segments.push(PathSegment { span: id, start: end, end: cursor });
                work.push((*child, start, end));
                cursor = start;
            }
        }
        segments.push(PathSegment { span: id, start: from, end: cursor });
    }
    segments.retain(|segment| segment.start < segment.end);
    segments.sort_unstable_by_key(|segment| segment.start);
    segments
}

/// The children of every span, the last to finish first.
fn children(trace: &StoredTrace) -> Vec<Vec<usize>> {
    let mut children = vec![Vec::new(); trace.spans.len()];
    for (place, kept) in trace.spans.iter().enumerate() {
        if let Some(parent) = trace.parent(kept) {
            children[parent].push(place);
        }
    }
    for list in &mut children {
        list.sort_unstable_by_key(|place| {
            std::cmp::Reverse((trace.spans[*place].end(), trace.spans[*place].start()))
        });
    }
    children
}

fn clip(kept: &StoredSpan, from: u64, until: u64) -> (u64, u64) {
    (kept.start().clamp(from, until), kept.end().clamp(from, until))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use opentelemetry_proto::tonic::trace::v1::Span;

    use super::*;
    use crate::console::sample;
    use crate::console::traces::TraceStore;

    /// Spans as (id, parent, from ms, to ms); the path as (id, from ms, to ms).
    fn path_of(spans: &[(u64, u64, u64, u64)]) -> Vec<(u64, u64, u64)> {
        let mut traces = TraceStore::new(10_000, 64 << 20);
        for (id, parent, from, to) in spans {
            traces.insert(&sample::origin("a"), sample::timed(*id, *parent, *from, *to)).unwrap();
        }
        let ms = |nanos: u64| (nanos - sample::START) / 1_000_000;
        path(&traces.get(1).unwrap()).iter().map(|s| (s.span, ms(s.start), ms(s.end))).collect()
    }

    #[test]
    fn the_child_that_finishes_last_is_on_the_path_and_the_one_beside_it_is_not() {
        let spans = [(1, 0, 0, 100), (2, 1, 10, 40), (3, 1, 20, 80)];
        assert_eq!(path_of(&spans), [(1, 0, 20), (3, 20, 80), (1, 80, 100)]);
    }

    #[test]
    fn children_one_after_another_are_all_on_the_path() {
        let spans = [(1, 0, 0, 100), (2, 1, 10, 40), (3, 1, 40, 90), (4, 3, 50, 60)];
        let expected = [(1, 0, 10), (2, 10, 40), (3, 40, 50), (4, 50, 60), (3, 60, 90), (1, 90, 100)];
        assert_eq!(path_of(&spans), expected);
    }

    #[test]
    fn work_after_the_parent_ended_is_cut_off_at_its_end() {
        assert_eq!(path_of(&[(1, 0, 0, 50), (2, 1, 40, 90)]), [(1, 0, 40), (2, 40, 50)]);
        assert_eq!(path_of(&[(1, 0, 0, 50), (2, 1, 60, 90)]), [(1, 0, 50)]);
    }

    #[test]
    fn a_client_and_a_server_of_one_id_are_both_on_the_path_whichever_arrived_first() {
        let of_kind = |kind, span| Span { kind, ..span };
        let client = of_kind(3, sample::timed(2, 1, 10, 90));
        let server = of_kind(2, sample::timed(2, 1, 20, 80));
        for pair in [[client.clone(), server.clone()], [server, client]] {
            let mut traces = TraceStore::new(10, 1 << 20);
            for span in [sample::timed(1, 0, 0, 100), sample::timed(3, 2, 30, 70)].into_iter().chain(pair) {
                traces.insert(&sample::origin("a"), span).unwrap();
            }
            let ms = |nanos: u64| (nanos - sample::START) / 1_000_000;
            let path: Vec<_> =
                path(&traces.get(1).unwrap()).iter().map(|s| (s.span, ms(s.start), ms(s.end))).collect();
            let outer =
                [(1, 0, 10), (2, 10, 20), (2, 20, 30), (3, 30, 70), (2, 70, 80), (2, 80, 90), (1, 90, 100)];
            assert_eq!(path, outer);
        }
    }

    #[test]
    fn spans_that_are_each_others_parents_and_very_deep_traces_end() {
        assert_eq!(path_of(&[(1, 2, 0, 10), (2, 1, 0, 10)]).len(), 1);
        let deep: Vec<_> = (1..=5_000).map(|id| (id, id - 1, id, 10_000 - id)).collect();
        assert_eq!(path_of(&deep).len(), 9_997);
    }
}
