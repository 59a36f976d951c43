//! `o11y-lab verify` against real backends: green where all arrived, red where something was done on the way.

use std::collections::BTreeSet;

use serde_json::json;

use super::collector::Collector;
use super::jaeger::Jaeger;
use super::prometheus;
use super::victorialogs::VictoriaLogs;
use crate::alerts::live::targets;
use crate::helpers::prometheus::folder;
use crate::helpers::{Lab, bin, free_port};
use crate::verify::mutations::{LOGS, METRICS, Mutation, TRACES};
use crate::verify::proxy::Proxy;
use crate::verify::{Verified, files};

#[test]
#[ignore = "needs programs that take minutes to build: make test-backends"]
fn verify_is_green_on_jaeger_prometheus_and_victorialogs_and_red_in_the_right_row_under_a_change() {
    let (jaeger, logs) = (Jaeger::start(), VictoriaLogs::start());
    let spans = Proxy::before(&jaeger.endpoint("http"));
    let counts = Proxy::before(&format!("{}/api/v1/otlp", jaeger.prometheus.url));
    let lines = Proxy::before_protobuf(&logs.url("/insert/opentelemetry"));
    let lab = Lab::start_with(&[
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &format!("{}/v1/traces", spans.url)),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", &format!("{}/v1/metrics", counts.url)),
        ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/json"),
        ("OTEL_METRICS_EXPORTER", "otlp,prometheus"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "1000"),
        ("OTEL_LOGS_EXPORTER", "otlp"),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", &format!("{}/v1/logs", lines.url)),
        ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "http/json"),
    ]);
    let scraping = prometheus::start(folder("lab", &targets(&lab), None));
    let verify = |more: &[&str], within: &str| {
        let mut command = bin();
        command.args(["verify", "--port-base", &lab.base.to_string(), "--orders", "10"]);
        command.args(["--traces", &format!("jaeger={}", jaeger.url), "--within", within]);
        command.args(["--metrics", &format!("prometheus={}", jaeger.prometheus.url)]);
        command.args(["--logs", &format!("victorialogs={}", logs.url("")), "--settle", "2s"]).args(more);
        Verified::run(&mut command)
    };
    let scraped = format!("prometheus={}", scraping.url);
    verify(&["--metrics", &scraped, "--metrics", "roles", "--alerts", &scraped], "60s").assert_green();

    let named = |table: &'static [Mutation], what| table.iter().find(|one| one.what == what).unwrap();
    // Jaeger shows what is the same in all words once.
    let twice = named(TRACES, "a span comes again under its id");
    let renamed = named(TRACES, "a service is renamed");
    let frozen = named(METRICS, "a counter is frozen");
    let lost = named(LOGS, "a line is lost");
    let doubled = named(LOGS, "a line comes twice");
    let moved = named(LOGS, "a line names another span");
    for (proxy, mutation) in [
        (&spans, twice),
        (&spans, renamed),
        (&counts, frozen),
        (&lines, lost),
        (&lines, doubled),
        (&lines, moved),
    ] {
        proxy.arm(Some(mutation.change));
        let verified = verify(&[], "15s");
        proxy.arm(None);
        let found: BTreeSet<_> =
            verified.not("pass").iter().map(|claim| claim["id"].as_str().unwrap()).collect();
        assert_eq!(
            found,
            mutation.red.iter().copied().collect(),
            "{}: {:#?}",
            mutation.what,
            verified.not("pass")
        );
        assert_eq!(verified.not("pass")[0]["verdict"], json!("fail"), "{}", mutation.what);
    }
    verify(&[], "60s").assert_green();
}

#[test]
#[ignore = "needs programs that take minutes to build: make test-backends"]
fn verify_is_green_on_the_files_of_a_collector_and_red_where_a_span_was_lost_before_it() {
    let all = json!(["memory_limiter", "batch"]);
    let collector = Collector::start_on(
        free_port(),
        free_port(),
        json!({"processors": {"batch": {"timeout": "100ms"}},
            "service": {"pipelines": {"traces": {"processors": all}, "logs": {"processors": all}}}}),
    );
    let spans = Proxy::before(&format!("http://127.0.0.1:{}", collector.http));
    let lab = Lab::start_with(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &spans.url),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_METRICS_EXPORTER", "otlp,prometheus"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "1000"),
        ("OTEL_LOGS_EXPORTER", "otlp"),
    ]);
    let verify = |within| files::verify(&lab, collector.folder.path(), within);
    verify("30s").assert_green();
    let lost = TRACES.iter().find(|one| one.what == "a leaf is dropped").unwrap();
    spans.arm(Some(lost.change));
    let verified = verify("5s");
    spans.arm(None);
    let found: Vec<_> = verified.not("pass").iter().map(|claim| claim["id"].clone()).collect();
    assert_eq!(found, ["traces.complete"], "{:#?}", verified.not("pass"));
    verify("30s").assert_green();
}

#[test]
#[ignore = "needs programs that take minutes to build: make test-backends"]
fn a_collector_in_a_foreign_pipeline_that_drops_spans_is_where_they_were_lost_by_its_own_books() {
    let start = |processors: &[&str]| {
        let (traces, logs) = (json!(processors), json!(["memory_limiter", "batch"]));
        let errors =
            json!([{"name": "errors", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}}]);
        Collector::start_on(
            free_port(),
            free_port(),
            json!({"processors": {"batch": {"timeout": "100ms"}, "tail_sampling": {"policies": errors}},
                "service": {"pipelines": {"traces": {"processors": traces}, "logs": {"processors": logs}}}}),
        )
    };
    let verify = |collector: &Collector, within: &str| {
        let mut command = bin();
        command.args(["verify", "--orders", "2", "--within", within, "--settle", "2s"]);
        command.args(["--pipeline", &format!("http://127.0.0.1:{}", collector.http)]);
        command.args(["--station", &format!("collector=http://127.0.0.1:{}", collector.own)]);
        for signal in ["traces", "metrics", "logs"] {
            let file = collector.folder.path().join(format!("{signal}.json"));
            command.arg(format!("--{signal}")).arg(format!("file={}", file.display()));
        }
        Verified::run(&mut command)
    };
    verify(&start(&["memory_limiter", "batch"]), "30s").assert_green();
    let verified = verify(&start(&["memory_limiter", "tail_sampling", "batch"]), "8s");
    let of =
        |id: &str| verified.not("pass").into_iter().filter(|claim| claim["id"] == id).collect::<Vec<_>>();
    let [station, end] = of("stations.traces")[..] else { panic!("{:#?}", verified.not("pass")) };
    assert_eq!((&station["source"], &station["verdict"]), (&json!("collector"), &json!("fail")));
    assert!(station["found"].as_str().unwrap().contains("that file/traces never saw"), "{station}");
    assert_eq!(
        (&end["source"], &end["verdict"]),
        (&json!("collector -> the backend file"), &json!("cannot tell"))
    );
    assert_eq!(
        (of("traces.complete").len(), of("stations.logs").len()),
        (1, 0),
        "{:#?}",
        verified.not("pass")
    );
}
