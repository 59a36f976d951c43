//! Ground truth: what the client saw of each request. No counter of the lab is believed here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{TraceMode, TraceSampler};
use crate::lab::backend::count::CountKey;
use crate::lab::expect::{Shape, SpanKind, Subject};
use crate::schema::names;

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RequestOutcome {
    /// Answered with the status that its shape has.
    AsExpected,
    /// Answered with another one.
    Otherwise(u16),
    /// Not answered, and then accepted when it was repeated under the same key: stored once, but what the
    /// first attempt left in the telemetry is not known.
    Settled,
    /// Not answered; whether it was served is not known.
    Unknown(String),
}

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct LedgerEntry {
    /// What kind it is.
    pub(crate) shape: Arc<Shape>,
    /// The path that was asked for, without the query.
    pub(crate) path: String,
    /// What became of it.
    pub(crate) outcome: RequestOutcome,
    /// Its trace, which the answer names.
    pub(crate) trace: Option<String>,
    /// Whether the trace has to be recorded: as the answer says, or by the sampler.
    pub(crate) sampled: bool,
    /// Whether the answer says that it is.
    pub(crate) flagged: bool,
    /// The order that it made or is about.
    pub(crate) order: Option<i64>,
    /// The trace of the consumer's spans where that is another; known from the notification.
    pub(crate) linked: Option<String>,
    /// The value in cents of the order that is sent, where one is.
    pub(crate) cents: i64,
}

/// All requests of a run.
#[derive(Debug, Default)]
pub(crate) struct RequestLedger {
    /// In the order of the answers.
    pub(crate) entries: Vec<LedgerEntry>,
    /// From the first request to the last answer.
    pub(crate) took: Duration,
    /// Attempts, repeated ones included.
    pub(crate) attempts: u32,
    /// Whether the consumer's spans are traces of their own, and a sampler may be at work: those are sampled by themselves.
    pub(crate) sampled_apart: bool,
    /// The sampler whose decisions are expected; without one the answers are believed, and of the consumer's own traces nothing
    /// is known.
    pub(crate) sampler: Option<TraceSampler>,
    /// The queue's name: those of its spans end with it.
    pub(crate) queue: String,
    /// Metrics of which it is not known by how much they grow.
    pub(crate) uncounted: Vec<&'static str>,
}

impl RequestLedger {
    /// Those whose telemetry is known beforehand.
    pub(crate) fn known(&self) -> impl Iterator<Item = &LedgerEntry> {
        self.entries.iter().filter(|entry| entry.outcome == RequestOutcome::AsExpected)
    }

    /// Those of them whose trace has to be there: id and entry.
    pub(crate) fn recorded(&self) -> impl Iterator<Item = (&str, &LedgerEntry)> {
        let sampled = self.known().filter(|entry| entry.sampled);
        sampled.filter_map(|entry| Some((entry.trace.as_deref()?, entry)))
    }

    /// Why the counters cannot be told from the requests, where they cannot.
    pub(crate) fn inexact(&self) -> Option<String> {
        let others = self.entries.len() - self.known().count();
        (others > 0).then(|| format!("{others} requests were not answered as they should be"))
    }

    /// By how much each series has to grow.
    pub(crate) fn counts(&self) -> BTreeMap<CountKey, f64> {
        let mut counts = BTreeMap::new();
        let mut times: BTreeMap<&str, (&Shape, f64)> = BTreeMap::new();
        for entry in self.known() {
            times.entry(entry.shape.name).or_insert((&entry.shape, 0.0)).1 += 1.0;
            if entry.shape.subject == Subject::NewOrder && entry.shape.status == 201 {
                let key = CountKey {
                    service: "order-service".to_owned(),
                    metric: format!("{}_sum", names::ORDER_VALUE),
                    labels: BTreeMap::new(),
                };
                *counts.entry(key).or_default() += cents(entry.cents);
            }
        }
        for (shape, times) in times.into_values() {
            shape.expected_counts().into_iter().for_each(|key| *counts.entry(key).or_default() += times);
        }
        counts
    }

    /// How many spans each service has to export.
    pub(crate) fn spans(&self) -> BTreeMap<&'static str, f64> {
        let mut spans = BTreeMap::new();
        for (_, entry) in self.recorded() {
            for span in &entry.shape.spans[..self.certain(entry)] {
                *spans.entry(span.service).or_default() += 1.0;
            }
        }
        spans
    }

    /// How many rows of a request's shape have to be there where its trace is recorded: up to the consumer's where those are
    /// sampled apart and not known to be kept.
    pub(crate) fn certain(&self, entry: &LedgerEntry) -> usize {
        let kept = self.keeps_consumer(entry) == Some(true);
        self.consumer(entry).filter(|_| !kept).unwrap_or(entry.shape.spans.len())
    }

    /// How many spans have to be there of a request, whichever of its traces they are in.
    pub(crate) fn spans_of(&self, entry: &LedgerEntry) -> usize {
        match (entry.sampled, self.consumer(entry)) {
            (true, _) => self.certain(entry),
            (false, Some(row)) if self.keeps_consumer(entry) == Some(true) => entry.shape.spans.len() - row,
            (false, _) => 0,
        }
    }

    /// The first row of a consumer whose trace is sampled by itself.
    pub(crate) fn consumer(&self, entry: &LedgerEntry) -> Option<usize> {
        let consumed = entry.shape.spans.iter().position(|span| span.kind == SpanKind::Consumer);
        consumed.filter(|_| self.sampled_apart)
    }

    /// Whether the consumer's own trace has to be recorded, where that is known.
    pub(crate) fn keeps_consumer(&self, entry: &LedgerEntry) -> Option<bool> {
        let linked = entry.linked.as_deref().filter(|_| self.consumer(entry).is_some())?;
        self.sampler.as_ref().map(|sampler| sampler.keeps(linked))
    }

    /// How many notifications an order has to have.
    pub(crate) fn notifications(&self) -> BTreeMap<i64, usize> {
        let mut orders = BTreeMap::new();
        for entry in self.stored().filter(|entry| entry.shape.has(SpanKind::Producer)) {
            let notified = usize::from(entry.shape.notification.is_some());
            *orders.entry(entry.order.unwrap_or_default()).or_default() += notified;
        }
        orders
    }

    fn stored(&self) -> impl Iterator<Item = &LedgerEntry> {
        let stored =
            |e: &&LedgerEntry| matches!(e.outcome, RequestOutcome::AsExpected | RequestOutcome::Settled);
        self.entries.iter().filter(stored)
    }

    /// How many messages have to wait in the end, because nothing consumes them.
    pub(crate) fn waiting(&self) -> u64 {
        let waits = |shape: &Shape| shape.has(SpanKind::Producer) && !shape.has(SpanKind::Consumer);
        self.stored().map(|entry| u64::from(waits(&entry.shape))).sum()
    }

    /// How many have to become dead letters.
    pub(crate) fn dead(&self) -> u64 {
        let dies =
            |shape: &Shape| shape.spans.iter().any(|s| s.kind == SpanKind::Consumer && s.failure.is_some());
        self.stored().map(|entry| u64::from(dies(&entry.shape))).sum()
    }
}

impl LedgerEntry {
    /// The traces in which its spans and lines are: its own, and the consumer's where that is another.
    pub(crate) fn traces(&self, mode: TraceMode) -> impl Iterator<Item = &str> {
        let apart = mode == TraceMode::Link || self.shape.spans.iter().any(|span| span.detached);
        let linked = self.linked.as_deref().filter(|_| apart);
        self.trace.as_deref().into_iter().chain(linked)
    }
}

/// An amount in USD.
#[allow(clippy::cast_precision_loss, reason = "amounts are far below 2^53 cents")]
pub(crate) fn cents(cents: i64) -> f64 {
    cents as f64 / 100.0
}
