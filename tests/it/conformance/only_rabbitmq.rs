//! What only RabbitMQ does: it gives messages up by itself, and others may change its queues.

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use lapin::options::QueueDeleteOptions;
use lapin::{Connection, ConnectionProperties};
use o11y_lab::queue::{Depth, QueueError};

use super::cases::{depth_becomes, message, receive};
use super::row::{Row, open, with_pair};
use crate::helpers::brokers::{Broker, RabbitServer, fresh_queue};
use crate::helpers::{DEADLINE, block_on};

static SHARED: OnceLock<Box<dyn Broker>> = OnceLock::new();
static ROW: Row = Row { name: "rabbitmq", start: RabbitServer::boxed, shared: &SHARED, ..Row::DEFAULT };

#[test]
fn a_message_that_kills_every_consumer_is_given_up_by_the_broker() {
    with_pair(&ROW, async |pair| {
        pair.one.publish(&[message("m-1", "k")]).await.unwrap();
        for attempt in 1..=21 {
            let dying = pair.open().await;
            assert_eq!(receive(&*dying, 1).await[0].attempt, attempt);
        }
        depth_becomes(&*pair.one, Depth { waiting: 0, in_flight: 0, dead: 1 }).await;
        let letter = pair.one.dead_letters(1).await.unwrap().remove(0);
        assert_eq!(letter.message, message("m-1", "k"));
        assert_eq!((letter.reason.as_str(), letter.attempts), ("dead-lettered by the broker", 21));
        assert!(letter.died_at_ms > 1_600_000_000_000);
        assert_eq!(pair.one.replay(Some("m-1")).await.unwrap(), 1);
        assert_eq!(receive(&*pair.two, 1).await[0].attempt, 1);
    });
}

#[test]
fn a_message_given_back_more_often_than_the_brokers_limit_keeps_coming() {
    with_pair(&ROW, async |pair| {
        pair.one.publish(&[message("m-1", "k")]).await.unwrap();
        for attempt in 1..=30 {
            let got = receive(&*pair.two, 1).await;
            assert_eq!(got[0].attempt, attempt);
            pair.two.retry(&got[0], Duration::ZERO).await.unwrap();
        }
    });
}

#[test]
fn a_retry_that_waits_and_a_dead_letter_survive_a_broker_that_is_killed() {
    let broker = (ROW.start)();
    let settings = broker.settings(&fresh_queue());
    block_on(async {
        let queue = open(&ROW, &*broker, &settings).await;
        queue.publish(&[message("m-1", "k"), message("m-2", "k")]).await.unwrap();
        let got = receive(&*queue, 2).await;
        queue.retry(&got[0], Duration::from_secs(2)).await.unwrap();
        queue.dead_letter(&got[1], "why").await.unwrap();
        // Nobody confirms an acknowledgement, but what is confirmed after it is stored after it.
        queue.close().await;
        let queue = open(&ROW, &*broker, &settings).await;
        queue.publish(&[message("m-3", "k")]).await.unwrap();
        broker.stop();
        broker.start();
        let deadline = Instant::now() + DEADLINE;
        let mut came = BTreeSet::new();
        while came.len() < 2 {
            assert!(Instant::now() < deadline, "only {came:?} came");
            // Errors are the broker's that is not quite there yet.
            for delivery in queue.receive(1, Duration::from_millis(100)).await.unwrap_or_default() {
                queue.ack(&delivery).await.unwrap();
                came.insert((delivery.message.id, delivery.attempt));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(came, BTreeSet::from([("m-1".to_owned(), 2), ("m-3".to_owned(), 1)]));
        assert_eq!(queue.dead_letters(10).await.unwrap().len(), 1);
        queue.close().await;
    });
}

#[test]
fn a_queue_that_was_deleted_is_made_again() {
    with_pair(&ROW, async |pair| {
        pair.one.publish(&[message("m-1", "k")]).await.unwrap();
        receive(&*pair.two, 1).await;
        let setting = |name| &pair.settings.iter().find(|(known, _)| *known == name).unwrap().1;
        let other = Connection::connect(setting("AMQP_URL"), ConnectionProperties::default()).await.unwrap();
        let channel = other.create_channel().await.unwrap();
        let queue = setting("QUEUE_NAME").as_str().into();
        channel.queue_delete(queue, QueueDeleteOptions::default()).await.unwrap();
        // Nobody is told that a message is safe that went nowhere.
        let lost = pair.one.publish(&[message("m-2", "k")]).await;
        assert!(matches!(lost, Err(QueueError::Unavailable(_))), "{lost:?}");
        pair.one.publish(&[message("m-3", "k")]).await.unwrap();
        let deadline = Instant::now() + DEADLINE;
        loop {
            assert!(Instant::now() < deadline, "the consumer did not come back");
            match pair.two.receive(1, Duration::from_millis(100)).await {
                Ok(got) if !got.is_empty() => break assert_eq!(got[0].message.id, "m-3"),
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    });
}

#[test]
fn many_dead_letters_are_listed_oldest_first_however_often_and_all_replayed() {
    const LETTERS: usize = 450;
    with_pair(&ROW, async |pair| {
        let batch: Vec<_> = (0..LETTERS).map(|n| message(&format!("m-{n}"), "k")).collect();
        pair.one.publish(&batch).await.unwrap();
        for _ in 0..LETTERS {
            pair.one.dead_letter(&receive(&*pair.one, 1).await[0], "why").await.unwrap();
        }
        for _ in 0..2 {
            let listed = pair.two.dead_letters(3).await.unwrap();
            let ids: Vec<_> = listed.iter().map(|letter| letter.message.id.as_str()).collect();
            assert_eq!(ids, ["m-0", "m-1", "m-2"]);
        }
        assert_eq!(pair.two.dead_letters(10_000).await.unwrap().len(), LETTERS);
        assert_eq!(pair.two.replay(Some("m-444")).await.unwrap(), 1);
        assert_eq!(pair.two.replay(None).await.unwrap(), LETTERS as u64 - 1);
        depth_becomes(&*pair.one, Depth { waiting: LETTERS as u64, in_flight: 0, dead: 0 }).await;
    });
}
