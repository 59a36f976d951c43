//! What is kept as files, and back, and removed.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use actix_web::App;
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use serde_json::Value;

use super::tests::{filled, get};
use super::*;
use crate::console::params::now;
use crate::console::sample;
use crate::runtime::Shutdown;

const JSON: (&str, &str) = ("content-type", "application/json");

async fn ask(console: &web::Data<Console>, request: TestRequest) -> (u16, String) {
    let shutdown = web::Data::new(Shutdown::new(Duration::ZERO));
    let app = init_service(App::new().app_data(console.clone()).app_data(shutdown).configure(routes)).await;
    let response = call_service(&app, request.insert_header(("host", "localhost:7005")).to_request()).await;
    let status = response.status().as_u16();
    (status, String::from_utf8(read_body(response).await.to_vec()).unwrap())
}

async fn post(console: &web::Data<Console>, path: &str, body: &str) -> (u16, Value) {
    let request = TestRequest::post().uri(path).insert_header(JSON).set_payload(body.to_owned());
    let (status, text) = ask(console, request).await;
    (status, serde_json::from_str(&text).unwrap_or_default())
}

async fn file(console: &web::Data<Console>, signal: &str) -> String {
    let (status, text) = ask(console, TestRequest::get().uri(&format!("/api/export/{signal}"))).await;
    assert_eq!(status, 200, "{signal}");
    text
}

/// A gauge, a counter, both histograms and a summary, a minute ago, with whole and other numbers.
fn metrics() -> String {
    let time = (now() - 60_000_000_000).to_string();
    let start = (now() - 90_000_000_000).to_string();
    let point = |mut of: Value| {
        of["timeUnixNano"] = json!(time);
        of["startTimeUnixNano"] = json!(start);
        of["attributes"] = json!([{"key": "shelf", "value": {"stringValue": "a"}}, {"key": "n", "value": {"intValue": "9007199254740993"}}]);
        json!([of])
    };
    let buckets = json!({"offset": -3, "bucketCounts": ["1", "0", "2"]});
    let kinds = json!([
        {"name": "gauge", "unit": "By", "gauge": {"dataPoints": point(json!({"asDouble": 0.5}))}},
        {"name": "counter", "sum": {"aggregationTemporality": 2, "isMonotonic": true, "dataPoints": point(json!({"asInt": "9007199254740993"}))}},
        {"name": "updown", "sum": {"aggregationTemporality": 2, "dataPoints": point(json!({"asInt": "-3"}))}},
        {"name": "histogram", "unit": "s", "histogram": {"aggregationTemporality": 2, "dataPoints": point(json!({"count": "3", "sum": 1.5, "min": 0.1, "bucketCounts": ["1", "2"], "explicitBounds": [0.5]}))}},
        {"name": "exponential", "exponentialHistogram": {"aggregationTemporality": 2, "dataPoints": point(json!({"count": "4", "scale": 2, "zeroCount": "1", "zeroThreshold": 0.01, "positive": buckets}))}},
        {"name": "summary", "summary": {"dataPoints": point(json!({"count": "2", "sum": 3.0, "quantileValues": [{"quantile": 0.5, "value": 1.0}]}))}},
    ]);
    let resource = json!({"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}, {"key": "host.name", "value": {"stringValue": "h"}}]});
    json!({"resourceMetrics": [{"resource": resource, "schemaUrl": "https://s/1", "scopeMetrics": [{"scope": {"name": "lib", "version": "2"}, "metrics": kinds}]}]})
        .to_string()
}

/// A record with everything that a line keeps.
fn record() -> String {
    let record = json!({"timeUnixNano": "1700000000123456789", "severityNumber": 13, "severityText": "WARN",
        "body": {"stringValue": "</script>"}, "traceId": format!("{:032x}", 7), "spanId": format!("{:016x}", 8), "eventName": "shop.closed",
        "attributes": [{"key": "n", "value": {"intValue": "3"}}, {"key": "half", "value": {"doubleValue": 0.5}},
            {"key": "list", "value": {"arrayValue": {"values": [{"boolValue": true}]}}}]});
    let resource = json!({"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}, {"key": "host.name", "value": {"stringValue": "h"}}]});
    json!({"resourceLogs": [{"resource": resource, "scopeLogs": [{"scope": {"name": "lib"}, "logRecords": [record]}]}]})
        .to_string()
}

/// The lines of a file, sorted: series are in no order.
fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    lines
}

#[actix_web::test]
async fn what_is_exported_is_the_same_after_it_was_imported_elsewhere() {
    let first = filled();
    let all = [record(), metrics()].concat();
    let (status, taken) = post(&first, "/api/data/import", &all).await;
    let expected = json!({"spans": 0, "logRecords": 1, "dataPoints": 6, "refused": 0, "why": null});
    assert_eq!((status, taken), (200, expected));
    let second = sample::console();
    for (signal, lines) in [("traces", 1), ("logs", 2), ("metrics", 6)] {
        let exported = file(&first, signal).await;
        assert_eq!(exported.lines().count(), lines, "{signal}: {exported}");
        assert_eq!(post(&second, "/api/data/import", &exported).await.0, 200, "{signal}");
        // A line without a time has that of its import.
        let (own, again) = (exported, file(&second, signal).await);
        let timed = |text| sorted(text).into_iter().filter(|line| line.contains("imeUnixNano")).count();
        assert_eq!(timed(&again), lines, "{signal}");
        let known: Vec<_> = sorted(&own).into_iter().filter(|line| line.contains("imeUnixNano")).collect();
        assert!(known.iter().all(|line| again.contains(line)), "{signal}: {own}\n{again}");
    }
    assert_eq!(get(&second, "/api/traces/ab").await, get(&first, "/api/traces/ab").await);
    let (own, again) = (get(&first, "/api/logs").await.1, get(&second, "/api/logs").await.1);
    assert_eq!(own["logs"][1], again["logs"][1], "a record is the same line");
    assert_eq!(own["logs"][1]["eventName"], "shop.closed");
    assert_eq!(again["logs"][0]["traceId"], format!("{:032x}", 0xab), "an id that was written short");
    assert_eq!(file(&first, "traces?text=nowhere").await, "");
    assert_eq!(ask(&first, TestRequest::get().uri("/api/export/traces?text=a%3E%3Eb")).await.0, 400);
}

#[actix_web::test]
async fn a_file_that_is_no_otlp_json_is_refused_with_the_place_and_what_came_before_it_is_taken() {
    let console = sample::console();
    for (body, why) in [
        ("{", "document 1 is no JSON"),
        ("{}", "document 1: it has none of resourceSpans"),
        ("[]", "document 1: "),
        (r#"{"resourceSpans": 7}"#, "document 1: "),
        (&format!("{}\n{{\"a\":1}}", record()), "document 2: it has none of"),
    ] {
        let (status, answer) = post(&console, "/api/data/import", body).await;
        let said = answer["errors"][0]["msg"].as_str().unwrap_or_default().to_owned();
        assert!(status == 400 && said.starts_with(why), "{body}: {status} {answer}");
    }
    assert_eq!(console.logs().len(), 1);
    let nameless = json!({"resourceSpans": [{"scopeSpans": [{"spans": [{"name": "a"}]}]}]}).to_string();
    let (_, taken) = post(&console, "/api/data/import", &nameless).await;
    assert_eq!((&taken["spans"], &taken["refused"]), (&json!(0), &json!(1)));
    assert!(taken["why"].as_str().unwrap().contains("trace id"), "{taken}");
}

#[actix_web::test]
async fn one_services_data_is_removed_or_all_and_the_bounds_still_hold() {
    let console = filled();
    post(&console, "/api/data/import", &[record(), metrics()].concat()).await;
    let gone = post(&console, "/api/data/remove", r#"{"service":"order-service"}"#).await.1;
    assert_eq!(gone, json!({"spans": 1, "logLines": 1, "series": 0}));
    assert_eq!(get(&console, "/api/services").await.1["data"], json!(["api-gateway", "shop"]));
    assert_eq!(get(&console, "/api/view/ab").await.1["trace"]["spans"].as_array().unwrap().len(), 1);
    let gone = post(&console, "/api/data/remove", r#"{"service":"nobody"}"#).await.1;
    assert_eq!(gone, json!({"spans": 0, "logLines": 0, "series": 0}));
    let gone = post(&console, "/api/data/remove", "{}").await.1;
    assert_eq!(gone, json!({"spans": 1, "logLines": 1, "series": 6}));
    let now = get(&console, "/api/overview").await.1;
    for (kind, kept) in [("traces", "kept"), ("logs", "kept"), ("metrics", "series")] {
        assert_eq!((&now[kind][kept], &now[kind]["bytes"]), (&json!(0), &json!(0)), "{kind}");
    }
}

#[actix_web::test]
async fn a_page_of_another_site_can_neither_remove_nor_bring_data() {
    let console = filled();
    for header in
        [("origin", "http://evil.example"), ("sec-fetch-site", "cross-site"), ("content-type", "text/plain")]
    {
        for path in ["import", "remove"] {
            let request = TestRequest::post().uri(&format!("/api/data/{path}")).insert_header(JSON);
            let (status, _) = ask(&console, request.insert_header(header).set_payload("{}")).await;
            assert_eq!(status, 403, "{path} {header:?}");
        }
    }
    assert_eq!(console.traces().stats.spans, 2);
    assert_eq!(post(&console, "/api/data/remove", "{").await.0, 400);
    assert_eq!(post(&console, "/api/data/elsewhere", "{}").await.0, 404);
}
