//! What filters find, of traces by hand.
#![allow(clippy::unwrap_used)]
use std::sync::Arc;

use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Status;
use opentelemetry_proto::tonic::trace::v1::span::Event;

use super::*;
use crate::console::sample;
use crate::console::traces::TraceStore;

fn pair(key: &str, value: Any) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// A gateway's span of 10 ms and, 40 ms in, an order service's that failed.
fn trace() -> Arc<StoredTrace> {
    let mut traces = TraceStore::new(100, 1 << 20);
    let mut root = sample::timed(1, 0, 0, 10);
    root.name = "POST /api/orders".into();
    root.attributes = vec![
        sample::text("http.route", "/api/orders"),
        pair("http.response.status_code", Any::IntValue(502)),
        pair("big", Any::IntValue(9_007_199_254_740_993)),
        pair("share", Any::DoubleValue(0.5)),
        pair("cached", Any::BoolValue(true)),
    ];
    let mut child = sample::timed(0xff, 1, 40, 50);
    child.kind = 5;
    child.attributes = vec![sample::text("order.id", "A7"), sample::text("retries", "12")];
    child.status = Some(Status { code: 2, message: "card declined".into() });
    child.events = vec![Event {
        name: "exception".into(),
        attributes: vec![sample::text("exception.message", "Kein Öl")],
        ..Event::default()
    }];
    traces.insert(&sample::origin("api-gateway"), root).unwrap();
    traces.insert(&sample::origin("order-service"), child).unwrap();
    traces.get(1).unwrap()
}

#[track_caller]
fn assert_finds(expected: bool, queries: &[&str]) {
    let trace = trace();
    for query in queries {
        assert_eq!(Filter::read(query).unwrap().finds(&trace), expected, "{query}");
    }
}

#[test]
fn texts_are_looked_for_in_names_services_values_events_and_ids() {
    assert_finds(
        true,
        &[
            "",
            "POST /API/orders",
            "ORDER-S",
            "a7 gateway",
            "502",
            "0.5",
            "true",
            "declined",
            "kein öl",
            "exception",
            "00000000000000000000000000000001",
            "\"card declined\"",
        ],
    );
    assert_finds(
        false,
        &["nowhere", "post nowhere", "503", "00000000000000000000000000000002", "\"declined card\""],
    );
}

#[test]
fn fields_have_to_hold_together_on_one_span() {
    assert_finds(
        true,
        &[
            "service=order-service order.id=a7 status=error",
            "service=api-gateway http.response.status_code=502 kind=server",
            "name=\"post /api/orders\"",
            "name~orders service!~user",
            "kind=consumer",
        ],
    );
    assert_finds(
        false,
        &["service=order-service http.response.status_code=502", "service=user-service", "status=ok"],
    );
}

#[test]
fn numbers_and_durations_are_compared_as_numbers_to_the_last_digit() {
    assert_finds(
        true,
        &[
            "http.response.status_code>=500 http.response.status_code<600",
            "big>9007199254740992",
            "big=9007199254740993",
            "share<0.51",
            "share>0",
            "retries>9",
            "duration>49ms",
            "duration<=50ms",
            "duration=50ms",
            "span.duration<11ms",
            "duration!=10ms",
        ],
    );
    assert_finds(
        false,
        &[
            "big>9007199254740993",
            "big<9007199254740993",
            "http.response.status_code>502",
            "order.id>1",
            "cached>0",
            "duration>50ms",
            "duration>10ms span.duration>10ms",
        ],
    );
}

#[test]
fn what_is_ruled_out_is_on_no_span_and_what_exists_is_on_one() {
    assert_finds(
        true,
        &[
            "order.id exists",
            "error exists",
            "nothing !exists",
            "http.route!=/health",
            "exception.message exists",
            "scope.version !exists",
            "resource.service.name~gate",
            "otel.status_description~CARD",
        ],
    );
    assert_finds(
        false,
        &[
            "order.id !exists",
            "http.route!=/api/orders",
            "order.id!~7",
            "nothing exists",
            "service!=order-service",
        ],
    );
}
