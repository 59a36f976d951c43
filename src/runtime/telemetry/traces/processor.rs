//! What the SDK calls at the end of every span.
//!
//! The SDK's own batch processor bounds only what waits, drops silently after its first warning, has
//! no counter, and reserves its whole queue at the start. Here the ledger bounds what waits and what is
//! on its way together, every dropped span is counted, and what waits is encoded already.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};

use super::encode::write_span;
use crate::runtime::telemetry::otlp::{BatchProcessor, Envelope, Ledger, Sender, Wire};
use crate::runtime::telemetry::settings::Batch;
use crate::runtime::telemetry::staged;

/// Encodes sampled spans into the batches that a thread exports.
#[derive(Debug)]
pub(super) struct SpanBatches {
    batches: BatchProcessor,
    value_length: Option<usize>,
}

impl SpanBatches {
    /// # Errors
    /// No thread can be started.
    pub(super) fn start(
        sender: Sender,
        envelope: Envelope,
        batch: Batch,
        value_length: Option<usize>,
        ledger: Arc<Ledger>,
    ) -> std::io::Result<Self> {
        let account = ledger.clone();
        let batches = BatchProcessor::start("spans", batch, ledger, move |batch| {
            let outcome = sender.send(envelope.around_batch(&batch));
            account.settle(batch.items, outcome);
        })?;
        Ok(Self { batches, value_length })
    }
}

impl SpanProcessor for SpanBatches {
    fn on_start(&self, _span: &mut Span, _context: &Context) {}

    fn on_end(&self, mut span: SpanData) {
        if span.span_context.is_sampled() {
            staged::time(&mut span);
            self.batches.append(|buffer| {
                Wire::new(buffer).message(Envelope::ITEM, |wire| write_span(wire, &span, self.value_length));
            });
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.batches.flush();
        Ok(())
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        match self.batches.stop(timeout) {
            true => Ok(()),
            false => Err(OTelSdkError::Timeout(timeout)),
        }
    }
}
