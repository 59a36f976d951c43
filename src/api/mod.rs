//! The wire contract: the types that travel, the rules they keep, the clients that send them.

pub mod client;
pub mod event;
pub mod lambda;
pub mod money;
pub mod order;
pub mod page;
pub mod user;
pub mod validate;

pub use client::{OrderClient, Passed, UserClient};
pub use event::{Event, EventKind};
pub use money::Cents;
pub use order::{NewOrder, Order, OrderWithUser, Status};
pub use page::{MAX_PAGE_BYTES, Page, PageQuery};
pub use user::{NewUser, User};
pub use validate::Verdict;

/// The time now, RFC 3339 in UTC with milliseconds.
pub fn now() -> String {
    format!("{:.3}", jiff::Timestamp::now())
}
