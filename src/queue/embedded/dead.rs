//! Into the dead letters and back, each move one transaction.

use sqlx::Connection;

use super::Embedded;
use super::file::within;
use super::row::{dead_letter, receipt};
use crate::queue::wire::{kept_of, now_ms};
use crate::queue::{DeadLetter, Delivery, QueueError};

impl Embedded {
    pub(super) async fn give_up(&self, delivery: &Delivery, reason: &str) -> Result<(), QueueError> {
        let Some((seq, token)) = receipt(delivery) else { return Ok(()) };
        let reason = kept_of(reason);
        within(async {
            let mut file = self.work.open().await?;
            let moved = async {
                let mut transaction = file.db.begin_with("BEGIN IMMEDIATE").await?;
                sqlx::query(
                    "INSERT INTO dead_letters (queue, id, key, headers, body, reason, attempts, died_at)
                     SELECT queue, id, key, headers, body, $3, attempt, $4
                     FROM messages WHERE seq = $1 AND receipt = $2",
                )
                .bind(seq)
                .bind(token)
                .bind(&reason)
                .bind(now_ms())
                .execute(&mut *transaction)
                .await?;
                sqlx::query("DELETE FROM messages WHERE seq = $1 AND receipt = $2")
                    .bind(seq)
                    .bind(token)
                    .execute(&mut *transaction)
                    .await?;
                transaction.commit().await
            };
            let moved = moved.await;
            file.check(moved)
        })
        .await
    }

    pub(super) async fn given_up(&self, limit: usize) -> Result<Vec<DeadLetter>, QueueError> {
        within(async {
            let mut file = self.work.open().await?;
            let letters = sqlx::query(
                "SELECT id, key, headers, body, reason, attempts, died_at
                 FROM dead_letters WHERE queue = $1 ORDER BY seq LIMIT $2",
            )
            .bind(&self.name)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&mut file.db)
            .await;
            let letters = letters.and_then(|rows| rows.iter().map(dead_letter).collect());
            file.check(letters)
        })
        .await
    }

    pub(super) async fn send_back(&self, id: Option<&str>) -> Result<u64, QueueError> {
        within(async {
            let mut file = self.work.open().await?;
            let moved = async {
                let mut transaction = file.db.begin_with("BEGIN IMMEDIATE").await?;
                sqlx::query(
                    "INSERT INTO messages (queue, id, key, headers, body)
                     SELECT queue, id, key, headers, body FROM dead_letters
                     WHERE queue = $1 AND ($2 IS NULL OR id = $2) ORDER BY seq",
                )
                .bind(&self.name)
                .bind(id)
                .execute(&mut *transaction)
                .await?;
                let deleted =
                    sqlx::query("DELETE FROM dead_letters WHERE queue = $1 AND ($2 IS NULL OR id = $2)")
                        .bind(&self.name)
                        .bind(id)
                        .execute(&mut *transaction)
                        .await?;
                transaction.commit().await?;
                Ok(deleted.rows_affected())
            };
            let moved = moved.await;
            file.check(moved)
        })
        .await
    }
}
