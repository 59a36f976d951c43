//! A broker that goes away: handles find it again by themselves, and nothing is lost.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use o11y_lab::queue::{Queue, QueueError};

use super::cases::{message, receive};
use super::row::{Row, open};
use crate::helpers::brokers::fresh_queue;
use crate::helpers::{DEADLINE, block_on};

const MESSAGES: usize = 300;
const BATCH: usize = 5;
/// Shorter than any call waits, and longer than every call does: what was on its way then has failed.
const AWAY: [Duration; 2] = [Duration::from_millis(300), Duration::from_secs(5)];

pub fn a_broker_restarted_under_load_loses_nothing(row: &'static Row) {
    let broker = (row.start)();
    let settings = broker.settings(&fresh_queue());
    std::thread::scope(|scope| {
        let consumer =
            scope.spawn(|| block_on(async { consume(&*open(row, &*broker, &settings).await).await }));
        let publisher =
            scope.spawn(|| block_on(async { publish(&*open(row, &*broker, &settings).await).await }));
        for away in AWAY {
            std::thread::sleep(Duration::from_millis(500));
            broker.stop();
            std::thread::sleep(away);
            broker.start();
        }
        publisher.join().expect("the publisher");
        assert_eq!(consumer.join().expect("the consumer").len(), MESSAGES);
    });
}

/// As the relay does: a batch again and again until the broker has it. Slowly enough to be
/// interrupted.
async fn publish(queue: &dyn Queue) {
    let all: Vec<_> = (0..MESSAGES).map(|n| message(&format!("m-{n}"), &format!("k-{}", n % 20))).collect();
    for batch in all.chunks(BATCH) {
        let deadline = Instant::now() + DEADLINE * 2;
        while let Err(error) = queue.publish(batch).await {
            assert!(matches!(error, QueueError::Unavailable(_)), "{error}");
            assert!(Instant::now() < deadline, "never published again: {error}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The ids that came, once all have.
async fn consume(queue: &dyn Queue) -> BTreeSet<String> {
    let deadline = Instant::now() + DEADLINE * 4;
    let mut seen = BTreeSet::new();
    while seen.len() < MESSAGES {
        assert!(Instant::now() < deadline, "only {} of {MESSAGES} came", seen.len());
        match queue.receive(8, Duration::from_millis(200)).await {
            Ok(deliveries) => {
                for delivery in deliveries {
                    // What cannot be settled comes again: the same id does not count twice.
                    let _ = queue.ack(&delivery).await;
                    seen.insert(delivery.message.id);
                }
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
    seen
}

pub fn a_broker_that_is_down_at_the_start_is_found_later(row: &'static Row) {
    let broker = (row.start)();
    let settings = broker.settings(&fresh_queue());
    broker.stop();
    block_on(async {
        let queue = open(row, &*broker, &settings).await;
        let began = Instant::now();
        let refused = queue.depth().await.expect_err("the broker is down");
        assert!(
            matches!(refused, QueueError::Unavailable(_)) && !refused.to_string().contains("127.0"),
            "{refused}"
        );
        assert!(matches!(queue.publish(&[message("m-0", "k")]).await, Err(QueueError::Unavailable(_))));
        assert!(queue.receive(1, Duration::from_millis(100)).await.is_err());
        assert!(began.elapsed() < DEADLINE, "calls to a broker that is down are bounded");
        broker.start();
        let deadline = Instant::now() + DEADLINE;
        while let Err(error) = queue.publish(&[message("m-1", "k")]).await {
            assert!(Instant::now() < deadline, "{error}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        loop {
            // m-0 may have been on its way; at least once is the promise.
            let got = receive(&*queue, 1).await;
            queue.ack(&got[0]).await.expect("an answer");
            if got[0].message.id == "m-1" {
                break;
            }
        }
    });
}
