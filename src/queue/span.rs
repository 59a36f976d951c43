//! Spans of a message, by the messaging conventions.
//!
//! In the trace of the sender: PRODUCER `send` and, below it, CONSUMER `process`. In a trace of its
//! own, because one call brings messages of many traces: CLIENT `receive`, linked to their producers,
//! and below it CLIENT `settle`, one for each message. A `receive` that brought nothing leaves no
//! span: an idle queue makes no traces.

use std::sync::Arc;
use std::time::SystemTime;

use opentelemetry::global::{BoxedSpan, BoxedTracer};
use opentelemetry::trace::{
    Link, Span as _, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt, Tracer,
};
use opentelemetry::{Context, KeyValue, StringValue, global};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::{Delivery, Message, Queue, QueueError};
use crate::config::TraceMode;
use crate::runtime::propagation::{MessageFields, extract, fields_of};
use crate::runtime::telemetry;

/// Maker of one queue's spans: what they have in common is put together once.
pub(super) struct QueueSpans {
    queue: Arc<dyn Queue>,
    tracer: BoxedTracer,
    send: String,
    process: String,
    receive: String,
    settle: String,
    group: Option<KeyValue>,
    /// Of the CLIENT spans; to clone it copies no text.
    destination: StringValue,
}

impl QueueSpans {
    /// To be made after tracing has begun.
    pub(super) fn new(queue: Arc<dyn Queue>) -> Self {
        let name = queue.name();
        let shared = |text: &str| StringValue::from(Arc::<str>::from(text));
        let group = queue.consumer_group().map(shared);
        Self {
            tracer: global::tracer_with_scope(telemetry::scope()),
            send: format!("send {name}"),
            process: format!("process {name}"),
            receive: format!("receive {name}"),
            settle: format!("settle {name}"),
            group: group.map(|name| KeyValue::new("messaging.consumer.group.name", name)),
            destination: shared(name),
            queue,
        }
    }

    /// Span of publishing `message`, a child of the span that stored it.
    pub(super) fn send(&self, message: &Message) -> Span {
        let span = tracing::info_span!(
            parent: None,
            "send",
            otel.name = self.send,
            otel.kind = "producer",
            messaging.system = self.queue.system(),
            messaging.operation.name = "send",
            "messaging.operation.type" = "send",
            messaging.destination.name = self.queue.name(),
            messaging.message.id = message.id,
            messaging.message.body.size = message.body.len() as i64,
        );
        add(&span, self.queue.attributes(message, None));
        // Fails where tracing is off, and then there is nothing to join.
        let _ = span.set_parent(storer(message));
        span
    }

    /// Span of one attempt to handle a delivery that `producer` sent. `o11y_lab.delivery.attempt` is
    /// ours: the conventions have no attribute for it.
    pub(super) fn process(&self, delivery: &Delivery, producer: Context, mode: TraceMode) -> Span {
        let message = &delivery.message;
        let span = tracing::info_span!(
            parent: None,
            "process",
            otel.name = self.process,
            otel.kind = "consumer",
            messaging.system = self.queue.system(),
            messaging.operation.name = "process",
            "messaging.operation.type" = "process",
            messaging.destination.name = self.queue.name(),
            messaging.message.id = message.id,
            messaging.message.body.size = message.body.len() as i64,
            o11y_lab.delivery.attempt = i64::from(delivery.attempt),
        );
        add(&span, self.queue.attributes(message, Some(&delivery.receipt)));
        add(&span, self.group.clone());
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

    /// Span of a call that brought the messages of `producers`, already over; returns the context for
    /// [`QueueSpans::settle`]. Made after the fact, since only then it is known whether there is
    /// something to tell.
    pub(super) fn receive(&self, producers: &[Context], started: SystemTime) -> Context {
        if producers.is_empty() {
            return Context::new();
        }
        let links = producers.iter().map(|producer| producer.span().span_context().clone());
        let links = links.filter(|producer| producer.is_valid()).map(Link::with_context).collect();
        let count = KeyValue::new("messaging.batch.message_count", producers.len() as i64);
        let span = self.client(&self.receive, "receive", vec![count]);
        let mut span = self.start(span.with_start_time(started).with_links(links), &Context::new());
        span.end();
        Context::new().with_remote_span_context(span.span_context().clone())
    }

    /// Starts the span of telling the broker what became of a delivery that `received` brought. `how`
    /// is `ack`, `retry` or `dead_letter`.
    pub(super) fn settle(&self, delivery: &Delivery, how: &'static str, received: &Context) -> Settling {
        let mut more = self.queue.attributes(&delivery.message, Some(&delivery.receipt));
        more.push(KeyValue::new("messaging.message.id", delivery.message.id.clone()));
        more.push(KeyValue::new("o11y_lab.settlement", how));
        Settling(self.start(self.client(&self.settle, "settle", more), received))
    }

    fn client(&self, name: &str, operation: &'static str, more: Vec<KeyValue>) -> SpanBuilder {
        let common = [
            KeyValue::new("messaging.system", self.queue.system()),
            KeyValue::new("messaging.operation.name", operation),
            KeyValue::new("messaging.operation.type", operation),
            KeyValue::new("messaging.destination.name", self.destination.clone()),
        ];
        SpanBuilder::from_name(name.to_owned())
            .with_kind(SpanKind::Client)
            .with_attributes(common.into_iter().chain(self.group.clone()).chain(more))
    }

    fn start(&self, span: SpanBuilder, parent: &Context) -> BoxedSpan {
        self.tracer.build_with_context(span, parent)
    }
}

/// Context of the span that stored `message` in the outbox. Its headers carried it, but no further than
/// to the relay of the same service: it is not remote.
fn storer(message: &Message) -> Context {
    let context = producer(message);
    let local = {
        let span = context.span();
        let ids = span.span_context();
        SpanContext::new(ids.trace_id(), ids.span_id(), ids.trace_flags(), false, ids.trace_state().clone())
    };
    context.with_remote_span_context(local)
}

/// Context of the span that sent `message`, by its headers.
pub(super) fn producer(message: &Message) -> Context {
    extract(&MessageFields(&message.headers))
}

/// Settlement under way; its span ends with it.
pub(super) struct Settling(BoxedSpan);

fn add(span: &Span, attributes: impl IntoIterator<Item = KeyValue>) {
    for KeyValue { key, value, .. } in attributes {
        span.set_attribute(key, value);
    }
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

#[cfg(test)]
mod tests;
