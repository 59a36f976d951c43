//! Alerts that Alertmanager sent to notification-service.

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::failure::DbError;
use super::op::Op;
use super::statement::{Row, Statement};
use super::{Notifications, StoreError};
use crate::api::now;

/// The most alerts kept, and the most bytes of their labels and annotations; the oldest go first. They are
/// answered all at once.
const MOST: i64 = 1_000;
const MOST_BYTES: i64 = 8 << 20;

const UPSERT: &str = "INSERT INTO alerts (fingerprint, starts_at, ends_at, status, labels, annotations, \
                      updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (fingerprint, starts_at) \
                      DO UPDATE SET ends_at = excluded.ends_at, status = excluded.status, labels = excluded.labels, \
                      annotations = excluded.annotations, updated_at = excluded.updated_at";
const TRIM: &str =
    "DELETE FROM alerts WHERE id <= (SELECT id FROM alerts ORDER BY id DESC LIMIT 1 OFFSET $1)";
// Where the bytes of the newest ones, added up, are too many.
const TRIM_BYTES: &str = "DELETE FROM alerts WHERE id <= (SELECT id FROM \
     (SELECT id, SUM(octet_length(labels) + octet_length(annotations)) OVER (ORDER BY id DESC) AS bytes FROM alerts) AS sized \
     WHERE bytes > $1 ORDER BY id DESC LIMIT 1)";
const SELECT: &str = "SELECT fingerprint, starts_at, ends_at, status, labels, annotations, updated_at \
                      FROM alerts ORDER BY id DESC LIMIT $1";

static RECORD: Op = Op::quiet("INSERT", "alerts");
static READ: Op = Op::quiet("SELECT", "alerts");

/// An alert as the webhook brings it; as it is stored, with its objects as text.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewAlert<J = Value> {
    /// Alertmanager's name for the set of labels.
    pub fingerprint: String,
    /// `firing` or `resolved`.
    pub status: String,
    /// A JSON object of strings.
    pub labels: J,
    /// A JSON object of strings.
    pub annotations: J,
    /// RFC 3339.
    pub starts_at: String,
    /// RFC 3339; of a firing alert, if at all, when it counts as resolved.
    pub ends_at: Option<String>,
}

/// A stored alert, as `GET /alerts` answers it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Alert {
    /// What the webhook said last.
    #[serde(flatten)]
    pub alert: NewAlert<Box<RawValue>>,
    /// When it said so, RFC 3339, UTC.
    pub updated_at: String,
}

impl Notifications {
    /// Stores alerts, or what is new of those that are known by fingerprint and start: all, or none.
    ///
    /// # Errors
    /// The database's.
    pub async fn record_alerts(&self, new: &[NewAlert]) -> Result<(), StoreError> {
        let upserts: Vec<_> = new.iter().map(upsert).collect();
        let recorded = self.db.transaction(&RECORD, |mut tx| {
            Box::pin(async move {
                for upsert in upserts {
                    tx.execute(upsert).await?;
                }
                tx.execute(Statement::new(TRIM).bind(MOST)).await?;
                tx.execute(Statement::new(TRIM_BYTES).bind(MOST_BYTES)).await
            })
        });
        recorded.await.map(drop)
    }

    /// The stored alerts, as many of the newest as a page has room for, the one that came last first. Also
    /// whether there are more.
    ///
    /// # Errors
    /// The database's.
    pub async fn alerts(&self) -> Result<(Vec<Alert>, bool), StoreError> {
        let rows = self.db.page_rows(&READ, Statement::new(SELECT).bind(MOST), read, size).await?;
        Ok(rows.first(MOST))
    }
}

/// About what an alert takes in an answer.
fn size(one: &Alert) -> usize {
    one.alert.labels.get().len() + one.alert.annotations.get().len() + 200
}

fn upsert(new: &NewAlert) -> Statement {
    Statement::new(UPSERT)
        .bind(new.fingerprint.as_str())
        .bind(new.starts_at.as_str())
        .bind(new.ends_at.clone())
        .bind(new.status.as_str())
        .bind(new.labels.to_string())
        .bind(new.annotations.to_string())
        .bind(now())
}

fn read(row: &Row<'_>) -> Result<Alert, DbError> {
    let json = |column: usize, name: &str| {
        let text: String = row.get(column)?;
        // Not parsed into a tree, which takes many times the room of its text.
        RawValue::from_string(text).map_err(|e| DbError::unreadable(name, e))
    };
    let alert = NewAlert {
        fingerprint: row.get(0)?,
        starts_at: row.get(1)?,
        ends_at: row.get(2)?,
        status: row.get(3)?,
        labels: json(4, "labels")?,
        annotations: json(5, "annotations")?,
    };
    Ok(Alert { alert, updated_at: row.get(6)? })
}
