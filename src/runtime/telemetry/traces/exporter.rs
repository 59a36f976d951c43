//! Batches of spans on their way to the backend, with an account of what became of them.

use std::sync::Arc;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use prost::Message;

use crate::runtime::telemetry::otlp::{Ledger, Sender};

/// Encodes spans, sends them and settles every batch in the ledger.
#[derive(Debug)]
pub(super) struct Exporter {
    sender: Sender,
    resource: ResourceAttributesWithSchema,
    ledger: Arc<Ledger>,
}

impl Exporter {
    pub(super) fn new(sender: Sender, ledger: Arc<Ledger>) -> Self {
        Self { sender, resource: ResourceAttributesWithSchema::default(), ledger }
    }
}

impl SpanExporter for Exporter {
    /// Blocks: the batch processor has a thread for it.
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let resource_spans = group_spans_by_resource_and_scope(batch, &self.resource);
        let outcome = self.sender.send(ExportTraceServiceRequest { resource_spans }.encode_to_vec());
        let result =
            outcome.as_ref().map(|_| ()).map_err(|cause| OTelSdkError::InternalFailure(cause.clone()));
        self.ledger.settle(spans, outcome);
        result
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.resource = resource.into();
    }
}
