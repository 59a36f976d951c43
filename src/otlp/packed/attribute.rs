//! An attribute where it stands: in a packed span, or in a resource or scope that is decoded.

use std::borrow::Cow;

use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use prost::Message as _;

use super::utf8;
use super::wire::{RawFieldValue, checked};

/// A key with its value, read when asked for.
#[derive(Clone, Copy)]
pub(crate) struct SpanAttribute<'a> {
    key: &'a [u8],
    value: AttributeValue<'a>,
}

#[derive(Clone, Copy)]
enum AttributeValue<'a> {
    Packed(&'a [u8]),
    Decoded(Option<&'a Any>),
}

/// A value without an allocation, if it is none of the rare ones.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ValueRef<'a> {
    Text(&'a str),
    Bool(bool),
    Int(i64),
    Double(f64),
    /// Bytes, a list or an object.
    Other(Cow<'a, Any>),
}

impl<'a> SpanAttribute<'a> {
    /// Of the bytes of a `KeyValue` that were checked.
    #[inline]
    pub(super) fn packed(pair: &'a [u8]) -> Self {
        let (mut key, mut value) = ([].as_slice(), AttributeValue::Decoded(None));
        for field in checked(pair) {
            match field {
                (1, RawFieldValue::Bytes(bytes)) => key = bytes,
                (2, RawFieldValue::Bytes(bytes)) => value = AttributeValue::Packed(bytes),
                _ => {}
            }
        }
        Self { key, value }
    }

    pub(crate) fn key(&self) -> &'a str {
        utf8(self.key)
    }

    #[inline]
    pub(crate) fn is(&self, key: &str) -> bool {
        self.key == key.as_bytes()
    }

    pub(crate) fn is_in_any_case(&self, key: &str) -> bool {
        self.key.eq_ignore_ascii_case(key.as_bytes())
    }

    /// Nothing for an attribute whose value is empty.
    #[inline]
    pub(crate) fn value(&self) -> Option<ValueRef<'a>> {
        match self.value {
            AttributeValue::Decoded(value) => value.map(ValueRef::from),
            AttributeValue::Packed(bytes) => ValueRef::packed(bytes),
        }
    }
}

impl<'a> From<&'a KeyValue> for SpanAttribute<'a> {
    fn from(pair: &'a KeyValue) -> Self {
        let value = pair.value.as_ref().and_then(|value| value.value.as_ref());
        Self { key: pair.key.as_bytes(), value: AttributeValue::Decoded(value) }
    }
}

impl<'a> ValueRef<'a> {
    /// Of the bytes of an `AnyValue` that were checked.
    #[inline]
    fn packed(value: &'a [u8]) -> Option<Self> {
        Some(match checked(value).next()? {
            (1, RawFieldValue::Bytes(text)) => Self::Text(utf8(text)),
            (2, RawFieldValue::Varint(flag)) => Self::Bool(flag != 0),
            (3, RawFieldValue::Varint(number)) => Self::Int(number as i64),
            (4, RawFieldValue::Fixed64(number)) => Self::Double(f64::from_bits(number)),
            _ => Self::Other(Cow::Owned(AnyValue::decode(value).ok()?.value?)),
        })
    }
}

impl<'a> From<&'a Any> for ValueRef<'a> {
    fn from(value: &'a Any) -> Self {
        match value {
            Any::StringValue(text) => Self::Text(text),
            Any::BoolValue(flag) => Self::Bool(*flag),
            Any::IntValue(number) => Self::Int(*number),
            Any::DoubleValue(number) => Self::Double(*number),
            other => Self::Other(Cow::Borrowed(other)),
        }
    }
}
