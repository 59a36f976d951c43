//! Spans as exporters write them, read without the detours of a decoder that takes everything protobuf allows.
//!
//! Most of what a receiver costs is the decoding of attributes: three messages inside each other for a word and a number.
//! What is read here is the plain case: known fields, no message in two parts, single values. Anything else is `None`, and
//! prost decides, whose errors are then the ones told. So this can be slower or quicker than prost, never different.

use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use prost::Message;

use super::points::MetricItem;

/// An item of an export.
pub(crate) trait ExportItem: Message + Default {
    /// The item, if it is written plainly.
    fn read_plain(_: &[u8]) -> Option<Self> {
        None
    }
}

impl ExportItem for LogRecord {}
impl ExportItem for MetricItem {}

impl ExportItem for Span {
    fn read_plain(bytes: &[u8]) -> Option<Self> {
        let mut span = Self::default();
        let mut fields = WireFields(bytes);
        while let Some(field) = fields.next()? {
            match field {
                (1, PlainValue::Bytes(id)) => span.trace_id = id.to_vec(),
                (2, PlainValue::Bytes(id)) => span.span_id = id.to_vec(),
                (3, PlainValue::Bytes(state)) => span.trace_state = text(state)?,
                (4, PlainValue::Bytes(id)) => span.parent_span_id = id.to_vec(),
                (5, PlainValue::Bytes(name)) => span.name = text(name)?,
                (6, PlainValue::Varint(kind)) => span.kind = kind as i32,
                (7, PlainValue::Fixed64(time)) => span.start_time_unix_nano = time,
                (8, PlainValue::Fixed64(time)) => span.end_time_unix_nano = time,
                (9, PlainValue::Bytes(one)) => fields.push(9, &mut span.attributes, attribute(one)?)?,
                (10, PlainValue::Varint(count)) => span.dropped_attributes_count = count as u32,
                (11, PlainValue::Bytes(one)) => span.events.push(event(one)?),
                (12, PlainValue::Varint(count)) => span.dropped_events_count = count as u32,
                (13, PlainValue::Bytes(one)) => span.links.push(link(one)?),
                (14, PlainValue::Varint(count)) => span.dropped_links_count = count as u32,
                (15, PlainValue::Bytes(one)) if span.status.is_none() => span.status = Some(status(one)?),
                (16, PlainValue::Fixed32(flags)) => span.flags = flags,
                _ => return None,
            }
        }
        Some(span)
    }
}

fn event(bytes: &[u8]) -> Option<Event> {
    let mut event = Event::default();
    let mut fields = WireFields(bytes);
    while let Some(field) = fields.next()? {
        match field {
            (1, PlainValue::Fixed64(time)) => event.time_unix_nano = time,
            (2, PlainValue::Bytes(name)) => event.name = text(name)?,
            (3, PlainValue::Bytes(one)) => fields.push(3, &mut event.attributes, attribute(one)?)?,
            (4, PlainValue::Varint(count)) => event.dropped_attributes_count = count as u32,
            _ => return None,
        }
    }
    Some(event)
}

fn link(bytes: &[u8]) -> Option<Link> {
    let mut link = Link::default();
    let mut fields = WireFields(bytes);
    while let Some(field) = fields.next()? {
        match field {
            (1, PlainValue::Bytes(id)) => link.trace_id = id.to_vec(),
            (2, PlainValue::Bytes(id)) => link.span_id = id.to_vec(),
            (3, PlainValue::Bytes(state)) => link.trace_state = text(state)?,
            (4, PlainValue::Bytes(one)) => fields.push(4, &mut link.attributes, attribute(one)?)?,
            (5, PlainValue::Varint(count)) => link.dropped_attributes_count = count as u32,
            (6, PlainValue::Fixed32(flags)) => link.flags = flags,
            _ => return None,
        }
    }
    Some(link)
}

fn status(bytes: &[u8]) -> Option<Status> {
    let mut status = Status::default();
    let mut fields = WireFields(bytes);
    while let Some(field) = fields.next()? {
        match field {
            (2, PlainValue::Bytes(message)) => status.message = text(message)?,
            (3, PlainValue::Varint(code)) => status.code = code as i32,
            _ => return None,
        }
    }
    Some(status)
}

fn attribute(bytes: &[u8]) -> Option<KeyValue> {
    let mut pair = KeyValue::default();
    let mut fields = WireFields(bytes);
    while let Some(field) = fields.next()? {
        match field {
            (1, PlainValue::Bytes(key)) => pair.key = text(key)?,
            (2, PlainValue::Bytes(one)) if pair.value.is_none() => {
                pair.value = Some(AnyValue { value: any(one)? })
            }
            _ => return None,
        }
    }
    Some(pair)
}

/// A single value; lists and objects are not plain, as their depth has a limit that prost keeps.
fn any(bytes: &[u8]) -> Option<Option<Any>> {
    let mut fields = WireFields(bytes);
    let value = match fields.next()? {
        None => return Some(None),
        Some((1, PlainValue::Bytes(value))) => Any::StringValue(text(value)?),
        Some((2, PlainValue::Varint(value))) => Any::BoolValue(value != 0),
        Some((3, PlainValue::Varint(value))) => Any::IntValue(value as i64),
        Some((4, PlainValue::Fixed64(value))) => Any::DoubleValue(f64::from_bits(value)),
        Some((7, PlainValue::Bytes(value))) => Any::BytesValue(value.to_vec()),
        Some(_) => return None,
    };
    fields.0.is_empty().then_some(Some(value))
}

fn text(bytes: &[u8]) -> Option<String> {
    std::str::from_utf8(bytes).ok().map(str::to_owned)
}

/// A value as it travels (protobuf's encoding, "Message structure").
#[derive(Clone, Copy)]
enum PlainValue<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

/// What is left of a message.
struct WireFields<'a>(&'a [u8]);

impl<'a> WireFields<'a> {
    /// Number and value of the next field; `Some(None)` at the end.
    #[inline]
    fn next(&mut self) -> Option<Option<(u64, PlainValue<'a>)>> {
        if self.0.is_empty() {
            return Some(None);
        }
        let key = self.varint()?;
        let value = match key & 7 {
            0 => PlainValue::Varint(self.varint()?),
            1 => PlainValue::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                let (value, rest) = self.0.split_at_checked(length)?;
                self.0 = rest;
                PlainValue::Bytes(value)
            }
            5 => PlainValue::Fixed32(u32::from_le_bytes(self.array()?)),
            _ => return None,
        };
        Some(Some((key >> 3, value)))
    }

    #[inline]
    fn varint(&mut self) -> Option<u64> {
        let (&first, rest) = self.0.split_first()?;
        if first < 0x80 {
            self.0 = rest;
            return Some(first.into());
        }
        let mut value = 0_u64;
        for (at, &byte) in self.0.iter().enumerate().take(10) {
            // Ten bytes have 70 bits.
            if at == 9 && byte > 1 {
                return None;
            }
            value |= u64::from(byte & 0x7f) << (7 * at);
            if byte < 0x80 {
                self.0 = &self.0[at + 1..];
                return Some(value);
            }
        }
        None
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    /// Adds to a list. The first one makes room for all that follow, so that nothing grows and nothing is left over.
    #[inline]
    fn push<T>(&self, number: u64, into: &mut Vec<T>, one: T) -> Option<()> {
        if into.is_empty() {
            let (mut rest, mut count) = (Self(self.0), 1);
            while let Some((other, _)) = rest.next()? {
                count += usize::from(other == number);
            }
            into.reserve_exact(count);
        }
        into.push(one);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use opentelemetry_proto::tonic::common::v1::ArrayValue;

    use super::*;

    fn pair(key: &str, value: Any) -> KeyValue {
        KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
    }

    fn span() -> Span {
        let attributes = vec![
            pair("text", Any::StringValue("häß".into())),
            pair("yes", Any::BoolValue(true)),
            pair("least", Any::IntValue(i64::MIN)),
            pair("half", Any::DoubleValue(-0.5)),
            pair("raw", Any::BytesValue(vec![0, 255])),
            KeyValue { key: "empty".into(), value: Some(AnyValue::default()), ..KeyValue::default() },
            KeyValue { key: "nothing".into(), ..KeyValue::default() },
        ];
        Span {
            trace_id: vec![7; 16],
            span_id: vec![8; 8],
            trace_state: "a=b".into(),
            parent_span_id: vec![9; 8],
            flags: 0x301,
            name: "GET /things/{id}".into(),
            kind: 3,
            start_time_unix_nano: 1_700_000_000_000_000_000,
            end_time_unix_nano: u64::MAX,
            dropped_attributes_count: 300,
            events: vec![Event {
                time_unix_nano: 5,
                name: "exception".into(),
                attributes: attributes.clone(),
                dropped_attributes_count: 1,
            }],
            dropped_events_count: 2,
            links: vec![
                Link { trace_id: vec![1; 16], attributes: attributes.clone(), flags: 1, ..Link::default() },
                Link { span_id: vec![2; 8], trace_state: "c=d".into(), ..Link::default() },
            ],
            dropped_links_count: u32::MAX,
            status: Some(Status { message: "no".into(), code: 2 }),
            attributes,
        }
    }

    /// Nothing is read that prost does not read, and nothing else.
    fn agrees(bytes: &[u8]) -> bool {
        let plain = Span::read_plain(bytes);
        if let Some(plain) = &plain {
            // Encoded again, as a double that is no number equals nothing.
            let read = Span::decode(bytes).map(|span| span.encode_to_vec());
            assert_eq!(read, Ok(plain.encode_to_vec()), "{bytes:02x?}");
        }
        plain.is_some()
    }

    #[test]
    fn a_span_as_exporters_write_it_is_read_plainly_with_no_room_to_spare() {
        let bytes = span().encode_to_vec();
        assert!(agrees(&bytes));
        let read = Span::read_plain(&bytes).unwrap();
        assert_eq!(read.attributes.capacity(), read.attributes.len());
        assert!(agrees(&[]));
    }

    #[test]
    fn what_is_cut_changed_or_made_of_chance_is_read_as_prost_reads_it_or_left_to_it() {
        let bytes = span().encode_to_vec();
        let mut read = 0;
        for end in 0..bytes.len() {
            read += usize::from(agrees(&bytes[..end]));
        }
        let mut random = fastrand::Rng::with_seed(18);
        for _ in 0..20_000 {
            let mut other = bytes.clone();
            for _ in 0..random.usize(1..4) {
                let at = random.usize(..other.len());
                match random.u8(..3) {
                    0 => other[at] = random.u8(..),
                    1 => drop(other.remove(at)),
                    _ => other.insert(at, random.u8(..)),
                }
            }
            read += usize::from(agrees(&other));
        }
        assert!(read > 500, "{read} of them were read");
    }

    #[test]
    fn what_is_not_plain_is_left_to_prost() {
        let list = Any::ArrayValue(ArrayValue { values: vec![AnyValue::default()] });
        let nested = Span { attributes: vec![pair("list", list)], ..span() };
        let twice =
            [span().encode_to_vec(), Span { status: span().status, ..Span::default() }.encode_to_vec()];
        for bytes in
            [nested.encode_to_vec(), twice.concat(), vec![0x08, 1], vec![0x0b, 0x0c], vec![0xfa, 0x7f, 0]]
        {
            assert!(!agrees(&bytes), "{bytes:02x?}");
        }
    }
}
