//! Scenarios as data sets: recorded, replayed, and answers about them graded.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::*;
use crate::helpers::backend;
use crate::otlp::Console;

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
