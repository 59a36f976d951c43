//! The one consume loop, whatever the transport: receive, handle within bounds, settle, drain.
//!
//! A failed handler is retried with exponential backoff; after [`Policy::max_attempts`], and at once
//! for a message no attempt can help, the message goes to the dead letters. A process that dies in
//! the middle settles nothing, and the broker gives its messages out again: handlers are idempotent.
//! A message that keeps on killing its process is given up by its number of deliveries, where the
//! transport counts those that ended in a crash (Kafka does not).

mod attempt;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::attempt::Attempts;
use super::outage::Outage;
use super::{Delivery, Message, Queue, QueueError, span};
use crate::config::{QueueConfig, TraceMode};
use crate::runtime::Shutdown;

/// Longest time one `receive` waits for a message.
const RECEIVE_WAIT: Duration = Duration::from_secs(1);

/// What is done with a message.
#[async_trait]
pub trait Handler: Send + Sync {
    /// Handles one message; called again for the same id after a failure or a crash. It may take
    /// up to five minutes; an attempt that takes longer is dropped and counts as failed.
    async fn handle(&self, message: &Message) -> Result<(), HandlerError>;

    /// Awaited before each `receive`: a handler that wants no message now does not return.
    async fn wants_more(&self) {}
}

/// Why a handler failed. The text ends up in logs, on the span and with the dead letter.
#[derive(Debug, thiserror::Error)]
pub enum HandlerError {
    /// Another attempt may succeed.
    #[error("{0}")]
    Retry(String),
    /// No attempt can succeed, such as a body that cannot be parsed.
    #[error("{0}")]
    Poison(String),
}

/// How messages are handled.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Most messages in hand at once; at least 1.
    pub concurrency: usize,
    /// Failed attempts after which a message is given up; at least 1.
    pub max_attempts: u32,
    /// Upper bound of the wait before the first retry; it doubles with each further one.
    pub retry_base: Duration,
    /// The transport's: a third of it lies between two heartbeats.
    pub visibility_timeout: Duration,
    /// How the consumer's span is joined to the producer's.
    pub trace_mode: TraceMode,
}

impl From<&QueueConfig> for Policy {
    fn from(config: &QueueConfig) -> Self {
        Self {
            concurrency: config.queue_concurrency,
            max_attempts: config.queue_max_attempts,
            retry_base: config.queue_retry_base,
            visibility_timeout: config.queue_visibility_timeout,
            trace_mode: config.queue_trace_mode,
        }
    }
}

/// Consumes until `shutdown` begins, then finishes what is in hand within its grace and closes the
/// queue. What is not finished by then is given back for another consumer.
pub async fn run(queue: Arc<dyn Queue>, handler: Arc<dyn Handler>, policy: Policy, shutdown: Shutdown) {
    let abandon = CancellationToken::new();
    let attempts = Arc::new(Attempts {
        queue: queue.clone(),
        handler: handler.clone(),
        policy,
        abandon: abandon.clone(),
    });
    let mut in_hand = JoinSet::new();
    let mut outage = Outage::of("Receiving from the queue");
    while !shutdown.begun() {
        while in_hand.try_join_next().is_some() {}
        let free = policy.concurrency.max(1).saturating_sub(in_hand.len());
        if free == 0 {
            tokio::select! { _ = in_hand.join_next() => {}, () = shutdown.wait() => {} }
            // Others that are done too make room for more in one call.
            tokio::task::yield_now().await;
            continue;
        }
        tokio::select! { () = handler.wants_more() => {}, () = shutdown.wait() => continue }
        let started = SystemTime::now();
        match receive(&*queue, free, &shutdown).await {
            Ok(deliveries) => {
                outage.worked();
                let received = span::receive(&*queue, &deliveries, started);
                for delivery in deliveries {
                    in_hand.spawn(attempts.clone().process(delivery, received.clone()));
                }
            }
            Err(error) => {
                let wait = outage.failed(&error.to_string());
                tokio::select! { () = tokio::time::sleep(wait) => {}, () = shutdown.wait() => {} }
            }
        }
    }
    // Nothing may be sent to us while we finish.
    queue.stop_receiving().await;
    drain(in_hand, &abandon, shutdown.remaining()).await;
    queue.close().await;
}

/// One `receive`, never dropped half-way: what it brings is in hand, shutdown or not.
async fn receive(queue: &dyn Queue, max: usize, shutdown: &Shutdown) -> Result<Vec<Delivery>, QueueError> {
    let mut receive = queue.receive(max, RECEIVE_WAIT);
    tokio::select! {
        received = &mut receive => return received,
        () = shutdown.wait() => queue.stop_receiving().await,
    }
    receive.await
}

/// Nine tenths of the grace are for finishing; the rest is for giving back what did not finish.
async fn drain(mut in_hand: JoinSet<()>, abandon: &CancellationToken, grace: Duration) {
    let finish = async |in_hand: &mut JoinSet<()>| while in_hand.join_next().await.is_some() {};
    if tokio::time::timeout(grace * 9 / 10, finish(&mut in_hand)).await.is_err() {
        tracing::warn!(messages = in_hand.len(), "Messages in hand did not finish within the grace");
        abandon.cancel();
        if tokio::time::timeout(grace / 10, finish(&mut in_hand)).await.is_err() {
            in_hand.shutdown().await;
        }
    }
}

#[cfg(test)]
mod tests;
