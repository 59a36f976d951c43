//! What stands around the items of an export: whose they are.

use opentelemetry::InstrumentationScope;
use opentelemetry_sdk::Resource;

use super::wire::Wire;

/// The messages around spans or log records, which number their fields alike
/// (`ExportTraceServiceRequest` and `ExportLogsServiceRequest`): the resource and the scope, encoded once.
#[derive(Debug)]
pub(in crate::runtime::telemetry) struct Envelope {
    resource: Vec<u8>,
    scope: Vec<u8>,
    schema: String,
}

impl Envelope {
    /// The field of an item in `ScopeSpans` or `ScopeLogs`.
    pub(in crate::runtime::telemetry) const ITEM: u64 = 2;

    pub(in crate::runtime::telemetry) fn new(resource: &Resource, scope: &InstrumentationScope) -> Self {
        let mut encoded = (Vec::new(), Vec::new());
        let mut wire = Wire::new(&mut encoded.0);
        resource.iter().for_each(|(key, value)| wire.attribute(1, key.as_str(), value, None));
        let mut wire = Wire::new(&mut encoded.1);
        wire.bytes(1, scope.name().as_bytes());
        wire.bytes(2, scope.version().unwrap_or_default().as_bytes());
        wire.attributes(3, scope.attributes(), None);
        let schema = resource.schema_url().unwrap_or_default().to_owned();
        Self { resource: encoded.0, scope: encoded.1, schema }
    }

    /// A whole export of these items, each a field [`Envelope::ITEM`].
    pub(in crate::runtime::telemetry) fn around(&self, items: &[u8]) -> Vec<u8> {
        let around = self.resource.len() + self.scope.len() + self.schema.len();
        let mut export = Vec::with_capacity(items.len() + around + 32);
        Wire::new(&mut export).message(1, |resource| {
            resource.delimited(1, &self.resource);
            resource.message(2, |scope| {
                scope.delimited(1, &self.scope);
                scope.encoded(items);
            });
            resource.bytes(3, self.schema.as_bytes());
        });
        export
    }
}
