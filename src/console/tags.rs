//! Which spans a tag finds: those that Jaeger 2.20's memory store finds, and by the names that our
//! answers show as tags.

use super::attributes::text_of;
use super::query;
use super::traces::{StoredSpan, StoredTrace};
use crate::otlp::packed::{SpanAttribute, ValueRef};

/// A tag that is asked for.
pub(super) struct WantedTag<'a> {
    pub(super) key: &'a str,
    /// As text, also where the attribute is a number or a truth value.
    pub(super) value: &'a str,
    /// Upper and lower case are the same, as a person searches.
    pub(super) any_case: bool,
}

impl WantedTag<'_> {
    /// Whether a span has it: one of the fields with a name of their own, an attribute of the resource
    /// (`resource.KEY`), or any attribute of the span, its scope, its resource, its events, its links.
    pub(super) fn is_on(&self, trace: &StoredTrace, kept: &StoredSpan) -> bool {
        let origin = trace.origin(kept);
        let status = query::status(kept).unwrap_or_default();
        if let Some(key) = self.key.strip_prefix("resource.") {
            let attributes = origin.resource.attributes.iter().map(SpanAttribute::from);
            return Self { key, ..*self }.among(attributes);
        }
        match self.key {
            // Neither finds a span whose status was never set, nor does what is no truth value.
            "error" => truth(self.value).is_some_and(|failed| status == if failed { "ERROR" } else { "OK" }),
            "span.status" => known(self.value, &["OK", "ERROR"]) == status,
            "span.kind" => {
                let kinds = ["internal", "server", "client", "producer", "consumer"];
                known(self.value, &kinds) == query::kind(kept)
            }
            "scope.name" | "otel.scope.name" => self.same(&origin.scope.name, self.value),
            "scope.version" | "otel.scope.version" => self.same(&origin.scope.version, self.value),
            _ => {
                in_any_place(trace, kept, &mut |attributes| self.among(attributes))
                    || self.is_shown(kept, status)
            }
        }
    }

    /// Of what an answer shows as a tag although it is no attribute.
    fn is_shown(&self, kept: &StoredSpan, status: &str) -> bool {
        let value = match self.key {
            "otel.status_code" => status,
            "otel.status_description" => kept.span.status_message(),
            "w3c.tracestate" => kept.span.trace_state(),
            _ => return false,
        };
        !value.is_empty() && self.same(value, self.value)
    }

    fn among<'a>(&self, mut attributes: impl Iterator<Item = SpanAttribute<'a>>) -> bool {
        let first = attributes.find(|attribute| match self.any_case {
            true => attribute.is_in_any_case(self.key),
            false => attribute.is(self.key),
        });
        first.and_then(|attribute| attribute.value()).is_some_and(|value| self.is(&value))
    }

    fn is(&self, value: &ValueRef<'_>) -> bool {
        match value {
            ValueRef::Text(text) => self.same(text, self.value),
            ValueRef::Int(number) => number.to_string() == self.value,
            // One number has several spellings: 1, 1.0, 1e0.
            ValueRef::Double(number) => self
                .value
                .parse::<f64>()
                .is_ok_and(|asked| asked == *number || asked.is_nan() && number.is_nan()),
            other => self.same(&text_of(other), self.value),
        }
    }

    fn same(&self, a: &str, b: &str) -> bool {
        if self.any_case { a.eq_ignore_ascii_case(b) } else { a == b }
    }
}

/// Whether the attributes are as wanted that a span has in one of the places where it may have some.
fn in_any_place(
    trace: &StoredTrace,
    kept: &StoredSpan,
    are: &mut dyn FnMut(&mut dyn Iterator<Item = SpanAttribute<'_>>) -> bool,
) -> bool {
    let (origin, span) = (trace.origin(kept), &kept.span);
    are(&mut span.attributes())
        || are(&mut origin.scope.attributes.iter().map(SpanAttribute::from))
        || are(&mut origin.resource.attributes.iter().map(SpanAttribute::from))
        || span.events().any(|event| are(&mut event.attributes()))
        || span.links().any(|link| are(&mut link.attributes()))
}

/// Whether one of the values that a span has for a key, in any case, is as wanted: of the places and names by which
/// [`WantedTag`] finds it.
pub(super) fn any_value(
    trace: &StoredTrace,
    kept: &StoredSpan,
    key: &str,
    is: &mut dyn FnMut(&ValueRef<'_>) -> bool,
) -> bool {
    let origin = trace.origin(kept);
    let mut named = |key: &str, attributes: &mut dyn Iterator<Item = SpanAttribute<'_>>| {
        let of_key = attributes.filter(|attribute| attribute.is_in_any_case(key));
        of_key.filter_map(|attribute| attribute.value()).any(|value| is(&value))
    };
    if let Some(key) = key.strip_prefix("resource.") {
        return named(key, &mut origin.resource.attributes.iter().map(SpanAttribute::from));
    }
    if in_any_place(trace, kept, &mut |attributes| named(key, attributes)) {
        return true;
    }
    let shown = match key {
        "error" if kept.is_error() => "true",
        "span.kind" => query::kind(kept),
        "span.status" | "otel.status_code" => query::status(kept).unwrap_or_default(),
        "otel.status_description" => kept.span.status_message(),
        "scope.name" | "otel.scope.name" => &origin.scope.name,
        "scope.version" | "otel.scope.version" => &origin.scope.version,
        "w3c.tracestate" => kept.span.trace_state(),
        _ => "",
    };
    !shown.is_empty() && is(&ValueRef::Text(shown))
}

/// The spelling that is known, in whatever case it was written; empty for any other.
fn known(text: &str, names: &[&'static str]) -> &'static str {
    names.iter().find(|name| name.eq_ignore_ascii_case(text)).unwrap_or(&"")
}

/// The spellings of Go's `strconv.ParseBool`, which Jaeger takes.
fn truth(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue};
    use opentelemetry_proto::tonic::trace::v1::Status;
    use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};

    use super::*;
    use crate::console::origin::{Origin, SchemaUrls};
    use crate::console::sample;
    use crate::console::traces::TraceStore;

    fn pair(key: &str, value: Any) -> KeyValue {
        KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
    }

    /// A span with this status and an attribute in every place that can have one.
    fn stored(status: i32) -> Arc<StoredTrace> {
        let list = ArrayValue { values: vec![AnyValue { value: Some(Any::IntValue(1)) }] };
        let mut span = sample::span(1, 1, 0);
        span.kind = 3;
        span.trace_state = "a=b".into();
        span.status = Some(Status { code: status, message: "it said so".into() });
        span.attributes = vec![
            pair("big", Any::IntValue(i64::MAX)),
            pair("half", Any::DoubleValue(0.5)),
            pair("one", Any::DoubleValue(1.0)),
            pair("nan", Any::DoubleValue(f64::NAN)),
            pair("flag", Any::BoolValue(false)),
            pair("list", Any::ArrayValue(list)),
            sample::text("orderId", "A7"),
        ];
        span.events = vec![Event { attributes: vec![sample::text("in.event", "e")], ..Event::default() }];
        span.links = vec![Link { attributes: vec![sample::text("in.link", "l")], ..Link::default() }];
        let mut resource = sample::resource("a");
        resource.attributes.push(sample::text("in.resource", "r"));
        let attributes = vec![sample::text("in.scope", "s")];
        let scope = InstrumentationScope {
            name: "lib".into(),
            version: "2".into(),
            attributes,
            ..Default::default()
        };
        let mut store = TraceStore::new(10, 1 << 20);
        store.insert(&Arc::new(Origin::new(resource.into(), scope, SchemaUrls::default())), span).unwrap();
        store.get(1).unwrap()
    }

    fn finds(status: i32, key: &str, value: &str) -> bool {
        let trace = stored(status);
        WantedTag { key, value, any_case: false }.is_on(&trace, &trace.spans[0])
    }

    #[test]
    fn error_and_status_find_what_jaegers_memory_store_finds() {
        let (unset, ok, error) = (0, 1, 2);
        for (key, value, expected) in [
            ("error", "true", vec![error]),
            ("error", "1", vec![error]),
            ("error", "false", vec![ok]),
            ("error", "perhaps", vec![]),
            ("span.status", "error", vec![error]),
            ("span.status", "OK", vec![ok]),
            ("span.status", "unset", vec![unset]),
            ("otel.status_code", "ERROR", vec![error]),
        ] {
            let found: Vec<_> = (unset..=error).filter(|status| finds(*status, key, value)).collect();
            assert_eq!(found, expected, "{key}={value}");
        }
    }

    #[test]
    fn attributes_are_found_wherever_they_are_and_by_their_text() {
        for (key, value) in [
            ("big", "9223372036854775807"),
            ("half", "0.5"),
            ("one", "1"),
            ("one", "1.0"),
            ("nan", "NaN"),
            ("flag", "false"),
            ("list", "[1]"),
            ("orderId", "A7"),
            ("in.event", "e"),
            ("in.link", "l"),
            ("in.scope", "s"),
            ("in.resource", "r"),
            ("resource.in.resource", "r"),
            ("resource.service.name", "a"),
            ("scope.name", "lib"),
            ("scope.version", "2"),
            ("span.kind", "CLIENT"),
            ("w3c.tracestate", "a=b"),
            ("otel.status_description", "it said so"),
        ] {
            assert!(finds(0, key, value), "{key}={value}");
        }
        for (key, value) in [
            ("big", "9223372036854775806"),
            ("big", "9.223372036854775807e18"),
            ("one", "1.5"),
            ("flag", "0"),
            ("orderId", "a7"),
            ("resource.orderId", "A7"),
            ("span.kind", "server"),
            ("nothing", ""),
        ] {
            assert!(!finds(0, key, value), "{key}={value}");
        }
        let trace = stored(0);
        assert!(WantedTag { key: "orderid", value: "a7", any_case: true }.is_on(&trace, &trace.spans[0]));
    }
}
