//! The asynchronous boundary under faults: nothing lost, nothing doubled.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;
use o11y_lab::schema::Role;
use serde_json::{Value, json};

use crate::chaos::order;
use crate::helpers::process::signal_pid;
use crate::helpers::{Lab, eventually, get, http, post};

/// Five careful clients order while the roles are killed one after the other. Returns the accepted
/// ids in order, and how many kills there were.
pub fn order_while_killing(lab: &Lab, roles: &[Role], orders: usize) -> (Vec<i64>, u32) {
    let user = lab.user();
    let done = AtomicBool::new(false);
    let result = std::thread::scope(|scope| {
        let killer = scope.spawn(|| {
            let mut kills = 0;
            while !done.load(Ordering::SeqCst) {
                for role in roles {
                    signal_pid(lab.pid(*role), Signal::SIGKILL);
                    kills += 1;
                    lab.wait_role(*role);
                    std::thread::sleep(Duration::from_millis(100));
                }
            }
            kills
        });
        let clients: Vec<_> = (0..5)
            .map(|_| scope.spawn(|| (0..orders / 5).map(|_| order(lab, user).0).collect::<Vec<_>>()))
            .collect();
        let accepted = clients.into_iter().map(|client| client.join());
        let accepted: Vec<_> = accepted.collect();
        // Before a client's failure is passed on: the killer must not go on for ever.
        done.store(true, Ordering::SeqCst);
        let mut accepted: Vec<_> = accepted.into_iter().flat_map(|ids| ids.unwrap()).collect();
        accepted.sort_unstable();
        (accepted, killer.join().unwrap())
    });
    lab.wait_ready();
    result
}

/// Every stored order, and every notification's order id.
pub fn stored(lab: &Lab) -> Vec<i64> {
    let (mut ids, mut after) = (Vec::new(), json!(0));
    while !after.is_null() {
        let page = get(&lab.api(&format!("/api/orders?limit=500&after={after}")));
        assert_eq!(page.status, 200, "{page:?}");
        ids.extend(page.json["orders"].as_array().unwrap().iter().map(|o| o["id"].as_i64().unwrap()));
        after = page.json["next"].clone();
    }
    ids
}

/// The order id and trace id of every notification, page after page.
pub fn notifications(lab: &Lab) -> Vec<(i64, String)> {
    let (mut all, mut before) = (Vec::new(), json!(i64::MAX));
    while !before.is_null() {
        let page = get(&lab.url(Role::Notify, &format!("/notifications?limit=1000&before={before}")));
        let rows = page.json["notifications"].as_array().cloned().unwrap_or_default();
        let trace = |row: &Value| row["traceId"].as_str().unwrap_or_default().to_owned();
        all.extend(rows.iter().map(|row| (row["orderId"].as_i64().unwrap(), trace(row))));
        before = page.json["next"].clone();
    }
    all.sort_unstable();
    all
}

pub fn notified(lab: &Lab) -> Vec<i64> {
    notifications(lab).into_iter().map(|(order, _)| order).collect()
}

#[test]
fn trap_16_killing_the_consumer_with_messages_in_hand_loses_and_doubles_none() {
    let env = [("NOTIFY_DELAY_MS", "300"), ("QUEUE_VISIBILITY_TIMEOUT_MS", "2000")];
    let lab = Lab::start_with(&env);
    let user = lab.user();
    for signal in [Signal::SIGKILL, Signal::SIGTERM] {
        let orders: Vec<_> = (0..10).map(|_| lab.order(user).id()).collect();
        eventually("a message is in flight", || {
            let stats = http::try_send("GET", &lab.url(Role::Notify, "/stats"), &[], None)?;
            (stats.json["inFlight"].as_u64()? > 0).then_some(())
        });
        signal_pid(lab.pid(Role::Notify), signal);
        for order in orders {
            assert_eq!(lab.wait_notifications(order, 1).len(), 1);
        }
    }
    lab.wait_ready();
    assert_eq!(notified(&lab), stored(&lab));
}

#[test]
fn trap_16_a_failing_message_is_retried_then_kept_as_a_dead_letter() {
    let lab = Lab::start();
    let stats = || get(&lab.url(Role::Notify, "/stats"));
    assert_eq!(stats().json["dead"], 0);
    // Poison: a message whose body is no event, put into the queue file by another program.
    o11y_lab_queue_publish(&lab, "poison-1", "not json");
    eventually("the dead letter is counted", || (stats().json["dead"] == 1).then_some(()));
    eventually("the metric says so", || {
        (lab.metric(Role::Notify, "queue_messages_processed_total{status=\"dead\"}")? == 1.0
            && lab.metric(Role::Notify, "queue_dead_letters")? == 1.0)
            .then_some(())
    });
    // The queue goes on behind it.
    let order = lab.order(lab.user()).id();
    lab.wait_notifications(order, 1);
}

/// Publishes through the library, as a foreign producer on the same queue would.
fn o11y_lab_queue_publish(lab: &Lab, id: &str, body: &str) {
    use o11y_lab::config::QueueConfig;
    use o11y_lab::queue::{Message, open};
    #[derive(clap::Parser)]
    struct Parse {
        #[command(flatten)]
        queue: QueueConfig,
    }
    let config = <Parse as clap::Parser>::parse_from(["test"]).queue;
    let message = Message {
        id: id.into(),
        key: id.into(),
        headers: Default::default(),
        body: body.as_bytes().to_vec(),
    };
    actix_web::rt::System::new().block_on(async {
        let queue = open(&config, &lab.dir).await.expect("the queue opens");
        queue.publish(&[message]).await.expect("the queue takes the message");
        queue.close().await;
    });
}

#[test]
fn trap_17_an_order_is_accepted_and_its_notification_sent_while_the_consumer_was_away() {
    let lab = Lab::start();
    let user = lab.user();
    let notify = lab.pid(Role::Notify);
    signal_pid(notify, Signal::SIGSTOP);
    let orders: Vec<_> = (0..5).map(|_| lab.order(user).id()).collect();
    signal_pid(notify, Signal::SIGKILL);
    for order in orders {
        assert_eq!(lab.wait_notifications(order, 1).len(), 1);
    }
}

#[test]
fn trap_17_order_service_killed_right_after_the_answer_still_publishes_later() {
    let lab = Lab::start();
    let user = lab.user();
    for _ in 0..5 {
        let order = lab.order(user).id();
        signal_pid(lab.pid(Role::Order), Signal::SIGKILL);
        assert_eq!(lab.wait_notifications(order, 1).len(), 1);
        lab.wait_role(Role::Order);
    }
    assert_eq!(notified(&lab), stored(&lab));
}

#[test]
fn trap_19_a_restart_keeps_users_and_orders_and_never_reuses_an_id() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("data");
    let mut lab = Lab::start_in(&dir, crate::helpers::free_port_base(), &[]);
    let user = lab.user();
    let order = lab.order(user);
    lab.wait_notifications(order.id(), 1);
    assert!(lab.up.stop().success());
    let lab = Lab::start_in(&dir, crate::helpers::free_port_base(), &[]);
    assert_eq!(get(&lab.api(&format!("/api/users/{user}"))).status, 200);
    let read = get(&lab.api(&format!("/api/orders/{}", order.id())));
    assert_eq!(read.json["createdAt"], order.json["createdAt"]);
    assert!(lab.user() > user);
    assert!(lab.order(user).id() > order.id());
    assert_eq!(lab.notifications(order.id()).len(), 1);
}

#[test]
fn a_status_change_is_notified_after_the_creation() {
    let lab = Lab::shared();
    let order = lab.order(lab.user()).id();
    let url = lab.api(&format!("/api/orders/{order}/status"));
    assert_eq!(http::patch(&url, &json!({"status": "completed"})).status, 200);
    let all = lab.wait_notifications(order, 2);
    let mut kinds: Vec<_> = all.iter().map(|n| (n["id"].as_i64(), n["type"].clone())).collect();
    kinds.sort_by_key(|(id, _)| *id);
    assert_eq!(
        kinds.iter().map(|(_, k)| k.clone()).collect::<Vec<Value>>(),
        ["order_created", "order_status_changed"]
    );
}

#[test]
fn a_delivered_notification_names_the_trace_of_its_order() {
    let lab = Lab::shared();
    let order = lab.order(lab.user());
    assert_eq!(lab.wait_notifications(order.id(), 1)[0]["traceId"], order.trace_id());
}

#[test]
fn killing_each_role_again_and_again_during_500_orders_loses_and_doubles_none() {
    let env = [("QUEUE_VISIBILITY_TIMEOUT_MS", "2000")];
    let lab = Lab::start_with(&env);
    let roles = [Role::Notify, Role::Order, Role::User, Role::Lambda, Role::Gateway];
    let (accepted, kills) = order_while_killing(&lab, &roles, 500);
    assert!(kills >= 5, "{kills}");
    assert_eq!(accepted.len(), 500);
    assert_eq!(stored(&lab), accepted, "stored orders are the accepted ones");
    eventually("every order is notified", || (notified(&lab).len() >= 500).then_some(()));
    assert_eq!(notified(&lab), accepted, "each order is notified once, after {kills} kills");
}

#[test]
fn the_validator_being_away_is_said_and_orders_go_on() {
    let lab = Lab::start();
    let user = lab.user();
    signal_pid(lab.pid(Role::Lambda), Signal::SIGSTOP);
    let order = post(&lab.api("/api/orders"), &json!({"userId": user, "items": ["a"], "total": 1}));
    let verdict = post(&lab.api("/api/orders/validate"), &json!({}));
    let invalid = post(&lab.api("/api/orders"), &json!({"userId": user, "items": [], "total": 1}));
    signal_pid(lab.pid(Role::Lambda), Signal::SIGCONT);
    assert_eq!(order.status, 201, "{order:?}");
    assert_eq!(verdict.status, 504, "{verdict:?}");
    assert_eq!(invalid.status, 400, "{invalid:?}");
    assert_eq!(lab.metric(Role::Gateway, "gateway_validation_skipped_total{reason=\"timeout\"}"), Some(2.0));
    let trace = lab.trace(&order.trace_id(), 10);
    assert_eq!(
        trace.span("api-gateway", "POST /api/orders").unwrap().text("o11y_lab.validation.skipped"),
        "true"
    );
}
