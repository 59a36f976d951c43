//! What the console does on the lab because a person asks for it on the page, in a real browser.

use std::process::Command;

use o11y_lab::lab::expect::ORDER_TRACE;
use o11y_lab::schema::{Ports, Role, SERVICES};
use serde_json::{Value, json};

use crate::helpers::proc::child_named;
use crate::helpers::standin::{response, serve, serve_on};
use crate::helpers::tools::tool;
use crate::helpers::{Lab, eventually, get, post};
use crate::otlp::Console;

/// A tool that walks through a page.
fn walk(name: &str, url: &str) -> Command {
    let target = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target folder");
    let mut command = tool(name);
    command.args(["--url", url, "--screenshots"]).arg(target.join("screenshots"));
    command
}

#[track_caller]
fn assert_ok(mut command: Command) {
    let output = command.output().expect("the tool starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said, "OK\n", "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_person_sends_an_order_starts_and_stops_traffic_breaks_something_and_repairs_it() {
    let lab = Lab::start();
    assert_ok(walk("browser_lab.py", &lab.console("/")));
    for role in [Role::Gateway, Role::User, Role::Order, Role::Notify, Role::Lambda] {
        assert_eq!(get(&lab.url(role, "/faults")).json, json!({"active": []}), "{role}");
    }
    // A program that is not the page is refused.
    let fault = json!({"role": "order", "fault": "latency"});
    assert_eq!(post(&lab.console("/api/faults/set"), &fault).status, 403);
}

#[test]
fn a_role_or_a_console_that_hangs_is_named_on_the_page_and_nothing_is_done_in_its_place() {
    let lab = Lab::start();
    let console = child_named(lab.up.pid(), "console").expect("a console");
    let mut command = walk("browser_hung.py", &lab.console("/"));
    for (name, pid) in [
        ("--gateway-pid", lab.pid(Role::Gateway)),
        ("--order-pid", lab.pid(Role::Order)),
        ("--console-pid", console),
    ] {
        command.args([name, &pid.to_string()]);
    }
    assert_ok(command);
}

#[test]
fn every_page_comes_whole_over_a_slow_line_and_at_80_percent() {
    let metrics = [("OTEL_METRICS_EXPORTER", "otlp,prometheus"), ("OTEL_METRIC_EXPORT_INTERVAL", "500")];
    let lab = Lab::start_with(&metrics);
    let order = lab.order(lab.user());
    lab.trace(&order.trace_id(), ORDER_TRACE.len());
    let mut command = walk("browser_slow.py", &lab.console("/"));
    command.args(["--trace-id", &order.trace_id()]);
    assert_ok(command);
}

#[test]
fn the_map_of_an_order_has_every_service_its_queue_and_the_databases_and_leads_to_the_traces() {
    let lab = Lab::start();
    let order = lab.order(lab.user());
    lab.trace(&order.trace_id(), ORDER_TRACE.len());
    let fault = json!({"fault": "latency", "ms": 5, "seconds": 300});
    assert_eq!(post(&lab.url(Role::Order, "/faults"), &fault).status, 200);
    let edges = eventually("an edge from the queue to its consumer", || {
        let map = get(&lab.console("/api/map")).json;
        let of = |edge: &Value, end: &str| edge[end].as_str().unwrap_or_default().to_owned();
        let edges: Vec<_> =
            map["edges"].as_array()?.iter().map(|edge| (of(edge, "from"), of(edge, "to"))).collect();
        edges.iter().any(|(_, to)| to == "named:notification-service").then_some(edges)
    });
    for (from, to) in [
        ("callers", "named:api-gateway"),
        ("named:api-gateway", "named:user-service"),
        ("named:api-gateway", "named:order-validator"),
        ("named:api-gateway", "named:order-service"),
        ("named:order-service", "named:user-service"),
        ("named:order-service", "database:sqlite:orders.db"),
        ("named:user-service", "database:sqlite:users.db"),
        ("named:order-service", "queue:notifications"),
        ("queue:notifications", "named:notification-service"),
    ] {
        assert!(edges.contains(&(from.to_owned(), to.to_owned())), "{from} > {to} in {edges:?}");
    }
    let mut command = walk("browser_map.py", &lab.console("/"));
    for service in &SERVICES {
        command.args(["--expect-node", service.name]);
    }
    command.args(["--expect-node", "orders.db (sqlite)", "--expect-node", "notifications"]);
    command.args([
        "--expect-edge",
        "api-gateway|order-service",
        "--expect-mark",
        "order-service|fault latency",
    ]);
    assert_ok(command);
}

const HOSTILE: &str = "<img src=x onerror=alert(1)>";

/// An answer in JSON, on a port of one's own.
fn json_at(port: u16, answer: impl Fn(&str) -> Option<Value> + Send + Sync + 'static) {
    let listener = std::net::TcpListener::bind(("127.0.0.1", port)).expect("a free port");
    serve_on(listener, move |_, path, _| {
        Some(match answer(path) {
            Some(json) => response("200 OK", "content-type: application/json\r\n", &json.to_string()),
            None => response("404 Not Found", "", ""),
        })
    });
}

/// What stands in for a Prometheus: two alerts, of which one says what it likes, and runbooks.
fn prometheus(path: &str) -> Option<Value> {
    let alert = |name: &str, state: &str, text: &str| {
        json!({"labels": {"alertname": name, "service": text, "severity": text, text: text}, "state": state,
            "activeAt": "2026-01-31T12:34:56.789Z", "annotations": {"summary": text, "runbook_url": format!("http://x/user/{name}.md")}})
    };
    let vector = |slo: &str, value: &str| json!({"metric": {"slo": slo}, "value": [1, value]});
    if path == "/api/v1/alerts" {
        let all = [alert("TargetDown", "firing", "order-service"), alert("Hostile", "pending", HOSTILE)];
        return Some(json!({"data": {"alerts": all}}));
    }
    let results = [vector(HOSTILE, "0.5"), vector("overspent", "-113")];
    path.starts_with("/api/v1/query").then(|| json!({"data": {"result": results}}))
}

#[test]
fn no_markup_of_spans_faults_alerts_or_runbooks_runs_on_the_pages_that_show_them() {
    let runbook = format!(
        "# {HOSTILE}\n\n## Look\n\n[press](javascript:alert(4)) [page](https://example.com/x) {HOSTILE}\n\n```promql\n{HOSTILE}\n```\n\n- {HOSTILE}\n\n| a | {HOSTILE} |\n|---|---|\n| 1 | {HOSTILE} |\n"
    );
    let backend = serve(move |_, path, _| {
        if path.starts_with("/user/") {
            return Some(response("200 OK", "", &runbook));
        }
        let json = prometheus(path).unwrap_or_default().to_string();
        Some(response("200 OK", "content-type: application/json\r\n", &json))
    });
    let console = Console::start(&[("CONSOLE_PROMETHEUS", &format!("http://{backend}"))]);
    let order = Ports::from_base(console.base).of(Role::Order);
    let fault = json!({"active": [{"fault": HOSTILE, "ms": HOSTILE, HOSTILE: HOSTILE, "secondsLeft": HOSTILE},
        {"fault": "latency", "ms": 5, "secondsLeft": 300}]});
    json_at(order, move |path| (path == "/faults").then(|| fault.clone()));
    let now = jiff::Timestamp::now().as_nanosecond();
    let span = |service: &str, id: u64, parent: u64, kind: u8, attributes: &[(&str, &str)]| {
        let attributes: Vec<_> = attributes
            .iter()
            .map(|(key, value)| json!({"key": key, "value": {"stringValue": value}}))
            .collect();
        let (id, parent) =
            (format!("{id:016x}"), if parent == 0 { String::new() } else { format!("{parent:016x}") });
        let span = json!({"traceId": format!("{:032x}", 7), "spanId": id, "parentSpanId": parent, "name": HOSTILE, "kind": kind,
            "startTimeUnixNano": (now - 1_000_000).to_string(), "endTimeUnixNano": now.to_string(), "attributes": attributes});
        let name = json!([{"key": "service.name", "value": {"stringValue": service}}]);
        json!({"resource": {"attributes": name}, "scopeSpans": [{"spans": [span]}]})
    };
    let queue = [("messaging.system", "x"), ("messaging.destination.name", HOSTILE)];
    let export = json!({"resourceSpans": [
        span(HOSTILE, 1, 0, 2, &[]),
        span(HOSTILE, 2, 1, 3, &[]),
        span("order-service", 3, 2, 2, &[]),
        span("order-service", 4, 3, 3, &[("db.system.name", HOSTILE), ("db.namespace", HOSTILE)]),
        span("order-service", 5, 3, 3, &[("server.address", HOSTILE)]),
        span("order-service", 6, 3, 3, &[("service.peer.name", "\"><svg onload=alert(3)>")]),
        span("order-service", 7, 3, 4, &queue),
        span(HOSTILE, 8, 7, 5, &queue),
    ]});
    let sent = post(&console.otlp("/v1/traces"), &export);
    assert_eq!(sent.status, 200, "{sent:?}");
    let mut command = walk("browser_map.py", &console.page("/"));
    command.args(["--full", "--expect-node", HOSTILE, "--expect-node", "\"><svg onload=alert(3)>"]);
    command.args(["--expect-edge", &format!("{HOSTILE}|order-service"), "--expect-literal", HOSTILE]);
    command.args([
        "--expect-mark",
        "order-service|fault latency",
        "--expect-mark",
        "order-service|alert TargetDown",
    ]);
    assert_ok(command);
}

#[test]
fn with_a_prometheus_beside_the_lab_the_page_has_its_alerts_and_without_one_says_how_to_get_them() {
    let lab = Lab::start_with(&[("UP_WITH", "prometheus")]);
    let known = eventually("the console has asked Prometheus", || {
        let said = get(&lab.console("/api/alerts")).json;
        (said["known"] == true && said["failing"].is_null() && said["budgets"] != json!({})).then_some(said)
    });
    assert!(known["budgets"].as_object().is_some_and(|all| all.contains_key("gateway-latency")), "{known}");
    let runbook = get(&lab.console("/api/alerts/runbook/TargetDown"));
    assert!(
        runbook.json["text"].as_str().is_some_and(|text| text.starts_with("# TargetDown")),
        "{runbook:?}"
    );
    // It is this lab's own, as Prometheus has it.
    assert!(!runbook.text.contains("localhost:16686"), "{runbook:?}");
    assert_eq!(get(&lab.console("/api/alerts/runbook/..%2Fprometheus")).status, 404);
    assert_eq!(get(&Lab::shared().console("/api/alerts")).json["known"], false);
}
