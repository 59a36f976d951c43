//! Exports as clients send them, against the receiver's own routes.
#![allow(clippy::unwrap_used)]

use std::io::Write;

use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::{App, web};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;

use super::*;
use crate::console::body::{MOST_SENT, MOST_UNPACKED};
use crate::console::sample;

const JSON: &str = "application/json";

async fn post(
    console: &web::Data<Console>,
    path: &str,
    kind: &str,
    coding: &str,
    body: Vec<u8>,
) -> (u16, web::Bytes) {
    let app = init_service(App::new().app_data(console.clone()).configure(routes)).await;
    let mut request = TestRequest::post().uri(path).insert_header(("content-type", kind)).set_payload(body);
    if !coding.is_empty() {
        request = request.insert_header(("content-encoding", coding));
    }
    let response = call_service(&app, request.to_request()).await;
    (response.status().as_u16(), read_body(response).await)
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(body).unwrap();
    packer.finish().unwrap()
}

fn zlib(body: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(body).unwrap();
    packer.finish().unwrap()
}

fn header<'a, B>(answer: &'a ServiceResponse<B>, name: &str) -> &'a str {
    answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// As the OTLP specification's example: hex ids, camel case, numbers as strings or numbers, fields
/// nobody knows.
fn example() -> Vec<u8> {
    json!({"resourceSpans": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "my.service"}}]},
        "scopeSpans": [{
            "scope": {"name": "my.library", "version": "1.0.0"},
            "spans": [{
                "traceId": "5B8EFFF798038103D269B633813FC60C", "spanId": "EEE19B7EC3C1B174",
                "parentSpanId": "", "name": "I'm a server span", "kind": 2, "later": {"unknown": 1},
                "startTimeUnixNano": "1544712660000000000", "endTimeUnixNano": 1544712661000000000u64,
                "attributes": [
                    {"key": "text", "value": {"stringValue": "some value"}},
                    {"key": "number", "value": {"intValue": "42"}},
                    {"key": "list", "value": {"arrayValue": {"values": [{"boolValue": true}, {}]}}},
                    {"key": "nothing"}
                ],
                "events": [{"name": "e", "timeUnixNano": "1544712660500000000"}],
                "status": {"code": 2, "message": "bad"}
            }]
        }]
    }]})
    .to_string()
    .into_bytes()
}

#[actix_web::test]
async fn both_encodings_are_taken_plain_and_packed_and_answered_in_kind() {
    let protobuf = sample::export("a", vec![sample::span(9, 1, 0)]).encode_to_vec();
    for (kind, body, id) in [
        (PROTOBUF, protobuf, 9),
        ("application/json; charset=utf-8", example(), 0x5b8efff798038103d269b633813fc60c),
    ] {
        for (coding, sent) in [("", body.clone()), ("identity", body.clone()), ("gzip", gzip(&body))] {
            let console = sample::console();
            let (status, answer) = post(&console, "/v1/traces", kind, coding, sent).await;
            assert_eq!(status, 200, "{kind} {coding} {answer:?}");
            assert!(console.traces().get(id).is_some(), "{kind} {coding}");
            if kind == PROTOBUF {
                ExportTraceServiceResponse::decode(answer).unwrap();
            } else {
                serde_json::from_slice::<ExportTraceServiceResponse>(&answer).unwrap();
            }
        }
    }
}

#[actix_web::test]
async fn deflate_is_taken_in_both_of_its_forms_and_what_is_not_says_what_is() {
    let raw = |body: &[u8]| {
        let mut packer = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(body).unwrap();
        packer.finish().unwrap()
    };
    let body = sample::export("a", vec![sample::span(9, 1, 0)]).encode_to_vec();
    for (coding, sent) in [("deflate", zlib(&body)), ("Deflate", raw(&body)), ("x-gzip", gzip(&body))] {
        let console = sample::console();
        let (status, answer) = post(&console, "/v1/traces", PROTOBUF, coding, sent).await;
        assert_eq!((status, console.traces().len()), (200, 1), "{coding} {answer:?}");
    }
    let app = init_service(App::new().app_data(sample::console()).configure(routes)).await;
    let request = TestRequest::post().uri("/v1/logs").insert_header(("content-encoding", "br"));
    let answer = call_service(&app, request.insert_header(("content-type", JSON)).to_request()).await;
    assert_eq!((answer.status().as_u16(), header(&answer, "accept-encoding")), (415, "gzip, deflate"));
}

#[actix_web::test]
async fn each_path_may_end_in_a_slash_and_another_method_is_told_which_one_is_allowed() {
    let console = sample::console();
    for path in ["/v1/traces", "/v1/logs", "/v1/metrics"] {
        let (status, answer) = post(&console, &format!("{path}/"), JSON, "", b"{}".to_vec()).await;
        assert_eq!((status, &answer[..]), (200, &b"{\"partialSuccess\":null}"[..]), "{path}/");
        let app = init_service(App::new().app_data(console.clone()).configure(routes)).await;
        for slash in ["", "/"] {
            let request = TestRequest::get().uri(&format!("{path}{slash}")).to_request();
            let answer = call_service(&app, request).await;
            assert_eq!((answer.status().as_u16(), header(&answer, "allow")), (405, "POST"), "{path}{slash}");
        }
    }
}

#[actix_web::test]
async fn each_span_and_record_is_refused_for_its_own_reason_and_its_neighbours_are_kept() {
    let console = sample::console();
    let mut spans = vec![sample::span(1, 2, 0); 4];
    spans[1].trace_id = vec![1];
    spans[2].name = "\u{1f600}".into();
    (spans[3].start_time_unix_nano, spans[3].end_time_unix_nano) = (0, 0);
    let mut protobuf = sample::export("a", spans.clone()).encode_to_vec();
    // The same length, and no UTF-8.
    let name = protobuf.windows(4).position(|part| part == "\u{1f600}".as_bytes()).unwrap();
    protobuf[name] = 0xff;
    let mut json = serde_json::to_value(sample::export("a", spans)).unwrap();
    json["resourceSpans"][0]["scopeSpans"][0]["spans"][2]["name"] = json!([]);
    for (kind, body, unread) in [
        (PROTOBUF, protobuf, "Span.name: invalid string value: data is not UTF-8 encoded"),
        (JSON, json.to_string().into_bytes(), "1: name: [] is not a text"),
    ] {
        let (status, answer) = post(&console, "/v1/traces", kind, "", body).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        for why in [unread, "1: a trace id must be 16 bytes", "1: a span must have a start or an end"] {
            assert!(status == 200 && answer.contains(why), "{why} in {answer}");
        }
    }
    let stats = console.traces().stats;
    assert_eq!((stats.spans, stats.received, stats.rejected), (1, 8, 6));
    let records = json!([{"body": {"stringValue": "kept"}}, {"severityNumber": []}, {"body": {"stringValue": "x".repeat(70_000)}}]);
    let body = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}).to_string();
    let (_, answer) = post(&console, "/v1/logs", JSON, "", body.into_bytes()).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(answer.contains("1: severityNumber: [] is not a whole number"), "{answer}");
    assert!(answer.contains("1: a log record must not exceed 64 KiB"), "{answer}");
    let logs = console.logs();
    assert_eq!((logs.len(), logs.received, logs.rejected), (1, 3, 2));
}

#[actix_web::test]
async fn bodies_that_are_no_export_are_refused_with_a_reason_and_nothing_is_kept() {
    let console = sample::console();
    let bomb = gzip(&vec![b' '; MOST_UNPACKED + 2]);
    let deep = format!("{}{}", r#"{"resourceSpans":"#, "[".repeat(100_000)).into_bytes();
    let cases = [
        (JSON, "", b"{".to_vec(), 400),
        (JSON, "", br#"{"resourceSpans":[{"scopeSpans":7}]}"#.to_vec(), 400),
        (JSON, "", deep, 400),
        (PROTOBUF, "", vec![0xff; 40], 400),
        (PROTOBUF, "gzip", b"not gzip".to_vec(), 400),
        (JSON, "br", example(), 415),
        ("text/plain", "", example(), 415),
        (JSON, "", vec![b' '; MOST_SENT + 1], 413),
        (JSON, "gzip", bomb, 413),
    ];
    for (kind, coding, body, expected) in cases {
        let (status, answer) = post(&console, "/v1/traces", kind, coding, body).await;
        assert_eq!(status, expected, "{kind} {coding}");
        assert!(answer.len() > 10, "a reason is given");
    }
    assert_eq!(console.traces().len(), 0);
}

#[actix_web::test]
async fn spans_without_ids_are_reported_as_rejected_in_both_encodings() {
    let console = sample::console();
    let mut bad = sample::span(1, 1, 0);
    bad.span_id = vec![0; 8];
    let export = sample::export("a", vec![bad, sample::span(1, 2, 0)]);
    let json = serde_json::to_vec(&export).unwrap();
    let (_, answer) = post(&console, "/v1/traces", JSON, "", json).await;
    let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!(answer["partialSuccess"]["rejectedSpans"], "1");
    let (_, answer) = post(&console, "/v1/traces", PROTOBUF, "", export.encode_to_vec()).await;
    let answer = ExportTraceServiceResponse::decode(answer).unwrap();
    assert_eq!(answer.partial_success.unwrap().rejected_spans, 1);
    let stats = console.traces().stats;
    assert_eq!((stats.spans, stats.rejected), (1, 2));
}

#[actix_web::test]
async fn a_span_that_cannot_be_read_costs_only_itself() {
    let console = sample::console();
    let mut export = serde_json::to_value(sample::export("a", vec![sample::span(1, 2, 0)])).unwrap();
    let spans = export["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array_mut().unwrap();
    spans.push(json!({"traceId": "xyz", "spanId": "1", "name": 7}));
    let (status, answer) = post(&console, "/v1/traces", JSON, "", export.to_string().into_bytes()).await;
    let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!((status, &answer["partialSuccess"]["rejectedSpans"]), (200, &json!("1")), "{answer}");
    assert_eq!(console.traces().stats.spans, 1);
}

#[actix_web::test]
async fn a_small_body_that_would_decode_to_very_much_is_refused_before_it_is() {
    let console = sample::console();
    // Field 1 in field 2 of field 1: a group, a scope, and then nothing but empty spans.
    let spans = [0x12, 0].repeat(2 << 20);
    let nested = |tag: u32, inner: &[u8]| {
        let mut outer = Vec::new();
        prost::encoding::bytes::encode(tag, &inner.to_vec(), &mut outer);
        outer
    };
    let protobuf = nested(1, &nested(2, &spans));
    let json =
        format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{}{{}}]}}]}}]}}"#, "{},".repeat(2 << 20));
    for (kind, coding, body) in
        [(PROTOBUF, "", protobuf.clone()), (PROTOBUF, "gzip", gzip(&protobuf)), (JSON, "", json.into_bytes())]
    {
        let (status, _) = post(&console, "/v1/traces", kind, coding, body).await;
        assert_eq!(status, 413, "{kind} {coding}");
    }
    assert_eq!(console.traces().stats.received, 0);
}

#[actix_web::test]
async fn a_page_in_a_browser_is_refused_whatever_it_sends() {
    let console = sample::console();
    let app = init_service(App::new().app_data(console.clone()).configure(routes)).await;
    for (method, origin) in
        [("POST", "https://evil.example"), ("POST", "null"), ("OPTIONS", "http://localhost:3005")]
    {
        let request = TestRequest::with_uri("/v1/traces")
            .method(method.parse().unwrap())
            .insert_header(("content-type", JSON))
            .insert_header(("origin", origin))
            .set_payload(example());
        assert_eq!(call_service(&app, request.to_request()).await.status(), 403, "{method} {origin}");
    }
    assert_eq!(console.traces().len(), 0);
}

#[actix_web::test]
async fn log_records_are_kept_as_lines_and_metrics_are_answered_and_dropped() {
    let console = sample::console();
    let body =
        json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {"stringValue": "hello"}}]}]}]});
    let (status, _) = post(&console, "/v1/logs", JSON, "", body.to_string().into_bytes()).await;
    assert_eq!((status, console.logs().len()), (200, 1));
    let (status, _) = post(&console, "/v1/metrics", PROTOBUF, "", Vec::new()).await;
    assert_eq!(status, 200);
}
