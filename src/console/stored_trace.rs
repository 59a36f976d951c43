//! One trace as it is kept: its spans in the order in which they arrived, and where each is.

use std::sync::Arc;

use super::ids::{SpanId, TraceId};
use super::origin::Origin;
use super::span::{CLIENT, SERVER, StoredSpan};

/// Most spans of one trace: a runaway loop in one request must not push out everything else.
pub(super) const MAX_SPANS_PER_TRACE: usize = 5_000;
/// What a trace takes before its first span, in bytes.
const TRACE_BYTES: usize = 512;

/// One trace, in the order its spans arrived. Its parts are shared with the answers that show it, so
/// that they can be rendered without the store's lock.
#[derive(Clone, Debug)]
pub(super) struct StoredTrace {
    pub(super) id: TraceId,
    pub(super) origins: Vec<Arc<Origin>>,
    pub(super) spans: Vec<Arc<StoredSpan>>,
    index: SpanIndex,
    /// Nanoseconds since the epoch, over all spans.
    pub(super) start: u64,
    pub(super) end: u64,
    /// What it takes in memory, by estimate.
    pub(super) bytes: usize,
    /// When it was last updated, as a place in the store's order.
    pub(super) order: u64,
}

impl StoredTrace {
    /// One without a span, which has no start and no end.
    pub(super) fn empty(id: TraceId) -> Self {
        let (origins, spans, index) = Default::default();
        Self { id, origins, spans, index, start: u64::MAX, end: 0, bytes: 0, order: 0 }
    }

    pub(super) fn origin(&self, kept: &StoredSpan) -> &Origin {
        &self.origins[kept.origin]
    }

    pub(super) fn span(&self, id: SpanId) -> Option<&StoredSpan> {
        Some(&self.spans[self.index.first(id)?])
    }

    /// Where in `spans` the one is that a span is part of: a server's that shares its client's id is part
    /// of that one.
    pub(super) fn parent(&self, kept: &StoredSpan) -> Option<usize> {
        let client = if kept.span.kind == SERVER { self.index.get(kept.id(), CLIENT) } else { None };
        client.or_else(|| self.index.first(kept.parent()))
    }

    /// Where in `spans` the span is that stands for the trace: the first without a parent, else the
    /// first whose parent has not arrived, else the first. A trace is never empty.
    pub(super) fn root(&self) -> usize {
        let rank = |kept: &StoredSpan| match kept.parent() {
            0 => 0,
            parent if self.span(parent).is_none() => 1,
            _ => 2,
        };
        let by = |place: &usize| (rank(&self.spans[*place]), self.spans[*place].start());
        (0..self.spans.len()).min_by_key(by).unwrap_or(0)
    }

    /// Whether a span is one too many, where a trace may take so many bytes. One that corrects another never is.
    pub(super) fn is_full_for(&self, kept: &StoredSpan, room: usize) -> bool {
        (self.spans.len() >= MAX_SPANS_PER_TRACE || self.bytes + kept.weight() > room)
            && self.index.get(kept.id(), kept.span.kind).is_none()
    }

    /// Adds a span, or puts it in the place of the one that it corrects.
    pub(super) fn put(&mut self, origin: &Arc<Origin>, mut kept: StoredSpan) {
        self.bytes = self.bytes.max(TRACE_BYTES);
        self.start = self.start.min(kept.start());
        self.end = self.end.max(kept.end());
        kept.origin = self.origin_place(origin);
        self.bytes += kept.weight();
        match self.index.get_or_add(kept.id(), kept.span.kind, self.spans.len()) {
            Some(place) => {
                let corrected = std::mem::replace(&mut self.spans[place], kept.into());
                self.bytes -= corrected.weight();
                self.shrink_from(&corrected);
            }
            None => self.spans.push(kept.into()),
        }
    }

    /// Its extent without a span that was replaced; the others are asked only where it was at an end.
    fn shrink_from(&mut self, gone: &StoredSpan) {
        if gone.start() == self.start {
            self.start = self.spans.iter().map(|kept| kept.start()).min().unwrap_or(gone.start());
        }
        if gone.end() == self.end {
            self.end = self.spans.iter().map(|kept| kept.end()).max().unwrap_or(gone.end());
        }
    }

    /// Its place among the trace's origins, added if it is new. It is charged to every trace that
    /// refers to it although they may share it: the bound must hold when they do not.
    fn origin_place(&mut self, origin: &Arc<Origin>) -> usize {
        let same = |known: &Arc<Origin>| Arc::ptr_eq(known, origin) || known == origin;
        self.origins.iter().position(same).unwrap_or_else(|| {
            self.bytes += origin.weight;
            self.origins.push(origin.clone());
            self.origins.len() - 1
        })
    }
}

/// Where the spans of a trace are, by id and kind: a client's span and its server's may have one id, as Zipkin's tracers
/// write them. A sorted list: most traces are short, and a tree's nodes cost more than they save.
#[derive(Clone, Debug, Default)]
struct SpanIndex(Vec<(SpanId, i32, u32)>);

impl SpanIndex {
    fn find(&self, id: SpanId, kind: i32) -> Result<usize, usize> {
        self.0.binary_search_by_key(&(id, kind), |(id, kind, _)| (*id, *kind))
    }

    fn get(&self, id: SpanId, kind: i32) -> Option<usize> {
        self.find(id, kind).ok().map(|at| self.0[at].2 as usize)
    }

    /// Of several kinds the one with the least number: of a server's and its client's, the server's.
    fn first(&self, id: SpanId) -> Option<usize> {
        let at = self.0.partition_point(|(other, ..)| *other < id);
        self.0.get(at).filter(|(other, ..)| *other == id).map(|(.., place)| *place as usize)
    }

    /// The place of a span that is there; else it is there from now on, at `place`.
    fn get_or_add(&mut self, id: SpanId, kind: i32, place: usize) -> Option<usize> {
        match self.find(id, kind) {
            Ok(at) => Some(self.0[at].2 as usize),
            Err(at) => {
                // A trace has far fewer.
                self.0.insert(at, (id, kind, u32::try_from(place).unwrap_or(u32::MAX)));
                None
            }
        }
    }
}
