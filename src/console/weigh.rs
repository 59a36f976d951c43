//! The memory that an export would take, estimated before it is decoded.
//!
//! Two bytes of protobuf, or three of JSON, are an empty span; decoded they are hundreds. The size
//! of a body therefore bounds nothing. This walk follows the same nesting as the decoders, adds up
//! the structs they would make and allocates none. What is malformed is left for them to report.

use std::fmt;
use std::mem::size_of;

use opentelemetry_proto::tonic::common::v1::{AnyValue, EntityRef, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Deeper than either decoder goes (protobuf 100, JSON 128).
const DEEPEST: usize = 130;

/// A message type: the bytes of its struct, and the fields that hold further messages.
pub(super) struct Shape {
    size: usize,
    fields: &'static [Field],
}

/// The field's protobuf number, its JSON name and what it holds.
type Field = (u32, &'static str, &'static Shape);

/// An export of spans.
pub(super) static SPANS: Shape = Shape { size: 0, fields: &[(1, "resourceSpans", &RESOURCE_SPANS)] };
/// An export of log records.
pub(super) static RECORDS: Shape = Shape { size: 0, fields: &[(1, "resourceLogs", &RESOURCE_LOGS)] };

static RESOURCE_SPANS: Shape = Shape {
    size: size_of::<ResourceSpans>(),
    fields: &[(1, "resource", &RESOURCE), (2, "scopeSpans", &SCOPE_SPANS)],
};
static SCOPE_SPANS: Shape =
    Shape { size: size_of::<ScopeSpans>(), fields: &[(1, "scope", &SCOPE), (2, "spans", &SPAN)] };
static SPAN: Shape = Shape {
    size: size_of::<Span>(),
    fields: &[(9, "attributes", &PAIR), (11, "events", &EVENT), (13, "links", &LINK)],
};
static EVENT: Shape = Shape { size: size_of::<Event>(), fields: &[(3, "attributes", &PAIR)] };
static LINK: Shape = Shape { size: size_of::<Link>(), fields: &[(4, "attributes", &PAIR)] };
static RESOURCE_LOGS: Shape = Shape {
    size: size_of::<ResourceLogs>(),
    fields: &[(1, "resource", &RESOURCE), (2, "scopeLogs", &SCOPE_LOGS)],
};
static SCOPE_LOGS: Shape =
    Shape { size: size_of::<ScopeLogs>(), fields: &[(1, "scope", &SCOPE), (2, "logRecords", &RECORD)] };
static RECORD: Shape =
    Shape { size: size_of::<LogRecord>(), fields: &[(5, "body", &ANY), (6, "attributes", &PAIR)] };
static RESOURCE: Shape =
    Shape { size: size_of::<Resource>(), fields: &[(1, "attributes", &PAIR), (3, "entityRefs", &ENTITY)] };
static SCOPE: Shape = Shape { size: size_of::<InstrumentationScope>(), fields: &[(3, "attributes", &PAIR)] };
static ENTITY: Shape =
    Shape { size: size_of::<EntityRef>(), fields: &[(3, "idKeys", &TEXT), (4, "descriptionKeys", &TEXT)] };
static PAIR: Shape = Shape { size: size_of::<KeyValue>(), fields: &[(2, "value", &ANY)] };
static ANY: Shape =
    Shape { size: size_of::<AnyValue>(), fields: &[(5, "arrayValue", &LIST), (6, "kvlistValue", &PAIRS)] };
static LIST: Shape = Shape { size: 0, fields: &[(1, "values", &ANY)] };
static PAIRS: Shape = Shape { size: 0, fields: &[(1, "values", &PAIR)] };
static TEXT: Shape = Shape { size: size_of::<String>(), fields: &[] };

/// The largest of the structs, in bytes.
const LARGEST: usize = {
    let sizes = [
        size_of::<ResourceSpans>(),
        size_of::<ScopeSpans>(),
        size_of::<Span>(),
        size_of::<Event>(),
        size_of::<Link>(),
        size_of::<ResourceLogs>(),
        size_of::<ScopeLogs>(),
        size_of::<LogRecord>(),
        size_of::<Resource>(),
        size_of::<InstrumentationScope>(),
        size_of::<EntityRef>(),
        size_of::<KeyValue>(),
        size_of::<AnyValue>(),
        size_of::<String>(),
    ];
    let (mut largest, mut at) = (0, 0);
    while at < sizes.len() {
        if sizes[at] > largest {
            largest = sizes[at];
        }
        at += 1;
    }
    largest
};

/// Whether the structs of a protobuf message take at most `room` bytes.
pub(super) fn protobuf_fits(message: &[u8], shape: &Shape, mut room: usize) -> bool {
    // Each struct costs its tag and its length, two bytes at least: a small message needs no walk.
    message.len() / 2 <= room / LARGEST || walk(message, shape, &mut room, 0).is_some()
}

/// Whether the structs of a JSON message take at most `room` bytes; fails where it is no JSON, or
/// where a list stands for a message, which the decoders would take and this walk would miss.
pub(super) fn json_fits(message: &[u8], shape: &'static Shape, room: usize) -> serde_json::Result<bool> {
    let mut left = Some(room);
    let mut reader = serde_json::Deserializer::from_slice(message);
    let walked = Walk { shape, left: &mut left, in_list: true }.deserialize(&mut reader);
    if left.is_some() { walked.map(|()| true) } else { Ok(false) }
}

/// `None` when the room is used up.
fn walk(mut bytes: &[u8], shape: &Shape, room: &mut usize, depth: usize) -> Option<()> {
    *room = room.checked_sub(shape.size)?;
    if shape.fields.is_empty() || depth > DEEPEST {
        return Some(());
    }
    while !bytes.is_empty() {
        let Ok((tag, wire)) = decode_key(&mut bytes) else { return Some(()) };
        let field = shape.fields.iter().find(|(number, ..)| *number == tag);
        if let (Some((.., inner)), WireType::LengthDelimited) = (field, wire) {
            let length = decode_varint(&mut bytes).ok().and_then(|length| usize::try_from(length).ok());
            let parts = length.and_then(|length| bytes.split_at_checked(length));
            let Some((part, rest)) = parts else { return Some(()) };
            walk(part, inner, room, depth + 1)?;
            bytes = rest;
        } else if skip_field(wire, tag, &mut bytes, DecodeContext::default()).is_err() {
            return Some(());
        }
    }
    Some(())
}

/// The same walk through JSON; `left` becomes `None` when the room is used up.
struct Walk<'a> {
    shape: &'static Shape,
    left: &'a mut Option<usize>,
    /// Only a message can stand here: OTLP has no lists of lists.
    in_list: bool,
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        *self.left = self.left.and_then(|left| left.checked_sub(self.shape.size));
        if self.left.is_none() {
            return Err(D::Error::custom("no room left"));
        }
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match self.shape.fields.iter().find(|(_, name, _)| *name == key) {
                Some((.., shape)) => {
                    map.next_value_seed(Walk { shape, left: &mut *self.left, in_list: false })?;
                }
                None => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        if self.in_list {
            return Err(A::Error::custom("a list where a message must be"));
        }
        let Self { shape, left, .. } = self;
        while list.next_element_seed(Walk { shape, left: &mut *left, in_list: true })?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
#[path = "weigh_tests.rs"]
mod tests;
