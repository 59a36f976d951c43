//! The interface of a transport, in three parts: deliver, describe, inspect.

use std::time::Duration;

use async_trait::async_trait;
use opentelemetry::KeyValue;

use super::{DeadLetter, Delivery, Depth, Message};

/// Error of a transport. The text names no address and no credentials.
#[derive(Clone, Debug, thiserror::Error)]
pub enum QueueError {
    /// The broker cannot be reached or did not answer in time; trying again may help.
    #[error("the queue is unavailable: {0}")]
    Unavailable(String),
    /// The message cannot travel through this transport; trying again will not help.
    #[error("the queue refused the message: {0}")]
    Refused(String),
}

/// Transport with all its parts. Implementations reconnect by themselves; every call has a timeout.
pub trait Queue: Deliver + Describe + Inspect {}

impl<T: Deliver + Describe + Inspect> Queue for T {}

/// Movement of messages: publish, receive, settle.
///
/// To settle a delivery that is no longer the consumer's (its visibility timeout ended and it was
/// redelivered) does nothing and is `Ok`: the later delivery decides what becomes of the message. Not
/// every broker can tell, so nothing may depend on knowing.
#[async_trait]
pub trait Deliver: Send + Sync {
    /// Publishes a batch, in order; `Ok` means the broker has every message safe. After an error some
    /// of the batch may have arrived: publishing again is safe, consumers know ids. `Refused` is about
    /// at least one message of the batch; to learn which, publish them one by one.
    async fn publish(&self, batch: &[Message]) -> Result<(), QueueError>;

    /// Receives up to `max` messages, waiting at most `wait` for the first one. Await it to the end: a
    /// dropped future may drop messages that are redelivered only after the visibility timeout.
    ///
    /// On embedded and kafka a message is not delivered while an earlier one of its key is in the
    /// queue. Redis and rabbitmq deliver messages in the order they were published, but neither a
    /// retry nor another consumer holds up what follows. SQS promises no order.
    async fn receive(&self, max: usize, wait: Duration) -> Result<Vec<Delivery>, QueueError>;

    /// End of receiving: a `receive` that waits returns early, with what it has. A transport that
    /// cannot do this lets it wait out its time.
    async fn stop_receiving(&self) {}

    /// Settles a delivery: done.
    async fn ack(&self, delivery: &Delivery) -> Result<(), QueueError>;

    /// Settles a delivery: redeliver it after `delay`, attempt count kept.
    async fn retry(&self, delivery: &Delivery, delay: Duration) -> Result<(), QueueError>;

    /// Settles a delivery that a drain has cut short: redeliver it at once. It was no failure of the
    /// message, so it is no attempt either. As a retry where attempts are known to one process only, which
    /// ends with the drain.
    async fn requeue(&self, delivery: &Delivery) -> Result<(), QueueError> {
        self.retry(delivery, Duration::ZERO).await
    }

    /// Settles a delivery: keep it with its headers and the reason in the dead-letter queue. It
    /// leaves the queue only once it is safe there.
    async fn dead_letter(&self, delivery: &Delivery, reason: &str) -> Result<(), QueueError>;

    /// Heartbeat of a slow handler: starts the delivery's visibility timeout again.
    async fn heartbeat(&self, delivery: &Delivery) -> Result<(), QueueError>;

    /// Releases what the transport holds; called once, after the last delivery is settled.
    async fn close(&self);

    /// The same, by a consumer that has so long for it: where the broker has not accepted yet what is settled, the next
    /// one would be given it again.
    async fn close_within(&self, _patience: Duration) {
        self.close().await;
    }
}

/// Words of the messaging conventions for this transport.
pub trait Describe: Send + Sync {
    /// `messaging.system`.
    fn system(&self) -> &'static str;

    /// `messaging.destination.name`.
    fn name(&self) -> &str;

    /// Attributes of this system beside those of all: of a message and, once it was received, of its
    /// receipt. The spans are the worker's and the relay's.
    fn attributes(&self, _message: &Message, _receipt: Option<&str>) -> Vec<KeyValue> {
        Vec::new()
    }

    /// `messaging.consumer.group.name`, where consumers form one.
    fn consumer_group(&self) -> Option<&str> {
        None
    }
}

/// View from outside: readiness, counts, dead letters.
#[async_trait]
pub trait Inspect: Send + Sync {
    /// Counts messages. Also the consumer's readiness check: an error means the queue does not answer.
    async fn depth(&self) -> Result<Depth, QueueError>;

    /// Whether messages can be published, as far as can be known without doing so: the publisher's
    /// readiness check. Where the dead-letter queue may be missing while the queue is there, it is not
    /// asked: a publisher has no use for it.
    async fn takes_messages(&self) -> Result<(), QueueError> {
        self.depth().await.map(drop)
    }

    /// What the broker's own configuration may cost of the messages that it has confirmed, in a sentence
    /// for people; `None` where there is nothing, or nothing to be known.
    async fn risk(&self) -> Result<Option<String>, QueueError> {
        Ok(None)
    }

    /// Dead letters, oldest first.
    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>, QueueError>;

    /// Sends one dead letter (by message id) or all of them back to the end of the queue, headers
    /// kept, attempts counted again from 1; returns how many.
    async fn replay(&self, id: Option<&str>) -> Result<u64, QueueError>;
}
