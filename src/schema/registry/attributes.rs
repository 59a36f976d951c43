//! Every attribute: its type, and what it means where it is our own.

use super::ValueType::{self, Boolean, Double, Integer, Text, Texts};
use super::{Attribute, Definition, VALIDATION_SKIPPED};
use crate::schema::FAULT_ATTRIBUTE;

/// Every attribute of resources, spans, events, metrics and log records.
pub static ATTRIBUTES: &[Attribute] = &[
    // Of the semantic conventions.
    known("aws.ecs.cluster.arn", Text),
    known("aws.ecs.launchtype", Text),
    known("aws.ecs.task.arn", Text),
    known("aws.ecs.task.family", Text),
    known("aws.ecs.task.revision", Text),
    known("aws.lambda.invoked_arn", Text),
    known("aws.log.group.names", Texts),
    known("aws.request_id", Text),
    known("aws.sqs.queue.url", Text),
    known("client.address", Text),
    known("cloud.account.id", Text),
    known("cloud.availability_zone", Text),
    known("cloud.platform", Text),
    known("cloud.provider", Text),
    known("cloud.region", Text),
    known("cloud.resource_id", Text),
    known("container.id", Text),
    known("db.client.connection.state", Text),
    known("db.collection.name", Text),
    known("db.namespace", Text),
    known("db.operation.name", Text),
    known("db.query.summary", Text),
    known("db.query.text", Text),
    known("db.response.status_code", Text),
    known("db.system.name", Text),
    known("deployment.environment.name", Text),
    known("error.type", Text),
    known("exception.message", Text),
    known("exception.type", Text),
    known("faas.coldstart", Boolean),
    known("faas.instance", Text),
    known("faas.invocation_id", Text),
    known("faas.invoked_name", Text),
    known("faas.invoked_provider", Text),
    known("faas.invoked_region", Text),
    known("faas.max_memory", Integer),
    known("faas.name", Text),
    known("faas.trigger", Text),
    known("faas.version", Text),
    known("host.id", Text),
    known("host.name", Text),
    known("http.request.method", Text),
    known("http.request.method_original", Text),
    known("http.request.resend_count", Integer),
    known("http.response.status_code", Integer),
    known("http.route", Text),
    known("messaging.batch.message_count", Integer),
    known("messaging.consumer.group.name", Text),
    known("messaging.destination.name", Text),
    known("messaging.destination.partition.id", Text),
    known("messaging.kafka.message.key", Text),
    known("messaging.kafka.offset", Integer),
    known("messaging.message.body.size", Integer),
    known("messaging.message.id", Text),
    known("messaging.operation.name", Text),
    known("messaging.operation.type", Text),
    known("messaging.rabbitmq.destination.routing_key", Text),
    known("messaging.rabbitmq.message.delivery_tag", Integer),
    known("messaging.system", Text),
    known("network.protocol.version", Text),
    known("process.pid", Integer),
    known("rpc.method", Text),
    known("rpc.system.name", Text),
    known("server.address", Text),
    known("server.port", Integer),
    known("service.instance.id", Text),
    known("service.name", Text),
    known("service.peer.name", Text),
    known("service.version", Text),
    known("telemetry.sdk.language", Text),
    known("telemetry.sdk.name", Text),
    known("telemetry.sdk.version", Text),
    known("url.full", Text),
    known("url.path", Text),
    known("url.query", Text),
    known("url.scheme", Text),
    known("url.template", Text),
    known("user_agent.original", Text),
    // Ours, on spans.
    number("o11y_lab.delivery.attempt", Integer, "Which attempt to handle a message it is, from 1"),
    text(
        FAULT_ATTRIBUTE,
        "Faults of `o11y-lab fault` that have hit, with commas",
        &["latency", "latency,error"],
    ),
    closed(
        "o11y_lab.notification.type",
        "What a notification is about",
        &["order_created", "order_status_changed"],
    ),
    closed("o11y_lab.settlement", "What a broker is told of a message", &["ack", "retry", "dead_letter"]),
    number(VALIDATION_SKIPPED, Boolean, "An order was passed on without the validator's verdict"),
    // Ours, as labels of /metrics are called.
    text("endpoint", "An endpoint of the gateway", &["/api/orders", "other"]),
    text("fault", "A fault that a role can be told to have", &["latency", "slow-db"]),
    text("outcome", "How a call of another service ended", &["2xx", "timeout"]),
    text("reason", "Why it failed or was left out", &["timeout", "user_not_found"]),
    text("service", "The service's name", &["order-service"]),
    closed("signal", "A signal of OTLP", &["traces", "logs", "metrics"]),
    text(
        "status",
        "What something has become: an order, a message, an alert",
        &["completed", "retried", "firing"],
    ),
    text("type", "What a notification is about", &["order_created"]),
    text("version", "This program's version", &["0.1.0"]),
    // Ours, as fields of log lines are called.
    text("address", "Where a role listens", &["127.0.0.1:3000"]),
    text("alert", "The name of an alert that Alertmanager sent", &["QueueLagHigh"]),
    text("alertService", "The service that an alert is about", &["order-service"]),
    text("cause", "What is behind a failure; never told to clients", &["injected by the fault error"]),
    number("count", Integer, "How many items of telemetry a line is about"),
    text("detail", "What a client was told", &["not available now"]),
    number("dropped", Integer, "Items of telemetry that had no room"),
    number("durationMs", Double, "How long it took, in milliseconds"),
    number("errors", Integer, "How many rules an order breaks"),
    number("graceSeconds", Double, "What is left of the shutdown's grace, in seconds"),
    number("left", Integer, "Items of telemetry that were not sent at the end"),
    number("maxAttempts", Integer, "Attempts before a message goes to the dead letters"),
    number("maxReceiveCount", Integer, "The redrive policy's own count, on Amazon SQS"),
    number("messages", Integer, "How many messages a line is about"),
    number("orderId", Integer, "An order's id"),
    number("outageMs", Integer, "How long something did not work, in milliseconds"),
    number("requests", Integer, "How many requests a line is about"),
    number("retryInMs", Integer, "The wait before the next attempt, in milliseconds"),
    number("rows", Integer, "How many rows of a database a line is about"),
    number("seconds", Integer, "How long a fault lasts, in seconds"),
    text("settings", "What was set about a fault, in JSON", &["{\"ms\":500}"]),
    text("severity", "An alert's severity", &["page"]),
    number("stopped", Boolean, "Whether an exporter ended in time"),
    number("total", Double, "An order's value in US dollars"),
    number("userId", Integer, "A user's id"),
    number("valid", Boolean, "The validator's verdict"),
    text("variables", "Environment variables without effect, with commas", &["OTEL_LOG_LEVEL"]),
];

const fn known(key: &'static str, value: ValueType) -> Attribute {
    Attribute { key, value, own: None }
}

const fn own(
    key: &'static str,
    value: ValueType,
    brief: &'static str,
    values: &'static [&'static str],
    closed: bool,
) -> Attribute {
    Attribute { key, value, own: Some(Definition { brief, values, closed }) }
}

const fn text(key: &'static str, brief: &'static str, examples: &'static [&'static str]) -> Attribute {
    own(key, Text, brief, examples, false)
}

const fn closed(key: &'static str, brief: &'static str, values: &'static [&'static str]) -> Attribute {
    own(key, Text, brief, values, true)
}

const fn number(key: &'static str, value: ValueType, brief: &'static str) -> Attribute {
    own(key, value, brief, &[], false)
}
