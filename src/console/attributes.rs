//! OTLP attribute values: as text, as JSON, and what they weigh in memory.

use std::borrow::Cow;
use std::mem::size_of;

use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use serde_json::{Map, Value, json};

use crate::otlp::packed::ValueRef;

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

/// The same of a value where it stands.
pub(super) fn text_of<'a>(value: &ValueRef<'a>) -> Cow<'a, str> {
    match value {
        ValueRef::Text(text) => (*text).into(),
        ValueRef::Bool(flag) => flag.to_string().into(),
        ValueRef::Int(number) => number.to_string().into(),
        ValueRef::Double(number) => text(&Any::DoubleValue(*number)).into(),
        ValueRef::Other(value) => text(value).into(),
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
