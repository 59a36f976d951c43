//! The traces kept in memory: bounded by spans and by bytes, the least recently updated go first.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::ids::{SpanId, TraceId};
use super::origin::Origin;
pub(super) use super::span::StoredSpan;
use super::span::{CLIENT, SERVER};
use crate::otlp::packed::PackedSpan;

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
    /// By kind as well: a client's span and its server's may have one id, as Zipkin's tracers write them.
    index: BTreeMap<(SpanId, i32), usize>,
    /// Nanoseconds since the epoch, over all spans.
    pub(super) start: u64,
    pub(super) end: u64,
    /// What it takes in memory, by estimate.
    pub(super) bytes: usize,
    /// When it was last updated, as a place in the store's order.
    order: u64,
}

impl StoredTrace {
    pub(super) fn origin(&self, kept: &StoredSpan) -> &Origin {
        &self.origins[kept.origin]
    }

    /// Where in `spans` one with this id is: of a server's and its client's, the server's.
    fn place(&self, id: SpanId) -> Option<usize> {
        self.index.range((id, i32::MIN)..=(id, i32::MAX)).next().map(|(_, place)| *place)
    }

    pub(super) fn span(&self, id: SpanId) -> Option<&StoredSpan> {
        Some(&self.spans[self.place(id)?])
    }

    /// Where in `spans` the one is that a span is part of: a server's that shares its client's id is part
    /// of that one.
    pub(super) fn parent(&self, kept: &StoredSpan) -> Option<usize> {
        let client = self.index.get(&(kept.id, CLIENT)).filter(|_| kept.span.kind == SERVER);
        client.copied().or_else(|| self.place(kept.parent))
    }

    /// Where in `spans` the span is that stands for the trace: the first without a parent, else the
    /// first whose parent has not arrived, else the first. A trace is never empty.
    pub(super) fn root(&self) -> usize {
        let rank = |kept: &StoredSpan| match kept.parent {
            0 => 0,
            parent if self.span(parent).is_none() => 1,
            _ => 2,
        };
        let by = |place: &usize| (rank(&self.spans[*place]), self.spans[*place].start);
        (0..self.spans.len()).min_by_key(by).unwrap_or(0)
    }
}

/// The traces kept, and counts of what was not.
#[derive(Debug)]
pub(super) struct TraceStore {
    max_spans: usize,
    max_bytes: usize,
    traces: HashMap<TraceId, Arc<StoredTrace>>,
    order: BTreeMap<u64, TraceId>,
    next: u64,
    pub(super) stats: TraceStoreStats,
}

/// Counted since start, except `spans` and `bytes`, which are now.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TraceStoreStats {
    pub(super) spans: usize,
    pub(super) bytes: usize,
    pub(super) received: u64,
    pub(super) rejected: u64,
    pub(super) evicted_spans: u64,
    pub(super) evicted_traces: u64,
}

impl TraceStore {
    pub(super) fn new(max_spans: usize, max_bytes: usize) -> Self {
        let (traces, order, stats) = Default::default();
        Self { max_spans, max_bytes, traces, order, next: 0, stats }
    }

    /// Most spans, and most bytes of them.
    pub(super) fn bounds(&self) -> (usize, usize) {
        (self.max_spans, self.max_bytes)
    }

    /// One trace as it is now.
    pub(super) fn get(&self, id: TraceId) -> Option<Arc<StoredTrace>> {
        self.traces.get(&id).cloned()
    }

    /// Every trace as it is now, in no order.
    pub(super) fn all(&self) -> Vec<Arc<StoredTrace>> {
        self.traces.values().cloned().collect()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.traces.len()
    }

    /// Counts spans that could not even be read.
    pub(super) fn reject(&mut self, spans: u64) {
        self.stats.received += spans;
        self.stats.rejected += spans;
    }

    /// Keeps a span, or says why not. A span that was sent before replaces what was kept, because
    /// exporters repeat an export whose answer they did not see.
    pub(super) fn insert(
        &mut self,
        origin: &Arc<Origin>,
        span: impl Into<PackedSpan>,
    ) -> Result<(), &'static str> {
        self.stats.received += 1;
        let result = self.admit(origin, span.into());
        self.stats.rejected += u64::from(result.is_err());
        self.evict();
        result
    }

    fn admit(&mut self, origin: &Arc<Origin>, span: PackedSpan) -> Result<(), &'static str> {
        let (trace_id, kept) = StoredSpan::new(span)?;
        let room = self.max_bytes / 4;
        if let Some(trace) = self.traces.get(&trace_id)
            && !trace.index.contains_key(&(kept.id, kept.span.kind))
            && (trace.spans.len() >= MAX_SPANS_PER_TRACE || trace.bytes + kept.weight > room)
        {
            return Err("the trace is full: a single trace may not take all the room");
        }
        self.place(trace_id, origin, kept);
        Ok(())
    }

    fn place(&mut self, trace_id: TraceId, origin: &Arc<Origin>, mut kept: StoredSpan) {
        let trace = self.traces.entry(trace_id).or_insert_with(|| StoredTrace::empty(trace_id).into());
        // A copy, of references, only while an answer is made of it.
        let trace = Arc::make_mut(trace);
        let before = (trace.spans.len(), trace.bytes);
        trace.bytes = trace.bytes.max(TRACE_BYTES);
        trace.start = trace.start.min(kept.start);
        trace.end = trace.end.max(kept.end);
        kept.origin = trace.origin_place(origin);
        trace.bytes += kept.weight;
        match trace.index.entry((kept.id, kept.span.kind)) {
            Entry::Occupied(place) => {
                let place = *place.get();
                let corrected = std::mem::replace(&mut trace.spans[place], kept.into());
                trace.bytes -= corrected.weight;
                trace.shrink_from(&corrected);
            }
            Entry::Vacant(place) => {
                place.insert(trace.spans.len());
                trace.spans.push(kept.into());
            }
        }
        self.stats.spans += trace.spans.len() - before.0;
        self.stats.bytes = self.stats.bytes + trace.bytes - before.1;
        // Spans of a trace come together: mostly it is the latest already.
        if trace.order == 0 || trace.order != self.next {
            self.order.remove(&trace.order);
            self.next += 1;
            trace.order = self.next;
            self.order.insert(self.next, trace_id);
        }
    }

    /// Removes the spans of a service, or all; how many. What is left of a trace counts as updated now.
    pub(super) fn remove(&mut self, service: Option<&str>) -> usize {
        let before = self.stats.spans;
        let has = |trace: &StoredTrace| {
            service.is_none_or(|name| trace.origins.iter().any(|origin| origin.service == name))
        };
        let touched: Vec<_> = self.traces.values().filter(|trace| has(trace)).map(|trace| trace.id).collect();
        for id in touched {
            let Some(trace) = self.traces.remove(&id) else { continue };
            self.order.remove(&trace.order);
            self.stats.spans -= trace.spans.len();
            self.stats.bytes -= trace.bytes;
            let left =
                |kept: &&Arc<StoredSpan>| service.is_some_and(|name| trace.origin(kept).service != name);
            for kept in trace.spans.iter().filter(left) {
                self.place(id, &trace.origins[kept.origin], StoredSpan::clone(kept));
            }
        }
        before - self.stats.spans
    }

    fn evict(&mut self) {
        while self.stats.spans > self.max_spans || self.stats.bytes > self.max_bytes {
            let Some((_, oldest)) = self.order.pop_first() else { return };
            let Some(trace) = self.traces.remove(&oldest) else { continue };
            self.stats.spans -= trace.spans.len();
            self.stats.bytes -= trace.bytes;
            self.stats.evicted_spans += trace.spans.len() as u64;
            self.stats.evicted_traces += 1;
        }
    }
}

impl StoredTrace {
    fn empty(id: TraceId) -> Self {
        let (origins, spans, index) = Default::default();
        Self { id, origins, spans, index, start: u64::MAX, end: 0, bytes: 0, order: 0 }
    }

    /// Its extent without a span that was replaced; the others are asked only where it was at an end.
    fn shrink_from(&mut self, gone: &StoredSpan) {
        if gone.start == self.start {
            self.start = self.spans.iter().map(|kept| kept.start).min().unwrap_or(gone.start);
        }
        if gone.end == self.end {
            self.end = self.spans.iter().map(|kept| kept.end).max().unwrap_or(gone.end);
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

#[cfg(test)]
#[path = "traces_tests.rs"]
mod tests;
