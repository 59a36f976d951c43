//! The outbox: messages stored with their order, waiting for the relay.
//!
//! Order. The relay reads by `seq`. On PostgreSQL a `seq` is given out before its transaction
//! commits, so a row with a lower one may appear after a higher one was published: between orders
//! there is no order to keep. For one order there is, and it holds: its status can change only
//! after its creation has committed, and two changes take turns on its row's lock, so the later
//! message has the higher `seq` and becomes visible later.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;

use super::engine::Engine;
use super::failure::DbError;
use super::op::Op;
use super::statement::{Row, Statement};
use super::tx::Tx;
use super::{Db, StoreError};
use crate::queue::Message;
use crate::queue::relay::{self, Pending};

pub(super) const INSERT: &str =
    "INSERT INTO outbox (message_id, message_key, headers, body) VALUES ($1, $2, $3, $4)";
const SELECT: &str = "SELECT seq, message_id, message_key, headers, body FROM outbox \
                      WHERE refused IS NULL ORDER BY seq LIMIT $1";
const COUNT: &str = "SELECT COUNT(*) FROM outbox WHERE refused IS NULL";
const REFUSE: &str = "UPDATE outbox SET refused = $2 WHERE seq = $1";
const RELEASE: &str = "DELETE FROM outbox_lease WHERE owner = $1";

// Time is the database's: relays on several machines need not agree on theirs. A lease that ends later than
// one which begins now is from before that clock was set back, and as good as over.
macro_rules! lease {
    ($now:literal) => {
        concat!(
            "INSERT INTO outbox_lease (id, owner, expires_ms) VALUES (1, $1, ",
            $now,
            " + $2) ON CONFLICT (id) DO UPDATE SET owner = excluded.owner, expires_ms = excluded.expires_ms ",
            "WHERE outbox_lease.owner = excluded.owner OR outbox_lease.expires_ms <= ",
            $now,
            " OR outbox_lease.expires_ms > ",
            $now,
            " + $2"
        )
    };
}
const LEASE_SQLITE: &str = lease!("CAST(unixepoch('subsec') * 1000 AS INTEGER)");
const LEASE_POSTGRES: &str = lease!("CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)");

// One text for any number of rows, so that it is prepared once.
const REMOVE_SQLITE: &str = "DELETE FROM outbox WHERE seq IN (SELECT value FROM json_each($1))";
const REMOVE_POSTGRES: &str = "DELETE FROM outbox WHERE seq = ANY($1)";

static TAKE: Op = Op::quiet("UPDATE", "outbox_lease");
static GIVE_BACK: Op = Op::quiet("DELETE", "outbox_lease");
static READ: Op = Op::quiet("SELECT", "outbox");
static REMOVE: Op = Op::quiet("DELETE", "outbox");
static SET_ASIDE: Op = Op::quiet("UPDATE", "outbox");

/// The outbox of order-service; see [`super::Orders::outbox`].
#[derive(Clone)]
pub struct Outbox {
    db: Db,
    committed: Arc<Notify>,
}

impl Outbox {
    pub(super) fn new(db: Db, committed: Arc<Notify>) -> Self {
        Self { db, committed }
    }

    async fn take_lease(&self, owner: &str, ttl: Duration) -> Result<bool, StoreError> {
        let statement = match self.db.engine() {
            Engine::Sqlite => LEASE_SQLITE,
            Engine::Postgres => LEASE_POSTGRES,
        };
        let milliseconds = i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX / 2);
        let take = Statement::new(statement).bind(owner).bind(milliseconds);
        Ok(self.db.execute(&TAKE, take).await? > 0)
    }

    fn removal(&self, seqs: &[i64]) -> Statement {
        let delete = match self.db.engine() {
            Engine::Sqlite => REMOVE_SQLITE,
            Engine::Postgres => REMOVE_POSTGRES,
        };
        Statement::new(delete).bind(seqs.to_vec())
    }
}

#[async_trait]
impl relay::RelayedOutbox for Outbox {
    async fn lease(&self, owner: &str, ttl: Duration) -> Result<bool, String> {
        self.take_lease(owner, ttl).await.map_err(text)
    }

    async fn release(&self, owner: &str) -> Result<(), String> {
        let release = Statement::new(RELEASE).bind(owner);
        self.db.execute(&GIVE_BACK, release).await.map(drop).map_err(text)
    }

    async fn pending(&self, limit: i64) -> Result<Vec<Pending>, String> {
        self.db.rows(&READ, Statement::new(SELECT).bind(limit), pending).await.map_err(text)
    }

    async fn published(&self, seqs: &[i64]) -> Result<(), String> {
        if seqs.is_empty() {
            return Ok(());
        }
        self.db.execute(&REMOVE, self.removal(seqs)).await.map(drop).map_err(text)
    }

    async fn published_and_next(&self, seqs: &[i64], limit: i64) -> Result<Vec<Pending>, String> {
        if self.db.engine() == Engine::Postgres {
            // Two statements are two round trips; a transaction around them would add two more.
            self.published(seqs).await?;
            return self.pending(limit).await;
        }
        let removal = self.removal(seqs);
        let next = self.db.transaction(&REMOVE, move |mut tx| {
            Box::pin(async move {
                tx.execute(removal).await?;
                tx.rows(Statement::new(SELECT).bind(limit), pending).await
            })
        });
        next.await.map_err(text)
    }

    async fn refused(&self, seq: i64, reason: &str) -> Result<(), String> {
        let refuse = Statement::new(REFUSE).bind(seq).bind(reason);
        self.db.execute(&SET_ASIDE, refuse).await.map(drop).map_err(text)
    }

    async fn count(&self) -> Result<i64, String> {
        self.db.one(&READ, Statement::new(COUNT), |row| row.get(0)).await.map_err(text)
    }

    /// A commit while nobody waits leaves a permit behind, so the next wait returns at once.
    async fn committed(&self) {
        self.committed.notified().await;
    }
}

fn text(error: StoreError) -> String {
    error.to_string()
}

/// Adds a message to the transaction that stores what it tells of.
pub(super) async fn insert(tx: &mut Tx<'_>, message: Message) -> Result<(), DbError> {
    let headers = serde_json::to_string(&message.headers).map_err(|e| DbError::Internal(e.to_string()))?;
    let insert = Statement::new(INSERT).bind(message.id).bind(message.key).bind(headers).bind(message.body);
    tx.execute(insert).await.map(drop)
}

fn pending(row: &Row<'_>) -> Result<Pending, DbError> {
    let headers: String = row.get(3)?;
    let headers: BTreeMap<String, String> =
        serde_json::from_str(&headers).map_err(|e| DbError::unreadable("headers", e))?;
    let message = Message { id: row.get(1)?, key: row.get(2)?, headers, body: row.get(4)? };
    Ok(Pending { seq: row.get(0)?, message })
}
