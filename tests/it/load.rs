//! `o11y-lab load` against a real lab: what it sends, what it counts, and how it ends.

mod setup;
mod traces;

use nix::sys::signal::Signal;
use o11y_lab::schema::Role;
use serde_json::Value;

use crate::helpers::process::signal_pid;
use crate::helpers::{Lab, Process, bin, eventually, free_port_base, http};
use crate::queue::stored;

fn load(args: &[&str]) -> Process {
    let mut command = bin();
    command.arg("load").args(args);
    Process::spawn(command)
}

/// Against a lab on a base, with the report in JSON.
fn load_at(base: u16, args: &[&str]) -> Process {
    load(&[&["--port-base", &base.to_string(), "--json"], args].concat())
}

/// The report at the end of standard output.
#[track_caller]
fn report(process: &Process) -> Value {
    eventually(&format!("the report; it said {}", process.stderr()), || {
        serde_json::from_str(&process.stdout()).ok()
    })
}

/// Waits until the progress says that something was sent.
#[track_caller]
fn wait_for_requests(process: &Process) {
    let sent = |line: &str| line.contains(" sent, ") && !line.contains(" 0 sent, ");
    eventually("requests", || process.stderr().lines().any(sent).then_some(()));
}

/// What a dry run lists.
fn listed(args: &[&str]) -> String {
    let mut process = load(&[&["--dry-run"], args].concat());
    assert!(process.wait().success(), "{}", process.stderr());
    eventually("the list", || Some(process.stdout()).filter(|text| text.ends_with('\n')))
}

#[test]
fn every_mix_is_answered_as_it_expects_and_every_accepted_order_is_counted() {
    let lab = Lab::start();
    let mut orders = 0;
    for mix in ["browse", "checkout", "mixed", "errors"] {
        let args = ["--mix", mix, "--rps", "40", "--duration", "3s", "--max-error-ratio", "0"];
        let mut process = load_at(lab.base, &args);
        let status = process.wait();
        let report = report(&process);
        assert!(status.success(), "{mix}: {report:#}");
        assert_eq!((&report["total"]["count"], &report["dropped"]), (&Value::from(120), &Value::from(0)));
        assert_eq!((&report["expected"], &report["unfinished"]), (&Value::from(120), &Value::from(0)));
        let refused = report["total"]["refused"].as_u64().unwrap();
        match mix {
            "browse" => assert_eq!(refused, 0),
            "errors" => assert_eq!(refused, 120),
            _ => {}
        }
        assert_eq!(report["total"]["ok"].as_u64().unwrap() + refused, 120);
        orders += report["orders"].as_u64().unwrap() + report["made"]["orders"].as_u64().unwrap();
    }
    assert!(orders > 4 * 8 + 40, "{orders}");
    assert_eq!(stored(&lab).len() as u64, orders);
}

#[test]
fn a_plan_and_a_closed_loop_are_reported_with_traces_that_the_backend_has() {
    let lab = Lab::shared();
    let dir = tempfile::tempdir().unwrap();
    let plan = dir.path().join("plan");
    std::fs::write(&plan, "ramp 1s 0..40\nwrong 1s 20 errors # refused\n").unwrap();
    let mut process = load_at(lab.base, &["--mix", "browse", "--plan", plan.to_str().unwrap()]);
    assert!(process.wait().success());
    let planned = report(&process);
    let (ramp, wrong) = (&planned["phases"][0], &planned["phases"][1]);
    assert_eq!((&ramp["phase"], &ramp["ok"]), (&"ramp".into(), &20.into()), "{planned:#}");
    assert_eq!((&wrong["phase"], &wrong["refused"]), (&"wrong".into(), &20.into()), "{planned:#}");

    let mut process = load_at(lab.base, &["--closed", "--duration", "1s", "--connections", "2"]);
    assert!(process.wait().success());
    let closed = report(&process);
    assert_eq!((&closed["loop"], &closed["unexpected"]), (&"closed".into(), &0.into()), "{closed:#}");
    assert!(closed["total"]["count"].as_u64().unwrap() > 2);
    assert!(closed["waitedMs"]["p50"].as_f64().unwrap() < 1.0, "nothing waits in a closed loop: {closed:#}");

    for slow in planned["slowest"].as_array().unwrap().iter().chain(closed["slowest"].as_array().unwrap()) {
        let url = lab.console(&format!("/api/traces/{}", slow["traceId"].as_str().unwrap()));
        eventually("the trace of a slow request", || {
            http::try_send("GET", &url, &[], None).filter(|answer| answer.status == 200)
        });
    }
}

#[test]
fn the_table_names_routes_counts_and_traces() {
    let lab = Lab::shared();
    let mut process = load(&["--url", &lab.api(""), "--duration", "2s", "--report-every", "0.5"]);
    assert!(process.wait().success());
    let text = eventually("the table", || Some(process.stdout()).filter(|text| text.contains("SLOWEST")));
    assert!(text.contains("20 sent, 20 as expected, 0 not; 0 dropped, 0 unfinished"), "{text}");
    assert!(
        text.contains("ROUTE") && text.contains("P99 MS") && text.contains("GET /api/orders/{id}"),
        "{text}"
    );
    let progress = process.stderr();
    assert!(progress.contains("s of 2 s, steady:") && !progress.contains('\u{1b}'), "{progress}");
}

#[test]
fn ctrl_c_prints_what_it_has() {
    let lab = Lab::shared();
    let mut process = load_at(lab.base, &["--duration", "1h", "--rps", "50", "--report-every", "0.2"]);
    wait_for_requests(&process);
    process.signal(Signal::SIGINT);
    assert_eq!(process.wait().code(), Some(130), "{}", process.stderr());
    let report = report(&process);
    assert_eq!(report["interrupted"], true);
    assert!(report["total"]["count"].as_u64().unwrap() > 0, "{report:#}");
}

#[test]
fn a_gateway_that_is_not_there_is_an_error_at_the_start_and_counted_later() {
    let mut process = load(&["--port-base", &free_port_base().to_string()]);
    assert_eq!(process.wait().code(), Some(1));
    let said = process.stderr();
    assert!(said.contains("is the lab up?") && said.contains("refused"), "{said}");

    let lab = Lab::start();
    let args = ["--duration", "6s", "--rps", "50", "--report-every", "0.2", "--max-error-ratio", "0.01"];
    let mut process = load_at(lab.base, &args);
    wait_for_requests(&process);
    let gateway = lab.pid(Role::Gateway);
    // The parent first, or it starts another gateway.
    lab.up.signal(Signal::SIGKILL);
    signal_pid(gateway, Signal::SIGKILL);
    assert_eq!(process.wait().code(), Some(1), "{}", process.stdout());
    let report = report(&process);
    assert!(report["total"]["connect"].as_u64().unwrap() > 0, "{report:#}");
    assert!(process.stderr().contains("--max-error-ratio"), "{}", process.stderr());
}

#[test]
fn a_gateway_that_stands_still_gives_timeouts_and_dropped_requests_and_no_hang() {
    let lab = Lab::start();
    let args =
        ["--duration", "6s", "--rps", "50", "--timeout", "500", "--connections", "2", "--backlog", "5"];
    let mut process = load_at(lab.base, &[&args[..], &["--report-every", "0.2"]].concat());
    wait_for_requests(&process);
    let gateway = lab.pid(Role::Gateway);
    signal_pid(gateway, Signal::SIGSTOP);
    let status = process.wait();
    signal_pid(gateway, Signal::SIGCONT);
    assert!(status.success(), "without --max-error-ratio there is no check");
    let report = report(&process);
    assert!(report["total"]["timeouts"].as_u64().unwrap() > 0, "{report:#}");
    assert!(report["dropped"].as_u64().unwrap() > 0, "{report:#}");
    let longest = report["waitedMs"]["max"].as_f64().unwrap();
    assert!(longest > 300.0, "who waits for a connection waits for the timeout of another: {report:#}");
}

#[test]
fn the_heartbeat_waits_for_the_gateway_and_outlives_it() {
    let base = free_port_base();
    let dir = tempfile::tempdir().unwrap();
    let mut heart = load_at(base, &["--forever", "--rps", "20", "--report-every", "0.3"]);
    let lines = |heart: &Process| -> Vec<Value> {
        let text = heart.stdout();
        let whole = text.rsplit_once('\n').map(|(whole, _)| whole.to_owned()).unwrap_or_default();
        whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let wait = |heart: &Process, what: &str, is: &dyn Fn(&Value) -> bool| {
        let seen = lines(heart).len();
        eventually(what, || lines(heart).into_iter().skip(seen).find(|line| is(line)))
    };
    wait(&heart, "it waits", &|line| line["message"] == "Load waits for the gateway");
    let mut lab = Lab::start_in(&dir.path().join("data"), base, &[]);
    wait(&heart, "it beats", &|line| line["sent"].as_u64() > Some(0) && line["level"] == "info");
    assert!(lab.up.stop().success());
    wait(&heart, "it notices", &|line| line["unexpected"].as_u64() > Some(0) && line["level"] == "warn");
    let _lab = Lab::start_in(&dir.path().join("data"), base, &[]);
    wait(&heart, "it beats again", &|line| line["sent"].as_u64() > Some(0) && line["level"] == "info");
    assert!(heart.try_wait().is_none(), "{}", heart.stderr());
    assert!(heart.stop().success(), "being stopped is its regular end");
    let last = eventually("the report", || lines(&heart).pop().filter(|line| line["routes"].is_array()));
    assert!(last["total"]["connect"].as_u64().unwrap() > 0, "{last:#}");
    for line in lines(&heart) {
        assert!(line["routes"].is_array() || line["service"] == "load", "{line}");
    }
}

#[test]
fn the_same_seed_lists_the_same_requests() {
    let args = ["--plan", "default", "--seed"];
    let (one, again, two) = (listed(&[&args[..], &["7"]].concat()), listed(&[&args[..], &["7"]].concat()), {
        listed(&[&args[..], &["8"]].concat())
    });
    assert_eq!(one, again);
    assert_ne!(one, two);
    assert!(one.lines().count() > 1000 && one.contains("POST /api/orders {\"userId\":$user"), "{one}");
    let steady = listed(&["--rps", "5", "--duration", "2s", "--mix", "browse"]);
    let times: Vec<_> = steady.lines().filter_map(|line| line.split(' ').next()).collect();
    let poisson = ["--rps", "5", "--duration", "2s", "--mix", "browse", "--arrivals", "poisson"];
    assert_eq!(listed(&poisson), listed(&poisson), "drawn from the seed");
    assert_ne!(listed(&poisson), steady);
    let expected = ["0.100", "0.300", "0.500", "0.700", "0.900", "1.100", "1.300", "1.500", "1.700", "1.900"];
    assert_eq!(times, expected);
}

#[test]
fn settings_that_make_no_sense_are_refused_with_exit_code_2() {
    let dir = tempfile::tempdir().unwrap();
    let plan = dir.path().join("plan");
    std::fs::write(&plan, "ramp 1s 1..20\nspike 1s lots\n").unwrap();
    let plan = plan.to_str().unwrap();
    for (args, expected) in [
        (vec!["--plan", plan], "line 2: 'lots': expected requests a second"),
        (vec!["--plan", "/nowhere"], "--plan (LOAD_PLAN) '/nowhere'"),
        (vec!["--plan", "default", "--rps", "5"], "cannot be used with"),
        (vec!["--closed", "--rps", "5"], "cannot be used with"),
        (vec!["--closed", "--arrivals", "poisson"], "cannot be used with"),
        (vec!["--arrivals", "often"], "LOAD_ARRIVALS"),
        (vec!["--trace-url", "http://h/trace"], "LOAD_TRACE_URL"),
        (vec!["--rps", "0"], "LOAD_RPS"),
        (vec!["--duration", "soon"], "LOAD_DURATION"),
        (vec!["--max-error-ratio", "2"], "LOAD_MAX_ERROR_RATIO"),
        (vec!["--connections", "0"], "--connections"),
    ] {
        let mut process = load(&args);
        assert_eq!(process.wait().code(), Some(2), "{args:?}");
        eventually(&format!("{args:?}: {}", process.stderr()), || {
            process.stderr().contains(expected).then_some(())
        });
    }
}
