//! The thread that is the member of the group: fetches, commits, and hands partitions over.
//!
//! When the group wants a partition for another member, nothing more of it is given out, and it goes
//! once what is in hand has been settled, or its consumer has said nothing for the visibility
//! timeout. The other partitions go on meanwhile.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Message, Offset, TopicPartitionList};

use super::answers::failed;
use super::client::{Access, Quiet, Topics};
use super::incoming::{Desk, Owned, State};
use super::record;
use crate::queue::QueueError;
use crate::queue::broker::unavailable;

/// Longest time between two looks at what is to be committed, paused or handed over.
const TURN: Duration = Duration::from_millis(100);
/// Bytes of all windows. Each partition has its share, so that one that is stuck does not stop the
/// others, and that is worth several fetches: what was fetched ahead of a pause is fetched once more.
const BYTES: usize = 32 << 20;
/// What Kafka's brokers allow as a session timeout, unless they are told otherwise.
const SESSION: std::ops::RangeInclusive<u128> = 6_000..=1_800_000;

type Member = BaseConsumer<Context>;

/// Starts the thread. The visibility timeout is also after how long the group gives up a member that
/// says nothing, as far as Kafka allows it.
pub(super) fn start(access: &Access, topics: &Topics, desk: Arc<Desk>) -> Result<(), QueueError> {
    let session = desk.silence.as_millis().clamp(*SESSION.start(), *SESSION.end());
    let mut config = access.config();
    config
        .set("group.id", &topics.main)
        .set("session.timeout.ms", session.to_string())
        .set("heartbeat.interval.ms", (session / 6).min(3000).to_string())
        .set("max.poll.interval.ms", session.max(300_000).to_string())
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        // What the client fetches ahead, beside the windows.
        .set("queued.max.messages.kbytes", "8192");
    let consumer: Member = config.create_with_context(Context(desk.clone())).map_err(failed)?;
    consumer.subscribe(&[&topics.main]).map_err(failed)?;
    let topic = topics.main.clone();
    let thread = std::thread::Builder::new().name("kafka-member".to_owned());
    thread.spawn(move || run(consumer, &topic, &desk)).map_err(|_| unavailable("could not be asked"))?;
    Ok(())
}

fn run(consumer: Member, topic: &str, desk: &Desk) {
    let _left = desk.left.clone().drop_guard();
    let mut tended = Instant::now();
    while !desk.leave.is_cancelled() {
        let mut full = false;
        match consumer.poll(TURN) {
            Some(Ok(came)) => {
                let message = record::message(&came).0;
                let mut state = desk.lock();
                let share = share(&state);
                if let Some(Owned { window, .. }) = state.owned.get_mut(&came.partition()) {
                    window.push(came.offset(), message, Instant::now());
                    full = window.bytes() >= share;
                }
                drop(state);
                desk.tell();
            }
            Some(Err(KafkaError::MessageConsumptionFatal(_))) => break,
            Some(Err(error)) => {
                tracing::debug!(reason = %error, "Kafka's group has trouble");
                desk.lock().trouble = true;
            }
            None => {}
        }
        if full || tended.elapsed() >= TURN {
            tended = Instant::now();
            // First, for what it commits must not be on its way already.
            hand_over(&consumer, topic, desk);
            commit(&consumer, topic, desk, CommitMode::Async);
            pause(&consumer, topic, desk);
        }
    }
    commit(&consumer, topic, desk, CommitMode::Async);
    // Leaves the group, after what was committed has arrived.
    drop(consumer);
}

/// Tells the group how far it may move on. What comes of an asynchronous commit is told to the context.
fn commit(consumer: &Member, topic: &str, desk: &Desk, mode: CommitMode) {
    let mut offsets = TopicPartitionList::new();
    for (partition, owned) in &mut desk.lock().owned {
        if let Some(offset) = owned.window.to_commit() {
            owned.window.committed(Some(offset));
            // An offset we were given is never out of range.
            offsets.add_partition_offset(topic, *partition, Offset::Offset(offset)).ok();
        }
    }
    if offsets.count() > 0
        && let Err(error) = consumer.commit(&offsets, mode)
    {
        forget(desk, &offsets);
        tracing::debug!(reason = %error, "Kafka's group could not be moved on");
    }
}

/// What was not committed is to be committed again.
fn forget(desk: &Desk, offsets: &TopicPartitionList) {
    let mut state = desk.lock();
    for element in offsets.elements() {
        if let Some(owned) = state.owned.get_mut(&element.partition()) {
            owned.window.committed(None);
        }
    }
}

/// Bytes of one window.
fn share(state: &State) -> usize {
    BYTES / state.owned.len().max(1)
}

/// Fetches no more of partitions whose window is full, and again of those where it has got room.
fn pause(consumer: &Member, topic: &str, desk: &Desk) {
    let (mut full, mut free) = (TopicPartitionList::new(), TopicPartitionList::new());
    {
        let mut state = desk.lock();
        let share = share(&state);
        for (partition, Owned { window, .. }) in &mut state.owned {
            if !window.paused && window.bytes() >= share {
                window.paused = true;
                full.add_partition(topic, *partition);
            } else if window.paused && window.bytes() <= share / 2 {
                window.paused = false;
                free.add_partition(topic, *partition);
            }
        }
    }
    // Either fails for partitions only that are no longer ours.
    if full.count() > 0 {
        consumer.pause(&full).ok();
    }
    if free.count() > 0 {
        consumer.resume(&free).ok();
    }
}

/// Gives up the partitions that the group wants back, once nobody is at work on any of them.
fn hand_over(consumer: &Member, topic: &str, desk: &Desk) {
    let now = Instant::now();
    let lost = consumer.assignment_lost() || desk.leave.is_cancelled();
    let mut leaving = TopicPartitionList::new();
    {
        let state = desk.lock();
        let windows = state.owned.iter().filter(|(_, owned)| owned.window.leaving);
        for (partition, owned) in windows {
            if owned.window.busy(now, desk.silence) && !lost {
                return;
            }
            leaving.add_partition(topic, *partition);
        }
    }
    if leaving.count() == 0 {
        return;
    }
    // The next owner starts where the group is, so that has to be known before it does. A member that
    // has lost them would be refused. While the group has no coordinator this waits for as long as a
    // session lasts, and nothing could be fetched either.
    if !lost {
        commit(consumer, topic, desk, CommitMode::Sync);
    }
    // The client remembers a pause beyond the ownership; whoever comes back would never be fed again.
    consumer.resume(&leaving).ok();
    for element in leaving.elements() {
        desk.lock().owned.remove(&element.partition());
    }
    let given_up = match consumer.rebalance_protocol() {
        RebalanceProtocol::Cooperative => consumer.incremental_unassign(&leaving),
        _ => consumer.unassign(),
    };
    if let Err(error) = given_up {
        tracing::debug!(reason = %error, "Kafka's partitions could not be given up");
    }
}

/// Hears of what the group decides; on the member's thread, as part of its `poll`.
struct Context(Arc<Desk>);

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        Quiet.log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        Quiet.error(error, reason);
    }
}

impl ConsumerContext for Context {
    fn rebalance(&self, consumer: &Member, what: RDKafkaRespErr, partitions: &mut TopicPartitionList) {
        let elements = partitions.elements();
        let Some(topic) = elements.first().map(|element| element.topic().to_owned()) else {
            // An empty change has to be answered all the same.
            answer(consumer, what, partitions);
            return;
        };
        let mut state = self.0.lock();
        if what == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            for element in &elements {
                state.owned.insert(element.partition(), Owned::new());
            }
            drop(state);
            answer(consumer, what, partitions);
        } else {
            for element in &elements {
                state.owned.entry(element.partition()).or_insert_with(Owned::new).window.leaving = true;
            }
            drop(state);
            hand_over(consumer, &topic, &self.0);
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, offsets: &TopicPartitionList) {
        if let Err(error) = result {
            tracing::debug!(reason = %error, "Kafka's group did not move on");
            forget(&self.0, offsets);
        }
    }
}

/// Does as the group decided, at once.
fn answer(consumer: &Member, what: RDKafkaRespErr, partitions: &TopicPartitionList) {
    let assign = what == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
    let done = match (consumer.rebalance_protocol(), assign) {
        (RebalanceProtocol::Cooperative, true) => consumer.incremental_assign(partitions),
        (RebalanceProtocol::Cooperative, false) => consumer.incremental_unassign(partitions),
        (_, true) => consumer.assign(partitions),
        (_, false) => consumer.unassign(),
    };
    if let Err(error) = done {
        tracing::debug!(reason = %error, "Kafka's partitions could not be taken or given up");
    }
}
