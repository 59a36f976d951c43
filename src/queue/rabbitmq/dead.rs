//! Browsing dead letters and replaying them.
//!
//! AMQP cannot browse without taking: the letters are received and requeued. Page by page, so
//! that however many there are only a page of them is in memory; a page is settled with the rest, or
//! else the next would be the same.

use std::time::Duration;

use futures_util::StreamExt;
use lapin::message::Delivery as Received;
use lapin::options::{BasicConsumeOptions, BasicNackOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Acker, Channel};
use tokio::time::{Instant, timeout_at};

use super::envelope;
use super::outgoing::PublishSession;
use super::refusal::failed;
use super::topology::{Topology, count};
use crate::queue::broker::{CALL_TIMEOUT, unavailable, within};
use crate::queue::{DeadLetter, QueueError};

/// Letters in memory at once, beside those that are asked for.
const PAGE: u16 = 200;
/// The end of the queue has no sign of its own: it is there when nothing comes for so long.
const SILENCE: Duration = Duration::from_millis(150);

/// Oldest letters. All are browsed, since a quorum queue does not put back in place what is
/// requeued.
pub(super) async fn list(
    outgoing: &PublishSession,
    topology: &Topology,
    limit: usize,
) -> Result<Vec<DeadLetter>, QueueError> {
    let mut browse = DeadLetterBrowse::open(outgoing, topology).await?;
    let mut letters = Vec::new();
    loop {
        let page = browse.page().await?;
        let last = page.len() < usize::from(PAGE);
        for received in page {
            browse.taken.push(received.acker);
            letters.push(envelope::dead_letter(&received.properties, received.data));
        }
        letters.sort_by_key(|letter| letter.died_at_ms);
        letters.truncate(limit);
        if last {
            browse.requeue_all().await?;
            return Ok(letters);
        }
    }
}

/// Sends back every letter with this id.
pub(super) async fn replay_one(
    outgoing: &PublishSession,
    topology: &Topology,
    id: &str,
) -> Result<u64, QueueError> {
    let mut browse = DeadLetterBrowse::open(outgoing, topology).await?;
    let mut replayed = 0;
    loop {
        let page = browse.page().await?;
        let last = page.len() < usize::from(PAGE);
        let is_it = |letter: &Received| {
            letter.properties.message_id().as_ref().is_some_and(|known| known.as_str() == id)
        };
        let (wanted, others): (Vec<_>, Vec<_>) = page.into_iter().partition(is_it);
        browse.taken.extend(others.into_iter().map(|other| other.acker));
        replayed += send_back(outgoing, topology, wanted).await?;
        if last {
            browse.requeue_all().await?;
            return Ok(replayed);
        }
    }
}

/// Sends back all that are there now, and not those that die again meanwhile.
pub(super) async fn replay_all(outgoing: &PublishSession, topology: &Topology) -> Result<u64, QueueError> {
    let mut browse = DeadLetterBrowse::open(outgoing, topology).await?;
    let (mut replayed, mut there) = (0, None);
    loop {
        let page = browse.page().await?;
        let last = page.len() < usize::from(PAGE);
        let there = match there {
            Some(there) => there,
            None => *there.insert(page.len() as u64 + browse.rest().await?),
        };
        replayed += send_back(outgoing, topology, page).await?;
        if last || replayed >= there {
            browse.requeue_all().await?;
            return Ok(replayed);
        }
    }
}

/// Oldest first; out of the dead letters only after the broker has them safe in the queue.
async fn send_back(
    outgoing: &PublishSession,
    topology: &Topology,
    mut letters: Vec<Received>,
) -> Result<u64, QueueError> {
    let died_at = |letter: &Received| envelope::dead_letter(&letter.properties, Vec::new()).died_at_ms;
    letters.sort_by_cached_key(died_at);
    let again = letters.iter().map(|letter| {
        let message = envelope::message(&letter.properties, Vec::new());
        (envelope::properties(&message, []), letter.data.as_slice())
    });
    let move_them = async {
        outgoing.publish(&topology.main, again.collect()).await?;
        for letter in &letters {
            letter.ack(Default::default()).await.map_err(failed)?;
        }
        Ok(letters.len() as u64)
    };
    within(CALL_TIMEOUT, move_them).await
}

/// Browse of all dead letters. Dropped half-way, the broker requeues them.
struct DeadLetterBrowse<'a> {
    channel: Channel,
    queue: &'a str,
    /// To be requeued at the end, in this order.
    taken: Vec<Acker>,
}

impl<'a> DeadLetterBrowse<'a> {
    async fn open(outgoing: &PublishSession, topology: &'a Topology) -> Result<Self, QueueError> {
        within(CALL_TIMEOUT, async {
            let channel = outgoing.channel().await?;
            channel.basic_qos(PAGE, BasicQosOptions::default()).await.map_err(failed)?;
            Ok(Self { channel, queue: &topology.dead, taken: Vec::new() })
        })
        .await
    }

    /// The next letters; fewer than a page if they are the last.
    async fn page(&mut self) -> Result<Vec<Received>, QueueError> {
        let deadline = Instant::now() + CALL_TIMEOUT / 2;
        within(CALL_TIMEOUT, async {
            let (queue, options) = (self.queue.into(), BasicConsumeOptions::default());
            let consumer = self.channel.basic_consume(queue, "".into(), options, FieldTable::default());
            let mut consumer = consumer.await.map_err(failed)?;
            let mut page = Vec::new();
            while page.len() < usize::from(PAGE) {
                let until = deadline.min(Instant::now() + SILENCE);
                match timeout_at(until, consumer.next()).await {
                    Ok(Some(received)) => page.push(received.map_err(failed)?),
                    Ok(None) => return Err(unavailable("ended the browsing of its dead letters")),
                    Err(_) => break,
                }
            }
            self.channel.basic_cancel(consumer.tag(), Default::default()).await.map_err(failed)?;
            while let Some(received) = consumer.next().await {
                page.push(received.map_err(failed)?);
            }
            Ok(page)
        })
        .await
    }

    /// Letters after the pages so far. Not to be asked before the first: what an earlier browse requeued
    /// may not be counted yet, but it comes before anything a new consumer is sent.
    async fn rest(&self) -> Result<u64, QueueError> {
        within(CALL_TIMEOUT, count(&self.channel, self.queue)).await
    }

    async fn requeue_all(self) -> Result<(), QueueError> {
        within(CALL_TIMEOUT, async {
            for letter in self.taken {
                let requeue = BasicNackOptions { requeue: true, ..Default::default() };
                letter.nack(requeue).await.map_err(failed)?;
            }
            // Waits for the answer, so that all of it has arrived.
            self.channel.close(200, "OK".into()).await.map_err(failed)
        })
        .await
    }
}
