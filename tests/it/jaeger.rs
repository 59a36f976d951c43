//! The console's API as programs that were written for Jaeger read it.

mod ui;

use std::collections::{BTreeMap, BTreeSet};

use o11y_lab::lab::expect::{ORDER_TRACE, parent_of};
use serde_json::{Value, json};

use crate::helpers::tools::tool;
use crate::helpers::{Lab, get};

/// Calls of an order by the service that made them and the one that was called.
fn calls_of_an_order() -> BTreeMap<(&'static str, &'static str), u64> {
    let mut calls = BTreeMap::new();
    for (row, span) in ORDER_TRACE.iter().enumerate() {
        if let Some(parent) = parent_of(ORDER_TRACE, row) {
            *calls.entry((ORDER_TRACE[parent].service, span.service)).or_default() += 1;
        }
    }
    calls
}

/// An order whose trace has arrived whole; the trace's id.
fn traced_order(lab: &Lab) -> String {
    let id = lab.order(lab.user()).trace_id();
    lab.trace(&id, ORDER_TRACE.len());
    id
}

#[test]
fn a_public_client_of_jaeger_reads_services_dependencies_searches_and_traces() {
    let lab = Lab::shared();
    let id = traced_order(lab);
    let mut command = tool("jaeger_client.py");
    command.args(["--url", &lab.console(""), "--trace-id", &id, "--service", "api-gateway"]);
    command.args([
        "--tag",
        "http.response.status_code=201",
        "--tag",
        "span.kind=SERVER",
        "--tag",
        "span.status=ERROR",
    ]);
    let done = command.output().expect("the tool runs");
    assert!(done.status.success(), "{done:?}");
    let read: Value = serde_json::from_slice(&done.stdout).expect("JSON");

    let services: BTreeSet<_> = ORDER_TRACE.iter().map(|span| span.service).collect();
    let known = read["services"].as_array().expect("a list");
    assert!(services.iter().all(|name| known.contains(&json!(name))), "{known:?}");
    let links = read["dependencies"].as_array().expect("a list");
    for ((parent, child), calls) in calls_of_an_order() {
        let found = links.iter().find(|link| link[0] == parent && link[1] == child);
        let counted = found.and_then(|link| link[2].as_u64());
        assert!(counted.is_some_and(|counted| counted >= calls), "{parent} calls {child}: {found:?}");
    }
    for (tag, expected) in
        [("http.response.status_code=201", true), ("span.kind=SERVER", true), ("span.status=ERROR", false)]
    {
        let found = read["found"][tag].as_array().expect("a list");
        assert_eq!(found.contains(&json!(id)), expected, "{tag}: {found:?}");
    }
    let trace = &read["trace"];
    assert_eq!(trace["root"], json!(["api-gateway", "POST /api/orders"]));
    let counts = (&trace["id"], &trace["spans"], &trace["services"], &trace["errors"]);
    assert_eq!(counts, (&json!(id), &json!(ORDER_TRACE.len()), &json!(services.len()), &json!(0)));
}

#[test]
fn jaegers_search_page_finds_an_order_and_its_counts() {
    let lab = Lab::shared();
    let before = jiff::Timestamp::now();
    let id = traced_order(lab);
    let times = format!("query.startTimeMin={before}&query.startTimeMax={}", jiff::Timestamp::now());
    let asked =
        format!("/api/v3/trace-summaries?query.serviceName=user-service&{times}&query.searchDepth=1000");
    let body = get(&lab.console(&asked)).json;
    let summaries = body["summaries"].as_array().unwrap_or_else(|| panic!("{body}"));
    let found = summaries.iter().find(|summary| summary["traceId"] == id.as_str());
    let found = found.unwrap_or_else(|| panic!("{id} is not in {body}"));
    assert_eq!(
        (&found["rootServiceName"], &found["rootOperationName"]),
        (&json!("api-gateway"), &json!("POST /api/orders"))
    );
    assert_eq!((&found["spanCount"], found.get("errorSpanCount")), (&json!(ORDER_TRACE.len()), None));
    let services = found["services"].as_array().expect("a list");
    let counted: u64 = services.iter().filter_map(|service| service["spanCount"].as_u64()).sum();
    assert_eq!(counted, ORDER_TRACE.len() as u64);
    let nanos =
        |name: &str| found[name].as_str().and_then(|text| text.parse::<u64>().ok()).expect("nanoseconds");
    let trace = &get(&lab.console(&format!("/api/traces/{id}"))).json["data"][0];
    assert_eq!(trace["spans"][0]["startTime"], json!(nanos("minStartTimeUnixNano") / 1_000));
    assert!(nanos("maxEndTimeUnixNano") > nanos("minStartTimeUnixNano"));
}
