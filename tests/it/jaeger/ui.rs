//! The console's API as the pages of Jaeger UI 2.20 ask it, and as its schemas (`api/v3/schemas.ts`,
//! `types/trace.ts`) read the answers. The page itself cannot be had here: its build is in no registry.

use std::fmt::Write as _;

use o11y_lab::lab::expect::ORDER_TRACE;
use serde_json::{Value, json};

use super::{calls_of_an_order, traced_order};
use crate::helpers::{Lab, get};

/// What a field has to be.
type Check = fn(&Value) -> bool;

const TEXT: Check = Value::is_string;
const LIST: Check = Value::is_array;

/// `z.number().int().min(0)`
fn count(value: &Value) -> bool {
    value.is_u64()
}

/// A decimal int64 as proto3's JSON writes it: `BigInt` throws at anything else.
fn digits(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()))
}

fn hex(value: &Value, length: usize) -> bool {
    value.as_str().is_some_and(|text| text.len() == length && text.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn trace_id(value: &Value) -> bool {
    hex(value, 32)
}

fn span_id(value: &Value) -> bool {
    hex(value, 16)
}

/// Microseconds that JavaScript tells from their neighbours.
fn exact(value: &Value) -> bool {
    value.as_u64().is_some_and(|number| number < 1 << 53)
}

const SUMMARY: &[(&str, Check)] = &[
    ("rootServiceName", TEXT),
    ("rootOperationName", TEXT),
    ("minStartTimeUnixNano", digits),
    ("maxEndTimeUnixNano", digits),
    ("spanCount", count),
    ("errorSpanCount", count),
    ("orphanSpanCount", count),
    ("services", LIST),
];

/// Holds `value` to the fields it must have and to those it may have.
#[track_caller]
fn fits(value: &Value, required: &[(&str, Check)], optional: &[(&str, Check)]) {
    for (name, check) in required {
        assert!(check(&value[name]), "{name} of {value}");
    }
    for (name, check) in optional {
        assert!(value.get(name).is_none_or(check), "{name} of {value}");
    }
}

fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut all, byte| {
        let _ = write!(all, "%{byte:02X}");
        all
    })
}

/// What the search page asks when its button is pressed: `fetchTraceSummaries`.
fn summaries(lab: &Lab, fields: &[(&str, &str)]) -> Vec<Value> {
    let now = jiff::Timestamp::now();
    let day = jiff::SignedDuration::from_hours(24);
    let mut asked = "/api/v3/trace-summaries?query.serviceName=api-gateway".to_owned();
    for (name, time) in [("startTimeMin", now - day), ("startTimeMax", now)] {
        // `Date.toISOString`: milliseconds always.
        let _ =
            write!(asked, "&query.{name}={}", encoded(&time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()));
    }
    for (name, value) in fields {
        let _ = write!(asked, "&query.{name}={}", encoded(value));
    }
    let answer = get(&lab.console(&asked));
    assert_eq!(answer.status, 200, "{answer:?}");
    let found = answer.json["summaries"].as_array().unwrap_or_else(|| panic!("{answer:?}")).clone();
    for summary in &found {
        fits(summary, &[("traceId", trace_id)], SUMMARY);
        for service in summary["services"].as_array().into_iter().flatten() {
            fits(service, &[("name", TEXT)], &[("spanCount", count), ("errorSpanCount", count)]);
        }
    }
    found
}

fn has(found: &[Value], id: &str) -> bool {
    found.iter().any(|summary| summary["traceId"] == id)
}

#[test]
fn the_search_page_lists_services_operations_and_traces() {
    let lab = Lab::shared();
    let id = traced_order(lab);
    let services = get(&lab.console("/api/v3/services")).json;
    let names = services["services"].as_array().unwrap_or_else(|| panic!("{services}"));
    assert!(names.contains(&json!("api-gateway")) && names.iter().all(TEXT), "{services}");

    let answer = get(&lab.console("/api/v3/operations?service=api-gateway")).json;
    let operations = answer["operations"].as_array().unwrap_or_else(|| panic!("{answer}"));
    operations.iter().for_each(|one| fits(one, &[("name", TEXT), ("spanKind", TEXT)], &[]));
    // The page filters by kinds in lower case.
    assert!(operations.contains(&json!({"name": "POST /api/orders", "spanKind": "server"})), "{answer}");

    let every = [("searchDepth", "20")];
    assert!(has(&summaries(lab, &every), &id));
    let order = [("operationName", "POST /api/orders"), ("searchDepth", "1500")];
    assert!(has(&summaries(lab, &order), &id));
    for (fields, expected) in [
        (("operationName", "GET /api/users"), false),
        (("durationMin", "1us"), true),
        (("durationMin", "1h"), false),
        (("durationMax", "1.5h"), true),
        (("durationMax", "1us"), false),
        // `convTagsLogfmt`: every value is a text.
        (("attributes", r#"{"http.response.status_code":"201"}"#), true),
        (("attributes", r#"{"http.response.status_code":"404"}"#), false),
        (("attributes", r#"{"error":"true"}"#), false),
    ] {
        let found = summaries(lab, &[fields, ("searchDepth", "1500")]);
        assert_eq!(has(&found, &id), expected, "{fields:?}: {found:?}");
    }
    assert_eq!(summaries(lab, &[("searchDepth", "1")]).len(), 1);
    // The page shows a failure where the status says so.
    let bad = get(&lab.console("/api/v3/trace-summaries?query.durationMin=soon"));
    assert_eq!(bad.status, 400, "{bad:?}");
}

#[test]
fn the_architecture_page_draws_who_calls_whom() {
    let lab = Lab::shared();
    traced_order(lab);
    let week = 7 * 86_400_000;
    let asked =
        format!("/api/dependencies?endTs={}&lookback={week}", jiff::Timestamp::now().as_millisecond());
    let answer = get(&lab.console(&asked)).json;
    let links = answer["data"].as_array().unwrap_or_else(|| panic!("{answer}"));
    links.iter().for_each(|link| fits(link, &[("parent", TEXT), ("child", TEXT), ("callCount", count)], &[]));
    for ((parent, child), calls) in calls_of_an_order() {
        let link = links.iter().find(|link| link["parent"] == parent && link["child"] == child);
        let counted = link.and_then(|link| link["callCount"].as_u64());
        assert!(counted.is_some_and(|counted| counted >= calls), "{parent} calls {child}: {answer}");
    }
}

#[test]
fn the_trace_page_reads_every_span_and_says_why_there_is_none() {
    let lab = Lab::shared();
    let id = traced_order(lab);
    let answer = get(&lab.console(&format!("/api/traces/{id}"))).json;
    let trace = &answer["data"][0];
    fits(trace, &[("traceID", trace_id), ("spans", LIST), ("processes", Value::is_object)], &[]);
    let spans = trace["spans"].as_array().unwrap();
    assert_eq!(spans.len(), ORDER_TRACE.len());
    for span in spans {
        let texts = [("operationName", TEXT), ("processID", TEXT)];
        fits(span, &texts, &[]);
        fits(
            span,
            &[("traceID", trace_id), ("spanID", span_id), ("startTime", exact), ("duration", exact)],
            &[],
        );
        fits(span, &[("tags", LIST), ("logs", LIST), ("references", LIST)], &[]);
        let process = &trace["processes"][span["processID"].as_str().unwrap()];
        fits(process, &[("serviceName", TEXT), ("tags", LIST)], &[]);
        for log in span["logs"].as_array().unwrap() {
            fits(log, &[("timestamp", exact), ("fields", LIST)], &[]);
        }
        for reference in span["references"].as_array().unwrap() {
            fits(reference, &[("refType", TEXT), ("traceID", trace_id), ("spanID", span_id)], &[]);
        }
        for tag in span["tags"].as_array().unwrap().iter().chain(process["tags"].as_array().unwrap()) {
            fits(tag, &[("key", TEXT)], &[]);
            assert!(!tag["value"].is_null(), "{tag}");
        }
    }
    let none = get(&lab.console("/api/traces/00000000000000000000000000000001"));
    assert_eq!((none.status, &none.json["errors"][0]["code"]), (404, &json!(404)), "{none:?}");
    assert!(TEXT(&none.json["errors"][0]["msg"]), "{none:?}");
}
