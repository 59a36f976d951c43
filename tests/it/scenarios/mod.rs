//! Scenarios as a learner plays them and as CI checks them.
//!
//! One lab serves the tests one after the other: a stage of one would be the next one's surprise.

pub mod incidents;

use std::process::Command;
use std::sync::{Mutex, MutexGuard, OnceLock};

use nix::sys::signal::Signal;
use o11y_lab::lab::scenario::{SCENARIOS, Scenario};
use o11y_lab::schema::{Endpoint, Role, SERVICES};
use serde_json::{Value, json};

use crate::helpers::tools::tool;
use crate::helpers::{Lab, Process, bin, eventually, get, post};

/// Waits between attempts are short here; what is staged, and how it ends, is the same.
const QUICK: [(&str, &str); 1] = [("QUEUE_RETRY_BASE_MS", "50")];

fn lab() -> MutexGuard<'static, Lab> {
    static LAB: OnceLock<Mutex<Lab>> = OnceLock::new();
    LAB.get_or_init(|| Mutex::new(Lab::start_with(&QUICK))).lock().unwrap_or_else(|e| e.into_inner())
}

/// `o11y-lab scenario` on this lab, with a state folder that is the lab's.
fn scenario(lab: &Lab, args: &[&str]) -> Command {
    let mut command = bin();
    command.env("XDG_STATE_HOME", state(lab)).arg("scenario").args(args);
    command.args(["--port-base", &lab.base.to_string()]);
    command
}

fn state(lab: &Lab) -> std::path::PathBuf {
    lab.dir.with_extension("state")
}

struct Said {
    code: Option<i32>,
    json: Value,
    stderr: String,
}

fn said(mut command: Command) -> Said {
    let done = command.arg("--json").output().expect("the command runs");
    let stderr = String::from_utf8_lossy(&done.stderr).into_owned();
    Said { code: done.status.code(), json: serde_json::from_slice(&done.stdout).unwrap_or_default(), stderr }
}

/// Nothing is broken, nothing waits, nothing is dead, and no stage is kept.
#[track_caller]
fn assert_nothing_is_left(lab: &Lab) {
    for service in &SERVICES {
        let active = &get(&lab.url(service.role, "/faults")).json["active"];
        assert_eq!(active, &json!([]), "{}", service.name);
    }
    eventually("the queue rests", || {
        let stats = get(&lab.url(Role::Notify, "/stats")).json;
        [&stats["waiting"], &stats["inFlight"], &stats["dead"]].iter().all(|n| **n == 0).then_some(())
    });
    let kept = std::fs::read_dir(state(lab).join("o11y-lab")).into_iter().flatten().flatten();
    assert_eq!(kept.map(|entry| entry.path()).collect::<Vec<_>>(), Vec::<std::path::PathBuf>::new());
}

fn names() -> Vec<&'static str> {
    SCENARIOS.iter().map(|scenario| scenario.name).collect()
}

#[test]
fn each_scenario_is_solved_from_telemetry_alone_and_is_repaired_and_leaves_nothing_behind() {
    let lab = lab();
    // Another draw of what is staged each time; a failure names its seed.
    let said = said(scenario(&lab, &["check", "--all"]));
    let checks = said.json["checks"].as_array().cloned().unwrap_or_default();
    let failed: Vec<_> = checks.iter().filter(|check| check["holds"] != true).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert_eq!((checks.len(), said.code), (SCENARIOS.len(), Some(0)), "{}", said.stderr);
    assert_nothing_is_left(&lab);
}

#[test]
fn each_check_fails_where_what_it_is_about_is_taken_out() {
    let lab = lab();
    let said = said(scenario(&lab, &["check", "--all", "--without-cause"]));
    let checks = said.json["checks"].as_array().cloned().unwrap_or_default();
    let held: Vec<_> = checks.iter().filter(|check| check["holds"] != false).collect();
    assert!(held.is_empty(), "{held:#?}");
    // Because of the cause, and not because the lab could not be repaired.
    assert!(
        checks.iter().all(|check| !check["why"].as_str().unwrap().contains("not repaired")),
        "{checks:#?}"
    );
    assert_eq!((checks.len(), said.code), (SCENARIOS.len(), Some(1)), "{}", said.stderr);
    assert_nothing_is_left(&lab);
}

#[test]
fn a_wrong_answer_brings_a_hint_and_1_and_the_right_one_an_explanation_and_0() {
    let lab = lab();
    let run = |more: &[&str]| said(scenario(&lab, &[&["run", "lost-context"], more].concat()));
    assert_eq!(run(&["--answer", "x"]).code, Some(3), "no stage is set");
    let asked = run(&[]);
    assert_eq!(asked.code, Some(0), "{}", asked.stderr);
    let question = asked.json["question"].as_str().unwrap();
    let words: Vec<_> = question.split([' ', '?']).collect();
    let order: i64 = words[words.iter().position(|word| *word == "Order").unwrap() + 1].parse().unwrap();
    assert_eq!(get(&lab.url(Role::Order, "/faults")).json["active"][0]["fault"], "drop-context");

    let own = words.iter().find(|word| word.len() == 32).unwrap();
    for (answer, say) in [("x", "expected a trace id"), (*own, "Which field"), (*own, "Search the lines")] {
        let said = run(&["--answer", answer]);
        assert_eq!((said.code, &said.json["right"]), (Some(1), &json!(false)), "{answer}: {}", said.stderr);
        assert!(said.json["say"].as_str().unwrap().contains(say), "{answer}: {}", said.json);
    }
    let hint = run(&["--hint"]);
    assert!(hint.code == Some(0) && hint.json["hint"].as_str().unwrap().contains(&order.to_string()));

    let right = lab.notifications(order)[0]["traceId"].as_str().unwrap().to_uppercase();
    let said = run(&["--answer", &format!(" http://127.0.0.1/trace/{right} ")]);
    assert_eq!((said.code, &said.json["right"]), (Some(0), &json!(true)), "{}", said.stderr);
    assert!(said.json["say"].as_str().unwrap().contains(&right.to_lowercase()), "{}", said.json);
    assert!(said.json["repaired"].as_array().is_some_and(|proofs| proofs.len() == 3), "{}", said.json);
    assert_nothing_is_left(&lab);
}

#[test]
fn a_solution_sets_the_stage_where_none_is_set_and_another_scenario_repairs_the_one_before() {
    let lab = lab();
    assert_eq!(said(scenario(&lab, &["run", "degraded"])).code, Some(0));
    assert_eq!(get(&lab.url(Role::Lambda, "/faults")).json["active"][0]["fault"], "error");
    let solved = said(scenario(&lab, &["run", "slow-query", "--solve", "--seed", "3"]));
    assert_eq!(solved.code, Some(0), "{}", solved.stderr);
    let answer = solved.json["answer"].as_str().unwrap();
    assert!(["INSERT orders", "SELECT users"].contains(&answer), "{}", solved.json);
    assert!(solved.json["explanation"].as_str().unwrap().contains(answer), "{}", solved.json);
    assert_nothing_is_left(&lab);
    assert_eq!(said(scenario(&lab, &["run", "degraded", "--stop"])).code, Some(3));
}

#[test]
fn a_person_takes_a_lesson_in_the_console_with_the_question_beside_the_data() {
    let lab = lab();
    let target = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target folder");
    let mut command = tool("browser_lessons.py");
    command.args(["--url", &lab.console("/"), "--screenshots"]).arg(target.join("screenshots"));
    let output = command.output().expect("the tool starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said, "OK\n", "{}", String::from_utf8_lossy(&output.stderr));
    assert_nothing_is_left(&lab);
}

#[test]
fn a_check_that_is_stopped_is_repaired_first() {
    let lab = lab();
    let mut running = Process::spawn(scenario(&lab, &["check", "redeliveries"]));
    eventually("the fault is set", || {
        let active = get(&lab.url(Role::Notify, "/faults")).json["active"].as_array().cloned();
        (active? != Vec::<Value>::new()).then_some(())
    });
    running.signal(Signal::SIGINT);
    assert_eq!(running.wait().code(), Some(130), "{}", running.stderr());
    assert_nothing_is_left(&lab);
}

#[test]
fn a_stage_that_could_not_tell_its_dead_letters_from_others_is_refused() {
    let lab = lab();
    let fault = json!({"fault": "poison", "seconds": 60});
    assert_eq!(post(&lab.url(Role::Notify, "/faults"), &fault).status, 200);
    lab.order(lab.user());
    eventually("a dead letter", || (get(&lab.url(Role::Notify, "/stats")).json["dead"] == 1).then_some(()));
    let refused = said(scenario(&lab, &["run", "poison"]));
    assert_eq!(refused.code, Some(3));
    assert!(refused.stderr.contains("dead letters are waiting"), "{}", refused.stderr);
    // What somebody else broke is not repaired.
    assert_eq!(get(&lab.url(Role::Notify, "/faults")).json["active"][0]["fault"], "poison");
    crate::helpers::send("DELETE", &lab.url(Role::Notify, "/faults"), &[], None);
    let replayed = post(&lab.url(Role::Notify, "/faults/replay"), &json!({}));
    assert_eq!((replayed.status, &replayed.json["replayed"]), (200, &json!(1)), "{replayed:?}");
    assert_nothing_is_left(&lab);
}

#[test]
fn counters_are_read_from_a_prometheus_where_one_is_named() {
    let lab = Lab::start_with(&[("UP_WITH", "prometheus")]);
    let prometheus = format!("http://127.0.0.1:{}", lab.ports().at(Endpoint::Prometheus));
    let mut command = scenario(&lab, &["check", "burn-rate", "cardinality", "redeliveries"]);
    command.args(["--prometheus", &prometheus]);
    let found = said(command);
    assert_eq!(found.code, Some(0), "{} {}", found.stderr, found.json);
    // It is Prometheus that answers, and not the pages.
    let mut command = scenario(&lab, &["check", "burn-rate"]);
    command.args(["--prometheus", &lab.console("")]);
    assert_eq!(said(command).code, Some(1));
    assert_nothing_is_left(&lab);
}

#[test]
fn what_the_queue_teaches_holds_where_the_consumers_spans_are_linked_and_not_children() {
    let lab = Lab::start_with(&[QUICK[0], ("QUEUE_TRACE_MODE", "link")]);
    let found = said(scenario(&lab, &["check", "lost-context", "poison", "redeliveries", "where-it-waits"]));
    assert_eq!(found.code, Some(0), "{} {:#}", found.stderr, found.json);
    assert_nothing_is_left(&lab);
    // Recorded too: with the consumer's own traces, which are then whole in both.
    let folder = tempfile::tempdir().unwrap();
    incidents::record(&lab, folder.path(), &["redeliveries", "--seed", "2"]);
    incidents::verify_files(folder.path()).assert_green();
}

#[test]
fn a_lab_that_was_stopped_in_a_lesson_says_at_its_next_start_which_dead_letters_wait() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("data");
    let mut lab = Lab::start_in(&dir, crate::helpers::free_port_base(), &QUICK);
    assert_eq!(said(scenario(&lab, &["run", "poison", "--seed", "1"])).code, Some(0));
    let dead = get(&lab.url(Role::Notify, "/stats")).json["dead"].as_u64().unwrap();
    assert!(dead > 0);
    lab.up.stop();
    let lab = Lab::start_in(&dir, lab.base, &QUICK);
    let says = eventually("it says so", || {
        let said = lab.up.stderr();
        said.lines().find(|line| line.contains("from before")).map(str::to_owned)
    });
    let replay = format!("`o11y-lab queue dead replay --all --port-base {}`", lab.base);
    assert!(says.contains(&format!("{dead} dead letter")) && says.contains(&replay), "{says}");
    // The terminal still knows the stage, and repairs it.
    assert_eq!(said(scenario(&lab, &["run", "poison", "--stop"])).code, Some(0));
    assert_nothing_is_left(&lab);
}

#[test]
fn a_check_can_bring_a_lab_of_its_own_and_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = bin();
    command.env("TMPDIR", folder.path()).env("PORT_BASE", "1024");
    command.args(["scenario", "check", "waterfall", "cardinality", "--own-lab"]);
    let said = said(command);
    assert_eq!(said.code, Some(0), "{} {}", said.stderr, said.json);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn without_a_lab_nothing_is_told_and_an_unknown_name_is_refused_with_those_there_are() {
    let run = |args: &[&str]| {
        let mut command = bin();
        command.args(["scenario"]).args(args);
        said(command)
    };
    let base = crate::helpers::free_port_base().to_string();
    let away = run(&["check", "--all", "--port-base", &base]);
    assert_eq!(away.code, Some(3), "{}", away.stderr);
    assert!(away.stderr.contains("the lab is not running"), "{}", away.stderr);
    for args in [&["show", "nothing"][..], &["run", "nothing"], &["check", "waterfall", "nothing"]] {
        let unknown = run(args);
        assert_eq!(unknown.code, Some(2), "{}", unknown.stderr);
        assert!(names().iter().all(|name| unknown.stderr.contains(name)), "{}", unknown.stderr);
    }
    assert_eq!(run(&["check"]).code, Some(2));
    let listed = run(&["list"]).json["scenarios"].as_array().cloned().unwrap();
    let listed: Vec<_> = listed.iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(listed, names());
    let shown = run(&["show", "poison"]).json;
    assert_eq!(shown["title"], Scenario::named("poison").unwrap().title);
}
