//! What the tests of worker and relay share.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::prelude::*;

use super::Queue;
use super::embedded::{Embedded, FILE_NAME};

pub(super) const VISIBILITY: Duration = Duration::from_millis(400);

/// A handle of the embedded queue in `folder`/queue; a file of that name in the way is an outage.
pub(super) fn queue(folder: &Path) -> Arc<dyn Queue> {
    Arc::new(Embedded::new(folder.join("queue").join(FILE_NAME), "notifications", VISIBILITY))
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
        // Without a subscriber everywhere, tests on other threads would switch the spans off for all:
        // tracing remembers per place in the code whether anybody is interested.
        let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry());
        opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
        let exporter = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
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
