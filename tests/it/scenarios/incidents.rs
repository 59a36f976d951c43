//! Scenarios as data sets: recorded, replayed, and answers about them graded.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::*;
use crate::helpers::backend;
use crate::helpers::prometheus::tool as prometheus_tool;
use crate::otlp::Console;
use crate::verify::Verified;

/// A row whose cause is an error, with a fault beside it that leads away from it and hits each statement about users.
pub const COMPOSITE: [&str; 5] = ["deep-error", "--seed", "7", "--distraction", "slow-db@user"];

/// Records an incident into a folder; the truth.
#[track_caller]
pub fn record(lab: &Lab, out: &Path, args: &[&str]) -> Value {
    let mut command = scenario(lab, &[&["record"], args].concat());
    let done = said({
        command.arg("--out").arg(out);
        command
    });
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert_eq!(done.json, json_of(&out.join("truth.json")));
    done.json
}

/// `verify --files`, which needs no lab.
pub fn verify_files(dir: &Path) -> Verified {
    let mut command = bin();
    command.arg("verify").arg("--files").arg(dir);
    Verified::run(&mut command)
}

fn json_of(file: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()
}

/// The spans of a trace by id, with their names.
fn spans(console: &str, id: &str) -> BTreeSet<(String, String, String)> {
    let trace = backend::trace(console, id);
    trace.spans.into_iter().map(|span| (span.id, span.service, span.name)).collect()
}

#[test]
fn a_recorded_incident_has_its_cause_and_replays_as_the_same_traces_and_an_answer_is_graded_by_it() {
    let lab = lab();
    let folder = tempfile::tempdir().unwrap();
    let record = |name: &str| {
        let out = folder.path().join(name);
        let out = out.to_str().unwrap();
        let done = said(scenario(&lab, &["record", "deep-error", "--seed", "7", "--out", out]));
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        assert_nothing_is_left(&lab);
        done.json
    };
    let truth = record("one");
    assert_eq!(truth, json_of(&folder.path().join("one/truth.json")));
    let cause = &truth["cause"][0];
    assert_eq!(cause["fault"], "error");
    let hit = truth["spansHit"].as_array().unwrap();
    assert!(!hit.is_empty() && hit.iter().all(|span| span["service"] == cause["service"]), "{truth}");
    let affected: Vec<_> =
        truth["affectedTraces"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(hit.iter().all(|span| affected.contains(&span["traceId"].as_str().unwrap())), "{truth}");
    // The same seed, the same truth.
    assert_eq!(record("two")["cause"], truth["cause"]);

    let console = Console::start(&[]);
    let mut replay = bin();
    let one = folder.path().join("one");
    replay.args(["scenario", "replay", one.to_str().unwrap(), "--to", &console.otlp("")]);
    assert_eq!(said(replay).code, Some(0));
    for id in affected {
        let recorded = spans(&lab.console(""), id);
        assert!(recorded.len() >= 5, "{recorded:?}");
        let replayed = eventually("the trace is there", || {
            Some(spans(&console.page(""), id)).filter(|spans| spans.len() >= recorded.len())
        });
        assert_eq!(replayed, recorded);
    }

    let answer = |fault: &str| {
        json!({"incident": "one", "candidates": [
        {"service": cause["service"], "fault": fault, "startUnixNano": truth["startUnixNano"]}]})
    };
    let answers = folder.path().join("answers.json");
    fs::write(&answers, json!([answer("error"), answer("latency")]).to_string()).unwrap();
    let mut score = bin();
    score.args(["scenario", "score", answers.to_str().unwrap()]);
    let expected =
        json!({"incidents": 2, "top1": 0.5, "top3": 0.5, "serviceTop1": 1.0, "meanTimeErrorSeconds": 0.0});
    assert_eq!(said(score).json, expected);
}

#[test]
fn a_scenario_without_a_fault_is_no_incident() {
    let lab = lab();
    let folder = tempfile::tempdir().unwrap();
    let done = said(scenario(&lab, &["record", "cardinality", "--out", folder.path().to_str().unwrap()]));
    assert_eq!(done.code, Some(2), "{}", done.stderr);
    assert!(done.stderr.contains("sets no fault"), "{}", done.stderr);
}

/// A truth without what two recordings cannot share: times and ids.
fn lasting(truth: &Value) -> Value {
    let list = |key: &str| truth[key].as_array().unwrap().clone();
    let hit = |key: &str| {
        let mut all: Vec<_> = list(key)
            .iter()
            .map(|span| format!("{} {} {}", span["service"], span["name"], span["fault"]))
            .collect();
        all.sort();
        all
    };
    let timed = ["startUnixNano", "endUnixNano", "active", "affectedTraces", "distractedTraces", "spansHit"];
    let timed = timed.into_iter().chain(["distractionSpansHit", "symptoms", "traces"]);
    let mut rest = truth.as_object().unwrap().clone();
    timed.for_each(|key| drop(rest.remove(key).unwrap_or_else(|| panic!("no {key} in {truth}"))));
    let symptoms: Vec<_> = list("symptoms").into_iter().filter(|one| one["symptom"] != "slower").collect();
    json!({"rest": rest, "hit": hit("spansHit"), "distracting": hit("distractionSpansHit"), "symptoms": symptoms,
        "many": [list("affectedTraces").len(), list("distractedTraces").len()]})
}

#[test]
fn an_incident_with_a_distraction_says_its_answer_in_the_truth_alone_and_the_same_seed_is_the_same_truth() {
    let lab = lab();
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("one");
    let truth = record(&lab, &dir, &COMPOSITE);
    assert_nothing_is_left(&lab);
    let (cause, other) = (&truth["cause"][0], &truth["distractions"][0]);
    assert_eq!((&cause["fault"], &other["fault"]), (&json!("error"), &json!("slow-db")));
    assert_eq!((&other["service"], truth["cause"].as_array().unwrap().len()), (&json!("user-service"), 1));
    for (list, of) in [("spansHit", cause), ("distractionSpansHit", other)] {
        let hit = truth[list].as_array().unwrap();
        assert!(!hit.is_empty(), "{list}");
        assert!(
            hit.iter().all(|span| span["service"] == of["service"] && span["fault"] == of["fault"]),
            "{truth}"
        );
    }
    let begins = json!({"symptom": "error", "service": cause["service"], "span": truth["spansHit"][0]["name"],
        "traces": truth["affectedTraces"].as_array().unwrap().len()});
    assert!(truth["symptoms"].as_array().unwrap().contains(&begins), "{begins} in {}", truth["symptoms"]);
    let radius = &truth["blastRadius"];
    assert!(radius["services"].as_array().unwrap().contains(&json!("api-gateway")), "{radius}");
    assert_eq!(radius["failedRequests"], radius["requests"], "{radius}");

    // No file but the truth has a word of it.
    for file in ["traces.jsonl", "metrics.jsonl", "logs.jsonl", "metrics.om", "alerts.json"] {
        let text = fs::read_to_string(dir.join(file)).unwrap();
        assert!(text.lines().count() > 1, "{file}");
        let text = text.to_lowercase().replace("default", "");
        let told = ["fault", "inject"].into_iter().find_map(|word| text.find(word));
        assert!(told.is_none(), "{file}: {:?}", told.map(|at| &text[at.saturating_sub(80)..at + 80]));
    }
    let note = &json_of(&dir.join("alerts.json"))["note"];
    assert!(note.as_str().unwrap().contains("no Prometheus answers"), "{note}");
    // A Prometheus takes the samples with their times.
    let blocks = folder.path().join("blocks");
    let om = dir.join("metrics.om");
    let (om, blocks) = (om.to_str().unwrap(), blocks.to_str().unwrap());
    prometheus_tool("promtool", &["tsdb", "create-blocks-from", "openmetrics", om, blocks]);

    let marked = folder.path().join("two");
    let again = record(&lab, &marked, &[&COMPOSITE[..], &["--with-marks"]].concat());
    assert_eq!(again["marks"], true);
    let same = |truth: &Value| {
        let mut same = lasting(truth);
        same["rest"]["marks"] = Value::Null;
        same
    };
    assert_eq!(same(&again), same(&truth));
    let spans = fs::read_to_string(marked.join("traces.jsonl")).unwrap();
    assert_eq!(
        spans.matches("o11y_lab.fault").count(),
        ["spansHit", "distractionSpansHit"]
            .iter()
            .map(|list| again[*list].as_array().unwrap().len())
            .sum::<usize>()
    );
    assert_nothing_is_left(&lab);

    for dir in [&dir, &marked] {
        verify_files(dir).assert_green();
    }
}

#[test]
fn a_data_set_that_was_changed_is_red_in_the_row_of_the_change() {
    let lab = lab();
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let truth = record(&lab, dir, &["slow-query", "--seed", "1"]);
    verify_files(dir).assert_green();
    let changed = |file: &str, rows: &[&str], change: &dyn Fn(&str) -> String| {
        let path = dir.join(file);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, change(&text)).unwrap();
        let verified = verify_files(dir);
        fs::write(&path, text).unwrap();
        let found: BTreeSet<_> =
            verified.not("pass").iter().map(|claim| claim["id"].as_str().unwrap()).collect();
        assert_eq!(found, rows.iter().copied().collect(), "{file}: {:#?}", verified.not("pass"));
    };
    let affected = truth["affectedTraces"].as_array().unwrap();
    let of_request = |line: &str, name: &str| {
        line.contains(&format!("\"name\":\"{name}\""))
            && !affected.iter().any(|id| line.contains(id.as_str().unwrap()))
    };
    // The first trace of a list of orders that the fault did not reach loses its statement.
    changed("traces.jsonl", &["traces.shapes"], &|text| {
        let mut done = false;
        let lines = text.lines().map(|line| {
            if done || !of_request(line, "SELECT orders") || !of_request(line, "GET /api/orders") {
                return line.to_owned();
            }
            done = true;
            let mut message: Value = serde_json::from_str(line).unwrap();
            for group in message["resourceSpans"].as_array_mut().unwrap() {
                for scope in group["scopeSpans"].as_array_mut().unwrap() {
                    scope["spans"].as_array_mut().unwrap().retain(|span| span["name"] != "SELECT orders");
                }
            }
            message.to_string()
        });
        lines.collect::<Vec<_>>().join("\n")
    });
    let id = affected[0].as_str().unwrap();
    // Lines of that trace lead nowhere then, and the truth names what is not there.
    changed("traces.jsonl", &["truth.traces", "logs.traces"], &|text| {
        text.lines().filter(|line| !line.contains(id)).collect::<Vec<_>>().join("\n")
    });
    changed("logs.jsonl", &["logs.lines"], &|text| format!("{text}{{\"resourceLogs\": [\n"));
    // What was counted last comes first.
    changed("metrics.jsonl", &["metrics.growth", "metrics.requests"], &|text| {
        text.lines().rev().collect::<Vec<_>>().join("\n")
    });
    changed("truth.json", &["truth.traces"], &|text| text.replace(id, "00000000000000000000000000000001"));
}

#[test]
fn a_distraction_may_not_be_what_the_scenario_sets_itself() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = bin();
    command.args(["scenario", "record", "poison", "--distraction", "poison", "--out"]).arg(folder.path());
    let done = said(command);
    assert_eq!(done.code, Some(2), "{}", done.stderr);
    assert!(done.stderr.contains("as the cause"), "{}", done.stderr);
}

#[test]
fn requests_go_on_for_the_minutes_that_are_asked_for_half_of_them_under_the_fault() {
    // A minute, in which others need not wait.
    let lab = Lab::start_with(&QUICK);
    let folder = tempfile::tempdir().unwrap();
    let truth = record(&lab, folder.path(), &["stalled-or-slow", "--seed", "3", "--minutes", "1"]);
    assert_nothing_is_left(&lab);
    // Fifteen rounds of five before it, as many while it is set, and a user with some orders on the stage.
    let requests = truth["requests"].as_u64().unwrap();
    assert!((150 + 13..=150 + 17).contains(&requests), "{truth}");
    let radius = &truth["blastRadius"];
    assert!(radius["requests"].as_u64().unwrap() >= 15 + 12, "{radius}");
    verify_files(folder.path()).assert_green();
}
