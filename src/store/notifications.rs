//! Notifications that were sent: each message id once. Email addresses are not kept.

use serde::Serialize;

use super::failure::DbError;
use super::op::Op;
use super::statement::{Row, Statement};
use super::{Db, StoreError};
use crate::api::event::EventKind;
use crate::api::now;

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, message_id, kind, order_id, user_id, trace_id, sent_at FROM notifications ",
            $rest
        )
    };
}

const INSERT: &str = "INSERT INTO notifications (message_id, kind, order_id, user_id, trace_id, sent_at) \
                      VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (message_id) DO NOTHING";
const EXISTS: &str = "SELECT COUNT(*) FROM notifications WHERE message_id = $1";
const SELECT_ALL: &str = select!("WHERE id < $2 ORDER BY id DESC LIMIT $1");
const SELECT_OF_ORDER: &str = select!("WHERE id < $2 AND order_id = $3 ORDER BY id DESC LIMIT $1");

static RECORD: Op = Op::quiet("INSERT", "notifications");
static READ: Op = Op::quiet("SELECT", "notifications");

/// A notification that has just been sent.
#[derive(Clone, Debug)]
pub struct NewNotification {
    /// The queue message that asked for it.
    pub message_id: String,
    /// What it tells of.
    pub kind: EventKind,
    /// The order it is about.
    pub order_id: i64,
    /// Who got it.
    pub user_id: i64,
    /// The trace it was sent in, if there was one.
    pub trace_id: Option<String>,
}

/// A stored notification, as `GET /notifications` answers it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Notification {
    /// Positive, given by the store.
    pub id: i64,
    /// The queue message that asked for it.
    pub message_id: String,
    /// What it tells of.
    #[serde(rename = "type")]
    pub kind: EventKind,
    /// The order it is about.
    pub order_id: i64,
    /// Who got it.
    pub user_id: i64,
    /// `email`, the only channel there is.
    pub channel: &'static str,
    /// The trace it was sent in, if there was one.
    pub trace_id: Option<String>,
    /// RFC 3339, UTC.
    pub sent_at: String,
}

/// What notification-service stores: notifications, and the alerts it receives.
#[derive(Clone)]
pub struct Notifications {
    pub(super) db: Db,
}

impl Notifications {
    /// Notifications in `db`.
    pub fn new(db: Db) -> Self {
        Self { db }
    }

    /// Stores a notification; true if its message id is new, false if it was stored before.
    ///
    /// # Errors
    /// The database's.
    pub async fn record(&self, new: &NewNotification) -> Result<bool, StoreError> {
        let insert = Statement::new(INSERT)
            .bind(new.message_id.as_str())
            .bind(new.kind.as_str())
            .bind(new.order_id)
            .bind(new.user_id)
            .bind(new.trace_id.clone())
            .bind(now());
        Ok(self.db.execute(&RECORD, insert).await? > 0)
    }

    /// Whether a message's notification was sent.
    ///
    /// # Errors
    /// The database's.
    pub async fn exists(&self, message_id: &str) -> Result<bool, StoreError> {
        let select = Statement::new(EXISTS).bind(message_id);
        let count: i64 = self.db.one(&READ, select, |row| row.get(0)).await?;
        Ok(count > 0)
    }

    /// The newest `limit` notifications with an id below `before`, newest first; of one order, if one
    /// is named. Also whether there are more.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(
        &self,
        order_id: Option<i64>,
        before: i64,
        limit: i64,
    ) -> Result<(Vec<Notification>, bool), StoreError> {
        let one_more = limit.saturating_add(1);
        let select = match order_id {
            Some(id) => Statement::new(SELECT_OF_ORDER).bind(one_more).bind(before).bind(id),
            None => Statement::new(SELECT_ALL).bind(one_more).bind(before),
        };
        Ok(self.db.page_rows(&READ, select, read, size).await?.first(limit))
    }
}

/// About what a notification takes in an answer.
fn size(notification: &Notification) -> usize {
    notification.message_id.len() + 250
}

fn read(row: &Row<'_>) -> Result<Notification, DbError> {
    let kind: String = row.get(2)?;
    let kind = [EventKind::OrderCreated, EventKind::OrderStatusChanged]
        .into_iter()
        .find(|known| known.as_str() == kind)
        .ok_or_else(|| DbError::unreadable("kind", "not a kind of event"))?;
    Ok(Notification {
        id: row.get(0)?,
        message_id: row.get(1)?,
        kind,
        order_id: row.get(3)?,
        user_id: row.get(4)?,
        channel: "email",
        trace_id: row.get(5)?,
        sent_at: row.get(6)?,
    })
}
