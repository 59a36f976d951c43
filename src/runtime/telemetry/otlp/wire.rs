//! Protocol Buffers, written straight into a buffer (protobuf.dev, "Encoding").
//!
//! Only what OTLP's messages need. Nothing is built first and measured then: a nested message is
//! written where it belongs, and its length is put in front of it afterwards.

use opentelemetry::{Array, KeyValue, Value};

const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const DELIMITED: u64 = 2;
const FIXED32: u64 = 5;

/// Appends fields to a message. A scalar that has its default value is left out, as proto3 has it.
pub(in crate::runtime::telemetry) struct Wire<'a>(&'a mut Vec<u8>);

impl<'a> Wire<'a> {
    pub(in crate::runtime::telemetry) fn new(buffer: &'a mut Vec<u8>) -> Self {
        Self(buffer)
    }

    fn key(&mut self, field: u64, wire_type: u64) {
        self.raw_varint(field << 3 | wire_type);
    }

    fn raw_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// uint32, uint64 or an enumeration.
    pub(in crate::runtime::telemetry) fn varint(&mut self, field: u64, value: u64) {
        if value != 0 {
            self.key(field, VARINT);
            self.raw_varint(value);
        }
    }

    pub(in crate::runtime::telemetry) fn fixed64(&mut self, field: u64, value: u64) {
        if value != 0 {
            self.key(field, FIXED64);
            self.0.extend_from_slice(&value.to_le_bytes());
        }
    }

    pub(in crate::runtime::telemetry) fn fixed32(&mut self, field: u64, value: u32) {
        if value != 0 {
            self.key(field, FIXED32);
            self.0.extend_from_slice(&value.to_le_bytes());
        }
    }

    /// fixed64, sfixed64 or double (its bits) with presence, so also where it is zero.
    pub(in crate::runtime::telemetry) fn present_fixed64(&mut self, field: u64, value: u64) {
        self.key(field, FIXED64);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// sint32.
    pub(in crate::runtime::telemetry) fn sint32(&mut self, field: u64, value: i32) {
        self.varint(field, u64::from((value << 1 ^ value >> 31).cast_unsigned()));
    }

    /// Packed `repeated` fixed64 or double (their bits).
    pub(in crate::runtime::telemetry) fn packed_fixed64(
        &mut self,
        field: u64,
        values: impl Iterator<Item = u64>,
    ) {
        self.message(field, |list| values.for_each(|value| list.0.extend_from_slice(&value.to_le_bytes())));
    }

    /// Packed `repeated` uint64.
    pub(in crate::runtime::telemetry) fn packed_varint(
        &mut self,
        field: u64,
        values: impl Iterator<Item = u64>,
    ) {
        self.message(field, |list| values.for_each(|value| list.raw_varint(value)));
    }

    /// bytes or string.
    pub(in crate::runtime::telemetry) fn bytes(&mut self, field: u64, value: &[u8]) {
        if !value.is_empty() {
            self.delimited(field, value);
        }
    }

    /// bytes, string or an encoded message, also where it is empty.
    pub(in crate::runtime::telemetry) fn delimited(&mut self, field: u64, value: &[u8]) {
        self.key(field, DELIMITED);
        self.raw_varint(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    /// Fields that have been encoded already.
    pub(in crate::runtime::telemetry) fn encoded(&mut self, fields: &[u8]) {
        self.0.extend_from_slice(fields);
    }

    /// A nested message, also where it is empty.
    pub(in crate::runtime::telemetry) fn message(&mut self, field: u64, write: impl FnOnce(&mut Wire<'_>)) {
        self.key(field, DELIMITED);
        let at = self.0.len();
        // One byte is the right room for the length of most of OTLP's messages.
        self.0.push(0);
        write(&mut Wire(self.0));
        let length = self.0.len() - at - 1;
        if let Ok(byte @ 0..0x80) = u8::try_from(length) {
            self.0[at] = byte;
        } else {
            let mut varint = Vec::with_capacity(5);
            Wire(&mut varint).raw_varint(length as u64);
            self.0.splice(at..=at, varint);
        }
    }

    /// `repeated KeyValue`, texts cut to `limit` characters.
    pub(in crate::runtime::telemetry) fn attributes<'k>(
        &mut self,
        field: u64,
        attributes: impl IntoIterator<Item = &'k KeyValue>,
        limit: Option<usize>,
    ) {
        for KeyValue { key, value, .. } in attributes {
            self.attribute(field, key.as_str(), value, limit);
        }
    }

    /// One `KeyValue` (common.proto), whose value `write` writes.
    pub(in crate::runtime::telemetry) fn pair(
        &mut self,
        field: u64,
        key: &str,
        write: impl FnOnce(&mut Wire<'_>),
    ) {
        self.message(field, |pair| {
            pair.bytes(1, key.as_bytes());
            pair.message(2, write);
        });
    }

    /// One `KeyValue` of a typed value.
    pub(in crate::runtime::telemetry) fn attribute(
        &mut self,
        field: u64,
        key: &str,
        value: &Value,
        limit: Option<usize>,
    ) {
        self.pair(field, key, |any| any.value(value, limit));
    }

    /// The fields of an `AnyValue` (common.proto), which are all of one `oneof`: a default is written too.
    fn value(&mut self, value: &Value, limit: Option<usize>) {
        match value {
            Value::String(text) => self.text(text.as_str(), limit),
            Value::Bool(value) => self.truth(*value),
            Value::I64(value) => self.integer(*value),
            Value::F64(value) => self.double(*value),
            Value::Array(Array::String(list)) => self.list(list, |any, text| any.text(text.as_str(), limit)),
            Value::Array(Array::Bool(list)) => self.list(list, |any, value| any.truth(*value)),
            Value::Array(Array::I64(list)) => self.list(list, |any, value| any.integer(*value)),
            Value::Array(Array::F64(list)) => self.list(list, |any, value| any.double(*value)),
            // Kinds of a later API: present, without a value.
            _ => {}
        }
    }

    /// An `AnyValue`'s only field, cut to `limit` characters.
    pub(in crate::runtime::telemetry) fn text(&mut self, text: &str, limit: Option<usize>) {
        let end = limit.and_then(|most| text.char_indices().nth(most)).map_or(text.len(), |(end, _)| end);
        self.delimited(1, &text.as_bytes()[..end]);
    }

    /// An `AnyValue`'s only field.
    pub(in crate::runtime::telemetry) fn truth(&mut self, value: bool) {
        self.key(2, VARINT);
        self.raw_varint(value.into());
    }

    /// An `AnyValue`'s only field.
    pub(in crate::runtime::telemetry) fn integer(&mut self, value: i64) {
        self.key(3, VARINT);
        self.raw_varint(value.cast_unsigned());
    }

    /// An `AnyValue`'s only field.
    pub(in crate::runtime::telemetry) fn double(&mut self, value: f64) {
        self.key(4, FIXED64);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn list<T>(&mut self, values: &[T], write: impl Fn(&mut Wire<'_>, &T)) {
        self.message(5, |array| {
            for value in values {
                array.message(1, |any| write(any, value));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::StringValue;
    use opentelemetry_proto::tonic::common::v1 as proto;
    use prost::Message;

    fn written(value: impl Into<Value>, limit: Option<usize>) -> proto::KeyValue {
        let mut buffer = Vec::new();
        // As the one attribute of a resource: its field 1.
        Wire::new(&mut buffer).attributes(1, &[KeyValue::new("key", value)], limit);
        let mut read = opentelemetry_proto::tonic::resource::v1::Resource::decode(&buffer[..]).unwrap();
        read.attributes.remove(0)
    }

    #[test]
    fn every_kind_of_value_is_read_as_it_was_written() {
        let arrays = [
            Value::Array(Array::Bool(vec![true, false])),
            Value::Array(Array::I64(vec![0, -1, i64::MAX])),
            Value::Array(Array::F64(vec![0.0, -1.5])),
            Value::Array(Array::String(vec![StringValue::from(""), StringValue::from("añ")])),
            Value::Array(Array::I64(vec![])),
        ];
        let scalars = ["".into(), "text".into(), false.into(), true.into(), 0.into(), Value::I64(i64::MIN)];
        let doubles = [0.0.into(), f64::MIN_POSITIVE.into(), Value::F64(f64::INFINITY)];
        let long = [127, 128, 16_384].map(|n| Value::from("x".repeat(n)));
        for value in arrays.into_iter().chain(scalars).chain(doubles).chain(long) {
            let expected = proto::AnyValue::from(value.clone());
            assert_eq!(written(value, None).value, Some(expected));
        }
    }

    #[test]
    fn texts_are_cut_by_characters_and_other_values_stay() {
        let cut = |value: Value| written(value, Some(3)).value.unwrap();
        assert_eq!(cut("añoñ".into()), proto::AnyValue::from(Value::from("año")));
        assert_eq!(cut("año".into()), proto::AnyValue::from(Value::from("año")));
        assert_eq!(cut(12345.into()), proto::AnyValue::from(Value::from(12345)));
        let texts = |texts: [&'static str; 2]| Value::Array(Array::String(texts.map(Into::into).into()));
        assert_eq!(cut(texts(["abcd", "a"])), proto::AnyValue::from(texts(["abc", "a"])));
    }
}
