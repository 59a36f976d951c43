//! The traces kept in memory: bounded by spans and by bytes, the least recently updated go first.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::ids::TraceId;
use super::origin::Origin;
pub(super) use super::span::StoredSpan;
pub(super) use super::stored_trace::StoredTrace;
use crate::otlp::packed::PackedSpan;

/// Why a span is refused that its trace has no room for.
pub(super) const FULL: &str = "the trace is full: a single trace may not take all the room";

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
        let (id, kept) = StoredSpan::new(span)?;
        self.place(id, origin, kept, self.room())
    }

    /// The most bytes that one trace may have.
    fn room(&self) -> usize {
        self.max_bytes / 4
    }

    /// Keeps a whole trace that was put together elsewhere, of so many spans that came in. What is too much of it is
    /// counted as rejected.
    pub(super) fn adopt(&mut self, mut trace: StoredTrace, received: u64) {
        if trace.bytes > self.room() || self.traces.contains_key(&trace.id) {
            let repeated = received.saturating_sub(trace.spans.len() as u64);
            self.stats.received += repeated;
            for kept in &trace.spans {
                // Whoever sent it has been answered long ago.
                _ = self.insert(&trace.origins[kept.origin], kept.span.clone());
            }
            return;
        }
        self.stats.received += received;
        self.stats.spans += trace.spans.len();
        self.stats.bytes += trace.bytes;
        self.next += 1;
        trace.order = self.next;
        self.order.insert(self.next, trace.id);
        self.traces.insert(trace.id, trace.into());
        self.evict();
    }

    /// Puts a span into its trace, which may take so many bytes; the first has room.
    fn place(
        &mut self,
        id: TraceId,
        origin: &Arc<Origin>,
        kept: StoredSpan,
        room: usize,
    ) -> Result<(), &'static str> {
        let trace = self.traces.entry(id).or_insert_with(|| StoredTrace::empty(id).into());
        if !trace.spans.is_empty() && trace.is_full_for(&kept, room) {
            return Err(FULL);
        }
        // A copy, of references, only while an answer is made of it.
        let trace = Arc::make_mut(trace);
        let before = (trace.spans.len(), trace.bytes);
        trace.put(origin, kept);
        self.stats.spans += trace.spans.len() - before.0;
        self.stats.bytes = self.stats.bytes + trace.bytes - before.1;
        // Spans of a trace come together: mostly it is the latest already.
        if trace.order == 0 || trace.order != self.next {
            self.order.remove(&trace.order);
            self.next += 1;
            trace.order = self.next;
            self.order.insert(self.next, id);
        }
        Ok(())
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
                // It had room before.
                _ = self.place(id, &trace.origins[kept.origin], StoredSpan::clone(kept), usize::MAX);
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

#[cfg(test)]
#[path = "traces_tests.rs"]
mod tests;
