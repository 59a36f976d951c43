//! The relay publishes what the outbox holds.

use std::time::Duration;

use async_trait::async_trait;

use super::Message;

/// A stored message that still has to be published.
#[derive(Clone, Debug)]
pub struct Pending {
    /// Its place in the outbox.
    pub seq: i64,
    /// The message.
    pub message: Message,
}

/// What the relay needs of the store. Errors are reasons for logs; all of them may pass.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// True while this owner holds the lease (one relay at a time publishes, so order is kept);
    /// the owner renews it with the same call.
    async fn lease(&self, owner: &str, ttl: Duration) -> Result<bool, String>;

    /// Gives the lease back, if this owner holds it.
    async fn release(&self, owner: &str) -> Result<(), String>;

    /// Messages to publish, oldest first, refused ones left out.
    async fn pending(&self, limit: i64) -> Result<Vec<Pending>, String>;

    /// Removes rows whose messages the broker has confirmed.
    async fn published(&self, seqs: &[i64]) -> Result<(), String>;

    /// Keeps a row aside with the reason why it can never be published.
    async fn refused(&self, seq: i64, reason: &str) -> Result<(), String>;

    /// How many rows are still to publish.
    async fn count(&self) -> Result<i64, String>;

    /// Resolves after a commit in this process; a wake-up is never lost.
    async fn committed(&self);
}
