//! Real exporters of other languages send to the console, and its JSON is read as protobuf's own parser reads it.

use std::process::Command;

use o11y_lab::console::json_to_protobuf;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde_json::{Value, json};

use crate::helpers::tools::{node, tool};
use crate::helpers::{eventually, get};
use crate::otlp::Console;

/// What a tool prints, which must succeed.
#[track_caller]
fn output(mut command: Command) -> String {
    let output = command.output().expect("the tool starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8(output.stdout).expect("text")
}

/// The value of a span's tag, or of an event's field.
fn tag<'a>(tags: &'a Value, key: &str) -> &'a Value {
    let found = tags.as_array().and_then(|tags| tags.iter().find(|tag| tag["key"] == key));
    found.map_or(&Value::Null, |tag| &tag["value"])
}

/// Asserts that the console has the two spans and the log record that an exporter's tool sends, with `printed`
/// as the trace's id.
fn assert_kept(console: &Console, printed: &str, what: &str) {
    let trace = eventually(&format!("the trace of {what}"), || {
        let answer = get(&console.page(&format!("/api/traces/{}", printed.trim())));
        (answer.status == 200).then(|| answer.json["data"][0].clone())
    });
    let spans = trace["spans"].as_array().expect("spans");
    let named = |name: &str| spans.iter().find(|span| span["operationName"] == name).expect(name);
    let (parent, child) = (named("parent"), named("child"));
    assert_eq!(
        (spans.len(), tag(&child["tags"], "otel.scope.name")),
        (2, &json!("exporter.scope")),
        "{what}"
    );
    for tags in [&parent["tags"], &child["logs"][0]["fields"]] {
        assert_eq!(tag(tags, "text"), "Grüße \u{1f600}", "{what}");
        assert_eq!((tag(tags, "half"), tag(tags, "flag")), (&json!(0.5), &json!(false)), "{what}");
        assert_eq!(tag(tags, "list"), r#"["a","b"]"#, "{what}");
        assert_eq!((tag(tags, "empty.list"), tag(tags, "empty.text")), (&json!("[]"), &json!("")), "{what}");
    }
    assert_eq!(tag(&child["tags"], "otel.status_description"), "on purpose", "{what}");
    let links: Vec<_> = child["references"].as_array().expect("a list").iter().collect();
    assert!(
        links.iter().all(|link| link["spanID"] == parent["spanID"]) && links.len() == 2,
        "{what}: {child}"
    );

    let lines = get(&console.page("/api/logs?limit=1")).json;
    let line = &lines["logs"][0];
    assert_eq!((&line["level"], &line["eventName"]), (&json!("warn"), &json!("event")), "{what}: {line}");
    assert_eq!(line["resource"]["attributes"]["host.name"], "here", "{what}: {line}");
    assert_eq!(
        (&line["scope"]["name"], &line["scope"]["version"]),
        (&json!("exporter.scope"), &json!("1.2"))
    );
    assert_eq!((&line["empty.list"], &line["nested"]), (&json!([]), &json!({"map": {}})), "{what}: {line}");
    let body: Value = serde_json::from_str(line["message"].as_str().expect("a text")).expect("JSON");
    assert_eq!(body, json!({"said": ["hello", {}], "nothing": null, "bytes": "+/8="}), "{what}");
}

#[test]
fn pythons_exporters_lose_nothing_in_either_encoding_any_compression_and_over_grpc() {
    let console = Console::start(&[]);
    for encoding in ["proto", "json"] {
        for compression in ["none", "gzip", "deflate"] {
            let mut command = tool("otlp_python.py");
            command.args(["--url", &console.otlp(""), "--encoding", encoding, "--compression", compression]);
            assert_kept(&console, &output(command), &format!("Python, {encoding}, {compression}"));
        }
    }
    for compression in ["none", "gzip"] {
        let mut command = tool("otlp_python.py");
        command.args(["--url", &console.grpc(), "--encoding", "grpc", "--compression", compression]);
        assert_kept(&console, &output(command), &format!("Python, gRPC, {compression}"));
    }
    assert_nothing_rejected(&console);
}

#[test]
fn javascripts_sdk_loses_nothing_of_any_signal_by_any_protocol_plain_and_packed() {
    for compression in ["none", "gzip"] {
        let console = Console::start(&[]);
        for (protocol, service, url) in [
            ("http/protobuf", "javascript-proto", console.otlp("")),
            ("http/json", "javascript-http", console.otlp("")),
            ("grpc", "javascript-grpc", console.grpc()),
        ] {
            let mut command = node("send.mjs");
            command.args([&url, protocol, compression]);
            assert_kept(&console, &output(command), &format!("JavaScript, {protocol}, {compression}"));
            assert_measured(&console, service);
        }
        assert_nothing_rejected(&console);
    }
}

/// Asserts that the console has what JavaScript's tool measures, exactly.
fn assert_measured(console: &Console, service: &str) {
    let found = |name: &str| series(console, service, name);
    let sold = found("sold");
    let told = (&sold["kind"], &sold["unit"], &sold["description"], sold["latest"]["value"].as_f64());
    // JavaScript has one kind of number, and its SDK sends doubles unless it is told to.
    assert_eq!(told, (&json!("counter"), &json!("{book}"), &json!("Books sold"), Some(7.0)), "{service}");
    assert_eq!(sold["attributes"], json!({"shelf": "a", "new": true}), "{service}");
    assert_eq!((&sold["resource"]["host.name"], &sold["scope"]), (&json!("here"), &json!("exporter.scope")));
    assert_eq!(found("waiting")["latest"]["value"].as_f64(), Some(-2.0), "{service}");
    assert_eq!(found("level")["latest"], json!({"value": 1.5}), "{service}");
    let took = found("took")["latest"].clone();
    let counted = (&took["count"], &took["sum"], &took["bounds"], &took["counts"]);
    let expected = (&json!(4), &json!(10.25), &json!([0.5, 2.5]), &json!([2, 1, 1]));
    assert_eq!(counted, expected, "{service}: {took}");
    let power = found("power")["latest"].clone();
    let counted = (&power["count"], &power["sum"], &power["zeroCount"]);
    assert_eq!(counted, (&json!(8), &json!(14.0), &json!(2)), "{service}: {power}");
}

/// The one series of a metric of a service.
fn series(console: &Console, service: &str, name: &str) -> Value {
    let answer = get(&console.page(&format!("/api/metrics/{name}?service={service}"))).json;
    assert_eq!(answer["matched"], 1, "{service}: {answer}");
    answer["series"][0].clone()
}

#[test]
fn pythons_metrics_arrive_exact_by_kind_encoding_and_temporality_with_their_exemplars() {
    let console = Console::start(&[]);
    for encoding in ["proto", "json", "grpc"] {
        for temporality in ["cumulative", "delta"] {
            let mut command = tool("otlp_metrics.py");
            let url = if encoding == "grpc" { console.grpc() } else { console.otlp("") };
            command.args(["--url", &url, "--encoding", encoding, "--temporality", temporality]);
            let trace = output(command);
            let service = format!("python-{encoding}-{temporality}");
            let found = |name: &str| series(&console, &service, name);

            let sold = found("sold");
            // 2 and 2^53 + 1, which no double holds.
            assert_eq!(sold["latest"]["value"].to_string(), "9007199254740995", "{service}: {sold}");
            let told = (&sold["kind"], &sold["unit"], &sold["description"], &sold["temporality"]);
            assert_eq!(
                told,
                (&json!("counter"), &json!("{book}"), &json!("Books sold"), &json!(temporality))
            );
            assert_eq!(sold["attributes"], json!({"shelf": "a", "new": true}), "{service}");
            assert_eq!(
                (&sold["resource"]["host.name"], &sold["scope"]),
                (&json!("here"), &json!("exporter.scope"))
            );
            assert_eq!(sold["exemplars"][0]["traceID"], trace.trim(), "{service}: {sold}");

            let waiting = found("waiting");
            assert_eq!(
                (&waiting["kind"], &waiting["latest"]["value"]),
                (&json!("upDownCounter"), &json!(-2))
            );
            assert_eq!(found("level")["latest"], json!({"value": 1.5}), "{service}");

            let took = found("took")["latest"].clone();
            let counted = (&took["count"], &took["sum"], &took["bounds"], &took["counts"]);
            assert_eq!(
                counted,
                (&json!(4), &json!(10.25), &json!([0.5, 2.5]), &json!([2, 1, 1])),
                "{service}"
            );
            assert_eq!((&took["min"], &took["max"]), (&json!(0.25), &json!(7.5)), "{service}: {took}");

            let power = found("power")["latest"].clone();
            let counts = power["positive"]["counts"].as_array().expect("buckets");
            let positive: u64 = counts.iter().filter_map(Value::as_u64).sum();
            assert_eq!(
                (&power["count"], &power["sum"], &power["zeroCount"]),
                (&json!(8), &json!(14.0), &json!(2))
            );
            assert_eq!((positive, counts.iter().filter(|count| **count == 2).count()), (6, 3), "{power}");
        }
    }
    let metrics = console.overview()["metrics"].clone();
    assert_eq!((&metrics["rejected"], &metrics["received"]), (&json!(0), &json!(60)), "{metrics}");
}

fn assert_nothing_rejected(console: &Console) {
    let overview = console.overview();
    let rejected = (&overview["traces"]["rejected"], &overview["logs"]["rejected"]);
    assert_eq!(rejected, (&json!(0), &json!(0)), "{overview}");
}

/// The message as our decoder has it, written again: that is how messages with NaN are compared.
fn decoded<T: Message + Default>(protobuf: &[u8]) -> Vec<u8> {
    T::decode(protobuf).expect("an export").encode_to_vec()
}

/// Other seeds by hand: `OTLP_FUZZ="SEED COUNT"`.
#[test]
fn whatever_protobufs_own_json_parser_accepts_is_accepted_here_with_the_same_values() {
    let chosen = std::env::var("OTLP_FUZZ").unwrap_or_else(|_| "1 1500".into());
    let (seed, count) = chosen.split_once(' ').expect("a seed and a count");
    let mut command = tool("otlp_fuzz.py");
    command.args(["--seed", seed, "--count", count]);
    let printed = output(command);
    let mut compared = 0;
    for line in printed.lines() {
        let [signal, json, expected] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("three columns: {line}");
        };
        let expected: Vec<u8> = (0..expected.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&expected[at..at + 2], 16).expect("hexadecimal"))
            .collect();
        let found = json_to_protobuf(json, signal).unwrap_or_else(|why| panic!("{why}: {json}"));
        let decoded = match signal {
            "logs" => decoded::<ExportLogsServiceRequest>,
            "metrics" => decoded::<ExportMetricsServiceRequest>,
            _ => decoded::<ExportTraceServiceRequest>,
        };
        assert_eq!(decoded(&found), decoded(&expected), "seed {seed}: {json}");
        // Numbers of a list are longer in protobuf.
        assert!(signal == "metrics" || found.len() <= json.len(), "seed {seed}: {json}");
        compared += 1;
    }
    let count: usize = count.parse().expect("a number");
    assert!(compared > count / 2, "only {compared} of {count} were accepted by both");
}
