//! Connection that publishes, counts and browses dead letters.

use futures_util::future::try_join_all;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Confirmation};

use super::link::{AmqpAddress, BrokerLink, BrokerSession};
use super::refusal::failed;
use super::topology::{Topology, count};
use crate::queue::QueueError;
use crate::queue::broker::unavailable;

/// BrokerSession of a publisher.
pub(super) struct PublishSession {
    /// Answers each message with a confirmation.
    channel: Channel,
    counting: Channel,
    link: BrokerLink,
}

impl BrokerSession for PublishSession {
    fn alive(&self) -> bool {
        self.link.alive() && self.channel.status().connected() && self.counting.status().connected()
    }
}

impl PublishSession {
    pub(super) async fn open(address: &AmqpAddress, topology: &Topology) -> Result<Self, QueueError> {
        let link = address.connect().await?;
        topology.declare(&link).await?;
        let channel = link.channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await.map_err(failed)?;
        Ok(Self { channel, counting: link.channel().await?, link })
    }

    /// The largest frame this connection carries, in bytes.
    pub(super) fn frame_max(&self) -> u32 {
        self.link.connection.configuration().frame_max()
    }

    /// A channel of the caller's own.
    pub(super) async fn channel(&self) -> Result<Channel, QueueError> {
        self.link.channel().await
    }

    /// Sends all, in order, then waits until the broker has all of them safe in the queue.
    pub(super) async fn publish(
        &self,
        queue: &str,
        batch: Vec<(BasicProperties, &[u8])>,
    ) -> Result<(), QueueError> {
        // Without it the broker confirms, and drops, what is for a queue that was deleted.
        let options = BasicPublishOptions { mandatory: true, ..Default::default() };
        let mut confirmations = Vec::with_capacity(batch.len());
        for (properties, body) in batch {
            let sent = self.channel.basic_publish("".into(), queue.into(), options, body, properties);
            confirmations.push(sent.await.map_err(failed)?);
        }
        for confirmation in confirmations {
            match confirmation.await.map_err(failed)? {
                Confirmation::Ack(None) => {}
                Confirmation::Ack(Some(_)) => return Err(unavailable("no longer has the queue")),
                _ => return Err(unavailable("did not keep the message")),
            }
        }
        Ok(())
    }

    /// Messages that wait, for a retry or not, and dead letters.
    pub(super) async fn count(&self, topology: &Topology) -> Result<(u64, u64), QueueError> {
        let waiting = topology.retries.iter().map(|(_, queue)| queue).chain([&topology.main]);
        let queues = [&topology.dead].into_iter().chain(waiting);
        let counts = try_join_all(queues.map(|queue| count(&self.counting, queue))).await?;
        let dead = counts.first().copied().unwrap_or_default();
        Ok((counts.iter().skip(1).sum(), dead))
    }

    pub(super) async fn close(&self) {
        self.link.close().await;
    }
}
