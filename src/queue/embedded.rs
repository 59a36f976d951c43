//! The embedded transport: a SQLite file that the processes of one machine share.
//!
//! Durable as SQLite is, and no server. A delivery hides its message until `due`; whoever settles it
//! must show the receipt of the latest delivery, so a consumer that is too late changes nothing. The
//! times are the wall clock's: setting it back makes retries and redeliveries wait so much longer,
//! new messages not at all.

mod dead;
mod file;
mod row;
mod take;

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::Connection;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::file::{File, within};
use self::row::{headers, millis, receipt};
use super::together::{Failed, Together};
use super::wire::{self, now_ms};
use super::{DeadLetter, Delivery, Depth, Message, Queue, QueueError};

/// The file's name in the data folder.
pub const FILE_NAME: &str = "queue.db";

/// Most acknowledgements in one statement.
const BATCH: usize = 100;

/// One process's access to one queue in the file.
pub struct Embedded {
    name: String,
    visibility_timeout: Duration,
    /// For everything that changes or counts: one connection, so that the tasks of this process
    /// queue for it instead of racing for SQLite's lock.
    work: File,
    /// For `receive` to look for news with. It never writes: a connection is not told about its own
    /// changes.
    look: File,
    /// Receipts to be acknowledged.
    acks: Together<(i64, String)>,
    /// Since when `receive` has found nothing; `None` when it just found something.
    quiet: Mutex<Option<Instant>>,
    stopped: CancellationToken,
}

impl Embedded {
    /// Opens nothing yet: the first call does, and each call after the file was lost.
    pub fn new(path: PathBuf, name: &str, visibility_timeout: Duration) -> Self {
        Self {
            name: name.to_owned(),
            visibility_timeout,
            work: File::new(path.clone()),
            look: File::new(path),
            acks: Together::of(BATCH),
            quiet: Mutex::new(Some(Instant::now())),
            stopped: CancellationToken::new(),
        }
    }

    /// Acknowledges those deliveries that are still ours.
    async fn delete(&self, receipts: Vec<(i64, String)>) -> Result<Failed, QueueError> {
        within(async {
            let mut file = self.work.open().await?;
            // In this order of the join: one search by `seq` for each receipt.
            let deleted = sqlx::query(
                "DELETE FROM messages WHERE seq IN (
                     SELECT seq FROM json_each($1) AS given CROSS JOIN messages
                     WHERE seq = given.value ->> 0 AND receipt = given.value ->> 1
                 )",
            )
            .bind(serde_json::json!(receipts).to_string())
            .execute(&mut file.db)
            .await;
            let deleted = file.check(deleted)?.rows_affected();
            if deleted < receipts.len() as u64 {
                tracing::debug!(messages = receipts.len() as u64 - deleted, "Deliveries are no longer ours");
            }
            Ok(Failed::new())
        })
        .await
    }

    /// Runs one statement for the delivery whose receipt is `$1`, `$2`, and which is due at `$3`.
    async fn settle(&self, delivery: &Delivery, statement: &'static str, due: i64) -> Result<(), QueueError> {
        let Some((seq, token)) = receipt(delivery) else { return Ok(()) };
        within(async {
            let mut file = self.work.open().await?;
            let settled = sqlx::query(statement).bind(seq).bind(token).bind(due).execute(&mut file.db).await;
            let settled = file.check(settled)?;
            if settled.rows_affected() == 0 {
                tracing::debug!(messageId = delivery.message.id, "Delivery is no longer ours");
            }
            Ok(())
        })
        .await
    }
}

#[async_trait]
impl Queue for Embedded {
    /// Not a registered value, because this is no product; the prefix says whose it is.
    fn system(&self) -> &'static str {
        "o11y_lab.embedded"
    }

    fn name(&self) -> &str {
        &self.name
    }

    async fn publish(&self, batch: &[Message]) -> Result<(), QueueError> {
        wire::check(batch)?;
        within(async {
            let mut file = self.work.open().await?;
            let published = async {
                let mut transaction = file.db.begin_with("BEGIN IMMEDIATE").await?;
                for message in batch {
                    sqlx::query(
                        "INSERT INTO messages (queue, id, key, headers, body) VALUES ($1, $2, $3, $4, $5)",
                    )
                    .bind(&self.name)
                    .bind(&message.id)
                    .bind(&message.key)
                    .bind(headers(message))
                    .bind(&message.body)
                    .execute(&mut *transaction)
                    .await?;
                }
                transaction.commit().await
            };
            let published = published.await;
            file.check(published)
        })
        .await
    }

    async fn receive(&self, max: usize, wait: Duration) -> Result<Vec<Delivery>, QueueError> {
        let deadline = Instant::now() + wait;
        // After traffic there is probably more: take without looking.
        while self.quiet_since().is_none() || self.wait(deadline).await? {
            let deliveries = self.take(max).await?;
            self.note_traffic(!deliveries.is_empty());
            if !deliveries.is_empty() {
                return Ok(deliveries);
            }
        }
        Ok(Vec::new())
    }

    async fn stop_receiving(&self) {
        self.stopped.cancel();
    }

    async fn ack(&self, delivery: &Delivery) -> Result<(), QueueError> {
        let Some((seq, token)) = receipt(delivery) else { return Ok(()) };
        self.acks.call((seq, token.to_owned()), |all| self.delete(all)).await
    }

    async fn retry(&self, delivery: &Delivery, delay: Duration) -> Result<(), QueueError> {
        // 0 rather than now: "at once" must not depend on the clock.
        let due = if delay.is_zero() { 0 } else { now_ms() + millis(delay) };
        let statement = "UPDATE messages SET receipt = NULL, due = $3 WHERE seq = $1 AND receipt = $2";
        self.settle(delivery, statement, due).await
    }

    async fn dead_letter(&self, delivery: &Delivery, reason: &str) -> Result<(), QueueError> {
        self.give_up(delivery, reason).await
    }

    async fn heartbeat(&self, delivery: &Delivery) -> Result<(), QueueError> {
        let due = now_ms() + millis(self.visibility_timeout);
        self.settle(delivery, "UPDATE messages SET due = $3 WHERE seq = $1 AND receipt = $2", due).await
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        within(async {
            let mut file = self.work.open().await?;
            let counted = sqlx::query_as::<_, (i64, i64, i64)>(
                "SELECT (SELECT count(*) FROM messages WHERE queue = $1),
                        (SELECT count(*) FROM messages
                         WHERE queue = $1 AND head = 1 AND due > $2 AND receipt IS NOT NULL),
                        (SELECT count(*) FROM dead_letters WHERE queue = $1)",
            )
            .bind(&self.name)
            .bind(now_ms())
            .fetch_one(&mut file.db)
            .await;
            let (all, in_flight, dead) = file.check(counted)?;
            Ok(Depth {
                waiting: (all - in_flight).unsigned_abs(),
                in_flight: in_flight.unsigned_abs(),
                dead: dead.unsigned_abs(),
            })
        })
        .await
    }

    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>, QueueError> {
        self.given_up(limit).await
    }

    async fn replay(&self, id: Option<&str>) -> Result<u64, QueueError> {
        self.send_back(id).await
    }

    async fn close(&self) {
        self.stopped.cancel();
        self.look.close().await;
        self.work.close().await;
    }
}

#[cfg(test)]
mod tests;
