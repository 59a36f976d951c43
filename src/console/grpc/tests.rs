//! The receiver on its own port, with a client of HTTP/2 that can do what gRPC's own would not.
#![allow(clippy::unwrap_used)]

use std::io::Write as _;

use h2::client::SendRequest;
use http::{HeaderMap, Request, StatusCode};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;

use super::*;
use crate::console::body::MOST_SENT;
use crate::console::sample;
use crate::runtime::telemetry::{Signal, grpc};

/// A client on one connection to a receiver that ends idle ones after `idle`.
async fn connect(console: &web::Data<Console>, idle: Duration) -> SendRequest<Bytes> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let console = console.clone();
    actix_web::rt::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        converse(socket, &console, idle).await;
    });
    let socket = TcpStream::connect(address).await.unwrap();
    let (requests, connection) = h2::client::handshake(socket).await.unwrap();
    actix_web::rt::spawn(async move { drop(connection.await) });
    requests.ready().await.unwrap()
}

/// An answer's status code, gRPC's where it has one, the message beside it, and the body.
type GrpcAnswer = (u16, Option<u16>, String, Vec<u8>);

async fn send(
    requests: &mut SendRequest<Bytes>,
    request: http::request::Builder,
    body: Vec<u8>,
    ends: bool,
) -> GrpcAnswer {
    let (answer, mut stream) = requests.send_request(request.body(()).unwrap(), false).unwrap();
    let _ = stream.send_data(body.into(), ends);
    let (head, mut body) = answer.await.unwrap().into_parts();
    let mut read = Vec::new();
    while let Some(chunk) = body.data().await {
        read.extend_from_slice(&chunk.unwrap());
    }
    let trailers = body.trailers().await.unwrap().unwrap_or_default();
    let text = |name: &str| {
        let of = |map: &HeaderMap| map.get(name).map(|value| value.to_str().unwrap().to_owned());
        of(&trailers).or_else(|| of(&head.headers))
    };
    let code = text("grpc-status").map(|code| code.parse().unwrap());
    (head.status.as_u16(), code, text("grpc-message").unwrap_or_default(), read)
}

fn call(path: &str) -> http::request::Builder {
    Request::post(format!("http://localhost{path}")).header("content-type", "application/grpc")
}

fn spans(trace: u128) -> Vec<u8> {
    sample::export("a", vec![sample::span(trace, 1, 0)]).encode_to_vec()
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(body).unwrap();
    packer.finish().unwrap()
}

const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

#[actix_web::test]
async fn exports_of_every_signal_are_taken_plain_and_packed_and_answered_with_ok() {
    let console = sample::console();
    let mut client = connect(&console, IDLE).await;
    for (trace, body, coding) in
        [(1, grpc::framed(&spans(1), false), ""), (2, grpc::framed(&gzip(&spans(2)), true), "gzip")]
    {
        let request = call(TRACES).header("grpc-encoding", coding).header("grpc-timeout", "5S");
        let (status, code, said, answer) = send(&mut client, request, body, true).await;
        assert_eq!((status, code, &*answer), (200, Some(0), &b"\0\0\0\0\0"[..]), "{said}");
        assert!(console.trace(trace).is_some());
    }
    for signal in Signal::ALL {
        let request = call(grpc::path(signal));
        let (_, code, said, _) = send(&mut client, request, grpc::framed(b"", false), true).await;
        assert_eq!(code, Some(0), "{signal:?}: {said}");
    }
}

#[actix_web::test]
async fn spans_that_cannot_be_kept_are_named_beside_ok() {
    let console = sample::console();
    let mut client = connect(&console, IDLE).await;
    let mut nameless = sample::span(0, 1, 0);
    nameless.trace_id = vec![0; 16];
    let export = sample::export("a", vec![nameless, sample::span(1, 1, 0)]).encode_to_vec();
    let (_, code, _, answer) = send(&mut client, call(TRACES), grpc::framed(&export, false), true).await;
    let partial =
        ExportTraceServiceResponse::decode(&answer[grpc::FRAME..]).unwrap().partial_success.unwrap();
    assert_eq!((code, partial.rejected_spans), (Some(0), 1));
    assert!(partial.error_message.contains("trace id"), "{partial:?}");
}

#[actix_web::test]
async fn what_is_refused_is_answered_with_grpcs_own_code_and_a_message() {
    let console = sample::console();
    let mut client = connect(&console, IDLE).await;
    let good = || grpc::framed(&spans(1), false);
    let mut large = grpc::framed(b"", false);
    large[1..5].copy_from_slice(&u32::try_from(MOST_SENT + 1).unwrap().to_be_bytes());
    let mut strange = good();
    strange[0] = 2;
    let cut = good()[..20].to_vec();
    let with = |name: &str, value: &str| call(TRACES).header(name, value);
    for (request, body, code, says) in [
        (call("/opentelemetry.proto.collector.trace.v1.TraceService/Other"), good(), 12, "no other method"),
        (with("origin", "https://evil.example"), good(), 7, "web pages"),
        (with("grpc-timeout", "soon"), good(), 13, "grpc-timeout"),
        (call(TRACES), large, 8, "8 MiB"),
        (call(TRACES), strange, 13, "frame"),
        (call(TRACES), cut, 3, "whole"),
        (call(TRACES), Vec::new(), 12, "no message"),
        (call(TRACES), [good(), good()].concat(), 12, "more than one"),
        (call(TRACES), grpc::framed(b"\xff", false), 3, "cannot decode"),
        (call(TRACES), grpc::framed(&gzip(&spans(1)), true), 13, "grpc-encoding"),
        (with("grpc-encoding", "br"), grpc::framed(&spans(1), true), 12, "gzip"),
        (with("grpc-encoding", "gzip"), grpc::framed(&spans(1), true), 3, "Content-Encoding"),
        (with("grpc-encoding", "gzip"), grpc::framed(&gzip(&vec![0; 17 << 20]), true), 8, "unpacked"),
    ] {
        let (status, found, said, answer) = send(&mut client, request, body, true).await;
        assert_eq!((status, found, answer.len()), (200, Some(code), 0), "{says}: {said}");
        assert!(said.contains(says), "{says}: {said}");
    }
    assert_eq!(console.traces().len(), 0);
}

#[actix_web::test]
async fn what_is_no_grpc_is_refused_as_http_has_it() {
    let mut client = connect(&sample::console(), IDLE).await;
    let url = format!("http://localhost{TRACES}");
    for (request, expected) in [
        (
            Request::post(&url).header("content-type", "application/x-protobuf"),
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ),
        (
            Request::post(&url).header("content-type", "application/grpc+json"),
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ),
        (Request::get(&url).header("content-type", "application/grpc"), StatusCode::METHOD_NOT_ALLOWED),
    ] {
        let (status, code, ..) = send(&mut client, request, Vec::new(), true).await;
        assert_eq!((status, code), (expected.as_u16(), None));
    }
}

#[actix_web::test]
async fn an_export_that_does_not_come_in_time_is_told_so_and_holds_nothing() {
    let mut client = connect(&sample::console(), IDLE).await;
    let request = call(TRACES).header("grpc-timeout", "20m");
    let half = grpc::framed(&spans(1), false)[..20].to_vec();
    let (_, code, said, _) = send(&mut client, request, half, false).await;
    assert_eq!(code, Some(4), "{said}");
}

#[actix_web::test]
async fn a_message_larger_than_the_window_arrives_whole() {
    let console = sample::console();
    let mut client = connect(&console, IDLE).await;
    let mut span = sample::span(5, 1, 0);
    span.name = "x".repeat(3 * WINDOW as usize / 2);
    let export = sample::export("a", vec![span]).encode_to_vec();
    let (_, code, said, _) = send(&mut client, call(TRACES), grpc::framed(&export, false), true).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(console.trace(5).is_some());
}

#[actix_web::test]
async fn a_connection_that_is_idle_for_too_long_is_told_to_end() {
    let client = connect(&sample::console(), Duration::from_millis(20)).await;
    let ended = async {
        // Ready means open.
        while client.clone().ready().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(10), ended).await.unwrap();
}
