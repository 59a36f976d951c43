//! An export: its frame decoded at once, its items one after the other as they are taken.

use std::sync::Arc;

use actix_web::web::Bytes;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::{DecodeError, Message};

use super::origin::{Origin, SchemaUrls};
use super::{logs, span};
use crate::otlp::fields::{LOGS_EXPORT, MessageType, RECORD, SPAN, SPANS_EXPORT};
use crate::otlp::metric_fields::{DataPoint, METRIC, METRICS_EXPORT};
use crate::otlp::packed::ExportItem;
use crate::otlp::points::MetricItem;
use crate::otlp::{RefusedItems, json, weigh};
use crate::runtime::telemetry::Signal as Kind;

/// What a span, a log record or a data point may take decoded, in bytes.
const MOST_OF_ITEM: usize = 1 << 20;
/// Why a data point is refused whose decoded form alone is too large.
const TOO_LARGE_POINT: &str = "a data point must not be larger than 1 MiB";

/// One signal's export: all of them have the same frame.
pub(super) struct SignalExport {
    /// Which one it is.
    pub(super) kind: Kind,
    /// The request's message.
    export: &'static MessageType,
    /// A span, a log record or a metric.
    item: &'static MessageType,
    /// The most memory that the structs of one item may take, in bytes.
    most_of_item: usize,
    /// Why an item is refused whose decoded form alone is too large.
    too_large: &'static str,
}

/// An export of spans.
pub(super) static TRACES: SignalExport = SignalExport {
    kind: Kind::Traces,
    export: &SPANS_EXPORT,
    item: &SPAN,
    most_of_item: MOST_OF_ITEM,
    too_large: span::TOO_LARGE,
};
/// An export of log records.
pub(super) static LOGS: SignalExport = SignalExport {
    kind: Kind::Logs,
    export: &LOGS_EXPORT,
    item: &RECORD,
    most_of_item: MOST_OF_ITEM,
    too_large: logs::TOO_LARGE,
};
/// An export of metrics. An item is a metric, whose data points are read by themselves: it may be as large
/// as the export.
pub(super) static METRICS: SignalExport = SignalExport {
    kind: Kind::Metrics,
    export: &METRICS_EXPORT,
    item: &METRIC,
    most_of_item: usize::MAX,
    too_large: TOO_LARGE_POINT,
};

/// The most memory the structs of one export may take, in bytes; texts come on top and are bounded
/// by the body. About 30,000 spans of twenty attributes each.
const MOST_DECODED: usize = 64 << 20;

/// Why an export was not read.
#[derive(Debug)]
pub(super) enum UnreadableExport {
    /// It holds more than is taken at once.
    TooMuch,
    /// It is not what its content type says.
    Malformed(String),
}

impl UnreadableExport {
    fn malformed(why: impl std::fmt::Display) -> Self {
        Self::Malformed(why.to_string())
    }
}

/// The frame that the exports of every signal have, with the items still bytes of the body.
#[derive(Clone, PartialEq, Message)]
struct Frame {
    #[prost(message, repeated, tag = "1")]
    groups: Vec<ExportGroup>,
}

/// What one resource sent.
#[derive(Clone, PartialEq, Message)]
struct ExportGroup {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    scoped: Vec<Scoped>,
    #[prost(string, tag = "3")]
    schema_url: String,
}

/// What one of its scopes sent.
#[derive(Clone, PartialEq, Message)]
struct Scoped {
    #[prost(message, optional, tag = "1")]
    scope: Option<InstrumentationScope>,
    #[prost(bytes = "bytes", repeated, tag = "2")]
    items: Vec<Bytes>,
    #[prost(string, tag = "3")]
    schema_url: String,
}

/// An export whose frame is known to be right.
pub(super) struct OtlpExport {
    signal: &'static SignalExport,
    frame: Frame,
    /// What the reading of the frame had to leave out.
    refused: RefusedItems,
}

impl OtlpExport {
    /// Reads it from either encoding, unless it would take too much memory.
    pub(super) fn read(
        signal: &'static SignalExport,
        body: Bytes,
        is_json: bool,
    ) -> Result<Self, UnreadableExport> {
        let mut refused = RefusedItems::default();
        let body = if is_json {
            let text = std::str::from_utf8(&body).map_err(UnreadableExport::malformed)?;
            let wire = json::to_protobuf(text, signal.export, &mut refused);
            wire.map_err(UnreadableExport::malformed)?.into()
        } else {
            body
        };
        if !weigh::fits(&body, signal.export, MOST_DECODED) {
            return Err(UnreadableExport::TooMuch);
        }
        let frame = Frame::decode(body).map_err(UnreadableExport::malformed)?;
        Ok(Self { signal, frame, refused })
    }

    /// How many spans, log records or data points it has; of a metric that cannot be read, one.
    pub(super) fn items(&self) -> u64 {
        let scoped = self.frame.groups.iter().flat_map(|group| &group.scoped);
        let count = |item: &Bytes| match self.signal.kind {
            Kind::Metrics => MetricItem::decode(item.clone()).map_or(1, |metric| metric.points()),
            Kind::Traces | Kind::Logs => 1,
        };
        let read: usize = scoped.flat_map(|scoped| &scoped.items).map(count).sum();
        read as u64 + self.refused.count()
    }

    /// Hands over every item that can be read, with its origin; what was refused, by `take` too.
    pub(super) fn each<T: ExportItem>(
        self,
        mut take: impl FnMut(&Arc<Origin>, T) -> Result<(), &'static str>,
    ) -> RefusedItems {
        self.each_of(|origin, item, refused| take(origin, item).unwrap_or_else(|why| refused.note(why)))
    }

    /// The same for items of several parts: `take` notes those that it refuses.
    pub(super) fn each_of<T: ExportItem>(
        self,
        mut take: impl FnMut(&Arc<Origin>, T, &mut RefusedItems),
    ) -> RefusedItems {
        let Self { signal, frame, mut refused } = self;
        for group in frame.groups {
            let resource = Arc::new(group.resource.unwrap_or_default());
            for scoped in group.scoped {
                let schemas = SchemaUrls { resource: group.schema_url.clone(), scope: scoped.schema_url };
                let scope = scoped.scope.unwrap_or_default();
                let origin = Arc::new(Origin::new(resource.clone(), scope, schemas));
                for item in scoped.items {
                    match signal.decode(&item) {
                        Ok(item) => take(&origin, item, &mut refused),
                        Err(why) => refused.note(&why),
                    }
                }
            }
        }
        refused
    }
}

impl SignalExport {
    fn decode<T: ExportItem>(&self, item: &[u8]) -> Result<T, String> {
        decode(item, self.item, self.most_of_item, self.too_large, T::read)
    }
}

/// Hands over every data point that can be read; notes those that cannot be, or that `take` refuses.
pub(super) fn each_point<T: DataPoint>(
    points: Vec<Bytes>,
    refused: &mut RefusedItems,
    mut take: impl FnMut(T) -> Result<(), &'static str>,
) {
    for point in points {
        match decode(&point, T::TABLE, MOST_OF_ITEM, TOO_LARGE_POINT, |bytes| T::decode(bytes)) {
            Ok(point) => take(point).unwrap_or_else(|why| refused.note(why)),
            Err(why) => refused.note(&why),
        }
    }
}

fn decode<T>(
    bytes: &[u8],
    of: &MessageType,
    most: usize,
    too_large: &str,
    read: impl FnOnce(&[u8]) -> Result<T, DecodeError>,
) -> Result<T, String> {
    if !weigh::fits(bytes, of, most) {
        return Err(too_large.to_owned());
    }
    read(bytes).map_err(|why| why.to_string())
}
