//! A lab that is broken when `load` begins.

use serde_json::{Value, json};

use super::{load_at, report};
use crate::helpers::{Lab, Process, eventually, post, send};

fn break_orders(lab: &Lab) {
    let url = lab.url(o11y_lab::schema::Role::Order, "/faults");
    let answer = post(&url, &json!({"fault": "error", "route": "/orders", "seconds": 300}));
    assert_eq!(answer.status, 200, "{answer:?}");
}

fn repair_orders(lab: &Lab) {
    let url = lab.url(o11y_lab::schema::Role::Order, "/faults");
    assert_eq!(send("DELETE", &url, &[], None).status, 200);
}

/// Users and orders of the set-up.
fn made(report: &Value) -> (u64, u64) {
    (report["made"]["users"].as_u64().unwrap(), report["made"]["orders"].as_u64().unwrap())
}

#[test]
fn load_starts_in_a_broken_lab_says_how_far_it_got_and_reports_what_it_made() {
    let lab = Lab::start();
    break_orders(&lab);
    let mut process = load_at(lab.base, &["--mix", "checkout", "--rps", "20", "--duration", "1s"]);
    let status = process.wait();
    assert!(status.success(), "{}", process.stderr());
    let said = process.stderr();
    assert!(said.contains("setting up 8/16: POST /api/orders answered 502"), "{said}");
    assert!(said.contains("set up 8/16; it goes on with what there is"), "{said}");
    let report = report(&process);
    assert_eq!((made(&report), &report["total"]["count"]), ((8, 0), &Value::from(20)), "{report:#}");
    assert!(report["total"]["serverErrors"].as_u64() > Some(0), "{report:#}");
    repair_orders(&lab);
}

#[test]
fn a_heartbeat_sends_during_the_fault_in_which_it_began_and_sets_up_when_it_is_over() {
    let lab = Lab::start();
    break_orders(&lab);
    let args = ["--forever", "--mix", "checkout", "--rps", "20", "--report-every", "0.3"];
    let mut heart = load_at(lab.base, &args);
    let seen = |heart: &Process, is: &dyn Fn(&Value) -> bool| {
        heart.stdout().lines().filter_map(|line| serde_json::from_str(line).ok()).find(|line| is(line))
    };
    eventually("it sends, and fails", || {
        seen(&heart, &|line| line["message"] == "Load" && line["unexpected"].as_u64() > Some(0))
    });
    let setting_up = seen(&heart, &|line| line["message"] == "Load is being set up");
    assert_eq!(
        setting_up.map(|line| (line["made"].clone(), line["of"].clone())),
        Some((8.into(), 16.into()))
    );
    repair_orders(&lab);
    eventually("it sends, and nothing fails", || {
        seen(&heart, &|line| line["message"] == "Load" && line["level"] == "info")
    });
    eventually("its own orders", || {
        let orders = lab.logs().iter().filter(|line| line["message"] == "Order created").count();
        (orders >= 8 + 8).then_some(())
    });
    assert!(heart.stop().success());
    let last = eventually("the report", || seen(&heart, &|line| line["routes"].is_array()));
    assert_eq!(made(&last).0, 8, "{last:#}");
}
