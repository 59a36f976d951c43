//! Publishes what the outbox holds: at once after a commit, in order, until the broker confirms.
//!
//! A row leaves the outbox only after the broker has its message, so a crash between any two steps
//! costs nothing but a second copy with the same id. One relay at a time publishes, by a lease. Should
//! two overlap because a lease ran out during a slow call, each still publishes in order, so the
//! first copies, the ones that count, arrive in order too.

mod batch;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::FutureExt;

use self::batch::{PublishTarget, RelayBatch};
use super::metrics::RelayMetrics;
use super::outage::Outage;
use super::span::QueueSpans;
use super::{Message, Queue};
use crate::runtime::{Faults, Shutdown};
use crate::schema::faults;

/// Most messages published at once.
const BATCH: i64 = 100;
/// Lease of the right to publish: a relay that dies holds others up for at most so long.
const LEASE: Duration = Duration::from_secs(5);
/// Time between two polls without a commit: for the rows of a predecessor or of another instance.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Time between two counts for the gauge.
const COUNT_INTERVAL: Duration = Duration::from_secs(2);

/// Row of the outbox.
#[derive(Clone, Debug)]
pub struct Pending {
    /// Its place in the order of publishing.
    pub seq: i64,
    /// The message; its headers carry the context of the span that stored it.
    pub message: Message,
}

/// Outbox: messages that wait to be published, stored in the same transaction as what they tell about.
/// Errors are reasons for the log; every call has a timeout.
#[async_trait]
pub trait RelayedOutbox: Send + Sync {
    /// Takes or renews the right to publish: true while `owner` holds it.
    async fn lease(&self, owner: &str, ttl: Duration) -> Result<bool, String>;

    /// Releases that right.
    async fn release(&self, owner: &str) -> Result<(), String>;

    /// The oldest rows, oldest first, refused ones left out.
    async fn pending(&self, limit: i64) -> Result<Vec<Pending>, String>;

    /// Removes rows whose messages the broker has.
    async fn published(&self, seqs: &[i64]) -> Result<(), String>;

    /// [`RelayedOutbox::published`], then [`RelayedOutbox::pending`]: in one step where the store can.
    async fn published_and_next(&self, seqs: &[i64], limit: i64) -> Result<Vec<Pending>, String> {
        self.published(seqs).await?;
        self.pending(limit).await
    }

    /// Keeps a row aside, with the reason, because no attempt can publish it.
    async fn refused(&self, seq: i64, reason: &str) -> Result<(), String>;

    /// Rows still to publish.
    async fn count(&self) -> Result<i64, String>;

    /// Resolves after a commit in this process; a commit that nobody waited for is not lost.
    async fn committed(&self);
}

/// Publishes until `shutdown` begins, then once more, within the grace, what is committed by then.
/// Begin it after the server has stopped: a request in flight may still commit.
pub async fn run(
    outbox: Arc<dyn RelayedOutbox>,
    queue: Arc<dyn Queue>,
    owner: String,
    faults: Faults,
    shutdown: Shutdown,
) {
    let outage = Outage::of("Publishing from the outbox");
    let spans = QueueSpans::new(queue.clone());
    let metrics = Arc::new(RelayMetrics::new());
    let mut relay = Relay {
        outbox: outbox.clone(),
        queue,
        spans,
        metrics: metrics.clone(),
        owner,
        faults,
        renew_at: None,
        outage,
    };
    let grace_is_over = async {
        shutdown.wait().await;
        tokio::time::sleep(shutdown.remaining() * 9 / 10).await;
    };
    tokio::select! {
        () = relay.publish(&shutdown) => {}
        () = grace_is_over => tracing::warn!("Publishing did not finish within the grace; the rest waits in the outbox"),
        () = count(&*outbox, &metrics) => {}
    }
    if let Err(reason) = outbox.release(&relay.owner).await {
        tracing::warn!(reason, "The outbox's lease could not be released and will run out");
    }
}

/// Keeps the gauge alive while a round is stuck with a broker that is away. Never ends.
async fn count(outbox: &dyn RelayedOutbox, metrics: &RelayMetrics) {
    loop {
        if let Ok(messages) = outbox.count().await {
            metrics.outbox_pending(messages);
        }
        tokio::time::sleep(COUNT_INTERVAL).await;
    }
}

struct Relay {
    outbox: Arc<dyn RelayedOutbox>,
    queue: Arc<dyn Queue>,
    spans: QueueSpans,
    metrics: Arc<RelayMetrics>,
    owner: String,
    faults: Faults,
    renew_at: Option<Instant>,
    outage: Outage,
}

impl Relay {
    async fn publish(&mut self, shutdown: &Shutdown) {
        loop {
            let last = shutdown.begun();
            let pause = match self.round().await {
                Ok(()) => {
                    self.outage.worked();
                    POLL_INTERVAL
                }
                Err(reason) => self.outage.failed(&reason),
            };
            if last {
                return;
            }
            tokio::select! {
                () = shutdown.wait() => {}
                () = tokio::time::sleep(pause) => {}
                () = self.outbox.committed(), if !self.outage.lasts() => {}
            }
        }
    }

    /// Publishes all there is, if it is this relay's turn.
    async fn round(&mut self) -> Result<(), String> {
        let mut next = None;
        while self.holds_lease().await? {
            let limit = self.limit().await?;
            let pending = match next.take() {
                Some(pending) => pending,
                None => self.outbox.pending(limit).await?,
            };
            let full = i64::try_from(pending.len()).is_ok_and(|many| many >= limit);
            let published = match pending.is_empty() {
                true => Vec::new(),
                false => self.publish_batch(pending).await?,
            };
            // A batch that was not full was all there was, unless something was committed meanwhile.
            let more = full || self.outbox.committed().now_or_never().is_some();
            if more && !published.is_empty() {
                next = Some(self.outbox.published_and_next(&published, BATCH).await?);
            } else if !published.is_empty() {
                self.outbox.published(&published).await?;
            }
            if !more {
                self.metrics.outbox_pending(0);
                break;
            }
        }
        Ok(())
    }

    /// Publishes these; returns the rows that are to be removed.
    async fn publish_batch(&mut self, pending: Vec<Pending>) -> Result<Vec<i64>, String> {
        self.refused()?;
        let (queue, outbox, metrics) = (&*self.queue, &*self.outbox, &*self.metrics);
        let batch = RelayBatch::of(pending, &self.spans, &self.faults);
        let published = batch.publish(PublishTarget { queue, outbox, metrics }).await?;
        self.outage.worked();
        Ok(published)
    }

    /// Number of messages to try. Each try makes a span for each message, and an outage must not fill
    /// traces with failed ones: after a failure the broker is asked without a span, and when it
    /// answers one message goes ahead of the others.
    async fn limit(&self) -> Result<i64, String> {
        if !self.outage.lasts() {
            return Ok(BATCH);
        }
        self.refused()?;
        match self.queue.takes_messages().await {
            Ok(()) => Ok(1),
            Err(error) => {
                self.metrics.publish_failed();
                Err(error.to_string())
            }
        }
    }

    /// A fault: as if the broker were away, and that were known before a message is tried.
    fn refused(&self) -> Result<(), String> {
        if self.faults.hits(faults::PUBLISH_ERROR).is_none() {
            return Ok(());
        }
        self.metrics.publish_failed();
        Err("the broker does not take messages".to_owned())
    }

    async fn holds_lease(&mut self) -> Result<bool, String> {
        let now = Instant::now();
        if self.renew_at.is_some_and(|at| now < at) {
            return Ok(true);
        }
        self.renew_at = None;
        let held = self.outbox.lease(&self.owner, LEASE).await?;
        self.renew_at = held.then_some(now + LEASE / 2);
        Ok(held)
    }
}

#[cfg(test)]
mod tests;
