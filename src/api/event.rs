//! What order-service tells the world: the body of a queue message.

use serde::{Deserialize, Serialize};

use super::{Cents, Order, Status};

/// Something that happened to an order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// What happened.
    #[serde(rename = "type")]
    pub kind: EventKind,
    /// To which order.
    pub order_id: i64,
    /// Whose order it is.
    pub user_id: i64,
    /// Its value.
    pub total: Cents,
    /// Its status afterwards.
    pub status: Status,
    /// When, RFC 3339, UTC.
    pub occurred_at: String,
}

/// The kinds of event; also the values of the label `type` of `notifications_sent_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// An order was stored.
    OrderCreated,
    /// An order's status changed.
    OrderStatusChanged,
}

impl EventKind {
    /// The spelling on the wire, in the database and in labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OrderCreated => "order_created",
            Self::OrderStatusChanged => "order_status_changed",
        }
    }
}

impl Event {
    /// The event of what just happened to `order`.
    pub fn of(kind: EventKind, order: &Order) -> Self {
        Self {
            kind,
            order_id: order.id,
            user_id: order.user_id,
            total: order.total,
            status: order.status,
            occurred_at: order.updated_at.clone(),
        }
    }
}
