//! Rows of the file as messages, deliveries and dead letters.

use std::time::Duration;

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::queue::{DeadLetter, Delivery, Message};

/// Headers as they are stored: a JSON object.
pub(super) fn headers(message: &Message) -> String {
    serde_json::json!(message.headers).to_string()
}

fn message(row: &SqliteRow) -> sqlx::Result<Message> {
    let headers: &str = row.try_get("headers")?;
    let headers = serde_json::from_str(headers).map_err(|error| sqlx::Error::Decode(error.into()))?;
    Ok(Message { id: row.try_get("id")?, key: row.try_get("key")?, headers, body: row.try_get("body")? })
}

pub(super) fn delivery(row: &SqliteRow, token: &str) -> sqlx::Result<(i64, Delivery)> {
    let seq: i64 = row.try_get("seq")?;
    let receipt = format!("{seq}/{token}");
    Ok((seq, Delivery { message: message(row)?, attempt: row.try_get("attempt")?, receipt }))
}

pub(super) fn dead_letter(row: &SqliteRow) -> sqlx::Result<DeadLetter> {
    Ok(DeadLetter {
        message: message(row)?,
        reason: row.try_get("reason")?,
        attempts: row.try_get("attempts")?,
        died_at_ms: row.try_get("died_at")?,
    })
}

/// What [`delivery`] made: the row and the token of the latest delivery.
pub(super) fn receipt(delivery: &Delivery) -> Option<(i64, &str)> {
    let (seq, token) = delivery.receipt.split_once('/')?;
    Some((seq.parse().ok()?, token))
}

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 2)
}
