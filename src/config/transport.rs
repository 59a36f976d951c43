//! The transports as data: settings, help, documents, span attributes and tests read these rows.

use clap::ValueEnum;
use clap::builder::PossibleValue;

use super::BrokerConfig;

/// A broker that messages can travel through; its facts stand in [`TRANSPORTS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the rows say what each one is")]
pub enum Transport {
    Embedded,
    Redis,
    Sqs,
    Kafka,
    Rabbitmq,
}

/// One row: all that is known of a transport outside its own file.
#[derive(Debug)]
pub struct TransportRow {
    /// Which one.
    pub transport: Transport,
    /// The spelling of flag, variable and `GET /stats`.
    pub name: &'static str,
    /// One line of help.
    pub about: &'static str,
    /// `messaging.system` of its spans.
    pub system: &'static str,
    /// The setting without which it cannot run.
    pub address: Option<AddressSetting>,
    /// The Cargo feature its client is part of, if that is not in every build.
    pub feature: Option<CargoFeature>,
    /// What its settings lack beside the address, in one sentence.
    lacks: fn(&BrokerConfig) -> Option<&'static str>,
    /// Targets of its client's own log lines and the most that is written of them.
    pub quiet_targets: &'static [(&'static str, &'static str)],
    /// What it does with messages.
    pub guarantees: Guarantees,
}

/// A broker's address among the settings.
#[derive(Debug)]
pub struct AddressSetting {
    /// With its two hyphens.
    pub flag: &'static str,
    /// The environment variable.
    pub variable: &'static str,
    /// Whether it may hold a password and is never shown.
    pub secret: bool,
    is_set: fn(&BrokerConfig) -> bool,
}

/// A Cargo feature that a transport needs.
#[derive(Debug)]
pub struct CargoFeature {
    /// Its name.
    pub name: &'static str,
    /// Whether this build has it.
    pub built: bool,
    /// What to say where it is missing: names flag, variable and the build that has it.
    pub missing: &'static str,
}

/// What a transport is made of and what it promises beyond what all of them do; the conformance
/// suite holds each promise on a real broker.
#[derive(Debug)]
pub struct Guarantees {
    /// What queue, retries and dead letters are, in the broker's words.
    pub made_of: &'static str,
    /// The native place of headers, the trace context among them.
    pub headers_in: &'static str,
    /// How far messages with one key keep their order.
    pub order: KeyOrder,
    /// When another consumer gets what a dead one left unsettled.
    pub redelivered: &'static str,
    /// Whether a delivery that ended in a crash counts as an attempt.
    pub crashes_count: bool,
    /// Whether a delivery that a drain has cut short counts as an attempt.
    pub drains_count: bool,
    /// How a client proves who it is, and how the wire is protected.
    pub login: &'static str,
}

/// How far messages with one key keep their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyOrder {
    /// None is delivered while an earlier one of its key is in the queue, retries included.
    ThroughRetries,
    /// Delivered in the order of publishing; a retry does not hold up what follows.
    FirstDeliveries,
    /// Any.
    None,
}

impl KeyOrder {
    /// As the documents say it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ThroughRetries => "through retries",
            Self::FirstDeliveries => "first deliveries",
            Self::None => "none",
        }
    }
}

/// Every transport, in the order of [`Transport`].
pub static TRANSPORTS: [TransportRow; 5] = [
    TransportRow {
        transport: Transport::Embedded,
        name: "embedded",
        about: "A SQLite file in the data folder, shared by the processes of one machine",
        // Not a registered value, because this is no product; the prefix says whose it is.
        system: "o11y_lab.embedded",
        address: None,
        feature: None,
        lacks: |_| None,
        quiet_targets: &[],
        guarantees: Guarantees {
            made_of: "a SQLite file",
            headers_in: "a column",
            order: KeyOrder::ThroughRetries,
            redelivered: "after the visibility timeout",
            crashes_count: true,
            drains_count: false,
            login: "file permissions",
        },
    },
    TransportRow {
        transport: Transport::Redis,
        name: "redis",
        about: "Redis Streams with a consumer group",
        system: "redis",
        address: Some(AddressSetting {
            flag: "--redis-url",
            variable: "REDIS_URL",
            secret: true,
            is_set: |broker| broker.redis_url.is_some(),
        }),
        feature: None,
        lacks: |_| None,
        quiet_targets: &[],
        guarantees: Guarantees {
            made_of: "a stream, a consumer group, a sorted set for retries",
            headers_in: "stream fields",
            order: KeyOrder::FirstDeliveries,
            redelivered: "after the visibility timeout",
            crashes_count: true,
            drains_count: false,
            login: "`rediss://`, ACL user",
        },
    },
    TransportRow {
        transport: Transport::Sqs,
        name: "sqs",
        about: "Amazon SQS",
        system: "aws_sqs",
        address: Some(AddressSetting {
            flag: "--sqs-queue-url",
            variable: "SQS_QUEUE_URL",
            secret: false,
            is_set: |broker| broker.sqs_queue_url.is_some(),
        }),
        feature: None,
        lacks: |_| None,
        quiet_targets: &[],
        guarantees: Guarantees {
            made_of: "a standard queue, its redrive policy",
            headers_in: "message attributes",
            order: KeyOrder::None,
            redelivered: "after the visibility timeout",
            crashes_count: true,
            drains_count: true,
            login: "the AWS SDK's chain, https",
        },
    },
    TransportRow {
        transport: Transport::Kafka,
        name: "kafka",
        about: "Kafka; needs the Cargo feature `kafka`",
        system: "kafka",
        address: Some(AddressSetting {
            flag: "--kafka-brokers",
            variable: "KAFKA_BROKERS",
            secret: false,
            is_set: |broker| broker.kafka_brokers.is_some(),
        }),
        // The client takes a minute and a half to build, so it is not part of the default build.
        feature: Some(CargoFeature {
            name: "kafka",
            built: cfg!(feature = "kafka"),
            missing: "this build has no Kafka client, which --queue-transport (environment variable \
                      QUEUE_TRANSPORT) kafka needs; build it in: cargo build --release --features kafka",
        }),
        lacks: |broker| {
            broker.lacks_kafka_login().then_some(
                "--kafka-sasl-username and --kafka-sasl-password (environment variables KAFKA_SASL_USERNAME \
                 and KAFKA_SASL_PASSWORD) are not both set, and a --kafka-security-protocol (environment \
                 variable KAFKA_SECURITY_PROTOCOL) that begins with sasl_ needs them",
            )
        },
        quiet_targets: &[],
        guarantees: Guarantees {
            made_of: "a topic, a consumer group",
            headers_in: "record headers",
            order: KeyOrder::ThroughRetries,
            redelivered: "when the group notices",
            crashes_count: false,
            drains_count: false,
            login: "SASL, TLS",
        },
    },
    TransportRow {
        transport: Transport::Rabbitmq,
        name: "rabbitmq",
        about: "RabbitMQ, a quorum queue",
        system: "rabbitmq",
        address: Some(AddressSetting {
            flag: "--amqp-url",
            variable: "AMQP_URL",
            secret: true,
            is_set: |broker| broker.amqp_url.is_some(),
        }),
        feature: None,
        lacks: |_| None,
        // It calls each lost connection several errors, and quotes returned messages.
        quiet_targets: &[("lapin", "off")],
        guarantees: Guarantees {
            made_of: "a quorum queue, retry queues with a time to live",
            headers_in: "AMQP headers",
            order: KeyOrder::FirstDeliveries,
            redelivered: "when its connection ends",
            crashes_count: true,
            drains_count: false,
            login: "`amqps://`",
        },
    },
];

impl Transport {
    const ALL: [Self; 5] = [Self::Embedded, Self::Redis, Self::Sqs, Self::Kafka, Self::Rabbitmq];

    /// Its row.
    pub fn row(self) -> &'static TransportRow {
        &TRANSPORTS[self as usize]
    }

    /// The spelling of flag, variable and `GET /stats`.
    pub fn as_str(self) -> &'static str {
        self.row().name
    }
}

impl TransportRow {
    /// What is missing for this transport to run, in one sentence that names flag and variable.
    ///
    /// # Errors
    /// Its address or login is not set, or this build has no client for it.
    pub(super) fn check(&self, broker: &BrokerConfig) -> Result<(), String> {
        if let Some(feature) = self.feature.as_ref().filter(|feature| !feature.built) {
            return Err(feature.missing.to_owned());
        }
        if let Some(lack) = (self.lacks)(broker) {
            return Err(lack.to_owned());
        }
        match &self.address {
            Some(address) if !(address.is_set)(broker) => Err(format!(
                "{} (environment variable {}) is not set, and --queue-transport (environment variable \
                 QUEUE_TRANSPORT) {} needs it",
                address.flag, address.variable, self.name
            )),
            _ => Ok(()),
        }
    }
}

impl ValueEnum for Transport {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.row().name).help(self.row().about))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_indexed_by_transport() {
        for (i, (row, transport)) in TRANSPORTS.iter().zip(Transport::ALL).enumerate() {
            assert_eq!((row.transport, row.transport as usize), (transport, i));
        }
    }

    #[test]
    fn a_transport_without_its_address_says_which_setting_is_missing() {
        for row in TRANSPORTS.iter().filter(|row| row.feature.as_ref().is_none_or(|f| f.built)) {
            let said = row.check(&BrokerConfig::default());
            match &row.address {
                None => assert_eq!(said, Ok(())),
                Some(address) => {
                    let said = said.err().unwrap_or_default();
                    assert!(said.contains(address.flag) && said.contains(address.variable), "{said}");
                }
            }
        }
    }
}
