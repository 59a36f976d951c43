//! Rules and panels on a Prometheus that scrapes, on one that takes OTLP, and on one that does both.

use std::collections::BTreeSet;
use std::time::Duration;

use o11y_lab::schema::OtlpMetric;

use super::prometheus::{lab, orders, start};
use crate::alerts::live::{targets, wait_rules};
use crate::helpers::dashboards::panel_queries;
use crate::helpers::prometheus::{Server, folder};
use crate::helpers::promql::Known;
use crate::helpers::{eventually, found_within, get};

/// How the bounds of a histogram's buckets are spelled there.
fn bounds(prometheus: &Server, metric: &str) -> BTreeSet<String> {
    let series = prometheus.query(&format!("{metric}_bucket"));
    series.into_iter().filter_map(|mut series| series.labels.remove("le")).collect()
}

/// Whether what an expression says of a metric is called the same in a Prometheus that takes OTLP: its name, and the
/// labels that the expression has.
fn is_called_the_same(sample: &str, expr: &str) -> bool {
    let ends = ["", "_bucket", "_count", "_sum"];
    let mut rows = ends.iter().filter_map(|end| OtlpMetric::of(sample.strip_suffix(end)?));
    rows.any(|row| {
        let mut renamed = row.keys.iter().filter(|(label, key)| key.replace('.', "_") != *label);
        row.prometheus_name() == row.metric && !renamed.any(|(label, _)| expr.contains(label))
    })
}

#[test]
#[ignore = "needs programs that take minutes to build: make test-backends"]
fn panels_find_by_otlp_what_they_find_by_scrape_and_bounds_are_spelled_alike() {
    let received = start(folder("lab", &[], None));
    let lab = lab(&received, &[]);
    let scraped = start(folder("lab", &targets(&lab), None));
    let known = Known::with(&[]);
    let panels: Vec<_> = panel_queries()
        .into_iter()
        .filter(|(_, _, expr)| {
            let reading = known.read(expr);
            reading.complaints.is_empty()
                && reading.sources.iter().all(|source| is_called_the_same(source, expr))
        })
        .collect();
    assert!(panels.len() >= 20, "{}", panels.len());
    let mut seen = 0;
    let mut missing = Vec::new();
    let found = found_within(Duration::from_secs(90), || {
        orders(&lab);
        get(&lab.api("/api/users?limit=1"));
        let empty = |server: &Server| {
            let empty = panels.iter().filter(|(_, _, expr)| server.query(expr).is_empty());
            empty.map(|(_, panel, expr)| format!("{panel}: {expr}")).collect::<BTreeSet<_>>()
        };
        let (by_scrape, by_otlp) = (empty(&scraped), empty(&received));
        seen = panels.len() - by_scrape.len();
        missing = by_otlp.difference(&by_scrape).cloned().collect();
        (missing.is_empty() && seen >= 20).then_some(())
    });
    assert!(found.is_some(), "{seen} panels by scrape; of these not by OTLP: {missing:#?}");
    eprintln!("{seen} of {} queries have data, by scrape and by OTLP", panels.len());
    for metric in
        ["http_server_request_duration_seconds", "http_client_request_duration_seconds", "order_value"]
    {
        let spelled = bounds(&scraped, metric);
        assert!(spelled.len() > 5, "{spelled:?}");
        assert_eq!(spelled, bounds(&received, metric), "{metric}");
    }
}

#[test]
#[ignore = "needs programs that take minutes to build: make test-backends"]
fn rules_are_evaluated_and_fire_nothing_where_a_healthy_labs_metrics_arrive_both_ways() {
    // Its address is needed for the lab, and the lab's for its targets: targets are read again while it runs.
    let temp = folder("lab", &[], None);
    let file = temp.path().join("targets/test.json");
    let prometheus = start(temp);
    let lab = lab(&prometheus, &[]);
    std::fs::copy(folder("lab", &targets(&lab), None).path().join("targets/test.json"), file).unwrap();
    eventually("all roles are scraped", || (prometheus.query("up == 1").len() == 5).then_some(()));
    orders(&lab);
    wait_rules(&prometheus);
    let by_otlp = "http_server_request_duration_seconds_count{job=\"api-gateway\",service=\"\"}";
    assert!(!prometheus.query(by_otlp).is_empty());
    assert_eq!(prometheus.query("ALERTS{alertstate=\"firing\"}"), []);
    let requests = || prometheus.query("slo:requests:total{slo=\"gateway-availability\"}");
    let requests = eventually("the SLO's requests", || Some(requests()).filter(|found| !found.is_empty()));
    assert_eq!(requests.len(), 1, "what has no `service` counts for no SLO: {requests:?}");
}
