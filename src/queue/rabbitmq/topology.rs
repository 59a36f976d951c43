//! Queues behind one queue. All go through the default exchange, their dead-letter exchange too.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, ErrorKind};

use super::link::BrokerLink;
use super::refusal::failed;
use crate::queue::QueueError;
use crate::queue::broker::unavailable;

/// Limit of deliveries in a row that ended without a settlement, after which the broker itself
/// dead-letters a message: one that kills every consumer must not do so for ever. Our own attempts do not count towards it,
/// because a retry is a new copy that carries their number; so it fits any `QUEUE_MAX_ATTEMPTS`. It
/// is RabbitMQ 4's default.
pub(super) const DELIVERY_LIMIT: u32 = 20;
/// Delivery limit of the dead letters: to browse one counts as a delivery, and RabbitMQ 4 has a limit
/// where none is set.
const BROWSE_LIMIT: i64 = 1_000_000_000;
/// Messages expire only at the head of a queue, so one that waits long holds up those behind it. In
/// a queue for each range of delays, in milliseconds, none waits more than four times too long.
const RETRY_BOUNDS: [u64; 5] = [250, 1_000, 4_000, 16_000, 64_000];

/// AMQP's codes for a queue that is there but made otherwise, and for a login that may make none.
const PRECONDITION_FAILED: u16 = 406;
const ACCESS_REFUSED: u16 = 403;

/// Names of the queues behind one queue.
pub(super) struct Topology {
    pub(super) main: String,
    pub(super) dead: String,
    /// Shortest delays first.
    pub(super) retries: Vec<(Duration, String)>,
    warned: AtomicBool,
}

impl Topology {
    pub(super) fn of(name: &str) -> Self {
        let retry = |ms| (Duration::from_millis(ms), format!("{name}.retry-{ms}"));
        Self {
            main: name.to_owned(),
            dead: format!("{name}.dead"),
            retries: RETRY_BOUNDS.into_iter().map(retry).collect(),
            warned: AtomicBool::new(false),
        }
    }

    /// Where a message waits for so long; the last queue takes all that is longer.
    pub(super) fn retry_after(&self, delay: Duration) -> &str {
        let fitting = self.retries.iter().find(|(bound, _)| delay <= *bound).or(self.retries.last());
        fitting.map_or(&self.main, |(_, queue)| queue)
    }

    /// All that have to be there, those that dead letters go to first.
    pub(super) async fn declare(&self, link: &BrokerLink) -> Result<(), QueueError> {
        let mut channel = link.channel().await?;
        let limited = |limit: i64| quorum([("x-delivery-limit", AMQPValue::LongLongInt(limit))]);
        let retries = self.retries.iter().map(|(_, queue)| (queue, dying_to(&self.main, [])));
        let limit = ("x-delivery-limit", AMQPValue::LongLongInt(DELIVERY_LIMIT.into()));
        let queues = [(&self.dead, limited(BROWSE_LIMIT)), (&self.main, dying_to(&self.dead, [limit]))];
        for (queue, arguments) in queues.into_iter().chain(retries) {
            if !self.declare_one(&channel, queue, arguments).await? {
                channel = link.channel().await?;
                count(&channel, queue).await?;
            }
        }
        Ok(())
    }

    /// False, with the channel closed, where the queue may be there but is not ours to make.
    async fn declare_one(
        &self,
        channel: &Channel,
        queue: &str,
        arguments: FieldTable,
    ) -> Result<bool, QueueError> {
        let declared = channel.queue_declare(queue.into(), QueueDeclareOptions::durable(), arguments).await;
        let Err(error) = declared else { return Ok(true) };
        let code = match error.kind() {
            ErrorKind::ProtocolError(error) => error.get_id(),
            _ => 0,
        };
        if code == PRECONDITION_FAILED && !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                queue,
                "RabbitMQ has this queue with other arguments than ours; it is used as it is, with its own \
                 type, limits and dead-letter exchange. Delete it while it is empty to have it made again"
            );
        }
        match code {
            PRECONDITION_FAILED | ACCESS_REFUSED => Ok(false),
            _ => Err(failed(error)),
        }
    }
}

/// Messages that are ready in a queue that has to be there.
pub(super) async fn count(channel: &Channel, queue: &str) -> Result<u64, QueueError> {
    let passive = QueueDeclareOptions::durable().passive();
    match channel.queue_declare(queue.into(), passive, FieldTable::default()).await {
        Ok(queue) => Ok(queue.message_count().into()),
        Err(error) if error.is_amqp_soft_error() => {
            failed(error);
            Err(unavailable("does not have the queue, or no permission to use it"))
        }
        Err(error) => Err(failed(error)),
    }
}

/// Replicated, and on disk before it is confirmed.
fn quorum<const N: usize>(more: [(&str, AMQPValue); N]) -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("quorum"));
    for (name, value) in more {
        arguments.insert(name.into(), value);
    }
    arguments
}

/// Queue whose dead letters go to another one. A message leaves this one only when it is safe there; RabbitMQ
/// demands the overflow rule for that.
fn dying_to<const N: usize>(queue: &str, more: [(&str, AMQPValue); N]) -> FieldTable {
    let mut arguments = quorum(more);
    for (name, value) in [
        ("x-dead-letter-exchange", ""),
        ("x-dead-letter-routing-key", queue),
        ("x-dead-letter-strategy", "at-least-once"),
        ("x-overflow", "reject-publish"),
    ] {
        arguments.insert(ShortString::from(name), text(value));
    }
    arguments
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_waits_in_the_first_queue_that_holds_nothing_shorter_up_for_long() {
        let topology = Topology::of("q");
        let queue = |ms| topology.retry_after(Duration::from_millis(ms)).to_owned();
        let found = [1, 250, 251, 4_000, 60_000, 3_600_000].map(queue);
        let expected = ["250", "250", "1000", "4000", "64000", "64000"].map(|ms| format!("q.retry-{ms}"));
        assert_eq!(found, expected);
    }
}
