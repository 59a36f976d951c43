//! The two spans of a message, by the messaging conventions: PRODUCER `send`, CONSUMER `process`.
//!
//! There are no `receive`, `settle` or polling spans: an idle queue makes no traces.

use opentelemetry::trace::{Status, TraceContextExt};
use opentelemetry::{Context, KeyValue};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::{Delivery, Message, Queue};
use crate::config::TraceMode;
use crate::runtime::propagation::{MessageFields, extract, fields_of};

/// The span of handing `message` to the broker, a child of the span that stored it.
pub(super) fn send(queue: &dyn Queue, message: &Message) -> Span {
    let span = tracing::info_span!(
        parent: None,
        "send",
        otel.name = format!("send {}", queue.name()),
        otel.kind = "producer",
        messaging.system = queue.system(),
        messaging.operation.name = "send",
        "messaging.operation.type" = "send",
        messaging.destination.name = queue.name(),
        messaging.message.id = message.id,
        messaging.message.body.size = message.body.len() as i64,
    );
    // Fails where tracing is off, and then there is nothing to join.
    let _ = span.set_parent(extract(&MessageFields(&message.headers)));
    span
}

/// The span of one attempt to handle a delivery. `o11y_lab.delivery.attempt` is ours: the
/// conventions have no attribute for it.
pub(super) fn process(queue: &dyn Queue, delivery: &Delivery, mode: TraceMode) -> Span {
    let message = &delivery.message;
    let span = tracing::info_span!(
        parent: None,
        "process",
        otel.name = format!("process {}", queue.name()),
        otel.kind = "consumer",
        messaging.system = queue.system(),
        messaging.operation.name = "process",
        "messaging.operation.type" = "process",
        messaging.destination.name = queue.name(),
        messaging.message.id = message.id,
        messaging.message.body.size = message.body.len() as i64,
        o11y_lab.delivery.attempt = i64::from(delivery.attempt),
    );
    let producer = extract(&MessageFields(&message.headers));
    match mode {
        TraceMode::Child => {
            let _ = span.set_parent(producer);
        }
        TraceMode::Link => {
            let _ = span.set_parent(Context::new());
            span.add_link(producer.span().span_context().clone());
        }
    }
    span
}

/// Makes `message` carry the context of `span` in place of the one it has; other headers stay.
pub(super) fn put_into(span: &Span, message: &mut Message) {
    for (name, value) in fields_of(&span.context()) {
        message.headers.retain(|known, _| !known.eq_ignore_ascii_case(&name));
        message.headers.insert(name, value);
    }
}

/// Marks a span as failed; call it once. `kind` is one of a few words, `reason` is for people.
pub(super) fn fail(span: &Span, kind: &'static str, reason: &str) {
    span.set_attribute("error.type", kind);
    span.set_status(Status::error(reason.to_owned()));
    let event =
        vec![KeyValue::new("exception.type", kind), KeyValue::new("exception.message", reason.to_owned())];
    span.add_event("exception", event);
}
