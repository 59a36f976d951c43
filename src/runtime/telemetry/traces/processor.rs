//! The SDK's batch processor behind a gate that counts.
//!
//! The SDK bounds only what waits, drops silently after its first warning and has no counter. The
//! gate bounds what waits and what is on its way together, so the queue behind it never overflows
//! and every dropped span is counted.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor,
};

use super::limits::cut_texts;
use crate::runtime::telemetry::otlp::Ledger;
use crate::runtime::telemetry::settings::Batch;

/// Admits spans to the batch processor.
#[derive(Debug)]
pub(super) struct Gate {
    inner: BatchSpanProcessor,
    ledger: Arc<Ledger>,
    value_length: Option<usize>,
}

impl Gate {
    /// `exporter` must settle each batch in `ledger`.
    pub(super) fn new<E>(exporter: E, batch: Batch, value_length: Option<usize>, ledger: Arc<Ledger>) -> Self
    where
        E: SpanExporter + 'static,
    {
        let config = BatchConfigBuilder::default()
            .with_max_queue_size(batch.queue)
            .with_max_export_batch_size(batch.size)
            .with_scheduled_delay(batch.delay)
            .build();
        let inner = BatchSpanProcessor::builder(exporter).with_batch_config(config).build();
        Self { inner, ledger, value_length }
    }
}

impl SpanProcessor for Gate {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.inner.on_start(span, context);
    }

    fn on_end(&self, mut span: SpanData) {
        if !span.span_context.is_sampled() || !self.ledger.admit() {
            return;
        }
        if let Some(most) = self.value_length {
            cut_texts(&mut span, most);
        }
        self.inner.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.ledger.close();
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}
