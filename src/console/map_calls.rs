//! The figures of calls on the map: how many, how long, how many failed and of what.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::map_node::error_type;
use super::percentile::Percentile;
use super::traces::StoredSpan;

/// Kinds of failures that an edge counts apart, and how many of them an answer names.
const MOST_CAUSES: usize = 8;
const TOLD_CAUSES: usize = 3;

#[derive(Debug, Default)]
pub(super) struct CallFigures<'a> {
    pub(super) nanos: Vec<u64>,
    pub(super) errors: usize,
    /// Of those that failed, by their `error.type`; empty where they have none, or too many kinds came before.
    causes: BTreeMap<&'a str, usize>,
}

impl<'a> CallFigures<'a> {
    pub(super) fn add(&mut self, kept: &'a StoredSpan) {
        self.nanos.push(kept.duration());
        if kept.is_error() {
            self.errors += 1;
            self.cause(error_type(kept).unwrap_or_default(), 1);
        }
    }

    fn cause(&mut self, cause: &'a str, count: usize) {
        let known = self.causes.len() < MOST_CAUSES || self.causes.contains_key(cause);
        *self.causes.entry(if known { cause } else { "" }).or_default() += count;
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.nanos.extend(other.nanos);
        self.errors += other.errors;
        other.causes.into_iter().for_each(|(cause, count)| self.cause(cause, count));
    }

    /// The most frequent, each with its count; without those that no `error.type` names.
    pub(super) fn causes_json(&self) -> Value {
        let mut causes: Vec<_> = self.causes.iter().filter(|(cause, _)| !cause.is_empty()).collect();
        causes.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let told = causes.iter().take(TOLD_CAUSES);
        told.map(|(cause, count)| json!({"type": cause, "count": count})).collect()
    }

    /// As the services' figures are told: of how many seconds they are is known to the caller.
    pub(super) fn to_json(&self, seconds: f64) -> Value {
        let count = self.nanos.len();
        json!({"count": count, "errors": self.errors, "seconds": seconds, "rate": count as f64 / seconds,
            "errorRatio": (count > 0).then(|| self.errors as f64 / count as f64),
            "p95": Percentile::of_durations(self.nanos.clone()).map(Percentile::json)})
    }
}
