#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cases;
mod migrations;
mod retention;
mod spans;
mod trouble;

use std::path::Path;
use std::time::Duration;

// What `cases` is written against, by the names an outside crate sees.
use crate::config::{RetentionConfig, StoreConfig};
use crate::schema::Role;
use crate::store::Db;
use crate::{api, queue, store};

fn config(folder: &Path) -> StoreConfig {
    StoreConfig {
        database_url: None,
        data_dir: Some(folder.to_owned()),
        database_max_connections: 4,
        database_timeout: Duration::from_secs(20),
        retention: retention(7 * 86_400, 1000, 1 << 30),
    }
}

fn retention(seconds: u64, retention_rows: i64, retention_bytes: i64) -> RetentionConfig {
    RetentionConfig { retention_age: Duration::from_secs(seconds), retention_rows, retention_bytes }
}

async fn open(role: Role, folder: &Path) -> Db {
    let db = Db::open(role.service(), &config(folder)).await.unwrap();
    until("the database is ready", async || db.ready().await.is_ok()).await;
    db
}

async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while !condition().await {
        assert!(tokio::time::Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

macro_rules! on_sqlite {
    ($($role:ident: $case:ident;)*) => {
        $(
            #[tokio::test]
            async fn $case() {
                let folder = tempfile::tempdir().unwrap();
                cases::$case(open(Role::$role, folder.path()).await).await;
            }
        )*
    };
}

on_sqlite! {
    User: users_are_stored_and_paged;
    User: an_email_is_unique_whatever_its_case;
    Order: an_order_and_its_message_are_stored_together_or_not_at_all;
    Order: of_many_changes_at_once_exactly_one_happens;
    Order: a_change_that_is_not_allowed_says_why;
    Order: the_outbox_gives_rows_in_order_and_keeps_refused_ones_aside;
    Order: a_commit_wakes_the_relay_even_if_it_was_not_waiting;
    Order: one_owner_holds_the_lease_at_a_time;
    Notify: a_notification_is_recorded_once_for_each_message;
    Notify: an_alert_is_one_row_and_only_the_newest_are_kept;
}
