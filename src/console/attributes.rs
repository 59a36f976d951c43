//! OTLP attribute values: as text, as JSON, and what they weigh in memory.

use std::mem::size_of;

use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::{Map, Value, json};

/// The value of the first attribute called `key`.
pub(super) fn find<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a Any> {
    attributes.iter().find(|pair| pair.key == key)?.value.as_ref()?.value.as_ref()
}

/// The same, as text.
pub(super) fn find_text(attributes: &[KeyValue], key: &str) -> Option<String> {
    find(attributes, key).map(text)
}

/// How a person would write the value: strings as they are, lists and maps as JSON.
pub(super) fn text(value: &Any) -> String {
    match to_json(value) {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// The value as JSON. Bytes become base64; numbers JSON cannot express become text.
pub(super) fn to_json(value: &Any) -> Value {
    use base64::Engine;
    match value {
        Any::StringValue(text) => json!(text),
        Any::BoolValue(flag) => json!(flag),
        Any::IntValue(number) => json!(number),
        Any::DoubleValue(number) => double(*number),
        Any::ArrayValue(list) => list.values.iter().map(any_json).collect(),
        Any::KvlistValue(list) => Value::Object(object(&list.values)),
        Any::BytesValue(bytes) => json!(base64::engine::general_purpose::STANDARD.encode(bytes)),
        Any::StringValueStrindex(index) => json!(index),
    }
}

/// A number, or the text that protobuf's JSON has for one that JSON cannot express.
pub(super) fn double(number: f64) -> Value {
    match number {
        _ if number.is_finite() => json!(number),
        _ if number.is_nan() => json!("NaN"),
        _ if number > 0.0 => json!("Infinity"),
        _ => json!("-Infinity"),
    }
}

/// Attributes as a JSON object; the last of several with one key wins.
pub(super) fn object(attributes: &[KeyValue]) -> Map<String, Value> {
    attributes
        .iter()
        .map(|pair| (pair.key.clone(), pair.value.as_ref().map_or(Value::Null, any_json)))
        .collect()
}

/// An absent value is null.
pub(super) fn any_json(value: &AnyValue) -> Value {
    value.value.as_ref().map_or(Value::Null, to_json)
}

/// Bytes a span takes, its own struct included; an estimate that errs on the high side.
pub(super) fn span_weight(span: &Span) -> usize {
    let events: usize =
        span.events.iter().map(|e| size_of_val(e) + e.name.capacity() + weight(&e.attributes)).sum();
    let links: usize = span
        .links
        .iter()
        .map(|l| size_of_val(l) + 32 + l.trace_state.capacity() + weight(&l.attributes))
        .sum();
    let status = span.status.as_ref().map_or(0, |s| s.message.capacity());
    // Three ids of their own allocation each, and an entry in the index.
    let fixed = size_of::<Span>() + 3 * 32 + 64;
    fixed
        + span.name.capacity()
        + span.trace_state.capacity()
        + weight(&span.attributes)
        + events
        + links
        + status
}

/// Bytes a resource and its scope take.
pub(super) fn origin_weight(resource: &Resource, scope: &InstrumentationScope) -> usize {
    let scope_weight = scope.name.capacity() + scope.version.capacity() + weight(&scope.attributes);
    size_of::<Resource>() + size_of::<InstrumentationScope>() + weight(&resource.attributes) + scope_weight
}

fn weight(attributes: &[KeyValue]) -> usize {
    attributes
        .iter()
        .map(|p| size_of::<KeyValue>() + p.key.capacity() + p.value.as_ref().map_or(0, any_weight))
        .sum()
}

fn any_weight(value: &AnyValue) -> usize {
    match &value.value {
        Some(Any::StringValue(text)) => text.capacity(),
        Some(Any::BytesValue(bytes)) => bytes.capacity(),
        Some(Any::ArrayValue(list)) => list.values.iter().map(|v| size_of_val(v) + any_weight(v)).sum(),
        Some(Any::KvlistValue(list)) => weight(&list.values),
        _ => 0,
    }
}
