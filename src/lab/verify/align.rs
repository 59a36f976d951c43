//! Which span of a trace is which row of its shape.
//!
//! A span that was changed on its way is still the span of its row: what is compared is what a row says of a
//! span, and the best pairs come first. Whatever is left over is missing, or one too many.

use std::collections::HashSet;

use crate::lab::backend::trace::Span;
use crate::lab::expect::{ExpectedSpan, parent_of};

/// What each agreement is worth.
const NAME: u32 = 4;
const SERVICE: u32 = 3;
const KIND: u32 = 2;
const PARENT: u32 = 1;
/// The least by which a span may be taken for a row.
const LEAST: u32 = 5;

/// The spans of one trace beside the rows of its shape.
#[derive(Debug)]
pub(super) struct Alignment<'a> {
    /// For each row its span, if there is one.
    pub(super) rows: Vec<Option<&'a Span>>,
    /// Spans that no row has.
    pub(super) extra: Vec<&'a Span>,
    /// Spans that came again under an id that was there already.
    pub(super) again: Vec<&'a Span>,
}

impl<'a> Alignment<'a> {
    /// Pairs spans with rows; the queue has this name.
    pub(super) fn of(expected: &[ExpectedSpan], queue: &str, spans: &'a [Span]) -> Self {
        let (mut ids, mut again, mut once) = (HashSet::new(), Vec::new(), Vec::new());
        for span in spans {
            if ids.insert(span.id.as_str()) { once.push(span) } else { again.push(span) }
        }
        // Attempts at one message differ in nothing that is compared but their order.
        once.sort_by_key(|span| span.start);
        let mut pairs = Vec::new();
        for (row, expected_span) in expected.iter().enumerate() {
            let parent = parent_of(expected, row).map(|parent| &expected[parent]);
            for (place, span) in once.iter().enumerate() {
                let score = score((expected_span, parent), queue, span, &once);
                pairs.push((score, row, place));
            }
        }
        // The best first; among equals in the order of the table.
        pairs.sort_by_key(|(score, row, place)| (u32::MAX - score, *row, *place));
        let (mut rows, mut taken) = (vec![None; expected.len()], HashSet::new());
        for (score, row, place) in pairs {
            if score >= LEAST && rows[row].is_none() && taken.insert(place) {
                rows[row] = Some(once[place]);
            }
        }
        let extra = once.iter().enumerate().filter(|(place, _)| !taken.contains(place));
        Self { rows, extra: extra.map(|(_, span)| *span).collect(), again }
    }
}

fn score(
    (expected, parent): (&ExpectedSpan, Option<&ExpectedSpan>),
    queue: &str,
    span: &Span,
    all: &[&Span],
) -> u32 {
    let worth = |agrees: bool, worth| if agrees { worth } else { 0 };
    let found = all.iter().find(|other| other.id == span.parent);
    let below = match (parent, found) {
        (Some(parent), Some(found)) => {
            worth(parent.is_named(&found.name, queue), PARENT)
                + worth(parent.service == found.service, PARENT)
        }
        (None, None) => 2 * PARENT,
        _ => 0,
    };
    worth(expected.is_named(&span.name, queue), NAME)
        + worth(expected.service == span.service, SERVICE)
        + worth(expected.kind == span.kind, KIND)
        + below
}
