//! What shows of a fault: spans that fail, take longer, are missing, come again, or begin too early.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::truth::RecordedTraces;
use crate::lab::backend::trace::{Span, SpanStatus};
use crate::lab::expect::{SHAPES, Shape};
use crate::lab::scenario::scene::SceneRequest;

/// A span is slower where its median is so many times what it was, and by so much at least, in nanoseconds.
const TIMES_SLOWER: u64 = 2;
const SLOWER_BY: u64 = 50_000_000;
/// By how much a span may begin before its parent, in nanoseconds: clocks have a resolution.
const TOO_EARLY: u64 = 1_000_000;

/// A kind of span: its service and its name.
type SpanName = (String, String);

/// The symptoms in some traces.
#[derive(Default)]
pub(super) struct Symptoms {
    /// By symptom and kind of span, in how many traces.
    seen: BTreeMap<(&'static str, SpanName), usize>,
    /// Median durations before and then, in nanoseconds.
    slower: BTreeMap<SpanName, (u64, u64)>,
}

/// What a request leaves without a fault.
pub(super) fn expected(sent: &SceneRequest) -> Option<&'static Shape> {
    SHAPES.iter().find(|shape| shape.name == sent.shape)
}

impl Symptoms {
    /// Of these traces, beside those before.
    pub(super) fn of(recorded: &RecordedTraces<'_>, affected: &BTreeSet<String>) -> Self {
        let mut symptoms = Self::default();
        let queue = queue(recorded);
        let mut then = BTreeMap::new();
        for (id, sent) in recorded.requests(affected) {
            let spans = recorded.joined(id);
            durations(&spans, &mut then);
            if let Some(shape) = expected(sent) {
                symptoms.add(shape, &queue, &spans);
            }
        }
        let usual: BTreeSet<_> = recorded.normal.iter().filter_map(|sent| sent.trace.clone()).collect();
        let mut before = BTreeMap::new();
        for (id, _) in recorded.requests(&usual) {
            durations(&recorded.joined(id), &mut before);
        }
        for (name, taken) in then {
            let (Some(before), Some(then)) = (before.remove(&name).and_then(median), median(taken)) else {
                continue;
            };
            if then >= before.saturating_mul(TIMES_SLOWER) && then >= before.saturating_add(SLOWER_BY) {
                symptoms.slower.insert(name, (before, then));
            }
        }
        symptoms
    }

    fn add(&mut self, shape: &Shape, queue: &str, spans: &[&Span]) {
        for seen in changes(shape, queue, spans) {
            *self.seen.entry(seen).or_default() += 1;
        }
    }

    /// As the document has them.
    pub(super) fn rows(self) -> Vec<Value> {
        let seen = self.seen.into_iter().map(|((symptom, (service, span)), traces)| {
            json!({"symptom": symptom, "service": service, "span": span, "traces": traces})
        });
        #[allow(clippy::cast_precision_loss, reason = "far below 2^53 nanoseconds")]
        let ms = |nanos: u64| nanos as f64 / 1e6;
        let slower = self.slower.into_iter().map(|((service, span), (before, then))| {
            json!({"symptom": "slower", "service": service, "span": span, "medianMs": ms(then), "medianMsBefore": ms(before)})
        });
        seen.chain(slower).collect()
    }
}

/// What a trace has otherwise than its shape: a symptom, and of which kind of span.
pub(super) fn changes(shape: &Shape, queue: &str, spans: &[&Span]) -> Vec<(&'static str, SpanName)> {
    let mut wanted: BTreeMap<SpanName, (usize, bool)> = BTreeMap::new();
    for row in &*shape.spans {
        let own = wanted.entry((row.service.to_owned(), row.name_on(queue))).or_default();
        (own.0, own.1) = (own.0 + 1, row.status() == SpanStatus::Error);
    }
    let mut found: BTreeMap<SpanName, (usize, bool, bool)> = BTreeMap::new();
    for span in spans {
        let parent = spans.iter().find(|other| other.id == span.parent);
        let early = parent.is_some_and(|parent| span.start.saturating_add(TOO_EARLY) < parent.start);
        let own = found.entry((span.service.clone(), span.name.clone())).or_default();
        (own.0, own.1, own.2) = (own.0 + 1, own.1 || span.status == SpanStatus::Error, own.2 || early);
    }
    let names: BTreeSet<_> = wanted.keys().chain(found.keys()).cloned().collect();
    let of = |name: SpanName| {
        let (wanted, fails) = wanted.get(&name).copied().unwrap_or_default();
        let (found, failed, early) = found.get(&name).copied().unwrap_or_default();
        let all = [
            ("error", failed && !fails),
            ("early", early),
            ("missing", found < wanted),
            ("repeated", found > wanted),
        ];
        all.into_iter().filter(|(_, seen)| *seen).map(move |(symptom, _)| (symptom, name.clone()))
    };
    names.into_iter().flat_map(of).collect()
}

/// The queue's name, with which those of its spans end.
pub(super) fn queue(recorded: &RecordedTraces<'_>) -> String {
    let key = "messaging.destination.name";
    let mut all = recorded.spans.values().flatten();
    all.find(|span| span.attributes.contains_key(key))
        .map_or_else(|| "notifications".to_owned(), |span| span.text(key))
}

fn durations(spans: &[&Span], all: &mut BTreeMap<SpanName, Vec<u64>>) {
    for span in spans {
        let taken = span.end.saturating_sub(span.start);
        all.entry((span.service.clone(), span.name.clone())).or_default().push(taken);
    }
}

fn median(mut all: Vec<u64>) -> Option<u64> {
    all.sort_unstable();
    all.get(all.len() / 2).copied()
}
