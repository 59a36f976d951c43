//! Claims about traces: each span once, in its place, as its row says.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::align::Alignment;
use super::claim::{Claim, Flaws};
use super::files::trace_place;
use super::ledger::{LedgerEntry, RequestLedger};
use crate::config::{TraceMode, VerifyConfig};
use crate::lab::backend::trace::{Span, SpanKind, SpanStatus};
use crate::lab::expect::{ExpectedSpan, parent_of};
use crate::schema::FAULT_ATTRIBUTE;
use crate::schema::registry::VALIDATION_SKIPPED;

/// The span that stands for a row of a trace: by trace and row, the span's id.
pub(super) type SpanIds = HashMap<(String, usize), String>;

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
    /// Which span is which.
    pub(super) ids: SpanIds,
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
            ids: SpanIds::new(),
        }
    }

    /// What the backend has of a trace that nobody recorded.
    pub(super) fn unsampled(&mut self, id: &str, spans: &[Span]) {
        self.unsampled += 1;
        if !spans.is_empty() {
            let look = trace_place(self.source, self.base, id);
            self.sampling.add(format!("{} spans of {id}, which the sampler left out", spans.len()), || look);
        }
    }

    /// What the backend has of a request's trace, and of the consumer's where that is another; the first
    /// `certain` rows have to be there.
    pub(super) fn add(&mut self, entry: &LedgerEntry, certain: usize, spans: &[Span]) {
        let id = entry.trace.as_deref().unwrap_or_default();
        let look = || trace_place(self.source, self.base, id);
        let shape = &entry.shape;
        let alignment = Alignment::of(&shape.spans, self.queue, spans);
        self.traces += 1;
        self.spans += spans.len();
        for span in alignment.again {
            self.again.add(format!("{} is there twice in {}", named(span), shape.name), look);
        }
        for span in alignment.extra {
            self.extra.add(format!("{} in {}", named(span), shape.name), look);
        }
        for (row, expected) in shape.spans.iter().enumerate() {
            let Some(span) = alignment.rows[row] else {
                if row < certain {
                    self.complete.add(missing(self.mode, entry, expected), look);
                }
                continue;
            };
            let what = |found: &str, wanted: &str| format!("{}: {found} instead of {wanted}", named(span));
            self.ids.insert((id.to_owned(), row), span.id.clone());
            if !expected.is_named(&span.name, self.queue) {
                self.names.add(what(&span.name, &expected.name_on(self.queue)), look);
            }
            if span.service != expected.service {
                self.services.add(what(&span.service, expected.service), look);
            }
            if span.kind != expected.kind {
                self.kinds.add(what(span.kind.as_str(), expected.kind.as_str()), look);
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
            }
            if let Some(wrong) = untimely(expected, span, parent.flatten(), self.tolerance) {
                self.times.add(wrong, look);
            }
        }
    }

    /// The rows.
    pub(super) fn claims(self, ledger: &RequestLedger) -> (Vec<Claim>, SpanIds) {
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
        (claims, self.ids)
    }
}

/// A row without a span, in words.
fn missing(mode: TraceMode, entry: &LedgerEntry, expected: &ExpectedSpan) -> String {
    let missing = format!("no {} {} in {}", expected.service, expected.name, entry.shape.name);
    match &entry.linked {
        Some(other) if mode == TraceMode::Child && expected.kind == SpanKind::Consumer => {
            format!("{missing}: the message was consumed in another trace, {other}")
        }
        _ => missing,
    }
}

fn named(span: &Span) -> String {
    format!("{} {} {}", span.service, span.kind.as_str(), span.name)
}

/// What is wrong with a span's place, if anything is. Nothing can be said of a child whose parent is missing.
fn misplaced(
    mode: TraceMode,
    expected: &ExpectedSpan,
    span: &Span,
    parent: Option<Option<&Span>>,
    spans: &[Span],
) -> Option<String> {
    let is = |id: &str| match spans.iter().find(|other| other.id == id) {
        Some(other) => named(other),
        None if id.is_empty() => "nothing".to_owned(),
        None => format!("{id}, which is not there"),
    };
    let wrong =
        |wanted: String| Some(format!("{} under {} instead of {wanted}", named(span), is(&span.parent)));
    let Some(parent) = parent else {
        return if span.parent.is_empty() { None } else { wrong("nothing: it is the root".to_owned()) };
    };
    let parent = parent?;
    if expected.detached {
        let joined = !span.parent.is_empty() || span.links.iter().any(|link| link.span == parent.id);
        return joined.then(|| {
            format!("{} is joined to {}, whose context it did not get", named(span), named(parent))
        });
    }
    if mode == TraceMode::Link && expected.kind == SpanKind::Consumer {
        let linked = span.links.iter().any(|link| link.span == parent.id && link.trace == parent.trace);
        return (!linked || !span.parent.is_empty())
            .then(|| format!("{} is not linked to {}, or is not a root", named(span), named(parent)));
    }
    if span.parent != parent.id {
        return wrong(named(parent));
    }
    (span.trace != parent.trace).then(|| format!("{} is in another trace than its parent", named(span)))
}

/// What a span may not do in time: end before it begins, begin before its parent, and where the parent waits
/// for it, end after it. What is published is published after the answer.
fn untimely(expected: &ExpectedSpan, span: &Span, parent: Option<&Span>, tolerance: u64) -> Option<String> {
    let late = |by: u64| format!("{:.1} ms", Duration::from_nanos(by).as_secs_f64() * 1e3);
    if span.end < span.start {
        return Some(format!("{} ends {} before it begins", named(span), late(span.start - span.end)));
    }
    let least = Duration::from_millis(expected.at_least_ms).as_nanos();
    if u128::from(span.end - span.start) < least {
        let took = late(span.end - span.start);
        return Some(format!(
            "{} takes {took}, less than the fault's {} ms",
            named(span),
            expected.at_least_ms
        ));
    }
    let parent = parent?;
    if span.start.saturating_add(tolerance) < parent.start {
        let by = late(parent.start - span.start);
        return Some(format!("{} begins {by} before its parent", named(span)));
    }
    let waits = !matches!(expected.kind, SpanKind::Producer | SpanKind::Consumer);
    if waits && span.end > parent.end.saturating_add(tolerance) {
        return Some(format!("{} ends {} after its parent", named(span), late(span.end - parent.end)));
    }
    (!waits && span.start > parent.end.saturating_add(LONGEST_WAIT))
        .then(|| format!("{} begins {} after its parent's end", named(span), late(span.start - parent.end)))
}

/// The longest that a message may wait to be sent or consumed before its span counts as untimely.
const LONGEST_WAIT: u64 = 600 * 1_000_000_000;

/// Attributes that are missing, or have another type or value than the request says.
fn strange_attributes(entry: &LedgerEntry, row: usize, queue: &str, span: &Span) -> Vec<String> {
    let expected = &entry.shape.spans[row];
    let mut wrong = Vec::new();
    for key in expected.attributes.iter().filter(|key| !span.attributes.contains_key(**key)) {
        wrong.push(format!("{} has no {key}", named(span)));
    }
    for (key, wanted) in values(entry, row, queue) {
        match span.attributes.get(key) {
            Some(found) if *found != wanted => {
                wrong.push(format!("{}: {key} is {found} instead of {wanted}", named(span)));
            }
            None if !expected.attributes.contains(&key) => {
                wrong.push(format!("{} has no {key}", named(span)))
            }
            _ => {}
        }
    }
    if let (None, Some(fault)) = (expected.fault, span.attributes.get(FAULT_ATTRIBUTE)) {
        wrong.push(format!("{}: {FAULT_ATTRIBUTE} is {fault}, and no fault was to hit it", named(span)));
    }
    wrong
}

/// The values that are known of a row's attributes.
fn values(entry: &LedgerEntry, row: usize, queue: &str) -> Vec<(&'static str, Value)> {
    let expected = &entry.shape.spans[row];
    let mut values = Vec::new();
    if expected.http_status > 0 {
        values.push(("http.response.status_code", json!(expected.http_status)));
        if expected.status() == SpanStatus::Error {
            values.push(("error.type", json!(expected.http_status.to_string())));
        }
    }
    values.extend(expected.failure.map(|kind| ("error.type", json!(kind))));
    values.extend(expected.fault.map(|fault| (FAULT_ATTRIBUTE, json!(fault))));
    if expected.unvalidated {
        values.push((VALIDATION_SKIPPED, json!(true)));
    }
    if row == 0 {
        values.push(("url.path", json!(entry.path)));
    }
    if let Some((method, route)) = expected.http() {
        let key = if expected.kind == SpanKind::Server { "http.route" } else { "url.template" };
        values.extend([("http.request.method", json!(method)), (key, json!(route))]);
    }
    let (first, rest) = expected.name.split_once(' ').unwrap_or_default();
    match expected.kind {
        SpanKind::Client if expected.attributes.contains(&"db.operation.name") => values.extend([
            ("db.operation.name", json!(first)),
            ("db.collection.name", json!(rest)),
            ("db.query.summary", json!(expected.name)),
        ]),
        SpanKind::Producer => values.extend([
            ("messaging.operation.name", json!("send")),
            ("messaging.destination.name", json!(queue)),
        ]),
        SpanKind::Consumer => values.extend([
            ("messaging.operation.name", json!("process")),
            ("messaging.destination.name", json!(queue)),
            ("o11y_lab.delivery.attempt", json!(expected.attempt)),
        ]),
        SpanKind::Internal => {
            values.extend(entry.shape.notification.map(|kind| ("o11y_lab.notification.type", json!(kind))));
        }
        _ => {}
    }
    values
}
