//! Slow, lost, broken and restarted databases.

use std::time::Duration;

use futures_util::future::join_all;
use rusqlite::Connection;

use super::cases::{message, order, user};
use super::{config, open, until};
use crate::queue::relay::RelayedOutbox as _;
use crate::schema::Role;
use crate::store::op::Op;
use crate::store::statement::Statement;
use crate::store::{Db, NewAlert, Notifications, Orders, StoreError, Users};

pub(super) fn raw(folder: &std::path::Path, file: &str) -> Connection {
    Connection::open(folder.join(file)).unwrap()
}

#[tokio::test]
async fn a_restart_keeps_rows_and_never_gives_an_id_twice() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(Role::User, folder.path()).await;
    let users = Users::new(db.clone());
    let kept = users.create(&user("a@example.com")).await.unwrap();
    let gone = users.create(&user("b@example.com")).await.unwrap();
    db.close().await;
    let raw = raw(folder.path(), "users.db");
    raw.execute("DELETE FROM users WHERE id = $1", [gone.id]).unwrap();
    raw.close().unwrap();

    let users = Users::new(open(Role::User, folder.path()).await);
    assert_eq!(users.get(kept.id).await.unwrap(), Some(kept));
    assert!(users.create(&user("c@example.com")).await.unwrap().id > gone.id);
}

#[tokio::test]
async fn a_database_that_is_busy_too_long_is_unavailable_and_then_serves_again() {
    let folder = tempfile::tempdir().unwrap();
    open(Role::Order, folder.path()).await.close().await;
    let blocker = raw(folder.path(), "orders.db");
    let mut impatient = config(folder.path());
    impatient.database_timeout = Duration::from_millis(200);
    let db = Db::open(Role::Order.service(), &impatient).await.unwrap();
    let orders = Orders::new(db);
    blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
    for i in 0..6 {
        let refused = orders.create(&order(), None, message(&format!("m{i}")), |_| {}).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    }
    assert_eq!(orders.outbox().count().await, Ok(0), "readers do not wait for a writer");
    blocker.execute_batch("ROLLBACK").unwrap();
    until("writes succeed again", async || orders.create(&order(), None, message("m"), |_| {}).await.is_ok())
        .await;
    // What was refused did not happen behind our back.
    assert_eq!(orders.outbox().count().await, Ok(1));
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_given_up() {
    static SLOW: Op = Op::quiet("SELECT", "orders");
    let folder = tempfile::tempdir().unwrap();
    let mut impatient = config(folder.path());
    impatient.database_timeout = Duration::from_millis(500);
    let db = Db::open(Role::Order.service(), &impatient).await.unwrap();
    until("the database is ready", async || db.ready().await.is_ok()).await;
    let count = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 30000000) \
                 SELECT COUNT(*) FROM c";
    let answer = db.rows(&SLOW, Statement::new(count), |_| Ok(())).await;
    assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    until("another connection serves", async || db.ready().await.is_ok()).await;
}

#[tokio::test]
async fn stored_alerts_are_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let notifications = Notifications::new(open(Role::Notify, folder.path()).await);
    let raw = raw(folder.path(), "notifications.db");
    let many = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 1500) \
                INSERT INTO alerts (fingerprint, starts_at, status, labels, annotations, updated_at) \
                SELECT x, '', 'firing', '{}', '{}', '' FROM c";
    raw.execute(many, []).unwrap();
    let new = NewAlert {
        fingerprint: "new".to_owned(),
        status: "firing".to_owned(),
        labels: serde_json::json!({}),
        annotations: serde_json::json!({}),
        starts_at: String::new(),
        ends_at: None,
    };
    notifications.record_alerts(std::slice::from_ref(&new)).await.unwrap();
    let count: i64 = raw.query_row("SELECT COUNT(*) FROM alerts", [], |row| row.get(0)).unwrap();
    assert_eq!(count, 1_000);
}

#[tokio::test]
async fn an_abandoned_operation_leaves_nothing_behind_and_costs_no_connection() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(Role::Order, folder.path()).await;
    let orders = Orders::new(db.clone());
    let blocker = raw(folder.path(), "orders.db");
    blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
    for i in 0..8 {
        let new = order();
        let create = orders.create(&new, None, message(&format!("m{i}")), |_| {});
        let gone = tokio::time::timeout(Duration::from_millis(20), create).await;
        assert!(gone.is_err(), "it should have been waiting for the lock");
    }
    blocker.execute_batch("ROLLBACK").unwrap();
    until("writes succeed again", async || orders.create(&order(), None, message("m"), |_| {}).await.is_ok())
        .await;
    assert_eq!(orders.outbox().count().await, Ok(1));
}

#[tokio::test]
async fn an_order_whose_commit_answers_too_late_is_counted_although_its_caller_is_told_that_it_failed() {
    let folder = tempfile::tempdir().unwrap();
    let mut impatient = config(folder.path());
    impatient.database_timeout = Duration::from_millis(200);
    let orders = Orders::new(Db::open(Role::Order.service(), &impatient).await.unwrap());
    until("it is open", async || orders.get(1).await.is_ok()).await;
    let (go_on, wait) = std::sync::mpsc::channel::<()>();
    let (told, counted) = std::sync::mpsc::channel();
    // On the file's thread, in the middle of the transaction.
    let slow = move |order: &crate::api::Order| {
        let _ = wait.recv();
        message("m")(order)
    };
    let refused = orders.create(&order(), None, slow, move |order| told.send(order.id).unwrap()).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert!(counted.try_recv().is_err());
    go_on.send(()).unwrap();
    let id = counted.recv_timeout(Duration::from_secs(10)).unwrap();
    assert_eq!(orders.get(id).await.unwrap().unwrap().id, id);
}

#[tokio::test]
async fn a_database_that_is_away_at_start_is_no_error_and_is_found_when_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("users.db");
    std::fs::create_dir(&file).unwrap();
    let db = Db::open(Role::User.service(), &config(folder.path())).await.unwrap();
    let users = Users::new(db.clone());
    let refused = users.create(&user("a@example.com")).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    let reason = db.ready().await.unwrap_err();
    assert!(!reason.contains('/') && reason.contains("database"), "{reason}");

    std::fs::remove_dir(&file).unwrap();
    until("the database is found", async || db.ready().await.is_ok()).await;
    users.create(&user("a@example.com")).await.unwrap();
}

#[tokio::test]
async fn settings_that_can_never_work_are_refused_at_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a-file");
    std::fs::write(&file, "").unwrap();
    let mut unwritable = config(&file.join("folder"));
    let refused = Db::open(Role::User.service(), &unwritable).await.err().unwrap();
    assert!(matches!(refused, StoreError::Config(_)), "{refused:?}");
    for bad in [
        "postgres://user:pass@word@host:port/db",
        "postgres://user:secret@host/db?sslmode=maybe",
        "sqlite://:memory:",
        "sqlite://x.db?mode=memory",
        "sqlite://x.db?nonsense=1",
    ] {
        unwritable.database_url = Some(bad.to_owned());
        let refused = Db::open(Role::User.service(), &unwritable).await.err();
        let refused = refused.unwrap_or_else(|| panic!("{bad} was taken"));
        assert!(matches!(refused, StoreError::Config(_)), "{bad}: {refused:?}");
        assert!(!refused.to_string().contains("secret"), "{refused}");
    }
    let lambda = Db::open(Role::Lambda.service(), &config(folder.path())).await.err().unwrap();
    assert!(matches!(lambda, StoreError::Config(_)), "{lambda:?}");
}

#[tokio::test]
async fn services_can_share_one_file_and_its_folder_is_private() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new folder").join("lab#1 100%25.db");
    let mut shared = config(folder.path());
    let name = path.to_str().unwrap().replace('%', "%25").replace(' ', "%20").replace('#', "%23");
    shared.database_url = Some(format!("sqlite://{name}"));
    for role in [Role::User, Role::Order, Role::Notify] {
        let db = Db::open(role.service(), &shared).await.unwrap();
        until("it is migrated", async || db.ready().await.is_ok()).await;
    }
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(path.parent().unwrap()), mode(&path)), (0o700, 0o600));
}

/// Each HTTP worker has a runtime of its own, and on shutdown it is gone before the rest is.
#[tokio::test]
async fn a_worker_that_ends_in_the_middle_of_operations_takes_no_connection_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(Role::Order, folder.path()).await;
    let orders = Orders::new(db.clone());
    let blocker = raw(folder.path(), "orders.db");
    blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
    let busy = orders.clone();
    let worker = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let new = order();
        let mut creates: Vec<_> =
            (0..8).map(|i| Box::pin(busy.create(&new, None, message(&format!("m{i}")), |_| {}))).collect();
        runtime.block_on(async {
            let all = join_all(creates.iter_mut());
            assert!(tokio::time::timeout(Duration::from_millis(100), all).await.is_err());
        });
        drop(runtime);
        drop(creates);
    });
    until("the worker has ended", async || worker.is_finished()).await;
    assert!(worker.join().is_ok(), "it panicked");
    blocker.execute_batch("ROLLBACK").unwrap();
    for i in 0..8 {
        orders.create(&order(), None, message(&format!("after-{i}")), |_| {}).await.unwrap().into_order();
    }
}
