//! The OpenTelemetry Collector.

use std::fs;
use std::path::PathBuf;

use o11y_lab::schema::Role;
use serde_json::{Value, json};

use super::{configured, lab};
use crate::helpers::http::try_send;
use crate::helpers::{Process, eventually, free_port, get, post};

/// A Collector with the lab's own configuration; what it would send to Jaeger, Prometheus and Loki it writes to files.
pub struct Collector {
    process: Process,
    pub folder: tempfile::TempDir,
    pub grpc: u16,
    pub http: u16,
    pub own: u16,
}

impl Collector {
    fn start() -> Self {
        Self::start_on(free_port(), free_port(), json!({}))
    }

    /// One that listens on these ports, with further changes of its configuration.
    pub fn start_on(grpc: u16, http: u16, more: Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let own = free_port();
        let file = |name: &str| folder.path().join(name).display().to_string();
        // Only what a machine without those containers must have otherwise: where it listens, where it sends, how
        // long a decision waits.
        let changes = json!({
            "receivers": {"otlp": {"protocols": {
                "grpc": {"endpoint": format!("127.0.0.1:{grpc}")},
                "http": {"endpoint": format!("127.0.0.1:{http}")},
            }}},
            "processors": {"tail_sampling": {"decision_wait": "3s"}},
            "exporters": {
                "file/traces": {"path": file("traces.json"), "flush_interval": "200ms"},
                "file/metrics": {"path": file("metrics.json"), "flush_interval": "200ms"},
                "file/logs": {"path": file("logs.json"), "flush_interval": "200ms"},
            },
            "service": {
                "pipelines": {
                    "traces": {"exporters": ["file/traces"]},
                    "metrics": {"exporters": ["file/metrics"]},
                    "logs": {"exporters": ["file/logs"]},
                },
                "telemetry": {"metrics": {"readers": [
                    {"pull": {"exporter": {"prometheus": {"host": "127.0.0.1", "port": own}}}},
                ]}},
            },
        });
        let process =
            configured("collector/otelcol", "deploy/collector/config.yaml", folder.path(), [changes, more]);
        eventually("the collector listens", || {
            try_send("GET", &format!("http://127.0.0.1:{own}/metrics"), &[], None)
        });
        Self { process, folder, grpc, http, own }
    }

    /// Ends it in order: what it took is written then, and still read.
    pub fn stop(&mut self) {
        assert!(self.process.stop().success(), "{}", self.process.stderr());
    }

    fn file(&self, signal: &str) -> PathBuf {
        self.folder.path().join(format!("{signal}.json"))
    }

    /// The items of a signal so far: spans, metrics or log records, with their service.
    pub fn items(&self, signal: &str) -> Vec<(String, Value)> {
        let [groups, scopes, items] = match signal {
            "traces" => ["resourceSpans", "scopeSpans", "spans"],
            "metrics" => ["resourceMetrics", "scopeMetrics", "metrics"],
            _ => ["resourceLogs", "scopeLogs", "logRecords"],
        };
        let text = fs::read_to_string(self.file(signal)).unwrap_or_default();
        let exports = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut all = Vec::new();
        for export in exports {
            for group in export[groups].as_array().into_iter().flatten() {
                let service = attribute(&group["resource"]["attributes"], "service.name");
                let service = service["stringValue"].as_str().unwrap_or_default().to_owned();
                for scope in group[scopes].as_array().into_iter().flatten() {
                    all.extend(
                        scope[items].as_array().into_iter().flatten().map(|i| (service.clone(), i.clone())),
                    );
                }
            }
        }
        all
    }

    /// A sum over the series of one of its own counters.
    fn own(&self, name: &str) -> f64 {
        let page = get(&format!("http://127.0.0.1:{}/metrics", self.own)).text;
        let samples = page.lines().filter(|line| line.starts_with(name));
        samples.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }
}

pub fn attribute<'a>(attributes: &'a Value, key: &str) -> &'a Value {
    let found = attributes.as_array().and_then(|pairs| pairs.iter().find(|pair| pair["key"] == key));
    found.map_or(&Value::Null, |pair| &pair["value"])
}

#[test]
#[ignore = "needs programs that take minutes to build: make test-backends"]
fn the_collector_keeps_every_trace_with_an_error_and_a_share_of_the_others_and_counts_them_all() {
    for protocol in ["grpc", "http/protobuf", "http/json"] {
        let collector = Collector::start();
        let port = if protocol == "grpc" { collector.grpc } else { collector.http };
        let lab = lab(&format!("http://127.0.0.1:{port}"), protocol);
        // A user that is not there: the order service's call for it is an error.
        let refused = |n: i64| {
            let order = json!({"userId": 1_000_000 + n, "items": ["book"], "total": 49.99});
            post(&lab.api("/api/orders"), &order).trace_id()
        };
        let refused: Vec<_> = (0..20).map(refused).collect();
        let fine: Vec<_> = (0..100).map(|_| get(&lab.api("/api/users?limit=1")).trace_id()).collect();
        let kept = || -> std::collections::BTreeSet<_> {
            let spans = collector.items("traces");
            spans.iter().filter_map(|(_, span)| span["traceId"].as_str().map(str::to_owned)).collect()
        };
        eventually("the traces with errors", || {
            let kept = kept();
            refused.iter().all(|id| kept.contains(id)).then_some(())
        });
        // Every decision has been made: 120 of ours, whatever the lab asks by itself beside.
        eventually("all decisions", || {
            (collector.own("otelcol_processor_tail_sampling_count_traces_sampled") >= 120.0).then_some(())
        });
        let others = || {
            let kept = kept();
            fine.iter().filter(|id| kept.contains(*id)).count()
        };
        eventually("a share of the others", || (others() >= 1).then_some(()));
        let calls = || {
            let metrics = collector.items("metrics");
            let all = metrics.iter().filter(|(_, metric)| metric["name"] == "traces.span.metrics.calls");
            let points = all
                .flat_map(|(_, metric)| metric["sum"]["dataPoints"].as_array().cloned().unwrap_or_default());
            let named = points.filter(|point| {
                attribute(&point["attributes"], "span.name")["stringValue"] == "GET /api/users"
                    && attribute(&point["attributes"], "service.name")["stringValue"] == "api-gateway"
                    && attribute(&point["attributes"], "span.kind")["stringValue"] == "SPAN_KIND_SERVER"
            });
            named.filter_map(|point| point["asInt"].as_str()?.parse::<u64>().ok()).max()
        };
        eventually("metrics of all spans", || (calls() == Some(100)).then_some(()));
        // Logs are not sampled, and lead to traces, also to those that were not kept.
        eventually("a log line of each refused order", || {
            let lines = collector.items("logs");
            let of = |id: &String| lines.iter().any(|(_, line)| line["traceId"] == id.as_str());
            (refused.iter().all(of) && fine.iter().all(of)).then_some(())
        });
        // A tenth of a hundred, give or take five standard deviations.
        let others = others();
        assert!((1..=25).contains(&others), "{protocol}: {others} of 100 are kept");
        assert!(collector.own("otelcol_receiver_accepted") > 0.0);
        assert_eq!(collector.own("otelcol_receiver_refused"), 0.0);
    }
}

#[test]
#[ignore = "needs programs that take minutes to build: make test-backends"]
fn the_collector_gets_the_metrics_that_the_page_shows() {
    let collector = Collector::start();
    let lab = lab(&format!("http://127.0.0.1:{}", collector.http), "http/protobuf");
    let user = lab.user();
    (0..5).for_each(|_| drop(lab.order(user)));
    let page = || lab.metric(Role::Order, "orders_created_total");
    assert_eq!(page(), Some(5.0));
    let last = |name: &str| {
        let metrics = collector.items("metrics");
        let points =
            metrics.iter().rev().filter(|(service, m)| service == "order-service" && m["name"] == name);
        points.map(|(_, metric)| metric.clone()).next()
    };
    eventually("the orders", || {
        let names: Vec<_> = collector.items("metrics").into_iter().map(|(_, m)| m["name"].clone()).collect();
        let durations = last("http.server.request.duration")?;
        assert_eq!(durations["unit"], "s", "{names:?}");
        let points = durations["histogram"]["dataPoints"].as_array()?.clone();
        let created = points.iter().find(|point| {
            attribute(&point["attributes"], "http.route")["stringValue"] == "/orders"
                && attribute(&point["attributes"], "http.response.status_code")["intValue"] == "201"
        })?;
        (created["count"] == "5").then_some(())
    });
}
