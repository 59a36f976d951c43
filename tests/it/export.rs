//! Telemetry that goes to a vendor or a collector and to the console.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use o11y_lab::lab::expect::ORDER_TRACE;
use o11y_lab::schema::{Endpoint, Ports};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde_json::{Value, json};

use crate::helpers::standin::{response, serve};
use crate::helpers::{Lab, bin, eventually, free_port_base, get, send};
use crate::otlp::{Console, JSON, PROTOBUF, export};

/// The path and the body of a request.
type Taken = (String, Vec<u8>);

/// A receiver of all three signals, which can be in trouble.
#[derive(Clone, Default)]
struct Receiver {
    bodies: Arc<Mutex<Vec<Taken>>>,
    down: Arc<AtomicBool>,
}

impl Receiver {
    /// With the URL to send to.
    fn start() -> (Self, String) {
        let receiver = Self::default();
        let serving = receiver.clone();
        let address = serve(move |_, path, body| {
            if serving.down.load(Ordering::Relaxed) {
                return Some(response("503 Service Unavailable", "", ""));
            }
            serving.bodies.lock().unwrap().push((path.to_owned(), body.to_vec()));
            Some(response("200 OK", "content-type: application/x-protobuf\r\n", ""))
        });
        (receiver, format!("http://{address}/vendor"))
    }

    fn of<T: Message + Default>(&self, path: &str) -> Vec<T> {
        let bodies = self.bodies.lock().unwrap();
        bodies.iter().filter(|(to, _)| to == path).map(|(_, body)| T::decode(&body[..]).unwrap()).collect()
    }

    /// Trace and span id of every span that arrived.
    fn spans(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let exports = self.of::<ExportTraceServiceRequest>("/vendor/v1/traces");
        let groups = exports.into_iter().flat_map(|export| export.resource_spans);
        let spans = groups.flat_map(|group| group.scope_spans).flat_map(|scope| scope.spans);
        spans.map(|span| (span.trace_id, span.span_id)).collect()
    }
}

#[test]
fn an_order_of_up_reaches_the_vendor_with_all_signals_and_the_console_shows_it_once() {
    let (vendor, url) = Receiver::start();
    let lab = Lab::start_with(&[("UP_EXPORT", &url)]);
    let order = lab.order(lab.user());
    lab.trace(&order.trace_id(), ORDER_TRACE.len());
    let id = u128::from_str_radix(&order.trace_id(), 16).unwrap().to_be_bytes();
    let spans = eventually("all spans of the order at the vendor", || {
        let spans: BTreeSet<_> = vendor.spans().into_iter().filter(|(trace, _)| trace == &id).collect();
        (spans.len() >= ORDER_TRACE.len()).then_some(spans)
    });
    assert_eq!(spans.len(), ORDER_TRACE.len());
    eventually("its log records at the vendor", || {
        let exports = vendor.of::<ExportLogsServiceRequest>("/vendor/v1/logs");
        let records =
            exports.iter().flat_map(|export| &export.resource_logs).flat_map(|group| &group.scope_logs);
        records.flat_map(|scope| &scope.log_records).any(|record| record.trace_id == id).then_some(())
    });
    let lines = get(&lab.console(&format!("/api/logs?traceId={}", order.trace_id()))).json;
    let created =
        lines["logs"].as_array().unwrap().iter().filter(|line| line["message"] == "Order created").count();
    assert_eq!(created, 1, "{lines}");
    let forward = get(&lab.console("/api/overview")).json["forward"].clone();
    assert_eq!(
        (&forward["traces"]["lost"], &forward["logs"]["dropped"]),
        (&json!(0), &json!(0)),
        "{forward}"
    );
    assert!(forward["to"].as_str().unwrap().starts_with("127.0.0.1:"), "{forward}");
}

#[test]
fn an_outage_of_the_vendor_costs_what_the_counters_say_and_nothing_on_the_console() {
    let (vendor, url) = Receiver::start();
    let mut console = Console::start(&[("CONSOLE_FORWARD", &url)]);
    let settled = |what: &str| -> Value {
        eventually(what, || {
            let forward = console.overview()["forward"]["traces"].clone();
            (forward["waiting"] == 0).then_some(forward)
        })
    };
    let post = |trace: u128, spans: u64| {
        let body = export(trace, spans).encode_to_vec();
        assert_eq!(
            send("POST", &console.otlp("/v1/traces"), &[("content-type", PROTOBUF)], Some(&body)).status,
            200
        );
    };
    post(1, 3);
    assert_eq!(settled("the first export")["forwarded"], 3);
    vendor.down.store(true, Ordering::Relaxed);
    for trace in 2..6 {
        post(trace, 5);
        assert_eq!(get(&console.page(&format!("/api/traces/{trace:032x}"))).status, 200);
    }
    let during = settled("what is sent on during the outage");
    assert_eq!(
        (&during["lost"], &during["failing"]),
        (&json!(20), &json!("the backend answered 503 Service Unavailable"))
    );
    vendor.down.store(false, Ordering::Relaxed);
    for trace in 6..9 {
        post(trace, 7);
    }
    let after = settled("what is sent on afterwards");
    assert_eq!((&after["forwarded"], &after["lost"], &after["dropped"]), (&json!(24), &json!(20), &json!(0)));
    assert_eq!((vendor.spans().len(), &after["failing"]), (24, &Value::Null));
    let kept = console.overview()["traces"]["kept"].clone();
    assert_eq!(kept, 44, "the console has them all");
    // The last ones leave before the end.
    post(9, 2);
    console.stop();
    assert_eq!(vendor.spans().len(), 26);
    let said = console.stderr();
    assert!(said.contains("spans are lost: the backend answered 503"), "{said}");
    assert!(!said.contains("/vendor"), "no path, which may hold a key: {said}");
}

#[test]
fn a_body_goes_on_as_it_came_with_the_headers_of_the_standard_variable() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let console =
        Console::start(&[("CONSOLE_FORWARD", &url), ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=s%20cret")]);
    let body =
        br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"hello"}}]}]}],"later":1}"#;
    let path = console.otlp("/v1/logs/");
    assert_eq!(send("POST", &path, &[("content-type", JSON)], Some(body)).status, 200);
    let (stream, _) = listener.accept().unwrap();
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).unwrap() > 0, "{head}");
    }
    let mut arrived = vec![0; body.len()];
    std::io::Read::read_exact(&mut reader, &mut arrived).unwrap();
    assert_eq!(arrived, body);
    let head = head.to_lowercase();
    assert!(head.starts_with("post /v1/logs http/1.1\r\n"), "{head}");
    assert!(
        head.contains("content-type: application/json\r\n") && head.contains("api-key: s cret\r\n"),
        "{head}"
    );
    reader.get_mut().write_all(response("200 OK", "", "{}").as_bytes()).unwrap();
    eventually("its count", || (console.overview()["forward"]["logs"]["forwarded"] == 1).then_some(()));
}

#[test]
fn a_console_that_would_send_to_itself_is_refused_as_up_is() {
    let base = free_port_base();
    let own = Ports::from_base(base);
    for (command, flag) in [("console", "--forward"), ("up", "--export")] {
        for url in [
            format!("http://127.0.0.1:{}", own.at(Endpoint::Otlp)),
            format!("http://localhost:{}/v1", own.at(Endpoint::Console)),
            format!("http://[::1]:{}", own.at(Endpoint::Otlp)),
        ] {
            let data = tempfile::tempdir().unwrap();
            let mut command = bin_in(command, base, data.path());
            let output = command.args([flag, &url]).output().expect("it starts");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(2), "{url}: {said}");
            assert!(said.contains("could only go in circles") && said.contains(flag), "{url}: {said}");
        }
    }
}

fn bin_in(command: &str, base: u16, data: &std::path::Path) -> std::process::Command {
    let mut bin = bin();
    bin.args([command, "--port-base", &base.to_string()]).env("DATA_DIR", data);
    bin
}

#[test]
fn a_receiver_that_is_no_url_ends_up_and_the_console_with_2() {
    for arguments in [["up", "--export", "collector:4318"], ["console", "--forward", "ftp://x"]] {
        let output = bin().args(arguments).output().expect("it starts");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("http://host:port"), "{arguments:?}");
        assert!(said.contains(arguments[2]), "what is no secret is shown: {said}");
    }
}
