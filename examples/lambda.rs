//! A function on AWS Lambda with its spans, to copy: it continues the caller's trace, and every span is exported before
//! the answer, because after the answer the process is frozen and perhaps never wakes.
//!
//!     cargo lambda watch --example lambda        (https://www.cargo-lambda.info)
//!
//! The lab does it in full: [the function on Lambda](../src/roles/lambda/on_aws.rs), [its handler](../src/roles/lambda/handler.rs),
//! [events of every source](../src/roles/lambda/event.rs), [being told of the end](../src/roles/lambda/extension.rs), and what
//! [the page](../docs/lambda.md) says of X-Ray and of who calls it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use opentelemetry::global;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use serde_json::{Value, json};
use tracing::{Instrument, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{EnvFilter, prelude::*};

/// Longest time that a dead collector may hold up an answer: each caller pays for it.
const FLUSH: Duration = Duration::from_secs(1);

/// The headers of an event of API Gateway or a function URL, their names in small letters.
fn headers(event: &Value) -> HashMap<String, String> {
    let all = event["headers"].as_object().into_iter().flatten();
    all.filter_map(|(name, value)| Some((name.to_lowercase(), value.as_str()?.to_owned()))).collect()
}

/// SERVER span of one invocation, by the FaaS conventions.
fn span(event: &LambdaEvent<Value>) -> Span {
    static WARM: AtomicBool = AtomicBool::new(false);
    let span = tracing::info_span!(
        parent: None,
        "invoke",
        otel.name = event.context.env_config.function_name,
        otel.kind = "server",
        faas.trigger = if event.payload["requestContext"]["http"].is_object() { "http" } else { "other" },
        faas.invocation_id = event.context.request_id,
        faas.coldstart = !WARM.swap(true, Ordering::Relaxed),
        aws.lambda.invoked_arn = event.context.invoked_function_arn,
    );
    let caller = global::get_text_map_propagator(|text| text.extract(&headers(&event.payload)));
    let _ = span.set_parent(caller);
    span
}

/// What the function is for.
async fn handle(event: Value) -> Result<Value, Error> {
    let order: Value = serde_json::from_str(event["body"].as_str().unwrap_or_default()).unwrap_or_default();
    let valid = order["total"].as_f64().is_some_and(|total| total > 0.0);
    tracing::info!(valid, "Validated");
    Ok(json!({"statusCode": if valid { 200 } else { 400 }, "body": json!({"valid": valid}).to_string()}))
}

/// An invocation: its span ends before the flush, and the flush before the answer.
async fn invoke(event: LambdaEvent<Value>, traces: SdkTracerProvider) -> Result<Value, Error> {
    let span = span(&event);
    let answer = handle(event.payload).instrument(span.clone()).await;
    drop(span);
    // It blocks: not on the thread that has to answer in time.
    let flushed = tokio::task::spawn_blocking(move || traces.force_flush());
    if !matches!(tokio::time::timeout(FLUSH, flushed).await, Ok(Ok(Ok(())))) {
        tracing::warn!("Spans were not exported");
    }
    answer
}

fn start_traces() -> Result<SdkTracerProvider, Error> {
    // Here reqwest has TLS without a provider of its cryptography; with its feature `rustls` leave this out.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let exporter = SpanExporter::builder().with_http().build()?;
    // Lambda's own variables say what the resource is.
    let of = |variable: &str| std::env::var(variable).unwrap_or_default();
    let name = of("AWS_LAMBDA_FUNCTION_NAME");
    let resource = Resource::builder().with_service_name(name.clone()).with_attributes([
        opentelemetry::KeyValue::new("cloud.provider", "aws"),
        opentelemetry::KeyValue::new("cloud.platform", "aws_lambda"),
        opentelemetry::KeyValue::new("cloud.region", of("AWS_REGION")),
        opentelemetry::KeyValue::new("faas.name", name),
        opentelemetry::KeyValue::new("faas.version", of("AWS_LAMBDA_FUNCTION_VERSION")),
    ]);
    let traces = SdkTracerProvider::builder().with_batch_exporter(exporter);
    let traces = traces.with_resource(resource.build()).build();
    global::set_text_map_propagator(TraceContextPropagator::new());
    tracing_subscriber::registry()
        // Spans of this crate, whatever it is called, and none of the runtime's own. A filter compares beginnings: of a crate
        // `lambda` it would take `lambda_runtime` along.
        .with(EnvFilter::try_new(concat!("off,", env!("CARGO_CRATE_NAME"), "=info,lambda_runtime=off"))?)
        .with(tracing_opentelemetry::layer().with_tracer(traces.tracer("lambda")))
        .with(tracing_subscriber::fmt::layer().with_writer(std::io::stderr))
        .try_init()?;
    Ok(traces)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let traces = start_traces()?;
    lambda_runtime::run(service_fn(|event| invoke(event, traces.clone()))).await
}
