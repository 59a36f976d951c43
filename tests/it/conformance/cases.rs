//! Cases over two handles of one empty queue.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use o11y_lab::queue::{Delivery, Depth, MAX_MESSAGE_BYTES, Message, Queue, QueueError};

use super::row::{Pair, open};
use crate::helpers::DEADLINE;
use crate::helpers::brokers::{Settings, fresh_queue};

pub fn message(id: &str, key: &str) -> Message {
    Message {
        id: id.to_owned(),
        key: key.to_owned(),
        headers: BTreeMap::from([("traceparent".to_owned(), format!("00-{:032x}-{:016x}-01", 7, 9))]),
        body: format!("{{\"id\":\"{id}\"}}").into_bytes(),
    }
}

/// Counts until the numbers are these: brokers count late, some of them.
pub async fn depth_becomes(queue: &dyn Queue, expected: Depth) {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let depth = queue.depth().await.unwrap();
        if depth == expected {
            return;
        }
        assert!(Instant::now() < deadline, "{depth:?} and not {expected:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Receives until `want` messages are there, or fails at the deadline.
pub async fn receive(queue: &dyn Queue, want: usize) -> Vec<Delivery> {
    let deadline = Instant::now() + DEADLINE;
    let mut all = Vec::new();
    while all.len() < want {
        assert!(Instant::now() < deadline, "only {} of {want} messages came", all.len());
        all.extend(queue.receive(want - all.len(), Duration::from_millis(200)).await.unwrap());
    }
    all
}

/// Publishes as the relay does, again while the broker is not available: the first connection to one that has just
/// started may take longer than a call.
async fn publish_at_last(queue: &dyn Queue, messages: &[Message]) {
    let deadline = Instant::now() + DEADLINE;
    while let Err(error) = queue.publish(messages).await {
        let passes = matches!(error, QueueError::Unavailable(_));
        assert!(passes && Instant::now() < deadline, "{error}");
    }
}

async fn nothing_comes(queue: &dyn Queue) {
    let more = queue.receive(10, Duration::from_millis(50)).await.unwrap();
    assert!(more.is_empty(), "{more:?} came too");
}

fn ids(deliveries: &[Delivery]) -> Vec<&str> {
    deliveries.iter().map(|delivery| delivery.message.id.as_str()).collect()
}

pub async fn headers_and_body_arrive_as_they_were_sent(pair: &Pair) {
    let mut sent = message("m-1", "order-1");
    sent.headers.insert("baggage".to_owned(), "who=Zoë%20\"quoted\"; 名前=値 🦀".to_owned());
    sent.headers.insert("x-large".to_owned(), "v".repeat(8192));
    sent.body = "{\"text\":\"naïve\\u0000\\n\"}".to_owned().into_bytes();
    pair.one.publish(std::slice::from_ref(&sent)).await.unwrap();
    let got = receive(&*pair.two, 1).await;
    assert_eq!(got[0].message, sent);
    assert_eq!(got[0].attempt, 1);
    pair.two.ack(&got[0]).await.unwrap();
    nothing_comes(&*pair.two).await;
}

/// In batches, one at a time and many at a time.
pub async fn messages_are_given_out_in_the_order_they_were_published(pair: &Pair) {
    let batch: Vec<_> = (0..60).map(|n| message(&format!("m-{n}"), "k")).collect();
    for part in batch.chunks(7) {
        pair.one.publish(part).await.unwrap();
    }
    let mut order = Vec::new();
    while order.len() < batch.len() {
        for delivery in receive(&*pair.two, 1).await {
            pair.two.ack(&delivery).await.unwrap();
            order.push(delivery.message.id);
        }
    }
    assert_eq!(order, batch.into_iter().map(|message| message.id).collect::<Vec<_>>());
}

pub async fn a_key_keeps_its_order_through_retries(pair: &Pair) {
    let batch = [message("a1", "a"), message("a2", "a"), message("b1", "b"), message("a3", "a")];
    pair.one.publish(&batch).await.unwrap();
    let mut first = receive(&*pair.one, 2).await;
    // No order is promised between keys.
    first.sort_by_key(|delivery| delivery.message.id.clone());
    assert_eq!(ids(&first), ["a1", "b1"]);
    let other = if pair.row.guarantees().keys_have_owners { &pair.one } else { &pair.two };
    nothing_comes(&**other).await;
    pair.one.ack(&first[1]).await.unwrap();
    pair.one.retry(&first[0], Duration::from_millis(150)).await.unwrap();
    let mut order = Vec::new();
    for _ in 0..3 {
        let next = receive(&**other, 1).await;
        order.push((next[0].message.id.clone(), next[0].attempt));
        other.ack(&next[0]).await.unwrap();
    }
    let expected = [("a1", 2), ("a2", 1), ("a3", 1)].map(|(id, attempt)| (id.to_owned(), attempt));
    assert_eq!(order, expected);
}

pub async fn a_message_nobody_settles_comes_again(pair: &Pair) {
    pair.one.publish(&[message("m-1", "k")]).await.unwrap();
    assert_eq!(receive(&*pair.one, 1).await[0].attempt, 1);
    let again = receive(&*pair.two, 1).await;
    assert_eq!((again[0].message.id.as_str(), again[0].attempt), ("m-1", 2));
    pair.two.ack(&again[0]).await.unwrap();
    depth_becomes(&*pair.two, Depth::default()).await;
}

pub async fn a_message_of_a_consumer_that_died_comes_again(pair: &Pair) {
    pair.two.publish(&[message("m-1", "k")]).await.unwrap();
    let dying = pair.open().await;
    assert_eq!(receive(&*dying, 1).await[0].attempt, 1);
    drop(dying);
    let again = receive(&*pair.one, 1).await;
    assert_eq!(again[0].message.id, "m-1");
    assert_eq!(again[0].attempt, pair.row.attempt_after_a_crash());
    pair.one.ack(&again[0]).await.unwrap();
    depth_becomes(&*pair.one, Depth::default()).await;
}

pub async fn a_retry_waits_its_delay_and_counts(pair: &Pair) {
    let sent = message("m-1", "k");
    pair.one.publish(std::slice::from_ref(&sent)).await.unwrap();
    let mut not_before = Instant::now();
    for attempt in 1..=4 {
        let got = receive(&*pair.one, 1).await;
        // No matter of speed: earlier than asked is wrong on the slowest machine too.
        assert!(Instant::now() >= not_before, "attempt {attempt} came early");
        assert_eq!((&got[0].message, got[0].attempt), (&sent, attempt));
        let delay = Duration::from_millis(u64::from(attempt) * 300);
        not_before = Instant::now() + delay;
        pair.one.retry(&got[0], delay).await.unwrap();
    }
}

pub async fn a_heartbeat_keeps_a_message_from_coming_again(pair: &Pair) {
    pair.one.publish(&[message("m-1", "k")]).await.unwrap();
    let mine = receive(&*pair.one, 1).await;
    let end = Instant::now() + pair.visibility_timeout * 2;
    while Instant::now() < end {
        pair.one.heartbeat(&mine[0]).await.unwrap();
        let others = pair.two.receive(1, pair.visibility_timeout / 10).await.unwrap();
        assert!(others.is_empty(), "given out in spite of heartbeats");
    }
    pair.one.ack(&mine[0]).await.unwrap();
}

pub async fn a_late_settlement_does_not_touch_a_message_given_out_again(pair: &Pair) {
    pair.one.publish(&[message("m-1", "k")]).await.unwrap();
    let late = receive(&*pair.one, 1).await;
    let current = receive(&*pair.two, 1).await;
    pair.one.ack(&late[0]).await.unwrap();
    pair.one.heartbeat(&late[0]).await.unwrap();
    pair.one.retry(&late[0], Duration::ZERO).await.unwrap();
    pair.one.dead_letter(&late[0], "too late").await.unwrap();
    depth_becomes(&*pair.two, Depth { waiting: 0, in_flight: 1, dead: 0 }).await;
    pair.two.retry(&current[0], Duration::ZERO).await.unwrap();
    assert_eq!(receive(&*pair.two, 1).await[0].attempt, 3);
}

/// They may well be made in one call.
pub async fn an_acknowledgement_that_is_too_late_changes_nothing_for_one_made_with_it(pair: &Pair) {
    pair.one.publish(&[message("m-1", "k-1")]).await.unwrap();
    let late = receive(&*pair.one, 1).await;
    let current = receive(&*pair.two, 1).await;
    pair.one.publish(&[message("m-2", "k-2")]).await.unwrap();
    let mine = receive(&*pair.one, 1).await;
    let (first, second) = tokio::join!(pair.one.ack(&late[0]), pair.one.ack(&mine[0]));
    first.and(second).unwrap();
    pair.two.heartbeat(&current[0]).await.unwrap();
    depth_becomes(&*pair.two, Depth { waiting: 0, in_flight: 1, dead: 0 }).await;
    pair.two.ack(&current[0]).await.unwrap();
    depth_becomes(&*pair.two, Depth::default()).await;
}

pub async fn a_delivery_that_a_drain_cut_short_is_no_attempt(pair: &Pair) {
    let sent = message("m-1", "k");
    pair.one.publish(std::slice::from_ref(&sent)).await.unwrap();
    // As a worker leaves that is told to stop: what it requeues is the next one's.
    for drains in 0..2 {
        let leaving = pair.open().await;
        let got = receive(&*leaving, 1).await;
        assert_eq!((&got[0].message, got[0].attempt), (&sent, 1), "after {drains} drains");
        leaving.stop_receiving().await;
        leaving.requeue(&got[0]).await.unwrap();
        leaving.close().await;
    }
    // An attempt that failed counts, before a drain and behind it, where the broker keeps the count.
    let failures = if pair.row.guarantees().crashes_count { 2 } else { 0 };
    for attempt in 1..=failures {
        let got = receive(&*pair.two, 1).await;
        assert_eq!((&got[0].message, got[0].attempt), (&sent, attempt));
        pair.two.retry(&got[0], Duration::ZERO).await.unwrap();
        let got = receive(&*pair.two, 1).await;
        assert_eq!(got[0].attempt, attempt + 1);
        pair.two.requeue(&got[0]).await.unwrap();
    }
    let got = receive(&*pair.two, 1).await;
    assert_eq!((&got[0].message, got[0].attempt), (&sent, 1 + failures));
    pair.two.ack(&got[0]).await.unwrap();
    depth_becomes(&*pair.two, Depth::default()).await;
}

/// Where keys have owners, the consumers need a while to agree on them.
async fn until_both_own_keys(pair: &Pair) {
    let (mut sent, mut settled) = (0, [0, 0]);
    let deadline = Instant::now() + DEADLINE;
    while settled.contains(&0) || settled[0] + settled[1] < sent {
        assert!(Instant::now() < deadline, "{settled:?} of {sent}");
        if settled.contains(&0) {
            let batch: Vec<_> =
                (0..20).map(|n| message(&format!("w-{sent}-{n}"), &format!("k-{n}"))).collect();
            pair.one.publish(&batch).await.unwrap();
            sent += batch.len();
        }
        for (queue, settled) in [&pair.one, &pair.two].into_iter().zip(&mut settled) {
            for delivery in queue.receive(20, Duration::from_millis(200)).await.unwrap() {
                queue.ack(&delivery).await.unwrap();
                *settled += 1;
            }
        }
    }
    assert_eq!(settled[0] + settled[1], sent);
}

pub async fn two_consumers_share_the_work_without_double_delivery(pair: &Pair) {
    if pair.row.guarantees().keys_have_owners {
        until_both_own_keys(pair).await;
    }
    let batch: Vec<_> = (0..200).map(|n| message(&format!("m-{n}"), &format!("k-{n}"))).collect();
    // In parts, each with a call's time of its own: an emulator on a busy machine needs it for twenty requests.
    for part in batch.chunks(20) {
        pair.one.publish(part).await.unwrap();
    }
    let seen = Mutex::new(Vec::new());
    let deadline = Instant::now() + DEADLINE;
    let consume = async |queue: &dyn Queue| {
        let mut mine = 0;
        while seen.lock().unwrap().len() < batch.len() {
            assert!(Instant::now() < deadline, "only {} came", seen.lock().unwrap().len());
            for delivery in queue.receive(7, Duration::from_millis(100)).await.unwrap() {
                queue.ack(&delivery).await.unwrap();
                seen.lock().unwrap().push(delivery.message.id);
                mine += 1;
            }
        }
        mine
    };
    let (one, two) = futures_util::join!(consume(&*pair.one), consume(&*pair.two));
    assert_eq!(one + two, batch.len());
    let seen = seen.into_inner().unwrap();
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), batch.len());
    assert!(one > 0 && two > 0, "one consumer did all the work");
}

pub async fn a_dead_letter_keeps_headers_and_reason_and_comes_back_by_replay(pair: &Pair) {
    let mut sent = [message("m-1", "k"), message("m-2", "k")];
    sent[1].headers.insert("baggage".to_owned(), "who=Zoë".to_owned());
    for expected in &sent {
        pair.one.publish(std::slice::from_ref(expected)).await.unwrap();
        let got = receive(&*pair.one, 1).await;
        assert_eq!(got[0].message, *expected);
        pair.one.dead_letter(&got[0], "ünparsable: \"x\"").await.unwrap();
    }
    depth_becomes(&*pair.two, Depth { waiting: 0, in_flight: 0, dead: 2 }).await;
    // Looked at twice: to look must not take.
    for _ in 0..2 {
        let dead = pair.two.dead_letters(10).await.unwrap();
        assert_eq!(dead.len(), 2);
        for expected in &sent {
            let letter = dead.iter().find(|letter| letter.message.id == expected.id).unwrap();
            assert_eq!(letter.message, *expected);
            assert_eq!((letter.reason.as_str(), letter.attempts), ("ünparsable: \"x\"", 1));
            assert!(letter.died_at_ms > 1_600_000_000_000);
        }
        if pair.row.ordered() {
            assert_eq!(dead[0].message.id, "m-1");
        }
    }
    assert_eq!(pair.two.dead_letters(1).await.unwrap().len(), 1);
    assert_eq!(pair.two.replay(None).await.unwrap(), 2);
    // The handle that consumed may have them in memory already.
    let asked = if pair.row.guarantees().sees_others_in_flight { &pair.two } else { &pair.one };
    depth_becomes(&**asked, Depth { waiting: 2, in_flight: 0, dead: 0 }).await;
    let mut left: Vec<_> = sent.iter().collect();
    while !left.is_empty() {
        let got = receive(&*pair.one, 1).await;
        assert_eq!(got[0].attempt, 1);
        left.retain(|expected| **expected != got[0].message);
        pair.one.ack(&got[0]).await.unwrap();
    }
    depth_becomes(&*pair.two, Depth::default()).await;
}

pub async fn one_dead_letter_can_be_replayed_by_its_id(pair: &Pair) {
    pair.one.publish(&[message("m-1", "a"), message("m-2", "b")]).await.unwrap();
    for delivery in receive(&*pair.one, 2).await {
        pair.one.dead_letter(&delivery, "why").await.unwrap();
    }
    depth_becomes(&*pair.two, Depth { waiting: 0, in_flight: 0, dead: 2 }).await;
    assert_eq!(pair.two.replay(Some("no-such")).await.unwrap(), 0);
    assert_eq!(pair.two.replay(Some("m-2")).await.unwrap(), 1);
    assert_eq!(ids(&receive(&*pair.one, 1).await), ["m-2"]);
    assert_eq!(pair.two.dead_letters(10).await.unwrap().len(), 1);
}

pub async fn depth_counts_waiting_in_flight_and_dead(pair: &Pair) {
    depth_becomes(&*pair.one, Depth::default()).await;
    let batch: Vec<_> = (0..5).map(|n| message(&format!("m-{n}"), &format!("k-{n}"))).collect();
    pair.one.publish(&batch).await.unwrap();
    let got = receive(&*pair.one, 4).await;
    pair.one.ack(&got[0]).await.unwrap();
    pair.one.retry(&got[1], Duration::from_secs(60)).await.unwrap();
    pair.one.dead_letter(&got[2], "why").await.unwrap();
    let asked = if pair.row.guarantees().sees_others_in_flight { &pair.two } else { &pair.one };
    let in_flight = if pair.row.guarantees().retries_wait { 1 } else { 2 };
    depth_becomes(&**asked, Depth { waiting: 3 - in_flight, in_flight, dead: 1 }).await;
}

pub async fn a_message_that_is_too_large_is_refused(pair: &Pair) {
    let mut large = message("m-1", "k");
    large.body = vec![b' '; MAX_MESSAGE_BYTES];
    let refused = pair.one.publish(&[large]).await;
    assert!(matches!(refused, Err(QueueError::Refused(_))), "{refused:?}");
    depth_becomes(&*pair.one, Depth::default()).await;
}

pub async fn a_receive_ends_with_its_wait(pair: &Pair) {
    let waited = tokio::time::timeout(DEADLINE, pair.one.receive(1, Duration::from_millis(30))).await;
    assert!(waited.expect("it ends").unwrap().is_empty());
}

pub async fn a_broker_that_speaks_tls_and_wants_a_login_is_used_so(pair: &Pair) {
    let settings = pair.broker.tls_settings(&fresh_queue()).expect("a certificate and a login");
    let queue = open(pair.row, pair.broker, &settings).await;
    publish_at_last(&*queue, &[message("m-1", "k")]).await;
    let got = receive(&*queue, 1).await;
    queue.ack(&got[0]).await.unwrap();
    queue.close().await;
    // Without the authority the same broker is a stranger's.
    let strangers: Settings = settings.into_iter().filter(|(name, _)| *name != "QUEUE_CA_FILE").collect();
    let queue = open(pair.row, pair.broker, &strangers).await;
    let said = queue.depth().await.unwrap_err().to_string();
    assert!(!said.contains("localhost") && !said.contains("guest") && !said.contains("secret"), "{said}");
}
