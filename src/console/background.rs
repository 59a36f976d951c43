//! Traces of background polls: health checks, scrapes, probes, what a consumer asks its broker. The page hides them until asked.

use super::span::CLIENT;
use super::traces::StoredTrace;
use crate::otlp::packed::{SpanAttribute, ValueRef};

/// Paths that are polled, as frameworks and orchestrators name them.
const PATHS: [&str; 16] = [
    "/health",
    "/healthz",
    "/health/live",
    "/health/ready",
    "/ready",
    "/readyz",
    "/live",
    "/livez",
    "/up",
    "/ping",
    "/metrics",
    "/-/healthy",
    "/-/ready",
    "/actuator/health",
    "/actuator/prometheus",
    "/api/health",
];
/// How those who poll name themselves.
const AGENTS: [&str; 6] =
    ["prometheus/", "kube-probe/", "googlehc/", "elb-healthchecker/", "vm_promscrape", "consul health check"];
/// A consumer waits for messages in a call of its own, which brings those of many traces. What became of each is in the trace
/// that sent it.
const OPERATION: &str = "messaging.operation.type";
/// gRPC's own health check, as conventions of several ages write it.
const GRPC: &str = "grpc.health.v1.health";

/// Whether a trace is a poll that went well. One that failed is worth a place in the list.
pub(super) fn is_poll(trace: &StoredTrace) -> bool {
    let span = &trace.spans[trace.root()].span;
    let asks = |attribute: SpanAttribute<'_>| match attribute.value() {
        Some(ValueRef::Text(text)) => is_of_poll(attribute.key(), text),
        _ => false,
    };
    let named = span.name().rsplit(' ').next().unwrap_or_default();
    let waits = || span.kind == CLIENT && span.attribute(OPERATION) == Some(ValueRef::Text("receive"));
    (is_polled(named) || span.attributes().any(asks) || waits())
        && !trace.spans.iter().any(|kept| kept.is_error())
}

/// By the current names of attributes and the former ones.
fn is_of_poll(key: &str, value: &str) -> bool {
    match key {
        "http.route" | "url.path" | "http.target" | "url.full" | "http.url" => is_polled(value),
        "user_agent.original" | "http.user_agent" => AGENTS.iter().any(|name| begins(value, name)),
        "rpc.service" | "rpc.method" => begins(value, GRPC),
        _ => false,
    }
}

fn is_polled(text: &str) -> bool {
    PATHS.contains(&path(text))
}

/// In whatever case.
fn begins(text: &str, start: &str) -> bool {
    text.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start))
}

/// The path of a URL, or of what is one already, without a query and a slash at its end.
fn path(text: &str) -> &str {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest.find('/').map_or("", |at| &rest[at..]));
    rest.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use opentelemetry_proto::tonic::trace::v1::Status;

    use super::*;
    use crate::console::sample;
    use crate::console::traces::TraceStore;

    fn of(name: &str, key: &str, value: &str, status: i32) -> bool {
        of_kind(2, name, key, value, status)
    }

    fn of_kind(kind: i32, name: &str, key: &str, value: &str, status: i32) -> bool {
        let mut traces = TraceStore::new(10, 1 << 20);
        let mut span = sample::span(1, 1, 0);
        (span.kind, span.name) = (kind, name.into());
        span.attributes = vec![sample::text(key, value)];
        span.status = Some(Status { code: status, ..Status::default() });
        traces.insert(&sample::origin("a"), span).unwrap();
        is_poll(&traces.get(1).unwrap())
    }

    #[test]
    fn what_a_consumer_asks_its_broker_is_a_poll_and_what_it_makes_of_a_message_is_none() {
        assert!(of_kind(CLIENT, "receive notifications", OPERATION, "receive", 0));
        assert!(!of_kind(CLIENT, "receive notifications", OPERATION, "receive", 2), "failed");
        assert!(!of_kind(5, "process notifications", OPERATION, "process", 0));
        // Of a consumer that handles a message in the same span.
        assert!(!of_kind(5, "receive notifications", OPERATION, "receive", 0));
    }

    #[test]
    fn polls_are_known_by_their_path_their_agent_or_grpcs_name_and_a_failed_one_is_none() {
        for (name, key, value) in [
            ("GET", "http.route", "/health"),
            ("GET", "url.path", "/metrics/"),
            ("GET", "http.target", "/healthz?full=1"),
            ("GET", "url.full", "http://10.0.0.1:8080/readyz?x"),
            ("GET /-/ready", "a", "b"),
            ("GET /anything", "user_agent.original", "kube-probe/1.33"),
            ("grpc.health.v1.Health/Check", "rpc.service", "grpc.health.v1.Health"),
        ] {
            assert!(of(name, key, value, 0), "{name} {key}={value}");
            assert!(!of(name, key, value, 2), "{name} {key}={value}, failed");
        }
        for (name, key, value) in [
            ("GET /api/orders", "http.route", "/api/orders"),
            ("GET /", "url.full", "http://shop"),
            ("GET /healthy-food", "url.path", "/healthy-food"),
            ("health", "user_agent.original", "curl/8"),
        ] {
            assert!(!of(name, key, value, 0), "{name} {key}={value}");
        }
    }
}
