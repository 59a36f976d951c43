//! What happens to one message: a notification is sent, once.

use std::time::Duration;

use async_trait::async_trait;
use metrics::counter;
use opentelemetry::trace::TraceContextExt;
use tracing::Instrument;

use crate::api::Event;
use crate::queue::Message;
use crate::queue::worker::{Handler, HandlerError};
use crate::schema::names;
use crate::store::{NewNotification, Notifications};

/// Sends notifications. The sending is simulated: it takes the configured time and leaves a row.
/// The row is the effect, and it is idempotent by message id, so a message that is delivered twice
/// is sent once. (With a real mail server the id would go along as its idempotency key.)
pub(super) struct Sender {
    notifications: Notifications,
    delay: Duration,
}

impl Sender {
    pub(super) fn new(notifications: Notifications, delay: Duration) -> Self {
        Self { notifications, delay }
    }

    async fn send(&self, message: &Message, event: &Event) -> Result<(), HandlerError> {
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        let context = opentelemetry::Context::current();
        let span = context.span().span_context().clone();
        let notification = NewNotification {
            message_id: message.id.clone(),
            kind: event.kind,
            order_id: event.order_id,
            user_id: event.user_id,
            trace_id: span.is_valid().then(|| span.trace_id().to_string()),
        };
        let first = self.notifications.record(&notification).await.map_err(retry)?;
        if first {
            counter!(names::NOTIFICATIONS_SENT, "type" => event.kind.as_str()).increment(1);
            tracing::info!(orderId = event.order_id, messageId = message.id, "Notification sent");
        }
        Ok(())
    }
}

#[async_trait]
impl Handler for Sender {
    async fn handle(&self, message: &Message) -> Result<(), HandlerError> {
        let event: Event = serde_json::from_slice(&message.body)
            .map_err(|error| HandlerError::Poison(format!("body is not an order event: {error}")))?;
        if self.notifications.exists(&message.id).await.map_err(retry)? {
            tracing::info!(orderId = event.order_id, messageId = message.id, "Notification was sent before");
            return Ok(());
        }
        let span = tracing::info_span!("send email", otel.kind = "internal", o11y_lab.notification.type = event.kind.as_str());
        self.send(message, &event).instrument(span).await
    }
}

fn retry(error: crate::store::StoreError) -> HandlerError {
    HandlerError::Retry(error.to_string())
}
