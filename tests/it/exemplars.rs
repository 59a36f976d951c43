//! From a number to the trace behind it: exemplars on `/metrics`.

use std::collections::{BTreeMap, BTreeSet};

use o11y_lab::exposition::MetricSample;
use o11y_lab::lab::expect::ORDER_TRACE;
use o11y_lab::schema::{Endpoint, METRICS, MetricKind, Role, SERVICES};

use crate::helpers::prometheus::exemplar_traces;
use crate::helpers::{Answer, Lab, bin, eventually, free_port_base, get, send};

/// The page of a role as OpenMetrics.
fn open_metrics(lab: &Lab, role: Role) -> Answer {
    send("GET", &lab.url(role, "/metrics"), &[("accept", "application/openmetrics-text")], None)
}

/// The exemplars of a page: trace id and span id by the bucket.
fn exemplars(page: &str) -> BTreeMap<String, (String, String)> {
    let with_one = page.lines().filter_map(|line| line.split_once(" # "));
    let read = |(bucket, exemplar): (&str, &str)| {
        let bucket = MetricSample::parse(bucket).expect("a sample");
        // Read as a sample without a name, followed by its time.
        let exemplar = format!("exemplar{exemplar}");
        let exemplar = MetricSample::parse(&exemplar).expect("labels and a value");
        let bound: f64 = bucket.label("le").parse().expect("a bound");
        assert!(exemplar.value <= bound, "{page}");
        let ids = [exemplar.label("trace_id"), exemplar.label("span_id")].map(str::to_owned);
        let labels: Vec<_> = bucket.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        (format!("{} {}", bucket.name, labels.join(" ")), ids.into())
    };
    with_one.map(read).collect()
}

#[test]
fn every_histogram_of_an_order_leads_to_the_span_that_it_measured() {
    let lab = Lab::start();
    let order = lab.order(lab.user());
    lab.wait_notifications(order.id(), 1);
    let trace = lab.trace(&order.trace_id(), ORDER_TRACE.len());
    for (role, series, span) in [
        (
            Role::Gateway,
            "http_server_request_duration_seconds_bucket http_request_method=POST http_route=/api/orders ",
            "POST /api/orders",
        ),
        (
            Role::Gateway,
            "http_client_request_duration_seconds_bucket peer_service=order-service ",
            "POST /orders",
        ),
        (
            Role::Gateway,
            "http_client_request_duration_seconds_bucket peer_service=order-validator ",
            "invoke order-validator",
        ),
        (
            Role::Order,
            "http_server_request_duration_seconds_bucket http_request_method=POST ",
            "POST /orders",
        ),
        (Role::Order, "http_client_request_duration_seconds_bucket ", "GET /users/{id}"),
        (Role::Order, "order_value_bucket ", "POST /orders"),
        (Role::Order, "queue_publish_duration_seconds_bucket ", "send notifications"),
        (
            Role::User,
            "http_server_request_duration_seconds_bucket http_request_method=GET ",
            "GET /users/{id}",
        ),
        (Role::User, "db_client_operation_duration_seconds_bucket db_operation_name=SELECT ", "SELECT users"),
        (Role::Notify, "notification_processing_duration_ms_bucket ", "process notifications"),
    ] {
        let expected = trace.span(role.service().name, span).unwrap();
        let found = eventually(&format!("{series} of {role} has an exemplar"), || {
            let all = exemplars(&open_metrics(&lab, role).text);
            all.into_iter().find(|(bucket, _)| bucket.starts_with(series)).map(|(_, ids)| ids)
        });
        assert_eq!(found, (expected.trace.clone(), expected.id.clone()), "{role} {series}");
    }
    // The Invoke API is AWS's surface: it makes no span of ours, so there is none to lead to.
    assert_eq!(exemplars(&open_metrics(&lab, Role::Lambda).text), BTreeMap::new());
}

#[test]
fn open_metrics_says_what_the_prometheus_page_says_and_is_only_for_those_who_ask() {
    let lab = Lab::shared();
    lab.order(lab.user());
    for service in &SERVICES {
        let open = open_metrics(lab, service.role);
        assert_eq!(open.header("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
        assert_eq!(open.header("vary"), "accept");
        assert!(open.text.ends_with("\n# EOF\n"), "{}", open.text);
        let page = get(&lab.url(service.role, "/metrics"));
        assert_eq!(page.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
        assert!(!page.text.contains("trace_id") && !page.text.contains("# EOF"), "{}", page.text);
        let series = |page: &str| -> BTreeSet<String> {
            let lines = page.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
            let samples = lines.map(|line| line.split(" # ").next().unwrap_or_default());
            samples.filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned())).collect()
        };
        assert_eq!(series(&open.text), series(&page.text), "{}", service.name);
    }
}

#[test]
fn the_prometheus_of_up_keeps_exemplars_that_name_traces_which_the_console_has() {
    let temp = tempfile::tempdir().unwrap();
    let mut command = bin();
    command.env("UP_WITH", "prometheus");
    let lab = Lab::launch(command, &temp.path().join("data"), free_port_base());
    let order = lab.order(lab.user());
    lab.wait_notifications(order.id(), 1);
    let prometheus = format!("http://127.0.0.1:{}", lab.ports().at(Endpoint::Prometheus));
    let mut named = BTreeSet::new();
    for metric in METRICS.iter().filter(|metric| matches!(metric.kind, MetricKind::Histogram(_))) {
        let query = format!("{}_bucket", metric.name);
        named.extend(eventually(&format!("{query} leads to the order"), || {
            let traces = exemplar_traces(&prometheus, &query);
            traces.contains(&order.trace_id()).then_some(traces)
        }));
    }
    for id in named {
        eventually(&format!("the trace {id}"), || (!lab.trace_now(&id).spans.is_empty()).then_some(()));
    }
}
