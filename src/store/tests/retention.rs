//! What is forgotten, and what is not.

use rusqlite::Connection;

use super::cases::{message, order};
use super::trouble::raw;
use super::{open, retention};
use crate::schema::Role;
use crate::store::{Created, NewAlert, Notifications, Orders};

const MANY: &str = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 2500) \
     INSERT INTO notifications (message_id, kind, order_id, user_id, sent_at) \
     SELECT x, 'order_created', x, 1, CASE WHEN x <= 1200 THEN '2020-01-01T00:00:00Z' ELSE '2999-01-01T00:00:00Z' END \
     FROM c";

fn count(file: &Connection, what: &str) -> i64 {
    file.query_row(&format!("SELECT COUNT(*) FROM {what}"), [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn notifications_that_are_too_old_or_too_many_are_forgotten_oldest_first() {
    let folder = tempfile::tempdir().unwrap();
    let notifications = Notifications::new(open(Role::Notify, folder.path()).await);
    let file = raw(folder.path(), "notifications.db");
    file.execute(MANY, []).unwrap();
    let week = 7 * 86_400;
    assert_eq!(notifications.sweep(&retention(week, 10_000, i64::MAX)).await.unwrap(), 1200);
    assert_eq!(notifications.sweep(&retention(week, 10_000, i64::MAX)).await.unwrap(), 0);
    assert_eq!(notifications.sweep(&retention(week, 100, i64::MAX)).await.unwrap(), 1200);
    assert_eq!(notifications.sweep(&retention(week, 100, 10 * 512)).await.unwrap(), 90);
    assert_eq!(count(&file, "notifications WHERE id > 2490"), 10);
    assert_eq!(count(&file, "notifications"), 10);
}

#[tokio::test]
async fn a_key_that_is_too_old_or_one_of_too_many_makes_another_order_and_its_own_stays() {
    let folder = tempfile::tempdir().unwrap();
    let orders = Orders::new(open(Role::Order, folder.path()).await);
    let file = raw(folder.path(), "orders.db");
    for key in ["old", "middle", "new"] {
        orders.create(&order(), Some(key), message(key), |_| {}).await.unwrap();
    }
    file.execute("UPDATE orders SET created_at = '2020-01-01T00:00:00Z' WHERE idempotency_key = 'old'", [])
        .unwrap();
    let mut done = 0;
    let week = 7 * 86_400;
    assert_eq!(orders.sweep_keys(&retention(week, 1000, i64::MAX), &mut done).await.unwrap(), 1);
    assert_eq!(orders.sweep_keys(&retention(week, 1, i64::MAX), &mut done).await.unwrap(), 1);
    assert_eq!((count(&file, "orders"), count(&file, "orders WHERE idempotency_key = 'new'")), (3, 1));
    let again = async |key: &str| {
        orders.create(&order(), Some(key), message(&format!("again {key}")), |_| {}).await.unwrap()
    };
    assert!(matches!(again("old").await, Created::Now(_)));
    assert!(matches!(again("new").await, Created::Before(_)));
}

#[tokio::test]
async fn alerts_are_bounded_by_their_bytes_and_by_their_age_too() {
    let folder = tempfile::tempdir().unwrap();
    let notifications = Notifications::new(open(Role::Notify, folder.path()).await);
    let file = raw(folder.path(), "notifications.db");
    let large = "x".repeat(1_000_000);
    for fingerprint in 0..12 {
        let alert = NewAlert {
            fingerprint: fingerprint.to_string(),
            status: "firing".to_owned(),
            labels: serde_json::json!({}),
            annotations: serde_json::json!({ "summary": large }),
            starts_at: String::new(),
            ends_at: None,
        };
        notifications.record_alerts(std::slice::from_ref(&alert)).await.unwrap();
    }
    assert_eq!((count(&file, "alerts"), count(&file, "alerts WHERE fingerprint = '11'")), (8, 1));
    file.execute("UPDATE alerts SET updated_at = '2020-01-01T00:00:00Z' WHERE fingerprint <> '11'", [])
        .unwrap();
    assert_eq!(notifications.sweep(&retention(7 * 86_400, 1000, i64::MAX)).await.unwrap(), 7);
}
