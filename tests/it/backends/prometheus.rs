//! Prometheus 3: what it scrapes, and what it takes by OTLP.

use std::collections::{BTreeMap, BTreeSet};

use o11y_lab::exposition::MetricSample;
use o11y_lab::schema::{METRICS, Metric, MetricKind, OtlpMetric, Role, SERVICES, names};

use super::program;
use crate::alerts::live::targets;
use crate::helpers::prometheus::{Server, exemplar_traces, folder};
use crate::helpers::{DEADLINE, Lab, eventually, found_within, get};

/// A Prometheus 3 on a folder, which takes OTLP too.
pub fn start(folder: tempfile::TempDir) -> Server {
    Server::prometheus_at(&program("prometheus/prometheus"), folder, &["--web.enable-otlp-receiver"])
}

/// A lab that sends its metrics to `prometheus`, and its spans to its console.
pub fn lab(prometheus: &Server, more: &[(&str, &str)]) -> Lab {
    let endpoint = format!("{}/api/v1/otlp/v1/metrics", prometheus.url);
    let sends = [
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", endpoint.as_str()),
        ("OTEL_METRICS_EXPORTER", "otlp,prometheus"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "1000"),
    ];
    Lab::start_with(&[&sends, more].concat())
}

/// Five orders that arrived.
pub fn orders(lab: &Lab) -> Vec<String> {
    let user = lab.user();
    let all: Vec<_> = (0..5).map(|_| lab.order(user)).collect();
    all.iter().for_each(|order| drop(lab.wait_notifications(order.id(), 1)));
    all.iter().map(crate::helpers::Answer::trace_id).collect()
}

/// Metrics that stand still where nobody asks anything: not the process's own, not those of polls and exports.
fn rests(metric: &Metric) -> bool {
    let moving = ["runtime_", "telemetry_", "db_client_", "queue_publish_duration", "queue_outbox"];
    !moving.iter().any(|prefix| metric.name.starts_with(prefix))
}

/// The names under which a metric's samples stand.
fn samples(metric: &Metric) -> Vec<String> {
    match metric.kind {
        MetricKind::Histogram(_) => {
            ["_bucket", "_count", "_sum"].map(|end| format!("{}{end}", metric.name)).into()
        }
        MetricKind::Counter | MetricKind::Gauge => vec![metric.name.to_owned()],
    }
}

type Labels = BTreeMap<String, String>;

#[test]
#[ignore = "needs programs that take minutes to build: make test-backends"]
fn prometheus_scrapes_every_number_of_every_page() {
    let lab = Lab::start();
    let prometheus = start(folder("lab", &targets(&lab), None));
    orders(&lab);
    let resting: BTreeSet<_> = METRICS.iter().filter(|metric| rests(metric)).flat_map(samples).collect();
    for service in &SERVICES {
        let page = || -> BTreeMap<(String, Labels), f64> {
            let text = get(&lab.url(service.role, "/metrics")).text;
            let samples = text.lines().filter_map(MetricSample::parse);
            let samples = samples.filter(|sample| resting.contains(sample.name));
            let labels = |sample: &MetricSample<'_>| {
                sample
                    .labels
                    .iter()
                    .map(|(key, value)| ((*key).to_owned(), value.clone().into_owned()))
                    .collect()
            };
            samples.map(|sample| ((sample.name.to_owned(), labels(&sample)), sample.value)).collect()
        };
        let scraped = || -> BTreeMap<(String, Labels), f64> {
            let series = prometheus.query(&format!("{{job=\"{}\"}}", service.name));
            let own = series.into_iter().filter_map(|mut series| {
                let name = series.labels.remove("__name__")?;
                ["job", "instance", "service"].iter().for_each(|key| drop(series.labels.remove(*key)));
                // Of build_info, whose own label has the target's name.
                if let Some(own) = series.labels.remove("exported_service") {
                    series.labels.insert("service".to_owned(), own);
                }
                resting.contains(&name).then_some(((name, series.labels), series.value))
            });
            own.collect()
        };
        assert!(page().len() > 20, "{}", service.name);
        let mut differ = Vec::new();
        let found = found_within(DEADLINE, || {
            let (page, scraped) = (page(), scraped());
            let other =
                |(key, value): (_, &f64)| (scraped.get(key) != Some(value)).then(|| (key.clone(), *value));
            differ = page.iter().filter_map(other).collect();
            (page.len() == scraped.len() && differ.is_empty()).then_some(())
        });
        assert!(found.is_some(), "{}: {differ:#?}", service.name);
    }
}

#[test]
#[ignore = "needs programs that take minutes to build: make test-backends"]
fn prometheus_takes_by_otlp_the_numbers_of_the_page_under_the_documented_names_with_exemplars() {
    for protocol in ["http/protobuf", "http/json"] {
        let prometheus = start(folder("lab", &[], None));
        let lab = lab(&prometheus, &[("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", protocol)]);
        let traces = orders(&lab);
        for service in &SERVICES {
            let page = get(&lab.url(service.role, "/metrics")).text;
            for metric in METRICS.iter().filter(|metric| metric.exposed_by(service.role) && rests(metric)) {
                let histogram = matches!(metric.kind, MetricKind::Histogram(_));
                let end = if histogram { "_count" } else { "" };
                let name = format!("{}{end}", OtlpMetric::of(metric.name).unwrap().prometheus_name());
                let samples = page.lines().filter_map(MetricSample::parse);
                let on_page: f64 =
                    samples.filter(|s| s.name == format!("{}{end}", metric.name)).map(|s| s.value).sum();
                let query = format!("sum({name}{{job=\"{}\"}})", service.name);
                eventually(&format!("{query} is {on_page} by {protocol}"), || {
                    let found = prometheus.query(&query);
                    found.first().is_some_and(|series| series.value == on_page).then_some(())
                });
            }
        }
        let named = eventually("exemplars lead to the orders", || {
            let named = exemplar_traces(&prometheus.url, &format!("{}_bucket", names::HTTP_SERVER_DURATION));
            traces.iter().any(|id| named.contains(id)).then_some(named)
        });
        for id in named {
            eventually(&format!("the trace {id}"), || (!lab.trace_now(&id).spans.is_empty()).then_some(()));
        }
    }
}

#[test]
#[ignore = "needs programs that take minutes to build: make test-backends"]
fn prometheus_takes_exponential_histograms_as_native_ones() {
    let prometheus = start(folder("lab", &[], None));
    let exponential = "base2_exponential_bucket_histogram";
    let lab = lab(&prometheus, &[("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", exponential)]);
    orders(&lab);
    eventually("five orders", || {
        let query = "sum(histogram_count(order_value))";
        prometheus.query(query).first().is_some_and(|series| series.value == 5.0).then_some(())
    });
}

#[test]
#[ignore = "needs programs that take minutes to build: make test-backends"]
fn prometheus_refuses_deltas_and_the_log_says_what_to_set() {
    let prometheus = start(folder("lab", &[], None));
    let lab = lab(&prometheus, &[("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta")]);
    lab.user();
    let said = eventually("a line that says why", || {
        let failed = |line: &serde_json::Value| {
            line["cause"].as_str().filter(|cause| cause.contains("delta")).map(str::to_owned)
        };
        lab.logs().iter().find_map(failed)
    });
    let advice = "set OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=cumulative";
    assert!(said.ends_with(&format!("Prometheus refuses delta temporality: {advice}")), "{said}");
    let lost = "telemetry_items_lost_total{signal=\"metrics\"}";
    eventually("the points are counted as lost", || {
        lab.metric(Role::Gateway, lost).filter(|lost| *lost > 0.0)
    });
    // Exports without a delta, before anything was counted, were taken.
    assert_eq!(prometheus.query("gateway_requests_total{job=\"api-gateway\"}"), []);
}
