//! How messages are received: the blocking read, and between reads what no read brings.

use std::sync::atomic::Ordering;
use std::time::Duration;

use fred::interfaces::StreamsInterface;
use tokio::time::Instant;

use super::Redis;
use super::entry::{Fields, delivery};
use super::script::{GROUP, JOIN, TAKE};
use crate::queue::{Delivery, QueueError};

/// Longest time between two looks for what is due and for what dead consumers left. Also bounds one
/// blocking read, so it is how late a retry that another process scheduled can come.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);
/// Idle consumers with nothing in hand are forgotten after this.
const FORGET_AFTER: Duration = Duration::from_secs(600);

/// `XREADGROUP`'s answer: streams, their entries, their fields.
type Read = Option<Vec<(String, Vec<(String, Fields)>)>>;

impl Redis {
    /// One look and one read. Comes back with nothing after at most [`LOOK_INTERVAL`].
    pub(super) async fn take(&self, max: usize, deadline: Instant) -> Result<Vec<Delivery>, QueueError> {
        if !self.joined.load(Ordering::Relaxed) {
            let () = self.run(JOIN, [FORGET_AFTER.as_millis().to_string()]).await?;
            self.joined.store(true, Ordering::Relaxed);
        }
        if self.next_look() <= Instant::now() {
            let claimed = self.look(max).await?;
            if !claimed.is_empty() {
                return Ok(claimed);
            }
        }
        self.read(max, deadline.min(self.next_look())).await
    }

    /// What is due goes into the stream, what dead consumers had in hand comes here.
    async fn look(&self, max: usize) -> Result<Vec<Delivery>, QueueError> {
        let args = [max.to_string(), self.visibility_timeout.as_millis().to_string()];
        let (claimed, due_in): (Vec<(String, u32, Fields)>, i64) = self.run(TAKE, args).await?;
        if claimed.is_empty() {
            let due_in = u64::try_from(due_in).map_or(LOOK_INTERVAL, Duration::from_millis);
            self.set_next_look(Instant::now() + due_in.min(LOOK_INTERVAL));
        }
        Ok(claimed.into_iter().map(|(id, count, fields)| delivery(&id, count, fields)).collect())
    }

    async fn read(&self, max: usize, until: Instant) -> Result<Vec<Delivery>, QueueError> {
        let pause = until.saturating_duration_since(Instant::now());
        // Rounded up, or the last part of a millisecond would be spent going round. 0 would mean for ever.
        let block = (!pause.is_zero())
            .then(|| u64::try_from(pause.as_millis()).unwrap_or(u64::MAX).saturating_add(1));
        let (consumer, stream) = (self.consumer.clone(), self.keys.stream.clone());
        let read: Read = self
            .read
            .call(pause, |client| async move {
                let count = u64::try_from(max).ok();
                client.xreadgroup(GROUP, consumer, count, block, false, stream, ">").await
            })
            .await?;
        let entries = read.into_iter().flatten().flat_map(|(_, entries)| entries);
        Ok(entries.map(|(id, fields)| delivery(&id, 1, fields)).collect())
    }

    pub(super) fn look_in(&self, delay: Duration) {
        let then = Instant::now() + delay;
        if then < self.next_look() {
            self.set_next_look(then);
        }
    }

    fn next_look(&self) -> Instant {
        *self.next_look.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn set_next_look(&self, then: Instant) {
        *self.next_look.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = then;
    }
}
