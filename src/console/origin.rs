//! Where telemetry comes from: a resource and a scope, shared by what they sent.

use std::sync::Arc;

use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::attributes::{self, find_text};

/// The schemas that the names of attributes follow; empty where none is named.
#[derive(Debug, Default, PartialEq)]
pub(super) struct SchemaUrls {
    pub(super) resource: String,
    pub(super) scope: String,
}

/// The resource and scope of spans or log records.
#[derive(Debug, PartialEq)]
pub(super) struct Origin {
    /// Shared by the scopes of one export.
    pub(super) resource: Arc<Resource>,
    pub(super) scope: InstrumentationScope,
    pub(super) schemas: SchemaUrls,
    /// `service.name`, or `unknown_service` as the specification has it.
    pub(super) service: String,
    /// What it takes in memory, by estimate.
    pub(super) weight: usize,
}

impl Origin {
    pub(super) fn new(resource: Arc<Resource>, scope: InstrumentationScope, schemas: SchemaUrls) -> Self {
        let service = find_text(&resource.attributes, "service.name").filter(|name| !name.is_empty());
        let urls = schemas.resource.capacity() + schemas.scope.capacity();
        let weight = attributes::origin_weight(&resource, &scope) + urls;
        Self {
            service: service.unwrap_or_else(|| "unknown_service".into()),
            resource,
            scope,
            schemas,
            weight,
        }
    }
}
