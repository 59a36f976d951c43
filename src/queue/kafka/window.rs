//! What one partition has given us and we have not settled, in the order of the log.
//!
//! The group's offset may only move past what is settled, so the window begins at the first message
//! that is not. How far from there messages are given out bounds what a single stuck one can make the
//! next owner do again.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use crate::queue::Message;

/// Messages of one partition that may have been given out, settled ones behind an unsettled one included.
const REACH: usize = 500;
/// Roughly what one takes in memory beside its own bytes.
const OVERHEAD: usize = 500;

#[derive(Default)]
pub(super) struct Window {
    entries: VecDeque<Entry>,
    /// Where the log goes on; `None` until something came.
    next: Option<i64>,
    /// What the group has accepted as the offset where it goes on.
    committed: Option<i64>,
    bytes: usize,
    /// Nothing more is delivered: the partition is going to another member.
    pub(super) leaving: bool,
    pub(super) paused: bool,
}

struct Entry {
    offset: i64,
    /// `None` once it is settled.
    open: Option<OpenMessage>,
}

struct OpenMessage {
    message: Message,
    /// Deliveries so far.
    attempt: u32,
    state: MessageState,
}

enum MessageState {
    /// Not to be given out before.
    Waiting(Instant),
    /// When its consumer was last heard of.
    InHand(Instant),
}

/// A message given out: its offset, itself, and the how-manieth delivery this is.
pub(super) type Taken = (i64, Message, u32);

impl Window {
    /// The next message of the log. What is known already (a fetch that was repeated) is dropped.
    pub(super) fn push(&mut self, offset: i64, message: Message, now: Instant) {
        if self.leaving || self.next.is_some_and(|next| offset < next) {
            return;
        }
        self.bytes += message.size() + OVERHEAD;
        self.next = Some(offset + 1);
        let open = OpenMessage { message, attempt: 0, state: MessageState::Waiting(now) };
        self.entries.push_back(Entry { offset, open: Some(open) });
    }

    /// Gives out up to `max` messages, none while an earlier one of its key is unsettled.
    pub(super) fn take(&mut self, max: usize, now: Instant) -> Vec<Taken> {
        let mut taken = Vec::new();
        let mut keys = HashSet::new();
        let reach = if self.leaving { 0 } else { REACH };
        for Entry { offset, open } in self.entries.iter_mut().take(reach) {
            if taken.len() >= max {
                break;
            }
            let Some(open) = open else { continue };
            let first = keys.insert(open.message.key.as_str());
            if first && matches!(open.state, MessageState::Waiting(due) if due <= now) {
                open.attempt += 1;
                open.state = MessageState::InHand(now);
                taken.push((*offset, open.message.clone(), open.attempt));
            }
        }
        taken
    }

    /// When the next retry is due, of those that are not yet.
    pub(super) fn next_due(&self, now: Instant) -> Option<Instant> {
        let due = self.in_reach().filter_map(|open| match open.state {
            MessageState::Waiting(due) if due > now => Some(due),
            _ => None,
        });
        if self.leaving { None } else { due.min() }
    }

    /// The message is done.
    pub(super) fn settle(&mut self, offset: i64) {
        if let Some(entry) = self.find(offset)
            && let Some(open) = entry.open.take()
        {
            self.bytes -= open.message.size() + OVERHEAD;
        }
        while self.entries.front().is_some_and(|entry| entry.open.is_none()) {
            self.entries.pop_front();
        }
    }

    /// The message is to be given out again.
    pub(super) fn put_back(&mut self, offset: i64, due: Instant) {
        if let Some(open) = self.in_hand_mut(offset) {
            open.state = MessageState::Waiting(due);
        }
    }

    pub(super) fn heard_of(&mut self, offset: i64, now: Instant) {
        if let Some(open) = self.in_hand_mut(offset) {
            open.state = MessageState::InHand(now);
        }
    }

    pub(super) fn holds(&mut self, offset: i64) -> bool {
        self.in_hand_mut(offset).is_some()
    }

    /// Whether a consumer that was heard of lately has messages in flight.
    pub(super) fn busy(&self, now: Instant, silence: Duration) -> bool {
        self.in_reach().any(|open| matches!(open.state, MessageState::InHand(heard) if now < heard + silence))
    }

    /// The offset to commit: all before it is settled. `None` if the broker has it already.
    pub(super) fn to_commit(&self) -> Option<i64> {
        let point = self.entries.front().map(|entry| entry.offset).or(self.next)?;
        (self.committed != Some(point)).then_some(point)
    }

    /// The group has accepted this offset.
    pub(super) fn committed(&mut self, offset: i64) {
        self.committed = Some(offset);
    }

    /// Waiting messages, retries included, and those in flight.
    pub(super) fn count(&self) -> (u64, u64) {
        let in_hand = self.open().filter(|open| matches!(open.state, MessageState::InHand(_))).count();
        ((self.open().count() - in_hand) as u64, in_hand as u64)
    }

    /// Where the log goes on, if something came.
    pub(super) fn next(&self) -> Option<i64> {
        self.next
    }

    /// Roughly what it takes in memory.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    fn open(&self) -> impl Iterator<Item = &OpenMessage> {
        self.entries.iter().filter_map(|entry| entry.open.as_ref())
    }

    /// Those that may have been given out.
    fn in_reach(&self) -> impl Iterator<Item = &OpenMessage> {
        self.entries.iter().take(REACH).filter_map(|entry| entry.open.as_ref())
    }

    fn find(&mut self, offset: i64) -> Option<&mut Entry> {
        let place = self.entries.binary_search_by_key(&offset, |entry| entry.offset).ok()?;
        self.entries.get_mut(place)
    }

    fn in_hand_mut(&mut self, offset: i64) -> Option<&mut OpenMessage> {
        let open = self.find(offset)?.open.as_mut()?;
        matches!(open.state, MessageState::InHand(_)).then_some(open)
    }
}

#[cfg(test)]
mod tests;
