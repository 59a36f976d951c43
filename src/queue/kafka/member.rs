//! The thread that is the member of the group: fetches, commits, and hands partitions over.
//!
//! When the group wants a partition for another member, nothing more of it is given out, and it goes
//! once what is in flight has been settled, or its consumer has said nothing for the visibility
//! timeout. The other partitions go on meanwhile.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Message, TopicPartitionList};

use super::answers::failed;
use super::client::{Access, Quiet, Topics};
use super::incoming::{Desk, MemberState, OwnedPartition};
use super::{commit, record};
use crate::config::KafkaGroupProtocol;
use crate::queue::QueueError;
use crate::queue::broker::{CALL_TIMEOUT, unavailable};

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
        .set("max.poll.interval.ms", session.max(300_000).to_string())
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        // What the client fetches ahead, beside the windows.
        .set("queued.max.messages.kbytes", "8192");
    match access.group_protocol {
        KafkaGroupProtocol::Classic => config
            .set("session.timeout.ms", session.to_string())
            .set("heartbeat.interval.ms", (session / 6).min(3000).to_string())
            .set("partition.assignment.strategy", "cooperative-sticky"),
        // The broker shares the partitions out, and says how long a member may be silent.
        KafkaGroupProtocol::Consumer => config.set("group.protocol", "consumer"),
    };
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
                if let Some(OwnedPartition { window, .. }) = state.owned.get_mut(&came.partition()) {
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
            commit_and_hand_over(&consumer, topic, desk);
            pause(&consumer, topic, desk);
        }
    }
    leave(consumer, topic, desk);
}

/// Leaves the group: as soon as that has accepted what is settled, or when it was given enough time to.
fn leave(consumer: Member, topic: &str, desk: &Desk) {
    let until = desk.lock().leaves_by.map(tokio::time::Instant::into_std);
    let until = until.unwrap_or_else(|| Instant::now() + CALL_TIMEOUT / 2);
    commit::send(&consumer, topic, desk);
    while !desk.lock().all_accepted() && !consumer.assignment_lost() && Instant::now() < until {
        // Serves the group meanwhile. A message that comes is the next owner's.
        if let Some(Err(KafkaError::MessageConsumptionFatal(_))) = consumer.poll(TURN / 10) {
            break;
        }
        commit::send(&consumer, topic, desk);
    }
    if !desk.lock().all_accepted() {
        tracing::warn!(
            "Kafka's group has not accepted yet where it goes on: its next owner may be given settled messages again"
        );
    }
    desk.lock().closing = true;
    commit_and_hand_over(&consumer, topic, desk);
    drop(consumer);
}

/// Bytes of one window.
fn share(state: &MemberState) -> usize {
    BYTES / state.owned.len().max(1)
}

/// Fetches no more of partitions whose window is full, and again of those where it has got room.
fn pause(consumer: &Member, topic: &str, desk: &Desk) {
    let (mut full, mut free) = (TopicPartitionList::new(), TopicPartitionList::new());
    {
        let mut state = desk.lock();
        let share = share(&state);
        for (partition, OwnedPartition { window, .. }) in &mut state.owned {
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

/// Commits what is settled, and gives the partitions back that the group wants, once none of their
/// messages is in flight and the group has accepted what is settled of them: there the next owner
/// begins. A member that has lost them would be refused.
fn commit_and_hand_over(consumer: &Member, topic: &str, desk: &Desk) {
    let over = consumer.assignment_lost() || desk.lock().closing;
    if !over {
        commit::send(consumer, topic, desk);
    }
    let mut leaving = TopicPartitionList::new();
    {
        let mut state = desk.lock();
        let wait = !over && !state.expelled;
        for partition in state.to_hand_over(Instant::now(), desk.silence, wait) {
            leaving.add_partition(topic, partition);
            state.owned.remove(&partition);
        }
        if leaving.count() == 0 {
            return;
        }
        state.expelled = false;
    }
    // The client remembers a pause beyond the ownership; a partition that comes back would never be fed again.
    consumer.resume(&leaving).ok();
    let given_up = match consumer.rebalance_protocol() {
        RebalanceProtocol::Cooperative => consumer.incremental_unassign(&leaving),
        _ => consumer.unassign(),
    };
    if let Err(error) = given_up {
        tracing::debug!(reason = %error, "Kafka's partitions could not be handed over");
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
                state.owned.insert(element.partition(), OwnedPartition::new());
            }
            drop(state);
            answer(consumer, what, partitions);
        } else {
            for element in &elements {
                state.owned.entry(element.partition()).or_insert_with(OwnedPartition::new).window.leaving =
                    true;
            }
            drop(state);
            commit_and_hand_over(consumer, &topic, &self.0);
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
        tracing::debug!(reason = %error, "Kafka's partitions could not be taken or handed over");
    }
}
