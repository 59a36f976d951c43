//! How clients of librdkafka are made and ended.

use std::ops::Deref;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;

use crate::config::{BrokerConfig, KafkaGroupProtocol, KafkaSecurity};
use crate::queue::QueueError;
use crate::queue::broker::{CALL_TIMEOUT, authority, unavailable, within};

/// A queue's names. Groups have the names of the topics they read, so that one rule with this prefix
/// allows all of it.
pub(super) struct Topics {
    pub(super) main: String,
    pub(super) dead: String,
    /// Partitions of the first, if it has to be made.
    pub(super) partitions: i32,
}

impl Topics {
    pub(super) fn of(queue: &str, partitions: u16) -> Self {
        Self { main: queue.to_owned(), dead: format!("{queue}.dead"), partitions: i32::from(partitions) }
    }
}

/// Where the brokers are and how to be let in.
pub(super) struct Access {
    client: ClientConfig,
    pub(super) group_protocol: KafkaGroupProtocol,
}

impl Access {
    pub(super) fn of(config: &BrokerConfig) -> Result<Self, QueueError> {
        let mut client = ClientConfig::new();
        client
            .set("bootstrap.servers", config.kafka_brokers.as_deref().unwrap_or_default())
            .set("client.id", "o11y-lab")
            .set("security.protocol", config.kafka_security_protocol.as_str())
            .set("socket.keepalive.enable", "true")
            .set("socket.timeout.ms", CALL_TIMEOUT.as_millis().to_string())
            .set("socket.connection.setup.timeout.ms", "3000")
            // A broker that is back is found within a second.
            .set("reconnect.backoff.max.ms", "1000")
            // The broker is told nothing about this process.
            .set("enable.metrics.push", "false")
            .set_log_level(RDKafkaLogLevel::Warning);
        if matches!(config.kafka_security_protocol, KafkaSecurity::Ssl | KafkaSecurity::SaslSsl)
            && let Some(trusted) = authority(config.queue_ca_file.as_deref())?
        {
            client.set("ssl.ca.pem", trusted);
        }
        if matches!(config.kafka_security_protocol, KafkaSecurity::SaslPlaintext | KafkaSecurity::SaslSsl) {
            let password = config.kafka_sasl_password.as_ref().map(|password| password.expose());
            client
                .set("sasl.mechanism", config.kafka_sasl_mechanism.as_str())
                .set("sasl.username", config.kafka_sasl_username.as_deref().unwrap_or_default())
                .set("sasl.password", password.unwrap_or_default());
        }
        Ok(Self { client, group_protocol: config.kafka_group_protocol })
    }

    /// To be completed where a client is made.
    pub(super) fn config(&self) -> ClientConfig {
        self.client.clone()
    }
}

/// Keeps what a client says out of the log, as it names addresses; debug lines may.
pub(super) struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, line: &str) {
        tracing::debug!(facility, "librdkafka: {line}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, "librdkafka: {reason}");
    }
}

impl ConsumerContext for Quiet {}

/// A client whose end, which waits for its threads, holds up nobody.
pub(super) struct OwnedClient<T: Send + 'static>(Option<T>);

impl<T: Send + 'static> OwnedClient<T> {
    pub(super) fn of(client: T) -> Self {
        Self(Some(client))
    }
}

impl<T: Send + 'static> Deref for OwnedClient<T> {
    type Target = Option<T>;

    fn deref(&self) -> &Option<T> {
        &self.0
    }
}

impl<T: Send + 'static> Drop for OwnedClient<T> {
    fn drop(&mut self) {
        if let Some(client) = self.0.take() {
            // Without a thread it is dropped here, which only takes longer.
            std::thread::Builder::new().name("kafka-end".to_owned()).spawn(move || drop(client)).ok();
        }
    }
}

/// Runs calls that block where they may. Each of them has to have a time limit of its own: a
/// caller that stops waiting does not end them.
pub(super) async fn blocking<T: Send + 'static>(
    calls: impl FnOnce() -> Result<T, QueueError> + Send + 'static,
) -> Result<T, QueueError> {
    within(CALL_TIMEOUT, unbounded(calls)).await
}

/// The same for many calls in a row.
pub(super) async fn unbounded<T: Send + 'static>(
    calls: impl FnOnce() -> Result<T, QueueError> + Send + 'static,
) -> Result<T, QueueError> {
    let done = tokio::task::spawn_blocking(calls).await;
    done.unwrap_or_else(|_| Err(unavailable("could not be asked")))
}

/// When calls that begin now have to be over: before their caller stops waiting.
pub(super) fn time_limit() -> Instant {
    Instant::now() + CALL_TIMEOUT * 9 / 10
}

pub(super) fn left(until: Instant) -> Duration {
    until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
}
