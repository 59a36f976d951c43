//! The collector between the lab and real backends, as compose's profile `collector` has it.

use serde_json::json;

use super::collector::Collector;
use super::jaeger::Jaeger;
use super::lab;
use crate::helpers::{backend, eventually, free_port, post};

#[test]
#[ignore = "needs programs that take minutes to build: make test-backends"]
fn the_collector_hands_traces_to_jaeger_and_metrics_of_roles_and_spans_to_prometheus() {
    let jaeger = Jaeger::start();
    let collector = Collector::start_on(
        free_port(),
        free_port(),
        json!({
            "exporters": {
                "otlp/jaeger": {"endpoint": jaeger.endpoint("grpc").trim_start_matches("http://")},
                "otlphttp/prometheus": {"endpoint": format!("{}/api/v1/otlp", jaeger.prometheus.url)},
            },
            "service": {"pipelines": {
                "traces": {"exporters": ["otlp/jaeger"]},
                "metrics": {"exporters": ["otlphttp/prometheus"]},
            }},
        }),
    );
    let lab = lab(&format!("http://127.0.0.1:{}", collector.grpc), "grpc");
    let order = json!({"userId": 1_000_000, "items": ["book"], "total": 1});
    let refused: Vec<_> = (0..5).map(|_| post(&lab.api("/api/orders"), &order).trace_id()).collect();
    for id in &refused {
        eventually("a trace with an error is kept", || {
            let spans = backend::trace(&jaeger.url, id).spans;
            spans.iter().any(|span| span.name == "POST /api/orders").then_some(())
        });
    }
    // Jaeger counts the spans that it gets as well; those have another job.
    for query in [
        "sum(http_server_request_duration_seconds_count{job=\"api-gateway\",http_route=\"/api/orders\"})",
        "sum(traces_span_metrics_calls_total{job=\"api-gateway\",span_name=\"POST /api/orders\"})",
        "sum(traces_span_metrics_duration_milliseconds_bucket{job=\"api-gateway\",\
            span_name=\"POST /api/orders\",le=\"+Inf\"})",
    ] {
        eventually(query, || {
            let found = jaeger.prometheus.query(query);
            found.first().is_some_and(|series| series.value == 5.0).then_some(())
        });
    }
}
