//! What stands around the items of an export: whose they are.

use opentelemetry::InstrumentationScope;
use opentelemetry_sdk::Resource;

use super::EncodedBatch;
use super::wire::Wire;
use crate::schema::faults::NEXT_VERSION;

/// The messages around spans or log records, which number their fields alike
/// (`ExportTraceServiceRequest` and `ExportLogsServiceRequest`): the resource and the scope, encoded once.
#[derive(Debug)]
pub(in crate::runtime::telemetry) struct Envelope {
    resource: Vec<u8>,
    /// The same of the version that is next.
    next: Vec<u8>,
    scope: Vec<u8>,
    schema: String,
}

impl Envelope {
    /// The field of an item in `ScopeSpans` or `ScopeLogs`.
    pub(in crate::runtime::telemetry) const ITEM: u64 = 2;

    pub(in crate::runtime::telemetry) fn new(resource: &Resource, scope: &InstrumentationScope) -> Self {
        let mut encoded = (Vec::new(), Vec::new());
        let mut next = Vec::new();
        let (mut wire, mut other) = (Wire::new(&mut encoded.0), Wire::new(&mut next));
        let version = NEXT_VERSION.into();
        for (key, value) in resource.iter() {
            wire.attribute(1, key.as_str(), value, None);
            let value = if key.as_str() == "service.version" { &version } else { value };
            other.attribute(1, key.as_str(), value, None);
        }
        let mut wire = Wire::new(&mut encoded.1);
        wire.bytes(1, scope.name().as_bytes());
        wire.bytes(2, scope.version().unwrap_or_default().as_bytes());
        wire.attributes(3, scope.attributes(), None);
        let schema = resource.schema_url().unwrap_or_default().to_owned();
        Self { resource: encoded.0, next, scope: encoded.1, schema }
    }

    /// A whole export of these items, each a field [`Envelope::ITEM`].
    pub(in crate::runtime::telemetry) fn around(&self, items: &[u8]) -> Vec<u8> {
        self.export(&self.resource, items)
    }

    /// The same of a batch, whose version it names.
    pub(in crate::runtime::telemetry) fn around_batch(&self, batch: &EncodedBatch) -> Vec<u8> {
        let resource = if batch.next_version { &self.next } else { &self.resource };
        self.export(resource, &batch.bytes)
    }

    fn export(&self, own: &[u8], items: &[u8]) -> Vec<u8> {
        let around = own.len() + self.scope.len() + self.schema.len();
        let mut export = Vec::with_capacity(items.len() + around + 32);
        Wire::new(&mut export).message(1, |resource| {
            resource.delimited(1, own);
            resource.message(2, |scope| {
                scope.delimited(1, &self.scope);
                scope.encoded(items);
            });
            resource.bytes(3, self.schema.as_bytes());
        });
        export
    }
}
