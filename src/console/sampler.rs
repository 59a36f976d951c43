//! The console's own tail sampler: which traces are kept is decided some time after their first span.
//!
//! Until then their spans wait here. What comes later follows the decision, which is remembered for a bounded number
//! of traces. Nothing here reads a clock.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use serde_json::{Value, json};

use super::ids::TraceId;
use super::origin::Origin;
use super::served::ServedSpans;
use super::traces::{FULL, StoredSpan, StoredTrace};
use crate::config::KeepRules;
use crate::otlp::packed::PackedSpan;

/// Decisions that are remembered: those of the last traces.
const MOST_DECISIONS: usize = 50_000;

/// A trace that is not decided, or was just decided to be kept.
pub(super) struct WaitingTrace {
    pub(super) trace: StoredTrace,
    /// Spans that came in, each as often as it came.
    pub(super) received: u64,
    error: bool,
}

/// Counted since start.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct SamplerCounts {
    pub(super) kept_traces: u64,
    pub(super) dropped_traces: u64,
    pub(super) kept_spans: u64,
    pub(super) dropped_spans: u64,
    /// Of those spans, the ones that came after the decision.
    pub(super) late_kept: u64,
    pub(super) late_dropped: u64,
    /// Traces that were decided before their time, for want of room.
    pub(super) early: u64,
}

/// The sampler's state.
pub(super) struct TailSampler {
    rules: KeepRules,
    wait: u64,
    max_bytes: usize,
    waiting: HashMap<TraceId, WaitingTrace>,
    /// When each is due, in the order of their first spans.
    due: VecDeque<(u64, TraceId)>,
    bytes: usize,
    decisions: HashMap<TraceId, bool>,
    decided: VecDeque<TraceId>,
    pub(super) counts: SamplerCounts,
    /// What was served, before anything was dropped.
    pub(super) served: ServedSpans,
}

impl TailSampler {
    /// Spans that wait take `max_bytes` at most.
    pub(super) fn new(rules: KeepRules, max_bytes: usize) -> Self {
        let (waiting, due, decisions, decided, counts, served) = Default::default();
        let wait = u64::try_from(rules.wait.as_nanos()).unwrap_or(u64::MAX);
        Self { rules, wait, max_bytes, waiting, due, bytes: 0, decisions, decided, counts, served }
    }

    /// Takes a span that arrives now, in nanoseconds since the epoch; gives it back where it is to be kept, or refused,
    /// at once.
    ///
    /// # Errors
    /// Its trace is full.
    pub(super) fn take(
        &mut self,
        origin: &Arc<Origin>,
        span: impl Into<PackedSpan>,
        now: u64,
    ) -> Result<Option<PackedSpan>, &'static str> {
        let span = span.into();
        if StoredSpan::check(&span).is_err() {
            return Ok(Some(span));
        }
        self.served.note(origin, &span, now);
        let trace = span.trace_id;
        if let Some(waiting) = self.waiting.get_mut(&trace) {
            self.bytes -= waiting.trace.bytes;
            let held = waiting.hold(origin, span, self.max_bytes);
            self.bytes += waiting.trace.bytes;
            return held.map(|()| None);
        }
        match self.decisions.get(&trace) {
            Some(true) => {
                self.counts.kept_spans += 1;
                self.counts.late_kept += 1;
                Ok(Some(span))
            }
            Some(false) => {
                self.counts.dropped_spans += 1;
                self.counts.late_dropped += 1;
                Ok(None)
            }
            None => {
                let mut waiting =
                    WaitingTrace { trace: StoredTrace::empty(trace), received: 0, error: false };
                waiting.hold(origin, span, usize::MAX)?;
                self.bytes += waiting.trace.bytes;
                self.waiting.insert(trace, waiting);
                self.due.push_back((now.saturating_add(self.wait), trace));
                Ok(None)
            }
        }
    }

    /// The traces that are due now and kept.
    pub(super) fn decide(&mut self, now: u64) -> Vec<WaitingTrace> {
        let mut kept = Vec::new();
        while let Some((due, trace)) = self.due.front().copied() {
            let full = self.bytes > self.max_bytes;
            if due > now && !full {
                break;
            }
            self.due.pop_front();
            self.counts.early += u64::from(due > now);
            if let Some(waiting) = self.waiting.remove(&trace) {
                self.bytes -= waiting.trace.bytes;
                kept.extend(self.settle(waiting));
            }
        }
        kept
    }

    fn settle(&mut self, waiting: WaitingTrace) -> Option<WaitingTrace> {
        let (trace, keep) = (waiting.trace.id, self.keeps(&waiting));
        let (traces, spans) = match keep {
            true => (&mut self.counts.kept_traces, &mut self.counts.kept_spans),
            false => (&mut self.counts.dropped_traces, &mut self.counts.dropped_spans),
        };
        *traces += 1;
        *spans += waiting.received;
        self.decisions.insert(trace, keep);
        self.decided.push_back(trace);
        if self.decided.len() > MOST_DECISIONS
            && let Some(forgotten) = self.decided.pop_front()
        {
            self.decisions.remove(&forgotten);
        }
        keep.then_some(waiting)
    }

    fn keeps(&self, WaitingTrace { trace, error, .. }: &WaitingTrace) -> bool {
        let took = u128::from(trace.end.saturating_sub(trace.start));
        self.rules.error && *error
            || self.rules.slower.is_some_and(|slower| took > slower.as_nanos())
            || self.rules.ratio.is_some_and(|ratio| is_in_share(trace.id, ratio))
    }

    /// Spans that came in and are not in the store of traces.
    pub(super) fn not_stored(&self) -> u64 {
        let waiting: u64 = self.waiting.values().map(|waiting| waiting.received).sum();
        self.counts.dropped_spans + waiting
    }

    /// Bytes of the spans that wait.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// `{"rules":…,"traces":{"kept":N,"dropped":N,"waiting":N},"spans":{…},"late":{"kept":N,"dropped":N},"early":N}`
    pub(super) fn json(&self) -> Value {
        let counts = &self.counts;
        json!({"rules": self.rules.to_string(),
            "traces": {"kept": counts.kept_traces, "dropped": counts.dropped_traces, "waiting": self.waiting.len()},
            "spans": {"kept": counts.kept_spans, "dropped": counts.dropped_spans},
            "late": {"kept": counts.late_kept, "dropped": counts.late_dropped},
            "early": counts.early})
    }
}

impl WaitingTrace {
    /// Adds a span, where the trace may take so many bytes.
    fn hold(&mut self, origin: &Arc<Origin>, span: PackedSpan, room: usize) -> Result<(), &'static str> {
        let (_, kept) = StoredSpan::new(span)?;
        if self.trace.is_full_for(&kept, room) {
            return Err(FULL);
        }
        self.received += 1;
        self.error |= kept.is_error();
        self.trace.put(origin, kept);
        Ok(())
    }
}

/// The rule of the SDK's `TraceIdRatioBased`: of two ratios the smaller one's traces are among the larger one's, and a
/// trace that the SDK sampled by a smaller ratio is kept here by a larger one.
fn is_in_share(trace: TraceId, ratio: f64) -> bool {
    let bound = (ratio * (1_u64 << 63) as f64) as u64;
    ratio >= 1.0 || (trace as u64) >> 1 < bound
}

#[cfg(test)]
#[path = "sampler_tests.rs"]
mod tests;
