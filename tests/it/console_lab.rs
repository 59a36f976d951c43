//! What the console does on the lab because a person asks for it on the page, in a real browser.

use std::process::Command;

use o11y_lab::lab::expect::ORDER_TRACE;
use o11y_lab::schema::{Role, SERVICES};
use serde_json::{Value, json};

use crate::helpers::tools::tool;
use crate::helpers::{Lab, eventually, get, post};

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
