//! Real brokers, private to this test process: free ports, temporary folders, gone with it.
//!
//! A test that only uses its own queue takes the shared broker of its kind; a test that stops its
//! broker starts one of its own.

mod embedded;
mod gate;
#[cfg(feature = "kafka")]
mod kafka;
mod rabbitmq;
mod redis;
pub mod server;
mod sqs;
pub mod tls;

use std::path::Path;
use std::sync::OnceLock;

pub use embedded::EmbeddedFile;
#[cfg(feature = "kafka")]
pub use kafka::KafkaServer;
pub use rabbitmq::RabbitServer;
pub use redis::RedisServer;
pub use sqs::SqsServer;

/// Environment variables by name.
pub type Settings = Vec<(&'static str, String)>;

/// A running broker.
pub trait Broker: Send + Sync {
    /// The variables with which a role, or a handle opened by a test, uses the queue of this name.
    /// Makes what must be there before the first use.
    fn settings(&self, queue: &str) -> Settings;

    /// The same over TLS with a certificate signed by an authority of our own, and with a login;
    /// `None` where this broker cannot be given one.
    fn tls_settings(&self, _queue: &str) -> Option<Settings> {
        None
    }

    /// Where the handles of this test process have their files; only embedded has any.
    fn data_dir(&self) -> &Path {
        Path::new("/nonexistent")
    }

    /// Ends it without warning: connections break, new ones are refused.
    fn stop(&self);

    /// Starts it again on the same address with what it had stored, and waits until it answers.
    fn start(&self);
}

/// One row's broker, started at its first use.
pub fn shared(
    cell: &'static OnceLock<Box<dyn Broker>>,
    start: fn() -> Box<dyn Broker>,
) -> &'static dyn Broker {
    &**cell.get_or_init(start)
}

/// A name that no other test has.
pub fn fresh_queue() -> String {
    format!("t-{}", uuid::Uuid::now_v7())
}
