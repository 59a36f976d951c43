//! Which traces a filter finds, by the terms of the query [`language`].
//!
//! A text may be anywhere in the trace. What is asked of fields holds together on one span, as in Jaeger's search; what is
//! ruled out is on none.

use std::cmp::Ordering;

use super::attributes::text_of;
use super::ids::trace_hex;
use super::language::{self, FilterError, Term};
use super::query;
use super::subject::{Comparison, FilterNumber, FilterSubject, Test};
use super::tags::{self, WantedTag};
use super::traces::{StoredSpan, StoredTrace};
use crate::otlp::packed::{SearchedPart, SpanAttribute, ValueRef};

/// The terms of a filter. An empty one finds everything.
#[derive(Debug, Default)]
pub(super) struct Filter {
    texts: Vec<String>,
    wanted: Vec<(FilterSubject, Test)>,
    unwanted: Vec<(FilterSubject, Test)>,
}

impl Filter {
    /// # Errors
    /// What is not understood, and where.
    pub(super) fn read(text: &str) -> Result<Self, FilterError> {
        let mut filter = Self::default();
        for term in language::read(text)? {
            match term {
                Term::Text(word) => filter.texts.push(word),
                Term::Field { subject, test, negated: false } => filter.wanted.push((subject, test)),
                Term::Field { subject, test, negated: true } => filter.unwanted.push((subject, test)),
            }
        }
        Ok(filter)
    }

    pub(super) fn finds(&self, trace: &StoredTrace) -> bool {
        let has =
            |kept: &StoredSpan, (subject, test): &(FilterSubject, Test)| is_on(trace, kept, subject, test);
        self.texts.iter().all(|word| mentions(trace, word))
            && (self.wanted.is_empty()
                || trace.spans.iter().any(|kept| self.wanted.iter().all(|term| has(kept, term))))
            && (self.unwanted.is_empty()
                || !trace.spans.iter().any(|kept| self.unwanted.iter().any(|term| has(kept, term))))
    }
}

fn is_on(trace: &StoredTrace, kept: &StoredSpan, subject: &FilterSubject, test: &Test) -> bool {
    match subject {
        FilterSubject::Service => of_text(&trace.origin(kept).service, test),
        FilterSubject::Name => of_text(kept.span.name(), test),
        FilterSubject::Kind => of_text(query::kind(kept), test),
        FilterSubject::Status => of_text(query::status(kept).unwrap_or("unset"), test),
        FilterSubject::Duration => of_number(nanos(trace.end - trace.start), test),
        FilterSubject::ParentService => {
            let parent = trace.parent(kept).map(|place| trace.origin(&trace.spans[place]));
            of_text(parent.map_or("", |origin| &origin.service), test)
        }
        FilterSubject::SpanDuration => of_number(nanos(kept.duration()), test),
        FilterSubject::Attribute(key) => match test {
            Test::Equal(value) => WantedTag { key, value, any_case: true }.is_on(trace, kept),
            _ => tags::any_value(trace, kept, key, &mut |value| of_value(value, test)),
        },
    }
}

fn nanos(nanos: u64) -> FilterNumber {
    FilterNumber::Whole(i64::try_from(nanos).unwrap_or(i64::MAX))
}

fn of_text(value: &str, test: &Test) -> bool {
    match test {
        Test::Exists => !value.is_empty(),
        Test::Equal(wanted) => value.eq_ignore_ascii_case(wanted),
        Test::Contains(part) => holds(value, part),
        Test::Compare(..) => FilterNumber::read(value).is_some_and(|number| of_number(number, test)),
    }
}

fn of_number(number: FilterNumber, test: &Test) -> bool {
    let Test::Compare(comparison, wanted) = test else { return matches!(test, Test::Exists) };
    let order = match (number, *wanted) {
        (FilterNumber::Whole(a), FilterNumber::Whole(b)) => Some(a.cmp(&b)),
        (a, b) => a.float().partial_cmp(&b.float()),
    };
    order.is_some_and(|order| match comparison {
        Comparison::Less => order == Ordering::Less,
        Comparison::LessOrEqual => order != Ordering::Greater,
        Comparison::Equal => order == Ordering::Equal,
        Comparison::GreaterOrEqual => order != Ordering::Less,
        Comparison::Greater => order == Ordering::Greater,
    })
}

impl FilterNumber {
    fn float(self) -> f64 {
        match self {
            Self::Whole(number) => number as f64,
            Self::Float(number) => number,
        }
    }
}

fn of_value(value: &ValueRef<'_>, test: &Test) -> bool {
    match (test, value) {
        (Test::Exists, _) => true,
        (Test::Contains(part), _) => value_holds(value, part),
        (_, ValueRef::Int(number)) => of_number(FilterNumber::Whole(*number), test),
        (_, ValueRef::Double(number)) => of_number(FilterNumber::Float(*number), test),
        (_, ValueRef::Text(value)) => of_text(value, test),
        _ => false,
    }
}

/// Whether a word, in lower case, is somewhere in the trace: in a span's name, its service, a value of it or of its
/// events, what its status says, or at the start of the trace's id.
fn mentions(trace: &StoredTrace, word: &str) -> bool {
    let is_id = word.len() <= 32 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id && trace_hex(trace.id).starts_with(word)
        || trace.origins.iter().any(|origin| holds(&origin.service, word))
        || trace.spans.iter().flat_map(|kept| kept.span.searched()).any(|part| match part {
            SearchedPart::Text(text) => holds(text, word),
            SearchedPart::Attribute(attribute) => says(attribute, word),
            SearchedPart::Event(event) => {
                holds(event.name(), word) || event.attributes().any(|attribute| says(attribute, word))
            }
        })
}

fn says(attribute: SpanAttribute<'_>, word: &str) -> bool {
    attribute.value().is_some_and(|value| value_holds(&value, word))
}

/// Without making a text of what needs none: a search asks this of every value that is kept.
fn value_holds(value: &ValueRef<'_>, word: &str) -> bool {
    match value {
        ValueRef::Text(text) => holds(text, word),
        ValueRef::Bool(flag) => holds(if *flag { "true" } else { "false" }, word),
        ValueRef::Int(_) if !word.bytes().all(|byte| byte == b'-' || byte.is_ascii_digit()) => false,
        other => holds(&text_of(other), word),
    }
}

/// Whether a text has a part, which is in lower case, in any case.
fn holds(text: &str, part: &str) -> bool {
    let (Some(first), true) = (part.bytes().next(), text.is_ascii()) else {
        return text.to_lowercase().contains(part);
    };
    let starts = |window: &&[u8]| window[0].to_ascii_lowercase() == first;
    text.as_bytes()
        .windows(part.len())
        .filter(starts)
        .any(|window| window.eq_ignore_ascii_case(part.as_bytes()))
}

#[cfg(test)]
#[path = "filter_tests.rs"]
mod tests;
