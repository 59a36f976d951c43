//! Whether the bytes of a span are in order, without an allocation.
//!
//! In order is the plain case: known fields, each once that may be there once, texts that are texts. Anything else is
//! `None`, and prost decides: this can be slower or quicker than prost, never different.

use super::PackedSpan;
use super::wire::{RawFieldValue, WireFields};

/// How a pair's key, its value and a text in it begin: a field's number and that bytes follow, of a length of their own.
const KEY: u8 = 1 << 3 | 2;
const VALUE: u8 = 2 << 3 | 2;
const TEXT: u8 = 1 << 3 | 2;

/// Which values attributes may have.
#[derive(Clone, Copy)]
pub(super) enum CheckedValues {
    /// Single ones. Lists and objects are left to prost, as their depth has a limit that it keeps.
    Single,
    /// All: prost has written them.
    All,
}

/// What a span's bytes say in fields of its own, the bytes not among it; and whether it says times wherever it should.
pub(super) fn span(bytes: &[u8], values: CheckedValues) -> Option<(PackedSpan, bool)> {
    let mut span = PackedSpan::default();
    let (mut seen, mut timed) = (SeenFields(0), true);
    let mut fields = WireFields(bytes);
    while let Some(field) = fields.next()? {
        match field {
            (9, RawFieldValue::Bytes(one)) => pair(one, values)?,
            (11, RawFieldValue::Bytes(one)) => timed &= event(one, values)?,
            (13, RawFieldValue::Bytes(one)) => {
                link(one, values)?;
                span.has_links = true;
            }
            (number, value) => {
                seen.note(number)?;
                match (number, value) {
                    (1, RawFieldValue::Bytes(id)) => span.trace_id = trace_id(id),
                    (2, RawFieldValue::Bytes(id)) => span.span_id = span_id(id),
                    (4, RawFieldValue::Bytes(id)) => span.parent_span_id = span_id(id),
                    (3 | 5, RawFieldValue::Bytes(one)) => text(one)?,
                    (6, RawFieldValue::Varint(kind)) => span.kind = kind as i32,
                    (7, RawFieldValue::Fixed64(time)) => span.start = time,
                    (8, RawFieldValue::Fixed64(time)) => span.end = time,
                    (10 | 12 | 14, RawFieldValue::Varint(_)) | (16, RawFieldValue::Fixed32) => {}
                    (15, RawFieldValue::Bytes(one)) => span.status_code = status(one)?,
                    _ => return None,
                }
            }
        }
    }
    timed &= span.start > 0 && span.end > 0;
    Some((span, timed))
}

/// Whether it has a time.
fn event(bytes: &[u8], values: CheckedValues) -> Option<bool> {
    let (mut fields, mut seen, mut timed) = (WireFields(bytes), SeenFields(0), false);
    while let Some(field) = fields.next()? {
        match field {
            (3, RawFieldValue::Bytes(one)) => pair(one, values)?,
            (number, value) => {
                seen.note(number)?;
                match (number, value) {
                    (1, RawFieldValue::Fixed64(time)) => timed = time > 0,
                    (2, RawFieldValue::Bytes(one)) => text(one)?,
                    (4, RawFieldValue::Varint(_)) => {}
                    _ => return None,
                }
            }
        }
    }
    Some(timed)
}

fn link(bytes: &[u8], values: CheckedValues) -> Option<()> {
    let (mut fields, mut seen) = (WireFields(bytes), SeenFields(0));
    while let Some(field) = fields.next()? {
        match field {
            (4, RawFieldValue::Bytes(one)) => pair(one, values)?,
            (number, value) => {
                seen.note(number)?;
                match (number, value) {
                    (1 | 2, RawFieldValue::Bytes(_))
                    | (5, RawFieldValue::Varint(_))
                    | (6, RawFieldValue::Fixed32) => {}
                    (3, RawFieldValue::Bytes(one)) => text(one)?,
                    _ => return None,
                }
            }
        }
    }
    Some(())
}

/// Its code.
fn status(bytes: &[u8]) -> Option<i32> {
    let (mut fields, mut seen, mut code) = (WireFields(bytes), SeenFields(0), 0);
    while let Some((number, value)) = fields.next()? {
        seen.note(number)?;
        match (number, value) {
            (2, RawFieldValue::Bytes(one)) => text(one)?,
            (3, RawFieldValue::Varint(said)) => code = said as i32,
            _ => return None,
        }
    }
    Some(code)
}

fn pair(bytes: &[u8], values: CheckedValues) -> Option<()> {
    if is_short_text(bytes) {
        return Some(());
    }
    let (mut fields, mut seen) = (WireFields(bytes), SeenFields(0));
    while let Some((number, value)) = fields.next()? {
        seen.note(number)?;
        match (number, value, values) {
            (1, RawFieldValue::Bytes(key), _) => text(key)?,
            (2, RawFieldValue::Bytes(one), CheckedValues::Single) => single(one)?,
            (2, RawFieldValue::Bytes(_), CheckedValues::All) | (3, _, CheckedValues::All) => {}
            _ => return None,
        }
    }
    Some(())
}

/// Whether it is a key and a text, in this order, of less than 128 bytes and in ASCII: as most are. Then lengths are
/// single bytes, and what is no ASCII would be seen in them too.
fn is_short_text(pair: &[u8]) -> bool {
    let [KEY, key, rest @ ..] = pair else { return false };
    let Some((_, [VALUE, value, TEXT, text, rest @ ..])) = rest.split_at_checked((*key).into()) else {
        return false;
    };
    usize::from(*text) == rest.len() && usize::from(*value) == rest.len() + 2 && pair.is_ascii()
}

fn single(bytes: &[u8]) -> Option<()> {
    let mut fields = WireFields(bytes);
    match fields.next()? {
        None
        | Some(
            (2 | 3, RawFieldValue::Varint(_)) | (4, RawFieldValue::Fixed64(_)) | (7, RawFieldValue::Bytes(_)),
        ) => {}
        Some((1, RawFieldValue::Bytes(one))) => text(one)?,
        Some(_) => return None,
    }
    fields.0.is_empty().then_some(())
}

fn text(bytes: &[u8]) -> Option<()> {
    std::str::from_utf8(bytes).ok().map(|_| ())
}

/// Zero for one of another length.
pub(super) fn trace_id(bytes: &[u8]) -> u128 {
    bytes.try_into().map_or(0, u128::from_be_bytes)
}

/// Zero for one of another length.
pub(super) fn span_id(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_be_bytes)
}

/// The numbers of the fields that were there.
struct SeenFields(u32);

impl SeenFields {
    /// `None` for one that was there before, or that no message of OTLP has.
    #[inline]
    fn note(&mut self, number: u64) -> Option<()> {
        let bit = 1_u32.checked_shl(u32::try_from(number).ok()?)?;
        if self.0 & bit != 0 {
            return None;
        }
        self.0 |= bit;
        Some(())
    }
}
