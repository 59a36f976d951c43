//! Every way in which a value may be written, at every depth, and the true reason where it may not.
#![allow(clippy::unwrap_used)]

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValueList};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use serde_json::{Value, json};

use super::super::fields::{LOGS_EXPORT, SPANS_EXPORT};
use super::*;

/// One span, or why it is refused.
fn span(fields: &Value) -> Result<Span, String> {
    let text = json!({"resourceSpans": [{"scopeSpans": [{"spans": [fields]}]}]}).to_string();
    let mut refused = RefusedItems::default();
    let wire = to_protobuf(&text, &SPANS_EXPORT, &mut refused).unwrap();
    assert!(wire.len() <= text.len(), "{text}");
    let mut export = ExportTraceServiceRequest::decode(&wire[..]).unwrap();
    match refused.partial() {
        Some((count, why)) => Err(format!("{count} {why}")),
        None => Ok(export.resource_spans.remove(0).scope_spans.remove(0).spans.remove(0)),
    }
}

/// A value of a span's attribute, which is as deep as values are.
fn value(any: &Value) -> Result<Option<Any>, String> {
    let mut span = span(&json!({"attributes": [{"key": "k", "value": any}]}))?;
    Ok(span.attributes.remove(0).value.and_then(|value| value.value))
}

fn list(values: &[Any]) -> Option<Any> {
    let values = values.iter().cloned().map(|value| AnyValue { value: Some(value) }).collect();
    Some(Any::ArrayValue(ArrayValue { values }))
}

#[test]
fn a_value_may_be_written_in_every_way_that_protobuf_allows() {
    let text = |text: &str| Some(Any::StringValue(text.into()));
    let bytes = |bytes: &[u8]| Some(Any::BytesValue(bytes.into()));
    let empty_map = Some(Any::KvlistValue(KeyValueList::default()));
    for (json, expected) in [
        (json!({}), None),
        (json!(null), None),
        (json!({"stringValue": null}), None),
        (json!({"stringValue": ""}), text("")),
        (json!({"stringValue": "a\"\\\n\u{1f600}"}), text("a\"\\\n\u{1f600}")),
        (json!({"string_value": "a"}), text("a")),
        (json!({"boolValue": false}), Some(Any::BoolValue(false))),
        (json!({"intValue": "-9223372036854775808"}), Some(Any::IntValue(i64::MIN))),
        (json!({"intValue": 9_007_199_254_740_993_u64}), Some(Any::IntValue(9_007_199_254_740_993))),
        (json!({"intValue": 1.0}), Some(Any::IntValue(1))),
        (json!({"intValue": "1e3"}), Some(Any::IntValue(1000))),
        (json!({"doubleValue": 3}), Some(Any::DoubleValue(3.0))),
        (json!({"doubleValue": "-1.5e-3"}), Some(Any::DoubleValue(-0.0015))),
        (json!({"doubleValue": "Infinity"}), Some(Any::DoubleValue(f64::INFINITY))),
        (json!({"doubleValue": "-Infinity"}), Some(Any::DoubleValue(f64::NEG_INFINITY))),
        (json!({"arrayValue": {}}), list(&[])),
        (json!({"arrayValue": {"values": null}}), list(&[])),
        (json!({"arrayValue": {"values": [{"arrayValue": {}}]}}), list(&[list(&[]).unwrap()])),
        (json!({"kvlistValue": {}}), empty_map.clone()),
        (json!({"kvlistValue": {"values": []}}), empty_map),
        (json!({"bytesValue": ""}), bytes(b"")),
        (json!({"bytesValue": "+/8="}), bytes(&[0xfb, 0xff])),
        (json!({"bytesValue": "-_8"}), bytes(&[0xfb, 0xff])),
        (json!({"later": [{"x": null}], "boolValue": true}), Some(Any::BoolValue(true))),
    ] {
        assert_eq!(value(&json), Ok(expected), "{json}");
    }
    let nan = value(&json!({"doubleValue": "NaN"})).unwrap();
    assert!(matches!(nan, Some(Any::DoubleValue(number)) if number.is_nan()));
}

#[test]
fn enumerations_may_be_numbers_or_names_and_an_unknown_name_is_unspecified() {
    for (json, expected) in [
        (json!(3), 3),
        (json!("SPAN_KIND_CLIENT"), 3),
        (json!("3"), 3),
        (json!("SPAN_KIND_LATER"), 0),
        (json!(99), 99),
        (json!(null), 0),
    ] {
        let found = span(&json!({"kind": json, "status": {"code": "STATUS_CODE_ERROR"}})).unwrap();
        assert_eq!((found.kind, found.status.unwrap().code), (expected, 2), "{json}");
    }
    let text = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [{"severityNumber": "SEVERITY_NUMBER_WARN2"}]}]}]});
    let wire = to_protobuf(&text.to_string(), &LOGS_EXPORT, &mut RefusedItems::default()).unwrap();
    let export = ExportLogsServiceRequest::decode(&wire[..]).unwrap();
    assert_eq!(export.resource_logs[0].scope_logs[0].log_records[0].severity_number, 14);
}

#[test]
fn a_number_in_exponent_form_is_the_number_and_null_is_the_default_everywhere() {
    let text = r#"{"resourceSpans": [{"resource": null, "schemaUrl": null, "scopeSpans": [{"scope": null, "spans": [
        {"traceId": null, "startTimeUnixNano": 1.5e18, "endTimeUnixNano": "1500000000000000001", "flags": 2.57E2,
         "name": null, "status": null, "events": null, "links": [{"flags": "256"}], "droppedLinksCount": 1e1}]}]}]}"#;
    let wire = to_protobuf(text, &SPANS_EXPORT, &mut RefusedItems::default()).unwrap();
    let export = ExportTraceServiceRequest::decode(&wire[..]).unwrap();
    let span = &export.resource_spans[0].scope_spans[0].spans[0];
    let times = (span.start_time_unix_nano, span.end_time_unix_nano);
    assert_eq!(times, (1_500_000_000_000_000_000, 1_500_000_000_000_000_001));
    assert_eq!((span.flags, span.links[0].flags, span.dropped_links_count), (257, 256, 10));
    assert_eq!((span.status.clone(), span.events.len(), span.name.as_str()), (None, 0, ""));
}

#[test]
fn a_span_that_cannot_be_read_is_refused_with_its_true_reason() {
    for (fields, reason) in [
        (json!({"traceId": "xyz"}), "traceId: xyz is not hexadecimal"),
        (json!({"name": 7}), "name: 7 is not a text"),
        (json!({"flags": -1}), "flags: -1 is not within its type's range"),
        (json!({"startTimeUnixNano": "soon"}), "startTimeUnixNano: \"soon\" is not a whole number"),
        (json!({"kind": true}), "kind: true is not a whole number"),
        (json!({"attributes": {}}), "attributes: an object where a list must be"),
        (json!({"status": []}), "status: a list where an object must be"),
        (json!({"status": "bad"}), "status: invalid type: string \"bad\", expected an object"),
        (json!({"attributes": [null]}), "attributes: null in a list"),
        (
            json!({"attributes": [{"value": {"doubleValue": "much"}}]}),
            "attributes: value: doubleValue: \"much\" is not a number",
        ),
        (json!({"attributes": [{"value": {"bytesValue": "a"}}]}), "bytesValue: a is not base64"),
        (json!({"events": [{"name": {}}]}), "events: name: {} is not a text"),
        (json!(null), "null in a list"),
        (json!(7), "invalid type: integer `7`, expected an object"),
    ] {
        let why = span(&fields).unwrap_err();
        assert!(why.starts_with("1 ") && why.contains(reason), "{fields}: {why}");
    }
}

#[test]
fn values_may_be_as_deep_as_protobuf_allows_and_no_deeper() {
    // A span's attribute is the sixth message from the top, and each level two more.
    let deep = |levels: usize| {
        (0..levels).fold(json!({"intValue": 1}), |inner, _| json!({"arrayValue": {"values": [inner]}}))
    };
    assert!(value(&deep(47)).is_ok());
    let why = value(&deep(48)).unwrap_err();
    assert!(why.contains("nested too deeply"), "{why}");
    // Unknown fields may be as deep as they like.
    let text = format!(r#"{{"later":{}{}}}"#, "[".repeat(5_000), "]".repeat(5_000));
    assert_eq!(to_protobuf(&text, &SPANS_EXPORT, &mut RefusedItems::default()).unwrap(), b"");
}

#[test]
fn what_has_no_frame_of_an_export_is_an_error() {
    let deep = format!(r#"{{"resourceSpans":{}"#, "[".repeat(100_000));
    let listed = r#"{"resourceSpans":[[null,[[null,[{},{},{}]]]]]}"#;
    let read = |text: &str| to_protobuf(text, &SPANS_EXPORT, &mut RefusedItems::default());
    for text in ["", "{", "[]", "7", "{} {}", listed, &deep, r#"{"resourceSpans":[{"scopeSpans":7}]}"#] {
        assert!(read(text).is_err(), "{text:.40}");
    }
    for text in ["null", "{}", r#"{"other":[[7]]}"#, r#"{"\ud800":"\ud800"}"#, r#"{"resourceSpans":null}"#] {
        assert_eq!(read(text).unwrap(), b"", "{text}");
    }
}
