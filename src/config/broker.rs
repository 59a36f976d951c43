//! Where the brokers are, and how to be let in.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

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
    /// URL of the Amazon SQS queue; the AWS SDK's own variables say who asks, unless it is plain http
    #[arg(long, env = "SQS_QUEUE_URL", value_name = "URL", value_parser = sqs_url)]
    pub sqs_queue_url: Option<String>,
    /// Amazon SQS API to call instead of the one in the queue's URL
    #[arg(long, env = "AWS_ENDPOINT_URL_SQS", value_name = "URL", value_parser = super::http_url)]
    pub sqs_endpoint: Option<String>,
    /// The same, where that one is not set
    #[arg(long, env = "AWS_ENDPOINT_URL", value_name = "URL", value_parser = super::http_url)]
    pub aws_endpoint: Option<String>,
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
    /// Protocol of Kafka's consumer group; `consumer` (KIP-848) needs Kafka 4.0 or newer
    #[arg(long, env = "KAFKA_GROUP_PROTOCOL", default_value = "classic")]
    pub kafka_group_protocol: KafkaGroupProtocol,
    /// PEM file with the certificate authority of the broker, whichever it is [default: the system's]
    #[arg(long, env = "QUEUE_CA_FILE", value_name = "FILE")]
    pub queue_ca_file: Option<PathBuf>,
}

impl BrokerConfig {
    /// Whether Kafka is to be asked with a login that is not there.
    pub(super) fn lacks_kafka_login(&self) -> bool {
        let wanted =
            matches!(self.kafka_security_protocol, KafkaSecurity::SaslPlaintext | KafkaSecurity::SaslSsl);
        wanted && (self.kafka_sasl_username.is_none() || self.kafka_sasl_password.is_none())
    }
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

/// Kafka's `group.protocol`: who shares the partitions out, a member or the broker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, reason = "the names are Kafka's")]
pub enum KafkaGroupProtocol {
    #[default]
    #[value(name = "classic")]
    Classic,
    #[value(name = "consumer")]
    Consumer,
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

pub(super) fn secret(text: &str) -> Result<Secret, String> {
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
