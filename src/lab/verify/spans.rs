//! What is wrong with one span beside its row: its place, its times, its attributes.

use std::time::Duration;

use serde_json::{Value, json};

use super::ledger::LedgerEntry;
use crate::config::TraceMode;
use crate::lab::backend::trace::{Span, SpanKind, SpanStatus};
use crate::lab::expect::ExpectedSpan;
use crate::schema::FAULT_ATTRIBUTE;
use crate::schema::registry::VALIDATION_SKIPPED;

/// A row without a span, in words.
pub(super) fn missing(mode: TraceMode, entry: &LedgerEntry, expected: &ExpectedSpan) -> String {
    let missing = format!("no {} {} in {}", expected.service, expected.name, entry.shape.name);
    match &entry.linked {
        Some(other) if mode == TraceMode::Child && expected.kind == SpanKind::Consumer => {
            format!("{missing}: the message was consumed in another trace, {other}")
        }
        _ => missing,
    }
}

/// Service, kind and name.
pub(super) fn named(span: &Span) -> String {
    format!("{} {} {}", span.service, span.kind.as_str(), span.name)
}

/// What is wrong with a span's place, if anything is. Nothing can be said of a child whose parent is missing.
pub(super) fn misplaced(
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
pub(super) fn untimely(
    expected: &ExpectedSpan,
    span: &Span,
    parent: Option<&Span>,
    tolerance: u64,
) -> Option<String> {
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
pub(super) fn strange_attributes(entry: &LedgerEntry, row: usize, queue: &str, span: &Span) -> Vec<String> {
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
