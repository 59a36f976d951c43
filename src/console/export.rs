//! Exports of the two signals that are kept, read from either encoding.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::weigh::{self, Shape};

/// The most memory the structs of one decoded export may take, in bytes; texts come on top and are
/// bounded by the body. About 15,000 spans of twenty attributes each.
const MOST_DECODED: usize = 64 << 20;

/// Why an export was not read.
#[derive(Debug)]
pub(super) enum UnreadableExport {
    /// It holds more than is taken at once.
    TooMuch,
    /// It is not what its content type says.
    Malformed(String),
}

/// An export request of one signal.
pub(super) trait OtlpExport: Message + Default {
    /// What it is made of.
    const SHAPE: &'static Shape;

    /// Reads it from OTLP/JSON.
    fn from_json(text: &[u8]) -> serde_json::Result<Self>;

    /// Reads it from either encoding, unless it would take too much memory.
    fn read(body: &[u8], json: bool) -> Result<Self, UnreadableExport> {
        let malformed = |error: &dyn std::error::Error| UnreadableExport::Malformed(error.to_string());
        let fits = if json {
            weigh::json_fits(body, Self::SHAPE, MOST_DECODED).map_err(|e| malformed(&e))?
        } else {
            weigh::protobuf_fits(body, Self::SHAPE, MOST_DECODED)
        };
        match (fits, json) {
            (false, _) => Err(UnreadableExport::TooMuch),
            (true, true) => Self::from_json(body).map_err(|e| malformed(&e)),
            (true, false) => Self::decode(body).map_err(|e| malformed(&e)),
        }
    }
}

impl OtlpExport for ExportLogsServiceRequest {
    const SHAPE: &'static Shape = &weigh::RECORDS;

    fn from_json(text: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(text)
    }
}

impl OtlpExport for ExportTraceServiceRequest {
    const SHAPE: &'static Shape = &weigh::SPANS;

    fn from_json(text: &[u8]) -> serde_json::Result<Self> {
        let export: JsonExport<'_> = serde_json::from_slice(text)?;
        Ok(Self { resource_spans: export.resource_spans.into_iter().map(JsonGroup::read).collect() })
    }
}

/// The frame of an export, its spans still text: one that cannot be read must not cost the others.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct JsonExport<'a> {
    #[serde(borrow)]
    resource_spans: Vec<JsonGroup<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct JsonGroup<'a> {
    resource: Option<Resource>,
    #[serde(borrow)]
    scope_spans: Vec<JsonScoped<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct JsonScoped<'a> {
    scope: Option<InstrumentationScope>,
    #[serde(borrow)]
    spans: Vec<&'a RawValue>,
}

impl JsonGroup<'_> {
    fn read(self) -> ResourceSpans {
        let scope_spans = self.scope_spans.into_iter().map(JsonScoped::read).collect();
        ResourceSpans { resource: self.resource, scope_spans, ..ResourceSpans::default() }
    }
}

impl JsonScoped<'_> {
    /// A span that cannot be read becomes an empty one, which the store refuses and counts.
    fn read(self) -> ScopeSpans {
        let read = |text: &RawValue| serde_json::from_str::<Span>(text.get()).unwrap_or_default();
        let spans = self.spans.into_iter().map(read).collect();
        ScopeSpans { scope: self.scope, spans, ..ScopeSpans::default() }
    }
}
