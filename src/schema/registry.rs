//! Everything a lab emits beside its metrics' names: spans, events, attributes and their types.
//!
//! `telemetry/registry/`, in the format of OpenTelemetry Weaver, and the tables in `docs/telemetry.md` are made
//! from these rows and those of [`super::OTLP_METRICS`]. A test holds them against what a running lab sends:
//! nothing else comes, and each row does.

mod attributes;
mod logs;
mod resource;
mod spans;

use opentelemetry::trace::SpanKind;

use super::OTHER_METHOD;
pub use attributes::ATTRIBUTES;
pub use logs::{LOG_FIELDS, LogField, log_key};
pub use resource::RESOURCE;
pub use spans::{EVENTS, SPANS, VALIDATION_SKIPPED};

/// The release of the semantic conventions that the rows refer to.
pub const SEMANTIC_CONVENTIONS: &str = "1.44.0";

/// The type of an attribute's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ValueType {
    /// UTF-8.
    Text,
    /// 64 bits with a sign.
    Integer,
    /// 64 bits of floating point.
    Double,
    /// True or false.
    Boolean,
    /// A list of texts.
    Texts,
}

/// One row of the attribute table.
#[derive(Debug)]
pub struct Attribute {
    /// Its key.
    pub key: &'static str,
    /// The type of its values.
    pub value: ValueType,
    /// What it means, where the semantic conventions do not say it.
    pub own: Option<Definition>,
}

impl Attribute {
    /// The row of a key.
    pub fn of(key: &str) -> Option<&'static Self> {
        ATTRIBUTES.iter().find(|attribute| attribute.key == key)
    }
}

/// The meaning of an attribute of our own.
#[derive(Debug)]
pub struct Definition {
    /// In one sentence.
    pub brief: &'static str,
    /// Examples of texts; where `closed`, all there are.
    pub values: &'static [&'static str],
    /// Whether it never has another value.
    pub closed: bool,
}

/// An attribute as a span, an event or a resource has it.
#[derive(Clone, Copy, Debug)]
pub struct Use {
    /// Its key, a row of [`ATTRIBUTES`].
    pub key: &'static str,
    /// When it is there; `None` is always.
    pub when: Option<&'static str>,
}

/// One row of the span table.
#[derive(Debug)]
pub struct SpanRow {
    /// What it is called in the registry.
    pub id: &'static str,
    /// Its kind.
    pub kind: SpanKind,
    /// How it is named: the first form whose attributes it has. `{key}` stands for an attribute's value,
    /// `{method}` for that of `http.request.method`, which is `HTTP` where that one is `_OTHER`.
    pub names: &'static [&'static str],
    /// What it measures.
    pub brief: &'static str,
    /// Its attributes.
    pub attributes: &'static [Use],
    /// Names of the events it can have.
    pub events: &'static [&'static str],
}

impl SpanRow {
    /// The name of a span of this row, by the texts of its attributes: by the first form that they fill.
    pub fn name_of<'a>(&self, text: impl Fn(&str) -> Option<&'a str>) -> Option<String> {
        self.names.iter().find_map(|form| {
            let mut parts = form.split('{');
            let mut name = parts.next().unwrap_or_default().to_owned();
            for part in parts {
                let (key, rest) = part.split_once('}')?;
                name += match key {
                    "method" => {
                        text("http.request.method").map(|m| if m == OTHER_METHOD { "HTTP" } else { m })?
                    }
                    key => text(key)?,
                };
                name += rest;
            }
            Some(name)
        })
    }
}

/// One row of the table of span events.
#[derive(Debug)]
pub struct EventRow {
    /// Its name.
    pub name: &'static str,
    /// What happened.
    pub brief: &'static str,
    /// Its attributes.
    pub attributes: &'static [Use],
}

const fn always(key: &'static str) -> Use {
    Use { key, when: None }
}

const fn when(key: &'static str, condition: &'static str) -> Use {
    Use { key, when: Some(condition) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::schema::OTLP_METRICS;

    #[test]
    fn every_attribute_that_is_used_is_a_row_and_every_row_is_used() {
        let mut used: BTreeSet<&str> = RESOURCE.iter().map(|one| one.key).collect();
        used.extend(SPANS.iter().flat_map(|span| span.attributes).map(|one| one.key));
        used.extend(EVENTS.iter().flat_map(|event| event.attributes).map(|one| one.key));
        used.extend(LOG_FIELDS.iter().map(|field| field.key));
        for row in OTLP_METRICS {
            used.extend(row.labels().iter().filter_map(|label| row.key(label.key)));
            used.extend(row.fixed.iter().map(|(key, _)| *key));
        }
        let rows: BTreeSet<_> = ATTRIBUTES.iter().map(|attribute| attribute.key).collect();
        assert_eq!(rows.len(), ATTRIBUTES.len(), "a key stands there twice");
        assert_eq!(rows, used);
        for field in LOG_FIELDS {
            let row = Attribute::of(field.key).map(|attribute| attribute.value);
            assert_eq!(row, Some(field.value), "{field:?}");
        }
    }

    #[test]
    fn every_event_of_a_span_is_a_row_and_every_row_is_an_event_of_a_span() {
        let used: BTreeSet<_> = SPANS.iter().flat_map(|span| span.events).copied().collect();
        assert_eq!(used, EVENTS.iter().map(|event| event.name).collect());
    }
}
