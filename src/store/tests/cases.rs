//! What every database must do. Each case takes a fresh, empty database and uses the public
//! interface only, so that the same cases run on any of them.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;

use super::api::event::EventKind;
use super::api::{Cents, NewOrder, NewUser, Order, PageQuery, Status};
use super::queue::Message;
use super::queue::relay::RelayedOutbox as _;
use super::store::{Db, NewAlert, NewNotification, Notifications, Orders, StoreError, Users};

pub(super) fn user(email: &str) -> NewUser {
    NewUser { name: "Zoë O'Hara".to_owned(), email: email.to_owned() }
}

pub(super) fn order() -> NewOrder {
    NewOrder { user_id: 7, items: vec!["a \"book\"".to_owned(), "\u{0}é".to_owned()], total: Cents(4999) }
}

pub(super) fn message(id: &str) -> impl FnOnce(&Order) -> Message + use<> {
    let headers = BTreeMap::from([("traceparent".to_owned(), "00-aa-bb-01".to_owned())]);
    let id = id.to_owned();
    move |order| Message { id, key: order.id.to_string(), headers, body: serde_json::to_vec(order).unwrap() }
}

pub(super) async fn users_are_stored_and_paged(db: Db) {
    let users = Users::new(db);
    let mut ids = Vec::new();
    for i in 0..5 {
        let email = format!("Person{i}@example.com");
        let stored = users.create(&user(&email)).await.unwrap();
        assert_eq!((stored.email.as_str(), stored.name.as_str()), (email.as_str(), "Zoë O'Hara"));
        assert_eq!(users.get(stored.id).await.unwrap(), Some(stored.clone()));
        ids.push(stored.id);
    }
    assert_eq!(users.get(i64::MAX).await.unwrap(), None);
    let mut seen = Vec::new();
    let mut after = Some(0);
    while let Some(start) = after {
        let page = users.list(PageQuery { limit: 2, after: start }).await.unwrap();
        assert!(page.rows.len() <= 2);
        seen.extend(page.rows.iter().map(|u| u.id));
        after = page.next;
    }
    assert_eq!(seen, ids);
    let exact = users.list(PageQuery { limit: 5, after: 0 }).await.unwrap();
    assert_eq!((exact.rows.len(), exact.next), (5, None));
}

pub(super) async fn an_email_is_unique_whatever_its_case(db: Db) {
    let users = Users::new(db);
    users.create(&user("Ann@Example.com")).await.unwrap();
    for again in ["Ann@Example.com", "ann@example.COM"] {
        let refused = users.create(&user(again)).await;
        assert!(matches!(refused, Err(StoreError::Conflict("email is already in use"))), "{refused:?}");
    }
    users.create(&user("bob@example.com")).await.unwrap();
}

pub(super) async fn an_order_and_its_message_are_stored_together_or_not_at_all(db: Db) {
    let orders = Orders::new(db);
    let outbox = orders.outbox();
    let stored = orders.create(&order(), None, message("m1"), |_| {}).await.unwrap().into_order();
    assert_eq!(
        (stored.items.clone(), stored.total, stored.status),
        (order().items, Cents(4999), Status::Pending)
    );
    assert_eq!(orders.get(stored.id).await.unwrap(), Some(stored.clone()));
    let pending = outbox.pending(10).await.unwrap();
    assert_eq!(pending.len(), 1);
    assert_eq!(pending[0].message, message("m1")(&stored));

    // The same message id again: the outbox refuses, so the order must not remain.
    let refused = orders.create(&order(), None, message("m1"), |_| {}).await;
    assert!(matches!(refused, Err(StoreError::Internal(_))), "{refused:?}");
    let refused = orders.set_status(stored.id, Status::Failed, message("m1")).await;
    assert!(matches!(refused, Err(StoreError::Internal(_))), "{refused:?}");
    let page = orders.list(PageQuery { limit: 50, after: 0 }).await.unwrap();
    assert_eq!((page.rows, page.next), (vec![stored], None));
    assert_eq!(outbox.count().await.unwrap(), 1);
}

pub(super) async fn of_many_changes_at_once_exactly_one_happens(db: Db) {
    let orders = Orders::new(db);
    let id = orders.create(&order(), None, message("created"), |_| {}).await.unwrap().into_order().id;
    let change = |i: usize| {
        let orders = orders.clone();
        let to = if i.is_multiple_of(2) { Status::Completed } else { Status::Cancelled };
        async move { orders.set_status(id, to, message(&format!("change-{i}"))).await }
    };
    let answers = join_all((0..8).map(change)).await;
    let winners: Vec<_> = answers.iter().filter_map(|a| a.as_ref().ok()).collect();
    assert_eq!(winners.len(), 1, "{answers:?}");
    let others = answers.iter().filter(|a| matches!(a, Err(StoreError::Transition { .. }))).count();
    assert_eq!(others, 7, "{answers:?}");
    assert_eq!(orders.get(id).await.unwrap().as_ref(), Some(winners[0]));
    assert_eq!(orders.outbox().count().await.unwrap(), 2);
}

pub(super) async fn a_change_that_is_not_allowed_says_why(db: Db) {
    let orders = Orders::new(db);
    let missing = orders.set_status(99, Status::Failed, message("x")).await;
    assert!(matches!(missing, Err(StoreError::NotFound)), "{missing:?}");
    let id = orders.create(&order(), None, message("created"), |_| {}).await.unwrap().into_order().id;
    let back = orders.set_status(id, Status::Pending, message("x")).await;
    assert!(
        matches!(back, Err(StoreError::Transition { from: Status::Pending, to: Status::Pending })),
        "{back:?}"
    );
    let done = orders.set_status(id, Status::Completed, message("done")).await.unwrap();
    assert_eq!(done.status, Status::Completed);
    let again = orders.set_status(id, Status::Failed, message("x")).await;
    assert!(
        matches!(again, Err(StoreError::Transition { from: Status::Completed, to: Status::Failed })),
        "{again:?}"
    );
}

pub(super) async fn the_outbox_gives_rows_in_order_and_keeps_refused_ones_aside(db: Db) {
    let orders = Orders::new(db);
    let outbox = orders.outbox();
    for i in 0..4 {
        orders.create(&order(), None, message(&format!("m{i}")), |_| {}).await.unwrap().into_order();
    }
    let all = outbox.pending(10).await.unwrap();
    let ids: Vec<_> = all.iter().map(|p| p.message.id.as_str()).collect();
    assert_eq!(ids, ["m0", "m1", "m2", "m3"]);
    outbox.refused(all[0].seq, "too large").await.unwrap();
    outbox.published(&[all[1].seq, all[3].seq]).await.unwrap();
    outbox.published(&[]).await.unwrap();
    let left = outbox.pending(10).await.unwrap();
    assert_eq!(left.iter().map(|p| p.seq).collect::<Vec<_>>(), [all[2].seq]);
    assert_eq!(outbox.count().await.unwrap(), 1);
    let many: Vec<_> = (0..1_200).chain([all[2].seq]).collect();
    outbox.published(&many).await.unwrap();
    assert_eq!(outbox.count().await.unwrap(), 0);
}

pub(super) async fn a_commit_wakes_the_relay_even_if_it_was_not_waiting(db: Db) {
    let orders = Orders::new(db);
    let outbox = orders.outbox();
    orders.create(&order(), None, message("m"), |_| {}).await.unwrap().into_order();
    tokio::time::timeout(Duration::from_secs(5), outbox.committed()).await.unwrap();
}

pub(super) async fn one_owner_holds_the_lease_at_a_time(db: Db) {
    let outbox = Orders::new(db).outbox();
    let long = Duration::from_secs(60);
    assert!(outbox.lease("a", long).await.unwrap());
    assert!(!outbox.lease("b", long).await.unwrap());
    assert!(outbox.lease("a", long).await.unwrap(), "the owner renews");
    outbox.release("b").await.unwrap();
    assert!(!outbox.lease("b", long).await.unwrap(), "only the owner gives it back");
    outbox.release("a").await.unwrap();
    let owners = ["b", "c", "d", "e"];
    let takers = owners.map(|owner| outbox.lease(owner, long));
    let won = join_all(takers).await.into_iter().filter(|answer| *answer == Ok(true)).count();
    assert_eq!(won, 1);
    for owner in owners {
        outbox.release(owner).await.unwrap();
    }
    assert!(outbox.lease("e", Duration::from_millis(300)).await.unwrap());
    // It runs out by itself when its owner has died.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while !outbox.lease("f", long).await.unwrap() {
        assert!(tokio::time::Instant::now() < deadline, "the lease never ran out");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(super) async fn a_notification_is_recorded_once_for_each_message(db: Db) {
    let notifications = Notifications::new(db);
    let new = |id: &str, order_id: i64, trace_id: Option<&str>| NewNotification {
        message_id: id.to_owned(),
        kind: EventKind::OrderCreated,
        order_id,
        user_id: 7,
        trace_id: trace_id.map(str::to_owned),
    };
    assert!(!notifications.exists("m1").await.unwrap());
    let first = new("m1", 1, Some("4bf92f3577b34da6a3ce929d0e0e4736"));
    let answers = join_all((0..4).map(|_| notifications.record(&first))).await;
    assert_eq!(answers.into_iter().filter(|a| *a.as_ref().unwrap()).count(), 1);
    assert!(notifications.exists("m1").await.unwrap());
    assert!(notifications.record(&new("m2", 2, None)).await.unwrap());
    let (all, more) = notifications.list(None, i64::MAX, 10).await.unwrap();
    assert!(!more);
    assert_eq!(all.iter().map(|n| n.message_id.as_str()).collect::<Vec<_>>(), ["m2", "m1"]);
    assert_eq!(
        notifications.list(None, i64::MAX, 1).await.map(|(rows, more)| (rows.len(), more)).unwrap(),
        (1, true)
    );
    let (of_order, _) = notifications.list(Some(1), i64::MAX, 10).await.unwrap();
    let json = serde_json::to_value(&of_order).unwrap();
    assert_eq!(json[0]["type"], "order_created");
    assert_eq!(json[0]["channel"], "email");
    assert_eq!(json[0]["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!((of_order.len(), json[0]["messageId"].as_str()), (1, Some("m1")));
}

pub(super) async fn an_alert_is_one_row_and_only_the_newest_are_kept(db: Db) {
    let notifications = Notifications::new(db);
    let alert = |i: usize, status: &str| NewAlert {
        fingerprint: format!("f{i}"),
        status: status.to_owned(),
        labels: json!({"alertname": "Down"}),
        annotations: json!({}),
        starts_at: "2026-01-01T00:00:00Z".to_owned(),
        ends_at: None,
    };
    for i in 0..1_003 {
        notifications.record_alerts(&[alert(i, "firing")]).await.unwrap();
    }
    notifications.record_alerts(&[alert(1_002, "resolved")]).await.unwrap();
    let (stored, _) = notifications.alerts().await.unwrap();
    // PostgreSQL spends an id on an update too; what counts is the bound and who is there.
    assert_eq!(stored.len(), 1_000);
    let json = serde_json::to_value(&stored[0]).unwrap();
    assert_eq!((&json["fingerprint"], &json["status"]), (&json!("f1002"), &json!("resolved")));
    assert_eq!((&json["labels"]["alertname"], &json["endsAt"]), (&json!("Down"), &json!(null)));
    assert_eq!(stored[999].alert.fingerprint, "f3");
}
