//! A trace across a queue, to copy: the sender writes its context into the message's headers, the consumer reads it there.
//!
//!     OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 cargo run --example queue_boundary -- child
//!
//! - `child`: the consumer's span is a child of the sender's: one trace from the request to its effect. For messages that
//!   are handled soon and one by one.
//! - `link`: the consumer begins a trace of its own with a link to the sender's span, as the messaging conventions
//!   prefer. For batches (a span has one parent and many links), and where messages wait so long that the sender's
//!   trace is decided on, sampled and closed.
//!
//! The queue is a channel of this process; a broker is the same, where its messages have headers. The lab does it in full:
//! [spans](../src/queue/span.rs), [worker](../src/queue/worker.rs) (retry, dead letters, drain), [relay](../src/queue/relay.rs)
//! (an outbox), [Redis](../src/queue/redis.rs) and four more, [what each promises](../docs/queue.md).

use std::collections::HashMap;
use std::error::Error;
use std::sync::mpsc;
use std::time::Duration;

use opentelemetry::global;
use opentelemetry::trace::{TraceContextExt, TracerProvider as _};
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tracing::Instrument;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{EnvFilter, prelude::*};

/// What travels. The context is in the headers and not in the body: that is the application's.
struct Message {
    headers: HashMap<String, String>,
    body: String,
}

/// How the consumer's span belongs to the sender's.
#[derive(Clone, Copy)]
enum Mode {
    Child,
    Link,
}

/// PRODUCER: its own context is what goes into the headers, not that of the span around it.
async fn send(queue: &Sender<Message>, body: &str) -> Result<(), Box<dyn Error>> {
    let span = tracing::info_span!(
        "send orders",
        otel.kind = "producer",
        messaging.system = "channel",
        messaging.operation.name = "send",
        "messaging.operation.type" = "send",
        messaging.destination.name = "orders",
    );
    let mut headers = HashMap::new();
    global::get_text_map_propagator(|text| text.inject_context(&span.context(), &mut headers));
    let message = Message { headers, body: body.to_owned() };
    Ok(queue.send(message).instrument(span).await?)
}

/// CONSUMER: a span for each message, around all that handling it does.
async fn process(message: Message, mode: Mode) {
    let span = tracing::info_span!(
        parent: None,
        "process orders",
        otel.kind = "consumer",
        messaging.system = "channel",
        messaging.operation.name = "process",
        "messaging.operation.type" = "process",
        messaging.destination.name = "orders",
    );
    // Headers are from outside: what is none of the specification's forms is no context, and the trace begins here.
    let sender = global::get_text_map_propagator(|text| text.extract(&message.headers));
    match mode {
        Mode::Child => {
            let _ = span.set_parent(sender);
        }
        Mode::Link => span.add_link(sender.span().span_context().clone()),
    }
    async { tracing::info!(body = message.body, "Handled") }.instrument(span).await;
}

/// Handles what comes until nobody can send any more and nothing is left.
async fn consume(mut queue: Receiver<Message>, mode: Mode) {
    while let Some(message) = queue.recv().await {
        process(message, mode).await;
    }
}

fn start_traces() -> Result<SdkTracerProvider, Box<dyn Error>> {
    // Here reqwest has TLS without a provider of its cryptography; with its feature `rustls` leave this out.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let exporter = SpanExporter::builder().with_http().build()?;
    let name = std::env::var("OTEL_SERVICE_NAME").unwrap_or_else(|_| "orders".to_owned());
    let resource = Resource::builder().with_service_name(name).build();
    let traces = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
    global::set_text_map_propagator(TraceContextPropagator::new());
    tracing_subscriber::registry()
        .with(EnvFilter::try_new("info,hyper=off,hyper_util=off,reqwest=off,opentelemetry=off")?)
        .with(tracing_opentelemetry::layer().with_tracer(traces.tracer("orders")))
        .try_init()?;
    Ok(traces)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mode = match std::env::args().nth(1).as_deref() {
        None | Some("child") => Mode::Child,
        Some("link") => Mode::Link,
        Some(other) => return Err(format!("{other} is neither child nor link").into()),
    };
    let traces = start_traces()?;
    let ran = run(mode).await;
    // The spans last, however it ended: those of a failure are wanted most.
    let (done, wait) = mpsc::channel();
    std::thread::spawn(move || done.send(traces.shutdown()));
    wait.recv_timeout(Duration::from_secs(3))??;
    ran
}

/// Sends, handles and waits for SIGTERM or Ctrl-C.
async fn run(mode: Mode) -> Result<(), Box<dyn Error>> {
    let mut stop = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    // Bounded: a sender waits for a consumer that is behind.
    let (queue, messages) = channel(16);
    let consumer = tokio::spawn(consume(messages, mode));
    let request = tracing::info_span!("POST /orders", otel.kind = "server");
    async { tokio::try_join!(send(&queue, "book"), send(&queue, "lamp")) }.instrument(request).await?;
    tokio::select! { _ = stop.recv() => {}, ended = tokio::signal::ctrl_c() => ended? }
    // The end, in this order: no more messages, what is there is handled, the spans of that are sent.
    drop(queue);
    Ok(tokio::time::timeout(Duration::from_secs(10), consumer).await??)
}
