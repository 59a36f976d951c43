//! What every transport promises, as cases over two handles of one empty queue. A transport's own
//! tests call [`all`] with a way to make such a pair.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Delivery, Depth, Message, Queue, QueueError};

/// Two consumers or publishers of one queue, as two processes would have them.
pub(super) struct Pair {
    pub(super) one: Arc<dyn Queue>,
    pub(super) two: Arc<dyn Queue>,
    /// The visibility timeout they were opened with; a second or less keeps the suite quick.
    pub(super) visibility_timeout: Duration,
}

/// Runs every case, each on a pair of its own.
pub(super) async fn all(pair: impl AsyncFn() -> Pair) {
    headers_and_body_arrive_as_they_were_sent(pair().await).await;
    a_key_keeps_its_order_even_when_its_first_message_is_retried(pair().await).await;
    a_message_nobody_settles_comes_again_with_the_next_attempt(pair().await).await;
    a_heartbeat_keeps_a_message_from_coming_again(pair().await).await;
    a_late_settlement_does_not_touch_a_message_given_out_again(pair().await).await;
    two_consumers_share_the_work_without_double_delivery(pair().await).await;
    a_dead_letter_keeps_headers_and_reason_and_comes_back_by_replay(pair().await).await;
    one_dead_letter_can_be_replayed_by_its_id(pair().await).await;
    depth_counts_waiting_in_flight_and_dead(pair().await).await;
    a_message_that_is_too_large_is_refused(pair().await).await;
    a_receive_ends_with_its_wait(pair().await).await;
}

pub(super) fn message(id: &str, key: &str) -> Message {
    Message {
        id: id.to_owned(),
        key: key.to_owned(),
        headers: BTreeMap::from([("traceparent".to_owned(), format!("00-{:032x}-{:016x}-01", 7, 9))]),
        body: format!("{{\"id\":\"{id}\"}}").into_bytes(),
    }
}

/// Receives until `want` messages are there, or fails after ten seconds.
pub(super) async fn receive(queue: &dyn Queue, want: usize) -> Vec<Delivery> {
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut all = Vec::new();
    while all.len() < want {
        assert!(Instant::now() < deadline, "only {} of {want} messages came", all.len());
        all.extend(queue.receive(want - all.len(), Duration::from_millis(200)).await.unwrap());
    }
    all
}

async fn nothing_comes(queue: &dyn Queue) {
    let more = queue.receive(10, Duration::from_millis(50)).await.unwrap();
    assert!(more.is_empty(), "{more:?} came too");
}

fn ids(deliveries: &[Delivery]) -> Vec<&str> {
    deliveries.iter().map(|delivery| delivery.message.id.as_str()).collect()
}

async fn headers_and_body_arrive_as_they_were_sent(pair: Pair) {
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

async fn a_key_keeps_its_order_even_when_its_first_message_is_retried(pair: Pair) {
    let batch = [message("a1", "a"), message("a2", "a"), message("b1", "b"), message("a3", "a")];
    pair.one.publish(&batch).await.unwrap();
    let first = receive(&*pair.one, 2).await;
    assert_eq!(ids(&first), ["a1", "b1"]);
    nothing_comes(&*pair.two).await;
    pair.one.ack(&first[1]).await.unwrap();
    pair.one.retry(&first[0], Duration::from_millis(150)).await.unwrap();
    let mut order = Vec::new();
    for _ in 0..3 {
        let next = receive(&*pair.two, 1).await;
        order.push((next[0].message.id.clone(), next[0].attempt));
        pair.two.ack(&next[0]).await.unwrap();
    }
    let expected = [("a1", 2), ("a2", 1), ("a3", 1)].map(|(id, attempt)| (id.to_owned(), attempt));
    assert_eq!(order, expected);
}

async fn a_message_nobody_settles_comes_again_with_the_next_attempt(pair: Pair) {
    pair.one.publish(&[message("m-1", "k")]).await.unwrap();
    assert_eq!(receive(&*pair.one, 1).await[0].attempt, 1);
    let again = receive(&*pair.two, 1).await;
    assert_eq!((again[0].message.id.as_str(), again[0].attempt), ("m-1", 2));
    pair.two.ack(&again[0]).await.unwrap();
    assert_eq!(pair.two.depth().await.unwrap(), Depth::default());
}

async fn a_heartbeat_keeps_a_message_from_coming_again(pair: Pair) {
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

async fn a_late_settlement_does_not_touch_a_message_given_out_again(pair: Pair) {
    pair.one.publish(&[message("m-1", "k")]).await.unwrap();
    let late = receive(&*pair.one, 1).await;
    let current = receive(&*pair.two, 1).await;
    pair.one.ack(&late[0]).await.unwrap();
    pair.one.heartbeat(&late[0]).await.unwrap();
    pair.one.retry(&late[0], Duration::ZERO).await.unwrap();
    pair.one.dead_letter(&late[0], "too late").await.unwrap();
    assert_eq!(pair.two.depth().await.unwrap(), Depth { waiting: 0, in_flight: 1, dead: 0 });
    pair.two.retry(&current[0], Duration::ZERO).await.unwrap();
    assert_eq!(receive(&*pair.two, 1).await[0].attempt, 3);
}

async fn two_consumers_share_the_work_without_double_delivery(pair: Pair) {
    let batch: Vec<_> = (0..200).map(|n| message(&format!("m-{n}"), &format!("k-{n}"))).collect();
    pair.one.publish(&batch).await.unwrap();
    let consume = async |queue: &dyn Queue| {
        let mut mine = Vec::new();
        loop {
            let got = queue.receive(7, Duration::from_millis(100)).await.unwrap();
            if got.is_empty() {
                return mine;
            }
            for delivery in got {
                queue.ack(&delivery).await.unwrap();
                mine.push(delivery.message.id);
            }
        }
    };
    let (one, two) = futures_util::join!(consume(&*pair.one), consume(&*pair.two));
    assert_eq!(one.len() + two.len(), 200);
    assert_eq!(one.iter().chain(&two).collect::<BTreeSet<_>>().len(), 200);
    assert!(!one.is_empty() && !two.is_empty());
}

async fn a_dead_letter_keeps_headers_and_reason_and_comes_back_by_replay(pair: Pair) {
    let sent = [message("m-1", "k"), message("m-2", "k")];
    pair.one.publish(&sent).await.unwrap();
    for expected in &sent {
        let got = receive(&*pair.one, 1).await;
        assert_eq!(got[0].message, *expected);
        pair.one.dead_letter(&got[0], "ünparsable: \"x\"").await.unwrap();
    }
    let dead = pair.two.dead_letters(10).await.unwrap();
    assert_eq!(
        dead.iter().map(|letter| &letter.message).collect::<Vec<_>>(),
        sent.iter().collect::<Vec<_>>()
    );
    assert_eq!((dead[0].reason.as_str(), dead[0].attempts), ("ünparsable: \"x\"", 1));
    assert!(dead[0].died_at_ms > 1_600_000_000_000);
    assert_eq!(pair.two.dead_letters(1).await.unwrap().len(), 1);
    assert_eq!(pair.two.replay(None).await.unwrap(), 2);
    assert_eq!(pair.two.depth().await.unwrap(), Depth { waiting: 2, in_flight: 0, dead: 0 });
    for expected in &sent {
        let got = receive(&*pair.one, 1).await;
        assert_eq!((&got[0].message, got[0].attempt), (expected, 1));
        nothing_comes(&*pair.two).await;
        pair.one.ack(&got[0]).await.unwrap();
    }
}

async fn one_dead_letter_can_be_replayed_by_its_id(pair: Pair) {
    pair.one.publish(&[message("m-1", "a"), message("m-2", "b")]).await.unwrap();
    for delivery in receive(&*pair.one, 2).await {
        pair.one.dead_letter(&delivery, "why").await.unwrap();
    }
    assert_eq!(pair.two.replay(Some("no-such")).await.unwrap(), 0);
    assert_eq!(pair.two.replay(Some("m-2")).await.unwrap(), 1);
    assert_eq!(ids(&receive(&*pair.one, 1).await), ["m-2"]);
    assert_eq!(pair.two.dead_letters(10).await.unwrap().len(), 1);
}

async fn depth_counts_waiting_in_flight_and_dead(pair: Pair) {
    assert_eq!(pair.one.depth().await.unwrap(), Depth::default());
    let batch: Vec<_> = (0..5).map(|n| message(&format!("m-{n}"), &format!("k-{n}"))).collect();
    pair.one.publish(&batch).await.unwrap();
    let got = receive(&*pair.one, 4).await;
    pair.one.ack(&got[0]).await.unwrap();
    pair.one.retry(&got[1], Duration::from_secs(60)).await.unwrap();
    pair.one.dead_letter(&got[2], "why").await.unwrap();
    assert_eq!(pair.two.depth().await.unwrap(), Depth { waiting: 2, in_flight: 1, dead: 1 });
}

async fn a_message_that_is_too_large_is_refused(pair: Pair) {
    let mut large = message("m-1", "k");
    large.body = vec![b' '; super::MAX_MESSAGE_BYTES];
    let refused = pair.one.publish(&[large]).await;
    assert!(matches!(refused, Err(QueueError::Refused(_))), "{refused:?}");
    assert_eq!(pair.one.depth().await.unwrap(), Depth::default());
}

async fn a_receive_ends_with_its_wait(pair: Pair) {
    assert!(pair.one.receive(1, Duration::from_millis(30)).await.unwrap().is_empty());
}
