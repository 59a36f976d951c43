//! What is forgotten: rows that are too old, or too many.
//!
//! A minute's sweep takes them in small steps, oldest first, so that no request waits for it. Ids grow with
//! time, so the oldest rows are those with the lowest, and no index is needed. SQLite's file does not shrink;
//! the room is used again.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::sleep;
use tracing::info;

use super::op::Op;
use super::statement::Statement;
use super::{Notifications, Orders, StoreError};
use crate::config::RetentionConfig;
use crate::runtime::Shutdown;

/// Between two sweeps.
const INTERVAL: Duration = Duration::from_secs(60);
/// The same where the database is away or not migrated yet.
const AFTER_FAILURE: Duration = Duration::from_secs(2);
/// Most steps of a sweep; what is left is the next one's.
const MOST_STEPS: usize = 200;
/// What a notification or a key takes in bytes, its places in indexes included, at most: all of its
/// columns are short.
const ROW_BYTES: i64 = 512;

// A step looks at the thousand oldest rows.
const FORGET_NOTIFICATIONS: &str = "DELETE FROM notifications WHERE id IN (SELECT id FROM \
     (SELECT id, sent_at FROM notifications ORDER BY id LIMIT 1000) AS oldest \
     WHERE sent_at < $1 OR id <= (SELECT max(id) FROM notifications) - $2)";
const FORGET_ALERTS: &str = "DELETE FROM alerts WHERE updated_at < $1";
const LAST_KEY: &str = "SELECT COALESCE(max(id), 0) FROM \
     (SELECT id, created_at FROM orders WHERE id > $1 ORDER BY id LIMIT 1000) AS oldest \
     WHERE created_at < $2 OR id <= (SELECT max(id) FROM orders) - $3";
const FORGET_KEYS: &str = "UPDATE orders SET idempotency_key = NULL \
     WHERE id > $1 AND id <= $2 AND idempotency_key IS NOT NULL";

static OLD_NOTIFICATIONS: Op = Op::quiet("DELETE", "notifications");
static OLD_ALERTS: Op = Op::quiet("DELETE", "alerts");
static FIND_KEYS: Op = Op::quiet("SELECT", "orders");
static OLD_KEYS: Op = Op::quiet("UPDATE", "orders");

impl Notifications {
    /// Forgets old notifications and alerts until `shutdown` begins.
    pub async fn forget(self, limits: RetentionConfig, shutdown: Shutdown) {
        while !shutdown.begun() {
            let pause = tell("notifications and alerts", self.sweep(&limits).await);
            tokio::select! { () = sleep(pause) => {}, () = shutdown.wait() => {} }
        }
    }

    /// How many rows were forgotten.
    pub(super) async fn sweep(&self, limits: &RetentionConfig) -> Result<u64, StoreError> {
        let (oldest, most) = (oldest(limits), rows(limits));
        let mut forgotten =
            self.db.execute(&OLD_ALERTS, Statement::new(FORGET_ALERTS).bind(&*oldest)).await?;
        for _ in 0..MOST_STEPS {
            let forget = Statement::new(FORGET_NOTIFICATIONS).bind(&*oldest).bind(most);
            match self.db.execute(&OLD_NOTIFICATIONS, forget).await? {
                0 => break,
                step => forgotten += step,
            }
        }
        Ok(forgotten)
    }
}

impl Orders {
    /// Forgets by which key an order was made, until `shutdown` begins: the same key then makes another one.
    pub async fn forget_keys(self, limits: RetentionConfig, shutdown: Shutdown) {
        // Up to here all are forgotten.
        let mut done = 0;
        while !shutdown.begun() {
            let pause = tell("idempotency keys", self.sweep_keys(&limits, &mut done).await);
            tokio::select! { () = sleep(pause) => {}, () = shutdown.wait() => {} }
        }
    }

    pub(super) async fn sweep_keys(
        &self,
        limits: &RetentionConfig,
        done: &mut i64,
    ) -> Result<u64, StoreError> {
        let (oldest, most) = (oldest(limits), rows(limits));
        let mut forgotten = 0;
        for _ in 0..MOST_STEPS {
            let find = Statement::new(LAST_KEY).bind(*done).bind(&*oldest).bind(most);
            let last: i64 = self.db.one(&FIND_KEYS, find, |row| row.get(0)).await?;
            if last <= *done {
                break;
            }
            let forget = Statement::new(FORGET_KEYS).bind(*done).bind(last);
            forgotten += self.db.execute(&OLD_KEYS, forget).await?;
            *done = last;
        }
        Ok(forgotten)
    }
}

/// The time before which rows are forgotten, as they tell theirs.
fn oldest(limits: &RetentionConfig) -> String {
    let age = jiff::SignedDuration::try_from(limits.retention_age).unwrap_or(jiff::SignedDuration::MAX);
    format!("{:.3}", Timestamp::now().checked_sub(age).unwrap_or(Timestamp::MIN))
}

fn rows(limits: &RetentionConfig) -> i64 {
    limits.retention_rows.min(limits.retention_bytes / ROW_BYTES)
}

/// How long to wait for the next sweep. A failure stands in the log already.
fn tell(what: &str, forgotten: Result<u64, StoreError>) -> Duration {
    match forgotten {
        Err(_) => AFTER_FAILURE,
        Ok(rows) => {
            if rows > 0 {
                info!(rows, "Old {what} were forgotten");
            }
            INTERVAL
        }
    }
}
