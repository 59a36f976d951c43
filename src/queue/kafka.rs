//! Kafka: a topic, a consumer group, a dead-letter topic.
//!
//! ```text
//! publish ──> topic NAME ──> member of group NAME ──settled──> offset committed
//!                  ^              │  ^   │
//!                  │              │  └───┴─retry: in the member's memory, until its time
//!                  │              └─dead letter──> topic NAME.dead
//!                  └──────────────────replay──────────┘ (group NAME.dead says how far)
//! ```
//!
//! A topic is a log: nothing leaves it, a group only moves on in it. So this transport keeps what a
//! broker with queues would: which messages are in flight, which wait for a retry, and up to which
//! offset all are settled, which is as far as the group may move on. What a member had when it died
//! is redelivered, its attempts counted from the start. A key belongs to one partition and a partition to one
//! member, so no message overtakes an earlier one of its key, not even one that waits for a retry;
//! other keys of the partition go on, as far as [`window`] lets them.
//!
//! The client, librdkafka, finds lost brokers again by itself. Its calls that block run beside the
//! async workers, and each has a time limit.

mod answers;
mod client;
mod commit;
mod dead;
mod incoming;
mod member;
mod outgoing;
mod reader;
mod record;
mod window;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry::KeyValue;
use tokio::sync::{Mutex, OnceCell};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::client::{Access, Topics, blocking};
use self::incoming::Incoming;
use self::outgoing::{Outgoing, OutgoingRecord};
use self::reader::Reader;
use super::broker::{CALL_TIMEOUT, within};
use super::{DeadLetter, Deliver, Delivery, Depth, Describe, Inspect, Message, QueueError, wire};
use crate::config::{QueueConfig, Transport};

/// Wait before a message comes again that could not be put into the dead-letter topic.
const NOT_KEPT: Duration = Duration::from_secs(1);

/// One process's access to one queue.
pub struct Kafka {
    access: Arc<Access>,
    topics: Arc<Topics>,
    visibility_timeout: Duration,
    reader: OnceCell<Arc<Reader>>,
    outgoing: Mutex<Option<Arc<Outgoing>>>,
    /// A member of the group from the first `receive` on: who only publishes takes no partition.
    incoming: Mutex<Option<Arc<Incoming>>>,
    stopped: CancellationToken,
}

impl Kafka {
    /// Connects to nothing yet: the first call does, and each call after the connection was lost.
    ///
    /// # Errors
    /// Settings that can never work, such as an authority's file that cannot be read.
    pub fn open(config: &QueueConfig) -> Result<Self, QueueError> {
        Ok(Self {
            access: Arc::new(Access::of(&config.broker)?),
            topics: Arc::new(Topics::of(&config.queue_name, config.broker.kafka_partitions)),
            visibility_timeout: config.queue_visibility_timeout,
            reader: OnceCell::new(),
            outgoing: Mutex::default(),
            incoming: Mutex::default(),
            stopped: CancellationToken::new(),
        })
    }

    /// What asks the broker; the topics are there.
    async fn reader(&self) -> Result<Arc<Reader>, QueueError> {
        let open = || async {
            let (access, topics) = (self.access.clone(), self.topics.clone());
            blocking(move || Reader::open(access, topics).map(Arc::new)).await
        };
        let reader = self.reader.get_or_try_init(open).await?.clone();
        if !reader.ready() {
            let asking = reader.clone();
            blocking(move || asking.prepare()).await?;
        }
        Ok(reader)
    }

    async fn outgoing(&self) -> Result<Arc<Outgoing>, QueueError> {
        let mut line = self.outgoing.lock().await;
        if let Some(outgoing) = line.as_ref().filter(|outgoing| outgoing.usable()) {
            return Ok(outgoing.clone());
        }
        let access = self.access.clone();
        let outgoing = blocking(move || Outgoing::open(&access).map(Arc::new)).await?;
        Ok(line.insert(outgoing).clone())
    }

    async fn incoming(&self) -> Result<Arc<Incoming>, QueueError> {
        let mut line = self.incoming.lock().await;
        if let Some(incoming) = line.as_ref().filter(|incoming| incoming.usable()) {
            return Ok(incoming.clone());
        }
        self.reader().await?;
        let (access, topics, timeout) = (self.access.clone(), self.topics.clone(), self.visibility_timeout);
        let incoming = blocking(move || Incoming::open(&access, &topics, timeout).map(Arc::new)).await?;
        Ok(line.insert(incoming).clone())
    }

    /// The member that deliveries came from.
    async fn held_by(&self) -> Option<Arc<Incoming>> {
        self.incoming.lock().await.clone()
    }

    /// The member, if there is one and nobody is just opening it.
    fn member(&self) -> Option<Arc<Incoming>> {
        self.incoming.try_lock().ok()?.clone()
    }

    async fn send(&self, records: Vec<OutgoingRecord>) -> Result<(), QueueError> {
        within(CALL_TIMEOUT, async {
            self.reader().await?;
            self.outgoing().await?.send(records).await
        })
        .await
    }
}

impl Describe for Kafka {
    fn system(&self) -> &'static str {
        Transport::Kafka.row().system
    }

    fn name(&self) -> &str {
        &self.topics.main
    }

    fn attributes(&self, message: &Message, receipt: Option<&str>) -> Vec<KeyValue> {
        let mut found = vec![KeyValue::new("messaging.kafka.message.key", message.key.clone())];
        if let Some((partition, offset)) = receipt.and_then(incoming::place) {
            found.push(KeyValue::new("messaging.destination.partition.id", partition.to_string()));
            found.push(KeyValue::new("messaging.kafka.offset", offset));
        }
        found
    }

    fn consumer_group(&self) -> Option<&str> {
        Some(&self.topics.main)
    }
}

#[async_trait]
impl Deliver for Kafka {
    async fn publish(&self, batch: &[Message]) -> Result<(), QueueError> {
        wire::check(batch)?;
        self.send(batch.iter().map(|message| OutgoingRecord::of(&self.topics.main, message, [])).collect())
            .await
    }

    async fn receive(&self, max: usize, wait: Duration) -> Result<Vec<Delivery>, QueueError> {
        let deadline = Instant::now() + wait;
        let incoming = within(CALL_TIMEOUT, self.incoming()).await?;
        let deliveries = incoming.receive(max, deadline, &self.stopped).await?;
        if deliveries.is_empty() && incoming.in_trouble() {
            // The client says when it loses its broker, not when it has found it again.
            let reader = self.reader().await?;
            blocking(move || reader.ask().map(drop)).await?;
            incoming.out_of_trouble();
        }
        Ok(deliveries)
    }

    async fn stop_receiving(&self) {
        self.stopped.cancel();
    }

    async fn ack(&self, delivery: &Delivery) -> Result<(), QueueError> {
        if let Some(incoming) = self.held_by().await {
            incoming.settle(delivery);
        }
        Ok(())
    }

    async fn retry(&self, delivery: &Delivery, delay: Duration) -> Result<(), QueueError> {
        if let Some(incoming) = self.held_by().await {
            incoming.put_back(delivery, delay);
        }
        Ok(())
    }

    async fn dead_letter(&self, delivery: &Delivery, reason: &str) -> Result<(), QueueError> {
        let Some(incoming) = self.held_by().await.filter(|incoming| incoming.holds(delivery)) else {
            return Ok(());
        };
        let fields = wire::dead_fields(delivery, reason);
        let kept = self.send(vec![OutgoingRecord::of(&self.topics.dead, &delivery.message, fields)]).await;
        match &kept {
            Ok(()) => incoming.settle(delivery),
            Err(_) => incoming.put_back(delivery, NOT_KEPT),
        }
        kept
    }

    /// Where the partition is about to go to another member, it stays ours until the message is
    /// settled, for as long as it is spoken of. Otherwise it is ours anyway.
    async fn heartbeat(&self, delivery: &Delivery) -> Result<(), QueueError> {
        if let Some(incoming) = self.held_by().await {
            incoming.heard_of(delivery);
        }
        Ok(())
    }

    async fn close(&self) {
        self.close_within(Duration::ZERO).await;
    }

    /// A group that synchronises accepts no commit, and that takes seconds where its members come and go.
    async fn close_within(&self, patience: Duration) {
        self.stop_receiving().await;
        if let Some(incoming) = self.incoming.lock().await.take() {
            incoming.close(patience).await;
        }
        self.outgoing.lock().await.take();
    }
}

#[async_trait]
impl Inspect for Kafka {
    /// Waiting is the group's lag. In flight is what this handle has received; what other members
    /// have counts as waiting, for Kafka does not know.
    async fn depth(&self) -> Result<Depth, QueueError> {
        within(CALL_TIMEOUT, async {
            let reader = self.reader().await?;
            let (main, dead) = blocking(move || reader.ask_both()).await?;
            let member = self.member();
            let (waiting, in_flight) = match &member {
                Some(incoming) => incoming.count(&main),
                None => (main.iter().map(reader::Span::lag).sum(), 0),
            };
            Ok(Depth { waiting, in_flight, dead: dead.iter().map(reader::Span::lag).sum() })
        })
        .await
    }

    async fn takes_messages(&self) -> Result<(), QueueError> {
        within(CALL_TIMEOUT, async {
            let reader = self.reader().await?;
            blocking(move || reader.ask().map(drop)).await
        })
        .await
    }

    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>, QueueError> {
        dead::list(self.reader().await?, limit).await
    }

    async fn replay(&self, id: Option<&str>) -> Result<u64, QueueError> {
        let (reader, outgoing) = (self.reader().await?, self.outgoing().await?);
        dead::replay(reader, outgoing, id.map(str::to_owned)).await
    }
}
