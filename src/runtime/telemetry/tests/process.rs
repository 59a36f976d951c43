//! What needs a process of its own: the global state and the environment.
//!
//! The test starts the test binary again, for itself, with an environment that tells it to be the
//! process under test.

use std::process::Command;

use clap::{Args, FromArgMatches};
use serde_json::Value;

use super::collector::Collector;
use super::*;

/// Settings as a role gets them: from the environment, and from flags, which win.
fn settings() -> (OtelConfig, LogConfig) {
    let command = LogConfig::augment_args(OtelConfig::augment_args(clap::Command::new("role")));
    let flags = ["role", "--otel-exporter-otlp-traces-headers", "x-flag=1"];
    let matches = command.try_get_matches_from(flags).unwrap();
    (OtelConfig::from_arg_matches(&matches).unwrap(), LogConfig::from_arg_matches(&matches).unwrap())
}

/// Set for the process under test.
const CHILD: &str = "O11Y_LAB_TEST_CHILD";

fn child() {
    let (otel, log) = settings();
    actix_web::rt::System::new().block_on(async {
        let telemetry = start("order-service", &otel, &log, None).unwrap();
        assert!(start("order-service", &otel, &log, None).is_err());
        tracing::info_span!("work").in_scope(|| tracing::warn!(orderId = 3, "inside"));
        tracing::info!("hidden by the level");
        assert!(telemetry.flush(10 * SECOND).await);
        telemetry.shutdown(SECOND).await;
    });
}

fn run_child(collector: &Collector) -> Vec<Value> {
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            concat!(
                module_path!(),
                "::a_process_starts_once_reports_what_it_did_not_understand_and_joins_logs_with_spans"
            )
            .trim_start_matches("o11y_lab::"),
            "--exact",
            "--nocapture",
        ])
        .env(CHILD, "1")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://127.0.0.1:{}", collector.port))
        .env("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "x-env=1")
        .env("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "thrift")
        .env("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd")
        .env("OTEL_TRACES_SAMPLER", "coin")
        .env("OTEL_BSP_SCHEDULE_DELAY", "soon")
        .env("OTEL_RESOURCE_ATTRIBUTES", "service.name=half,a=%zz")
        .env("OTEL_SERVICE_NAME", "renamed")
        .env("OTEL_SPELLING_MISTAKE", "1")
        .env("LOG_LEVEL", "warn")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    // The test harness writes its own lines between ours.
    text.lines().filter_map(|l| serde_json::from_str(&l[l.find('{')?..]).ok()).collect()
}

#[test]
fn a_process_starts_once_reports_what_it_did_not_understand_and_joins_logs_with_spans() {
    if std::env::var_os(CHILD).is_some() {
        return child();
    }
    let collector = Collector::start(kept(), None);
    let lines = run_child(&collector);
    assert!(lines.iter().all(|l| l["service"] == "renamed" && l["level"] == "warn"), "{lines:?}");
    let messages: String = lines.iter().map(|l| format!("{} {}\n", l["message"], l["variables"])).collect();
    for variable in [
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
        "OTEL_EXPORTER_OTLP_COMPRESSION",
        "OTEL_TRACES_SAMPLER",
        "OTEL_BSP_SCHEDULE_DELAY",
        "OTEL_RESOURCE_ATTRIBUTES",
        "OTEL_SPELLING_MISTAKE",
    ] {
        assert_eq!(messages.matches(variable).count(), 1, "{variable} in {messages}");
    }
    let mut received = collector.received();
    let logs = received.iter().position(|request| request.head.contains("/v1/logs ")).unwrap();
    let log = received.remove(logs).body;
    assert!(log.windows(6).any(|six| six == b"inside") && !log.windows(6).any(|six| six == b"hidden"));
    let head = received[0].head.to_lowercase();
    assert!(
        head.contains("x-flag: 1") && !head.contains("x-env") && !head.contains("content-encoding"),
        "{head}"
    );
    let span = received[0].export().resource_spans.remove(0).scope_spans.remove(0).spans.remove(0);
    let hex = |id: &[u8]| id.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let inside = lines.iter().find(|l| l["message"] == "inside").unwrap();
    assert_eq!((span.name.as_str(), inside["orderId"].as_i64()), ("work", Some(3)));
    assert_eq!(inside["traceId"], hex(&span.trace_id));
    assert_eq!(inside["spanId"], hex(&span.span_id));
}
