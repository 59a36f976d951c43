//! Every kind of request, and everything that can be broken from outside.

use nix::sys::signal::Signal;
use o11y_lab::schema::Role;
use serde_json::{Value, json};

use crate::helpers::http::patch;
use crate::helpers::process::signal_pid;
use crate::helpers::{Lab, Process, bin, eventually, get, post, send};

pub fn everything(lab: &Lab, endpoint: &str) {
    // First, because a killed process takes its last spans with it.
    somebody_is_away(lab);
    reads_and_writes(lab);
    refusals(lab);
    in_trouble(lab);
    messages_fail(lab);
    load(lab, endpoint);
}

/// A call that finds nobody is repeated.
fn somebody_is_away(lab: &Lab) {
    eventually("user-service is away", || {
        signal_pid(lab.pid(Role::User), Signal::SIGKILL);
        (get(&lab.api("/api/users?limit=1")).status != 200).then_some(())
    });
    lab.wait_role(Role::User);
}

fn reads_and_writes(lab: &Lab) {
    let user = lab.user();
    let order = lab.order(user).id();
    assert_eq!(
        patch(&lab.api(&format!("/api/orders/{order}/status")), &json!({"status": "completed"})).status,
        200
    );
    for path in ["/", "/openapi.json", "/api/users?limit=1", "/api/orders?limit=1"] {
        assert_eq!(get(&lab.api(path)).status, 200, "{path}");
    }
    for path in [format!("/api/users/{user}"), format!("/api/orders/{order}")] {
        let answer = send("GET", &lab.api(&path), &[("user-agent", "a test")], None);
        assert_eq!(answer.status, 200, "{path}");
    }
    lab.wait_notifications(order, 2);
    let event =
        json!({"httpMethod": "POST", "path": "/v1/orders", "resource": "/{stage}/orders", "body": "{}"});
    let invoke = lab.url(Role::Lambda, "/2015-03-31/functions/order-validator/invocations");
    assert_eq!(post(&invoke, &event).status, 200);
    let alert = json!({"status": "firing", "labels": {"alertname": "QueueLagHigh", "severity": "page"}});
    let webhook = json!({"version": "4", "status": "firing", "alerts": [alert]});
    let answer = post(&lab.url(Role::Notify, "/alerts"), &webhook);
    assert_eq!(answer.status, 200, "{answer:?}");
}

fn refusals(lab: &Lab) {
    assert_eq!(post(&lab.api("/api/orders"), &json!({})).status, 400);
    assert_eq!(post(&lab.api("/api/orders/validate"), &json!({})).status, 200);
    assert_eq!(post(&lab.api("/api/orders"), &order(9_000_000)).status, 404);
    assert_eq!(get(&lab.api("/nothing")).status, 404);
    assert_eq!(send("BREW", &lab.api("/api/users"), &[], None).status, 405);
    let user = json!({"name": "Ada", "email": "twice@example.com"});
    let twice = [(); 2].map(|()| post(&lab.api("/api/users"), &user).status);
    assert_eq!(twice, [201, 409]);
}

fn order(user: i64) -> Value {
    json!({"userId": user, "items": ["book"], "total": 49.99})
}

fn fault(lab: &Lab, role: Role, fault: &Value) {
    let answer = post(&lab.url(role, "/faults"), fault);
    assert_eq!(answer.status, 200, "{answer:?}");
}

fn repair(lab: &Lab) {
    for role in [Role::Gateway, Role::User, Role::Order, Role::Notify, Role::Lambda] {
        assert_eq!(send("DELETE", &lab.url(role, "/faults"), &[], None).status, 200);
    }
}

/// Roles that answer with errors, slowly, or not at all.
fn in_trouble(lab: &Lab) {
    let user = lab.user();
    fault(lab, Role::User, &json!({"fault": "error", "status": 500}));
    assert_eq!(get(&lab.api(&format!("/api/users/{user}"))).status, 502);
    repair(lab);
    fault(lab, Role::User, &json!({"fault": "slow-db", "ms": 5000}));
    assert_eq!(get(&lab.api(&format!("/api/users/{user}"))).status, 503);
    repair(lab);
    fault(lab, Role::Lambda, &json!({"fault": "error"}));
    fault(lab, Role::Order, &json!({"fault": "drop-context"}));
    fault(lab, Role::Order, &json!({"fault": "slow-network"}));
    let placed = lab.order(user).id();
    lab.wait_notifications(placed, 1);
    repair(lab);
    let pid = lab.pid(Role::User);
    signal_pid(pid, Signal::SIGSTOP);
    let answer = get(&lab.api(&format!("/api/users/{user}"))).status;
    signal_pid(pid, Signal::SIGCONT);
    assert_eq!(answer, 504);
}

/// A message that fails, is retried, and goes to the dead letters.
fn messages_fail(lab: &Lab) {
    fault(lab, Role::Notify, &json!({"fault": "handler-error"}));
    let user = lab.user();
    lab.order(user);
    eventually("a dead letter", || {
        (get(&lab.url(Role::Notify, "/stats")).json["dead"].as_u64()? > 0).then_some(())
    });
    repair(lab);
}

fn load(lab: &Lab, endpoint: &str) {
    let mut command = bin();
    let base = lab.base.to_string();
    command.args(["load", "--port-base", &base, "--rps", "20", "--duration", "2s"]);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
    let mut process = Process::spawn(command);
    assert!(process.wait().success(), "{}{}", process.stdout(), process.stderr());
}
