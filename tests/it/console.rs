//! The built-in place to look: its page in a real browser, its query API as tools use it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use o11y_lab::lab::expect::{ExpectedSpan, ORDER_TRACE, parent_of};
use serde_json::{Value, json};

use o11y_lab::schema::Endpoint;

use crate::helpers::tools::tool;
use crate::helpers::{Answer, Lab, eventually, get, send};

const HOSTILE_NAME: &str = "<img src=x onerror=alert(1)>";
const HOSTILE_VALUE: &str = "</dd><script>alert(2)</script>";
const HOSTILE_SERVICE: &str = "\"><svg onload=alert(3)>";
/// Two numbers that JavaScript cannot hold: it has only their even neighbours.
const BIG_IN_SPAN: &str = "9007199254740993";
const BIG_IN_LOG: &str = "9007199254740995";

/// A trace id of our own, so that whoever waits for the trace knows it beforehand.
fn new_trace_id() -> String {
    uuid::Uuid::now_v7().simple().to_string()
}

fn order_in(lab: &Lab, trace: &str, user: i64) {
    let parent = format!("00-{trace}-00f067aa0ba902b7-01");
    let body = json!({"userId": user, "items": ["book"], "total": 49.99}).to_string();
    let headers = [("content-type", "application/json"), ("traceparent", parent.as_str())];
    let answer = send("POST", &lab.api("/api/orders"), &headers, Some(body.as_bytes()));
    assert_eq!((answer.status, answer.trace_id().as_str()), (201, trace), "{answer:?}");
}

/// An order whose trace and notification have arrived; the trace's id.
fn traced_order(lab: &Lab) -> String {
    let answer = lab.order(lab.user());
    lab.trace(&answer.trace_id(), ORDER_TRACE.len());
    answer.trace_id()
}

/// Adds a span to a trace as any client could, with markup wherever it can say something.
fn post_hostile_span(lab: &Lab, trace: &str) {
    let found = lab.trace_now(trace);
    let span = json!({
        "traceId": trace, "spanId": "00000000000000ff",
        "parentSpanId": found.span("api-gateway", "POST /api/orders").unwrap().id,
        "name": HOSTILE_NAME, "kind": 1,
        "startTimeUnixNano": "1700000000000000000", "endTimeUnixNano": "1700000000000000001",
        "attributes": [{"key": HOSTILE_NAME, "value": {"stringValue": HOSTILE_VALUE}},
            {"key": "big", "value": {"intValue": BIG_IN_SPAN}}],
        "status": {"code": 2, "message": HOSTILE_NAME}
    });
    let service = json!([{"key": "service.name", "value": {"stringValue": HOSTILE_SERVICE}}]);
    // In the time of the others, so that the waterfall stays a picture of the order.
    let times = get(&lab.console(&format!("/api/traces/{trace}")));
    let start = times.json["data"][0]["spans"][0]["startTime"].as_u64().expect("microseconds") * 1_000;
    let mut span = span;
    span["startTimeUnixNano"] = json!(start.to_string());
    span["endTimeUnixNano"] = json!((start + 1_000_000).to_string());
    let export =
        json!({"resourceSpans": [{"resource": {"attributes": service}, "scopeSpans": [{"spans": [span]}]}]});
    post_otlp(lab, "traces", &export);
    let record = json!({"traceId": trace, "timeUnixNano": start.to_string(), "body": {"stringValue": "a big number"},
        "attributes": [{"key": "big", "value": {"intValue": BIG_IN_LOG}}]});
    post_otlp(lab, "logs", &json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}));
}

fn post_otlp(lab: &Lab, signal: &str, export: &Value) {
    let url = format!("http://127.0.0.1:{}/v1/{signal}", lab.ports().at(Endpoint::Otlp));
    let answer =
        send("POST", &url, &[("content-type", "application/json")], Some(export.to_string().as_bytes()));
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// The browser's tool; ended when dropped, however the test goes.
struct Browser(Child);

impl Browser {
    fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        Self(command.spawn().expect("the tool starts"))
    }

    /// What it prints, line by line.
    fn lines(&mut self) -> impl Iterator<Item = String> + use<> {
        BufReader::new(self.0.stdout.take().expect("a pipe")).lines().map_while(Result::ok)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_person_sees_an_order_appear_and_can_read_every_part_of_it() {
    let lab = Lab::start();
    let trace = new_trace_id();
    let mut command = tool("browser.py");
    command.args(["--url", &lab.console("/"), "--trace-id", &trace, "--check-filters"]);
    command.args(["--expect-log", "Order created", "--expect-log", "Notification sent"]);
    for ExpectedSpan { service, name, .. } in ORDER_TRACE {
        command.args(["--expect-span", &format!("{service}|{name}")]);
    }
    command.args(["--expect-span", &format!("{HOSTILE_SERVICE}|{HOSTILE_NAME}")]);
    for text in [HOSTILE_NAME, HOSTILE_VALUE, BIG_IN_SPAN, BIG_IN_LOG] {
        command.args(["--expect-literal", text]);
    }
    let target = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target folder");
    command.arg("--screenshots").arg(target.join("screenshots"));
    let mut browser = Browser::start(command);
    let mut lines = browser.lines();
    assert_eq!(lines.next().as_deref(), Some("READY"));
    order_in(&lab, &trace, lab.user());
    lab.trace(&trace, ORDER_TRACE.len());
    post_hostile_span(&lab, &trace);
    let said: Vec<_> = lines.collect();
    assert_eq!(said, ["OK"]);
    assert!(browser.0.wait().expect("a child of ours").success());
}

fn tag<'a>(span: &'a Value, key: &str) -> &'a Value {
    span["tags"].as_array().and_then(|tags| tags.iter().find(|tag| tag["key"] == key)).unwrap_or(&Value::Null)
}

#[test]
fn tools_for_jaeger_read_the_order_as_jaeger_would_tell_it() {
    let lab = Lab::shared();
    let id = traced_order(lab);
    let body = get(&lab.console(&format!("/api/traces/{id}"))).json;
    let trace = &body["data"][0];
    assert_eq!(trace["traceID"], id.as_str());
    let spans = trace["spans"].as_array().expect("spans");
    let process = |span: &Value| trace["processes"][span["processID"].as_str().expect("a process")].clone();
    let find = |row: &ExpectedSpan| {
        let is =
            |span: &&Value| span["operationName"] == row.name && process(span)["serviceName"] == row.service;
        spans
            .iter()
            .filter(is)
            .find(|span| tag(span, "span.kind")["value"] == row.kind.as_str().to_lowercase())
    };
    assert_eq!(spans.len(), ORDER_TRACE.len());
    for (row, expected) in ORDER_TRACE.iter().enumerate() {
        let span = find(expected).unwrap_or_else(|| panic!("{expected:?} in {trace}"));
        let parent = parent_of(ORDER_TRACE, row).and_then(|parent| find(&ORDER_TRACE[parent]));
        let references = parent.map_or(
            json!([]),
            |parent| json!([{"refType": "CHILD_OF", "traceID": id, "spanID": parent["spanID"]}]),
        );
        assert_eq!((&span["references"], &span["warnings"]), (&references, &Value::Null), "{span}");
        assert_eq!(tag(span, "span.kind")["type"], "string");
        assert!(span["startTime"].is_u64() && span["duration"].is_u64(), "{span}");
        let of_process = process(span);
        assert!(
            of_process["tags"]
                .as_array()
                .is_some_and(|tags| tags.iter().any(|t| t["key"] == "service.version"))
        );
    }
    let status = tag(find(&ORDER_TRACE[0]).expect("the root"), "http.response.status_code");
    assert_eq!(status, &json!({"key": "http.response.status_code", "type": "int64", "value": 201}));
    let query = "service=order-service&operation=POST%20/orders&tags=%7B%22http.route%22%3A%22/orders%22%7D&limit=1500";
    let found = get(&lab.console(&format!("/api/traces?{query}"))).json;
    assert!(
        found["data"].as_array().is_some_and(|all| all.iter().any(|trace| trace["traceID"] == id.as_str()))
    );
}

#[test]
fn version_3_of_the_query_api_searches_by_service_and_time() {
    let lab = Lab::shared();
    let before = jiff::Timestamp::now();
    let id = traced_order(lab);
    let after = jiff::Timestamp::now();
    let search = |service: &str, from: jiff::Timestamp, until: jiff::Timestamp| {
        let times = format!("query.startTimeMin={from}&query.startTimeMax={until}&query.searchDepth=1000");
        get(&lab.console(&format!("/api/v3/traces?query.serviceName={service}&{times}")))
    };
    for service in ["api-gateway", "notification-service"] {
        let found = search(service, before, after);
        assert_eq!(found.status, 200, "{found:?}");
        assert!(found.text.contains(&id), "{service}");
    }
    let hour = jiff::SignedDuration::from_hours(1);
    assert_eq!(search("api-gateway", before - hour * 2, before - hour).status, 404);
    assert_eq!(search("nobody", before, after).status, 404);
}

#[test]
fn what_is_not_there_is_404_and_what_makes_no_sense_is_400() {
    let lab = Lab::shared();
    let unknown = "77777777777777777777777777777777";
    for (path, status) in [
        (format!("/api/traces/{unknown}"), 404),
        (format!("/api/v3/traces/{unknown}"), 404),
        (format!("/api/view/{unknown}"), 404),
        ("/api/traces/not-hex".into(), 400),
        ("/api/traces?lookback=soon".into(), 400),
        ("/api/logs?traceId=not-hex".into(), 400),
        ("/api/logs?limit=many".into(), 400),
        ("/nothing/here".into(), 404),
    ] {
        let answer = get(&lab.console(&path));
        assert_eq!(answer.status, status, "{path}");
        assert!(!answer.json.is_null() && !answer.text.contains("panic"), "{path}: {answer:?}");
    }
    let foreign = send("GET", &lab.console("/api/services"), &[("host", "rebound.example:3005")], None);
    assert_eq!(foreign.status, 421);
}

#[test]
fn the_logs_of_an_order_are_the_lines_its_services_wrote() {
    let lab = Lab::shared();
    let id = traced_order(lab);
    let ask = |more: &str| get(&lab.console(&format!("/api/logs?traceId={id}{more}")));
    let lines = |answer: Answer| answer.json["logs"].as_array().cloned().unwrap_or_default();
    let said = |lines: &[Value], text: &str| lines.iter().any(|line| line["message"] == text);
    let all = eventually("both log lines of the order", || {
        Some(lines(ask(""))).filter(|all| said(all, "Order created") && said(all, "Notification sent"))
    });
    assert!(all.iter().all(|line| line["traceId"] == id.as_str()));
    let written = lab.logs();
    for line in &all {
        assert!(written.contains(line), "{line} as it was written");
    }
    let of_order = lines(ask("&service=order-service"));
    assert!(said(&of_order, "Order created") && !said(&of_order, "Notification sent"));
    assert!(of_order.iter().all(|line| line["service"] == "order-service"));
    assert_eq!(lines(ask("&limit=1")).len(), 1);
    assert!(lines(ask("&level=error")).is_empty());
    assert_eq!(lines(ask("&text=notification%20SENT")).len(), 1);
}
