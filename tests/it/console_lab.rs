//! What the console does on the lab because a person asks for it on the page, in a real browser.

use o11y_lab::schema::Role;
use serde_json::json;

use crate::helpers::tools::tool;
use crate::helpers::{Lab, get, post};

#[test]
fn a_person_sends_an_order_starts_and_stops_traffic_breaks_something_and_repairs_it() {
    let lab = Lab::start();
    let target = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target folder");
    let mut command = tool("browser_lab.py");
    command.args(["--url", &lab.console("/"), "--screenshots"]).arg(target.join("screenshots"));
    let output = command.output().expect("the tool starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said, "OK\n", "{}", String::from_utf8_lossy(&output.stderr));
    for role in [Role::Gateway, Role::User, Role::Order, Role::Notify, Role::Lambda] {
        assert_eq!(get(&lab.url(role, "/faults")).json, json!({"active": []}), "{role}");
    }
    // A program that is not the page is refused.
    let fault = json!({"role": "order", "fault": "latency"});
    assert_eq!(post(&lab.console("/api/faults/set"), &fault).status, 403);
}
