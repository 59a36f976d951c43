//! Spans as OTLP/JSON, the way Jaeger writes it: what is empty is left out.
//!
//! Not by `opentelemetry-proto`'s own serialization, which writes empty fields and makes null of NaN.
//! Ids are hexadecimal, 64-bit numbers are texts (JavaScript has no such numbers), enums are numbers,
//! NaN and the infinities are the texts of protobuf's JSON.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::attributes;
use super::origin::Origin;
use super::traces::StoredTrace;
use crate::otlp::packed::PackedSpan;

/// One of `resourceSpans`: what one origin sent.
pub(super) struct OriginGroup<'a> {
    origin: &'a Origin,
    spans: Vec<&'a PackedSpan>,
}

/// One group for each origin of the trace.
pub(super) fn resource_spans(trace: &Arc<StoredTrace>) -> Vec<OriginGroup<'_>> {
    groups(std::slice::from_ref(trace))
}

/// One group for each origin of all these traces: most share a few.
pub(super) fn groups(traces: &[Arc<StoredTrace>]) -> Vec<OriginGroup<'_>> {
    let mut groups: Vec<OriginGroup<'_>> = Vec::new();
    for trace in traces {
        let places = trace.origins.iter().map(|origin| {
            let same =
                |known: &OriginGroup<'_>| std::ptr::eq(known.origin, &**origin) || *known.origin == **origin;
            groups.iter().position(same).unwrap_or_else(|| {
                groups.push(OriginGroup { origin, spans: Vec::new() });
                groups.len() - 1
            })
        });
        let places: Vec<_> = places.collect();
        trace.spans.iter().for_each(|kept| groups[places[kept.origin]].spans.push(&kept.span));
    }
    groups
}

/// What one origin sent of another signal: `scopeMetrics` with `metrics`, as `scoped_as` with `items_as`.
pub(super) fn group(origin: &Origin, scoped_as: &str, items_as: &str, items: Vec<Value>) -> Value {
    let scoped = json!({"scope": Json(&origin.scope), items_as: items, "schemaUrl": origin.schemas.scope});
    json!({"resource": Json(&*origin.resource), scoped_as: [scoped], "schemaUrl": origin.schemas.resource})
}

/// A message as JSON. It is written as it is read: what shows many spans decodes no second one before the first is written.
struct Json<T>(T);

impl Serialize for OriginGroup<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut fields = JsonObject::of(to)?;
        fields.always("resource", &Json(&*self.origin.resource))?;
        fields.always("scopeSpans", &[Json(self)])?;
        fields.text("schemaUrl", &self.origin.schemas.resource)?;
        fields.done()
    }
}

/// The only one of its `scopeSpans`.
impl Serialize for Json<&OriginGroup<'_>> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let OriginGroup { origin, spans } = self.0;
        let mut fields = JsonObject::of(to)?;
        fields.always("scope", &Json(&origin.scope))?;
        fields.list("spans", spans.iter().copied())?;
        fields.text("schemaUrl", &origin.schemas.scope)?;
        fields.done()
    }
}

impl Serialize for Json<&Resource> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut fields = JsonObject::of(to)?;
        fields.list("attributes", &self.0.attributes)?;
        fields.number("droppedAttributesCount", self.0.dropped_attributes_count)?;
        fields.done()
    }
}

impl Serialize for Json<&InstrumentationScope> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut fields = JsonObject::of(to)?;
        fields.text("name", &self.0.name)?;
        fields.text("version", &self.0.version)?;
        fields.list("attributes", &self.0.attributes)?;
        fields.number("droppedAttributesCount", self.0.dropped_attributes_count)?;
        fields.done()
    }
}

/// Decoded one by one, as each is written.
impl Serialize for Json<&PackedSpan> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        Json(&self.0.decode()).serialize(to)
    }
}

impl Serialize for Json<&Span> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let (span, mut fields) = (self.0, JsonObject::of(to)?);
        fields.id("traceId", &span.trace_id)?;
        fields.id("spanId", &span.span_id)?;
        fields.text("traceState", &span.trace_state)?;
        fields.id("parentSpanId", &span.parent_span_id)?;
        fields.number("flags", span.flags)?;
        fields.text("name", &span.name)?;
        fields.number("kind", span.kind)?;
        fields.nanos("startTimeUnixNano", span.start_time_unix_nano)?;
        fields.nanos("endTimeUnixNano", span.end_time_unix_nano)?;
        fields.list("attributes", &span.attributes)?;
        fields.number("droppedAttributesCount", span.dropped_attributes_count)?;
        fields.list("events", &span.events)?;
        fields.number("droppedEventsCount", span.dropped_events_count)?;
        fields.list("links", &span.links)?;
        fields.number("droppedLinksCount", span.dropped_links_count)?;
        fields.always("status", &Json(span.status.as_ref()))?;
        fields.done()
    }
}

impl Serialize for Json<&Event> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut fields = JsonObject::of(to)?;
        fields.nanos("timeUnixNano", self.0.time_unix_nano)?;
        fields.text("name", &self.0.name)?;
        fields.list("attributes", &self.0.attributes)?;
        fields.number("droppedAttributesCount", self.0.dropped_attributes_count)?;
        fields.done()
    }
}

impl Serialize for Json<&Link> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut fields = JsonObject::of(to)?;
        fields.id("traceId", &self.0.trace_id)?;
        fields.id("spanId", &self.0.span_id)?;
        fields.text("traceState", &self.0.trace_state)?;
        fields.list("attributes", &self.0.attributes)?;
        fields.number("droppedAttributesCount", self.0.dropped_attributes_count)?;
        fields.number("flags", self.0.flags)?;
        fields.done()
    }
}

impl Serialize for Json<Option<&Status>> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut fields = JsonObject::of(to)?;
        if let Some(status) = self.0 {
            fields.text("message", &status.message)?;
            fields.number("code", status.code)?;
        }
        fields.done()
    }
}

impl Serialize for Json<&KeyValue> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut fields = JsonObject::of(to)?;
        fields.always("key", &self.0.key)?;
        fields.always("value", &Json(self.0.value.as_ref()))?;
        fields.done()
    }
}

impl Serialize for Json<&AnyValue> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        Json(Some(self.0)).serialize(to)
    }
}

/// An object with one field that says the type, or none for an empty value. The value itself is there
/// even where it is empty.
impl Serialize for Json<Option<&AnyValue>> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut fields = JsonObject::of(to)?;
        match self.0.and_then(|value| value.value.as_ref()) {
            Some(Any::StringValue(text)) => fields.always("stringValue", text)?,
            Some(Any::BoolValue(flag)) => fields.always("boolValue", flag)?,
            Some(Any::IntValue(number)) => fields.always("intValue", &format_args!("{number}"))?,
            Some(Any::DoubleValue(number)) => fields.always("doubleValue", &attributes::double(*number))?,
            Some(Any::BytesValue(bytes)) => fields.always("bytesValue", &STANDARD.encode(bytes))?,
            Some(Any::ArrayValue(list)) => fields.always("arrayValue", &MessageValues(&list.values))?,
            Some(Any::KvlistValue(list)) => fields.always("kvlistValue", &MessageValues(&list.values))?,
            // Of profiles; a trace has no table that it could point into.
            Some(Any::StringValueStrindex(_)) | None => {}
        }
        fields.done()
    }
}

/// The values of a list or of an object.
struct MessageValues<'a, T>(&'a [T]);

impl<'a, T> Serialize for MessageValues<'a, T>
where
    Json<&'a T>: Serialize,
{
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut fields = JsonObject::of(to)?;
        fields.list("values", self.0)?;
        fields.done()
    }
}

/// The fields of one message.
struct JsonObject<M>(M);

impl<M: SerializeMap> JsonObject<M> {
    fn of<S: Serializer<SerializeMap = M, Error = M::Error>>(to: S) -> Result<Self, M::Error> {
        to.serialize_map(None).map(Self)
    }

    fn always(&mut self, name: &'static str, value: &(impl Serialize + ?Sized)) -> Result<(), M::Error> {
        self.0.serialize_entry(name, value)
    }

    fn text(&mut self, name: &'static str, text: &str) -> Result<(), M::Error> {
        if text.is_empty() { Ok(()) } else { self.always(name, text) }
    }

    fn number(&mut self, name: &'static str, number: impl Into<i64>) -> Result<(), M::Error> {
        let number = number.into();
        if number == 0 { Ok(()) } else { self.always(name, &number) }
    }

    fn nanos(&mut self, name: &'static str, nanos: u64) -> Result<(), M::Error> {
        if nanos == 0 { Ok(()) } else { self.always(name, &format_args!("{nanos}")) }
    }

    /// Absent where it is empty or all zero, which stands for "none".
    fn id(&mut self, name: &'static str, id: &[u8]) -> Result<(), M::Error> {
        if id.iter().all(|byte| *byte == 0) { Ok(()) } else { self.always(name, &hexadecimal(id)) }
    }

    /// Absent where it is empty.
    fn list<'a, T: 'a>(
        &mut self,
        name: &'static str,
        values: impl IntoIterator<Item = &'a T>,
    ) -> Result<(), M::Error>
    where
        Json<&'a T>: Serialize,
    {
        let values: Vec<_> = values.into_iter().map(Json).collect();
        if values.is_empty() { Ok(()) } else { self.always(name, &values) }
    }

    fn done(self) -> Result<M::Ok, M::Error> {
        self.0.end()
    }
}

fn hexadecimal(id: &[u8]) -> String {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    let digits = id.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
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
        let trace = store.get(1).unwrap();
        assert_eq!(json!(resource_spans(&trace)), json!([expected]));
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
            assert_eq!(json!(Json(&one(value))), expected);
        }
    }
}
