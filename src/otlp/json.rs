//! OTLP/JSON into protobuf, by the tables of fields and as the text is read: nothing is built between.
//!
//! What protobuf's own JSON parser takes is taken here, with the same values: both spellings of a
//! name, null for what is absent, unknown fields. Two things are OTLP's: ids are hexadecimal, and an
//! item that cannot be read is left out with its reason instead of failing the whole.

use std::fmt;

use prost::encoding::{WireType, encode_key, encode_varint};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::fields::{Field, FieldType, MessageType};
use super::refused::RefusedItems;
use super::scalar;

/// Most messages within one another, as protobuf's parsers have it.
const DEEPEST: usize = 100;
/// A reader of JSON goes 128 levels deep and a message is at most two: so often a new one begins.
const MESSAGES_EACH: usize = 50;

/// The largest export in protobuf, in bytes. Only metrics can be longer there than in JSON: a count of a
/// bucket is two characters and nine bytes.
const MOST_WIRE: usize = super::MOST_UNPACKED;

/// Turns an export into protobuf.
///
/// # Errors
/// What is no JSON, or does not have an export's frame.
pub(crate) fn to_protobuf(
    json: &str,
    export: &'static MessageType,
    refused: &mut RefusedItems,
) -> serde_json::Result<Vec<u8>> {
    let mut out = Output { wire: Vec::with_capacity(json.len()), refused };
    let mut reader = serde_json::Deserializer::from_str(json);
    reader.deserialize_any(Fields { of: export, depth: 1, out: &mut out })?;
    reader.end()?;
    Ok(out.wire)
}

struct Output<'r> {
    wire: Vec<u8>,
    refused: &'r mut RefusedItems,
}

impl Output<'_> {
    /// Begins a message; where its content starts.
    fn open(&mut self, field: &Field) -> usize {
        encode_key(field.number, WireType::LengthDelimited, &mut self.wire);
        self.wire.len()
    }

    /// Ends it: its length is known only now and belongs before the content.
    fn close(&mut self, content: usize) {
        let end = self.wire.len();
        encode_varint((end - content) as u64, &mut self.wire);
        let length = self.wire.len() - end;
        self.wire[content..].rotate_right(length);
    }
}

/// The content of one message.
struct Fields<'a, 'r> {
    of: &'static MessageType,
    depth: usize,
    out: &'a mut Output<'r>,
}

impl<'de> Visitor<'de> for Fields<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        if self.depth > DEEPEST {
            return Err(A::Error::custom("nested too deeply"));
        }
        while let Some(field) = map.next_key_seed(FieldOf(self.of))? {
            let Some(field) = field else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let place = if field.repeated { Place::List } else { Place::Single };
            let value = FieldValue { field, place, depth: self.depth, out: self.out };
            map.next_value_seed(value)
                .map_err(|why| A::Error::custom(format_args!("{}: {why}", field.name)))?;
        }
        Ok(())
    }
}

/// The field that a key names, in either spelling; `None` for an unknown one.
struct FieldOf(&'static MessageType);

impl<'de> DeserializeSeed<'de> for FieldOf {
    type Value = Option<&'static Field>;

    /// As bytes: an unknown key need not even be valid text.
    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_bytes(self)
    }
}

impl<'de> Visitor<'de> for FieldOf {
    type Value = Option<&'static Field>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_bytes<E>(self, key: &[u8]) -> Result<Self::Value, E> {
        Ok(self.0.fields.iter().find(|field| field.name.as_bytes() == key || is_snake(key, field.name)))
    }
}

/// Whether `key` is `camel` as the schema spells it: `traceId` there is `trace_id`.
fn is_snake(key: &[u8], camel: &str) -> bool {
    let mut rest = key.iter();
    camel.bytes().all(|c| match c {
        b'A'..=b'Z' => rest.next() == Some(&b'_') && rest.next() == Some(&c.to_ascii_lowercase()),
        _ => rest.next() == Some(&c),
    }) && rest.next().is_none()
}

/// Where a value stands.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Single,
    /// It is the whole list of a repeated field.
    List,
    /// It is one of them: null is no element.
    Element,
}

/// A value of a field, still to be read.
struct FieldValue<'a, 'r> {
    field: &'static Field,
    place: Place,
    /// Of the message that has the field.
    depth: usize,
    out: &'a mut Output<'r>,
}

impl FieldValue<'_, '_> {
    /// Reads it with a reader of its own.
    fn apart(self, json: &str) -> serde_json::Result<()> {
        serde_json::Deserializer::from_str(json).deserialize_any(self)
    }
}

impl<'de> DeserializeSeed<'de> for FieldValue<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        match self.field.of {
            _ if self.place == Place::List => reader.deserialize_any(self),
            FieldType::Item(_) => {
                let json = <&RawValue>::deserialize(reader)?.get();
                let before = self.out.wire.len();
                let Self { field, place, depth, out } = self;
                if let Err(why) = (FieldValue { field, place, depth, out: &mut *out }).apart(json) {
                    out.wire.truncate(before);
                    out.refused.note(&why.to_string());
                }
                Ok(())
            }
            FieldType::Message(_) if self.depth.is_multiple_of(MESSAGES_EACH) => {
                let json = <&RawValue>::deserialize(reader)?.get();
                self.apart(json).map_err(D::Error::custom)
            }
            FieldType::Message(_) => reader.deserialize_any(self),
            _ => match <&RawValue>::deserialize(reader)?.get() {
                "null" if self.place == Place::Single => Ok(()),
                _ if self.out.wire.len() >= MOST_WIRE => Err(D::Error::custom("the export holds too much")),
                json => scalar::write(self.field, json, &mut self.out.wire).map_err(D::Error::custom),
            },
        }
    }
}

impl<'de> Visitor<'de> for FieldValue<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.place == Place::List { "a list" } else { "an object" })
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        if self.place == Place::Element { Err(E::custom("null in a list")) } else { Ok(()) }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Self { field, place: Place::List, depth, out } = self else {
            return Err(A::Error::custom("a list where an object must be"));
        };
        let mut read =
            || list.next_element_seed(FieldValue { field, place: Place::Element, depth, out: &mut *out });
        while read()?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let (FieldType::Message(of) | FieldType::Item(of)) = self.field.of else {
            return Err(A::Error::custom("an object where a list must be"));
        };
        if self.place == Place::List {
            return Err(A::Error::custom("an object where a list must be"));
        }
        let content = self.out.open(self.field);
        Fields { of, depth: self.depth + 1, out: &mut *self.out }.visit_map(map)?;
        self.out.close(content);
        Ok(())
    }
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
