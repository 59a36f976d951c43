//! What the tests of worker, relay and the embedded transport share.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{InMemorySpanExporter, Sampler, SdkTracerProvider, ShouldSample, SpanData};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::prelude::*;

use super::embedded::{Embedded, FILE_NAME};
use super::{Delivery, Message, Queue};

pub(super) const VISIBILITY: Duration = Duration::from_millis(400);

/// A handle of the embedded queue in `folder`/queue; a file of that name in the way is an outage.
pub(super) fn queue(folder: &Path) -> Arc<dyn Queue> {
    Arc::new(Embedded::new(folder.join("queue").join(FILE_NAME), "notifications", VISIBILITY))
}

/// A message that comes from trace 7, span 9.
pub(super) fn message(id: &str, key: &str) -> Message {
    Message {
        id: id.to_owned(),
        key: key.to_owned(),
        headers: BTreeMap::from([("traceparent".to_owned(), format!("00-{:032x}-{:016x}-01", 7, 9))]),
        body: format!("{{\"id\":\"{id}\"}}").into_bytes(),
    }
}

/// Receives until `want` messages are there, or fails after ten seconds.
pub(super) async fn receive(queue: &dyn Queue, want: usize) -> Vec<Delivery> {
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut all = Vec::new();
    while all.len() < want {
        assert!(Instant::now() < deadline, "only {} of {want} messages came", all.len());
        all.extend(queue.receive(want - all.len(), Duration::from_millis(200)).await.unwrap());
    }
    all
}

/// Waits until something holds, or fails after ten seconds.
pub(super) async fn eventually(what: &str, holds: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds().await {
        assert!(Instant::now() < deadline, "not within ten seconds: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The spans this thread ends, exported as they would be.
pub(super) struct Spans {
    exporter: InMemorySpanExporter,
    provider: SdkTracerProvider,
    _guard: DefaultGuard,
}

impl Spans {
    pub(super) fn recorded() -> Self {
        Self::sampled_by(Sampler::AlwaysOn)
    }

    pub(super) fn sampled_by(sampler: impl ShouldSample + 'static) -> Self {
        // Without a subscriber everywhere, tests on other threads would switch the spans off for all:
        // tracing remembers per place in the code whether anybody is interested.
        let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry());
        opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
        let exporter = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder();
        let provider = provider.with_sampler(sampler).with_simple_exporter(exporter.clone()).build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        let spans_only = filter_fn(|meta| meta.is_span());
        let guard = tracing_subscriber::registry().with(layer.with_filter(spans_only)).set_default();
        Self { exporter, provider, _guard: guard }
    }

    pub(super) fn finished(&self) -> Vec<SpanData> {
        self.provider.force_flush().unwrap();
        self.exporter.get_finished_spans().unwrap()
    }
}

/// The value of an attribute, as text.
pub(super) fn attribute(span: &SpanData, key: &str) -> Option<String> {
    span.attributes.iter().find(|kv| kv.key.as_str() == key).map(|kv| kv.value.to_string())
}
