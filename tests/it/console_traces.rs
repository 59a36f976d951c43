//! The list of traces as a person searches it.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::helpers::send;
use crate::helpers::tools::tool;
use crate::otlp::{Console, JSON};

const HOSTILE: &str = "\"><img src=x onerror=alert(1)>";
const FAILED: &str = "dddddddddddddddddddddddddddddddd";

/// So long ago, in nanoseconds since the epoch.
fn ago(time: Duration) -> u128 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    (now - time).as_nanos()
}

/// One of a server, in a trace of its own, so many minutes ago and so many milliseconds long.
fn span(trace: &str, name: &str, minutes: u64, millis: u64, shelf: &str) -> Value {
    let start = ago(Duration::from_secs(60 * minutes));
    json!({"traceId": trace, "spanId": &trace[..16], "name": name, "kind": 2,
        "startTimeUnixNano": start.to_string(),
        "endTimeUnixNano": (start + u128::from(millis) * 1_000_000).to_string(),
        "attributes": [{"key": "shop.shelf", "value": {"stringValue": shelf}}]})
}

pub fn post(console: &Console, service: &str, spans: &[Value]) {
    let resource = json!({"attributes": [{"key": "service.name", "value": {"stringValue": service}}]});
    let export = json!({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]});
    let body = export.to_string();
    let answer = send("POST", &console.otlp("/v1/traces"), &[("content-type", JSON)], Some(body.as_bytes()));
    assert_eq!(answer.text, r#"{"partialSuccess":null}"#, "{answer:?}");
}

/// Runs a tool that looks at the console's page; it must find nothing wrong.
#[track_caller]
pub fn assert_looked_at(console: &Console, name: &str, arguments: &[&str]) {
    let target = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target folder");
    let mut command = tool(name);
    command.args(["--url", &console.page("/"), "--otlp", &console.otlp("")]);
    command.args(arguments).arg("--screenshots").arg(target.join("screenshots"));
    let output = command.output().expect("the tool starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said == "OK\n" && output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_person_finds_traces_by_typing_by_suggestions_by_the_scatter_and_by_an_attribute() {
    let console = Console::start(&[]);
    let mut spans: Vec<_> = (0..120_u64)
        .map(|at| {
            let shelf = if at % 4 == 0 { HOSTILE } else { "b" };
            span(
                &format!("{:032x}", (1_u128 << 100) + u128::from(at)),
                "GET /books",
                40 - at / 4,
                5 + at,
                shelf,
            )
        })
        .collect();
    spans.extend((0..3).map(|at| span(&format!("{:032x}", (2_u128 << 100) + at), "GET /health", 5, 1, "")));
    let mut failed = span(FAILED, "POST /buy", 20, 3_000, "b");
    failed["status"] = json!({"code": 2, "message": HOSTILE});
    spans.push(failed);
    post(&console, HOSTILE, &spans);
    assert_looked_at(&console, "browser_traces.py", &["--literal", HOSTILE, "--failed-id", FAILED]);
}

/// A part of a millisecond, in nanoseconds, by which log lines with whole milliseconds come before the spans.
const FINER: u128 = 400_000;
/// When the traces of [`part`] start, the same for all of their spans: in nanoseconds since the epoch.
static STARTED: LazyLock<u128> =
    LazyLock::new(|| ago(Duration::from_secs(60)) / 1_000_000_000 * 1_000_000_000 + FINER);

/// A span between two times, in milliseconds of a trace that started a minute ago.
fn part(trace: &str, id: &str, parent: &str, name: &str, from: u64, to: u64) -> Value {
    let at = |millis: u64| (*STARTED + u128::from(millis) * 1_000_000).to_string();
    json!({"traceId": trace, "spanId": id, "parentSpanId": parent, "name": name, "kind": 2,
        "startTimeUnixNano": at(from), "endTimeUnixNano": at(to),
        "attributes": [{"key": "big", "value": {"intValue": "9007199254740993"}}]})
}

#[test]
fn a_person_reads_a_trace_zooms_compares_follows_links_both_ways_and_takes_it_away() {
    let console = Console::start(&[]);
    let (trace, other) = ("a".repeat(32), "b".repeat(32));
    let (root, charge) = ("00000000000000a1", "00000000000000a2");
    let mut failed = part(&trace, "00000000000000a4", root, HOSTILE, 500, 900);
    failed["status"] = json!({"code": 2, "message": HOSTILE});
    let spans = [
        part(&trace, root, "", "POST /buy", 0, 1_000),
        part(&trace, charge, root, "charge", 100, 400),
        part(&trace, "00000000000000a3", root, HOSTILE, 400, 500),
        failed,
    ];
    post(&console, "shop", &spans);
    let mut resume = part(&other, "00000000000000b2", "00000000000000b1", "resume", 10, 90);
    resume["links"] = json!([{"traceId": trace, "spanId": charge}]);
    post(&console, HOSTILE, &[resume]);
    post(&console, "shop", &[part(&other, "00000000000000b1", "", "POST /buy", 0, 500)]);
    let record = |millis: u64| {
        let time = (*STARTED - FINER + u128::from(millis) * 1_000_000).to_string();
        json!({"traceId": trace, "spanId": charge, "timeUnixNano": time, "body": {"stringValue": HOSTILE},
            "attributes": [{"key": "method", "value": {"stringValue": "GET"}}]})
    };
    let logs =
        json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [record(100), record(390)]}]}]}).to_string();
    let answer = send("POST", &console.otlp("/v1/logs"), &[("content-type", JSON)], Some(logs.as_bytes()));
    assert_eq!(answer.status, 200, "{answer:?}");
    let arguments = ["--literal", HOSTILE, "--trace-id", &trace, "--other-id", &other, "--span", charge];
    assert_looked_at(&console, "browser_trace.py", &arguments);
}
