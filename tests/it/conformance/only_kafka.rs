//! What only Kafka does: partitions with owners that change, and dead letters in a log.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use o11y_lab::config::QueueConfig;
use o11y_lab::queue::{Delivery, Depth, Message, Queue};

use super::KAFKA;
use super::cases::{depth_becomes, message, receive};
use super::row::{Row, config, with_pair};
use crate::helpers::DEADLINE;

/// Enough that each partition has some.
const MESSAGES: usize = 60;

static ROW: Row = Row { shared: &super::kafka::SHARED, ..KAFKA };

fn batch(name: &str) -> Vec<Message> {
    (0..MESSAGES).map(|n| message(&format!("{name}-{n}"), &format!("k-{n}"))).collect()
}

/// What comes within this time.
async fn receive_for(queue: &dyn Queue, time: Duration) -> Vec<Delivery> {
    let (end, mut all) = (Instant::now() + time, Vec::new());
    while Instant::now() < end {
        all.extend(queue.receive(MESSAGES, Duration::from_millis(100)).await.unwrap());
    }
    all
}

/// One handle speaks of what it has and the other asks, until that one gets something.
async fn until_shared(mine: &dyn Queue, held: &[Delivery], other: &dyn Queue) -> Vec<Delivery> {
    let deadline = Instant::now() + DEADLINE;
    loop {
        for delivery in held {
            mine.heartbeat(delivery).await.unwrap();
        }
        let got = other.receive(MESSAGES, Duration::from_millis(100)).await.unwrap();
        if !got.is_empty() {
            return got;
        }
        assert!(Instant::now() < deadline, "no partition moved");
    }
}

#[test]
fn a_partition_goes_to_a_new_member_only_when_what_is_in_hand_has_been_settled() {
    with_pair(&ROW, async |pair| {
        pair.one.publish(&batch("a")).await.unwrap();
        let held = receive(&*pair.one, MESSAGES).await;
        // Longer than a session, in which the group asks for partitions and does not get them.
        let end = Instant::now() + Duration::from_secs(9);
        while Instant::now() < end {
            for delivery in &held {
                pair.one.heartbeat(delivery).await.unwrap();
            }
            let early = pair.two.receive(1, Duration::from_millis(100)).await.unwrap();
            assert!(early.is_empty(), "taken away from a consumer at work");
        }
        for delivery in &held {
            pair.one.ack(delivery).await.unwrap();
        }
        pair.one.publish(&batch("b")).await.unwrap();
        let got = until_shared(&*pair.one, &[], &*pair.two).await;
        assert!(
            got.iter().all(|delivery| delivery.message.id.starts_with("b-")),
            "settled and given out again"
        );
    });
}

#[test]
fn a_member_that_says_nothing_loses_its_partitions_and_settles_nothing_any_more() {
    with_pair(&ROW, async |pair| {
        pair.one.publish(&batch("a")).await.unwrap();
        let late = receive(&*pair.one, MESSAGES).await;
        let got = until_shared(&*pair.one, &[], &*pair.two).await;
        let moved: BTreeSet<_> = got.iter().map(|delivery| delivery.message.id.clone()).collect();
        for delivery in late.iter().filter(|delivery| moved.contains(&delivery.message.id)) {
            pair.one.dead_letter(delivery, "too late").await.unwrap();
            pair.one.retry(delivery, Duration::ZERO).await.unwrap();
            pair.one.ack(delivery).await.unwrap();
        }
        let depth = pair.two.depth().await.unwrap();
        assert_eq!((depth.dead, depth.in_flight), (0, moved.len() as u64));
    });
}

#[test]
fn a_message_before_settled_ones_comes_again_to_the_next_owner() {
    with_pair(&ROW, async |pair| {
        pair.two.publish(&batch("a")).await.unwrap();
        let dying = pair.open().await;
        let held = receive(&*dying, MESSAGES).await;
        for delivery in held.iter().filter(|delivery| delivery.message.id != "a-7") {
            dying.ack(delivery).await.unwrap();
        }
        // Unlike a drop, this commits for sure.
        dying.close().await;
        let again = receive_for(&*pair.one, Duration::from_secs(8)).await;
        assert_eq!(again[0].message.id, "a-7", "{again:?}");
        // Those of its partition that came after it, and no others.
        assert!(again.len() < MESSAGES / 2);
    });
}

#[test]
fn a_dead_letter_replayed_out_of_turn_leaves_the_others_in_their_order() {
    const LETTERS: usize = 250;
    with_pair(&ROW, async |pair| {
        let batch: Vec<_> = (0..LETTERS).map(|n| message(&format!("m-{n}"), "k")).collect();
        pair.one.publish(&batch).await.unwrap();
        for _ in 0..LETTERS {
            pair.one.dead_letter(&receive(&*pair.one, 1).await[0], "why").await.unwrap();
        }
        assert_eq!(pair.two.replay(Some("m-230")).await.unwrap(), 1);
        for _ in 0..2 {
            let listed = pair.two.dead_letters(3).await.unwrap();
            let ids: Vec<_> = listed.iter().map(|letter| letter.message.id.as_str()).collect();
            assert_eq!(ids, ["m-0", "m-1", "m-2"]);
            assert_eq!((listed[0].reason.as_str(), listed[0].attempts), ("why", 1));
        }
        depth_becomes(&*pair.one, Depth { waiting: 1, in_flight: 0, dead: LETTERS as u64 - 1 }).await;
        assert_eq!(pair.two.replay(None).await.unwrap(), LETTERS as u64 - 1);
        assert!(pair.two.dead_letters(3).await.unwrap().is_empty());
        depth_becomes(&*pair.one, Depth { waiting: LETTERS as u64, in_flight: 0, dead: 0 }).await;
    });
}

/// Half a megabyte of memory for each partition.
static MANY_PARTITIONS: Row =
    Row { shared: &super::kafka::SHARED, more: &[("KAFKA_PARTITIONS", "64")], ..KAFKA };

#[test]
fn more_messages_than_are_kept_in_memory_all_come_once_and_in_order() {
    const EACH: usize = 400;
    let large = |n: usize, key: usize| Message {
        body: vec![b'x'; 1500],
        ..message(&n.to_string(), &key.to_string())
    };
    with_pair(&MANY_PARTITIONS, async |pair| {
        for n in 0..EACH {
            let batch: Vec<_> = (0..10).map(|key| large(n, key)).collect();
            pair.two.publish(&batch).await.unwrap();
        }
        let mut last: BTreeMap<String, usize> = BTreeMap::new();
        for _ in 0..EACH * 10 {
            let got = receive(&*pair.one, 1).await.remove(0);
            let number: usize = got.message.id.parse().unwrap();
            let expected = last.get(&got.message.key).map_or(0, |last| last + 1);
            assert_eq!(number, expected, "key {}", got.message.key);
            last.insert(got.message.key.clone(), number);
            pair.one.ack(&got).await.unwrap();
        }
        depth_becomes(&*pair.two, Depth::default()).await;
    });
}

#[test]
fn a_login_that_is_asked_for_and_not_given_is_named_at_the_start() {
    let settings = vec![
        ("QUEUE_TRANSPORT", "kafka".to_owned()),
        ("KAFKA_BROKERS", "127.0.0.1:1".to_owned()),
        ("KAFKA_SECURITY_PROTOCOL", "sasl_ssl".to_owned()),
    ];
    let said = QueueConfig::check(&config(&ROW, &settings)).unwrap_err();
    assert!(said.contains("KAFKA_SASL_USERNAME"), "{said}");
}
