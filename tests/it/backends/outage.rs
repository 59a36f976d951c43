//! All three signals under load, and through half a minute without a receiver.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use o11y_lab::schema::SERVICES;
use serde_json::{Value, json};

use super::collector::Collector;
use crate::helpers::{Lab, eventually, free_port, get};

const OUTAGE: Duration = Duration::from_secs(30);
/// Spans of one `GET /api/users`: at the gateway, to the user service, in it, and its query.
const SPANS: usize = 4;

/// The collector without what it does to traces: all that it takes is in its files.
fn collector(grpc: u16, http: u16, folder: &std::path::Path) -> Collector {
    Collector::start_on(
        grpc,
        http,
        json!({
            "exporters": {"file/spans": {"path": folder.join("span-metrics.json").display().to_string()}},
            "service": {"pipelines": {
                "traces": {"processors": ["memory_limiter", "batch"]},
                "metrics": {"receivers": ["otlp"]},
                "metrics/spans": {"receivers": ["spanmetrics"], "exporters": ["file/spans"]},
                "logs": {"processors": ["memory_limiter", "batch"]},
            }},
        }),
    )
}

/// Asks without a pause; how often.
fn ask(lab: &Lab, length: Duration) -> usize {
    let until = Instant::now() + length;
    let mut asked = 0;
    while Instant::now() < until {
        assert_eq!(get(&lab.api("/api/users?limit=1")).status, 200);
        asked += 1;
    }
    asked
}

/// A counter of a signal, over all roles.
fn counted(lab: &Lab, what: &str, signal: &str) -> usize {
    let series = format!("telemetry_items_{what}_total{{signal=\"{signal}\"}}");
    let all = SERVICES.iter().map(|service| lab.metric(service.role, &series).unwrap_or(f64::NAN));
    all.sum::<f64>() as usize
}

/// Lines of the roles' standard output that are records too: all but what telemetry says of its own exports.
fn lines(lab: &Lab) -> usize {
    let own = ["export failed", "export works again", "queue was full", "with a warning"];
    let is_own = |line: &Value| own.iter().any(|text| line["message"].as_str().unwrap_or("").contains(text));
    let of_role = |line: &Value| SERVICES.iter().any(|service| line["service"] == service.name);
    lab.logs().iter().filter(|line| of_role(line) && !is_own(line)).count()
}

/// What is in the files of all these: each span once, log records, data points.
fn received(collectors: &[&Collector], signal: &str) -> usize {
    let items = || collectors.iter().flat_map(|one| one.items(signal)).map(|(_, item)| item);
    let points = |metric: &Value| {
        let kinds = ["sum", "gauge", "histogram", "exponentialHistogram"];
        kinds.iter().filter_map(|kind| metric[kind]["dataPoints"].as_array()).map(Vec::len).sum::<usize>()
    };
    match signal {
        "traces" => items().map(|span| span["spanId"].to_string()).collect::<BTreeSet<_>>().len(),
        "metrics" => items().map(|metric| points(&metric)).sum(),
        _ => items().count(),
    }
}

/// Waits until the books are closed: what arrived is what was counted as exported, and of spans and lines what was
/// made is what arrived, was dropped or was lost. Returns what is missing.
#[track_caller]
fn settle(lab: &Lab, collectors: &[&Collector], asked: usize, signal: &str) -> usize {
    let mut last = Vec::new();
    let found = crate::helpers::found_within(Duration::from_secs(30), || {
        let arrived = received(collectors, signal);
        let [exported, dropped, lost] =
            ["exported", "dropped", "lost"].map(|what| counted(lab, what, signal));
        let made = match signal {
            "traces" => asked * SPANS,
            "logs" => lines(lab),
            _ => arrived + dropped + lost,
        };
        last = vec![made, arrived, exported, dropped, lost];
        (arrived == exported && made == arrived + dropped + lost).then_some(dropped + lost)
    });
    let why = || panic!("{signal}: made, arrived, exported, dropped, lost: {last:?}; {}", lab.up.stderr());
    found.unwrap_or_else(why)
}

#[test]
#[ignore = "needs programs that take minutes to build: make test-backends"]
fn each_signal_is_complete_under_load_and_after_an_outage_lacks_exactly_what_the_counters_say() {
    for protocol in ["http/protobuf", "grpc"] {
        let (grpc, http, temp) = (free_port(), free_port(), tempfile::tempdir().unwrap());
        let mut before = collector(grpc, http, temp.path());
        let port = if protocol == "grpc" { grpc } else { http };
        let lab = Lab::start_with(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://127.0.0.1:{port}")),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_LOGS_EXPORTER", "otlp"),
            ("OTEL_METRICS_EXPORTER", "otlp,prometheus"),
            // Long enough to read counters and files between two exports.
            ("OTEL_METRIC_EXPORT_INTERVAL", "3000"),
        ]);
        let mut asked = ask(&lab, Duration::from_secs(10));
        for signal in ["traces", "logs", "metrics"] {
            assert_eq!(settle(&lab, &[&before], asked, signal), 0, "{signal} under load, {protocol}");
        }
        before.stop();
        let missed = ask(&lab, OUTAGE);
        let after = collector(grpc, http, temp.path());
        let late = ask(&lab, Duration::from_secs(5));
        asked += missed + late;
        eventually("exports work again", || (received(&[&after], "traces") >= late * SPANS).then_some(()));
        for signal in ["traces", "logs", "metrics"] {
            let missing = settle(&lab, &[&before, &after], asked, signal);
            assert!(missing > 0, "{signal}: half a minute is longer than a queue");
            eprintln!(
                "{protocol}: {missing} {signal} are missing after {missed} requests without a receiver"
            );
        }
    }
}
