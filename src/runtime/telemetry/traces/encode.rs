//! A span as OTLP has it (opentelemetry/proto/trace/v1/trace.proto).

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{Event, Link, SpanContext, SpanId, SpanKind, Status};
use opentelemetry_proto::tonic::trace::v1::SpanFlags;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind as ProtoKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_sdk::trace::SpanData;

use crate::runtime::telemetry::otlp::Wire;

/// Writes the fields of a `Span`, texts of attributes cut to `limit` characters
/// (`OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT`, which the SDK does not have).
pub(super) fn write_span(wire: &mut Wire<'_>, span: &SpanData, limit: Option<usize>) {
    write_ids(wire, &span.span_context);
    if span.parent_span_id != SpanId::INVALID {
        wire.bytes(4, &span.parent_span_id.to_bytes());
    }
    wire.bytes(5, span.name.as_bytes());
    wire.varint(6, kind(&span.span_kind) as u64);
    wire.fixed64(7, nanoseconds(span.start_time));
    wire.fixed64(8, nanoseconds(span.end_time));
    wire.attributes(9, &span.attributes, limit);
    wire.varint(10, span.dropped_attributes_count.into());
    for event in span.events.iter() {
        wire.message(11, |wire| write_event(wire, event, limit));
    }
    wire.varint(12, span.events.dropped_count.into());
    for link in span.links.iter() {
        wire.message(13, |wire| write_link(wire, link, limit));
    }
    wire.varint(14, span.links.dropped_count.into());
    wire.message(15, |wire| match &span.status {
        Status::Unset => {}
        Status::Ok => wire.varint(3, StatusCode::Ok as u64),
        Status::Error { description } => {
            wire.bytes(2, description.as_bytes());
            wire.varint(3, StatusCode::Error as u64);
        }
    });
    wire.fixed32(16, flags(&span.span_context, span.parent_span_is_remote));
}

fn write_ids(wire: &mut Wire<'_>, context: &SpanContext) {
    wire.bytes(1, &context.trace_id().to_bytes());
    wire.bytes(2, &context.span_id().to_bytes());
    wire.bytes(3, context.trace_state().header().as_bytes());
}

fn write_event(wire: &mut Wire<'_>, event: &Event, limit: Option<usize>) {
    wire.fixed64(1, nanoseconds(event.timestamp));
    wire.bytes(2, event.name.as_bytes());
    wire.attributes(3, &event.attributes, limit);
    wire.varint(4, event.dropped_attributes_count.into());
}

fn write_link(wire: &mut Wire<'_>, link: &Link, limit: Option<usize>) {
    write_ids(wire, &link.span_context);
    wire.attributes(4, &link.attributes, limit);
    wire.varint(5, link.dropped_attributes_count.into());
    wire.fixed32(6, flags(&link.span_context, link.span_context.is_remote()));
}

/// The trace flags, and above them whether the other side is in another process.
fn flags(context: &SpanContext, remote: bool) -> u32 {
    let mut flags = SpanFlags::ContextHasIsRemoteMask as u32 | u32::from(context.trace_flags().to_u8());
    if remote {
        flags |= SpanFlags::ContextIsRemoteMask as u32;
    }
    flags
}

fn kind(kind: &SpanKind) -> ProtoKind {
    match kind {
        SpanKind::Internal => ProtoKind::Internal,
        SpanKind::Server => ProtoKind::Server,
        SpanKind::Client => ProtoKind::Client,
        SpanKind::Producer => ProtoKind::Producer,
        SpanKind::Consumer => ProtoKind::Consumer,
    }
}

/// Since 1970; 0, "unknown", for a time before it, and the end of time for one after 2554.
pub(in crate::runtime) fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use opentelemetry::trace::{TraceFlags, TraceId, TraceState};
    use opentelemetry::{InstrumentationScope, KeyValue};
    use opentelemetry_proto::tonic::trace::v1::Span;
    use opentelemetry_sdk::trace::{SpanEvents, SpanLinks};
    use prost::Message;

    use super::*;

    fn context(span: u64, remote: bool) -> SpanContext {
        let state = TraceState::from_key_value([("vendor", "a"), ("other", "b")]).unwrap();
        let ids = (TraceId::from(u128::MAX / 3), SpanId::from(span));
        SpanContext::new(ids.0, ids.1, TraceFlags::SAMPLED, remote, state)
    }

    fn span(kind: SpanKind, status: Status, parent: (SpanId, bool)) -> SpanData {
        let time = UNIX_EPOCH + Duration::new(1_790_000_000, 123_456_789);
        let attributes = vec![KeyValue::new("text", "x".repeat(300)), KeyValue::new("n", -7)];
        let mut events = SpanEvents::default();
        let event = |n: usize| Event::new(format!("event {n}"), time, attributes[..n].to_vec(), n as u32);
        events.events = (0..=2).map(event).collect();
        events.dropped_count = 3;
        let mut links = SpanLinks::default();
        links.links = [true, false].map(|r| Link::new(context(9, r), attributes.clone(), 4)).into();
        links.dropped_count = 5;
        SpanData {
            span_context: context(1, false),
            parent_span_id: parent.0,
            parent_span_is_remote: parent.1,
            span_kind: kind,
            name: "GET /users/{id}".into(),
            start_time: time,
            end_time: time + Duration::from_nanos(1),
            attributes,
            dropped_attributes_count: 200,
            events,
            links,
            status,
            instrumentation_scope: InstrumentationScope::default(),
        }
    }

    fn encoded(span: &SpanData) -> Span {
        let mut bytes = Vec::new();
        write_span(&mut Wire::new(&mut bytes), span, None);
        Span::decode(&bytes[..]).unwrap()
    }

    #[test]
    fn a_span_is_encoded_as_the_projects_own_conversion_has_it() {
        let failed = Status::error("it broke");
        for (kind, status) in [
            (SpanKind::Internal, Status::Unset),
            (SpanKind::Server, failed),
            (SpanKind::Client, Status::Ok),
            (SpanKind::Producer, Status::error("")),
            (SpanKind::Consumer, Status::Unset),
        ] {
            for parent in [(SpanId::INVALID, false), (SpanId::from(7), true), (SpanId::from(7), false)] {
                let span = span(kind.clone(), status.clone(), parent);
                assert_eq!(encoded(&span), Span::from(span.clone()));
            }
        }
    }

    #[test]
    fn a_time_before_1970_is_unknown() {
        assert_eq!(nanoseconds(UNIX_EPOCH - Duration::from_secs(1)), 0);
    }
}
