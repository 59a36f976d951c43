//! What a console holds as files, by the command.

use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};

use crate::helpers::{bin, get, send};
use crate::otlp::{Console, JSON};

fn console(args: &[&str]) -> Output {
    bin().arg("console").args(args).output().expect("the program runs")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn post(console: &Console, path: &str, export: &Value) {
    let body = export.to_string();
    let answer = send("POST", &console.otlp(path), &[("content-type", JSON)], Some(body.as_bytes()));
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// Two traces, a line, a gauge and a counter whose exemplars name the traces.
fn fill(console: &Console) {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let at = now.as_nanos().to_string();
    let before = (now.as_nanos() - 60_000_000_000).to_string();
    let span = |id: &str| {
        json!({"traceId": id.repeat(32), "spanId": id.repeat(16), "name": "GET /books", "kind": 2,
        "startTimeUnixNano": at, "endTimeUnixNano": at, "attributes": [{"key": "big", "value": {"intValue": "9007199254740993"}}]})
    };
    let resource = json!({"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]});
    let spans = json!([{"spans": [span("a"), span("b")]}]);
    post(console, "/v1/traces", &json!({"resourceSpans": [{"resource": resource, "scopeSpans": spans}]}));
    let record = json!({"timeUnixNano": at, "traceId": "a".repeat(32), "body": {"stringValue": "sold"}});
    let records = json!([{"logRecords": [record]}]);
    post(console, "/v1/logs", &json!({"resourceLogs": [{"resource": resource, "scopeLogs": records}]}));
    let gauge = json!({"name": "shop.shelf", "gauge": {"dataPoints": [{"timeUnixNano": at, "asInt": "7"}]}});
    // One of the first point, which is kept beside the last one, and one of the last without a span.
    let exemplar = |at: &str, trace: &str, span: &str| json!({"timeUnixNano": at, "asDouble": 0.5, "traceId": trace.repeat(32), "spanId": span.repeat(16)});
    let point = |at: &str, count: &str, exemplar: Value| json!({"startTimeUnixNano": before, "timeUnixNano": at, "asInt": count, "exemplars": [exemplar]});
    let points = [point(&before, "1", exemplar(&before, "a", "a")), point(&at, "2", exemplar(&at, "b", ""))];
    let counter = json!({"name": "shop.sold", "sum": {"dataPoints": points, "aggregationTemporality": 2, "isMonotonic": true}});
    let metrics = json!([{"metrics": [gauge, counter]}]);
    post(
        console,
        "/v1/metrics",
        &json!({"resourceMetrics": [{"resource": resource, "scopeMetrics": metrics}]}),
    );
}

#[test]
fn what_one_console_saw_is_kept_as_files_and_shown_by_another_one() {
    let (first, second) = (Console::start(&[]), Console::start(&[]));
    fill(&first);
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("seen").display().to_string();
    let exported = console(&["export", "--out", &out, "--port-base", &first.base.to_string()]);
    assert!(exported.status.success(), "{}", said(&exported));
    assert_eq!(said(&exported), format!("2 traces, 1 log records, 2 series in {out}\n"));
    for (file, lines) in [("traces.jsonl", 2), ("logs.jsonl", 1), ("metrics.jsonl", 2)] {
        let text = std::fs::read_to_string(Path::new(&out).join(file)).expect("a file");
        assert_eq!(text.lines().count(), lines, "{file}: {text}");
    }
    let url = second.page("");
    let imported = console(&["import", &out, "--url", &url, "--json"]);
    assert!(imported.status.success(), "{}", said(&imported));
    let sums: Value = serde_json::from_slice(&imported.stdout).expect("JSON");
    assert_eq!(sums, json!({"spans": 2, "logRecords": 1, "dataPoints": 3, "refused": 0}));
    for (path, part) in [
        ("/api/traces", "data"),
        ("/api/logs", "logs"),
        ("/api/metrics", "metrics"),
        ("/api/metrics/shop.shelf", "series"),
        ("/api/metrics/shop.sold", "series"),
    ] {
        let of = |console: &Console| get(&console.page(path)).json[part].clone();
        assert!(of(&first).as_array().is_some_and(|list| !list.is_empty()), "{path}");
        assert_eq!(of(&first), of(&second), "{path}");
    }
    let sold = get(&second.page("/api/metrics/shop.sold")).json["series"][0]["exemplars"].clone();
    let traces: Vec<_> = sold.as_array().expect("a list").iter().map(|one| &one["traceID"]).collect();
    assert_eq!(traces, [&json!("a".repeat(32)), &json!("b".repeat(32))], "{sold}");
}

#[test]
fn a_folder_or_a_console_that_is_not_there_is_told_and_nothing_is_taken() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().display().to_string();
    let none = console(&["import", &dir, "--url", "http://127.0.0.1:1"]);
    assert_eq!(none.status.code(), Some(2), "{}", said(&none));
    assert!(said(&none).contains("no file *.jsonl or *.json"), "{}", said(&none));
    std::fs::write(folder.path().join("a.jsonl"), "{}\n").expect("a file");
    let silent = console(&["import", &dir, "--url", "http://127.0.0.1:1"]);
    assert!(!silent.status.success() && said(&silent).contains("a.jsonl"), "{}", said(&silent));
    let console_there = Console::start(&[]);
    let wrong = console(&["import", &dir, "--url", &console_there.page("")]);
    assert!(
        !wrong.status.success() && said(&wrong).contains("it has none of resourceSpans"),
        "{}",
        said(&wrong)
    );
    let silent = console(&["export", "--out", &dir, "--url", "http://127.0.0.1:1"]);
    assert!(!silent.status.success() && said(&silent).contains("the console's traces"), "{}", said(&silent));
}

#[test]
fn an_export_that_fails_leaves_the_files_of_the_one_before() {
    let lab = Console::start(&[]);
    fill(&lab);
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("seen");
    let base = lab.base.to_string();
    let export = || console(&["export", "--out", &out.display().to_string(), "--port-base", &base]);
    assert!(export().status.success());
    let files = || {
        let mut files: Vec<_> = std::fs::read_dir(&out)
            .expect("the folder")
            .map(|entry| entry.expect("an entry").path())
            .map(|path| (path.clone(), std::fs::read(path).expect("a file")))
            .collect();
        files.sort();
        files
    };
    let before = files();
    drop(lab);
    assert_eq!(export().status.code(), Some(1));
    assert_eq!((before.len(), files()), (3, before));
}
