//! Orders: the type, the states, and the typed form of a valid new order.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Cents, User, validate};

/// A stored order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Order {
    /// Positive, given by the store.
    pub id: i64,
    /// Who ordered.
    pub user_id: i64,
    /// What was ordered, at least one.
    pub items: Vec<String>,
    /// What it costs.
    pub total: Cents,
    /// Where it stands.
    pub status: Status,
    /// RFC 3339, UTC.
    pub created_at: String,
    /// RFC 3339, UTC.
    pub updated_at: String,
}

/// An order with its user, as `GET /orders/{id}` answers it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderWithUser {
    /// The order's fields, beside `user`.
    #[serde(flatten)]
    pub order: Order,
    /// `null` where user-service could not be asked.
    pub user: Option<User>,
}

/// `pending -> completed | failed | cancelled`; the last three are final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Accepted, not settled yet.
    Pending,
    /// Settled well.
    Completed,
    /// Settled badly.
    Failed,
    /// Called off.
    Cancelled,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Completed, Self::Failed, Self::Cancelled];

    /// The spelling on the wire, in the database and in labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The status spelled so.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// Whether an order may go from this status to `next`.
    pub fn may_become(self, next: Self) -> bool {
        self == Self::Pending && next != Self::Pending
    }
}

/// A new order that keeps the rules of [`validate`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewOrder {
    /// Positive; whether the user exists is another question.
    pub user_id: i64,
    /// Not empty, each a non-empty string.
    pub items: Vec<String>,
    /// Not negative.
    pub total: Cents,
}

impl NewOrder {
    /// Reads and checks a request body; an error lists every rule that was broken.
    pub fn from_json(body: &Value) -> Result<Self, Vec<String>> {
        let errors = validate::errors(body);
        if !errors.is_empty() {
            return Err(errors);
        }
        // The rules have been kept, so each of these is there; the fallback only spares a panic.
        let typed = || {
            let items = body.get("items")?.as_array()?;
            Some(Self {
                user_id: body.get("userId")?.as_i64()?,
                items: items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
                total: Cents::from_dollars(body.get("total")?.as_f64()?)?,
            })
        };
        typed().ok_or_else(|| vec!["body is not an order".to_owned()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_pending_order_may_change_and_never_back() {
        for from in Status::ALL {
            for to in Status::ALL {
                let allowed = from == Status::Pending && to != Status::Pending;
                assert_eq!(from.may_become(to), allowed, "{from:?} -> {to:?}");
            }
            assert_eq!(Status::parse(from.as_str()), Some(from));
        }
    }
}
