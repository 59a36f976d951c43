//! The asynchronous boundary: at least once, in order for a key, nothing lost.
//!
//! A transport moves bytes and headers and nothing else ([`Deliver`]), names itself ([`Describe`])
//! and shows what it holds ([`Inspect`]); together that is a [`Queue`]. Everything that is policy lives
//! once: the [`worker`] consumes (spans, retry, acknowledge, dead letters, drain), the [`relay`]
//! publishes what the outbox holds.
//!
//! A further transport is one file here that implements these three and one line in [`open`], with its
//! settings in `config`; one row in the table of the conformance suite proves that it keeps the
//! promises. `broker`, `wire` and `ack_batch` hold what transports share.

mod ack_batch;
mod broker;
pub mod embedded;
pub mod fault;
#[cfg(feature = "kafka")]
pub mod kafka;
mod message;
mod metrics;
mod outage;
pub mod rabbitmq;
pub mod redis;
pub mod relay;
mod span;
pub mod sqs;
#[cfg(test)]
mod testing;
mod transport;
mod wire;
pub mod worker;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use self::message::{DeadLetter, Delivery, Depth, MAX_MESSAGE_BYTES, Message};
pub use self::transport::{Deliver, Describe, Inspect, Queue, QueueError};
use crate::config::{QueueConfig, Transport};
use crate::runtime::{Health, Runtime, Shutdown};
use crate::schema::QueueUse;

/// Time between two counts of the queue's messages.
const DEPTH_INTERVAL: Duration = Duration::from_secs(2);
/// Time between two questions for what the broker's configuration may cost.
const RISK_INTERVAL: Duration = Duration::from_secs(10);

/// Opens the configured transport. A broker that is down is no error here: the calls say so.
///
/// # Errors
/// Settings that can never work.
pub async fn open(config: &QueueConfig, data_dir: &std::path::Path) -> Result<Arc<dyn Queue>, QueueError> {
    match config.queue_transport {
        Transport::Embedded => {
            let path = data_dir.join(embedded::FILE_NAME);
            let queue = embedded::Embedded::new(path, &config.queue_name, config.queue_visibility_timeout);
            Ok(Arc::new(queue.keeping(config.dead_letters)))
        }
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
    runtime.spawn(watch_risk(queue.clone(), runtime.health().clone(), runtime.shutdown().clone()));
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

/// Says in the log and, beside what decides, on `/ready` what the broker's configuration may cost. From the
/// first time that there is something on: most brokers have nothing to say, and then no line.
async fn watch_risk(queue: Arc<dyn Queue>, health: Health, shutdown: Shutdown) {
    let told = Arc::new(Mutex::new(None));
    let mut shown = false;
    while !shutdown.begun() {
        // While the broker is away, what was known of it stands.
        if let Ok(risk) = queue.risk().await {
            let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(reason) = risk.as_deref().filter(|_| *told != risk) {
                tracing::warn!(reason, "Messages that the broker has confirmed are not safe");
            }
            *told = risk;
        }
        if !shown && told.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
            shown = true;
            let told = told.clone();
            health.prefer("queue durability", move || {
                let risk = told.lock().unwrap_or_else(PoisonError::into_inner).clone();
                Box::pin(std::future::ready(risk.map_or(Ok(()), Err)))
            });
        }
        tokio::select! { () = tokio::time::sleep(RISK_INTERVAL) => {}, () = shutdown.wait() => {} }
    }
}
