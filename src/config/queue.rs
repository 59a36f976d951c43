//! The settings of the queue, whichever broker is behind it.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::{BrokerConfig, DeadLetterConfig, Transport, at_least_one, milliseconds};

/// The queue, for the side that publishes and the side that consumes.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Queue (order, notify)")]
pub struct QueueConfig {
    /// Which broker carries the messages
    #[arg(long, env = "QUEUE_TRANSPORT", default_value = "embedded")]
    pub queue_transport: Transport,
    /// The queue's name
    #[arg(long, env = "QUEUE_NAME", default_value = "notifications", value_parser = queue_name)]
    pub queue_name: String,
    /// Most messages handled at once
    #[arg(long, env = "QUEUE_CONCURRENCY", default_value_t = 8, value_parser = at_least_one)]
    pub queue_concurrency: usize,
    /// Attempts before a message goes to the dead letters
    #[arg(long, env = "QUEUE_MAX_ATTEMPTS", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub queue_max_attempts: u32,
    /// Time after which a message in the hands of a consumer that says nothing is given out again, in milliseconds
    #[arg(long, env = "QUEUE_VISIBILITY_TIMEOUT_MS", default_value = "30000", value_parser = milliseconds)]
    pub queue_visibility_timeout: Duration,
    /// Wait before the first retry, in milliseconds; it doubles with each further one
    #[arg(long, env = "QUEUE_RETRY_BASE_MS", default_value = "200", value_parser = milliseconds)]
    pub queue_retry_base: Duration,
    /// The consumer's span continues the producer's trace, or starts its own and links to it
    #[arg(long, env = "QUEUE_TRACE_MODE", default_value = "child")]
    pub queue_trace_mode: TraceMode,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub dead_letters: DeadLetterConfig,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub broker: BrokerConfig,
}

impl QueueConfig {
    /// What is missing for the transport that is selected, in one sentence that names flag and
    /// variable; only roles that use the queue ask.
    ///
    /// # Errors
    /// The transport's address or login is not set, or this build has no client for it.
    pub fn check(&self) -> Result<(), String> {
        self.queue_transport.row().check(&self.broker)
    }
}

/// How the consumer's span is joined to the producer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TraceMode {
    /// A child: one trace from request to notification.
    Child,
    /// A new trace with a span link, as the messaging conventions prefer.
    Link,
}

fn queue_name(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !text.is_empty() && text.len() <= 80 && text.chars().all(allowed) {
        Ok(text.to_owned())
    } else {
        Err("expected 1 to 80 letters, digits, '-', '_' or '.'".into())
    }
}
