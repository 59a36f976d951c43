//! Jaeger 2, and Prometheus 3 for its Monitor page.

use std::time::Duration;

use o11y_lab::lab::backend::trace::TraceReader;
use o11y_lab::lab::expect::ORDER_TRACE;
use serde_json::{Value, json};

use super::{configured, prometheus};
use crate::helpers::http::try_send;
use crate::helpers::prometheus::{Server, folder};
use crate::helpers::{Lab, Process, backend, block_on, eventually, eventually_within, free_port, get, post};
use crate::traces::assert_is_the_order_trace;

/// A Jaeger with the lab's own configuration, whose span metrics a Prometheus scrapes.
pub struct Jaeger {
    _process: Process,
    _folder: tempfile::TempDir,
    pub prometheus: Server,
    pub url: String,
    grpc: u16,
    http: u16,
}

impl Jaeger {
    pub fn start() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let [query, query_grpc, grpc, http, spans, own, health] = [(); 7].map(|()| free_port());
        let at = |port: u16| format!("127.0.0.1:{port}");
        let prometheus =
            prometheus::start(folder("lab", &[("jaeger-spanmetrics".to_owned(), at(spans))], None));
        // Only where it listens, and where Prometheus is.
        let changes = json!({
            "extensions": {
                "healthcheckv2": {"http": {"endpoint": at(health)}},
                "jaeger_storage": {"metric_backends": {"metrics": {"prometheus": {"endpoint": prometheus.url}}}},
                "jaeger_query": {"http": {"endpoint": at(query)}, "grpc": {"endpoint": at(query_grpc)}},
            },
            "receivers": {"otlp": {"protocols": {
                "grpc": {"endpoint": at(grpc)}, "http": {"endpoint": at(http)},
            }}},
            "exporters": {"prometheus": {"endpoint": at(spans)}},
            "service": {"telemetry": {"metrics": {"readers": [
                {"pull": {"exporter": {"prometheus": {"host": "127.0.0.1", "port": own}}}},
            ]}}},
        });
        let process = configured("jaeger/jaeger", "deploy/jaeger/config.yaml", temp.path(), [changes]);
        let url = format!("http://{}", at(query));
        let listens = || try_send("GET", &format!("{url}/api/services"), &[], None);
        eventually("Jaeger listens", || listens().filter(|answer| answer.status == 200));
        Self { _process: process, _folder: temp, prometheus, url, grpc, http }
    }

    /// Where a lab sends its spans by this protocol.
    pub fn endpoint(&self, protocol: &str) -> String {
        format!("http://127.0.0.1:{}", if protocol == "grpc" { self.grpc } else { self.http })
    }

    /// A figure of the Monitor page by operation: the last value of the server spans of a service.
    fn monitor(&self, figure: &str, service: &str, kind: &str) -> Vec<(String, f64)> {
        let now = jiff::Timestamp::now().as_millisecond();
        let query =
            format!("service={service}&spanKind={kind}&groupByOperation=true&endTs={now}&lookback=600000");
        let query = format!("{query}&step=5000&ratePer=600000&quantile=0.95");
        let answer = get(&format!("{}/api/metrics/{figure}?{query}", self.url)).json;
        let metrics = answer["metrics"].as_array().unwrap_or_else(|| panic!("{answer}"));
        let operation = |metric: &Value| {
            let labels = metric["labels"].as_array()?;
            let label = labels.iter().find(|label| label["name"] == "operation")?;
            label["value"].as_str().map(str::to_owned)
        };
        let last =
            |metric: &Value| metric["metricPoints"].as_array()?.last()?["gaugeValue"]["doubleValue"].as_f64();
        metrics.iter().filter_map(|metric| Some((operation(metric)?, last(metric)?))).collect()
    }
}

/// A lab that sends its spans there.
fn lab(jaeger: &Jaeger, protocol: &str) -> Lab {
    Lab::start_with(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &jaeger.endpoint(protocol)),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
    ])
}

#[test]
#[ignore = "needs programs that take minutes to build: make test-backends"]
fn jaeger_has_the_services_and_an_orders_spans_with_their_parents_by_every_protocol() {
    let jaeger = Jaeger::start();
    for protocol in ["grpc", "http/protobuf", "http/json"] {
        let lab = lab(&jaeger, protocol);
        let order = lab.order(lab.user());
        lab.wait_notifications(order.id(), 1);
        assert_is_the_order_trace(&backend::wait_trace(&jaeger.url, &order.trace_id(), ORDER_TRACE.len()));
    }
    let services = block_on(async { TraceReader::new(&jaeger.url).services().await }).unwrap();
    for span in ORDER_TRACE {
        assert!(services.iter().any(|name| name == span.service), "{} in {services:?}", span.service);
    }
}

#[test]
#[ignore = "needs programs that take minutes to build: make test-backends"]
fn jaegers_monitor_page_has_calls_errors_and_latencies_of_each_operation() {
    let jaeger = Jaeger::start();
    let lab = lab(&jaeger, "http/protobuf");
    let user = lab.user();
    // Without such a user the order service's call is an error, and the answer none.
    let refused =
        || post(&lab.api("/api/orders"), &json!({"userId": 1_000_000, "items": ["book"], "total": 1}));
    let value = |figure: &str, service: &str, kind: &str, operation: &str| {
        let all = jaeger.monitor(figure, service, kind);
        all.into_iter().find(|(name, value)| name == operation && value.is_finite()).map(|(_, value)| value)
    };
    // A rate needs two scrapes, with traffic between them.
    eventually_within(Duration::from_secs(90), "rate, errors and durations", || {
        lab.order(user);
        refused();
        let server = |figure: &str| value(figure, "order-service", "server", "POST /orders");
        let client = |figure: &str| value(figure, "order-service", "client", "GET /users/{id}");
        let (calls, latency) = (server("calls")?, server("latencies")?);
        let (errors, good) = (client("errors")?, server("errors")?);
        assert_eq!(good, 0.0, "a refused order is no error of the order service");
        (calls > 0.0 && latency > 0.0 && errors > 0.0).then_some(())
    });
}
