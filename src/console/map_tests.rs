//! The map, of spans by hand.
#![allow(clippy::unwrap_used)]

use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;

use super::*;
use crate::console::sample::{self, START};
use crate::console::traces::TraceStore;

fn span(id: u64, parent: u64, kind: i32, failed: bool, attributes: &[(&str, &str)]) -> Span {
    let mut span = sample::span(1, id, parent);
    span.kind = kind;
    span.status.get_or_insert_default().code = if failed { 2 } else { 0 };
    span.attributes = attributes.iter().map(|(key, value)| sample::text(key, value)).collect();
    span
}

fn map_of(spans: Vec<(&str, Span)>) -> Value {
    let mut store = TraceStore::new(1_000, 1 << 24);
    for (service, span) in spans {
        store.insert(&sample::origin(service), span).unwrap();
    }
    let traces = store.all();
    ServiceMap::of(&traces, START, u64::MAX).to_json(10.0)
}

/// `from > to count errors`, sorted.
fn edges(map: &Value) -> Vec<String> {
    let word = |edge: &Value, key: &str| edge[key].as_str().unwrap().to_owned();
    let line = |edge: &Value| {
        format!("{} > {} {} {}", word(edge, "from"), word(edge, "to"), edge["count"], edge["errors"])
    };
    let mut edges: Vec<_> = map["edges"].as_array().unwrap().iter().map(line).collect();
    edges.sort();
    edges
}

fn kind(map: &Value, id: &str) -> Value {
    let nodes = map["nodes"].as_array().unwrap();
    nodes.iter().find(|node| node["id"] == id).map(|node| node["kind"].clone()).unwrap_or_default()
}

#[test]
fn calls_messages_databases_and_foreign_callees_are_edges_between_those_that_the_spans_name() {
    let db = [("db.system.name", "sqlite"), ("db.namespace", "orders")];
    let queue = [("messaging.system", "kafka"), ("messaging.destination.name", "mail")];
    let receive = [queue[0], queue[1], ("messaging.operation.type", "receive")];
    let port = KeyValue {
        key: "server.port".into(),
        value: Some(AnyValue { value: Some(Any::IntValue(443)) }),
        ..KeyValue::default()
    };
    let mut foreign = span(7, 4, CLIENT, true, &[("server.address", "pay.example")]);
    foreign.attributes.push(port);
    let map = map_of(vec![
        ("gate", span(1, 0, SERVER, false, &[])),
        ("gate", span(2, 1, CLIENT, false, &[("server.address", "10.0.0.7")])),
        ("order", span(3, 2, SERVER, false, &[])),
        ("order", span(4, 3, 1, false, &[])),
        ("order", span(5, 4, CLIENT, false, &db)),
        ("order", span(6, 4, PRODUCER, false, &queue)),
        ("order", foreign),
        ("mailer", span(8, 99, CONSUMER, true, &queue)),
        ("mailer", span(9, 98, CLIENT, false, &receive)),
        // Nobody answered: no span of the other side, but its address is known.
        ("gate", span(10, 1, CLIENT, true, &[("server.address", "10.0.0.7"), ("error.type", "timeout")])),
        ("gate", span(11, 1, CLIENT, true, &[("service.peer.name", "search")])),
    ]);
    let expected = [
        "callers > named:gate 1 0",
        "named:gate > named:order 2 1",
        "named:gate > named:search 1 1",
        "named:order > address:pay.example:443 1 1",
        "named:order > database:sqlite:orders 1 0",
        "named:order > queue:mail 1 0",
        "queue:mail > named:mailer 1 1",
    ];
    assert_eq!(edges(&map), expected);
    for (id, expected) in [
        ("callers", "callers"),
        ("named:order", "service"),
        ("named:search", "foreign"),
        ("address:pay.example:443", "foreign"),
        ("queue:mail", "queue"),
        ("database:sqlite:orders", "database"),
    ] {
        assert_eq!(kind(&map, id), expected, "{id}");
    }
    let edge = map["edges"].as_array().unwrap().iter().find(|edge| edge["to"] == "named:order").unwrap();
    assert_eq!(
        (&edge["rate"], &edge["errorRatio"], &edge["p95"]["ms"]),
        (&json!(0.2), &json!(0.5), &json!(10.0))
    );
    assert_eq!(edge["causes"], json!([{"type": "timeout", "count": 1}]));
    assert_eq!(edge["find"], json!({"service": "gate", "text": r#"service="order" parent.service="gate""#}));
}

#[test]
fn a_client_and_a_server_span_of_one_id_and_a_caller_without_client_spans_are_calls_too() {
    let map = map_of(vec![
        ("a", span(1, 0, SERVER, false, &[])),
        ("a", span(2, 1, CLIENT, false, &[])),
        ("b", span(2, 1, SERVER, false, &[])),
        ("b", span(3, 2, 1, false, &[])),
        ("c", span(4, 3, SERVER, false, &[])),
    ]);
    assert_eq!(edges(&map), ["callers > named:a 1 0", "named:a > named:b 1 0", "named:b > named:c 1 0"]);
}

#[test]
fn a_call_whose_caller_is_still_on_its_way_does_not_come_from_outside() {
    let mut store = TraceStore::new(1_000, 1 << 24);
    for (id, parent) in [(1, 0), (2, 77)] {
        store.insert(&sample::origin("a"), span(id, parent, SERVER, false, &[])).unwrap();
    }
    let traces = store.all();
    let calls = |arrived| edges(&ServiceMap::of(&traces, START, arrived).to_json(1.0));
    assert_eq!(calls(START), ["callers > named:a 1 0"]);
    assert_eq!(calls(u64::MAX), ["callers > named:a 2 0"]);
}

#[test]
fn what_finds_the_traces_of_a_node_is_read_by_the_language_whatever_its_name() {
    let name = r#"a "b" \ c=d"#;
    let map = map_of(vec![("x", span(1, 0, CLIENT, false, &[("service.peer.name", name)]))]);
    let find = map["edges"][0]["find"].clone();
    assert_eq!(find["service"], "x");
    let found = crate::console::language::read(find["text"].as_str().unwrap()).unwrap();
    assert_eq!(format!("{found:?}").matches("Equal").count(), 2, "{found:?}");
    assert!(format!("{found:?}").contains(&format!("{name:?}")), "{found:?}");
}

#[test]
fn only_spans_of_the_window_count_and_an_answer_has_a_bound_and_says_what_it_left_out() {
    let mut store = TraceStore::new(1_000, 1 << 24);
    for id in 1..=500u64 {
        let mut span =
            span(id, 0, CLIENT, false, &[("server.address", &format!("host-{id}-{}", "x".repeat(200)))]);
        span.trace_id = u128::from(id).to_be_bytes().to_vec();
        store.insert(&sample::origin("a"), span).unwrap();
    }
    let traces = store.all();
    let map = ServiceMap::of(&traces, START, u64::MAX).to_json(1.0);
    let count = |name: &str| map[name].as_array().unwrap().len();
    assert_eq!((count("nodes"), count("edges")), (MOST_NODES, MOST_NODES - 1));
    assert_eq!(map["leftOut"], 500 - (MOST_NODES - 1));
    assert!(map["nodes"].as_array().unwrap().iter().all(|node| node["name"].as_str().unwrap().len() <= 100));
    // A span ends ten milliseconds after its start, and starts as many after the beginning as its id says.
    let late = ServiceMap::of(&traces, START + 500_000_000, u64::MAX);
    assert_eq!(late.spans, 11);
}
