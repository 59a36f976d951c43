//! Looking at dead letters and sending them back.
//!
//! The dead-letter topic is a log too: what its group has passed is replayed, what lies before the
//! group is dead. So the count is one subtraction, and all are replayed by moving to the end. One
//! letter is replayed by moving just past it, and those that lay before it go to the end once more.
//! The order of letters is therefore the time of their death, not their place. A crash on the way
//! makes second copies, never none.
//!
//! Nothing is deleted: not every broker can. Kafka forgets how far a group without members was a week
//! after it moved last (`offsets.retention.minutes`); then letters replayed before are dead again, and
//! to replay them again does nothing, as consumers know their ids.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::{Message as _, Offset, TopicPartitionList};

use super::answers::{again, failed};
use super::client::{left, time_limit, unbounded};
use super::outgoing::{Outgoing, OutgoingRecord};
use super::reader::{Asker, Reader, Span, asker};
use super::record;
use crate::queue::broker::unavailable;
use crate::queue::{DeadLetter, Message, QueueError, wire};

/// Letters in memory at once, beside those that are asked for.
const PAGE: usize = 200;

/// A letter where it lies.
struct Letter {
    partition: i32,
    offset: i64,
    message: Message,
    fields: record::RecordFields,
}

/// By partition: offsets before this one.
type Ends = BTreeMap<i32, i64>;

/// The oldest letters. All are looked at, since those that were put at the end once more are not the
/// youngest.
pub(super) async fn list(reader: Arc<Reader>, limit: usize) -> Result<Vec<DeadLetter>, QueueError> {
    unbounded(move || {
        let mut look = Look::open(&reader, None)?;
        let mut letters = Vec::new();
        loop {
            let page = look.page()?;
            if page.is_empty() {
                return Ok(letters);
            }
            let page = page.into_iter();
            letters.extend(
                page.map(|letter| wire::dead_letter(letter.message, |name| letter.fields.get(name).cloned())),
            );
            letters.sort_by_key(|letter| letter.died_at_ms);
            letters.truncate(limit);
        }
    })
    .await
}

/// Sends back every letter with this id, or all of them; not those that die meanwhile.
pub(super) async fn replay(
    reader: Arc<Reader>,
    outgoing: Arc<Outgoing>,
    id: Option<String>,
) -> Result<u64, QueueError> {
    unbounded(move || {
        let ends = match &id {
            Some(id) => Some(last_of(&reader, id)?),
            None => None,
        };
        let mut look = Look::open(&reader, ends)?;
        let mut replayed = 0;
        loop {
            let mut page = look.page()?;
            if page.is_empty() {
                return Ok(replayed);
            }
            page.sort_by_key(|letter| letter.fields.get(wire::DEAD_AT).and_then(|at| at.parse::<i64>().ok()));
            let wanted = |letter: &Letter| id.as_ref().is_none_or(|id| letter.message.id == *id);
            replayed += page.iter().filter(|letter| wanted(letter)).count() as u64;
            let records = page.iter().map(|letter| match wanted(letter) {
                true => OutgoingRecord::of(&reader.topics.main, &letter.message, []),
                false => OutgoingRecord::of(&reader.topics.dead, &letter.message, why(&letter.fields)),
            });
            tokio::runtime::Handle::current().block_on(outgoing.send(records.collect()))?;
            look.pass(&page)?;
        }
    })
    .await
}

/// The fields of a dead letter, of those that are ours.
fn why(fields: &record::RecordFields) -> Vec<(&'static str, String)> {
    let names = [wire::DEAD_REASON, wire::DEAD_ATTEMPTS, wire::DEAD_AT];
    names.into_iter().filter_map(|name| Some((name, fields.get(name)?.clone()))).collect()
}

/// Up to where letters with this id lie.
fn last_of(reader: &Reader, id: &str) -> Result<Ends, QueueError> {
    let mut look = Look::open(reader, None)?;
    let mut ends = Ends::new();
    loop {
        let page = look.page()?;
        if page.is_empty() {
            return Ok(ends);
        }
        for letter in page.iter().filter(|letter| letter.message.id == id) {
            ends.insert(letter.partition, letter.offset + 1);
        }
    }
}

/// A look at dead letters, from the first one that was not replayed to the last one there is now.
struct Look {
    asker: Asker,
    topic: String,
    /// What is still to be looked at.
    rest: BTreeMap<i32, std::ops::Range<i64>>,
    passed: Ends,
}

impl Look {
    /// `ends` to look no further than there.
    fn open(reader: &Reader, ends: Option<Ends>) -> Result<Self, QueueError> {
        let end = |span: &Span| match &ends {
            Some(ends) => ends.get(&span.partition).copied().unwrap_or_default(),
            None => span.high,
        };
        let spans = reader.ask_dead()?;
        let ranges = spans.iter().map(|span| (span.partition, span.begin()..end(span)));
        let rest: BTreeMap<_, _> = ranges.filter(|(_, range)| !range.is_empty()).collect();
        let topic = reader.topics.dead.clone();
        let asker = asker(&reader.access, &topic)?;
        let mut begins = TopicPartitionList::new();
        for (partition, range) in &rest {
            begins.add_partition_offset(&topic, *partition, Offset::Offset(range.start)).map_err(failed)?;
        }
        if !rest.is_empty() {
            asker.assign(&begins).map_err(failed)?;
        }
        Ok(Self { asker, topic, rest, passed: Ends::new() })
    }

    /// The next letters; none once all have been looked at.
    fn page(&mut self) -> Result<Vec<Letter>, QueueError> {
        let until = time_limit();
        let mut page = Vec::new();
        while !self.rest.is_empty() && page.len() < PAGE {
            if Instant::now() >= until {
                return Err(unavailable("did not show its dead letters in time"));
            }
            // Errors are passing ones, such as a connection that is made again.
            let Some(Ok(came)) = self.asker.poll(left(until)) else { continue };
            let (partition, offset) = (came.partition(), came.offset());
            let Some(range) = self.rest.get_mut(&partition) else { continue };
            if range.contains(&offset) {
                let (message, fields) = record::message(&came);
                page.push(Letter { partition, offset, message, fields });
            }
            range.start = offset + 1;
            if range.is_empty() {
                self.rest.remove(&partition);
            }
        }
        Ok(page)
    }

    /// Moves the group past these letters.
    fn pass(&mut self, page: &[Letter]) -> Result<(), QueueError> {
        for letter in page {
            let end = self.passed.entry(letter.partition).or_default();
            *end = (*end).max(letter.offset + 1);
        }
        let offsets = self.offsets()?;
        again(time_limit(), || self.asker.commit(&offsets, CommitMode::Sync))
    }

    fn offsets(&self) -> Result<TopicPartitionList, QueueError> {
        let mut offsets = TopicPartitionList::new();
        for (partition, end) in &self.passed {
            offsets.add_partition_offset(&self.topic, *partition, Offset::Offset(*end)).map_err(failed)?;
        }
        Ok(offsets)
    }
}
