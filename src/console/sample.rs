//! Telemetry by hand, for the tests of this module.
#![allow(clippy::expect_used)]

use std::sync::Arc;
use std::time::Duration;

use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::{App, web};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value::StringValue;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;

use super::export::{OtlpExport, TRACES};
use super::origin::{Origin, SchemaUrls};
use super::page;
use super::state::Console;
use crate::config::{ConsoleConfig, ForwardConfig, KeepRules, PortBase, RetainConfig};
use crate::runtime::Shutdown;

/// When the sample spans start, in nanoseconds.
pub(super) const START: u64 = 1_700_000_000_000_000_000;

pub(super) fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(StringValue(value.into())) });
    KeyValue { key: key.into(), value, ..KeyValue::default() }
}

/// A SERVER span that starts `id` milliseconds after [`START`] and takes 10 ms.
pub(super) fn span(trace: u128, id: u64, parent: u64) -> Span {
    let parent_span_id = if parent == 0 { Vec::new() } else { parent.to_be_bytes().to_vec() };
    let start = START + id * 1_000_000;
    Span {
        trace_id: trace.to_be_bytes().to_vec(),
        span_id: id.to_be_bytes().to_vec(),
        parent_span_id,
        name: format!("span {id}"),
        kind: 2,
        start_time_unix_nano: start,
        end_time_unix_nano: start + 10_000_000,
        ..Span::default()
    }
}

/// The same between two times, in milliseconds after [`START`].
pub(super) fn timed(id: u64, parent: u64, from: u64, to: u64) -> Span {
    let (from, to) = (START + from * 1_000_000, START + to * 1_000_000);
    Span { start_time_unix_nano: from, end_time_unix_nano: to, ..span(1, id, parent) }
}

pub(super) fn resource(service: &str) -> Resource {
    Resource { attributes: vec![text("service.name", service)], ..Resource::default() }
}

pub(super) fn origin(service: &str) -> Arc<Origin> {
    Arc::new(Origin::new(Arc::new(resource(service)), InstrumentationScope::default(), SchemaUrls::default()))
}

pub(super) fn export(service: &str, spans: Vec<Span>) -> ExportTraceServiceRequest {
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let group = ResourceSpans { resource: Some(resource(service)), scope_spans, ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![group] }
}

/// The same as it comes in.
pub(super) fn received(export: &ExportTraceServiceRequest) -> OtlpExport {
    OtlpExport::read(&TRACES, export.encode_to_vec().into(), false).expect("an export")
}

pub(super) fn console() -> web::Data<Console> {
    console_of(8)
}

/// One that may take so many MiB.
pub(super) fn console_of(max_memory_mib: usize) -> web::Data<Console> {
    of(ConsoleConfig { max_memory_mib, ..config() })
}

/// One that keeps a part of the traces.
pub(super) fn console_that_keeps(rules: KeepRules) -> web::Data<Console> {
    of(ConsoleConfig { keep: Some(rules), ..config() })
}

fn of(config: ConsoleConfig) -> web::Data<Console> {
    web::Data::new(Console::new(&config, None).expect("nothing is sent on"))
}

fn config() -> ConsoleConfig {
    ConsoleConfig {
        allowed_hosts: vec!["lab.example".to_owned()],
        ports: PortBase { port_base: 7000 },
        host: "127.0.0.1".parse().expect("an address"),
        otlp_port: None,
        otlp_grpc_port: None,
        max_spans: 1_000,
        max_logs: 1_000,
        max_memory_mib: 8,
        scrape_interval: Duration::from_secs(5),
        forward: ForwardConfig::default(),
        keep: None,
        prometheus: None,
        retain: RetainConfig { retain: None, retain_mib: 1, retain_age: Duration::from_secs(60) },
    }
}

/// What the page's port answered.
pub(super) struct SampleAnswer {
    pub(super) status: u16,
    pub(super) json: serde_json::Value,
}

/// Asks a console on whose ports there is no lab.
async fn ask(console: &web::Data<Console>, request: TestRequest, headers: &[(&str, &str)]) -> SampleAnswer {
    let shutdown = web::Data::new(Shutdown::new(Duration::ZERO));
    let app = App::new().app_data(console.clone()).app_data(shutdown).configure(page::routes);
    let app = init_service(app).await;
    let mut request = request.insert_header(("host", "localhost:7005"));
    for header in headers {
        request = request.insert_header(*header);
    }
    let response = call_service(&app, request.to_request()).await;
    let status = response.status().as_u16();
    SampleAnswer { status, json: serde_json::from_slice(&read_body(response).await).unwrap_or_default() }
}

pub(super) async fn get(console: &web::Data<Console>, path: &str) -> SampleAnswer {
    ask(console, TestRequest::get().uri(path), &[]).await
}

pub(super) async fn post(
    console: &web::Data<Console>,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> SampleAnswer {
    ask(console, TestRequest::post().uri(path).set_payload(body.to_owned()), headers).await
}

/// The token that the page reads.
pub(super) async fn token(console: &web::Data<Console>) -> String {
    get(console, "/api/token").await.json["token"].as_str().expect("a token").to_owned()
}
