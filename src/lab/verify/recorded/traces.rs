//! Traces in files: which request each one is, and whether it is whole.

use std::collections::{HashMap, HashSet};

use super::super::align::Alignment;
use super::super::claim::{Claim, Flaws};
use super::super::quality::{strange_resource, strange_span};
use super::super::spans::{misplaced, named, untimely};
use super::{Recorded, claim};
use crate::config::TraceMode;
use crate::lab::backend::trace::{DistinctResources, Span, SpanKind};
use crate::lab::expect::{SHAPES, Shape, parent_of};
use crate::schema::Role;

/// By how much clocks may differ, in nanoseconds: the default of `--clock-tolerance`.
const TOLERANCE: u64 = 100_000_000;

/// What does not hold so far.
#[derive(Default)]
struct TraceFlaws {
    whole: Flaws,
    again: Flaws,
    parents: Flaws,
    status: Flaws,
    times: Flaws,
    strange: Flaws,
    judged: usize,
}

/// The rows of all traces.
pub(super) fn judge(recorded: &Recorded) -> Vec<Claim> {
    let (changed, mut flaws) = (recorded.changed(), TraceFlaws::default());
    let mut linked: HashMap<&str, Vec<&str>> = HashMap::new();
    for span in recorded.traces.values().flatten().filter(|span| span.kind == SpanKind::Consumer) {
        // Both attempts at a message may be in one trace of their own.
        for link in &span.links {
            let others = linked.entry(&link.trace).or_default();
            if link.trace != span.trace && !others.contains(&span.trace.as_str()) {
                others.push(&span.trace);
            }
        }
    }
    for (id, spans) in &recorded.traces {
        let look = || recorded.look(id);
        flaws.each(spans, look);
        let others = linked.get(id.as_str()).into_iter().flatten();
        let joined: Vec<Span> =
            others.filter_map(|other| recorded.traces.get(*other)).flatten().cloned().collect();
        let mode = if joined.is_empty() { TraceMode::Child } else { TraceMode::Link };
        let all: Vec<Span> = spans.iter().cloned().chain(joined).collect();
        if !changed.contains(id.as_str()) {
            flaws.shaped(&all, mode, look);
        }
    }
    let whole = format!(
        "{} traces that no fault has changed have the spans of their request, and no other",
        flaws.judged
    );
    vec![
        claim("traces.shapes", &whole, &flaws.whole),
        claim("traces.duplicates", "each span once", &flaws.again),
        claim("traces.parents", "each span under its parent, one root in each trace", &flaws.parents),
        claim("traces.status", "an error where a call failed, and nowhere else", &flaws.status),
        claim(
            "traces.times",
            "each span ends after it begins, within its parent where that waits",
            &flaws.times,
        ),
        claim("traces.registry", "names, kinds and attributes as the registry has them", &flaws.strange),
    ]
}

impl TraceFlaws {
    /// What holds of every trace, whatever hit it.
    fn each(&mut self, spans: &[Span], look: impl Fn() -> String) {
        let (mut ids, mut resources) = (HashSet::new(), DistinctResources::default());
        for span in spans {
            if !ids.insert(span.id.as_str()) {
                self.again.add(format!("{} is there twice", named(span)), &look);
            }
            if span.end < span.start {
                self.times.add(format!("{} ends before it begins", named(span)), &look);
            }
            strange_span(span).into_iter().for_each(|what| self.strange.add(what, &look));
            if resources.insert(&span.resource) {
                strange_resource(&span.resource).into_iter().for_each(|what| self.strange.add(what, &look));
            }
        }
        for span in spans.iter().filter(|span| !span.parent.is_empty() && !ids.contains(&*span.parent)) {
            self.parents.add(format!("the parent of {} is not there", named(span)), &look);
        }
        let roots = spans.iter().filter(|span| span.parent.is_empty()).count();
        if roots > 1 {
            self.parents.add(format!("{roots} spans without a parent"), &look);
        }
    }

    /// A trace that no fault has changed: where a request began it, it is that request's.
    fn shaped(&mut self, spans: &[Span], mode: TraceMode, look: impl Fn() -> String) {
        let gateway = Role::Gateway.service().name;
        let begins =
            |span: &&Span| span.parent.is_empty() && span.service == gateway && span.kind == SpanKind::Server;
        let Some(root) = spans.iter().find(begins) else { return };
        self.judged += 1;
        let status = root.text("http.response.status_code");
        let queue = queue(spans);
        let candidates = SHAPES.iter().filter(|shape| {
            shape.spans.first().is_some_and(|first| first.is_named(&root.name, &queue))
                && shape.status.to_string() == status
        });
        let fitted = candidates.map(|shape| (shape, Alignment::of(&shape.spans, &queue, spans)));
        let away = |alignment: &Alignment<'_>| {
            alignment.extra.len() + alignment.rows.iter().filter(|row| row.is_none()).count()
        };
        match fitted.min_by_key(|(_, alignment)| away(alignment)) {
            Some((shape, alignment)) => self.fitted(shape, &alignment, mode, spans, look),
            None => self.whole.add(format!("no request is {} answered {status}", root.name), look),
        }
    }

    fn fitted(
        &mut self,
        shape: &Shape,
        alignment: &Alignment<'_>,
        mode: TraceMode,
        spans: &[Span],
        look: impl Fn() -> String,
    ) {
        for span in &alignment.extra {
            self.whole.add(format!("{} in {}", named(span), shape.name), &look);
        }
        for (row, expected) in shape.spans.iter().enumerate() {
            let Some(span) = alignment.rows[row] else {
                let what = format!("no {} {} in {}", expected.service, expected.name, shape.name);
                self.whole.add(what, &look);
                continue;
            };
            if (span.kind, span.service.as_str()) != (expected.kind, expected.service) {
                self.whole.add(format!("{} in place of {}", named(span), expected.name), &look);
            }
            if span.status != expected.status() {
                self.status.add(format!("{}: {:?}", named(span), span.status), &look);
            }
            let parent = parent_of(&shape.spans, row).map(|parent| alignment.rows[parent]);
            let wrong = misplaced(mode, expected, span, parent, spans);
            wrong.into_iter().for_each(|what| self.parents.add(what, &look));
            let late = untimely(expected, span, parent.flatten(), TOLERANCE);
            late.into_iter().for_each(|what| self.times.add(what, &look));
        }
    }
}

/// The queue's name in these spans.
fn queue(spans: &[Span]) -> String {
    let messaging = |span: &&Span| matches!(span.kind, SpanKind::Producer | SpanKind::Consumer);
    let name = spans.iter().find(messaging).and_then(|span| span.name.split_once(' '));
    name.map_or("notifications", |(_, queue)| queue).to_owned()
}
