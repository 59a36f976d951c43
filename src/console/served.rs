//! Spans that served something lately: their durations and failures, by service and name.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::ops::RangeInclusive;
use std::sync::Arc;

use opentelemetry_proto::tonic::trace::v1::status::StatusCode;

use super::origin::Origin;
use super::percentile::Percentile;
use super::red::WINDOW;
use super::span::{CONSUMER, SERVER};
use super::traces::StoredTrace;
use crate::otlp::packed::PackedSpan;

/// The spans that serve a request or a message.
const SERVING: [i32; 2] = [SERVER, CONSUMER];
/// Spans remembered apart from their traces.
const MOST_SPANS: usize = 20_000;

/// Durations in nanoseconds, and how many of a service's spans failed.
#[derive(Debug, Default)]
pub(super) struct ServedDurations<'a>(HashMap<&'a str, ServedService<'a>>);

#[derive(Debug, Default)]
struct ServedService<'a> {
    names: HashMap<&'a str, Vec<u64>>,
    errors: usize,
}

impl<'a> ServedDurations<'a> {
    /// Of the spans kept that ended within these times, in nanoseconds since the epoch.
    pub(super) fn ended(traces: &'a [Arc<StoredTrace>], times: RangeInclusive<u64>) -> Self {
        let mut found = Self::default();
        for trace in traces.iter().filter(|trace| trace.end >= *times.start()) {
            for kept in trace
                .spans
                .iter()
                .filter(|kept| times.contains(&kept.end()) && SERVING.contains(&kept.span.kind))
            {
                found.add(&trace.origin(kept).service, kept.span.name(), kept.duration(), kept.is_error());
            }
        }
        found
    }

    fn add(&mut self, service: &'a str, name: &'a str, nanos: u64, error: bool) {
        let served = self.0.entry(service).or_default();
        served.names.entry(name).or_default().push(nanos);
        served.errors += usize::from(error);
    }

    /// Of one name of a service.
    pub(super) fn of(&self, service: &str, name: &str) -> Option<Percentile> {
        Percentile::of_durations(self.0.get(service)?.names.get(name)?.clone())
    }

    /// Of everything a service served.
    pub(super) fn of_all(&self, service: &str) -> Option<Percentile> {
        Percentile::of_durations(self.0.get(service)?.names.values().flatten().copied().collect())
    }

    /// How many spans of a service, and how many of them failed.
    pub(super) fn counts(&self, service: &str) -> (usize, usize) {
        let served = self.0.get(service);
        served.map_or((0, 0), |served| (served.names.values().map(Vec::len).sum(), served.errors))
    }
}

struct ServedSpan {
    origin: Arc<Origin>,
    name: String,
    end: u64,
    nanos: u64,
    error: bool,
}

/// The same of spans as they arrive, whether or not their traces are kept: those of the last minute.
/// A copy is one of references: figures are made of it without the sampler's lock.
#[derive(Clone, Default)]
pub(super) struct ServedSpans(VecDeque<Arc<ServedSpan>>);

impl ServedSpans {
    /// Remembers a span that served something, and forgets the oldest.
    pub(super) fn note(&mut self, origin: &Arc<Origin>, span: &PackedSpan, now: u64) {
        let from = now.saturating_sub(u64::try_from(WINDOW.as_nanos()).unwrap_or(u64::MAX));
        let too_many = self.0.len() >= MOST_SPANS;
        while self.0.pop_front_if(|oldest| oldest.end < from).is_some() {}
        if !SERVING.contains(&span.kind) {
            return;
        }
        if too_many {
            self.0.pop_front();
        }
        let error = span.status_code == StatusCode::Error as i32;
        let (origin, name, end) = (origin.clone(), span.name().to_owned(), span.end);
        let nanos = end.saturating_sub(span.start);
        self.0.push_back(ServedSpan { origin, name, end, nanos, error }.into());
    }

    /// Those that ended within these times, in nanoseconds since the epoch.
    pub(super) fn ended(&self, times: RangeInclusive<u64>) -> ServedDurations<'_> {
        let mut found = ServedDurations::default();
        for span in self.0.iter().filter(|span| times.contains(&span.end)) {
            found.add(&span.origin.service, &span.name, span.nanos, span.error);
        }
        found
    }

    /// Whose spans they are.
    pub(super) fn services(&self) -> BTreeSet<String> {
        self.0.iter().map(|span| span.origin.service.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::console::sample;
    use crate::console::traces::TraceStore;

    #[test]
    fn only_spans_that_serve_and_ended_lately_count() {
        let mut store = TraceStore::new(100, 1 << 20);
        for (id, kind, to) in [(1, 2, 100), (2, 3, 200), (3, 5, 300), (4, 2, 20)] {
            let mut span = sample::timed(id, 0, 10, to);
            (span.kind, span.name) = (kind, format!("kind {kind}"));
            store.insert(&sample::origin("a"), span).unwrap();
        }
        let traces = store.all();
        let served = ServedDurations::ended(&traces, sample::START + 50_000_000..=u64::MAX);
        assert_eq!(served.of("a", "kind 2"), Some(Percentile::Exact(90_000_000, 1)));
        assert_eq!(served.of_all("a"), Some(Percentile::Exact(290_000_000, 2)));
        assert_eq!((served.of("a", "kind 3"), served.of_all("b")), (None, None));
        // One of a clock that is ahead.
        let until = sample::START + 200_000_000;
        let served = ServedDurations::ended(&traces, sample::START..=until);
        assert_eq!(served.counts("a"), (2, 0));
    }

    #[test]
    fn of_spans_that_arrive_only_those_of_the_last_minute_that_served_something_are_remembered() {
        let mut served = ServedSpans::default();
        for (id, kind, to) in [(1, 2, 100), (2, 3, 200), (3, 5, 70_000)] {
            let mut span = sample::timed(id, 0, 10, to);
            (span.kind, span.status.get_or_insert_default().code) = (kind, 2);
            served.note(&sample::origin("a"), &span.into(), sample::START + to * 1_000_000);
        }
        assert_eq!(served.ended(0..=u64::MAX).counts("a"), (1, 1));
        assert_eq!(served.ended(0..=u64::MAX).of_all("a"), Some(Percentile::Exact(69_990_000_000, 1)));
        assert_eq!(served.services().into_iter().collect::<Vec<_>>(), ["a"]);
    }
}
