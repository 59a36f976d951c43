//! Amazon SQS, a standard queue.
//!
//! SQS counts deliveries, hides what is in flight and moves to the dead-letter queue what came too
//! often; the queue's redrive policy says which queue that is. It knows whole seconds only: delays
//! and timeouts are rounded up, so that nothing comes early.

mod answers;
mod client;
mod dead;
mod delete;
mod message;
mod redrive;

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sqs::types::{self, MessageSystemAttributeName};
use opentelemetry::KeyValue;

use self::answers::SqsFailure;
use self::client::gone;
use self::message::Packed;
use self::redrive::RedriveWatch;
use super::ack_batch::AckBatcher;
use super::broker::{CALL_TIMEOUT, within};
use super::{DeadLetter, Deliver, Delivery, Depth, Describe, Inspect, Message, QueueError, wire};
use crate::config::{QueueConfig, Transport};

/// Most messages, or receipts, in one call.
const BATCH: usize = 10;
/// Most bytes in one call, by the older of the two limits that SQS has had.
const BATCH_BYTES: usize = 256 * 1024;
/// Longest time a message can be hidden.
const LONGEST_HIDDEN: Duration = Duration::from_secs(12 * 60 * 60);
/// Longest time one call can wait for messages.
const LONGEST_WAIT: u64 = 20;

/// SQS transport: one process's access to one queue.
pub struct Sqs {
    client: aws_sdk_sqs::Client,
    url: String,
    visibility_timeout: Duration,
    /// Receipts to be deleted.
    deletes: AckBatcher<String>,
    watch: RedriveWatch,
}

impl Sqs {
    /// Connects to nothing yet: the first call does, and each call after the connection was lost.
    ///
    /// # Errors
    /// Settings that can never work, such as an authority's file that cannot be read.
    pub async fn open(config: &QueueConfig) -> Result<Self, QueueError> {
        let url = config.broker.sqs_queue_url.clone().unwrap_or_default();
        if url.ends_with(".fifo") {
            let why = "a FIFO queue would hold a group's messages up for as long as one of them fails";
            return Err(QueueError::Unavailable(format!("SQS_QUEUE_URL must name a standard queue: {why}")));
        }
        Ok(Self {
            client: client::connect(&config.broker, &url).await?,
            url,
            visibility_timeout: config.queue_visibility_timeout,
            deletes: AckBatcher::new(BATCH),
            watch: RedriveWatch::of(config.queue_max_attempts),
        })
    }

    /// Sends to the queue of this URL, in order, in as many calls as it takes.
    async fn send(&self, url: &str, messages: Vec<Packed>) -> Result<(), QueueError> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        for message in messages {
            if batch.len() == BATCH || bytes + message.size() > BATCH_BYTES {
                self.send_batch(url, std::mem::take(&mut batch)).await?;
                bytes = 0;
            }
            bytes += message.size();
            batch.push(message);
        }
        if batch.is_empty() { Ok(()) } else { self.send_batch(url, batch).await }
    }

    async fn send_batch(&self, url: &str, batch: Vec<Packed>) -> Result<(), QueueError> {
        let entries: Vec<_> =
            batch.into_iter().enumerate().map(|(n, one)| one.entry(n)).collect::<Result<_, _>>()?;
        let call = self.client.send_message_batch().queue_url(url).set_entries(Some(entries));
        let sent = call.send().await.map_err(|error| SqsFailure::of(&error).of_message())?;
        match sent.failed().iter().map(|entry| SqsFailure::coded(entry.code()).of_message()).next() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Takes what is there, waiting up to so many seconds for the first message, and hides it.
    async fn take(
        &self,
        url: &str,
        max: usize,
        wait: u64,
        hide: Duration,
    ) -> Result<Vec<types::Message>, QueueError> {
        let wait = wait.min(LONGEST_WAIT);
        let call = self
            .client
            .receive_message()
            .queue_url(url)
            .max_number_of_messages(i32::try_from(max.clamp(1, BATCH)).unwrap_or(1))
            .wait_time_seconds(i32::try_from(wait).unwrap_or_default())
            .visibility_timeout(seconds(hide))
            .message_attribute_names("All")
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
            .message_system_attribute_names(MessageSystemAttributeName::AwsTraceHeader);
        let taken = within(CALL_TIMEOUT + Duration::from_secs(wait), async {
            call.send().await.map_err(|error| SqsFailure::of(&error).into())
        });
        Ok(taken.await?.messages.unwrap_or_default())
    }

    /// Hides a message in flight for so long from now; false if it is no longer this consumer's.
    async fn hide(&self, delivery: &Delivery, time: Duration) -> Result<bool, QueueError> {
        let call = self
            .client
            .change_message_visibility()
            .queue_url(&self.url)
            .receipt_handle(&delivery.receipt)
            .visibility_timeout(seconds(time));
        match call.send().await.map_err(|error| SqsFailure::of(&error)) {
            Ok(_) => Ok(true),
            Err(failure) if gone(failure.code()) => {
                tracing::debug!(messageId = delivery.message.id, "Delivery is no longer ours");
                Ok(false)
            }
            Err(failure) => Err(failure.into()),
        }
    }

    /// Copies, then deletes: dying in between leaves a copy too many, never one too few.
    async fn move_to(
        &self,
        delivery: &Delivery,
        url: &str,
        fields: impl IntoIterator<Item = (&'static str, String)>,
    ) -> Result<(), QueueError> {
        let packed = Packed::of(&delivery.message, fields)?;
        // Another consumer's by now: it decides. Ours: it stays so for the calls that follow.
        if !self.hide(delivery, self.visibility_timeout).await? {
            return Ok(());
        }
        self.send(url, vec![packed]).await?;
        self.delete(&delivery.receipt).await
    }
}

impl Describe for Sqs {
    fn system(&self) -> &'static str {
        Transport::Sqs.row().system
    }

    /// As SQS calls it, whatever `QUEUE_NAME` says.
    fn name(&self) -> &str {
        self.url.rsplit('/').next().unwrap_or_default()
    }

    fn attributes(&self, _: &Message, _: Option<&str>) -> Vec<KeyValue> {
        vec![KeyValue::new("aws.sqs.queue.url", self.url.clone())]
    }
}

#[async_trait]
impl Deliver for Sqs {
    async fn publish(&self, batch: &[Message]) -> Result<(), QueueError> {
        wire::check(batch)?;
        let packed: Vec<_> = batch.iter().map(|message| Packed::of(message, [])).collect::<Result<_, _>>()?;
        within(CALL_TIMEOUT, self.send(&self.url, packed)).await
    }

    /// SQS waits whole seconds; for a shorter wait this polls at its beginning and at its end.
    async fn receive(&self, max: usize, wait: Duration) -> Result<Vec<Delivery>, QueueError> {
        let mut taken = self.take(&self.url, max, wait.as_secs(), self.visibility_timeout).await?;
        if taken.is_empty() && wait.as_secs() == 0 && !wait.is_zero() {
            tokio::time::sleep(wait).await;
            taken = self.take(&self.url, max, 0, self.visibility_timeout).await?;
        }
        Ok(taken.iter().map(message::delivery).collect())
    }

    async fn ack(&self, delivery: &Delivery) -> Result<(), QueueError> {
        within(CALL_TIMEOUT, self.delete(&delivery.receipt)).await
    }

    async fn retry(&self, delivery: &Delivery, delay: Duration) -> Result<(), QueueError> {
        within(CALL_TIMEOUT, self.hide(delivery, delay)).await.map(drop)
    }

    /// By a copy that says how many attempts there were: SQS counts every delivery, and moves a message
    /// to the dead letters by that count. One that has no room for that is shown again as it is.
    async fn requeue(&self, delivery: &Delivery) -> Result<(), QueueError> {
        let attempts = (wire::ATTEMPT, delivery.attempt.saturating_sub(1).to_string());
        match within(CALL_TIMEOUT, self.move_to(delivery, &self.url, [attempts])).await {
            Err(QueueError::Refused(_)) => self.retry(delivery, Duration::ZERO).await,
            moved => moved,
        }
    }

    async fn dead_letter(&self, delivery: &Delivery, reason: &str) -> Result<(), QueueError> {
        within(CALL_TIMEOUT, self.move_to_dead(delivery, reason)).await
    }

    async fn heartbeat(&self, delivery: &Delivery) -> Result<(), QueueError> {
        within(CALL_TIMEOUT, self.hide(delivery, self.visibility_timeout)).await.map(drop)
    }

    /// Nothing is held: SQS knows no sessions.
    async fn close(&self) {}
}

#[async_trait]
impl Inspect for Sqs {
    async fn depth(&self) -> Result<Depth, QueueError> {
        within(CALL_TIMEOUT, self.count()).await
    }

    async fn takes_messages(&self) -> Result<(), QueueError> {
        within(CALL_TIMEOUT, self.redrive()).await.map(drop)
    }

    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>, QueueError> {
        self.browse_dead(limit).await
    }

    async fn replay(&self, id: Option<&str>) -> Result<u64, QueueError> {
        self.replay_dead(id).await
    }
}

/// Whole seconds, rounded up, as many as SQS takes.
fn seconds(time: Duration) -> i32 {
    let time = time.min(LONGEST_HIDDEN);
    let whole = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    i32::try_from(whole).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_is_rounded_up_so_that_nothing_comes_early() {
        for (milliseconds, expected) in [(0, 0), (1, 1), (1000, 1), (1001, 2), (86_400_000, 43_200)] {
            assert_eq!(seconds(Duration::from_millis(milliseconds)), expected, "{milliseconds} ms");
        }
    }
}
