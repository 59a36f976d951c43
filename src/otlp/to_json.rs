//! Protobuf into OTLP/JSON, by the tables of fields: what stands in the message is written, and nothing else.
//!
//! Ids are hexadecimal, 64-bit numbers are texts (JavaScript has no such numbers), enums are numbers, NaN and
//! the infinities are the texts of protobuf's JSON (OTLP specification, "JSON Protobuf Encoding").

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost::encoding::{WireType, decode_key, decode_varint};

use super::fields::{Field, FieldType, MessageType};

/// Most messages within one another, as protobuf's parsers have it.
const DEEPEST: usize = 100;

/// A value as it stands in a message.
#[derive(Clone, Copy)]
enum WireValue<'a> {
    /// Of a varint, or of as many bytes as the field's type has.
    Number(u64),
    Bytes(&'a [u8]),
}

/// `None` for what is no message of this type.
pub(super) fn from_protobuf(message: &[u8], of: &'static MessageType) -> Option<String> {
    let mut json = String::with_capacity(2 * message.len());
    write_message(&mut json, message, of, 0)?;
    Some(json)
}

fn write_message(json: &mut String, message: &[u8], of: &MessageType, depth: usize) -> Option<()> {
    if depth > DEEPEST {
        return None;
    }
    let found = values(message)?;
    json.push('{');
    for field in of.fields {
        let mut own = found.iter().filter(|(number, _)| *number == field.number).map(|(_, value)| *value);
        let Some(first) = own.next() else { continue };
        if !json.ends_with('{') {
            json.push(',');
        }
        write!(json, "\"{}\":", field.name).ok()?;
        if field.repeated {
            json.push('[');
            std::iter::once(first)
                .chain(own)
                .try_for_each(|value| write_elements(json, field, value, depth))?;
            json.push(']');
        } else {
            // Of several, the last one counts.
            write_value(json, field.of, own.next_back().unwrap_or(first), depth)?;
        }
    }
    json.push('}');
    Some(())
}

/// One element of a list, or the packed numbers of several.
fn write_elements(json: &mut String, field: &Field, value: WireValue<'_>, depth: usize) -> Option<()> {
    let mut element = |value| {
        if !json.ends_with('[') {
            json.push(',');
        }
        write_value(json, field.of, value, depth)
    };
    match (field.of, value) {
        (FieldType::Fixed64 | FieldType::Double | FieldType::SFixed64, WireValue::Bytes(packed)) => {
            let (numbers, rest) = packed.as_chunks::<8>();
            numbers.iter().try_for_each(|bytes| element(WireValue::Number(u64::from_le_bytes(*bytes))))?;
            rest.is_empty().then_some(())
        }
        (FieldType::Uint64, WireValue::Bytes(mut packed)) => {
            while !packed.is_empty() {
                element(WireValue::Number(decode_varint(&mut packed).ok()?))?;
            }
            Some(())
        }
        (_, value) => element(value),
    }
}

/// Numbers are as wide as their type says: the truncating conversions are protobuf's own.
fn write_value(json: &mut String, of: FieldType, value: WireValue<'_>, depth: usize) -> Option<()> {
    match (of, value) {
        (FieldType::Text, WireValue::Bytes(bytes)) => text(json, std::str::from_utf8(bytes).ok()?)?,
        (FieldType::Hex, WireValue::Bytes(bytes)) => {
            json.push('"');
            bytes.iter().try_for_each(|byte| write!(json, "{byte:02x}")).ok()?;
            json.push('"');
        }
        (FieldType::Base64, WireValue::Bytes(bytes)) => {
            json.push('"');
            STANDARD.encode_string(bytes, json);
            json.push('"');
        }
        (FieldType::Message(of) | FieldType::Item(of), WireValue::Bytes(bytes)) => {
            write_message(json, bytes, of, depth + 1)?;
        }
        (FieldType::Bool, WireValue::Number(n)) => write!(json, "{}", n != 0).ok()?,
        (FieldType::Double, WireValue::Number(n)) => double(json, f64::from_bits(n))?,
        (FieldType::Fixed64 | FieldType::Uint64, WireValue::Number(n)) => write!(json, "\"{n}\"").ok()?,
        (FieldType::SFixed64 | FieldType::Int64, WireValue::Number(n)) => {
            write!(json, "\"{}\"", n.cast_signed()).ok()?;
        }
        (FieldType::Fixed32 | FieldType::Uint32, WireValue::Number(n)) => {
            write!(json, "{}", n as u32).ok()?;
        }
        (FieldType::Int32 | FieldType::Enum(_), WireValue::Number(n)) => write!(json, "{}", n as i32).ok()?,
        (FieldType::SInt32, WireValue::Number(n)) => {
            let n = n as u32;
            write!(json, "{}", (n >> 1).cast_signed() ^ -(n & 1).cast_signed()).ok()?;
        }
        // Another wire type than the field's.
        _ => return None,
    }
    Some(())
}

fn text(json: &mut String, text: &str) -> Option<()> {
    json.push_str(&serde_json::to_string(text).ok()?);
    Some(())
}

fn double(json: &mut String, number: f64) -> Option<()> {
    match serde_json::Number::from_f64(number) {
        Some(number) => write!(json, "{number}").ok(),
        None if number.is_nan() => text(json, "NaN"),
        None => text(json, if number > 0.0 { "Infinity" } else { "-Infinity" }),
    }
}

/// The fields of a message in their order; `None` where it is malformed.
fn values(mut message: &[u8]) -> Option<Vec<(u32, WireValue<'_>)>> {
    let mut found = Vec::new();
    while !message.is_empty() {
        let (number, wire) = decode_key(&mut message).ok()?;
        let value = match wire {
            WireType::Varint => WireValue::Number(decode_varint(&mut message).ok()?),
            WireType::SixtyFourBit => {
                let (bytes, rest) = message.split_first_chunk::<8>()?;
                message = rest;
                WireValue::Number(u64::from_le_bytes(*bytes))
            }
            WireType::ThirtyTwoBit => {
                let (bytes, rest) = message.split_first_chunk::<4>()?;
                message = rest;
                WireValue::Number(u32::from_le_bytes(*bytes).into())
            }
            WireType::LengthDelimited => {
                let length = usize::try_from(decode_varint(&mut message).ok()?).ok()?;
                let (bytes, rest) = message.split_at_checked(length)?;
                message = rest;
                WireValue::Bytes(bytes)
            }
            // Groups, which OTLP does not have.
            WireType::StartGroup | WireType::EndGroup => return None,
        };
        found.push((number, value));
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::super::{json_to_protobuf, protobuf_to_json};

    fn there_and_back(signal: &str, export: &Value) -> Value {
        let wire = json_to_protobuf(&export.to_string(), signal).unwrap();
        serde_json::from_str(&protobuf_to_json(&wire, signal).unwrap()).unwrap()
    }

    #[test]
    fn what_was_read_from_json_is_written_as_it_was() {
        let any = |value: Value| json!({"key": "k", "value": value});
        let span = json!({
            "traceId": "00000000000000000000000000000abc", "spanId": "00000000000000de", "name": "é\n\"",
            "kind": 2, "startTimeUnixNano": "1700000000000000001", "flags": 257,
            "attributes": [
                any(json!({"stringValue": ""})), any(json!({"boolValue": false})),
                any(json!({"intValue": "-9007199254740993"})), any(json!({"doubleValue": 0.1})),
                any(json!({"doubleValue": "NaN"})), any(json!({"doubleValue": "-Infinity"})),
                any(json!({"bytesValue": "AP8="})), any(json!({"arrayValue": {"values": [{}, {"intValue": "0"}]}})),
                any(json!({"kvlistValue": {"values": [any(json!({}))]}})),
            ],
            "status": {"code": 2},
        });
        let export = json!({"resourceSpans": [
            {"resource": {}, "scopeSpans": [{"spans": [span.clone(), {"name": "b"}]}], "schemaUrl": "s"},
            {"scopeSpans": [{"spans": [span]}]},
        ]});
        assert_eq!(there_and_back("traces", &export), export);
        let export = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [
            {"severityNumber": 13, "severityText": "warn", "body": {"stringValue": "x"}, "eventName": "e"},
        ]}]}]});
        assert_eq!(there_and_back("logs", &export), export);
    }

    #[test]
    fn lists_of_numbers_are_written_whether_packed_or_not() {
        let export = json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": [
            {"name": "h", "unit": "s", "histogram": {"aggregationTemporality": 2, "dataPoints": [
                {"count": "3", "sum": 1.5, "bucketCounts": ["1", "0", "2"], "explicitBounds": [0.5, 1.0]},
            ]}},
            {"name": "e", "exponentialHistogram": {"dataPoints": [
                {"scale": -1, "positive": {"offset": -3, "bucketCounts": ["0", "300"]}},
            ]}},
            {"name": "g", "gauge": {"dataPoints": [{"asInt": "-4"}, {"asDouble": 2.5}]}},
        ]}]}]});
        assert_eq!(there_and_back("metrics", &export), export);
    }

    #[test]
    fn what_is_no_export_is_nothing() {
        for bytes in [&b"\x0a\x05ab"[..], b"\xff", b"\x0b", b"\x08\x01"] {
            assert_eq!(protobuf_to_json(bytes, "traces"), None, "{bytes:?}");
        }
        assert_eq!(protobuf_to_json(b"", "traces").as_deref(), Some("{}"));
    }
}
