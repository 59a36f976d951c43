//! The memory that a message would take, estimated before it is decoded.
//!
//! Two bytes of protobuf are an empty span; decoded they are hundreds. The size of a body therefore
//! bounds nothing. This walk follows the same nesting as the decoder, adds up the structs it would
//! make and allocates none. What is malformed is left for the decoder to report.

use std::mem::size_of;

use opentelemetry_proto::tonic::trace::v1::Span;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use super::fields::{FieldType, MessageType};

/// Deeper than the decoder goes, which is 100.
const DEEPEST: usize = 130;
/// The largest of the structs, in bytes.
const LARGEST: usize = size_of::<Span>();

/// Whether the structs of a protobuf message take at most `room` bytes.
pub(crate) fn fits(message: &[u8], of: &MessageType, mut room: usize) -> bool {
    // Each struct costs its tag and its length, two bytes at least: a small message needs no walk.
    message.len() / 2 < room / LARGEST || walk(message, of, &mut room, 0).is_some()
}

/// Bytes that the structs of a protobuf message take.
pub(crate) fn size(message: &[u8], of: &MessageType) -> usize {
    let mut room = usize::MAX;
    // It cannot be used up: what a byte becomes is bounded.
    walk(message, of, &mut room, 0).map_or(usize::MAX, |()| usize::MAX - room)
}

/// `None` when the room is used up.
fn walk(mut bytes: &[u8], of: &MessageType, room: &mut usize, depth: usize) -> Option<()> {
    *room = room.checked_sub(of.size)?;
    if depth > DEEPEST {
        return Some(());
    }
    while !bytes.is_empty() {
        let Ok((tag, wire)) = decode_key(&mut bytes) else { return Some(()) };
        let field = of.fields.iter().find(|field| field.number == tag);
        if let (Some(field), WireType::LengthDelimited) = (field, wire) {
            let length = decode_varint(&mut bytes).ok().and_then(|length| usize::try_from(length).ok());
            let parts = length.and_then(|length| bytes.split_at_checked(length));
            let Some((part, rest)) = parts else { return Some(()) };
            match field.of {
                FieldType::Message(inner) | FieldType::Item(inner) => walk(part, inner, room, depth + 1)?,
                FieldType::Text if field.repeated => *room = room.checked_sub(size_of::<String>())?,
                // Packed numbers: a byte may become eight.
                FieldType::Uint64 => *room = room.checked_sub(8 * part.len())?,
                FieldType::Fixed64 | FieldType::Double => *room = room.checked_sub(part.len())?,
                _ => {}
            }
            bytes = rest;
            continue;
        }
        if field.is_some_and(|field| field.repeated) {
            *room = room.checked_sub(size_of::<u64>())?;
        }
        if skip_field(wire, tag, &mut bytes, DecodeContext::default()).is_err() {
            return Some(());
        }
    }
    Some(())
}

#[cfg(test)]
#[path = "weigh_tests.rs"]
mod tests;
