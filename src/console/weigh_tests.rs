//! The walk against what the decoders make.
#![allow(clippy::unwrap_used)]
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{ArrayValue, any_value::Value};
use prost::Message;

use super::*;
use crate::console::sample;

/// One span with every kind of part, several levels deep.
fn export() -> ExportTraceServiceRequest {
    let list = (0..10).map(|_| AnyValue { value: None }).collect();
    let value = AnyValue { value: Some(Value::ArrayValue(ArrayValue { values: list })) };
    let pair = KeyValue { key: "list".into(), value: Some(value), ..KeyValue::default() };
    let mut span = sample::span(1, 1, 0);
    span.events.push(Event { attributes: vec![pair.clone()], ..Event::default() });
    span.links.push(Link { attributes: vec![pair.clone()], ..Link::default() });
    span.attributes.push(pair);
    sample::export("a", vec![span])
}

#[test]
fn the_walk_counts_what_the_decoders_would_make_in_both_encodings() {
    let pairs = 4 * size_of::<KeyValue>() + 34 * size_of::<AnyValue>();
    let parts = size_of::<Event>() + size_of::<Link>() + size_of::<Span>() + pairs;
    let least = parts + size_of::<Resource>() + size_of::<ScopeSpans>() + size_of::<ResourceSpans>();
    let protobuf = export().encode_to_vec();
    assert!(protobuf_fits(&protobuf, &SPANS, least) && !protobuf_fits(&protobuf, &SPANS, least - 1));
    let json = serde_json::to_vec(&export()).unwrap();
    // Lists count once more in JSON, and what protobuf leaves out may be there as null.
    assert!(json_fits(&json, &SPANS, 3 * least).unwrap() && !json_fits(&json, &SPANS, least - 1).unwrap());
}

#[test]
fn what_is_no_json_or_has_lists_for_messages_is_an_error_and_bad_protobuf_is_left_to_its_decoder() {
    let deep = format!(r#"{{"resourceSpans":{}"#, "[".repeat(100_000));
    let listed = r#"{"resourceSpans":[[null,[[null,[{},{},{}]]]]]}"#;
    for text in ["", "{", "[]", listed, &deep] {
        assert!(json_fits(text.as_bytes(), &SPANS, 1 << 20).is_err(), "{}", text.len());
    }
    for text in ["null", "{}", r#"{"other":[[7]]}"#] {
        assert!(json_fits(text.as_bytes(), &SPANS, 0).unwrap(), "{text}");
    }
    for bytes in [&[0xff; 40][..], &[0x0a, 0x7f], &[0x0a]] {
        assert!(protobuf_fits(bytes, &SPANS, 1 << 20), "{bytes:?}");
    }
}
