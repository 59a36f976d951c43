//! The asynchronous boundary: at least once, in order for a key, nothing lost.
//!
//! A transport moves bytes and headers and nothing else ([`Queue`]). Everything that is policy
//! lives once: the [`worker`] consumes (spans, retry, acknowledge, dead letters, drain), the
//! [`relay`] publishes what the outbox holds.
//!
//! A further transport is one file here that implements [`Queue`] and one line in [`open`], with its
//! settings in `config`; one row in the table of the conformance suite proves that it keeps the
//! promises. `broker`, `wire` and `together` hold what transports share.

mod broker;
pub mod embedded;
pub mod fault;
#[cfg(feature = "kafka")]
pub mod kafka;
mod metrics;
mod outage;
pub mod rabbitmq;
pub mod redis;
pub mod relay;
mod span;
pub mod sqs;
#[cfg(test)]
mod testing;
mod together;
mod wire;
pub mod worker;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry::KeyValue;

use crate::config::{QueueConfig, Transport};
use crate::runtime::{Runtime, Shutdown};
use crate::schema::QueueUse;

/// Largest message that every transport takes, headers, key and body together: Amazon SQS's 256 KiB,
/// the narrowest limit, less room for what the queue adds, the reason of a dead letter included. So a
/// message that passes here passes everywhere, there and back.
pub const MAX_MESSAGE_BYTES: usize = 240 * 1024;

/// One message on its way. `headers` carry the trace context; each transport puts them into its
/// native place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Unique; the consumer's effect happens once for each id.
    pub id: String,
    /// Messages with the same key are delivered in the order they were published, as far as the
    /// transport promises it; see [`Queue::receive`].
    pub key: String,
    /// String headers, the W3C trace context among them.
    pub headers: BTreeMap<String, String>,
    /// A JSON document.
    pub body: Vec<u8>,
}

impl Message {
    /// The size that counts against [`MAX_MESSAGE_BYTES`].
    pub fn size(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.id.len() + self.key.len() + headers + self.body.len()
    }
}

/// A message in the hands of one consumer until it settles it or the visibility timeout ends.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The message.
    pub message: Message,
    /// 1 for the first delivery. Counts deliveries, so one that ended in a crash counts too.
    pub attempt: u32,
    /// What the transport needs to settle it; meaningless to everybody else.
    pub receipt: String,
}

/// How many messages are where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Depth {
    /// Not yet given to a consumer, messages that wait for a retry included (except on SQS).
    pub waiting: u64,
    /// In the hands of a consumer. SQS hides a message that waits for a retry the same way and
    /// counts it here.
    #[serde(rename = "inFlight")]
    pub in_flight: u64,
    /// In the dead-letter queue.
    pub dead: u64,
}

/// A message that was given up.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// The message, headers included.
    pub message: Message,
    /// Why it was given up.
    pub reason: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was given up, milliseconds since the Unix epoch.
    pub died_at_ms: i64,
}

/// Time between two looks at the queue's depth.
const DEPTH_INTERVAL: Duration = Duration::from_secs(2);

/// What a transport can fail with. The text names no address and no credentials.
#[derive(Clone, Debug, thiserror::Error)]
pub enum QueueError {
    /// The broker cannot be reached or did not answer in time; trying again may help.
    #[error("the queue is unavailable: {0}")]
    Unavailable(String),
    /// The message cannot travel through this transport; trying again will not help.
    #[error("the queue refused the message: {0}")]
    Refused(String),
}

/// What every transport does. Implementations reconnect by themselves; every call has a timeout.
///
/// To settle a delivery that is no longer the consumer's (its visibility timeout ended and it was
/// given out again) does nothing and is `Ok`: the later delivery decides what becomes of the
/// message. Not every broker can tell, so nobody may build on knowing.
#[async_trait]
pub trait Queue: Send + Sync {
    /// `messaging.system`.
    fn system(&self) -> &'static str;

    /// `messaging.destination.name`.
    fn name(&self) -> &str;

    /// What the messaging conventions want to know of this system beside what they want of all: of a
    /// message and, once it was received, of its receipt. The spans are the worker's and the relay's.
    fn attributes(&self, _message: &Message, _receipt: Option<&str>) -> Vec<KeyValue> {
        Vec::new()
    }

    /// `messaging.consumer.group.name`, where consumers form one.
    fn consumer_group(&self) -> Option<&str> {
        None
    }

    /// Hands over a batch, in order; `Ok` means the broker has every message safe. After an error
    /// some of the batch may have arrived: publishing again is safe, consumers know ids. `Refused`
    /// is about at least one message of the batch; to learn which, publish them one by one.
    async fn publish(&self, batch: &[Message]) -> Result<(), QueueError>;

    /// Takes up to `max` messages, waiting at most `wait` for the first one. Await it to the end:
    /// whoever drops the future may drop messages that come again only after the visibility timeout.
    ///
    /// On embedded and kafka a message is not given out while an earlier one of its key is in the
    /// queue. Redis and rabbitmq give messages out in the order they were published, but neither a
    /// retry nor another consumer holds up what follows. SQS promises no order.
    async fn receive(&self, max: usize, wait: Duration) -> Result<Vec<Delivery>, QueueError>;

    /// Says that no further message is wanted: a `receive` that waits returns early, with what it
    /// has. A transport that cannot do this lets it wait out its time.
    async fn stop_receiving(&self) {}

    /// Settles a delivery: done.
    async fn ack(&self, delivery: &Delivery) -> Result<(), QueueError>;

    /// Settles a delivery: give it out again after `delay`, attempt count kept.
    async fn retry(&self, delivery: &Delivery, delay: Duration) -> Result<(), QueueError>;

    /// Settles a delivery: keep it with its headers and the reason in the dead-letter queue. It
    /// leaves the queue only once it is safe there.
    async fn dead_letter(&self, delivery: &Delivery, reason: &str) -> Result<(), QueueError>;

    /// Says that a slow handler is still at work, so that the message is not given out again.
    async fn heartbeat(&self, delivery: &Delivery) -> Result<(), QueueError>;

    /// Counts messages. Also the consumer's readiness check: an error means the queue does not answer.
    async fn depth(&self) -> Result<Depth, QueueError>;

    /// Whether messages can be published, as far as can be known without doing so: the publisher's
    /// readiness check. Where the dead-letter queue may be missing while the queue is there, it is not
    /// asked: a publisher has no use for it.
    async fn takes_messages(&self) -> Result<(), QueueError> {
        self.depth().await.map(drop)
    }

    /// The dead letters, oldest first.
    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>, QueueError>;

    /// Sends one dead letter (by message id) or all of them back to the end of the queue, headers
    /// kept, attempts counted anew; returns how many.
    async fn replay(&self, id: Option<&str>) -> Result<u64, QueueError>;

    /// Gives back what the transport holds; called once, after the last delivery is settled.
    async fn close(&self);
}

/// Opens the configured transport. A broker that is down is no error here: the calls say so.
///
/// # Errors
/// Settings that can never work.
pub async fn open(config: &QueueConfig, data_dir: &std::path::Path) -> Result<Arc<dyn Queue>, QueueError> {
    match config.queue_transport {
        Transport::Embedded => Ok(Arc::new(embedded::Embedded::new(
            data_dir.join(embedded::FILE_NAME),
            &config.queue_name,
            config.queue_visibility_timeout,
        ))),
        Transport::Redis => Ok(Arc::new(redis::Redis::open(config)?)),
        Transport::Sqs => Ok(Arc::new(sqs::Sqs::open(config).await?)),
        Transport::Rabbitmq => Ok(Arc::new(rabbitmq::RabbitMq::open(config)?)),
        #[cfg(feature = "kafka")]
        Transport::Kafka => Ok(Arc::new(kafka::Kafka::open(config)?)),
        #[cfg(not(feature = "kafka"))]
        Transport::Kafka => Err(QueueError::Unavailable(config.check().err().unwrap_or_default())),
    }
}

/// Makes readiness depend on what this side needs of the queue, and counts the queue's messages.
pub fn watch(queue: &Arc<dyn Queue>, side: QueueUse, runtime: &mut Runtime) {
    runtime.spawn(watch_depth(queue.clone(), side, runtime.shutdown().clone()));
    let queue = queue.clone();
    runtime.health().require("queue", move || {
        let queue = queue.clone();
        Box::pin(async move {
            let asked = match side {
                QueueUse::Publishes => queue.takes_messages().await,
                _ => queue.depth().await.map(drop),
            };
            asked.map_err(|error| error.to_string())
        })
    });
}

/// Keeps the gauges of waiting messages and dead letters up to date until `shutdown` begins. While
/// the queue does not answer they keep their last values. The publisher counts the waiting ones
/// too, so that a dead consumer does not take its alert along.
async fn watch_depth(queue: Arc<dyn Queue>, side: QueueUse, shutdown: Shutdown) {
    let mut outage = outage::Outage::of("Counting the queue's messages");
    while !shutdown.begun() {
        match queue.depth().await {
            Ok(depth) => {
                outage.worked();
                metrics::depth(depth, side);
            }
            Err(error) => {
                outage.failed(&error.to_string());
            }
        }
        tokio::select! { () = tokio::time::sleep(DEPTH_INTERVAL) => {}, () = shutdown.wait() => {} }
    }
}
