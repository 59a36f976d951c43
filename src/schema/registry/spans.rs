//! Every span and its events.

use opentelemetry::trace::SpanKind;

use super::{EventRow, SpanRow, Use, always, when};
use crate::schema::FAULT_ATTRIBUTE;

/// The name of the event that the conventions have for an error.
const EXCEPTION: &str = "exception";
/// The attribute of a request, and its event, whose order went on without the validator's verdict.
pub const VALIDATION_SKIPPED: &str = "o11y_lab.validation.skipped";

const FAILED: Use = when("error.type", "where it failed");
const HIT: Use = when(FAULT_ATTRIBUTE, "where a fault of `o11y-lab fault` has hit");

/// Every span of the roles and of `o11y-lab load`.
pub static SPANS: &[SpanRow] = &[
    SpanRow {
        id: "http.server",
        kind: SpanKind::Server,
        names: &["{method} {http.route}", "{method}"],
        brief: "A request that a role serves",
        attributes: &[
            always("http.request.method"),
            when("http.request.method_original", "where the method is none of the known ones"),
            when("http.route", "where a route matches"),
            always("http.response.status_code"),
            always("url.path"),
            when("url.query", "where there is one"),
            always("url.scheme"),
            when("server.address", "where the client names it"),
            when("server.port", "where the client names it"),
            when("client.address", "where the socket has an address"),
            always("network.protocol.version"),
            when("user_agent.original", "where the client says it"),
            when("error.type", "where it was answered with a 5xx, or its client went away"),
            HIT,
            when(VALIDATION_SKIPPED, "at the gateway, where an order has no verdict"),
        ],
        events: &[EXCEPTION, VALIDATION_SKIPPED],
    },
    SpanRow {
        id: "http.client",
        kind: SpanKind::Client,
        names: &["{method} {url.template}", "{method}"],
        brief: "A request to another service, one attempt; of `o11y-lab load` a request to the gateway",
        attributes: &[
            always("http.request.method"),
            when("http.request.resend_count", "from the second attempt on"),
            when("http.response.status_code", "where an answer came"),
            always("url.full"),
            when("url.template", "where a route is meant"),
            always("server.address"),
            always("server.port"),
            always("service.peer.name"),
            when("error.type", "where no answer came, or one with a 4xx or 5xx"),
            HIT,
        ],
        events: &[],
    },
    SpanRow {
        id: "faas.client",
        kind: SpanKind::Client,
        names: &["invoke order-validator"],
        brief: "The gateway's call of the order validator, all attempts",
        attributes: &[
            always("faas.invoked_name"),
            always("faas.invoked_provider"),
            always("faas.invoked_region"),
            always("rpc.system.name"),
            always("rpc.method"),
            when("aws.request_id", "where the answer names it"),
            FAILED,
        ],
        events: &[],
    },
    SpanRow {
        id: "faas.server",
        kind: SpanKind::Server,
        names: &["order-validator"],
        brief: "An invocation of the order validator",
        attributes: &[
            always("faas.name"),
            always("faas.trigger"),
            always("faas.invocation_id"),
            always("faas.coldstart"),
            when("aws.lambda.invoked_arn", "where the platform says it"),
            when("cloud.account.id", "where the ARN has it"),
            when("cloud.resource_id", "where the ARN has it"),
            when("http.request.method", "where an HTTP request is behind the event"),
            when("http.route", "where an HTTP request is behind the event, and a route matched"),
            when("url.path", "where an HTTP request is behind the event"),
            when("http.response.status_code", "where an HTTP request is behind the event"),
            FAILED,
            HIT,
        ],
        events: &[EXCEPTION],
    },
    SpanRow {
        id: "db.client",
        kind: SpanKind::Client,
        names: &["{db.operation.name} {db.collection.name}"],
        brief: "An operation of a role's database for which a request waits",
        attributes: &[
            always("db.system.name"),
            always("db.namespace"),
            always("db.collection.name"),
            always("db.operation.name"),
            always("db.query.text"),
            always("db.query.summary"),
            when("db.response.status_code", "where the database refused it with a code"),
            FAILED,
            HIT,
        ],
        events: &[],
    },
    SpanRow {
        id: "messaging.send",
        kind: SpanKind::Producer,
        names: &["send {messaging.destination.name}"],
        brief: "Publishing a message of the outbox, until the broker has confirmed it",
        attributes: MESSAGE,
        events: &[EXCEPTION],
    },
    SpanRow {
        id: "messaging.process",
        kind: SpanKind::Consumer,
        names: &["process {messaging.destination.name}"],
        brief: "An attempt to handle a message",
        attributes: PROCESSED,
        events: &[EXCEPTION],
    },
    SpanRow {
        id: "messaging.receive",
        kind: SpanKind::Client,
        names: &["receive {messaging.destination.name}"],
        brief: "A call that brought messages, with a link to each producer",
        attributes: &[
            SYSTEM,
            OPERATION,
            OPERATION_TYPE,
            DESTINATION,
            GROUP,
            always("messaging.batch.message_count"),
        ],
        events: &[],
    },
    SpanRow {
        id: "messaging.settle",
        kind: SpanKind::Client,
        names: &["settle {messaging.destination.name}"],
        brief: "Telling the broker what became of a message",
        attributes: SETTLED,
        events: &[],
    },
    SpanRow {
        id: "o11y_lab.notification",
        kind: SpanKind::Internal,
        names: &["send email"],
        brief: "Sending a notification, which is simulated",
        attributes: &[always("o11y_lab.notification.type")],
        events: &[],
    },
];

const SYSTEM: Use = always("messaging.system");
const OPERATION: Use = always("messaging.operation.name");
const OPERATION_TYPE: Use = always("messaging.operation.type");
const DESTINATION: Use = always("messaging.destination.name");
const GROUP: Use = when("messaging.consumer.group.name", "where consumers form a group");
const ID: Use = always("messaging.message.id");
const SIZE: Use = always("messaging.message.body.size");
const KEY: Use = when("messaging.kafka.message.key", "on Kafka");
const PARTITION: Use = when("messaging.destination.partition.id", "on Kafka");
const OFFSET: Use = when("messaging.kafka.offset", "on Kafka");
const ROUTING_KEY: Use = when("messaging.rabbitmq.destination.routing_key", "on RabbitMQ");
const TAG: Use = when("messaging.rabbitmq.message.delivery_tag", "on RabbitMQ");
const SQS_URL: Use = when("aws.sqs.queue.url", "on Amazon SQS");
const ATTEMPT: Use = always("o11y_lab.delivery.attempt");

const MESSAGE: &[Use] =
    &[SYSTEM, OPERATION, OPERATION_TYPE, DESTINATION, ID, SIZE, KEY, ROUTING_KEY, SQS_URL, FAILED, HIT];
const PROCESSED: &[Use] = &[
    SYSTEM,
    OPERATION,
    OPERATION_TYPE,
    DESTINATION,
    GROUP,
    ID,
    SIZE,
    ATTEMPT,
    KEY,
    PARTITION,
    OFFSET,
    ROUTING_KEY,
    TAG,
    SQS_URL,
    FAILED,
    HIT,
];
const SETTLED: &[Use] = &[
    SYSTEM,
    OPERATION,
    OPERATION_TYPE,
    DESTINATION,
    GROUP,
    ID,
    always("o11y_lab.settlement"),
    KEY,
    PARTITION,
    OFFSET,
    ROUTING_KEY,
    TAG,
    SQS_URL,
    FAILED,
];

/// Every event of a span.
pub static EVENTS: &[EventRow] = &[
    EventRow {
        name: EXCEPTION,
        brief: "What failed, on the span of the service in which it did",
        attributes: &[always("exception.type"), always("exception.message")],
    },
    EventRow {
        name: VALIDATION_SKIPPED,
        brief: "The gateway passes an order on without the validator's verdict",
        attributes: &[always("reason")],
    },
];
