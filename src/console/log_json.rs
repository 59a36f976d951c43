//! Log lines as OTLP JSON: [`record`](super::record) the other way.

use serde_json::{Map, Value, json};

use super::ids::{parse_trace_id, span_hex, trace_hex};
use super::line_head::rank;

/// Fields of a line that have places of their own in a record.
const OWN: [&str; 9] =
    ["timestamp", "level", "message", "service", "traceId", "spanId", "eventName", "scope", "resource"];

/// A line as a message with one record; `None` for what is no JSON object.
pub(super) fn resource_logs(line: &str) -> Option<Value> {
    let fields: Map<String, Value> = serde_json::from_str(line).ok()?;
    let text = |key: &str| fields.get(key).and_then(Value::as_str).unwrap_or_default();
    let rest = fields.iter().filter(|(key, _)| !OWN.contains(&key.as_str()));
    let mut record = json!({"body": {"stringValue": text("message")}, "attributes": pairs(rest)});
    if let Ok(time) = text("timestamp").parse::<jiff::Timestamp>() {
        record["timeUnixNano"] = json!(time.as_nanosecond().to_string());
    }
    if !text("level").is_empty() {
        record["severityNumber"] = json!(4 * rank(text("level")) + 1);
        record["severityText"] = json!(text("level").to_uppercase());
    }
    // A line may have written its ids without their zeros, or in upper case.
    if let Some(id) = parse_trace_id(text("traceId")) {
        record["traceId"] = json!(trace_hex(id));
    }
    if let Some(id) = parse_trace_id(text("spanId")).and_then(|id| u64::try_from(id).ok()) {
        record["spanId"] = json!(span_hex(id));
    }
    if !text("eventName").is_empty() {
        record["eventName"] = json!(text("eventName"));
    }
    let part = |key: &str| fields.get(key).and_then(Value::as_object).cloned().unwrap_or_default();
    let (scope, mut resource) = (part("scope"), part("resource"));
    let own = inner(&scope, "attributes");
    let scope_json = json!({"name": inner_text(&scope, "name"), "version": inner_text(&scope, "version"), "attributes": pairs(&own)});
    let scope_schema = inner_text(&scope, "schemaUrl");
    let resource_schema = inner_text(&resource, "schemaUrl");
    let mut attributes =
        resource.remove("attributes").and_then(|of| of.as_object().cloned()).unwrap_or_default();
    attributes.insert("service.name".into(), json!(text("service")));
    Some(json!({"resourceLogs": [{
        "resource": {"attributes": pairs(&attributes)}, "schemaUrl": resource_schema,
        "scopeLogs": [{"scope": scope_json, "schemaUrl": scope_schema, "logRecords": [record]}],
    }]}))
}

fn inner(part: &Map<String, Value>, key: &str) -> Map<String, Value> {
    part.get(key).and_then(Value::as_object).cloned().unwrap_or_default()
}

fn inner_text(part: &Map<String, Value>, key: &str) -> Value {
    part.get(key).filter(|value| value.is_string()).cloned().unwrap_or(json!(""))
}

/// Attributes from a JSON object's fields.
pub(super) fn pairs<'a>(fields: impl IntoIterator<Item = (&'a String, &'a Value)>) -> Vec<Value> {
    fields.into_iter().map(|(key, value)| json!({"key": key, "value": any(value)})).collect()
}

fn any(value: &Value) -> Value {
    match value {
        Value::Null => json!({}),
        Value::Bool(flag) => json!({"boolValue": flag}),
        Value::Number(number) if number.is_i64() => json!({"intValue": number.to_string()}),
        Value::Number(number) => json!({"doubleValue": number}),
        Value::String(text) => json!({"stringValue": text}),
        Value::Array(list) => json!({"arrayValue": {"values": list.iter().map(any).collect::<Vec<_>>()}}),
        Value::Object(fields) => json!({"kvlistValue": {"values": pairs(fields)}}),
    }
}
