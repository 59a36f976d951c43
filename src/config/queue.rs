//! The settings of the queue and of the brokers behind it.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::{PortBase, at_least_one, default_data_dir, milliseconds};

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
    /// The transport's address is not set, or this build has no client for it.
    pub fn check(&self) -> Result<(), String> {
        let broker = &self.broker;
        let (flag, variable, set) = match self.queue_transport {
            Transport::Embedded => return Ok(()),
            Transport::Redis => ("--redis-url", "REDIS_URL", broker.redis_url.is_some()),
            Transport::Sqs => ("--sqs-queue-url", "SQS_QUEUE_URL", broker.sqs_queue_url.is_some()),
            Transport::Rabbitmq => ("--amqp-url", "AMQP_URL", broker.amqp_url.is_some()),
            Transport::Kafka if !cfg!(feature = "kafka") => return Err(NO_KAFKA.to_owned()),
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

/// Where the brokers are and how to be let in. Only the selected transport's are read.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Brokers (order, notify)")]
pub struct BrokerConfig {
    /// redis:// or rediss://user:password@host:port/database; also redis-cluster:// and redis-sentinel://
    #[arg(long, env = "REDIS_URL", value_name = "URL", hide_env_values = true, value_parser = redis_url)]
    pub redis_url: Option<Secret>,
    /// amqp:// or amqps://user:password@host:port/vhost of a RabbitMQ
    #[arg(long, env = "AMQP_URL", value_name = "URL", hide_env_values = true, value_parser = amqp_url)]
    pub amqp_url: Option<Secret>,
    /// URL of the Amazon SQS queue; the AWS SDK's own variables say who asks, and where another endpoint is
    #[arg(long, env = "SQS_QUEUE_URL", value_name = "URL", value_parser = sqs_url)]
    pub sqs_queue_url: Option<String>,
    /// host:port of one or more Kafka brokers, separated by commas
    #[arg(long, env = "KAFKA_BROKERS", value_name = "LIST", value_parser = kafka_brokers)]
    pub kafka_brokers: Option<String>,
    /// How to talk to Kafka
    #[arg(long, env = "KAFKA_SECURITY_PROTOCOL", default_value = "plaintext")]
    pub kafka_security_protocol: KafkaSecurity,
    /// How to log in to Kafka where the protocol is a sasl_ one
    #[arg(long, env = "KAFKA_SASL_MECHANISM", default_value = "SCRAM-SHA-256")]
    pub kafka_sasl_mechanism: KafkaMechanism,
    /// Kafka user
    #[arg(long, env = "KAFKA_SASL_USERNAME", value_name = "NAME")]
    pub kafka_sasl_username: Option<String>,
    /// Kafka password
    #[arg(long, env = "KAFKA_SASL_PASSWORD", value_name = "TEXT", hide_env_values = true, value_parser = secret)]
    pub kafka_sasl_password: Option<Secret>,
    /// Partitions of a Kafka topic that is not there yet: the most consumers that can share the work
    #[arg(long, env = "KAFKA_PARTITIONS", default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub kafka_partitions: u16,
    /// PEM file with the certificate authority of the broker, whichever it is [default: the system's]
    #[arg(long, env = "QUEUE_CA_FILE", value_name = "FILE")]
    pub queue_ca_file: Option<PathBuf>,
}

/// A value that must not get into a log: it prints as `***`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The value itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

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

/// Kafka's `security.protocol`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, reason = "the names are Kafka's")]
pub enum KafkaSecurity {
    #[default]
    #[value(name = "plaintext")]
    Plaintext,
    #[value(name = "ssl")]
    Ssl,
    #[value(name = "sasl_plaintext")]
    SaslPlaintext,
    #[value(name = "sasl_ssl")]
    SaslSsl,
}

impl KafkaSecurity {
    /// As the client's property spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plaintext => "plaintext",
            Self::Ssl => "ssl",
            Self::SaslPlaintext => "sasl_plaintext",
            Self::SaslSsl => "sasl_ssl",
        }
    }
}

/// Kafka's `sasl.mechanism`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, reason = "the names are Kafka's")]
pub enum KafkaMechanism {
    #[value(name = "PLAIN")]
    Plain,
    #[default]
    #[value(name = "SCRAM-SHA-256")]
    ScramSha256,
    #[value(name = "SCRAM-SHA-512")]
    ScramSha512,
}

impl KafkaMechanism {
    /// As the client's property spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// What `o11y-lab queue` does.
#[derive(Clone, Debug, Subcommand)]
pub enum QueueAction {
    /// Count the messages that wait, that are in a consumer's hands, and that were given up
    Depth(QueueLook),
    /// The messages that were given up
    #[command(subcommand)]
    Dead(DeadAction),
}

/// What `o11y-lab queue dead` does.
#[derive(Clone, Debug, Subcommand)]
pub enum DeadAction {
    /// List the dead letters, oldest first
    List {
        /// Most to list
        #[arg(long, default_value_t = 100, value_parser = at_least_one)]
        limit: usize,
        #[command(flatten)]
        #[allow(missing_docs)]
        look: QueueLook,
    },
    /// Show one dead letter with its headers and body
    Show {
        /// The message's id
        id: String,
        #[command(flatten)]
        #[allow(missing_docs)]
        look: QueueLook,
    },
    /// Send dead letters back to the end of the queue, attempts counted anew
    #[command(group = clap::ArgGroup::new("which").required(true).args(["id", "all"]))]
    Replay {
        /// Only the one with this message id
        #[arg(long)]
        id: Option<String>,
        /// Every one of them
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        #[allow(missing_docs)]
        look: QueueLook,
    },
}

/// Which queue a command looks at, and how it answers.
#[derive(Args, Clone, Debug)]
pub struct QueueLook {
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub ports: PortBase,
    /// Folder of the embedded queue [default: the user's state folder]
    #[arg(long, env = "DATA_DIR", value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub queue: QueueConfig,
}

impl QueueLook {
    /// The folder for files: the one named, or the user's state folder.
    pub fn data_dir(&self) -> PathBuf {
        self.data_dir.clone().unwrap_or_else(default_data_dir)
    }
}

impl QueueAction {
    /// Which queue it looks at.
    pub fn look(&self) -> &QueueLook {
        match self {
            Self::Depth(look) => look,
            Self::Dead(
                DeadAction::List { look, .. }
                | DeadAction::Show { look, .. }
                | DeadAction::Replay { look, .. },
            ) => look,
        }
    }
}

fn queue_name(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !text.is_empty() && text.len() <= 80 && text.chars().all(allowed) {
        Ok(text.to_owned())
    } else {
        Err("expected 1 to 80 letters, digits, '-', '_' or '.'".into())
    }
}

fn secret(text: &str) -> Result<Secret, String> {
    Ok(Secret(text.to_owned()))
}

fn redis_url(text: &str) -> Result<Secret, String> {
    let scheme = text.split_once("://").map(|(scheme, _)| scheme);
    let (family, kind) = scheme.and_then(|s| s.split_once('-')).unwrap_or((scheme.unwrap_or(""), ""));
    let known = matches!(family, "redis" | "rediss") && matches!(kind, "" | "cluster" | "sentinel");
    with_host(text, known).map(Secret).ok_or_else(|| "expected redis://host:port or rediss://…".into())
}

fn amqp_url(text: &str) -> Result<Secret, String> {
    let known = text.starts_with("amqp://") || text.starts_with("amqps://");
    with_host(text, known).map(Secret).ok_or_else(|| "expected amqp://host:port/vhost or amqps://…".into())
}

fn sqs_url(text: &str) -> Result<String, String> {
    let url = super::http_url(text)?;
    match url.splitn(4, '/').nth(3) {
        Some(path) if path.contains('/') => Ok(url),
        _ => Err("expected https://sqs.REGION.amazonaws.com/ACCOUNT/NAME".into()),
    }
}

fn kafka_brokers(text: &str) -> Result<String, String> {
    let broker = |item: &str| {
        let (host, port) = item.trim().rsplit_once(':')?;
        (!host.is_empty() && !host.contains('/') && port.parse::<u16>().is_ok()).then_some(())
    };
    match text.split(',').all(|item| broker(item).is_some()) {
        true => Ok(text.to_owned()),
        false => Err("expected host:port,host:port".into()),
    }
}

/// The text itself, if something stands where a URL has its host.
fn with_host(text: &str, known_scheme: bool) -> Option<String> {
    let rest = text.split_once("://").map(|(_, rest)| rest).filter(|_| known_scheme)?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    (!host.is_empty() && !host.starts_with(':')).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_for_their_shape_and_never_echoed() {
        for good in
            ["redis://h", "rediss://u:p@h:6380/1", "redis-cluster://h:1?node=i:2", "rediss-sentinel://h"]
        {
            assert!(redis_url(good).is_ok(), "{good}");
        }
        for bad in ["http://h", "redis://", "redis://u:hunter2@", "redis-ring://h", "h:6379", "redis://:1"] {
            let said = redis_url(bad).err().unwrap_or_default();
            assert!(said.starts_with("expected") && !said.contains("hunter2"), "{bad}: {said}");
        }
        assert!(amqp_url("amqps://u:p@h:5671/%2f").is_ok() && amqp_url("ampq://h").is_err());
        assert!(
            sqs_url("https://sqs.eu-west-1.amazonaws.com/1/q").is_ok() && sqs_url("https://h/q").is_err()
        );
        assert!(kafka_brokers("a:9092, b:9093").is_ok() && kafka_brokers("a,b:1").is_err());
        assert_eq!(format!("{:?}", redis_url("redis://u:p@h")), "Ok(***)");
    }
}
