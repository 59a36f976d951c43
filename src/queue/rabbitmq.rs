//! RabbitMQ: quorum queues, publisher confirms, mandatory routing.
//!
//! ```text
//! publish ──> NAME ──> consumer ──ack──> gone
//!              ^ │        ├─retry──> NAME.retry-250 … NAME.retry-64000 ──time is up──┐
//!              │ │        └─dead letter──> NAME.dead                                 │
//!              │ └─delivered too often without a word──────^                         │
//!              └─────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! A message leaves a queue only after the next one confirmed it, be it this client or the broker
//! itself that moves it: a crash between the two steps makes a second copy, never none. Publishing
//! and consuming have a connection each, because a broker short of memory stops reading from those
//! that publish, and acknowledgements are what gives it memory back.

mod dead;
mod envelope;
mod incoming;
mod link;
mod outgoing;
mod refusal;
mod topology;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry::KeyValue;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::incoming::{ConsumeSession, InFlight};
use self::link::{AmqpAddress, SessionSlot};
use self::outgoing::PublishSession;
use self::topology::{DELIVERY_LIMIT, Topology};
use super::broker::{CALL_TIMEOUT, within};
use super::{DeadLetter, Deliver, Delivery, Depth, Describe, Inspect, Message, QueueError, wire};
use crate::config::{QueueConfig, Transport};

/// RabbitMQ transport: one process's access to one queue.
pub struct RabbitMq {
    address: AmqpAddress,
    topology: Topology,
    prefetch: u16,
    outgoing: SessionSlot<PublishSession>,
    incoming: SessionSlot<ConsumeSession>,
    in_flight: InFlight,
    stopped: CancellationToken,
}

impl RabbitMq {
    /// Connects to nothing yet: the first call does, and each call after the connection was lost.
    ///
    /// # Errors
    /// Settings that can never work, such as an authority's file that cannot be read.
    pub fn open(config: &QueueConfig) -> Result<Self, QueueError> {
        Ok(Self {
            address: AmqpAddress::of(&config.broker)?,
            topology: Topology::of(&config.queue_name),
            prefetch: u16::try_from(config.queue_concurrency).unwrap_or(u16::MAX),
            outgoing: SessionSlot::default(),
            incoming: SessionSlot::default(),
            in_flight: InFlight::default(),
            stopped: CancellationToken::new(),
        })
    }

    async fn outgoing(&self) -> Result<Arc<PublishSession>, QueueError> {
        within(CALL_TIMEOUT, self.outgoing.get(PublishSession::open(&self.address, &self.topology))).await
    }

    async fn incoming(&self) -> Result<Arc<ConsumeSession>, QueueError> {
        let open = ConsumeSession::open(&self.address, &self.topology, self.prefetch);
        within(CALL_TIMEOUT, self.incoming.get(open)).await
    }

    /// One call on the connection that publishes; after a failure the next call has a new one.
    async fn call<T, F>(&self, call: impl FnOnce(Arc<PublishSession>) -> F) -> Result<T, QueueError>
    where
        F: Future<Output = Result<T, QueueError>>,
    {
        let deadline = Instant::now() + CALL_TIMEOUT;
        let outgoing = self.outgoing().await?;
        let answer = within(deadline - Instant::now(), call(outgoing.clone())).await;
        if matches!(answer, Err(QueueError::Unavailable(_))) {
            self.outgoing.forget(&outgoing);
        }
        answer
    }

    /// Puts a delivery elsewhere, then takes it out of the queue; where that fails it comes again.
    async fn move_to(
        &self,
        delivery: &Delivery,
        queue: &str,
        properties: lapin::BasicProperties,
    ) -> Result<(), QueueError> {
        let Some(held) = self.in_flight.take(delivery) else { return Ok(()) };
        let moved = self
            .call(async |outgoing: Arc<PublishSession>| {
                outgoing.publish(queue, vec![(properties, delivery.message.body.as_slice())]).await
            })
            .await;
        match moved {
            Ok(()) => held.ack().await,
            Err(error) => {
                held.requeue().await.ok();
                Err(error)
            }
        }
    }
}

impl Describe for RabbitMq {
    fn system(&self) -> &'static str {
        Transport::Rabbitmq.row().system
    }

    fn name(&self) -> &str {
        &self.topology.main
    }

    fn attributes(&self, _: &Message, receipt: Option<&str>) -> Vec<KeyValue> {
        // On the default exchange the routing key is the queue's name.
        let key = KeyValue::new("messaging.rabbitmq.destination.routing_key", self.topology.main.clone());
        let tag = receipt.and_then(|receipt| receipt.rsplit('-').next()?.parse::<i64>().ok());
        let tag = tag.map(|tag| KeyValue::new("messaging.rabbitmq.message.delivery_tag", tag));
        std::iter::once(key).chain(tag).collect()
    }
}

#[async_trait]
impl Deliver for RabbitMq {
    async fn publish(&self, batch: &[Message]) -> Result<(), QueueError> {
        wire::check(batch)?;
        self.call(async |outgoing: Arc<PublishSession>| {
            envelope::check(batch, outgoing.frame_max())?;
            let batch = batch.iter().map(|m| (envelope::properties(m, []), m.body.as_slice()));
            outgoing.publish(&self.topology.main, batch.collect()).await
        })
        .await
    }

    async fn receive(&self, max: usize, wait: Duration) -> Result<Vec<Delivery>, QueueError> {
        let deadline = Instant::now() + wait;
        let incoming = self.incoming().await?;
        match incoming.receive(max, deadline, &self.stopped).await {
            Ok(deliveries) => {
                Ok(deliveries.into_iter().map(|delivery| self.in_flight.keep(&incoming, delivery)).collect())
            }
            Err(error) => {
                self.incoming.forget(&incoming);
                Err(error)
            }
        }
    }

    async fn stop_receiving(&self) {
        self.stopped.cancel();
        // A `receive` that waits requeues what it has by itself.
        if let Some(incoming) = self.incoming.current() {
            incoming.requeue_rest().await;
        }
    }

    async fn ack(&self, delivery: &Delivery) -> Result<(), QueueError> {
        match self.in_flight.take(delivery) {
            Some(held) => held.ack().await,
            None => Ok(()),
        }
    }

    async fn retry(&self, delivery: &Delivery, delay: Duration) -> Result<(), QueueError> {
        // One step instead of two, but it counts towards the broker's limit.
        if delay.is_zero() && self.in_flight.returns(delivery) < DELIVERY_LIMIT / 2 {
            let Some(held) = self.in_flight.take(delivery) else { return Ok(()) };
            return held.requeue().await;
        }
        let attempt = (wire::ATTEMPT, delivery.attempt.to_string());
        let properties = envelope::properties(&delivery.message, [attempt]);
        let (queue, properties) = match delay.is_zero() {
            true => (self.topology.main.as_str(), properties),
            false => (self.topology.retry_after(delay), envelope::expiring(properties, delay)),
        };
        self.move_to(delivery, queue, properties).await
    }

    /// By a copy: the broker counts what it takes back.
    async fn requeue(&self, delivery: &Delivery) -> Result<(), QueueError> {
        let attempt = (wire::ATTEMPT, delivery.attempt.saturating_sub(1).to_string());
        let properties = envelope::properties(&delivery.message, [attempt]);
        self.move_to(delivery, &self.topology.main, properties).await
    }

    async fn dead_letter(&self, delivery: &Delivery, reason: &str) -> Result<(), QueueError> {
        let properties = envelope::properties(&delivery.message, wire::dead_fields(delivery, reason));
        self.move_to(delivery, &self.topology.dead, properties).await
    }

    /// Nothing to say: a delivery is its connection's until that ends, or for RabbitMQ's own half
    /// hour (`consumer_timeout`), which is longer than any handler may take.
    async fn heartbeat(&self, _: &Delivery) -> Result<(), QueueError> {
        Ok(())
    }

    async fn close(&self) {
        self.stop_receiving().await;
        if let Some(incoming) = self.incoming.take().await {
            incoming.close().await;
        }
        if let Some(outgoing) = self.outgoing.take().await {
            outgoing.close().await;
        }
    }
}

#[async_trait]
impl Inspect for RabbitMq {
    /// AMQP tells only what is ready: in flight is what this handle has unsettled, and what waits in
    /// the memory of other consumers is not counted.
    async fn depth(&self) -> Result<Depth, QueueError> {
        let (waiting, dead) =
            self.call(async |outgoing: Arc<PublishSession>| outgoing.count(&self.topology).await).await?;
        let prefetched = self.incoming.current().map_or(0, |incoming| incoming.prefetched());
        Ok(Depth { waiting: waiting + prefetched as u64, in_flight: self.in_flight.count() as u64, dead })
    }

    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>, QueueError> {
        dead::list(&*self.outgoing().await?, &self.topology, limit).await
    }

    async fn replay(&self, id: Option<&str>) -> Result<u64, QueueError> {
        let outgoing = self.outgoing().await?;
        match id {
            Some(id) => dead::replay_one(&outgoing, &self.topology, id).await,
            None => dead::replay_all(&outgoing, &self.topology).await,
        }
    }
}
