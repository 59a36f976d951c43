//! Metrics in the console as a person sees them.

use serde_json::json;

use crate::helpers::tools::tool;
use crate::helpers::{get, send};
use crate::otlp::{Console, JSON};

const HOSTILE: &str = "<img src=x onerror=alert(1)>";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// Seconds ago, in nanoseconds since the epoch, as OTLP/JSON has it.
fn ago(seconds: u64) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    (now - std::time::Duration::from_secs(seconds)).as_nanos().to_string()
}

#[test]
fn a_person_finds_a_metric_sees_its_chart_and_follows_an_exemplar_to_its_trace() {
    let console = Console::start(&[]);
    let resource = json!({"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]});
    let post = |path: &str, body: &serde_json::Value| {
        let answer =
            send("POST", &console.otlp(path), &[("content-type", JSON)], Some(body.to_string().as_bytes()));
        assert_eq!(answer.text, r#"{"partialSuccess":null}"#, "{answer:?}");
    };
    let span = json!({"traceId": TRACE, "spanId": "b7ad6b7169203331", "name": "GET /books", "kind": 2,
        "startTimeUnixNano": ago(50), "endTimeUnixNano": ago(49)});
    post(
        "/v1/traces",
        &json!({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}),
    );
    for (at, counts, count) in [(90, [1, 0, 0], 1), (60, [9, 1, 0], 10), (30, [9, 9, 2], 20)] {
        let exemplar = json!({"timeUnixNano": ago(50), "asDouble": 0.25, "traceId": TRACE, "spanId": "b7ad6b7169203331"});
        let point = json!({"startTimeUnixNano": ago(120), "timeUnixNano": ago(at), "count": count, "sum": 3.5,
            "bucketCounts": counts, "explicitBounds": [0.1, 0.5], "exemplars": if at == 30 { vec![exemplar] } else { vec![] },
            "attributes": [{"key": "shelf", "value": {"stringValue": HOSTILE}}]});
        let metric = json!({"name": "shop.request.duration", "unit": "s",
            "histogram": {"aggregationTemporality": 2, "dataPoints": [point]}});
        post(
            "/v1/metrics",
            &json!({"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": [metric]}]}]}),
        );
    }
    let listed = get(&console.page("/api/metrics")).json;
    assert_eq!(
        (&listed["matched"], &listed["metrics"][0]["attributes"]),
        (&json!(1), &json!(["shelf"])),
        "{listed}"
    );

    let target = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target folder");
    let mut command = tool("browser_metrics.py");
    command.args(["--url", &console.page("/"), "--service", "shop", "--metric", "shop.request.duration"]);
    command
        .args(["--trace-id", TRACE, "--literal", HOSTILE])
        .arg("--screenshots")
        .arg(target.join("screenshots"));
    let output = command.output().expect("the tool starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said, "OK\n", "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_person_reads_the_charts_and_the_log_lines_of_a_service_by_keyboard_and_pointer() {
    let console = Console::start(&[]);
    let text = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    let resource = json!({"attributes": [text("service.name", "shop")]});
    let post = |path: &str, body: &serde_json::Value| {
        let answer =
            send("POST", &console.otlp(path), &[("content-type", JSON)], Some(body.to_string().as_bytes()));
        assert_eq!(answer.text, r#"{"partialSuccess":null}"#, "{answer:?}");
    };
    let gateway = json!({"attributes": [text("service.name", "api-gateway")]});
    let span = json!({"traceId": TRACE, "spanId": "b7ad6b7169203331", "name": "GET /books", "kind": 2,
        "startTimeUnixNano": ago(75), "endTimeUnixNano": ago(74)});
    post(
        "/v1/traces",
        &json!({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}),
    );
    for (at, count, fault) in [(90, 1, 0), (80, 11, 1), (70, 21, 1), (60, 31, 0)] {
        let exemplar = json!({"timeUnixNano": ago(74), "asDouble": 0.08, "traceId": TRACE, "spanId": "b7ad6b7169203331"});
        let requests = json!({"startTimeUnixNano": ago(120), "timeUnixNano": ago(at), "count": count, "sum": 3.5,
            "bucketCounts": [count, 0], "explicitBounds": [0.1], "exemplars": [exemplar],
            "attributes": [text("http.request.method", "GET"), text("http.route", HOSTILE)]});
        let served = |status: &str, count: u64| {
            json!({"startTimeUnixNano": ago(120), "timeUnixNano": ago(at), "count": count, "bucketCounts": [0, count],
                "explicitBounds": [0.1], "attributes": [text("http.response.status_code", status)]})
        };
        let points = [served("200", 400 * count), served("500", count)];
        let metric = json!([{"name": "http.server.request.duration", "unit": "s",
            "histogram": {"aggregationTemporality": 2, "dataPoints": points}}]);
        post(
            "/v1/metrics",
            &json!({"resourceMetrics": [{"resource": gateway, "scopeMetrics": [{"metrics": metric}]}]}),
        );
        let active =
            json!({"timeUnixNano": ago(at), "asInt": fault, "attributes": [text("fault", "latency")]});
        let metrics = json!([
            {"name": "http.server.request.duration", "unit": "s",
                "histogram": {"aggregationTemporality": 2, "dataPoints": [requests]}},
            {"name": "fault.active", "gauge": {"dataPoints": [active]}}]);
        post(
            "/v1/metrics",
            &json!({"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": metrics}]}]}),
        );
    }
    for (at, name) in [(50, ""), (30, "book.sold"), (20, "")] {
        let record = json!({"timeUnixNano": ago(at), "severityNumber": 9, "body": {"stringValue": "a line"},
            "eventName": name, "attributes": [text("shelf", HOSTILE)]});
        post(
            "/v1/logs",
            &json!({"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": [record]}]}]}),
        );
    }
    let long =
        json!({"attributes": [text("service.name", "a-service-with-a-name-that-is-too-long-for-a-line")]});
    let record = json!({"timeUnixNano": ago(55), "body": {"stringValue": "a line"}});
    post("/v1/logs", &json!({"resourceLogs": [{"resource": long, "scopeLogs": [{"logRecords": [record]}]}]}));
    let target = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target folder");
    let mut command = tool("browser_board.py");
    command.args([
        "--url",
        &console.page("/"),
        "--service",
        "shop",
        "--literal",
        HOSTILE,
        "--trace-id",
        TRACE,
    ]);
    command.arg("--screenshots").arg(target.join("screenshots"));
    let output = command.output().expect("the tool starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said, "OK\n", "{}", String::from_utf8_lossy(&output.stderr));
}
