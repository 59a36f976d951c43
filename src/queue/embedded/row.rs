//! Rows of the file as messages, deliveries and dead letters.

use std::time::Duration;

use rusqlite::Row;
use rusqlite::types::Type;

use crate::queue::{DeadLetter, Delivery, Message};

/// Message as the columns id, key, headers (a JSON object) and body: what goes to the file's thread.
pub(super) struct Columns {
    pub(super) id: String,
    pub(super) key: String,
    pub(super) headers: String,
    pub(super) body: Vec<u8>,
}

impl From<&Message> for Columns {
    fn from(message: &Message) -> Self {
        Self {
            id: message.id.clone(),
            key: message.key.clone(),
            headers: serde_json::json!(message.headers).to_string(),
            body: message.body.clone(),
        }
    }
}

/// Message of a row that begins with id, key, headers and body.
fn message(row: &Row<'_>) -> rusqlite::Result<Message> {
    let headers = row.get_ref(2)?.as_str()?;
    let headers = serde_json::from_str(headers)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(2, Type::Text, error.into()))?;
    Ok(Message { id: row.get(0)?, key: row.get(1)?, headers, body: row.get(3)? })
}

/// Row of id, key, headers, body, seq and attempt: its place in the order, and the delivery.
pub(super) fn delivery(row: &Row<'_>, token: &str) -> rusqlite::Result<(i64, Delivery)> {
    let seq: i64 = row.get(4)?;
    let receipt = format!("{seq}/{token}");
    Ok((seq, Delivery { message: message(row)?, attempt: row.get(5)?, receipt }))
}

/// Row of id, key, headers, body, reason, attempts and the time of death.
pub(super) fn dead_letter(row: &Row<'_>) -> rusqlite::Result<DeadLetter> {
    Ok(DeadLetter {
        message: message(row)?,
        reason: row.get(4)?,
        attempts: row.get(5)?,
        died_at_ms: row.get(6)?,
    })
}

/// Receipt as [`delivery`] made it: the row and the token of the latest delivery.
pub(super) fn receipt(delivery: &Delivery) -> Option<(i64, String)> {
    let (seq, token) = delivery.receipt.split_once('/')?;
    Some((seq.parse().ok()?, token.to_owned()))
}

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 2)
}
