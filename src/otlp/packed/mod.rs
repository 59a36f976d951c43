//! A span as it is kept: the bytes that came in, checked once, and read again where somebody asks.
//!
//! Decoded, a span is some thirty allocations that are made when it comes and given back when it goes, and most spans are
//! never looked at. So nothing is decoded but what everything asks for; a search reads the bytes where they are.

mod attribute;
mod check;
mod wire;

use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::{DecodeError, Message as _};

pub(crate) use attribute::{SpanAttribute, ValueRef};
use check::CheckedValues;
use wire::{RawFieldValue, checked, parts};

use super::fields::SPAN;
use super::points::MetricItem;
use super::weigh;

/// An item of an export.
pub(crate) trait ExportItem: Sized {
    /// # Errors
    /// Why it is no such item.
    fn read(bytes: &[u8]) -> Result<Self, DecodeError>;
}

impl ExportItem for LogRecord {
    fn read(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode(bytes)
    }
}

impl ExportItem for MetricItem {
    fn read(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode(bytes)
    }
}

/// A span whose bytes are known to be right.
#[derive(Clone, Debug, Default)]
pub(crate) struct PackedSpan {
    /// This and the next two are zero where there is none, or one of another length.
    pub(crate) trace_id: u128,
    pub(crate) span_id: u64,
    pub(crate) parent_span_id: u64,
    /// Nanoseconds since the epoch. Where only one is told both have it; where none is both are zero.
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// As OTLP numbers them; zero for what is not said.
    pub(crate) kind: i32,
    pub(crate) status_code: i32,
    pub(crate) has_links: bool,
    bytes: Box<[u8]>,
}

impl ExportItem for PackedSpan {
    /// As it is where it is plain, else as prost reads it, whose errors are the ones told.
    fn read(bytes: &[u8]) -> Result<Self, DecodeError> {
        match check::span(bytes, CheckedValues::Single) {
            Some((span, true)) => Ok(Self { bytes: bytes.into(), ..span }),
            _ => Span::decode(bytes).map(Self::from),
        }
    }
}

impl From<Span> for PackedSpan {
    fn from(mut span: Span) -> Self {
        set_missing_times(&mut span);
        let bytes = span.encode_to_vec().into_boxed_slice();
        // What prost wrote is in order: whatever stands in it once, stands in it once.
        let (checked, _) = check::span(&bytes, CheckedValues::All).unwrap_or_default();
        Self { bytes, ..checked }
    }
}

/// Puts what has no time where it belongs instead of into 1970: a span without a start at its end, one
/// without an end at its start, its events at its start.
fn set_missing_times(span: &mut Span) {
    let (start, end) = (span.start_time_unix_nano, span.end_time_unix_nano);
    span.start_time_unix_nano = if start == 0 { end } else { start };
    span.end_time_unix_nano = if end == 0 { start } else { end };
    for event in span.events.iter_mut().filter(|event| event.time_unix_nano == 0) {
        event.time_unix_nano = span.start_time_unix_nano;
    }
}

impl PackedSpan {
    /// All of it, to be shown.
    pub(crate) fn decode(&self) -> Span {
        Span::decode(&*self.bytes).unwrap_or_default()
    }

    pub(crate) fn name(&self) -> &str {
        text(&self.bytes, 5)
    }

    pub(crate) fn trace_state(&self) -> &str {
        text(&self.bytes, 3)
    }

    pub(crate) fn status_message(&self) -> &str {
        parts(&self.bytes, 15).next().map_or("", |status| text(status, 2))
    }

    pub(crate) fn attributes(&self) -> impl Iterator<Item = SpanAttribute<'_>> {
        parts(&self.bytes, 9).map(SpanAttribute::packed)
    }

    /// The value of the first attribute of this name.
    pub(crate) fn attribute(&self, key: &str) -> Option<ValueRef<'_>> {
        self.attributes().find(|attribute| attribute.is(key))?.value()
    }

    /// Values by their names, in one pass: of several names of one thing, that of the name that stands first.
    pub(crate) fn pick<const N: usize>(&self, things: [&[&str]; N]) -> [Option<ValueRef<'_>>; N] {
        let mut found: [Option<(usize, SpanAttribute<'_>)>; N] = [None; N];
        for attribute in self.attributes() {
            for (found, names) in found.iter_mut().zip(things) {
                if let Some(rank) = names.iter().position(|name| attribute.is(name)) {
                    let better = found.is_none_or(|(other, _)| rank < other);
                    *found = if better { Some((rank, attribute)) } else { *found };
                    break;
                }
            }
        }
        found.map(|found| found?.1.value())
    }

    /// Whatever a search for a text looks into, in one pass.
    pub(crate) fn searched(&self) -> impl Iterator<Item = SearchedPart<'_>> {
        checked(&self.bytes).filter_map(|field| match field {
            (5, RawFieldValue::Bytes(name)) => Some(SearchedPart::Text(utf8(name))),
            (9, RawFieldValue::Bytes(pair)) => Some(SearchedPart::Attribute(SpanAttribute::packed(pair))),
            (11, RawFieldValue::Bytes(event)) => Some(SearchedPart::Event(PackedEvent(event))),
            (15, RawFieldValue::Bytes(status)) => Some(SearchedPart::Text(text(status, 2))),
            _ => None,
        })
    }

    pub(crate) fn events(&self) -> impl Iterator<Item = PackedEvent<'_>> {
        parts(&self.bytes, 11).map(PackedEvent)
    }

    pub(crate) fn links(&self) -> impl Iterator<Item = PackedLink<'_>> {
        parts(&self.bytes, 13).map(PackedLink)
    }

    /// Bytes that it takes as it is.
    pub(crate) fn packed_size(&self) -> usize {
        size_of::<Self>() + self.bytes.len()
    }

    /// Bytes that it takes once it is decoded, about.
    pub(crate) fn decoded_size(&self) -> usize {
        weigh::size(&self.bytes, &SPAN) + self.bytes.len()
    }
}

/// A part of a packed span that has texts.
pub(crate) enum SearchedPart<'a> {
    /// The name, or what the status says.
    Text(&'a str),
    Attribute(SpanAttribute<'a>),
    Event(PackedEvent<'a>),
}

/// An event of a packed span.
#[derive(Clone, Copy)]
pub(crate) struct PackedEvent<'a>(&'a [u8]);

impl<'a> PackedEvent<'a> {
    pub(crate) fn name(self) -> &'a str {
        text(self.0, 2)
    }

    pub(crate) fn attributes(self) -> impl Iterator<Item = SpanAttribute<'a>> {
        parts(self.0, 3).map(SpanAttribute::packed)
    }
}

/// A link of a packed span.
#[derive(Clone, Copy)]
pub(crate) struct PackedLink<'a>(&'a [u8]);

impl<'a> PackedLink<'a> {
    /// This and the next are zero where there is none, or one of another length.
    pub(crate) fn trace_id(self) -> u128 {
        parts(self.0, 1).next().map_or(0, check::trace_id)
    }

    pub(crate) fn span_id(self) -> u64 {
        parts(self.0, 2).next().map_or(0, check::span_id)
    }

    pub(crate) fn attributes(self) -> impl Iterator<Item = SpanAttribute<'a>> {
        parts(self.0, 4).map(SpanAttribute::packed)
    }
}

/// A text of a message; empty where it has none.
fn text(message: &[u8], number: u64) -> &str {
    parts(message, number).next().map_or("", utf8)
}

#[inline]
fn utf8(text: &[u8]) -> &str {
    std::str::from_utf8(text).unwrap_or_default()
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
