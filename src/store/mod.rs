//! Durable state: users, orders with their outbox, notifications.
//!
//! SQLite files by default, PostgreSQL by `DATABASE_URL`, one SQL for both. Each service owns its
//! own schema and none reads another's. An operation is a function over one connection (`tx`): on
//! SQLite it runs on the file's thread in one visit, on PostgreSQL it is awaited by its caller. Every
//! operation goes through one place (`session`) that measures it, traces it where a request waits for
//! it, and bounds its time, so that a slow or lost database is an answer
//! ([`StoreError::Unavailable`]) and never a hang.

mod alerts;
mod commit;
mod connect;
mod db;
mod engine;
mod failure;
mod leak;
mod migrate;
pub mod notifications;
mod op;
pub mod orders;
pub mod outbox;
mod page;
mod pool;
mod reach;
mod retention;
mod session;
mod statement;
mod tx;
pub mod users;

#[cfg(test)]
mod tests;

pub use alerts::{Alert, NewAlert};
pub use db::Db;
pub use notifications::{NewNotification, Notification, Notifications};
pub use orders::{Created, Orders};
pub use outbox::Outbox;
pub use reach::reached;
pub use users::Users;

use crate::api::Status;

/// What an operation on the store can fail with. `Display` is safe to show to a client.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Something like it is there already; the text names what must be unique.
    #[error("{0}")]
    Conflict(&'static str),
    /// There is no such row.
    #[error("not found")]
    NotFound,
    /// The order's status does not allow this change.
    #[error("an order that is {} cannot become {}", from.as_str(), to.as_str())]
    Transition {
        /// What the order is.
        from: Status,
        /// What it was asked to become.
        to: Status,
    },
    /// The database is slow or away; trying again may help. The reason names no address. Where it
    /// was a commit that took too long, the change may have happened all the same.
    #[error("{0}")]
    Unavailable(String),
    /// A defect of ours or of the data. The text is for logs, where it already stands.
    #[error("the database operation failed")]
    Internal(String),
    /// The settings make no sense: a URL that is none, a folder that cannot be written to. Only
    /// [`Db::open`] answers so; the text is for the operator.
    #[error("{0}")]
    Config(String),
}
