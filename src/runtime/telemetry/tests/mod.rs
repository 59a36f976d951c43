#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub(super) mod collector;
mod logs;
mod mutual_tls;
mod process;
mod spans;

use std::io::Read;

use opentelemetry::trace::{Span, Tracer, TracerProvider};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message;

use super::traces::SCOPE;
use super::*;
use collector::{Behaviour, Collector};

const SECOND: Duration = Duration::from_secs(1);

fn text(value: impl ToString) -> Option<String> {
    Some(value.to_string())
}

fn to(port: u16) -> OtelConfig {
    OtelConfig {
        otel_exporter_otlp_endpoint: text(format!("http://127.0.0.1:{port}")),
        otel_bsp_schedule_delay: text(60_000),
        ..OtelConfig::default()
    }
}

/// As `start`, without what is global.
fn started(config: &OtelConfig) -> Telemetry {
    let settings = Settings::read("order-service", config);
    assert!(settings.notes.0.is_empty(), "{:?}", settings.notes);
    Telemetry::of(on_plain_thread(|| RunningExporters::build(&settings, config, None)).unwrap().unwrap())
}

fn end_spans(telemetry: &Telemetry, n: usize) {
    let tracer = tracer(telemetry.0.provider.as_ref().unwrap());
    (0..n).for_each(|i| tracer.start(format!("span {i}")).end());
}

/// Polls until it holds; fails after ten seconds.
async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + 10 * SECOND;
    while !holds() {
        assert!(Instant::now() < deadline, "{what} did not happen");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn kept() -> Behaviour {
    Behaviour::Answer(200, Vec::new())
}

#[tokio::test]
async fn a_flush_delivers_every_ended_span_with_the_resource_and_the_headers() {
    let collector = Collector::start(kept(), None);
    let config = OtelConfig {
        otel_exporter_otlp_headers: text("x-api-key=a%20b"),
        otel_resource_attributes: text("team=lab"),
        ..to(collector.port)
    };
    let telemetry = started(&config);
    end_spans(&telemetry, 3);
    assert!(telemetry.flush(10 * SECOND).await);
    let received = collector.received();
    let head = received[0].head.to_lowercase();
    assert!(head.starts_with("post /v1/traces http/1.1"), "{head}");
    assert!(
        head.contains("x-api-key: a b") && head.contains("content-type: application/x-protobuf"),
        "{head}"
    );
    let spans = &received[0].export().resource_spans[0];
    assert_eq!(spans.scope_spans[0].spans.len(), 3);
    assert_eq!(spans.scope_spans[0].scope.as_ref().unwrap().name, SCOPE);
    let keys: Vec<_> = spans.resource.as_ref().unwrap().attributes.iter().map(|a| a.key.clone()).collect();
    for key in ["service.name", "service.version", "service.instance.id", "host.name", "team", "process.pid"]
    {
        assert!(keys.iter().any(|k| k == key), "{key} in {keys:?}");
    }
    assert_eq!(
        (telemetry.0.pipelines[0].ledger.exported(), telemetry.0.pipelines[0].ledger.pending()),
        (3, 0)
    );
}

#[tokio::test]
async fn shutdown_delivers_what_is_left_in_batches_and_later_spans_are_counted() {
    let collector = Collector::start(kept(), None);
    let config = OtelConfig { otel_bsp_max_export_batch_size: text(4), ..to(collector.port) };
    let telemetry = started(&config);
    end_spans(&telemetry, 10);
    telemetry.shutdown(10 * SECOND).await;
    let sizes = |r: &collector::Received| r.export().resource_spans[0].scope_spans[0].spans.len();
    assert_eq!(collector.received().iter().map(sizes).sum::<usize>(), 10);
    assert!(collector.received().iter().all(|r| sizes(r) <= 4));
    telemetry.shutdown(SECOND).await;
    assert_eq!(telemetry.0.pipelines[0].ledger.dropped(), 0);
}

#[tokio::test]
async fn a_collector_that_hangs_costs_no_span_end_any_time_and_memory_stays_bounded() {
    let collector = Collector::start(Behaviour::Hang, None);
    let config = OtelConfig {
        otel_bsp_max_queue_size: text(8),
        otel_bsp_max_export_batch_size: text(4),
        otel_exporter_otlp_timeout: text(600_000),
        ..to(collector.port)
    };
    let telemetry = started(&config);
    let ledger = telemetry.0.pipelines[0].ledger.clone();
    end_spans(&telemetry, 4);
    eventually("the first batch", || collector.received().len() == 1).await;
    end_spans(&telemetry, 1000);
    assert_eq!((ledger.pending(), ledger.dropped()), (8, 996));
    assert!(!telemetry.flush(Duration::from_millis(50)).await);
    assert!(ledger.in_trouble());
    // Returning at all, while the export still hangs, is the proof.
    telemetry.shutdown(Duration::from_millis(50)).await;
    assert_eq!(ledger.pending(), 8);
    end_spans(&telemetry, 1);
    assert_eq!(ledger.pending(), 8);
}

#[tokio::test]
async fn a_collector_that_is_not_there_is_a_counted_failure_and_flushes_do_not_wait_for_it_again() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let telemetry = started(&OtelConfig { otel_exporter_otlp_timeout: text(500), ..to(port) });
    end_spans(&telemetry, 2);
    assert!(!telemetry.flush(10 * SECOND).await);
    let ledger = &telemetry.0.pipelines[0].ledger;
    assert_eq!((ledger.failures(), ledger.exported(), ledger.pending(), ledger.dropped()), (1, 0, 0, 0));
    end_spans(&telemetry, 2);
    assert!(!telemetry.flush(10 * SECOND).await);
    assert_eq!((ledger.failures(), ledger.pending()), (1, 2));
}

#[tokio::test]
async fn an_answer_of_500_is_a_counted_failure() {
    let collector = Collector::start(Behaviour::Answer(500, b"secret".to_vec()), None);
    let telemetry = started(&to(collector.port));
    end_spans(&telemetry, 2);
    assert!(!telemetry.flush(10 * SECOND).await);
    assert_eq!(
        (telemetry.0.pipelines[0].ledger.failures(), telemetry.0.pipelines[0].ledger.exported()),
        (1, 0)
    );
}

#[tokio::test]
async fn an_answer_of_503_is_tried_again_within_the_timeout() {
    let collector = Collector::start(Behaviour::Answer(503, Vec::new()), None);
    let telemetry = started(&to(collector.port));
    end_spans(&telemetry, 1);
    assert!(!telemetry.flush(10 * SECOND).await);
    assert!(collector.received().len() > 1);
    assert_eq!(telemetry.0.pipelines[0].ledger.failures(), 1);
}

#[tokio::test]
async fn spans_that_the_backend_rejects_are_not_counted_as_exported() {
    let partial = ExportTracePartialSuccess { rejected_spans: 2, error_message: "quota".into() };
    let body = ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec();
    let telemetry = started(&to(Collector::start(Behaviour::Answer(200, body), None).port));
    end_spans(&telemetry, 5);
    assert!(!telemetry.flush(10 * SECOND).await);
    assert_eq!(
        (telemetry.0.pipelines[0].ledger.exported(), telemetry.0.pipelines[0].ledger.failures()),
        (3, 1)
    );
}

#[tokio::test]
async fn an_answer_that_is_none_to_an_export_is_no_success_and_is_not_tried_again() {
    let page = b"<!DOCTYPE html><title>Welcome</title>".to_vec();
    let collector = Collector::start(Behaviour::Answer(200, page), None);
    let telemetry = started(&to(collector.port));
    end_spans(&telemetry, 5);
    assert!(!telemetry.flush(10 * SECOND).await);
    let ledger = &telemetry.0.pipelines[0].ledger;
    assert_eq!((ledger.exported(), ledger.failures(), collector.received().len()), (0, 1, 1));
}

#[cfg(feature = "grpc")]
#[test]
fn grpc_to_a_port_for_http_and_the_other_way_round_say_which_protocol_is_not_spoken_there() {
    install_crypto();
    let cause = |port: u16, protocol: &str| {
        let config = OtelConfig {
            otel_exporter_otlp_endpoint: Some(format!("http://127.0.0.1:{port}")),
            otel_exporter_otlp_protocol: text(protocol),
            otel_exporter_otlp_timeout: text("2000"),
            ..OtelConfig::default()
        };
        let export = Settings::read("order-service", &config).export.unwrap();
        otlp::Sender::new(Signal::Traces, &export).unwrap().send(b"x".to_vec()).unwrap_err()
    };
    let http = Collector::start(kept(), None);
    let said = cause(http.port, "grpc");
    assert!(said.contains("this is no gRPC") && said.contains("4318"), "{said}");
    // What a server of HTTP/2 says first: its settings.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = std::io::Read::read(&mut stream, &mut [0; 512]);
            let _ = std::io::Write::write_all(&mut stream, b"\0\0\0\x04\0\0\0\0\0");
        }
    });
    let said = cause(port, "http/protobuf");
    assert!(said.contains("this may be a port for gRPC"), "{said}");
}

#[tokio::test]
async fn bodies_are_compressed_where_the_setting_says_so() {
    let collector = Collector::start(kept(), None);
    let config = OtelConfig { otel_exporter_otlp_compression: text("gzip"), ..to(collector.port) };
    let telemetry = started(&config);
    end_spans(&telemetry, 1);
    assert!(telemetry.flush(10 * SECOND).await);
    let mut received = collector.received().remove(0);
    assert!(received.head.to_lowercase().contains("content-encoding: gzip"));
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(received.body.as_slice()).read_to_end(&mut plain).unwrap();
    received.body = plain;
    assert_eq!(received.export().resource_spans.len(), 1);
}

#[tokio::test]
async fn an_https_endpoint_with_its_own_authority_receives_spans_and_headers_and_others_are_not_trusted() {
    install_crypto();
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let tls = rustls::ServerConfig::builder().with_no_client_auth();
    let tls = tls.with_single_cert(vec![cert.der().clone()], key).unwrap();
    let collector = Collector::start(kept(), Some(Arc::new(tls)));
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str, pem: String| {
        std::fs::write(folder.path().join(name), pem).unwrap();
        text(folder.path().join(name).display())
    };
    let config = OtelConfig {
        otel_exporter_otlp_endpoint: text(format!("https://localhost:{}", collector.port)),
        otel_exporter_otlp_headers: text("authorization=Bearer%20token"),
        otel_exporter_otlp_certificate: path("ca.pem", cert.pem()),
        ..to(0)
    };
    let telemetry = started(&config);
    end_spans(&telemetry, 1);
    assert!(telemetry.flush(10 * SECOND).await);
    assert!(collector.received()[0].head.to_lowercase().contains("authorization: bearer token"));

    let stranger = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let config = OtelConfig {
        otel_exporter_otlp_certificate: path("other.pem", stranger.cert.pem()),
        otel_exporter_otlp_timeout: text(300),
        ..config
    };
    let telemetry = started(&config);
    end_spans(&telemetry, 1);
    assert!(!telemetry.flush(10 * SECOND).await);
    assert!(collector.connections() > 1);
    assert_eq!(collector.received().len(), 1);
}

#[tokio::test]
async fn without_an_exporter_spans_still_have_ids_and_nothing_waits() {
    let telemetry = started(&OtelConfig { otel_traces_exporter: text("none"), ..OtelConfig::default() });
    let span = tracer(telemetry.0.provider.as_ref().unwrap()).start("x");
    assert!(span.span_context().is_valid());
    drop(span);
    assert!(telemetry.flush(SECOND).await);
    telemetry.shutdown(SECOND).await;
}
