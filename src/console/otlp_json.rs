//! Spans as OTLP/JSON, the way Jaeger writes it: what is empty is left out.
//!
//! Not by `opentelemetry-proto`'s own serialization, which writes empty fields and makes null of NaN.
//! Ids are hexadecimal, 64-bit numbers are texts (JavaScript has no such numbers), enums are numbers,
//! NaN and the infinities are the texts of protobuf's JSON.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use serde_json::{Map, Value, json};

use super::attributes;
use super::origin::Origin;
use super::traces::StoredTrace;

/// One group for each origin of the trace, as in `resourceSpans`.
pub(super) fn resource_spans(trace: &StoredTrace) -> impl Iterator<Item = Value> + '_ {
    let mut own = vec![Vec::new(); trace.origins.len()];
    for kept in &trace.spans {
        own[kept.origin].push(span(&kept.span));
    }
    trace.origins.iter().zip(own).map(|(origin, spans)| group(origin, spans))
}

fn group(origin: &Origin, spans: Vec<Value>) -> Value {
    let resource = Fields::default()
        .list("attributes", pairs(&origin.resource.attributes))
        .number("droppedAttributesCount", origin.resource.dropped_attributes_count);
    let scoped = Fields::default().always("scope", scope(&origin.scope)).list("spans", spans);
    let scoped = scoped.text("schemaUrl", &origin.schemas.scope).done();
    Fields::default()
        .always("resource", resource.done())
        .list("scopeSpans", vec![scoped])
        .text("schemaUrl", &origin.schemas.resource)
        .done()
}

fn scope(scope: &InstrumentationScope) -> Value {
    Fields::default()
        .text("name", &scope.name)
        .text("version", &scope.version)
        .list("attributes", pairs(&scope.attributes))
        .number("droppedAttributesCount", scope.dropped_attributes_count)
        .done()
}

fn span(span: &Span) -> Value {
    Fields::default()
        .id("traceId", &span.trace_id)
        .id("spanId", &span.span_id)
        .text("traceState", &span.trace_state)
        .id("parentSpanId", &span.parent_span_id)
        .number("flags", span.flags)
        .text("name", &span.name)
        .number("kind", span.kind)
        .nanos("startTimeUnixNano", span.start_time_unix_nano)
        .nanos("endTimeUnixNano", span.end_time_unix_nano)
        .list("attributes", pairs(&span.attributes))
        .number("droppedAttributesCount", span.dropped_attributes_count)
        .list("events", span.events.iter().map(event).collect())
        .number("droppedEventsCount", span.dropped_events_count)
        .list("links", span.links.iter().map(link).collect())
        .number("droppedLinksCount", span.dropped_links_count)
        .always("status", status(span.status.as_ref()))
        .done()
}

fn event(event: &Event) -> Value {
    Fields::default()
        .nanos("timeUnixNano", event.time_unix_nano)
        .text("name", &event.name)
        .list("attributes", pairs(&event.attributes))
        .number("droppedAttributesCount", event.dropped_attributes_count)
        .done()
}

fn link(link: &Link) -> Value {
    Fields::default()
        .id("traceId", &link.trace_id)
        .id("spanId", &link.span_id)
        .text("traceState", &link.trace_state)
        .list("attributes", pairs(&link.attributes))
        .number("droppedAttributesCount", link.dropped_attributes_count)
        .number("flags", link.flags)
        .done()
}

fn status(status: Option<&Status>) -> Value {
    let Some(status) = status else { return json!({}) };
    Fields::default().text("message", &status.message).number("code", status.code).done()
}

fn pairs(attributes: &[KeyValue]) -> Vec<Value> {
    attributes.iter().map(|pair| json!({"key": pair.key, "value": any(pair.value.as_ref())})).collect()
}

/// An object with one field that says the type, or none for an empty value. The value itself is there
/// even where it is empty.
fn any(value: Option<&AnyValue>) -> Value {
    match value.and_then(|value| value.value.as_ref()) {
        None => json!({}),
        Some(Any::StringValue(text)) => json!({"stringValue": text}),
        Some(Any::BoolValue(flag)) => json!({"boolValue": flag}),
        Some(Any::IntValue(number)) => json!({"intValue": number.to_string()}),
        Some(Any::DoubleValue(number)) => json!({"doubleValue": attributes::double(*number)}),
        Some(Any::BytesValue(bytes)) => json!({"bytesValue": STANDARD.encode(bytes)}),
        Some(Any::ArrayValue(list)) => {
            let values = list.values.iter().map(|value| any(Some(value))).collect();
            json!({"arrayValue": Fields::default().list("values", values).done()})
        }
        Some(Any::KvlistValue(list)) => {
            json!({"kvlistValue": Fields::default().list("values", pairs(&list.values)).done()})
        }
        // Of profiles; a trace has no table that it could point into.
        Some(Any::StringValueStrindex(_)) => json!({}),
    }
}

/// The fields of one message.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn always(mut self, name: &str, value: Value) -> Self {
        self.0.insert(name.to_owned(), value);
        self
    }

    fn text(self, name: &str, text: &str) -> Self {
        if text.is_empty() { self } else { self.always(name, json!(text)) }
    }

    fn number(self, name: &str, number: impl Into<i64>) -> Self {
        let number = number.into();
        if number == 0 { self } else { self.always(name, json!(number)) }
    }

    fn nanos(self, name: &str, nanos: u64) -> Self {
        if nanos == 0 { self } else { self.always(name, json!(nanos.to_string())) }
    }

    /// Absent where it is empty or all zero, which stands for "none".
    fn id(self, name: &str, id: &[u8]) -> Self {
        if id.iter().all(|byte| *byte == 0) {
            return self;
        }
        let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        self.always(name, json!(hex))
    }

    fn list(self, name: &str, values: Vec<Value>) -> Self {
        if values.is_empty() { self } else { self.always(name, Value::Array(values)) }
    }

    fn done(self) -> Value {
        Value::Object(self.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use opentelemetry_proto::tonic::common::v1::{ArrayValue, KeyValueList};

    use super::*;
    use crate::console::sample;
    use crate::console::traces::TraceStore;

    fn one(value: Any) -> AnyValue {
        AnyValue { value: Some(value) }
    }

    #[test]
    fn what_is_empty_is_left_out_and_nothing_else() {
        let mut store = TraceStore::new(10, 1 << 20);
        store.insert(&sample::origin("a"), sample::span(1, 2, 0)).unwrap();
        let expected = json!({
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "a"}}]},
            "scopeSpans": [{"scope": {}, "spans": [{
                "traceId": format!("{:032x}", 1), "spanId": format!("{:016x}", 2), "name": "span 2", "kind": 2,
                "startTimeUnixNano": "1700000000002000000", "endTimeUnixNano": "1700000000012000000",
                "status": {},
            }]}],
        });
        assert_eq!(resource_spans(&store.get(1).unwrap()).collect::<Vec<_>>(), [expected]);
    }

    #[test]
    fn every_kind_of_value_keeps_its_type_and_its_digits() {
        let list = ArrayValue { values: vec![one(Any::DoubleValue(f64::NEG_INFINITY)), AnyValue::default()] };
        let inner = KeyValue { key: "k".into(), value: Some(one(Any::IntValue(-1))), ..KeyValue::default() };
        for (value, expected) in [
            (Any::StringValue(String::new()), json!({"stringValue": ""})),
            (Any::BoolValue(false), json!({"boolValue": false})),
            (Any::IntValue(i64::MIN), json!({"intValue": "-9223372036854775808"})),
            (Any::IntValue((1 << 53) + 1), json!({"intValue": "9007199254740993"})),
            (Any::DoubleValue(0.1), json!({"doubleValue": 0.1})),
            (Any::DoubleValue(f64::NAN), json!({"doubleValue": "NaN"})),
            (Any::DoubleValue(f64::INFINITY), json!({"doubleValue": "Infinity"})),
            (Any::BytesValue(vec![0, 255]), json!({"bytesValue": "AP8="})),
            (Any::ArrayValue(list), json!({"arrayValue": {"values": [{"doubleValue": "-Infinity"}, {}]}})),
            (Any::ArrayValue(ArrayValue::default()), json!({"arrayValue": {}})),
            (
                Any::KvlistValue(KeyValueList { values: vec![inner] }),
                json!({"kvlistValue": {"values": [{"key": "k", "value": {"intValue": "-1"}}]}}),
            ),
        ] {
            assert_eq!(any(Some(&one(value))), expected);
        }
    }
}
