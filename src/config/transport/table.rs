//! The table of transports.

use super::Transport;
use super::row::{AddressSetting, CargoFeature, Guarantees, KeyOrder, TransportRow};

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
            keys_have_owners: false,
            sees_others_in_flight: true,
            retries_wait: true,
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
            keys_have_owners: false,
            sees_others_in_flight: true,
            retries_wait: true,
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
            // Its receive count is all there is, and nobody can lower it.
            keys_have_owners: false,
            sees_others_in_flight: true,
            // Both are hidden, and SQS does not say why.
            retries_wait: false,
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
            // Offsets are all that the group knows: a new owner starts at the committed one.
            crashes_count: false,
            // A partition is its member's.
            keys_have_owners: true,
            sees_others_in_flight: false,
            retries_wait: true,
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
            keys_have_owners: false,
            sees_others_in_flight: false,
            retries_wait: true,
            login: "`amqps://`",
        },
    },
];
