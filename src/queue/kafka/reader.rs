//! What asks the broker without being a member: are the topics there, and how far the groups are.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};

use super::answers::{again, failed};
use super::client::{Access, OwnedClient, Quiet, Topics, left, time_limit};
use crate::queue::QueueError;
use crate::queue::broker::unavailable;

/// How many brokers keep a copy: as many as the cluster's default says.
const CLUSTER_DEFAULT: TopicReplication<'static> = TopicReplication::Fixed(-1);

pub(super) type Asker = BaseConsumer<Quiet>;

/// One client for each group, as librdkafka has it.
pub(super) struct Reader {
    pub(super) access: Arc<Access>,
    pub(super) topics: Arc<Topics>,
    main: OwnedClient<Asker>,
    dead: OwnedClient<Asker>,
    ready: AtomicBool,
}

/// A group in a partition: the log has the offsets from `low` to before `high`, and the group goes
/// on at `committed`, or at the beginning where it never was.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) partition: i32,
    low: i64,
    pub(super) high: i64,
    committed: Option<i64>,
}

impl Span {
    /// Where the group goes on; what the broker has deleted meanwhile is passed over.
    pub(super) fn begin(&self) -> i64 {
        self.committed.unwrap_or(self.low).max(self.low)
    }

    /// Records that the group has before it.
    pub(super) fn lag(&self) -> u64 {
        self.after(Some(self.begin()))
    }

    /// Records at this offset and after it.
    pub(super) fn after(&self, offset: Option<i64>) -> u64 {
        u64::try_from(self.high - offset.unwrap_or(self.low)).unwrap_or_default()
    }
}

impl Reader {
    pub(super) fn open(access: Arc<Access>, topics: Arc<Topics>) -> Result<Self, QueueError> {
        let main = OwnedClient::of(asker(&access, &topics.main)?);
        let dead = OwnedClient::of(asker(&access, &topics.dead)?);
        Ok(Self { access, topics, main, dead, ready: AtomicBool::new(false) })
    }

    /// Whether the topics have been seen.
    pub(super) fn ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    /// Makes the topics that are not there, and waits until they are. The dead-letter topic has one
    /// partition, so that letters have an order, and keeps them until they are replayed.
    pub(super) fn prepare(&self) -> Result<(), QueueError> {
        let until = time_limit();
        let asker = self.main.as_ref().ok_or_else(|| unavailable("is no longer asked"))?;
        let mut missing = Vec::new();
        let dead = NewTopic::new(&self.topics.dead, 1, CLUSTER_DEFAULT).set("retention.ms", "-1");
        for topic in [NewTopic::new(&self.topics.main, self.topics.partitions, CLUSTER_DEFAULT), dead] {
            let found = partitions(asker, topic.name, until);
            if matches!(found, Err(KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopicOrPartition))) {
                missing.push(topic);
            }
        }
        if !missing.is_empty() {
            self.create(&missing, until)?;
        }
        for topic in [&self.topics.main, &self.topics.dead] {
            again(until, || partitions(asker, topic, until))?;
        }
        self.ready.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn create(&self, missing: &[NewTopic<'_>], until: Instant) -> Result<(), QueueError> {
        let admin: AdminClient<Quiet> = self.access.config().create_with_context(Quiet).map_err(failed)?;
        let options =
            AdminOptions::new().request_timeout(Some(left(until))).operation_timeout(Some(left(until)));
        let runtime = tokio::runtime::Handle::current();
        again(until, || {
            for made in runtime.block_on(admin.create_topics(missing, &options))? {
                match made {
                    Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                    Err((_, code)) => return Err(KafkaError::AdminOp(code)),
                }
            }
            Ok(())
        })
    }

    /// The consumers' group in each partition of the queue.
    pub(super) fn ask(&self) -> Result<Vec<Span>, QueueError> {
        ask(&self.main, &self.topics.main, time_limit())
    }

    /// What has been replayed of each partition of the dead letters.
    pub(super) fn ask_dead(&self) -> Result<Vec<Span>, QueueError> {
        ask(&self.dead, &self.topics.dead, time_limit())
    }

    /// Both, within the time of one call.
    pub(super) fn ask_both(&self) -> Result<(Vec<Span>, Vec<Span>), QueueError> {
        let until = time_limit();
        Ok((ask(&self.main, &self.topics.main, until)?, ask(&self.dead, &self.topics.dead, until)?))
    }
}

fn ask(asker: &OwnedClient<Asker>, topic: &str, until: Instant) -> Result<Vec<Span>, QueueError> {
    let asker = asker.as_ref().ok_or_else(|| unavailable("is no longer asked"))?;
    // Serves what the client has to say, which nobody wants to hear.
    while asker.poll(Duration::ZERO).is_some() {}
    again(until, || spans(asker, topic, until))
}

fn spans(asker: &Asker, topic: &str, until: Instant) -> KafkaResult<Vec<Span>> {
    let partitions = partitions(asker, topic, until)?;
    let all = |offset| {
        let mut all = TopicPartitionList::new();
        all.add_partition_range(topic, 0, partitions - 1);
        all.set_all_offsets(offset).map(|()| all)
    };
    let committed = asker.committed_offsets(all(Offset::Invalid)?, left(until))?;
    let low = asker.offsets_for_times(all(Offset::Beginning)?, left(until))?;
    let high = asker.offsets_for_times(all(Offset::End)?, left(until))?;
    let at = |list: &TopicPartitionList, partition| -> KafkaResult<Option<i64>> {
        let Some(element) = list.find_partition(topic, partition) else { return Ok(None) };
        element.error()?;
        Ok(match element.offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        })
    };
    let span = |partition| {
        Ok(Span {
            partition,
            low: at(&low, partition)?.unwrap_or_default(),
            high: at(&high, partition)?.unwrap_or_default(),
            committed: at(&committed, partition)?,
        })
    };
    (0..partitions).map(span).collect()
}

/// A client that asks about a group, or reads without being a member.
pub(super) fn asker(access: &Access, group: &str) -> Result<Asker, QueueError> {
    let mut config = access.config();
    config
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "false")
        .set("auto.offset.reset", "earliest")
        .set("allow.auto.create.topics", "false")
        .set("session.timeout.ms", "6000")
        .set("queued.min.messages", "1000")
        .set("queued.max.messages.kbytes", "8192");
    config.create_with_context(Quiet).map_err(failed)
}

/// How many the topic has; an answer that passes if it is not there, or not yet for all to use.
fn partitions(asker: &Asker, topic: &str, until: Instant) -> KafkaResult<i32> {
    let metadata = asker.fetch_metadata(Some(topic), left(until))?;
    let not = |code| Err(KafkaError::MetadataFetch(code));
    let Some(found) = metadata.topics().first() else {
        return not(RDKafkaErrorCode::UnknownTopicOrPartition);
    };
    match found.error().map(RDKafkaErrorCode::from) {
        Some(code) => not(code),
        None if found.partitions().iter().any(|partition| partition.leader() < 0) => {
            not(RDKafkaErrorCode::LeaderNotAvailable)
        }
        None => match i32::try_from(found.partitions().len()) {
            Ok(count) if count > 0 => Ok(count),
            _ => not(RDKafkaErrorCode::UnknownTopicOrPartition),
        },
    }
}
