//! Where faults touch the queue: what is published, and what the consumer makes of it.
//!
//! A poison message is the consumer's: it reads half of the body, as a consumer would that does not
//! know a new format. The queue keeps the whole of it, so an accepted order loses nothing for good:
//! once the consumer is in order again, `queue dead replay` brings its notification.

use std::time::Duration;

use async_trait::async_trait;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::worker::{Handler, HandlerError};
use super::{Message, span};
use crate::runtime::Faults;
use crate::schema::{FAULT_ATTRIBUTE, faults};

/// Time between two checks whether a stalled consumer may go on.
const STALL_CHECK: Duration = Duration::from_millis(100);

/// A message is about to be published, with the context of its PRODUCER `span` in its headers.
pub(super) fn on_publishing(all: &Faults, span: &Span, message: &mut Message) {
    if all.hits(faults::DROP_CONTEXT).is_some() {
        span.set_attribute(FAULT_ATTRIBUTE, faults::DROP_CONTEXT);
        span::take_out_of(span, message);
    }
}

/// A handler with the consumer's faults before it.
pub struct Faulty<H> {
    handler: H,
    faults: Faults,
}

impl<H: Handler> Faulty<H> {
    /// Puts `faults` before `handler`.
    pub fn new(handler: H, faults: &Faults) -> Self {
        Self { handler, faults: faults.clone() }
    }
}

#[async_trait]
impl<H: Handler> Handler for Faulty<H> {
    async fn handle(&self, message: &Message) -> Result<(), HandlerError> {
        if self.faults.hits(faults::HANDLER_ERROR).is_some() {
            Span::current().set_attribute(FAULT_ATTRIBUTE, faults::HANDLER_ERROR);
            return Err(HandlerError::Retry("the notification could not be sent".to_owned()));
        }
        if self.faults.hits(faults::POISON).is_some() {
            Span::current().set_attribute(FAULT_ATTRIBUTE, faults::POISON);
            let half = message.body[..message.body.len() / 2].to_vec();
            return self.handler.handle(&Message { body: half, ..message.clone() }).await;
        }
        self.handler.handle(message).await
    }

    async fn wants_more(&self) {
        while self.faults.hits(faults::CONSUMER_STALL).is_some() {
            tokio::time::sleep(STALL_CHECK).await;
        }
        self.handler.wants_more().await;
    }
}
