//! Embedded transport: a SQLite file that the processes of one machine share.
//!
//! Durable as SQLite is, and no server. A delivery hides its message until `due`; a settlement must
//! show the receipt of the latest delivery, so a consumer that is too late changes nothing. The times
//! are the wall clock's, as several processes share them. What is due later than anything that is
//! scheduled now can be (`take::horizon`) is from before the clock was set back, and is due.

mod dead;
mod doorbell;
mod file;
mod row;
mod take;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{named_params, params};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::doorbell::Doorbell;
use self::file::within;
use self::row::{Columns, millis, receipt};
use self::take::KnownQueue;
use super::ack_batch::{AckBatcher, FailedAcks};
use super::wire::{self, now_ms};
use super::{DeadLetter, Deliver, Delivery, Depth, Describe, Inspect, Message, QueueError};
use crate::config::{DeadLetterConfig, Transport};
use crate::sqlite::SqliteFile;

/// Name of the file in the data folder.
pub const FILE_NAME: &str = "queue.db";

/// Most acknowledgements in one statement.
const BATCH: usize = 100;

const INSERT: &str = "INSERT INTO messages (queue, id, key, headers, body) VALUES (?1, ?2, ?3, ?4, ?5)";
// In this order of the join: one search by `seq` for each receipt.
const DELETE: &str = "
    DELETE FROM messages WHERE seq IN (
        SELECT seq FROM json_each(?1) AS given CROSS JOIN messages
        WHERE seq = given.value ->> 0 AND receipt = given.value ->> 1
    )";
const RETRY: &str = "UPDATE messages SET receipt = NULL, due = ?3 WHERE seq = ?1 AND receipt = ?2";
const REQUEUE: &str =
    "UPDATE messages SET receipt = NULL, due = ?3, attempt = attempt - 1 WHERE seq = ?1 AND receipt = ?2";
const EXTEND: &str = "UPDATE messages SET due = ?3 WHERE seq = ?1 AND receipt = ?2";
const COUNT: &str = "
    SELECT (SELECT count(*) FROM messages WHERE queue = :queue),
           (SELECT count(*) FROM messages
            WHERE queue = :queue AND head = 1 AND due > :now AND receipt IS NOT NULL),
           (SELECT count(*) FROM dead_letters WHERE queue = :queue)";

/// Embedded queue: one process's access to one queue in the file.
pub struct Embedded {
    name: Arc<str>,
    visibility_timeout: Duration,
    dead_letters: Option<DeadLetterConfig>,
    file: SqliteFile,
    doorbell: Doorbell,
    /// What `receive` knows, so that it asks the file only when there is something.
    known: Mutex<KnownQueue>,
    /// Receipts to be acknowledged.
    acks: AckBatcher<(i64, String)>,
    stopped: CancellationToken,
}

impl Embedded {
    /// Opens nothing yet: the first call does, and each call after the file was lost.
    pub fn new(path: PathBuf, name: &str, visibility_timeout: Duration) -> Self {
        Self {
            name: name.into(),
            visibility_timeout,
            dead_letters: None,
            doorbell: Doorbell::of(&path),
            file: file::file(path),
            known: Mutex::new(KnownQueue::nothing(visibility_timeout)),
            acks: AckBatcher::new(BATCH),
            stopped: CancellationToken::new(),
        }
    }

    /// With these bounds of the dead letters; without them all are kept.
    pub fn keeping(self, dead_letters: DeadLetterConfig) -> Self {
        Self { dead_letters: Some(dead_letters), ..self }
    }

    /// Acknowledges those deliveries that are still ours.
    async fn delete(&self, receipts: Vec<(i64, String)>) -> Result<FailedAcks, QueueError> {
        let given = receipts.len() as u64;
        let deleting = self.file.write(move |connection| {
            let before = connection.total_changes();
            let receipts = serde_json::json!(receipts).to_string();
            let deleted = connection.prepare_cached(DELETE)?.execute([receipts])? as u64;
            // Triggers have made other messages the first of their keys.
            let freed = connection.total_changes() - before > deleted;
            Ok((deleted, freed))
        });
        let (deleted, freed) = within(deleting).await?;
        if freed {
            self.doorbell.ring();
        }
        if deleted < given {
            tracing::debug!(messages = given - deleted, "Deliveries are no longer ours");
        }
        Ok(FailedAcks::new())
    }

    /// Runs one statement for the delivery whose receipt is `?1`, `?2`, and which is due at `?3`.
    async fn settle(&self, delivery: &Delivery, statement: &'static str, due: i64) -> Result<(), QueueError> {
        let Some((seq, token)) = receipt(delivery) else { return Ok(()) };
        let settling = self.file.write(move |connection| {
            Ok(connection.prepare_cached(statement)?.execute(params![seq, token, due])?)
        });
        if within(settling).await? == 0 {
            tracing::debug!(messageId = delivery.message.id, "Delivery is no longer ours");
        }
        Ok(())
    }
}

impl Describe for Embedded {
    fn system(&self) -> &'static str {
        Transport::Embedded.row().system
    }

    fn name(&self) -> &str {
        &self.name
    }
}

#[async_trait]
impl Deliver for Embedded {
    async fn publish(&self, batch: &[Message]) -> Result<(), QueueError> {
        wire::check(batch)?;
        let (queue, rows) = (self.name.clone(), batch.iter().map(Columns::from).collect::<Vec<_>>());
        let publishing = self.file.write(move |connection| {
            let mut insert = connection.prepare_cached(INSERT)?;
            for Columns { id, key, headers, body } in rows {
                insert.execute(params![queue, id, key, headers, body])?;
            }
            Ok(())
        });
        within(publishing).await?;
        self.doorbell.ring();
        Ok(())
    }

    async fn receive(&self, max: usize, wait: Duration) -> Result<Vec<Delivery>, QueueError> {
        self.take_until(max, Instant::now() + wait).await
    }

    async fn stop_receiving(&self) {
        self.stopped.cancel();
    }

    async fn ack(&self, delivery: &Delivery) -> Result<(), QueueError> {
        let Some(receipt) = receipt(delivery) else { return Ok(()) };
        self.acks.settle(receipt, |all| self.delete(all)).await
    }

    async fn retry(&self, delivery: &Delivery, delay: Duration) -> Result<(), QueueError> {
        // 0 rather than now: "at once" must not depend on the clock.
        let due = if delay.is_zero() { 0 } else { now_ms() + millis(delay) };
        self.settle(delivery, RETRY, due).await?;
        self.doorbell.ring();
        Ok(())
    }

    async fn requeue(&self, delivery: &Delivery) -> Result<(), QueueError> {
        self.settle(delivery, REQUEUE, 0).await?;
        self.doorbell.ring();
        Ok(())
    }

    async fn dead_letter(&self, delivery: &Delivery, reason: &str) -> Result<(), QueueError> {
        self.move_to_dead(delivery, reason).await
    }

    async fn heartbeat(&self, delivery: &Delivery) -> Result<(), QueueError> {
        self.settle(delivery, EXTEND, now_ms() + millis(self.visibility_timeout)).await
    }

    async fn close(&self) {
        self.stopped.cancel();
        file::close(&self.file).await;
    }
}

#[async_trait]
impl Inspect for Embedded {
    async fn depth(&self) -> Result<Depth, QueueError> {
        let queue = self.name.clone();
        let counting = self.file.read(move |connection| {
            let mut statement = connection.prepare_cached(COUNT)?;
            let counts = statement.query_row(named_params! { ":queue": queue, ":now": now_ms() }, |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
            });
            Ok(counts?)
        });
        let (all, in_flight, dead) = within(counting).await?;
        Ok(Depth {
            waiting: (all - in_flight).unsigned_abs(),
            in_flight: in_flight.unsigned_abs(),
            dead: dead.unsigned_abs(),
        })
    }

    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>, QueueError> {
        self.list_dead(limit).await
    }

    async fn replay(&self, id: Option<&str>) -> Result<u64, QueueError> {
        self.move_back(id).await
    }
}

#[cfg(test)]
mod tests;
