//! Single values of protobuf's JSON: what may be written for a number, a text, bytes, an enumeration.
//!
//! The rules are protobuf's (<https://protobuf.dev/programming-guides/json/>): numbers as such or as
//! texts, in exponent form too; base64 in both alphabets, padded or not; names of enumerations.

use std::borrow::Cow;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use prost::encoding::{WireType, encode_key, encode_varint};

use super::fields::{Field, FieldType};

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Writes a field from the JSON text of its value, which is well formed and not null. A name that
/// an enumeration does not have is nothing, as an unknown field is.
pub(crate) fn write(field: &Field, json: &str, wire: &mut Vec<u8>) -> Result<(), String> {
    match field.of {
        FieldType::Text => bytes(field, string(json)?.as_bytes(), wire),
        FieldType::Hex => bytes(field, &hex(&string(json)?)?, wire),
        FieldType::Base64 => bytes(field, &base64(&string(json)?)?, wire),
        FieldType::Bool => {
            let value = json.parse::<bool>().map_err(|_| wrong(json, "true or false"))?;
            varint(field, u64::from(value), wire);
        }
        FieldType::Double => {
            encode_key(field.number, WireType::SixtyFourBit, wire);
            wire.extend(double(json)?.to_le_bytes());
        }
        FieldType::Fixed64 => {
            encode_key(field.number, WireType::SixtyFourBit, wire);
            wire.extend(integer::<u64>(json)?.to_le_bytes());
        }
        FieldType::Fixed32 => {
            encode_key(field.number, WireType::ThirtyTwoBit, wire);
            wire.extend(integer::<u32>(json)?.to_le_bytes());
        }
        FieldType::SFixed64 => {
            encode_key(field.number, WireType::SixtyFourBit, wire);
            wire.extend(integer::<i64>(json)?.to_le_bytes());
        }
        FieldType::Uint64 => varint(field, integer::<u64>(json)?, wire),
        FieldType::SInt32 => {
            let value = integer::<i32>(json)?;
            // Zigzag: small numbers of both signs are short.
            varint(field, u64::from(((value << 1) ^ (value >> 31)).cast_unsigned()), wire);
        }
        FieldType::Uint32 => varint(field, integer::<u32>(json)?.into(), wire),
        FieldType::Int32 => varint(field, i64::from(integer::<i32>(json)?).cast_unsigned(), wire),
        FieldType::Int64 => varint(field, integer::<i64>(json)?.cast_unsigned(), wire),
        FieldType::Enum(by_name) => {
            let name = json.starts_with('"').then(|| string(json)).transpose()?;
            let number = match name.as_deref() {
                Some(name) => by_name(name).or_else(|| name.parse().ok()),
                None => Some(integer(json)?),
            };
            if let Some(number) = number {
                varint(field, i64::from(number).cast_unsigned(), wire);
            }
        }
        FieldType::Message(_) | FieldType::Item(_) => return Err(wrong(json, "an object")),
    }
    Ok(())
}

fn varint(field: &Field, value: u64, wire: &mut Vec<u8>) {
    encode_key(field.number, WireType::Varint, wire);
    encode_varint(value, wire);
}

fn bytes(field: &Field, value: &[u8], wire: &mut Vec<u8>) {
    encode_key(field.number, WireType::LengthDelimited, wire);
    encode_varint(value.len() as u64, wire);
    wire.extend(value);
}

fn string(json: &str) -> Result<Cow<'_, str>, String> {
    let inner = json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    match inner {
        Some(plain) if !plain.contains('\\') => Ok(Cow::Borrowed(plain)),
        Some(_) => serde_json::from_str(json).map(Cow::Owned).map_err(|why| why.to_string()),
        None => Err(wrong(json, "a text")),
    }
}

/// A whole number, also where it is written as 1e3 or 1.0. Digits beyond a double's precision are
/// kept where it is written plainly.
fn integer<T: TryFrom<i128>>(json: &str) -> Result<T, String> {
    let text = if json.starts_with('"') { string(json)? } else { Cow::Borrowed(json) };
    let exact = text.parse::<i128>().ok().or_else(|| {
        let number = text.parse::<f64>().ok()?;
        // Beyond i128 the conversion saturates, and no field is that wide.
        (number.fract() == 0.0).then_some(number as i128)
    });
    let exact = exact.ok_or_else(|| wrong(json, "a whole number"))?;
    T::try_from(exact).map_err(|_| wrong(json, "within its type's range"))
}

/// NaN and the infinities are texts, the others numbers or texts.
fn double(json: &str) -> Result<f64, String> {
    let quoted = json.starts_with('"');
    let text = if quoted { string(json)? } else { Cow::Borrowed(json) };
    let number = text.trim().parse::<f64>().map_err(|_| wrong(json, "a number"))?;
    if number.is_finite() || quoted { Ok(number) } else { Err(wrong(json, "within a double's range")) }
}

fn hex(text: &str) -> Result<Vec<u8>, String> {
    let digits: Option<Vec<_>> = text.chars().map(|digit| digit.to_digit(16)).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0).ok_or_else(|| wrong(text, "hexadecimal"))?;
    Ok(digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect())
}

fn base64(text: &str) -> Result<Vec<u8>, String> {
    let standard = text.replace('-', "+").replace('_', "/");
    BASE64.decode(standard).map_err(|_| wrong(text, "base64"))
}

fn wrong(found: &str, wanted: &str) -> String {
    let start: String = found.chars().take(40).collect();
    format!("{start} is not {wanted}")
}
