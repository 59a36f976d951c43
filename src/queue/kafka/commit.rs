//! Commits: how the group learns up to where a partition is settled.
//!
//! A group refuses commits while its members synchronise, and has no coordinator while a broker
//! restarts. So each commit is waited for, one that is refused is repeated, and a partition is handed
//! over only once the group has accepted what is settled of it: there its next owner begins. (The answer
//! to a commit that nobody waits for does not reach us: librdkafka drops it where no callback of its own
//! is set, and the Rust client sets none.)

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::KafkaResult;
use rdkafka::{Offset, TopicPartitionList};

use super::answers::expels;
use super::incoming::{Desk, MemberState};

/// What is settled and not committed yet.
struct Commit {
    offsets: TopicPartitionList,
    /// Sent while the group waits for partitions of this member. It then stays in its generation until
    /// it has handed them over.
    revoking: bool,
}

/// Commits what the group does not have yet. Takes milliseconds; while the group has no coordinator,
/// as long as a session lasts, and nothing could be fetched either.
pub(super) fn send<C: ConsumerContext>(consumer: &BaseConsumer<C>, topic: &str, desk: &Desk) {
    let Some(commit) = desk.lock().to_commit(topic) else { return };
    let answer = consumer.commit(&commit.offsets, CommitMode::Sync);
    desk.lock().answered(&commit, answer);
}

impl MemberState {
    fn to_commit(&self, topic: &str) -> Option<Commit> {
        let mut offsets = TopicPartitionList::new();
        for (partition, owned) in &self.owned {
            if let Some(offset) = owned.window.to_commit() {
                // An offset we were given is never out of range.
                offsets.add_partition_offset(topic, *partition, Offset::Offset(offset)).ok();
            }
        }
        let revoking = self.owned.values().any(|owned| owned.window.leaving);
        (offsets.count() > 0).then_some(Commit { offsets, revoking })
    }

    fn answered(&mut self, commit: &Commit, answer: KafkaResult<()>) {
        if let Err(error) = answer {
            tracing::debug!(reason = %error, "Kafka's group did not move on");
            self.expelled |= commit.revoking && expels(&error);
            return;
        }
        for element in commit.offsets.elements() {
            if let (Some(owned), Offset::Offset(offset)) =
                (self.owned.get_mut(&element.partition()), element.offset())
            {
                owned.window.committed(offset);
            }
        }
    }

    /// Whether the group has accepted all that is settled.
    pub(super) fn all_accepted(&self) -> bool {
        self.owned.values().all(|owned| owned.window.to_commit().is_none())
    }
}

#[cfg(test)]
mod tests;
