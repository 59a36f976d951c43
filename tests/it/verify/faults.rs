//! `verify --faults`: each fault leaves what its row says, and nothing else.

use std::collections::BTreeSet;

use nix::sys::signal::Signal;
use o11y_lab::lab::expect::Condition;
use o11y_lab::schema::{FAULTS, Fault, Ports, Role};
use serde_json::Value;

use super::{Verified, verify};
use crate::helpers::{Lab, Process, bin, eventually, free_port_base, get, http};

/// Waits between attempts are short here; what is sent, and how it ends, is the same.
const QUICK: [(&str, &str); 1] = [("QUEUE_RETRY_BASE_MS", "20")];

fn under(lab: &Lab, faults: &str) -> Verified {
    Verified::run(verify(lab, "5", "20s").args(["--settle", "500ms", "--faults", faults]))
}

/// The names of the faults that are active anywhere.
fn active(lab: &Lab) -> Vec<Value> {
    let roles = [Role::Gateway, Role::User, Role::Order, Role::Notify, Role::Lambda];
    let of = |role| get(&lab.url(role, "/faults")).json["active"].as_array().cloned().unwrap_or_default();
    roles.into_iter().flat_map(of).collect()
}

fn each_leaves_what_its_row_says_and_is_healed(faults: &[Fault]) {
    let lab = Lab::start_with(&QUICK);
    for fault in faults {
        let verified = under(&lab, fault.name);
        assert!(verified.not("pass").is_empty(), "{}: {:#?}", fault.name, verified.not("pass"));
        assert_eq!(verified.code, Some(0), "{}", verified.stderr);
        assert_eq!(active(&lab), Vec::<Value>::new(), "{}", fault.name);
        let healed = Verified::run(verify(&lab, "1", "20s").args(["--settle", "500ms"]));
        assert!(healed.not("pass").is_empty(), "after {}: {:#?}", fault.name, healed.not("pass"));
    }
}

#[test]
fn each_fault_of_requests_and_of_the_database_leaves_what_its_row_says_and_is_healed() {
    each_leaves_what_its_row_says_and_is_healed(&FAULTS[..3]);
}

#[test]
fn each_fault_of_the_queue_leaves_what_its_row_says_and_is_healed() {
    each_leaves_what_its_row_says_and_is_healed(&FAULTS[3..8]);
}

#[test]
fn each_fault_of_calls_of_clocks_and_of_users_leaves_what_its_row_says_and_is_healed() {
    each_leaves_what_its_row_says_and_is_healed(&FAULTS[8..14]);
}

#[test]
fn each_fault_of_a_process_leaves_what_its_row_says_and_is_healed() {
    each_leaves_what_its_row_says_and_is_healed(&FAULTS[14..]);
}

#[test]
fn two_faults_that_hit_the_same_spans_are_refused_together() {
    let lab = Lab::start();
    for both in ["latency,clock-skew", "slow-start,cpu-burn"] {
        let refused = verify(&lab, "1", "5s").args(["--faults", both]).output().unwrap();
        let said = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(2), "{said}");
        assert!(said.contains("in a run of its own"), "{said}");
    }
    assert_eq!(active(&lab), Vec::<Value>::new());
}

#[test]
fn two_faults_at_once_leave_what_both_rows_say_also_where_the_consumer_is_linked() {
    let link = [("QUEUE_TRACE_MODE", "link")];
    let lab = Lab::start_with(&[&QUICK[..], &link].concat());
    let mut command = verify(&lab, "5", "20s");
    let verified = Verified::run(command.envs(link).args(["--faults", "slow-db,drop-context"]));
    verified.assert_green();
}

#[test]
fn a_fault_that_verify_does_not_know_of_is_red_where_it_is() {
    let lab = Lab::start();
    let row = Condition::named("slow-db").unwrap();
    let body = serde_json::json!({"fault": row.name, row.parameters[0].0: 20});
    assert_eq!(crate::helpers::post(&lab.url(Role::Order, "/faults"), &body).status, 200);
    let verified = Verified::run(&mut verify(&lab, "1", "20s"));
    let red: BTreeSet<_> = verified.not("pass").iter().filter_map(|claim| claim["id"].as_str()).collect();
    assert_eq!(red, ["traces.attributes"].into(), "{:#?}", verified.not("pass"));
    let said = verified.not("pass")[0]["found"].as_str().unwrap();
    assert!(said.contains("no fault was to hit it"), "{said}");
}

#[test]
fn a_run_that_is_stopped_leaves_no_fault_behind() {
    let lab = Lab::start();
    let mut command = verify(&lab, "2000", "30s");
    command.args(["--faults", "latency,poison"]);
    let mut running = Process::spawn(command);
    eventually("both are set", || (active(&lab).len() == 2).then_some(()));
    running.signal(Signal::SIGINT);
    assert_eq!(running.wait().code(), Some(130), "{}", running.stderr());
    assert_eq!(active(&lab), Vec::<Value>::new());
}

#[test]
fn a_fault_that_was_set_by_hand_before_is_neither_replaced_nor_cleared() {
    let lab = Lab::start();
    let by_hand = serde_json::json!({"fault": "latency", "ms": 7, "seconds": 600});
    assert_eq!(crate::helpers::post(&lab.url(Role::User, "/faults"), &by_hand).status, 200);
    let output = verify(&lab, "1", "20s").args(["--faults", "poison,latency"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    let clear = format!("fault clear latency --url {}", lab.url(Role::User, ""));
    assert!(said.contains("latency is active already") && said.contains(&clear), "{said}");
    let [left] = &active(&lab)[..] else { panic!("{:?}", active(&lab)) };
    assert_eq!((&left["fault"], &left["ms"]), (&"latency".into(), &7.into()));
}

#[test]
fn a_lab_without_its_validator_is_verified_where_that_is_said_and_red_where_it_is_not() {
    let (data, base) = (tempfile::tempdir().unwrap(), free_port_base());
    let mut command = bin();
    command.env("UP_ROLES", "gateway,user,order,notify").args(["up", "--quiet", "--port-base"]);
    let _up = Process::spawn({
        command.arg(base.to_string()).arg("--data-dir").arg(data.path());
        command
    });
    for role in [Role::Gateway, Role::User, Role::Order, Role::Notify] {
        let url = format!("http://127.0.0.1:{}/ready", Ports::from_base(base).of(role));
        let ready = || http::try_send("GET", &url, &[], None).filter(|answer| answer.status == 200);
        eventually("the role is ready", ready);
    }
    let verify = |orders: &str| {
        let mut command = bin();
        command.args(["verify", "--port-base", &base.to_string(), "--orders", orders]);
        command.args(["--within", "10s", "--metrics", "roles"]);
        command
    };
    Verified::run(verify("5").arg("--without-validator")).assert_green();
    let verified = Verified::run(&mut verify("1"));
    assert_eq!(verified.code, Some(1), "{}", verified.stderr);
    assert!(verified.not("pass").iter().any(|claim| claim["id"] == "requests.answered"));
}

#[test]
fn a_watch_says_what_changes_and_ends_with_the_verdict_of_its_last_round() {
    let lab = Lab::start();
    let mut command = verify(&lab, "1", "20s");
    command.args(["--watch", "--settle", "300ms"]);
    let mut running = Process::spawn(command);
    eventually("the first report", || running.stdout().contains("\nverified: ").then_some(()));
    let body = serde_json::json!({"fault": "error", "status": 500});
    assert_eq!(crate::helpers::post(&lab.url(Role::Order, "/faults"), &body).status, 200);
    let worse = "worse   requests.answered in client";
    eventually("what got worse", || running.stdout().contains(worse).then_some(()));
    running.signal(Signal::SIGINT);
    assert_eq!(running.wait().code(), Some(1), "{}", running.stderr());
}
