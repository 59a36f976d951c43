//! What this member of the group has: asked by async callers, filled by the member's thread.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::client::{Access, Topics};
use super::member;
use super::reader::Span;
use super::window::Window;
use crate::queue::broker::{CALL_TIMEOUT, unavailable};
use crate::queue::{Delivery, QueueError};

/// Tells the deliveries of one ownership of a partition from those of the next.
static OWNERSHIPS: AtomicU64 = AtomicU64::new(0);

/// One membership of the group. Dropped, it ends as one that is closed does, and nobody waits.
pub(super) struct Incoming(Arc<Desk>);

/// What the thread and the callers share.
pub(super) struct Desk {
    state: Mutex<MemberState>,
    /// Something may be there to be given out.
    arrived: Notify,
    /// Set by the callers: leave the group.
    pub(super) leave: CancellationToken,
    /// Set by the thread: it has left.
    pub(super) left: CancellationToken,
    /// How long a consumer may say nothing before its messages are taken from it.
    pub(super) silence: Duration,
}

#[derive(Default)]
pub(super) struct MemberState {
    pub(super) owned: BTreeMap<i32, OwnedPartition>,
    /// The client has lost its broker, or may not do what it is to do.
    pub(super) trouble: bool,
    /// The group went on without this member: what it still has is lost.
    pub(super) expelled: bool,
    /// Until when a member that goes waits for what is settled to be accepted.
    pub(super) leaves_by: Option<Instant>,
    /// The member goes, and waits for nothing any more.
    pub(super) closing: bool,
    /// Turns, so that no partition is always the first to be asked.
    turn: usize,
}

/// One partition that is ours.
pub(super) struct OwnedPartition {
    ownership: u64,
    pub(super) window: Window,
}

impl OwnedPartition {
    pub(super) fn new() -> Self {
        Self { ownership: OWNERSHIPS.fetch_add(1, Ordering::Relaxed), window: Window::default() }
    }
}

impl Desk {
    pub(super) fn lock(&self) -> MutexGuard<'_, MemberState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes who waits for a message.
    pub(super) fn tell(&self) {
        self.arrived.notify_waiters();
    }
}

impl MemberState {
    fn take(&mut self, max: usize, now: Instant) -> Vec<Delivery> {
        let mut deliveries = Vec::new();
        self.turn = self.turn.wrapping_add(1);
        let first = self.turn % self.owned.len().max(1);
        let (before, after): (Vec<_>, Vec<_>) =
            self.owned.iter_mut().enumerate().partition(|(place, _)| *place < first);
        for (_, (partition, owned)) in after.into_iter().chain(before) {
            let taken = owned.window.take(max - deliveries.len(), now.into_std());
            deliveries.extend(taken.into_iter().map(|(offset, message, attempt)| {
                let receipt = format!("{}/{partition}/{offset}", owned.ownership);
                Delivery { message, attempt, receipt }
            }));
        }
        deliveries
    }

    /// The partitions that the group wants back, all of them or none. If they are to wait: for the
    /// messages that are in flight, and for the group to accept what is settled.
    pub(super) fn to_hand_over(&self, now: std::time::Instant, silence: Duration, wait: bool) -> Vec<i32> {
        let leaving = || self.owned.iter().filter(|(_, owned)| owned.window.leaving);
        let kept = |window: &Window| window.busy(now, silence) || window.to_commit().is_some();
        match wait && leaving().any(|(_, owned)| kept(&owned.window)) {
            true => Vec::new(),
            false => leaving().map(|(partition, _)| *partition).collect(),
        }
    }

    fn next_due(&self, now: Instant) -> Option<Instant> {
        let due = self.owned.values().filter_map(|owned| owned.window.next_due(now.into_std()));
        due.min().map(Instant::from_std)
    }

    /// The window and offset of a delivery, if that is still this one's.
    fn find(&mut self, delivery: &Delivery) -> Option<(&mut Window, i64)> {
        let ownership: u64 = delivery.receipt.split('/').next()?.parse().ok()?;
        let (partition, offset) = place(&delivery.receipt)?;
        let owned = self.owned.get_mut(&partition)?;
        (owned.ownership == ownership && owned.window.holds(offset)).then_some((&mut owned.window, offset))
    }
}

/// Partition and offset of a receipt.
pub(super) fn place(receipt: &str) -> Option<(i32, i64)> {
    let mut parts = receipt.split('/').skip(1);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

impl Incoming {
    /// Joins the group, in the background.
    pub(super) fn open(
        access: &Access,
        topics: &Topics,
        visibility_timeout: Duration,
    ) -> Result<Self, QueueError> {
        let desk = Arc::new(Desk {
            state: Mutex::default(),
            arrived: Notify::new(),
            leave: CancellationToken::new(),
            left: CancellationToken::new(),
            silence: visibility_timeout,
        });
        member::start(access, topics, desk.clone())?;
        Ok(Self(desk))
    }

    pub(super) fn usable(&self) -> bool {
        !self.0.left.is_cancelled()
    }

    pub(super) async fn receive(
        &self,
        max: usize,
        deadline: Instant,
        stopped: &CancellationToken,
    ) -> Result<Vec<Delivery>, QueueError> {
        loop {
            let mut arrived = std::pin::pin!(self.0.arrived.notified());
            // From here on no arrival is missed.
            arrived.as_mut().enable();
            if stopped.is_cancelled() {
                return Ok(Vec::new());
            }
            let now = Instant::now();
            let (taken, due) = {
                let mut state = self.0.lock();
                (state.take(max, now), state.next_due(now))
            };
            if !taken.is_empty() || now >= deadline {
                return Ok(taken);
            }
            let until = due.map_or(deadline, |due| due.min(deadline));
            tokio::select! {
                () = arrived => {}
                () = sleep_until(until) => {}
                () = stopped.cancelled() => {}
                () = self.0.left.cancelled() => return Err(unavailable("ended the consumer")),
            }
        }
    }

    pub(super) fn in_trouble(&self) -> bool {
        self.0.lock().trouble
    }

    pub(super) fn out_of_trouble(&self) {
        self.0.lock().trouble = false;
    }

    /// Whether the delivery is still its consumer's.
    pub(super) fn holds(&self, delivery: &Delivery) -> bool {
        self.0.lock().find(delivery).is_some()
    }

    pub(super) fn settle(&self, delivery: &Delivery) {
        self.with(delivery, |window, offset| window.settle(offset));
    }

    pub(super) fn put_back(&self, delivery: &Delivery, delay: Duration) {
        let due = Instant::now() + delay;
        self.with(delivery, |window, offset| window.put_back(offset, due.into_std()));
    }

    pub(super) fn heard_of(&self, delivery: &Delivery) {
        let now = Instant::now();
        self.with(delivery, |window, offset| window.heard_of(offset, now.into_std()));
    }

    /// Nothing happens to a delivery that is no longer its consumer's.
    fn with(&self, delivery: &Delivery, change: impl FnOnce(&mut Window, i64)) {
        if let Some((window, offset)) = self.0.lock().find(delivery) {
            change(window, offset);
        }
        // A key may be free now, or a retry due.
        self.0.tell();
    }

    /// Waiting messages of the whole topic, and those in our hands. Of our own partitions we know
    /// better than the broker what is settled.
    pub(super) fn count(&self, topic: &[Span]) -> (u64, u64) {
        let state = self.0.lock();
        let (mut waiting, mut in_hand) = (0, 0);
        for span in topic {
            match state.owned.get(&span.partition).map(|owned| &owned.window) {
                Some(window) if window.next().is_some() => {
                    let (ours, taken) = window.count();
                    waiting += ours + span.after(window.next());
                    in_hand += taken;
                }
                _ => waiting += span.lag(),
            }
        }
        (waiting, in_hand)
    }

    /// Commits and leaves the group, so that another member has the partitions at once. `patience` is for a group that does
    /// not accept the commit yet; two seconds are taken in any case.
    pub(super) async fn close(&self, patience: Duration) {
        let patience = patience.max(CALL_TIMEOUT / 2);
        self.0.lock().leaves_by = Some(Instant::now() + patience);
        self.0.leave.cancel();
        // Where the broker does not answer, it will find out by itself.
        tokio::time::timeout(patience + CALL_TIMEOUT / 2, self.0.left.cancelled()).await.ok();
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.0.leave.cancel();
    }
}
