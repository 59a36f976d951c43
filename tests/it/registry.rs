//! What a running lab sends is what the registry says, both ways.
//!
//! 1. `drive` sends every kind of request and breaks what can be broken
//! 2. `receiver` takes the exports of all three signals
//! 3. `judge` holds each item against the tables, and notes which rows it is of
//!
//! `conventions` holds the tables' names against those that OpenTelemetry publishes, `source` against the program's text,
//! for what no single run emits.

mod conventions;
mod drive;
mod judge;
pub mod receiver;
mod source;

use std::collections::BTreeSet;

use o11y_lab::lab::expect::{ExpectedSpan, LOAD_SPAN, SHAPES, SpanKind};
use o11y_lab::schema::OTLP_METRICS;
use o11y_lab::schema::registry::{EVENTS, RESOURCE, SPANS, SpanRow, Use};

use crate::docs::registry::metric_attributes;
use crate::helpers::{DEADLINE, Lab, found_within};
use judge::Judge;
use receiver::Receiver;

const OTHER_BROKERS: &str = "the queue is the embedded one";
const AWS: &str = "this is not AWS";
const BROKER_AWAY: &str = "the embedded queue does not fail";

/// Rows that this run cannot have, and why.
const NOT_IN_THIS_RUN: &[(&str, &str)] = &[
    ("resource cloud.", AWS),
    ("resource aws.", AWS),
    ("resource faas.", AWS),
    ("resource container.id", "the machine of the test may be no container"),
    ("span faas.server aws.lambda.invoked_arn", AWS),
    ("span faas.server cloud.", AWS),
    ("span messaging.send messaging.kafka.", OTHER_BROKERS),
    ("span messaging.send messaging.rabbitmq.", OTHER_BROKERS),
    ("span messaging.send aws.sqs.", OTHER_BROKERS),
    ("span messaging.send error.type", BROKER_AWAY),
    ("span messaging.send event exception", BROKER_AWAY),
    ("span messaging.process messaging.kafka.", OTHER_BROKERS),
    ("span messaging.process messaging.destination.partition.id", OTHER_BROKERS),
    ("span messaging.process messaging.rabbitmq.", OTHER_BROKERS),
    ("span messaging.process messaging.consumer.group.name", OTHER_BROKERS),
    ("span messaging.process aws.sqs.", OTHER_BROKERS),
    ("span messaging.receive messaging.consumer.group.name", OTHER_BROKERS),
    ("span messaging.settle messaging.kafka.", OTHER_BROKERS),
    ("span messaging.settle messaging.destination.partition.id", OTHER_BROKERS),
    ("span messaging.settle messaging.rabbitmq.", OTHER_BROKERS),
    ("span messaging.settle messaging.consumer.group.name", OTHER_BROKERS),
    ("span messaging.settle aws.sqs.", OTHER_BROKERS),
    ("span messaging.settle error.type", BROKER_AWAY),
];

/// Every row of the tables, as [`Judge`] names what it has seen.
fn rows() -> BTreeSet<String> {
    let mut rows: BTreeSet<String> = RESOURCE.iter().map(|one| format!("resource {}", one.key)).collect();
    let keys = |what: String, uses: &[Use]| -> Vec<_> {
        uses.iter().map(|one| format!("{what} {}", one.key)).chain([what.clone()]).collect()
    };
    for span in SPANS {
        rows.extend(keys(format!("span {}", span.id), span.attributes));
        rows.extend(span.events.iter().map(|event| format!("span {} event {event}", span.id)));
    }
    rows.extend(EVENTS.iter().flat_map(|event| keys(format!("event {}", event.name), event.attributes)));
    for metric in OTLP_METRICS {
        rows.extend(keys(format!("metric {}", metric.name), &metric_attributes(metric)));
    }
    rows
}

/// Rows that are neither seen nor excused.
fn missing(seen: &BTreeSet<String>) -> Vec<String> {
    let excused = |row: &str| NOT_IN_THIS_RUN.iter().any(|(prefix, _)| row.starts_with(prefix));
    rows().difference(seen).filter(|row| !excused(row)).cloned().collect()
}

#[test]
fn what_a_lab_emits_is_in_the_registry_and_what_is_in_the_registry_a_lab_emits() {
    let (receiver, endpoint) = Receiver::start();
    let lab = Lab::start_with(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
        ("OTEL_LOGS_EXPORTER", "otlp"),
        ("OTEL_METRICS_EXPORTER", "otlp"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "500"),
        ("OTEL_BSP_SCHEDULE_DELAY", "200"),
        ("QUEUE_MAX_ATTEMPTS", "2"),
        ("QUEUE_RETRY_BASE_MS", "1"),
        ("UPSTREAM_TIMEOUT_MS", "1500"),
        ("DATABASE_TIMEOUT_MS", "500"),
    ]);
    drive::everything(&lab, &endpoint);
    let mut judge = Judge::default();
    let whole = found_within(DEADLINE, || {
        receiver.take().iter().for_each(|export| judge.export(export));
        missing(&judge.seen).is_empty().then_some(())
    });
    assert!(judge.violations.is_empty(), "{:#?}", judge.violations);
    assert!(whole.is_some(), "not emitted: {:#?}", missing(&judge.seen));
    let rows = rows();
    for (prefix, why) in NOT_IN_THIS_RUN {
        assert!(rows.iter().any(|row| row.starts_with(prefix)), "no row begins with {prefix:?} ({why})");
        let here = judge.seen.iter().find(|row| row.starts_with(prefix));
        assert!(here.is_none() || prefix.ends_with("container.id"), "{here:?} was emitted, although {why}");
    }
}

/// Whether a span of an expected name can be of this row.
fn can_be(expected: &ExpectedSpan, row: &SpanRow) -> bool {
    let kind = match expected.kind {
        SpanKind::Server => "Server",
        SpanKind::Client => "Client",
        SpanKind::Producer => "Producer",
        SpanKind::Consumer => "Consumer",
        _ => "Internal",
    };
    let has = |key: &&str| row.attributes.iter().any(|one| one.key == *key);
    format!("{:?}", row.kind) == kind
        && expected.attributes.iter().all(has)
        && row.names.iter().any(|form| judge::words_fit(form, expected.name))
}

#[test]
fn every_span_that_the_lab_promises_is_a_row_of_the_registry() {
    for expected in SHAPES.iter().flat_map(|shape| shape.spans.iter()).chain([&LOAD_SPAN]) {
        let rows: Vec<_> = SPANS.iter().filter(|row| can_be(expected, row)).map(|row| row.id).collect();
        assert_eq!(rows.len(), 1, "{}: {rows:?}", expected.name);
    }
}
