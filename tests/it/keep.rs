//! The console keeps a part of the traces.

use prost::Message;
use serde_json::json;

use o11y_lab::lab::expect::ORDER_TRACE;

use crate::helpers::{Lab, bin, eventually, free_port_base, get, send};
use crate::otlp::{Console, PROTOBUF, export};

#[test]
fn the_console_keeps_the_failed_traces_alone_and_counts_the_others_in_its_figures() {
    let console = Console::start(&[("CONSOLE_KEEP", "error,wait=0s")]);
    for trace in 1..=4_u128 {
        let mut export = export(trace, 3);
        export.resource_spans[0].scope_spans[0].spans[1].status.get_or_insert_default().code =
            if trace == 3 { 2 } else { 0 };
        let body = export.encode_to_vec();
        assert_eq!(
            send("POST", &console.otlp("/v1/traces"), &[("content-type", PROTOBUF)], Some(&body)).status,
            200
        );
    }
    let overview = eventually("all four decided", || {
        let overview = console.overview();
        (overview["keep"]["traces"] == json!({"kept": 1, "dropped": 3, "waiting": 0})).then_some(overview)
    });
    assert_eq!(overview["keep"]["spans"], json!({"kept": 3, "dropped": 9}));
    assert_eq!((&overview["traces"]["received"], &overview["traces"]["kept"]), (&json!(12), &json!(3)));
    let status = |trace: u128| get(&console.page(&format!("/api/traces/{trace:032x}"))).status;
    assert_eq!([status(1), status(2), status(3), status(4)], [404, 404, 200, 404]);
}

#[test]
fn up_hands_its_rules_to_the_console_and_a_wrong_one_ends_it_with_2_and_the_rules() {
    let lab = Lab::start_with(&[("UP_KEEP", "ratio=0,wait=10ms")]);
    let order = lab.order(lab.user());
    eventually("its trace is dropped", || {
        let keep = get(&lab.console("/api/overview")).json["keep"].clone();
        (keep["traces"]["dropped"].as_u64()? > 0 && keep["rules"] == "ratio=0,wait=10ms").then_some(())
    });
    assert_eq!(get(&lab.console(&format!("/api/traces/{}", order.trace_id()))).status, 404);
    for command in ["up", "console"] {
        let output = bin().args([command, "--keep", "errors"]).output().expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("slower=DURATION") && said.contains("ratio=SHARE"), "{said}");
    }
}

#[test]
fn a_lab_that_is_killed_and_started_again_shows_what_its_console_retained() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let settings = [("UP_RETAIN", "true"), ("OTEL_METRICS_EXPORTER", "otlp,prometheus")];
    let start = || Lab::start_in(&data, free_port_base(), &settings);
    let lab = start();
    let id = lab.order(lab.user()).trace_id();
    lab.trace(&id, ORDER_TRACE.len());
    eventually("lines and metrics came in, and more than them was retained", || {
        let overview = get(&lab.console("/api/overview")).json;
        let received = |signal: &str| overview[signal]["received"].as_u64().filter(|received| *received > 0);
        received("metrics").and(received("logs"))?;
        (overview["retain"]["bytes"].as_u64()? > 10_000).then_some(())
    });
    drop(lab);
    let lab = start();
    assert_eq!(lab.trace(&id, ORDER_TRACE.len()).spans.len(), ORDER_TRACE.len());
    let lines = get(&lab.console(&format!("/api/logs?traceId={id}"))).json;
    assert!(lines["logs"].as_array().is_some_and(|lines| !lines.is_empty()), "{lines}");
    assert_eq!(get(&lab.console("/api/overview")).json["retain"]["lost"], 0);
}
