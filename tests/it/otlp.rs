//! The console's OTLP receiver as clients of any make meet it, and as nobody should treat it.

use std::io::Write;

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use serde_json::Value;

use crate::helpers::http::try_send;
use crate::helpers::{Answer, Process, bin, eventually, free_port_base, get, send};

pub const PROTOBUF: &str = "application/x-protobuf";
pub const JSON: &str = "application/json";

/// A console by itself.
pub struct Console {
    process: Process,
    pub base: u16,
}

impl Console {
    pub fn start(env: &[(&str, &str)]) -> Self {
        let base = free_port_base();
        let mut command = bin();
        command.args(["console", "--port-base", &base.to_string()]).envs(env.iter().copied());
        let console = Self { process: Process::spawn(command), base };
        eventually("the console serves", || try_send("GET", &console.page("/health"), &[], None));
        console
    }

    pub fn page(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.base + 5)
    }

    /// A URL of the receiver.
    pub fn otlp(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.base + 6)
    }

    /// The URL of the receiver for gRPC.
    pub fn grpc(&self) -> String {
        format!("http://127.0.0.1:{}", self.base + 9)
    }

    fn send(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        send("POST", &self.otlp(path), headers, Some(body))
    }

    fn status(&self, trace: u128) -> u16 {
        get(&self.page(&format!("/api/traces/{trace:032x}"))).status
    }

    pub fn overview(&self) -> Value {
        get(&self.page("/api/overview")).json
    }

    /// Ends it and waits for that.
    pub fn stop(&mut self) {
        assert!(self.process.stop().success());
    }

    /// What it has said so far.
    pub fn stderr(&self) -> String {
        self.process.stderr()
    }

    /// The most memory it has had since it started, in MiB.
    pub fn peak_mib(&self) -> u64 {
        let path = format!("/proc/{}/status", self.process.pid());
        let text = std::fs::read_to_string(path).expect("a process of ours");
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") / 1024
    }
}

/// An export as a client in another language would make it: `spans` spans of one trace.
pub fn export(trace: u128, spans: u64) -> ExportTraceServiceRequest {
    let name = AnyValue { value: Some(Any::StringValue("a foreign service".into())) };
    let pair = KeyValue { key: "service.name".into(), value: Some(name), ..KeyValue::default() };
    let resource = Some(Resource { attributes: vec![pair], ..Resource::default() });
    let span = |id: u64| Span {
        trace_id: trace.to_be_bytes().to_vec(),
        span_id: id.to_be_bytes().to_vec(),
        name: format!("span {id}"),
        start_time_unix_nano: 1_700_000_000_000_000_000 + u64::try_from(trace).unwrap_or(0),
        end_time_unix_nano: 1_700_000_001_000_000_000,
        ..Span::default()
    };
    let scope_spans = vec![ScopeSpans { spans: (1..=spans).map(span).collect(), ..ScopeSpans::default() }];
    let group = ResourceSpans { resource, scope_spans, ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![group] }
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(body).expect("memory");
    packer.finish().expect("memory")
}

#[test]
fn exports_of_foreign_clients_are_taken_in_both_encodings_plain_and_packed() {
    let console = Console::start(&[]);
    for (trace, kind, packed) in [
        (1, PROTOBUF, false),
        (2, PROTOBUF, true),
        (3, JSON, false),
        (4, JSON, true),
        (5, "application/json; charset=utf-8", false),
    ] {
        let export = export(trace, 2);
        let body = if kind == PROTOBUF {
            export.encode_to_vec()
        } else {
            serde_json::to_vec(&export).expect("JSON")
        };
        let (coding, body) = if packed { ("gzip", gzip(&body)) } else { ("identity", body) };
        let answer =
            console.send("/v1/traces", &[("content-type", kind), ("content-encoding", coding)], &body);
        assert_eq!(answer.status, 200, "{kind} {coding}: {answer:?}");
        assert_eq!(answer.header("content-type"), kind.split(';').next().unwrap_or_default());
        if kind == PROTOBUF {
            ExportTraceServiceResponse::decode(answer.text.as_bytes()).expect("an answer in kind");
        }
        assert_eq!(console.status(trace), 200, "{kind} {coding}");
    }
    assert_eq!(get(&console.page("/api/services")).json["data"][0], "a foreign service");
}

/// Headers and body of an export, and the status it is answered with.
type Case<'a> = (&'a [(&'a str, &'a str)], &'a [u8], u16);

#[test]
fn garbage_is_refused_with_a_4xx_and_the_console_lives_on() {
    let mut console = Console::start(&[]);
    let good = export(1, 1).encode_to_vec();
    let mut truncated = gzip(&good);
    truncated.truncate(truncated.len() - 9);
    let noise: Vec<u8> = (0..4_096_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let deep = vec![0x0a_u8; 200_000];
    let brackets = "[".repeat(500_000).into_bytes();
    let origin = ("origin", "https://evil.example");
    let cases: &[Case<'_>] = &[
        (&[("content-type", PROTOBUF)], &noise, 400),
        (&[("content-type", PROTOBUF)], &deep, 400),
        (&[("content-type", PROTOBUF)], &good[..good.len() - 1], 400),
        (&[("content-type", PROTOBUF), ("content-encoding", "gzip")], &noise, 400),
        (&[("content-type", PROTOBUF), ("content-encoding", "gzip")], &truncated, 400),
        (&[("content-type", PROTOBUF), ("content-encoding", "zstd")], &good, 415),
        (&[("content-type", JSON)], &noise, 400),
        (&[("content-type", JSON)], &brackets, 400),
        (&[("content-type", JSON)], b"[]", 400),
        (&[("content-type", "text/plain")], b"{}", 415),
        (&[], b"{}", 415),
        (&[("content-type", JSON), origin], b"{}", 403),
        (&[("content-type", "text/plain"), origin], b"{}", 403),
    ];
    for path in ["/v1/traces", "/v1/logs"] {
        for (headers, body, expected) in cases {
            let answer = console.send(path, headers, body);
            assert_eq!(answer.status, *expected, "{path} {headers:?}: {answer:?}");
            assert!(!answer.headers.contains_key("access-control-allow-origin"));
        }
    }
    assert_eq!(console.send("/v1/profiles", &[("content-type", JSON)], b"{}").status, 404);
    assert_eq!(console.status(1), 404, "nothing of it was kept");
    assert_eq!(console.send("/v1/traces", &[("content-type", PROTOBUF)], &good).status, 200);
    assert_eq!(console.status(1), 200);
    assert!(console.process.stop().success());
    assert!(!console.process.stderr().contains("panicked"), "{}", console.process.stderr());
}

/// One field of a protobuf message that holds bytes or a message.
fn nested(tag: u32, inner: &Vec<u8>) -> Vec<u8> {
    let mut outer = Vec::new();
    prost::encoding::bytes::encode(tag, inner, &mut outer);
    outer
}

#[test]
fn an_export_of_millions_of_empty_parts_does_not_cost_their_memory() {
    let console = Console::start(&[]);
    let millions = 7 << 20;
    let spans = nested(1, &[0x12, 0].repeat(millions));
    let scoped = nested(1, &nested(2, &[0x12, 0].repeat(millions)));
    let attributes = nested(1, &nested(2, &nested(2, &[0x4a, 0].repeat(millions))));
    let json =
        format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{}{{}}]}}]}}]}}"#, "{},".repeat(5 << 20));
    // The same spans with lists where messages belong, which a lenient decoder takes as well.
    let listed = format!(r#"{{"resourceSpans":[[null,[[null,[{}{{}}]]]]]}}"#, "{},".repeat(5 << 20));
    let headers = [("content-type", JSON), ("content-encoding", "gzip")];
    assert_eq!(console.send("/v1/traces", &headers, &gzip(listed.as_bytes())).status, 400);
    for (kind, body) in
        [(PROTOBUF, spans), (PROTOBUF, scoped), (PROTOBUF, attributes), (JSON, json.into_bytes())]
    {
        let headers = [("content-type", kind), ("content-encoding", "gzip")];
        let answer = console.send("/v1/traces", &headers, &gzip(&body));
        assert_eq!(answer.status, 413, "{answer:?}");
    }
    // 15 MB of two-byte spans are two gigabytes once decoded.
    assert!(console.peak_mib() < 256, "{} MiB", console.peak_mib());
}

#[test]
fn a_flood_pushes_out_the_oldest_traces_and_is_counted() {
    let console = Console::start(&[("CONSOLE_MAX_SPANS", "200"), ("CONSOLE_MAX_MEMORY_MIB", "4")]);
    let headers = [("content-type", PROTOBUF)];
    for trace in 1..=60 {
        assert_eq!(console.send("/v1/traces", &headers, &export(trace, 50).encode_to_vec()).status, 200);
    }
    assert_eq!((console.status(1), console.status(56), console.status(60)), (404, 404, 200));
    let traces = &console.overview()["traces"];
    assert_eq!((&traces["received"], &traces["rejected"]), (&3_000.into(), &0.into()));
    assert_eq!((&traces["kept"], &traces["keptTraces"]), (&200.into(), &4.into()));
    assert_eq!((&traces["evicted"], &traces["evictedTraces"]), (&2_800.into(), &56.into()));

    // Large ones hit the other bound: bytes.
    let mut large = export(61, 50);
    for span in &mut large.resource_spans[0].scope_spans[0].spans {
        span.name = "x".repeat(100_000);
    }
    let answer = console.send("/v1/traces", &headers, &large.encode_to_vec());
    assert_eq!(answer.status, 200);
    let overview = console.overview();
    let bytes = overview["traces"]["bytes"].as_u64().expect("a number");
    assert!(bytes <= 3 << 20, "{overview}");
    assert!(overview["traces"]["rejected"].as_u64().is_some_and(|rejected| rejected > 0), "{overview}");
}
