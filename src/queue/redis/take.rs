//! How messages are received: the blocking read, and between reads what no read brings.

use std::sync::atomic::Ordering;
use std::time::Duration;

use fred::interfaces::StreamsInterface;
use tokio::time::Instant;

use super::Redis;
use super::entry::{EntryFields, delivery};
use super::script::{GROUP, JOIN, TAKE};
use crate::queue::worker::LONGEST_RETRY;
use crate::queue::{Delivery, QueueError};

/// Longest time between two polls for what is due and for what dead consumers left. Also bounds one
/// blocking read, so it is how late a retry that another process scheduled can come.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// Idle consumers with nothing in flight are forgotten after this.
const FORGET_AFTER: Duration = Duration::from_secs(600);

/// `XREADGROUP`'s answer: streams, their entries, their fields.
type StreamRead = Option<Vec<(String, Vec<(String, EntryFields)>)>>;

impl Redis {
    /// One poll and one read. Comes back with nothing after at most [`POLL_INTERVAL`].
    pub(super) async fn take(&self, max: usize, deadline: Instant) -> Result<Vec<Delivery>, QueueError> {
        if !self.joined.load(Ordering::Relaxed) {
            let () = self.run(&JOIN, [FORGET_AFTER.as_millis().to_string()]).await?;
            self.joined.store(true, Ordering::Relaxed);
        }
        if self.next_poll() <= Instant::now() {
            let claimed = self.poll(max).await?;
            if !claimed.is_empty() {
                return Ok(claimed);
            }
        }
        self.read(max, deadline.min(self.next_poll())).await
    }

    /// What is due goes into the stream, what dead consumers had in flight comes here.
    async fn poll(&self, max: usize) -> Result<Vec<Delivery>, QueueError> {
        let times = [self.visibility_timeout, LONGEST_RETRY].map(|time| time.as_millis().to_string());
        let args = std::iter::once(max.to_string()).chain(times);
        let (claimed, due_in): (Vec<(String, u32, EntryFields)>, i64) = self.run(&TAKE, args).await?;
        if claimed.is_empty() {
            let due_in = u64::try_from(due_in).map_or(POLL_INTERVAL, Duration::from_millis);
            self.set_next_poll(Instant::now() + due_in.min(POLL_INTERVAL));
        }
        Ok(claimed.into_iter().map(|(id, count, fields)| delivery(&id, count, fields)).collect())
    }

    async fn read(&self, max: usize, until: Instant) -> Result<Vec<Delivery>, QueueError> {
        let pause = until.saturating_duration_since(Instant::now());
        // Rounded up, or the last part of a millisecond would be spent going round. 0 would mean for ever.
        let block = (!pause.is_zero())
            .then(|| u64::try_from(pause.as_millis()).unwrap_or(u64::MAX).saturating_add(1));
        let (consumer, stream) = (self.consumer.clone(), self.keys.stream.clone());
        let read: StreamRead = self
            .read
            .call(pause, |client| async move {
                let count = u64::try_from(max).ok();
                client.xreadgroup(GROUP, consumer, count, block, false, stream, ">").await
            })
            .await?;
        let entries = read.into_iter().flatten().flat_map(|(_, entries)| entries);
        Ok(entries.map(|(id, fields)| delivery(&id, 1, fields)).collect())
    }

    pub(super) fn poll_in(&self, delay: Duration) {
        let then = Instant::now() + delay;
        if then < self.next_poll() {
            self.set_next_poll(then);
        }
    }

    fn next_poll(&self) -> Instant {
        *self.next_poll.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn set_next_poll(&self, then: Instant) {
        *self.next_poll.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = then;
    }
}
