//! The messages of OTLP as tables, from opentelemetry-proto 1.x: what the decoders know of them.

use std::mem::size_of;

use opentelemetry_proto::tonic::common::v1::{AnyValue, EntityRef, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

use FieldType::{
    Base64, Bool, Double, Enum, Fixed32, Fixed64, Hex, Int32, Int64, Item, Message, Text, Uint32,
};

/// A message type.
pub(crate) struct MessageType {
    /// Bytes of its struct once decoded.
    pub(crate) size: usize,
    pub(crate) fields: &'static [Field],
}

/// One field of a message.
pub(crate) struct Field {
    /// In protobuf.
    pub(crate) number: u32,
    /// In JSON.
    pub(crate) name: &'static str,
    pub(crate) of: FieldType,
    pub(crate) repeated: bool,
}

/// What a field holds.
#[derive(Clone, Copy)]
pub(crate) enum FieldType {
    Text,
    /// Bytes; OTLP writes ids in hexadecimal where protobuf's own JSON has base64.
    Hex,
    /// Bytes.
    Base64,
    Bool,
    Double,
    Fixed64,
    Fixed32,
    SFixed64,
    Uint32,
    Uint64,
    Int32,
    SInt32,
    Int64,
    /// A number, or the name that this turns into one.
    Enum(fn(&str) -> Option<i32>),
    Message(&'static MessageType),
    /// A span, a log record, a metric or a data point: one that cannot be read is left out.
    Item(&'static MessageType),
}

pub(crate) const fn one(number: u32, name: &'static str, of: FieldType) -> Field {
    Field { number, name, of, repeated: false }
}

pub(crate) const fn many(number: u32, name: &'static str, of: FieldType) -> Field {
    Field { number, name, of, repeated: true }
}

pub(crate) static SPANS_EXPORT: MessageType =
    MessageType { size: 0, fields: &[many(1, "resourceSpans", Message(&RESOURCE_SPANS))] };
static RESOURCE_SPANS: MessageType = MessageType {
    size: size_of::<ResourceSpans>(),
    fields: &[
        one(1, "resource", Message(&RESOURCE)),
        many(2, "scopeSpans", Message(&SCOPE_SPANS)),
        one(3, "schemaUrl", Text),
    ],
};
static SCOPE_SPANS: MessageType = MessageType {
    size: size_of::<ScopeSpans>(),
    fields: &[one(1, "scope", Message(&SCOPE)), many(2, "spans", Item(&SPAN)), one(3, "schemaUrl", Text)],
};
pub(crate) static SPAN: MessageType = MessageType {
    size: size_of::<Span>(),
    fields: &[
        one(1, "traceId", Hex),
        one(2, "spanId", Hex),
        one(3, "traceState", Text),
        one(4, "parentSpanId", Hex),
        one(5, "name", Text),
        one(6, "kind", Enum(|name| SpanKind::from_str_name(name).map(|kind| kind as i32))),
        one(7, "startTimeUnixNano", Fixed64),
        one(8, "endTimeUnixNano", Fixed64),
        many(9, "attributes", Message(&PAIR)),
        one(10, "droppedAttributesCount", Uint32),
        many(11, "events", Message(&EVENT)),
        one(12, "droppedEventsCount", Uint32),
        many(13, "links", Message(&LINK)),
        one(14, "droppedLinksCount", Uint32),
        one(15, "status", Message(&STATUS)),
        one(16, "flags", Fixed32),
    ],
};
static EVENT: MessageType = MessageType {
    size: size_of::<Event>(),
    fields: &[
        one(1, "timeUnixNano", Fixed64),
        one(2, "name", Text),
        many(3, "attributes", Message(&PAIR)),
        one(4, "droppedAttributesCount", Uint32),
    ],
};
static LINK: MessageType = MessageType {
    size: size_of::<Link>(),
    fields: &[
        one(1, "traceId", Hex),
        one(2, "spanId", Hex),
        one(3, "traceState", Text),
        many(4, "attributes", Message(&PAIR)),
        one(5, "droppedAttributesCount", Uint32),
        one(6, "flags", Fixed32),
    ],
};
static STATUS: MessageType = MessageType {
    size: size_of::<Status>(),
    fields: &[
        one(2, "message", Text),
        one(3, "code", Enum(|name| StatusCode::from_str_name(name).map(|code| code as i32))),
    ],
};

pub(crate) static LOGS_EXPORT: MessageType =
    MessageType { size: 0, fields: &[many(1, "resourceLogs", Message(&RESOURCE_LOGS))] };
static RESOURCE_LOGS: MessageType = MessageType {
    size: size_of::<ResourceLogs>(),
    fields: &[
        one(1, "resource", Message(&RESOURCE)),
        many(2, "scopeLogs", Message(&SCOPE_LOGS)),
        one(3, "schemaUrl", Text),
    ],
};
static SCOPE_LOGS: MessageType = MessageType {
    size: size_of::<ScopeLogs>(),
    fields: &[
        one(1, "scope", Message(&SCOPE)),
        many(2, "logRecords", Item(&RECORD)),
        one(3, "schemaUrl", Text),
    ],
};
pub(crate) static RECORD: MessageType = MessageType {
    size: size_of::<LogRecord>(),
    fields: &[
        one(1, "timeUnixNano", Fixed64),
        one(2, "severityNumber", Enum(|name| SeverityNumber::from_str_name(name).map(|n| n as i32))),
        one(3, "severityText", Text),
        one(5, "body", Message(&ANY)),
        many(6, "attributes", Message(&PAIR)),
        one(7, "droppedAttributesCount", Uint32),
        one(8, "flags", Fixed32),
        one(9, "traceId", Hex),
        one(10, "spanId", Hex),
        one(11, "observedTimeUnixNano", Fixed64),
        one(12, "eventName", Text),
    ],
};

pub(crate) static RESOURCE: MessageType = MessageType {
    size: size_of::<Resource>(),
    fields: &[
        many(1, "attributes", Message(&PAIR)),
        one(2, "droppedAttributesCount", Uint32),
        many(3, "entityRefs", Message(&ENTITY)),
    ],
};
static ENTITY: MessageType = MessageType {
    size: size_of::<EntityRef>(),
    fields: &[
        one(1, "schemaUrl", Text),
        one(2, "type", Text),
        many(3, "idKeys", Text),
        many(4, "descriptionKeys", Text),
    ],
};
pub(crate) static SCOPE: MessageType = MessageType {
    size: size_of::<InstrumentationScope>(),
    fields: &[
        one(1, "name", Text),
        one(2, "version", Text),
        many(3, "attributes", Message(&PAIR)),
        one(4, "droppedAttributesCount", Uint32),
    ],
};
pub(crate) static PAIR: MessageType = MessageType {
    size: size_of::<KeyValue>(),
    fields: &[one(1, "key", Text), one(2, "value", Message(&ANY)), one(3, "keyStrindex", Int32)],
};
static ANY: MessageType = MessageType {
    size: size_of::<AnyValue>(),
    fields: &[
        one(1, "stringValue", Text),
        one(2, "boolValue", Bool),
        one(3, "intValue", Int64),
        one(4, "doubleValue", Double),
        one(5, "arrayValue", Message(&LIST)),
        one(6, "kvlistValue", Message(&PAIRS)),
        one(7, "bytesValue", Base64),
        one(8, "stringValueStrindex", Int32),
    ],
};
static LIST: MessageType = MessageType { size: 0, fields: &[many(1, "values", Message(&ANY))] };
static PAIRS: MessageType = MessageType { size: 0, fields: &[many(1, "values", Message(&PAIR))] };
