//! The OTLP exporter, with an account of what it does.

use std::sync::Arc;

use anyhow::Result;
use opentelemetry_otlp::{Protocol, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

use super::ledger::Ledger;
use super::settings::Export;
use super::transport::Transport;

/// Exports over OTLP/HTTP and writes the outcome of every batch into the ledger.
#[derive(Debug)]
pub(super) struct Exporter {
    inner: opentelemetry_otlp::SpanExporter,
    transport: Transport,
    ledger: Arc<Ledger>,
}

impl Exporter {
    /// Everything is passed explicitly, or the exporter would ask the environment itself.
    pub(super) fn new(export: &Export, transport: Transport, ledger: Arc<Ledger>) -> Result<Self> {
        let inner = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_http_client(transport.clone())
            .with_endpoint(export.endpoint.as_str())
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(export.timeout)
            .build()?;
        Ok(Self { inner, transport, ledger })
    }
}

impl SpanExporter for Exporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        self.transport.begin();
        let result = self.inner.export(batch).await;
        let outcome = match &result {
            Ok(()) => Ok(self.transport.rejected()),
            Err(error) => Err(self.transport.cause().unwrap_or_else(|| error.to_string())),
        };
        self.ledger.settle(spans, outcome);
        result
    }

    fn shutdown_with_timeout(&self, timeout: std::time::Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}
