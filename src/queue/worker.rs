//! The one consume loop, whatever the transport: receive, handle within bounds, settle, drain.
//!
//! A failed handler is retried with exponential backoff; after [`Policy::max_attempts`], and at once
//! for a message no attempt can help, the message goes to the dead letters. A process that dies in
//! the middle settles nothing, and the broker redelivers its messages: handlers are idempotent.
//! A message that keeps on killing its process is dead-lettered by its number of deliveries, where the
//! transport counts those that ended in a crash (Kafka does not).

mod attempt;

pub(super) use self::attempt::LONGEST_RETRY;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::attempt::Attempts;
use super::outage::Outage;
use super::{Delivery, Message, Queue, QueueError};
use crate::config::{QueueConfig, TraceMode};
use crate::runtime::Shutdown;

/// Longest time one `receive` waits for a message.
const RECEIVE_WAIT: Duration = Duration::from_secs(1);

/// Handler of messages, a consumer's business.
#[async_trait]
pub trait Handler: Send + Sync {
    /// Handles one message; called again for the same id after a failure or a crash. It may take
    /// up to five minutes; an attempt that takes longer is dropped and counts as failed.
    async fn handle(&self, message: &Message) -> Result<(), HandlerError>;

    /// Awaited before each `receive`: a handler that wants no message now does not return.
    async fn wants_more(&self) {}
}

/// Failure of a handler. The text ends up in logs, on the span and with the dead letter.
#[derive(Debug, thiserror::Error)]
pub enum HandlerError {
    /// Another attempt may succeed.
    #[error("{0}")]
    Retry(String),
    /// No attempt can succeed, such as a body that cannot be parsed.
    #[error("{0}")]
    Poison(String),
}

/// Policy of the worker.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Most messages in flight at once; at least 1.
    pub concurrency: usize,
    /// Failed attempts after which a message is dead-lettered; at least 1.
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

/// Consumes until `shutdown` begins, then finishes what is in flight within its grace and closes the
/// queue. What is not finished by then is requeued for another consumer.
pub async fn run(queue: Arc<dyn Queue>, handler: Arc<dyn Handler>, policy: Policy, shutdown: Shutdown) {
    let abandon = CancellationToken::new();
    let attempts = Arc::new(Attempts::new(queue.clone(), handler.clone(), policy, abandon.clone()));
    let mut in_flight = JoinSet::new();
    let mut outage = Outage::of("Receiving from the queue");
    while !shutdown.begun() {
        while in_flight.try_join_next().is_some() {}
        let free = policy.concurrency.max(1).saturating_sub(in_flight.len());
        if free == 0 {
            tokio::select! { _ = in_flight.join_next() => {}, () = shutdown.wait() => {} }
            // Others that are done too make room for more in one call.
            tokio::task::yield_now().await;
            continue;
        }
        tokio::select! { () = handler.wants_more() => {}, () = shutdown.wait() => continue }
        let started = SystemTime::now();
        match receive(&*queue, free, &shutdown).await {
            Ok(deliveries) => {
                outage.worked();
                attempts.spawn_all(deliveries, started, &mut in_flight);
            }
            Err(error) => {
                let wait = outage.failed(&error.to_string());
                tokio::select! { () = tokio::time::sleep(wait) => {}, () = shutdown.wait() => {} }
            }
        }
    }
    // Nothing may be sent to us while we finish.
    queue.stop_receiving().await;
    drain(in_flight, &abandon, shutdown.remaining()).await;
    queue.close_within(shutdown.remaining()).await;
}

/// One `receive`, never dropped half-way: what it brings is in flight, shutdown or not.
async fn receive(queue: &dyn Queue, max: usize, shutdown: &Shutdown) -> Result<Vec<Delivery>, QueueError> {
    let mut receive = queue.receive(max, RECEIVE_WAIT);
    tokio::select! {
        received = &mut receive => return received,
        () = shutdown.wait() => queue.stop_receiving().await,
    }
    receive.await
}

/// Nine tenths of the grace are for finishing; the rest is for requeueing what did not finish.
async fn drain(mut in_flight: JoinSet<()>, abandon: &CancellationToken, grace: Duration) {
    let finish = async |in_flight: &mut JoinSet<()>| while in_flight.join_next().await.is_some() {};
    if tokio::time::timeout(grace * 9 / 10, finish(&mut in_flight)).await.is_err() {
        tracing::warn!(messages = in_flight.len(), "Messages in flight did not finish within the grace");
        abandon.cancel();
        if tokio::time::timeout(grace / 10, finish(&mut in_flight)).await.is_err() {
            in_flight.shutdown().await;
        }
    }
}

#[cfg(test)]
mod tests;
