//! Into the dead letters and back, each move one transaction.

use rusqlite::{Connection, named_params, params};

use super::Embedded;
use super::file::within;
use super::row::{dead_letter, millis, receipt};
use crate::config::DeadLetterConfig;
use crate::queue::wire::{kept_of, now_ms};
use crate::queue::{DeadLetter, Delivery, QueueError};

const COPY: &str = "
    INSERT INTO dead_letters (queue, id, key, headers, body, reason, attempts, died_at)
    SELECT queue, id, key, headers, body, :reason, attempt, :now
    FROM messages WHERE seq = :seq AND receipt = :token";
const REMOVE: &str = "DELETE FROM messages WHERE seq = ?1 AND receipt = ?2";
const LIST: &str = "
    SELECT id, key, headers, body, reason, attempts, died_at
    FROM dead_letters WHERE queue = ?1 ORDER BY seq LIMIT ?2";
const COPY_BACK: &str = "
    INSERT INTO messages (queue, id, key, headers, body)
    SELECT queue, id, key, headers, body FROM dead_letters
    WHERE queue = ?1 AND (?2 IS NULL OR id = ?2) ORDER BY seq";
const REMOVE_LETTERS: &str = "DELETE FROM dead_letters WHERE queue = ?1 AND (?2 IS NULL OR id = ?2)";

/// To count all of them takes a while where there are many.
const TRIM_EVERY: i64 = 16;
const TRIM: &str = "
    DELETE FROM dead_letters WHERE queue = :queue AND (died_at < :oldest OR seq <= (
        SELECT seq FROM (
            SELECT seq, row_number() OVER newest AS place,
                   sum(octet_length(headers) + octet_length(body)) OVER newest AS bytes
            FROM dead_letters WHERE queue = :queue WINDOW newest AS (ORDER BY seq DESC)
        ) WHERE place > :rows OR bytes > :bytes ORDER BY seq DESC LIMIT 1
    ))";

/// Forgets the oldest dead letters where they are too many, too large or too old.
fn trim(connection: &Connection, queue: &str, limits: &DeadLetterConfig) -> rusqlite::Result<()> {
    let oldest = now_ms() - millis(limits.dead_letter_age);
    let (rows, bytes) = (limits.dead_letter_rows, limits.dead_letter_bytes);
    let values = named_params! { ":queue": queue, ":oldest": oldest, ":rows": rows, ":bytes": bytes };
    let forgotten = connection.prepare_cached(TRIM)?.execute(values)?;
    if forgotten > 0 {
        tracing::warn!(messages = forgotten, "Dead letters were forgotten: too many, too large or too old");
    }
    Ok(())
}

impl Embedded {
    pub(super) async fn move_to_dead(&self, delivery: &Delivery, reason: &str) -> Result<(), QueueError> {
        let Some((seq, token)) = receipt(delivery) else { return Ok(()) };
        let (reason, queue, limits) = (kept_of(reason), self.name.clone(), self.dead_letters);
        let moving = self.file.write(move |connection| {
            connection.execute(
                COPY,
                named_params! { ":reason": reason, ":now": now_ms(), ":seq": seq, ":token": token },
            )?;
            let place = connection.last_insert_rowid();
            connection.execute(REMOVE, params![seq, token])?;
            if let Some(limits) = limits.filter(|_| place % TRIM_EVERY == 0) {
                trim(connection, &queue, &limits)?;
            }
            Ok(())
        });
        within(moving).await?;
        // The next message of its key may be due now.
        self.doorbell.ring();
        Ok(())
    }

    pub(super) async fn list_dead(&self, limit: usize) -> Result<Vec<DeadLetter>, QueueError> {
        let (queue, limit) = (self.name.clone(), i64::try_from(limit).unwrap_or(i64::MAX));
        let listing = self.file.read(move |connection| {
            let mut statement = connection.prepare(LIST)?;
            let letters = statement.query_map(params![queue, limit], dead_letter)?;
            Ok(letters.collect::<rusqlite::Result<_>>()?)
        });
        within(listing).await
    }

    pub(super) async fn move_back(&self, id: Option<&str>) -> Result<u64, QueueError> {
        let (queue, id) = (self.name.clone(), id.map(str::to_owned));
        let moving = self.file.write(move |connection| {
            connection.execute(COPY_BACK, params![queue, id])?;
            Ok(connection.execute(REMOVE_LETTERS, params![queue, id])? as u64)
        });
        let moved = within(moving).await?;
        self.doorbell.ring();
        Ok(moved)
    }
}
