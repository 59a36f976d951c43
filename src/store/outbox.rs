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
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};
use tokio::sync::Notify;

use super::engine::Engine;
use super::session::{Op, Session};
use super::{Db, StoreError, unreadable};
use crate::queue::Message;
use crate::queue::relay::{self, Pending};

pub(super) const INSERT: &str =
    "INSERT INTO outbox (message_id, message_key, headers, body) VALUES ($1, $2, $3, $4)";
const SELECT: &str = "SELECT seq, message_id, message_key, headers, body FROM outbox \
                      WHERE refused IS NULL ORDER BY seq LIMIT $1";
const COUNT: &str = "SELECT COUNT(*) FROM outbox WHERE refused IS NULL";
const REFUSE: &str = "UPDATE outbox SET refused = $2 WHERE seq = $1";
const RELEASE: &str = "DELETE FROM outbox_lease WHERE owner = $1";

// Time is the database's: relays on several machines need not agree on theirs.
macro_rules! lease {
    ($now:literal) => {
        concat!(
            "INSERT INTO outbox_lease (id, owner, expires_ms) VALUES (1, $1, ",
            $now,
            " + $2) ON CONFLICT (id) DO UPDATE SET owner = excluded.owner, expires_ms = excluded.expires_ms ",
            "WHERE outbox_lease.owner = excluded.owner OR outbox_lease.expires_ms <= ",
            $now
        )
    };
}
const LEASE_SQLITE: &str = lease!("CAST(unixepoch('subsec') * 1000 AS INTEGER)");
const LEASE_POSTGRES: &str = lease!("CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)");

static TAKE: Op = Op::quiet("UPDATE", "outbox_lease");
static GIVE_BACK: Op = Op::quiet("DELETE", "outbox_lease");
static READ: Op = Op::quiet("SELECT", "outbox");
static REMOVE: Op = Op::quiet("DELETE", "outbox");
static SET_ASIDE: Op = Op::quiet("UPDATE", "outbox");

/// Rows removed with one statement; each is a bound parameter.
const BATCH: usize = 500;

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
        let mut session = self.db.session(&TAKE).await?;
        Ok(session.execute(sqlx::query(statement).bind(owner).bind(milliseconds)).await? > 0)
    }

    async fn read(&self, limit: i64) -> Result<Vec<Pending>, StoreError> {
        let mut session = self.db.session(&READ).await?;
        session.rows(sqlx::query(SELECT).bind(limit), pending).await
    }

    async fn remove(&self, seqs: &[i64]) -> Result<(), StoreError> {
        for batch in seqs.chunks(BATCH) {
            let places: Vec<_> = (1..=batch.len()).map(|i| format!("${i}")).collect();
            let delete = format!("DELETE FROM outbox WHERE seq IN ({})", places.join(", "));
            // Not prepared for reuse: there is one text for each size of batch.
            let mut statement = sqlx::query(AssertSqlSafe(delete)).persistent(false);
            for seq in batch {
                statement = statement.bind(*seq);
            }
            self.db.session(&REMOVE).await?.execute(statement).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl relay::Outbox for Outbox {
    async fn lease(&self, owner: &str, ttl: Duration) -> Result<bool, String> {
        self.take_lease(owner, ttl).await.map_err(text)
    }

    async fn release(&self, owner: &str) -> Result<(), String> {
        let mut session = self.db.session(&GIVE_BACK).await.map_err(text)?;
        session.execute(sqlx::query(RELEASE).bind(owner)).await.map(drop).map_err(text)
    }

    async fn pending(&self, limit: i64) -> Result<Vec<Pending>, String> {
        self.read(limit).await.map_err(text)
    }

    async fn published(&self, seqs: &[i64]) -> Result<(), String> {
        self.remove(seqs).await.map_err(text)
    }

    async fn refused(&self, seq: i64, reason: &str) -> Result<(), String> {
        let mut session = self.db.session(&SET_ASIDE).await.map_err(text)?;
        session.execute(sqlx::query(REFUSE).bind(seq).bind(reason)).await.map(drop).map_err(text)
    }

    async fn count(&self) -> Result<i64, String> {
        let mut session = self.db.session(&READ).await.map_err(text)?;
        session.one(sqlx::query(COUNT), |row| row.try_get(0)).await.map_err(text)
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
pub(super) async fn insert(session: &mut Session, message: Message) -> Result<(), StoreError> {
    let headers = serde_json::to_string(&message.headers).map_err(|e| StoreError::Internal(e.to_string()))?;
    let insert = sqlx::query(INSERT).bind(message.id).bind(message.key).bind(headers).bind(message.body);
    session.execute(insert).await.map(drop)
}

fn pending(row: &AnyRow) -> sqlx::Result<Pending> {
    let headers: String = row.try_get("headers")?;
    let headers: BTreeMap<String, String> =
        serde_json::from_str(&headers).map_err(|e| unreadable("headers", e))?;
    let message = Message {
        id: row.try_get("message_id")?,
        key: row.try_get("message_key")?,
        headers,
        body: row.try_get("body")?,
    };
    Ok(Pending { seq: row.try_get("seq")?, message })
}
