//! Redis Streams with a consumer group.
//!
//! An entry stays in the stream until it is settled, so nothing is ever trimmed: the stream's length
//! is what there is to do. A consumer that is silent for the visibility timeout loses its entries to
//! the next one that polls; a settlement must show the delivery's count, so a late one changes nothing.
//! A retry takes its message out of the stream and back in when it is due, the attempts so far in a
//! field. Every such step is one script, so a death in the middle leaves it done or not begun.
//!
//! What Redis confirmed is as safe as its persistence and replication are: `risk` says where they are not.

mod answers;
mod entry;
mod link;
mod risk;
mod script;
mod take;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use fred::interfaces::StreamsInterface;
use fred::types::{MultipleKeys, Value};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::entry::EntryFields;
use self::link::RedisLink;
use self::script::{GROUP, QueueKeys};
use super::ack_batch::AckBatcher;
use super::broker::unavailable;
use super::{DeadLetter, Deliver, Delivery, Depth, Describe, Inspect, Message, QueueError, wire};
use crate::config::{DeadLetterConfig, QueueConfig, Transport};

/// Messages in one step: a bound for what is in memory, and for how long Redis is busy.
const PAGE: usize = 100;

/// Redis transport: one process's access to one queue.
pub struct Redis {
    name: String,
    keys: QueueKeys,
    /// The same as the scripts want them.
    script_keys: MultipleKeys,
    /// What the words of every script begin with.
    first_words: [Value; 3],
    /// This handle among the group's consumers.
    consumer: String,
    visibility_timeout: Duration,
    dead_letters: DeadLetterConfig,
    /// For everything that answers at once.
    work: RedisLink,
    /// For the read that waits: nothing else could pass it.
    read: RedisLink,
    /// Whether stream and group are known to be there.
    joined: AtomicBool,
    /// Entries and counts of deliveries to be acknowledged.
    acks: AckBatcher<[String; 2]>,
    /// When to poll for what no read brings.
    next_poll: Mutex<Instant>,
    stopped: CancellationToken,
}

impl Redis {
    /// Connects to nothing yet: the first call does, and each call after the connection was lost.
    ///
    /// # Errors
    /// Settings that can never work, such as an authority's file that cannot be read.
    pub fn open(config: &QueueConfig) -> Result<Self, QueueError> {
        let url = config.broker.redis_url.as_ref().ok_or_else(|| unavailable("has no REDIS_URL"))?;
        let link = link::config(url, config.broker.queue_ca_file.as_deref())?;
        let (keys, consumer) = (QueueKeys::of(&config.queue_name), uuid::Uuid::now_v7().to_string());
        Ok(Self {
            name: config.queue_name.clone(),
            script_keys: keys.all(),
            keys,
            first_words: script::first_words(&consumer),
            consumer,
            visibility_timeout: config.queue_visibility_timeout,
            dead_letters: config.dead_letters,
            work: RedisLink::new(link.clone()),
            read: RedisLink::new(link),
            joined: AtomicBool::new(false),
            acks: AckBatcher::new(PAGE),
            next_poll: Mutex::new(Instant::now()),
            stopped: CancellationToken::new(),
        })
    }

    async fn release(&self) {
        // A handle that never received has nothing, and is no consumer.
        if self.joined.load(Ordering::Relaxed)
            && let Err(error) = self.run::<()>(&script::RELEASE, []).await
        {
            tracing::debug!(reason = %error, "What is in flight is redelivered after the visibility timeout");
        }
    }
}

impl Describe for Redis {
    /// Not a registered value of the conventions, which have none for Redis.
    fn system(&self) -> &'static str {
        Transport::Redis.row().system
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn consumer_group(&self) -> Option<&str> {
        Some(GROUP)
    }
}

#[async_trait]
impl Deliver for Redis {
    async fn publish(&self, batch: &[Message]) -> Result<(), QueueError> {
        entry::check(batch)?;
        if batch.is_empty() {
            return Ok(());
        }
        self.work
            .call(Duration::ZERO, |client| async move {
                let pipeline = client.pipeline();
                for message in batch {
                    let fields = entry::fields(message);
                    let () = pipeline.xadd(self.keys.stream.as_str(), false, None, "*", fields).await?;
                }
                pipeline.all::<Vec<String>>().await.map(drop)
            })
            .await
    }

    async fn receive(&self, max: usize, wait: Duration) -> Result<Vec<Delivery>, QueueError> {
        let deadline = Instant::now() + wait;
        loop {
            let taken = self.take(max.max(1), deadline).await;
            // The stream and its group may be gone with the server that had them.
            let taken = taken.inspect_err(|_| self.joined.store(false, Ordering::Relaxed))?;
            if !taken.is_empty() || deadline <= Instant::now() || self.stopped.is_cancelled() {
                return Ok(taken);
            }
        }
    }

    async fn stop_receiving(&self) {
        self.stopped.cancel();
    }

    async fn ack(&self, delivery: &Delivery) -> Result<(), QueueError> {
        let Some(receipt) = entry::receipt(delivery) else { return Ok(()) };
        self.acks.settle(receipt, |all| self.acknowledge(all)).await
    }

    async fn retry(&self, delivery: &Delivery, delay: Duration) -> Result<(), QueueError> {
        self.settle(&script::RETRY, delivery, [delay.as_millis().to_string(), "1".to_owned()]).await?;
        self.poll_in(delay);
        Ok(())
    }

    async fn requeue(&self, delivery: &Delivery) -> Result<(), QueueError> {
        self.settle(&script::RETRY, delivery, ["0".to_owned(), "0".to_owned()]).await
    }

    async fn dead_letter(&self, delivery: &Delivery, reason: &str) -> Result<(), QueueError> {
        let DeadLetterConfig { dead_letter_age: age, dead_letter_rows: rows, .. } = self.dead_letters;
        let mut words = vec![rows.to_string(), age.as_millis().to_string()];
        for (name, value) in wire::dead_fields(delivery, reason) {
            words.extend([name.to_owned(), value]);
        }
        self.settle(&script::DEAD_LETTER, delivery, words).await
    }

    async fn heartbeat(&self, delivery: &Delivery) -> Result<(), QueueError> {
        self.settle(&script::HEARTBEAT, delivery, []).await
    }

    async fn close(&self) {
        self.stopped.cancel();
        self.read.close().await;
        self.release().await;
        self.work.close().await;
    }
}

#[async_trait]
impl Inspect for Redis {
    async fn depth(&self) -> Result<Depth, QueueError> {
        let (waiting, in_flight, dead) = self.run(&script::DEPTH, []).await?;
        Ok(Depth { waiting, in_flight, dead })
    }

    async fn risk(&self) -> Result<Option<String>, QueueError> {
        let info: String = self.run(&script::RISKS, []).await?;
        Ok(risk::of(&info))
    }

    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>, QueueError> {
        let mut letters = Vec::new();
        let mut start = "-".to_owned();
        while letters.len() < limit {
            let want = (limit - letters.len()).min(PAGE);
            let (dead, from) = (self.keys.dead.as_str(), start.as_str());
            let page: Vec<(String, EntryFields)> = self
                .work
                .call(Duration::ZERO, |client| async move {
                    client.xrange(dead, from, "+", u64::try_from(want).ok()).await
                })
                .await?;
            let Some((last, _)) = page.last() else { break };
            start = format!("({last}");
            letters.extend(page.into_iter().map(|(id, fields)| entry::dead_letter(&id, fields)));
        }
        Ok(letters)
    }

    async fn replay(&self, id: Option<&str>) -> Result<u64, QueueError> {
        let (mut start, mut stop, mut replayed) = ("-".to_owned(), String::new(), 0);
        loop {
            let wanted = id.unwrap_or_default();
            let args = [&start, &stop, &PAGE.to_string(), wire::ID, wanted].map(str::to_owned);
            let (moved, last, end): (u64, String, String) = self.run(&script::REPLAY, args).await?;
            replayed += moved;
            if last.is_empty() {
                return Ok(replayed);
            }
            (start, stop) = (format!("({last}"), end);
        }
    }
}
