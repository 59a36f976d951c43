//! The spans of a message, by the messaging conventions.
//!
//! In the trace of whoever sent it: PRODUCER `send` and, below it, CONSUMER `process`. In a trace of
//! its own, because one call brings messages of many traces: CLIENT `receive`, linked to their
//! producers, and below it CLIENT `settle`, one for each message. A `receive` that brought nothing
//! leaves no span: an idle queue makes no traces.

use std::time::SystemTime;

use opentelemetry::global::BoxedSpan;
use opentelemetry::trace::{Link, Span as _, SpanBuilder, SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue, global};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::{Delivery, Message, Queue, QueueError};
use crate::config::TraceMode;
use crate::runtime::propagation::{MessageFields, extract, fields_of};
use crate::runtime::telemetry;

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
    add(&span, queue.attributes(message, None));
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
    add(&span, queue.attributes(message, Some(&delivery.receipt)));
    add(&span, group(queue));
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

/// The span of a call that brought `deliveries`, already over; returns the context for [`settle`].
/// Made after the fact, since only then it is known whether there is something to tell.
pub(super) fn receive(queue: &dyn Queue, deliveries: &[Delivery], started: SystemTime) -> Context {
    if deliveries.is_empty() {
        return Context::new();
    }
    let producers = deliveries.iter().map(|delivery| extract(&MessageFields(&delivery.message.headers)));
    let producers = producers.map(|producer| producer.span().span_context().clone());
    let links = producers.filter(|producer| producer.is_valid()).map(Link::with_context).collect();
    let count = KeyValue::new("messaging.batch.message_count", deliveries.len() as i64);
    let span = client(queue, "receive", vec![count]).with_start_time(started).with_links(links);
    let mut span = start(span, &Context::new());
    span.end();
    Context::new().with_remote_span_context(span.span_context().clone())
}

/// A settlement under way; its span ends with it.
pub(super) struct Settling(BoxedSpan);

/// Starts the span of telling the broker what became of a delivery that `received` brought. `how` is
/// `ack`, `retry` or `dead_letter`.
pub(super) fn settle(
    queue: &dyn Queue,
    delivery: &Delivery,
    how: &'static str,
    received: &Context,
) -> Settling {
    let mut more = queue.attributes(&delivery.message, Some(&delivery.receipt));
    more.push(KeyValue::new("messaging.message.id", delivery.message.id.clone()));
    more.push(KeyValue::new("o11y_lab.settlement", how));
    Settling(start(client(queue, "settle", more), received))
}

fn add(span: &Span, attributes: impl IntoIterator<Item = KeyValue>) {
    for KeyValue { key, value, .. } in attributes {
        span.set_attribute(key, value);
    }
}

fn group(queue: &dyn Queue) -> Option<KeyValue> {
    let name = queue.consumer_group()?.to_owned();
    Some(KeyValue::new("messaging.consumer.group.name", name))
}

impl Settling {
    /// Ends the span with what the broker said.
    pub(super) fn end(mut self, told: &Result<(), QueueError>) {
        if let Err(error) = told {
            self.0.set_attribute(KeyValue::new("error.type", "queue_unavailable"));
            self.0.set_status(Status::error(error.to_string()));
        }
        self.0.end();
    }
}

fn client(queue: &dyn Queue, operation: &'static str, more: Vec<KeyValue>) -> SpanBuilder {
    let common = [
        KeyValue::new("messaging.system", queue.system()),
        KeyValue::new("messaging.operation.name", operation),
        KeyValue::new("messaging.operation.type", operation),
        KeyValue::new("messaging.destination.name", queue.name().to_owned()),
    ];
    SpanBuilder::from_name(format!("{operation} {}", queue.name()))
        .with_kind(SpanKind::Client)
        .with_attributes(common.into_iter().chain(group(queue)).chain(more))
}

fn start(span: SpanBuilder, parent: &Context) -> BoxedSpan {
    global::tracer_with_scope(telemetry::scope()).build_with_context(span, parent)
}

/// Makes `message` carry the context of `span` in place of the one it has; other headers stay.
pub(super) fn put_into(span: &Span, message: &mut Message) {
    for (name, value) in fields_of(&span.context()) {
        message.headers.retain(|known, _| !known.eq_ignore_ascii_case(&name));
        message.headers.insert(name, value);
    }
}

/// Takes the context of `span` out of the message again.
pub(super) fn take_out_of(span: &Span, message: &mut Message) {
    for (name, _) in fields_of(&span.context()) {
        message.headers.retain(|known, _| !known.eq_ignore_ascii_case(&name));
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
