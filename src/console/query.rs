//! Trace search, one behind both versions of Jaeger's API.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::filter::Filter;
use super::tags::WantedTag;
use super::traces::{StoredSpan, StoredTrace};

/// The most traces one answer holds, whatever was asked for.
pub(super) const MOST_TRACES: usize = 1_500;
/// Most memory that the spans of one answer take decoded, in bytes; the newest traces come first.
pub(super) const MOST_BYTES: usize = 16 * 1024 * 1024;

/// Conditions on a span. A trace is found when one of its spans meets all of it, as in Jaeger.
#[derive(Debug)]
pub(super) struct Search {
    pub(super) service: Option<String>,
    pub(super) operation: Option<String>,
    /// As [`WantedTag`] finds them.
    pub(super) tags: Vec<(String, String)>,
    /// Nanoseconds.
    pub(super) min_duration: u64,
    pub(super) max_duration: u64,
    /// Nanoseconds since the epoch.
    pub(super) from: u64,
    pub(super) until: u64,
    /// Of the whole trace.
    pub(super) filter: Filter,
    pub(super) limit: usize,
}

impl Default for Search {
    fn default() -> Self {
        Self {
            service: None,
            operation: None,
            tags: Vec::new(),
            min_duration: 0,
            max_duration: u64::MAX,
            from: 0,
            until: u64::MAX,
            filter: Filter::default(),
            limit: 100,
        }
    }
}

impl Search {
    /// The traces found, the latest start first.
    pub(super) fn run(&self, traces: Vec<Arc<StoredTrace>>) -> Vec<Arc<StoredTrace>> {
        let mut found = traces;
        found.retain(|trace| {
            trace.spans.iter().any(|kept| self.meets(trace, kept)) && self.filter.finds(trace)
        });
        found.sort_unstable_by_key(|trace| (std::cmp::Reverse(trace.start), trace.id));
        found.truncate(self.limit.min(MOST_TRACES));
        // An answer is a copy several times the size of what it shows: a bound on what it shows.
        let mut bytes = 0;
        found.retain(|trace| {
            let shown: usize = trace.spans.iter().map(|kept| kept.span.decoded_size()).sum();
            bytes += shown;
            bytes <= MOST_BYTES || bytes == shown
        });
        found
    }

    fn meets(&self, trace: &StoredTrace, kept: &StoredSpan) -> bool {
        (self.min_duration..=self.max_duration).contains(&kept.duration())
            && (self.from..=self.until).contains(&kept.start())
            && self.operation.as_ref().is_none_or(|name| *name == kept.span.name())
            && self.service.as_ref().is_none_or(|name| *name == trace.origin(kept).service)
            && self
                .tags
                .iter()
                .all(|(key, value)| WantedTag { key, value, any_case: false }.is_on(trace, kept))
    }
}

/// `server`, `client`, …; empty where it is unspecified.
pub(super) fn kind(kept: &StoredSpan) -> &'static str {
    match kept.span.kind {
        1 => "internal",
        2 => "server",
        3 => "client",
        4 => "producer",
        5 => "consumer",
        _ => "",
    }
}

/// `OK` or `ERROR`, or nothing when it was never set.
pub(super) fn status(kept: &StoredSpan) -> Option<&'static str> {
    match kept.span.status_code {
        1 => Some("OK"),
        2 => Some("ERROR"),
        _ => None,
    }
}

/// The services of one trace with their spans and how many of those failed, sorted.
pub(super) fn services_of(trace: &StoredTrace) -> BTreeMap<&str, (usize, usize)> {
    let mut services: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for kept in &trace.spans {
        let counts = services.entry(&trace.origin(kept).service).or_default();
        counts.0 += 1;
        counts.1 += usize::from(kept.is_error());
    }
    services
}

/// Every service that sent a span, sorted.
pub(super) fn services(traces: &[Arc<StoredTrace>]) -> BTreeSet<String> {
    traces.iter().flat_map(|trace| &trace.origins).map(|origin| origin.service.clone()).collect()
}

/// Span names and kinds of a service (of all where none is named), sorted.
pub(super) fn operations(
    traces: &[Arc<StoredTrace>],
    service: Option<&str>,
    wanted: Option<&str>,
) -> BTreeSet<(String, &'static str)> {
    let spans = traces.iter().flat_map(|trace| trace.spans.iter().map(move |kept| (trace, kept)));
    spans
        .filter(|(trace, kept)| service.is_none_or(|name| name == trace.origin(kept).service))
        .filter(|(_, kept)| wanted.is_none_or(|k| k.eq_ignore_ascii_case(kind(kept))))
        .map(|(_, kept)| (kept.span.name().to_owned(), kind(kept)))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::console::sample;
    use crate::console::traces::TraceStore;

    fn store() -> Vec<Arc<StoredTrace>> {
        let mut traces = TraceStore::new(100, 1 << 20);
        for trace in 1..=3 {
            let mut span = sample::span(trace, trace as u64, 0);
            span.attributes.push(sample::text("order.id", &trace.to_string()));
            traces.insert(&sample::origin("order-service"), span).unwrap();
        }
        traces.all()
    }

    #[test]
    fn all_conditions_must_hold_on_one_span_and_the_newest_come_first() {
        let traces = store();
        let ids = |search: Search| search.run(traces.clone()).iter().map(|t| t.id).collect::<Vec<_>>();
        assert_eq!(ids(Search { limit: 2, ..Search::default() }), [3, 2]);
        let tags = vec![("order.id".into(), "2".into()), ("span.kind".into(), "server".into())];
        assert_eq!(ids(Search { tags, ..Search::default() }), [2]);
        assert!(ids(Search { service: Some("user-service".into()), ..Search::default() }).is_empty());
        assert!(ids(Search { min_duration: 10_000_001, ..Search::default() }).is_empty());
        assert_eq!(ids(Search { from: sample::START + 3_000_000, ..Search::default() }), [3]);
    }

    #[test]
    fn words_are_looked_for_in_names_services_values_and_ids() {
        let traces = store();
        let trace = traces.iter().find(|trace| trace.id == 2).unwrap();
        let mentions = |text: &str| Filter::read(text).unwrap().finds(trace);
        assert!(mentions("order-s span order.id=2"));
        assert!(!mentions("order-s nothing"));
        assert!(!mentions("order.id=3"));
    }
}
