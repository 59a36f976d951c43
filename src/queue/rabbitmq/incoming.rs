//! Connection that consumes, and what it has in flight.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::{FutureExt, StreamExt};
use lapin::message::Delivery as Received;
use lapin::options::{BasicConsumeOptions, BasicNackOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Acker, Channel, Consumer};
use tokio::sync;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::envelope;
use super::link::{AmqpAddress, BrokerLink, BrokerSession};
use super::refusal::failed;
use super::topology::Topology;
use crate::queue::broker::{CALL_TIMEOUT, unavailable, within};
use crate::queue::{Delivery, QueueError};

/// Tells the deliveries of one connection from those of the next, which has the same tags.
static SESSIONS: AtomicU64 = AtomicU64::new(0);

/// BrokerSession of a consumer: its connection and what came on it.
pub(super) struct ConsumeSession {
    number: u64,
    channel: Channel,
    intake: sync::Mutex<Intake>,
    link: BrokerLink,
}

/// Messages of a connection on their way in.
struct Intake {
    consumer: Consumer,
    /// Prefetched: came and is not received yet; at most the prefetch count.
    ready: VecDeque<Received>,
    /// Nothing comes any more.
    over: bool,
}

impl BrokerSession for ConsumeSession {
    fn alive(&self) -> bool {
        self.link.alive() && self.channel.status().connected()
    }
}

impl ConsumeSession {
    /// Begins to consume, at most `prefetch` messages unsettled at once.
    pub(super) async fn open(
        address: &AmqpAddress,
        topology: &Topology,
        prefetch: u16,
    ) -> Result<Self, QueueError> {
        let link = address.connect().await?;
        topology.declare(&link).await?;
        let channel = link.channel().await?;
        channel.basic_qos(prefetch, BasicQosOptions::default()).await.map_err(failed)?;
        let (queue, options) = (topology.main.as_str().into(), BasicConsumeOptions::default());
        let consumer = channel.basic_consume(queue, "".into(), options, FieldTable::default());
        let consumer = consumer.await.map_err(failed)?;
        let intake = sync::Mutex::new(Intake { consumer, ready: VecDeque::new(), over: false });
        Ok(Self { number: SESSIONS.fetch_add(1, Ordering::Relaxed), channel, intake, link })
    }

    /// What came, or else what comes first until the deadline. Once it is stopped, nothing, and what
    /// came is requeued.
    pub(super) async fn receive(
        &self,
        max: usize,
        deadline: Instant,
        stopped: &CancellationToken,
    ) -> Result<Vec<Received>, QueueError> {
        let mut intake = self.intake.lock().await;
        intake.pump()?;
        if intake.ready.is_empty() && !intake.over {
            tokio::select! {
                next = timeout_at(deadline, intake.consumer.next()) => match next {
                    Ok(Some(Ok(received))) => {
                        intake.ready.push_back(received);
                        intake.pump()?;
                    }
                    Ok(Some(Err(error))) => return Err(failed(error)),
                    Ok(None) => return Err(ended()),
                    Err(_) => {}
                },
                () = stopped.cancelled() => {}
            }
        }
        if stopped.is_cancelled() {
            intake.requeue_rest(&self.channel).await;
        }
        let max = max.min(intake.ready.len());
        Ok(intake.ready.drain(..max).collect())
    }

    /// Stops consuming, unless a `receive` is at work.
    pub(super) async fn requeue_rest(&self) {
        if let Ok(mut intake) = self.intake.try_lock() {
            intake.requeue_rest(&self.channel).await;
        }
    }

    /// Messages that came and are not received yet; none can be while a `receive` is at work.
    pub(super) fn prefetched(&self) -> usize {
        let Ok(mut intake) = self.intake.try_lock() else { return 0 };
        // The next receive will find out, too.
        intake.pump().ok();
        intake.ready.len()
    }

    pub(super) async fn close(&self) {
        self.link.close().await;
    }
}

impl Intake {
    /// Takes what the client has already, without waiting.
    fn pump(&mut self) -> Result<(), QueueError> {
        while !self.over
            && let Some(next) = self.consumer.next().now_or_never()
        {
            self.ready.push_back(next.ok_or_else(ended)?.map_err(failed)?);
        }
        Ok(())
    }

    async fn requeue_rest(&mut self, channel: &Channel) {
        if std::mem::replace(&mut self.over, true) {
            return;
        }
        let requeue_rest = async {
            let tag = self.consumer.tag();
            channel.basic_cancel(tag, Default::default()).await.map_err(failed)?;
            while let Some(Ok(received)) = self.consumer.next().await {
                self.ready.push_back(received);
            }
            for received in self.ready.drain(..) {
                received.nack(requeued()).await.map_err(failed)?;
            }
            Ok(())
        };
        // Where it fails the connection is gone, and the broker has them back anyway.
        within(CALL_TIMEOUT, requeue_rest).await.ok();
        self.ready.clear();
    }
}

fn ended() -> QueueError {
    unavailable("ended the consumer")
}

fn requeued() -> BasicNackOptions {
    BasicNackOptions { requeue: true, ..Default::default() }
}

/// Deliveries that are not settled, by receipt.
#[derive(Default)]
pub(super) struct InFlight(Mutex<HashMap<String, Unsettled>>);

/// Delivery that is not settled.
pub(super) struct Unsettled {
    acker: Acker,
    returns: u32,
}

impl InFlight {
    pub(super) fn keep(&self, from: &ConsumeSession, received: Received) -> Delivery {
        let receipt = format!("{}-{}", from.number, received.delivery_tag);
        let Received { properties, data, acker, .. } = received;
        let mut held = self.lock();
        // What an earlier connection had is no longer ours.
        held.retain(|_, one| one.acker.usable());
        held.insert(receipt.clone(), Unsettled { acker, returns: envelope::returns(&properties) });
        let attempt = envelope::attempt(&properties);
        Delivery { message: envelope::message(&properties, data), attempt, receipt }
    }

    /// `None` where the delivery is no longer ours.
    pub(super) fn take(&self, delivery: &Delivery) -> Option<Unsettled> {
        self.lock().remove(&delivery.receipt).filter(|one| one.acker.usable())
    }

    /// Number of times this copy was requeued without a settlement.
    pub(super) fn returns(&self, delivery: &Delivery) -> u32 {
        self.lock().get(&delivery.receipt).map_or(0, |one| one.returns)
    }

    pub(super) fn count(&self) -> usize {
        self.lock().values().filter(|one| one.acker.usable()).count()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Unsettled>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Unsettled {
    pub(super) async fn ack(self) -> Result<(), QueueError> {
        let ack = async { self.acker.ack(Default::default()).await.map_err(failed) };
        within(CALL_TIMEOUT, ack).await.map(drop)
    }

    /// To the head of the queue, at once.
    pub(super) async fn requeue(self) -> Result<(), QueueError> {
        let nack = async { self.acker.nack(requeued()).await.map_err(failed) };
        within(CALL_TIMEOUT, nack).await.map(drop)
    }
}
