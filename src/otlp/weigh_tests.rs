//! The walk against what the decoder makes.
#![allow(clippy::unwrap_used)]
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};
use prost::Message;

use super::super::fields::{LOGS_EXPORT, SPANS_EXPORT};
use super::super::metric_fields::METRICS_EXPORT;
use super::*;

/// One span with every kind of part, several levels deep.
fn export() -> Vec<u8> {
    let list = (0..10).map(|_| AnyValue { value: None }).collect();
    let value = AnyValue { value: Some(Value::ArrayValue(ArrayValue { values: list })) };
    let pair = KeyValue { key: "list".into(), value: Some(value), ..KeyValue::default() };
    let mut span =
        Span { trace_id: vec![1; 16], span_id: vec![1; 8], name: "a span".into(), ..Span::default() };
    span.events.push(Event { attributes: vec![pair.clone()], ..Event::default() });
    span.links.push(Link { attributes: vec![pair.clone()], ..Link::default() });
    span.attributes.push(pair);
    let name = AnyValue { value: Some(Value::StringValue("a".into())) };
    let name = KeyValue { key: "service.name".into(), value: Some(name), ..KeyValue::default() };
    let resource = Resource { attributes: vec![name], ..Resource::default() };
    let scope_spans = vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }];
    let group = ResourceSpans { resource: Some(resource), scope_spans, ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![group] }.encode_to_vec()
}

#[test]
fn the_walk_counts_what_the_decoder_would_make() {
    let pairs = 4 * size_of::<KeyValue>() + 34 * size_of::<AnyValue>();
    let parts = size_of::<Event>() + size_of::<Link>() + size_of::<Span>() + pairs;
    let least = parts + size_of::<Resource>() + size_of::<ScopeSpans>() + size_of::<ResourceSpans>();
    let protobuf = export();
    assert!(fits(&protobuf, &SPANS_EXPORT, least) && !fits(&protobuf, &SPANS_EXPORT, least - 1));
}

#[test]
fn packed_numbers_are_counted_as_what_they_become() {
    // Data points of an exponential histogram: a million counts of one byte each become eight.
    let around = |number: u32, inner: &[u8]| {
        let mut outer = Vec::new();
        prost::encoding::bytes::encode(number, &inner.to_vec(), &mut outer);
        outer
    };
    let counts = around(2, &vec![1; 1 << 20]);
    let point = around(10, &around(1, &around(8, &counts)));
    let export = around(1, &around(2, &around(2, &point)));
    assert!(fits(&export, &METRICS_EXPORT, (8 << 20) + 1_000));
    assert!(!fits(&export, &METRICS_EXPORT, 8 << 20));
}

#[test]
fn bad_protobuf_is_left_to_its_decoder() {
    for bytes in [&[0xff; 40][..], &[0x0a, 0x7f], &[0x0a]] {
        assert!(fits(bytes, &SPANS_EXPORT, 1 << 20), "{bytes:?}");
    }
}

#[test]
fn no_message_is_larger_than_the_largest() {
    fn check(of: &'static MessageType, depth: usize) {
        assert!(of.size <= LARGEST);
        for field in of.fields {
            if let (FieldType::Message(inner) | FieldType::Item(inner), 0..8) = (field.of, depth) {
                check(inner, depth + 1);
            }
        }
    }
    check(&SPANS_EXPORT, 0);
    check(&LOGS_EXPORT, 0);
    check(&METRICS_EXPORT, 0);
}
