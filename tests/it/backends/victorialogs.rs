//! VictoriaLogs.

use o11y_lab::schema::Role;
use serde_json::{Value, json};

use super::program;
use crate::helpers::http::try_send;
use crate::helpers::process::clean;
use crate::helpers::{Lab, Process, eventually, free_port, get, metric, post};

pub struct VictoriaLogs {
    _process: Process,
    _folder: tempfile::TempDir,
    port: u16,
}

impl VictoriaLogs {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let mut command = clean(std::process::Command::new(program("victorialogs/victoria-logs")));
        command.arg(format!("-httpListenAddr=127.0.0.1:{port}"));
        command.arg(format!("-storageDataPath={}", folder.path().display()));
        let started = Self { _process: Process::spawn(command), _folder: folder, port };
        eventually("it listens", || try_send("GET", &started.url("/health"), &[], None));
        started
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

#[test]
#[ignore = "needs programs that take minutes to build: make test-backends"]
fn victorialogs_has_every_line_once_and_finds_those_of_a_trace() {
    let logs = VictoriaLogs::start();
    let url = |path: &str| logs.url(path);
    let lab = Lab::start_with(&[
        ("OTEL_LOGS_EXPORTER", "otlp"),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", &url("/insert/opentelemetry/v1/logs")),
    ]);
    let user = lab.user();
    let order = lab.order(user);
    lab.wait_notifications(order.id(), 1);
    let found = |query: &str| -> Vec<Value> {
        let answer = get(&url(&format!("/select/logsql/query?query={query}&limit=1000"))).text;
        answer.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    };
    // As many as the roles wrote to standard output for this trace.
    let id = order.trace_id();
    let written = || lab.logs().iter().filter(|line| line["traceId"] == id.as_str()).count();
    eventually("all lines of the order's trace", || {
        let lines = found(&format!("trace_id:={id}"));
        (written() > 3 && lines.len() == written()).then_some(())
    });
    let page = get(&lab.url(Role::Order, "/metrics")).text;
    assert_eq!(metric(&page, "telemetry_batches_failed_total{signal=\"logs\"}"), Some(0.0));
    assert_eq!(post(&lab.api("/api/users"), &json!({})).status, 400);

    let lab = Lab::start_with(&[
        ("OTEL_LOGS_EXPORTER", "otlp"),
        ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", &url("/insert/opentelemetry/v1/logs")),
    ]);
    eventually("who sends JSON is told what to try", || {
        let lines = lab.logs();
        let told =
            |line: &Value| line["cause"].as_str().is_some_and(|cause| cause.ends_with("=http/protobuf"));
        lines.iter().any(told).then_some(())
    });
}
