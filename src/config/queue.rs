//! The settings of the queue, whichever broker is behind it.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::{BrokerConfig, at_least_one, milliseconds};

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
    pub broker: BrokerConfig,
}

impl QueueConfig {
    /// What is missing for the transport that is selected, in one sentence that names flag and
    /// variable; only roles that use the queue ask.
    ///
    /// # Errors
    /// The transport's address or login is not set, or this build has no client for it.
    pub fn check(&self) -> Result<(), String> {
        let broker = &self.broker;
        let (flag, variable, set) = match self.queue_transport {
            Transport::Embedded => return Ok(()),
            Transport::Redis => ("--redis-url", "REDIS_URL", broker.redis_url.is_some()),
            Transport::Sqs => ("--sqs-queue-url", "SQS_QUEUE_URL", broker.sqs_queue_url.is_some()),
            Transport::Rabbitmq => ("--amqp-url", "AMQP_URL", broker.amqp_url.is_some()),
            Transport::Kafka if !cfg!(feature = "kafka") => return Err(NO_KAFKA.to_owned()),
            Transport::Kafka if broker.lacks_kafka_login() => return Err(NO_KAFKA_LOGIN.to_owned()),
            Transport::Kafka => ("--kafka-brokers", "KAFKA_BROKERS", broker.kafka_brokers.is_some()),
        };
        if set {
            return Ok(());
        }
        let transport = self.queue_transport.as_str();
        Err(format!(
            "{flag} (environment variable {variable}) is not set, and --queue-transport (environment \
             variable QUEUE_TRANSPORT) {transport} needs it"
        ))
    }
}

/// The client takes a minute and a half to build, so it is not part of the default build.
pub(crate) const NO_KAFKA: &str = "this build has no Kafka client, which --queue-transport (environment \
    variable QUEUE_TRANSPORT) kafka needs; build it in: cargo build --release --features kafka";

const NO_KAFKA_LOGIN: &str = "--kafka-sasl-username and --kafka-sasl-password (environment variables \
    KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD) are not both set, and a --kafka-security-protocol \
    (environment variable KAFKA_SECURITY_PROTOCOL) that begins with sasl_ needs them";

/// The brokers a message can travel through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Transport {
    /// A SQLite file in the data folder, shared by the processes of one machine.
    Embedded,
    /// Redis Streams with a consumer group.
    Redis,
    /// Amazon SQS.
    Sqs,
    /// Kafka; needs the Cargo feature `kafka`.
    Kafka,
    /// RabbitMQ, a quorum queue.
    Rabbitmq,
}

impl Transport {
    /// The spelling of flag, variable and `GET /stats`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Redis => "redis",
            Self::Sqs => "sqs",
            Self::Kafka => "kafka",
            Self::Rabbitmq => "rabbitmq",
        }
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
