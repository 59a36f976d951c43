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
use crate::store::{NewNotification, Notifications, StoreError};

/// Between two attempts on a store that is away; the store says in the log what is wrong with it.
const STORE_PAUSE: Duration = Duration::from_millis(500);

/// Sends notifications. The sending is simulated: it takes the configured time and leaves a row.
/// The row is the effect, and it is idempotent by message id, so a message that is delivered twice
/// is sent once. (With a real mail server the id would go along as its idempotency key.)
pub(super) struct NotificationSender {
    notifications: Notifications,
    delay: Duration,
}

impl NotificationSender {
    pub(super) fn new(notifications: Notifications, delay: Duration) -> Self {
        Self { notifications, delay }
    }

    /// True if the message's notification is the first.
    async fn record(&self, message: &Message, event: &Event) -> Result<bool, HandlerError> {
        let context = opentelemetry::Context::current();
        let span = context.span().span_context().clone();
        let notification = NewNotification {
            message_id: message.id.clone(),
            kind: event.kind,
            order_id: event.order_id,
            user_id: event.user_id,
            trace_id: span.is_valid().then(|| span.trace_id().to_string()),
        };
        patiently(|| self.notifications.record(&notification)).await
    }

    /// Sends what was not sent before; `recorded` says whether its row is there already.
    async fn send(&self, message: &Message, event: &Event, recorded: bool) -> Result<(), HandlerError> {
        if !recorded {
            tokio::time::sleep(self.delay).await;
            if !self.record(message, event).await? {
                return Ok(());
            }
        }
        counter!(names::NOTIFICATIONS_SENT, "type" => event.kind.as_str()).increment(1);
        tracing::info!(orderId = event.order_id, messageId = message.id, "Notification sent");
        Ok(())
    }
}

#[async_trait]
impl Handler for NotificationSender {
    async fn handle(&self, message: &Message) -> Result<(), HandlerError> {
        let event: Event = serde_json::from_slice(&message.body)
            .map_err(|error| HandlerError::Poison(format!("body is not an order event: {error}")))?;
        // A sending that takes no time is its row, and to store the row tells whether it is the
        // first: one operation. Before one that takes time the store has to be asked.
        let at_once = self.delay.is_zero();
        let first = if at_once {
            self.record(message, &event).await?
        } else {
            !patiently(|| self.notifications.exists(&message.id)).await?
        };
        if !first {
            tracing::info!(orderId = event.order_id, messageId = message.id, "Notification was sent before");
            return Ok(());
        }
        let span = tracing::info_span!("send email", otel.kind = "internal", o11y_lab.notification.type = event.kind.as_str());
        self.send(message, &event, at_once).instrument(span).await
    }
}

/// Asks again while the store is away. That is no fault of the message: its attempts must not run
/// out over it, and no other message would fare better. The worker's limit and its drain end this.
async fn patiently<T, F>(operation: impl Fn() -> F) -> Result<T, HandlerError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    loop {
        match operation().await {
            Err(StoreError::Unavailable(_)) => tokio::time::sleep(STORE_PAUSE).await,
            outcome => return outcome.map_err(|error| HandlerError::Retry(error.to_string())),
        }
    }
}
