//! What is read of a span's bytes, against what prost makes of them.
#![allow(clippy::unwrap_used)]

use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::trace::v1::Status;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};

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

fn decoded(attributes: &[KeyValue]) -> Vec<(String, Option<Any>)> {
    let value = |pair: &KeyValue| pair.value.as_ref().and_then(|value| value.value.clone());
    attributes.iter().map(|pair| (pair.key.clone(), value(pair))).collect()
}

fn read<'a>(attributes: impl Iterator<Item = SpanAttribute<'a>>) -> Vec<(String, Option<Any>)> {
    let any = |value: ValueRef<'_>| match value {
        ValueRef::Text(text) => Any::StringValue(text.to_owned()),
        ValueRef::Bool(flag) => Any::BoolValue(flag),
        ValueRef::Int(number) => Any::IntValue(number),
        ValueRef::Double(number) => Any::DoubleValue(number),
        ValueRef::Other(any) => any.into_owned(),
    };
    attributes.map(|attribute| (attribute.key().to_owned(), attribute.value().map(any))).collect()
}

/// Everything that is read of the bytes is what stands in the decoded span.
fn assert_reads(packed: &PackedSpan, span: &Span) {
    assert_eq!(packed.trace_id.to_be_bytes(), *span.trace_id);
    assert_eq!(packed.span_id.to_be_bytes(), *span.span_id);
    assert_eq!(packed.parent_span_id.to_be_bytes(), *span.parent_span_id);
    assert_eq!((packed.start, packed.end), (span.start_time_unix_nano, span.end_time_unix_nano));
    let status = span.status.clone().unwrap_or_default();
    assert_eq!((packed.kind, packed.status_code), (span.kind, status.code));
    assert_eq!((packed.name(), packed.trace_state()), (span.name.as_str(), span.trace_state.as_str()));
    assert_eq!(packed.status_message(), status.message);
    assert_eq!(read(packed.attributes()), decoded(&span.attributes));
    let events: Vec<_> = packed.events().map(|event| (event.name(), read(event.attributes()))).collect();
    let expected: Vec<_> =
        span.events.iter().map(|event| (event.name.as_str(), decoded(&event.attributes))).collect();
    assert_eq!((events, packed.has_links), (expected, !span.links.is_empty()));
    let searched = packed.searched().map(|part| match part {
        SearchedPart::Text(text) => text.to_owned(),
        SearchedPart::Attribute(attribute) => attribute.key().to_owned(),
        SearchedPart::Event(event) => event.name().to_owned(),
    });
    let mut searched: Vec<_> = searched.filter(|text| !text.is_empty()).collect();
    let keys = span.attributes.iter().map(|pair| pair.key.clone());
    let events = span.events.iter().map(|event| event.name.clone());
    let all = keys.chain(events).chain([span.name.clone(), status.message]);
    let mut all: Vec<_> = all.filter(|text| !text.is_empty()).collect();
    searched.sort_unstable();
    all.sort_unstable();
    assert_eq!(searched, all);
    let links = packed.links().map(|link| (link.trace_id(), link.span_id(), read(link.attributes())));
    let expected = span.links.iter().map(|link| {
        (check::trace_id(&link.trace_id), check::span_id(&link.span_id), decoded(&link.attributes))
    });
    assert_eq!(links.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}

/// Nothing is in order that prost does not read, and nothing else is read of it.
fn is_in_order(bytes: &[u8]) -> bool {
    let Some((checked, _)) = check::span(bytes, CheckedValues::Single) else { return false };
    let packed = PackedSpan { bytes: bytes.into(), ..checked };
    let span = Span::decode(bytes).unwrap();
    // An id of a wrong length is read as none; a double that is no number equals nothing.
    let right = |id: &[u8], length| id.len() == length;
    if right(&span.trace_id, 16) && right(&span.span_id, 8) && right(&span.parent_span_id, 8) {
        let text = format!("{span:?}");
        if !text.contains("NaN") {
            assert_reads(&packed, &span);
        }
    }
    assert_eq!(packed.decode().encode_to_vec(), span.encode_to_vec(), "{bytes:02x?}");
    true
}

#[test]
fn a_span_as_exporters_write_it_is_kept_as_it_is_and_read_as_prost_reads_it() {
    let bytes = span().encode_to_vec();
    assert!(is_in_order(&bytes) && is_in_order(&[]));
    let packed = PackedSpan::read(&bytes).unwrap();
    assert_eq!(*packed.bytes, *bytes);
    assert_reads(&packed, &span());
    let names: [&[&str]; 3] = [&["no", "least", "yes"], &["no"], &["half", "text"]];
    let expected = [Some(ValueRef::Int(i64::MIN)), None, Some(ValueRef::Double(-0.5))];
    assert_eq!(packed.pick(names), expected);
}

#[test]
fn what_is_cut_changed_or_made_of_chance_is_read_as_prost_reads_it_or_left_to_it() {
    let bytes = span().encode_to_vec();
    let mut in_order = 0;
    for end in 0..bytes.len() {
        in_order += usize::from(is_in_order(&bytes[..end]));
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
        in_order += usize::from(is_in_order(&other));
        assert_eq!(PackedSpan::read(&other).is_ok(), Span::decode(&*other).is_ok(), "{other:02x?}");
    }
    assert!(in_order > 500, "{in_order} of them were in order");
}

#[test]
fn what_is_not_plain_is_kept_as_prost_writes_it() {
    let list = Any::ArrayValue(ArrayValue { values: vec![AnyValue { value: Some(Any::IntValue(1)) }] });
    let object = Any::KvlistValue(KeyValueList { values: vec![pair("inner", list.clone())] });
    let nested = Span { attributes: vec![pair("list", list), pair("object", object)], ..span() };
    let twice = [span().encode_to_vec(), Span { name: "again".into(), ..Span::default() }.encode_to_vec()];
    for bytes in
        [nested.encode_to_vec(), twice.concat(), [span().encode_to_vec(), vec![0xfa, 0x7f, 0]].concat()]
    {
        assert!(!is_in_order(&bytes), "{bytes:02x?}");
        let span = Span::decode(&*bytes).unwrap();
        let packed = PackedSpan::read(&bytes).unwrap();
        assert_reads(&packed, &span);
        assert_eq!(packed.decode(), span);
    }
    for wrong in [[0x08, 1].as_slice(), &[0x0b, 0x0c], &[0x2a, 2, 0xff, 0xff], &[0x2a, 9, b'a']] {
        assert_eq!(PackedSpan::read(wrong).unwrap_err(), Span::decode(wrong).unwrap_err());
    }
}

#[test]
fn missing_times_are_those_that_are_there() {
    let times = |start_time_unix_nano, end_time_unix_nano, event| {
        let events = vec![Event { time_unix_nano: event, ..Event::default() }];
        let span = Span { start_time_unix_nano, end_time_unix_nano, events, ..span() };
        let packed = PackedSpan::read(&span.encode_to_vec()).unwrap();
        (packed.start, packed.end, packed.decode().events[0].time_unix_nano)
    };
    assert_eq!(times(0, 7, 6), (7, 7, 6));
    assert_eq!(times(5, 0, 0), (5, 5, 5));
    assert_eq!(times(5, 7, 0), (5, 7, 5));
    assert_eq!(times(0, 0, 0), (0, 0, 0));
}
