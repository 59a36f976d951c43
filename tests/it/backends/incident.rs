//! A recorded incident, sent again through the Collector and into Jaeger.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::collector::Collector;
use super::jaeger::Jaeger;
use crate::helpers::{Lab, backend, bin, eventually, free_port};
use crate::scenarios::incidents::{COMPOSITE, record, verify_files};

/// Ids and parents of spans, as text.
fn ids<'a>(spans: impl Iterator<Item = &'a Value>) -> BTreeSet<String> {
    spans.map(|span| format!("{} {} {}", span["traceId"], span["spanId"], span["parentSpanId"])).collect()
}

fn replay(dir: &std::path::Path, to: &str) -> Value {
    let mut command = bin();
    command.args(["scenario", "replay", "--json"]).arg(dir).args(["--to", to]);
    let done = command.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).unwrap()
}

#[test]
#[ignore = "needs programs that take minutes to build: make test-backends"]
fn a_recorded_incident_that_is_replayed_into_the_collector_and_jaeger_shows_the_same_traces() {
    let lab = Lab::start_with(&[]);
    let folder = tempfile::tempdir().unwrap();
    let truth = record(&lab, folder.path(), &COMPOSITE);
    let read = |file: &str| -> Vec<Value> {
        let text = std::fs::read_to_string(folder.path().join(file)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let spans_of = |message: &Value| -> Vec<Value> {
        let groups = message["resourceSpans"].as_array().unwrap().iter();
        let scopes = groups.flat_map(|group| group["scopeSpans"].as_array().unwrap());
        scopes.flat_map(|scope| scope["spans"].as_array().unwrap().clone()).collect()
    };
    let messages = read("traces.jsonl");
    let spans: Vec<Value> = messages.iter().flat_map(spans_of).collect();

    // The Collector writes what it took as its file exporter does: all of it, and `verify` is green on that too.
    let all = json!(["batch"]);
    let mut collector = Collector::start_on(
        free_port(),
        free_port(),
        json!({"processors": {"batch": {"timeout": "100ms"}},
            "service": {"pipelines": {
                "traces": {"processors": all}, "logs": {"processors": all}, "metrics": {"processors": all}}}}),
    );
    let sent = replay(folder.path(), &format!("http://127.0.0.1:{}", collector.http));
    assert_eq!(sent["leftOut"], json!([]));
    eventually("all spans and lines", || {
        let lines = collector.items("logs").len();
        (collector.items("traces").len() == spans.len() && lines == read("logs.jsonl").len()).then_some(())
    });
    collector.stop();
    let taken: Vec<Value> = collector.items("traces").into_iter().map(|(_, span)| span).collect();
    assert_eq!(taken.len(), spans.len());
    let bare = |mut span: Value| {
        let root = span["parentSpanId"].as_str().is_none_or(str::is_empty);
        if root {
            span["parentSpanId"] = json!("");
        }
        span
    };
    let (taken, spans): (Vec<_>, Vec<_>) =
        (taken.into_iter().map(bare).collect(), spans.into_iter().map(bare).collect());
    assert_eq!(ids(taken.iter()), ids(spans.iter()));
    std::fs::copy(folder.path().join("truth.json"), collector.folder.path().join("truth.json")).unwrap();
    // Among its metrics are those that it makes of spans, which no registry of ours has.
    let names: BTreeSet<_> =
        collector.items("metrics").iter().map(|(_, metric)| metric["name"].to_string()).collect();
    assert!(names.contains("\"http.server.request.duration\""), "{names:?}");
    std::fs::remove_file(collector.folder.path().join("metrics.json")).unwrap();
    verify_files(collector.folder.path()).assert_green();

    // Jaeger takes traces alone, which is said.
    let jaeger = Jaeger::start();
    let sent = replay(folder.path(), &jaeger.endpoint("http"));
    assert_eq!(sent["leftOut"], json!(["/v1/metrics", "/v1/logs"]));
    for id in truth["affectedTraces"].as_array().unwrap() {
        let own: Vec<&Value> = spans.iter().filter(|span| span["traceId"] == *id).collect();
        let shown = backend::wait_trace(&jaeger.url, id.as_str().unwrap(), own.len());
        let shown: BTreeSet<_> =
            shown.spans.iter().map(|s| format!("\"{}\" \"{}\" \"{}\"", s.trace, s.id, s.parent)).collect();
        assert_eq!(shown, ids(own.into_iter()));
    }
}
