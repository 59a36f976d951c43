//! Claims about traces: each span once, in its place, as its row says.

use std::collections::HashMap;

use super::align::Alignment;
use super::claim::{Claim, Flaws};
use super::files::trace_place;
use super::latencies::SpanLatencies;
use super::ledger::{LedgerEntry, RequestLedger};
use super::quality::{strange_resource, strange_span};
use super::spans::{misplaced, missing, named, strange_attributes, untimely};
use crate::config::{TraceMode, VerifyConfig};
use crate::lab::backend::trace::{DistinctResources, Span};
use crate::lab::expect::parent_of;
use crate::lab::score::Facts;

/// The span that stands for a row of a trace: by trace and row, the span's id.
pub(super) type SpanIds = HashMap<(String, usize), String>;

/// What a backend's spans tell beside the claims.
#[derive(Default)]
pub(super) struct SeenSpans {
    /// Which span is which.
    pub(super) ids: SpanIds,
    /// How long requests took.
    pub(super) latencies: SpanLatencies,
    /// What the score is told by.
    pub(super) facts: Facts,
    /// What the registry does not have.
    pub(super) strange: Flaws,
    /// Resources that were asked about.
    resources: DistinctResources,
}

/// Takes one trace after the other and keeps what does not hold.
pub(super) struct TraceJudge<'a> {
    source: &'a str,
    base: &'a str,
    mode: TraceMode,
    tolerance: u64,
    queue: &'a str,
    complete: Flaws,
    extra: Flaws,
    again: Flaws,
    names: Flaws,
    services: Flaws,
    kinds: Flaws,
    parents: Flaws,
    statuses: Flaws,
    attributes: Flaws,
    times: Flaws,
    sampling: Flaws,
    spans: usize,
    traces: usize,
    unsampled: usize,
    seen: SeenSpans,
}

impl<'a> TraceJudge<'a> {
    /// For the traces of a backend; the queue has this name.
    pub(super) fn new(source: &'a str, base: &'a str, config: &VerifyConfig, queue: &'a str) -> Self {
        Self {
            source,
            base,
            mode: config.queue_trace_mode,
            tolerance: u64::try_from(config.clock_tolerance.as_nanos()).unwrap_or(u64::MAX),
            queue,
            complete: Flaws::default(),
            extra: Flaws::default(),
            again: Flaws::default(),
            names: Flaws::default(),
            services: Flaws::default(),
            kinds: Flaws::default(),
            parents: Flaws::default(),
            statuses: Flaws::default(),
            attributes: Flaws::default(),
            times: Flaws::default(),
            sampling: Flaws::default(),
            spans: 0,
            traces: 0,
            unsampled: 0,
            seen: SeenSpans::default(),
        }
    }

    /// What the backend has of a request's trace, and of the consumer's where that is another.
    pub(super) fn answer(&mut self, entry: &LedgerEntry, ledger: &RequestLedger, spans: &[Span]) {
        let of = |id: &str| spans.iter().filter(|span| span.trace == id).count();
        match entry.trace.as_deref() {
            Some(_) if entry.sampled => self.add(entry, ledger.certain(entry), spans),
            Some(id) => self.left_out(id, of(id)),
            None => {}
        }
        // Of a trace whose root is not there, the consumer's own is only counted.
        if let (Some(id), Some(row)) = (entry.linked.as_deref(), ledger.consumer(entry)) {
            let wanted = entry.shape.spans.len() - row;
            match ledger.keeps_consumer(entry) {
                Some(false) => self.left_out(id, of(id)),
                Some(true) if !entry.sampled && of(id) != wanted => {
                    let what = format!("{} of {wanted} spans of {id}, which the sampler keeps", of(id));
                    self.sampling.add(what, || trace_place(self.source, self.base, id));
                }
                _ => {}
            }
        }
    }

    /// A trace that nobody recorded, and the number of its spans.
    fn left_out(&mut self, id: &str, spans: usize) {
        self.unsampled += 1;
        if spans > 0 {
            let look = trace_place(self.source, self.base, id);
            self.sampling.add(format!("{spans} spans of {id}, which the sampler left out"), || look);
        }
    }

    /// What the backend has of a request's trace, and of the consumer's where that is another; the first
    /// `certain` rows have to be there.
    fn add(&mut self, entry: &LedgerEntry, certain: usize, spans: &[Span]) {
        let id = entry.trace.as_deref().unwrap_or_default();
        let look = || trace_place(self.source, self.base, id);
        let shape = &entry.shape;
        let alignment = Alignment::of(&shape.spans, self.queue, spans);
        self.traces += 1;
        self.spans += spans.len();
        for span in &alignment.again {
            self.again.add(format!("{} is there twice in {}", named(span), shape.name), look);
        }
        for span in &alignment.extra {
            self.extra.add(format!("{} in {}", named(span), shape.name), look);
        }
        for (row, expected) in shape.spans.iter().enumerate() {
            match alignment.rows[row] {
                Some(span) => self.span(entry, row, span, &alignment, spans),
                None if row < certain => self.complete.add(missing(self.mode, entry, expected), look),
                None => {}
            }
        }
        self.seen.facts.trace(spans);
    }

    /// One span beside its row.
    fn span(
        &mut self,
        entry: &LedgerEntry,
        row: usize,
        span: &Span,
        alignment: &Alignment<'_>,
        spans: &[Span],
    ) {
        let id = entry.trace.as_deref().unwrap_or_default();
        let look = || trace_place(self.source, self.base, id);
        let (shape, expected) = (&entry.shape, &entry.shape.spans[row]);
        let what = |found: &str, wanted: &str| format!("{}: {found} instead of {wanted}", named(span));
        self.seen.ids.insert((id.to_owned(), row), span.id.clone());
        let mut same = true;
        if !expected.is_named(&span.name, self.queue) {
            self.names.add(what(&span.name, &expected.name_on(self.queue)), look);
            same = false;
        }
        if span.service != expected.service {
            self.services.add(what(&span.service, expected.service), look);
        }
        if span.kind != expected.kind {
            self.kinds.add(what(span.kind.as_str(), expected.kind.as_str()), look);
            same = false;
        }
        if span.status != expected.status() {
            let (found, wanted) = (format!("{:?}", span.status), format!("{:?}", expected.status()));
            self.statuses.add(what(&found, &wanted), look);
        }
        let parent = parent_of(&shape.spans, row).map(|parent| alignment.rows[parent]);
        if let Some(wrong) = misplaced(self.mode, expected, span, parent, spans) {
            self.parents.add(wrong, look);
        }
        for wrong in strange_attributes(entry, row, self.queue, span) {
            self.attributes.add(wrong, look);
            same = false;
        }
        match untimely(expected, span, parent.flatten(), self.tolerance) {
            Some(wrong) => self.times.add(wrong, look),
            None => {
                if let Some(key) = shape.latency_key(row) {
                    self.seen.latencies.entry(key).or_default().push(span.end - span.start);
                }
            }
        }
        // What is not as its row says is said; the registry has something to add to the others only.
        let strange = if same { strange_span(span) } else { Vec::new() };
        strange.into_iter().for_each(|wrong| self.seen.strange.add(wrong, look));
        self.seen.resource(span, look);
    }

    /// The rows.
    pub(super) fn claims(self, ledger: &RequestLedger) -> (Vec<Claim>, SeenSpans) {
        let wanted: usize = ledger.recorded().map(|(_, entry)| ledger.certain(entry)).sum();
        let traces = ledger.recorded().count();
        let all = format!("{wanted} spans in {traces} traces");
        let joined = match self.mode {
            TraceMode::Child => "each span under its parent, one root in each trace",
            TraceMode::Link => "each span under its parent, the consumer's linked to the send",
        };
        let unsampled = format!("nothing of {} traces that the sampler left out", self.unsampled);
        let claim = |id: &str, expected: &str, flaws: &Flaws| Claim::of(id, self.source, expected, flaws);
        let mut claims = vec![
            claim("traces.complete", &all, &self.complete),
            claim("traces.extra", "no other span in these traces", &self.extra),
            claim("traces.duplicates", "each span once", &self.again),
            claim("traces.parents", joined, &self.parents),
            claim("traces.names", "each span has its name", &self.names),
            claim("traces.services", "each span is of its service", &self.services),
            claim("traces.kinds", "each span has its kind", &self.kinds),
            claim("traces.status", "an error where a call failed, and nowhere else", &self.statuses),
            claim(
                "traces.attributes",
                "each attribute with its type, and its value where it is known",
                &self.attributes,
            ),
            claim(
                "traces.times",
                "each span begins within its parent, and ends within it where that waits",
                &self.times,
            ),
            claim("traces.sampling", &unsampled, &self.sampling),
        ];
        if let Some(first) = claims.first_mut().filter(|first| first.found == "as expected") {
            first.found = format!("{} spans in {} traces", self.spans, self.traces);
        }
        (claims, self.seen)
    }
}

impl SeenSpans {
    /// Asks the registry about the resource of a span, once about each.
    fn resource(&mut self, span: &Span, look: impl Fn() -> String) {
        if self.resources.insert(&span.resource) {
            strange_resource(&span.resource).into_iter().for_each(|wrong| self.strange.add(wrong, &look));
        }
    }
}
