//! Exemplars as dots of a chart: in each part of its time the slowest, for those are looked for.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::series::{StoredExemplar, StoredSeries};
use crate::console::attributes::double;
use crate::console::ids::{span_hex, trace_hex};
use crate::console::state::Console;

/// Parts of a chart's time, each with one dot: they can be told apart, and reached by the keyboard.
const PARTS: u64 = 30;

/// The dots of one chart.
pub(super) struct Dots {
    from: u64,
    end: u64,
    slowest: BTreeMap<u64, (StoredExemplar, String)>,
}

impl Dots {
    /// Of a time, in nanoseconds since the epoch.
    pub(super) fn between(from: u64, end: u64) -> Self {
        Self { from, end, slowest: BTreeMap::new() }
    }

    pub(super) fn take(&mut self, series: &StoredSeries) {
        for exemplar in series.exemplars.iter().filter(|one| (self.from..=self.end).contains(&one.time)) {
            let part = (exemplar.time - self.from) / ((self.end - self.from) / PARTS).max(1);
            let slower = |(found, _): &(StoredExemplar, String)| exemplar.value > found.value;
            if exemplar.value.is_finite() && self.slowest.get(&part).is_none_or(slower) {
                self.slowest.insert(part, (*exemplar, series.origin.service.clone()));
            }
        }
    }

    /// Those of a list, each with its service.
    pub(super) fn json(&self, console: &Console) -> Vec<Value> {
        let dot = |(exemplar, service): &(StoredExemplar, String)| {
            let mut dot = exemplar_json(exemplar, console);
            dot["service"] = json!(service);
            dot
        };
        self.slowest.values().map(dot).collect()
    }
}

/// `{"time":µs,"value":…,"traceID":…,"spanID":…,"kept":…}`: `kept` says whether the console has that trace.
pub(super) fn exemplar_json(exemplar: &StoredExemplar, console: &Console) -> Value {
    json!({"time": exemplar.time / 1_000, "value": double(exemplar.value), "traceID": trace_hex(exemplar.trace),
        "spanID": span_hex(exemplar.span), "kept": console.trace(exemplar.trace).is_some()})
}
