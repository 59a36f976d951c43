//! What a scrape sees.

use std::collections::BTreeSet;

use o11y_lab::schema::{METRICS, MetricKind, Role, SERVICES};
use serde_json::json;

use crate::helpers::{Lab, eventually, get, post, send};

fn page(lab: &Lab, role: Role) -> String {
    let answer = get(&lab.url(role, "/metrics"));
    assert!(answer.header("content-type").starts_with("text/plain; version=0.0.4"), "{answer:?}");
    answer.text
}

fn series(page: &str) -> BTreeSet<String> {
    let lines = page.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.filter_map(|line| line.rsplit_once(' ')).map(|(series, _)| series.to_owned()).collect()
}

#[test]
fn trap_8_every_series_exists_from_start_up_and_traffic_adds_none() {
    let lab = Lab::start();
    let before: Vec<_> = SERVICES.iter().map(|s| series(&page(&lab, s.role))).collect();
    for (service, before) in SERVICES.iter().zip(&before) {
        for metric in METRICS.iter().filter(|m| m.exposed_by(service.role)) {
            let name = match metric.kind {
                MetricKind::Histogram(_) => format!("{}_count", metric.name),
                _ => metric.name.to_owned(),
            };
            assert!(
                before.iter().any(|s| s == &name || s.starts_with(&format!("{name}{{"))),
                "{} {name}",
                service.name
            );
        }
    }
    let user = lab.user();
    let order = lab.order(user);
    get(&lab.api(&format!("/api/orders/{}", order.id())));
    get(&lab.api("/api/orders"));
    post(&lab.api("/api/orders"), &json!({}));
    post(&lab.api("/api/users"), &json!({}));
    get(&lab.api("/api/users?limit=0"));
    get(&lab.api("/nothing"));
    send("DELETE", &lab.api("/api/users"), &[], None);
    let large = "x".repeat(100 * 1024);
    for kind in ["application/json", "text/plain"] {
        send("POST", &lab.api("/api/orders"), &[("content-type", kind)], Some(large.as_bytes()));
    }
    lab.wait_notifications(order.id(), 1);
    for (service, before) in SERVICES.iter().zip(&before) {
        let after = series(&page(&lab, service.role));
        let new: Vec<_> = after.difference(before).collect();
        assert!(new.is_empty(), "{}: {new:?}", service.name);
    }
}

#[test]
fn the_counters_count_what_their_names_say() {
    let lab = Lab::start();
    let order = lab.order(lab.user());
    post(&lab.api("/api/orders"), &json!({}));
    lab.wait_notifications(order.id(), 1);
    let value = |role, series: &str| lab.metric(role, series).unwrap_or_else(|| panic!("no {series}"));
    assert_eq!(value(Role::User, "users_created_total"), 1.0);
    assert_eq!(value(Role::Order, "orders_created_total"), 1.0);
    assert_eq!(value(Role::Order, "orders_by_status_total{status=\"pending\"}"), 1.0);
    assert_eq!(value(Role::Order, "order_value_count"), 1.0);
    assert_eq!(value(Role::Order, "queue_messages_published_total"), 1.0);
    assert_eq!(value(Role::Notify, "notifications_sent_total{type=\"order_created\"}"), 1.0);
    assert_eq!(value(Role::Notify, "queue_messages_processed_total{status=\"success\"}"), 1.0);
    assert_eq!(value(Role::Gateway, "gateway_requests_total{endpoint=\"/api/orders\"}"), 2.0);
    assert_eq!(value(Role::Gateway, "gateway_errors_total{endpoint=\"/api/orders\"}"), 0.0);
}

#[test]
fn trap_10_scrapes_and_health_checks_are_not_counted_as_requests() {
    let lab = Lab::shared();
    for _ in 0..5 {
        get(&lab.url(Role::User, "/health"));
        get(&lab.url(Role::User, "/ready"));
    }
    let page = page(lab, Role::User);
    for path in ["/health", "/ready", "/metrics"] {
        assert!(!page.contains(&format!("http_route=\"{path}\"")), "{path}");
    }
}

#[test]
fn unknown_paths_methods_and_ids_make_no_series_of_their_own() {
    let lab = Lab::start();
    get(&lab.api("/no/such/path"));
    send("BREW", &lab.api("/api/users"), &[], None);
    let before = series(&page(&lab, Role::Gateway));
    for i in 0..50 {
        get(&lab.api(&format!("/no/such/path/{i}")));
        get(&lab.api(&format!("/api/users/{}", 1_000_000 + i)));
        send(&format!("BREW{i}"), &lab.api("/api/users"), &[], None);
    }
    let after = series(&page(&lab, Role::Gateway));
    let new: Vec<_> = after.difference(&before).collect();
    assert!(new.is_empty(), "{new:?}");
}

#[test]
fn trap_11_every_bucket_bound_is_written_with_its_fraction() {
    let page = page(Lab::shared(), Role::Order);
    for line in page.lines().filter(|line| line.contains("le=\"")) {
        let bound = line.split("le=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        assert!(bound == "+Inf" || bound.contains('.'), "{line}");
    }
}

#[test]
fn every_metric_a_role_exposes_is_in_the_schema_or_describes_the_process() {
    let lab = Lab::shared();
    for service in &SERVICES {
        let page = page(lab, service.role);
        for line in page.lines().filter(|line| line.starts_with("# TYPE ")) {
            let name = line.split(' ').nth(2).unwrap();
            assert!(name.starts_with("process_") || METRICS.iter().any(|m| m.name == name), "{name}");
        }
        assert!(page.contains("process_resident_memory_bytes "), "{}", service.name);
    }
}

#[test]
fn the_database_pool_shows_its_bound_and_is_not_in_use_when_nobody_comes() {
    let lab = Lab::start();
    lab.user();
    let value = |series: &str| lab.metric(Role::User, series);
    assert_eq!(value("db_client_connection_max"), Some(4.0));
    eventually("the connection that was used is idle again", || {
        let idle = value("db_client_connection_count{state=\"idle\"}").filter(|idle| *idle >= 1.0);
        idle.filter(|_| value("db_client_connection_count{state=\"used\"}") == Some(0.0))
    });
}

#[test]
fn every_bound_of_a_histogram_has_a_fraction_so_that_it_has_one_spelling_everywhere() {
    // Prometheus 3 writes `2.0` where it scrapes and `2` where it takes OTLP.
    for metric in METRICS {
        let MetricKind::Histogram(bounds) = metric.kind else { continue };
        assert!(bounds.iter().all(|bound| bound.fract() != 0.0), "{}: {bounds:?}", metric.name);
    }
}

#[test]
fn an_encoded_path_counts_for_the_route_that_answers_it() {
    let lab = Lab::shared();
    let series = "http_server_request_duration_seconds_count\
        {http_request_method=\"GET\",http_route=\"/api/users/{id}\",http_response_status_code=\"200\"}";
    let user = lab.user();
    let before = lab.metric(Role::Gateway, series).unwrap();
    assert_eq!(get(&lab.api(&format!("/api/%75sers/{user}"))).status, 200);
    assert!(lab.metric(Role::Gateway, series).unwrap() > before);
}
