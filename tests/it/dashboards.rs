//! The dashboards say nothing that the roles do not expose, and follow the rules of Grafana's own
//! dashboard-linter. That their queries return data is tested on a real Prometheus, elsewhere.

use std::collections::BTreeSet;
use std::process::Command;

use o11y_lab::schema::{Kind, METRICS};
use promql_parser::label::MatchOp;
use promql_parser::parser::{self, Expr, LabelModifier, VectorSelector};
use serde_json::Value;

use crate::helpers::dashboards::{dashboards, filled_in, folder, panel_queries, panels, queries, text};

/// Labels that Prometheus adds to every series it scrapes.
const TARGET: &[&str] = &["job", "instance", "service"];

/// What is not in the roles' own table: Prometheus' series about scrapes and alerts, the recording
/// rules of alerts/, the process's own metrics, and what Jaeger makes of spans.
const FOREIGN: &[(&str, &[&str])] = &[
    ("up", &[]),
    ("scrape_duration_seconds", &[]),
    ("scrape_samples_scraped", &[]),
    ("scrape_series_added", &[]),
    ("ALERTS", &["alertname", "alertstate", "severity", "slo"]),
    ("slo:objective:ratio", &["slo"]),
    ("slo:current_burn_rate:ratio", &["slo"]),
    ("slo:period_error_budget_remaining:ratio", &["slo"]),
    ("process_cpu_seconds_total", &[]),
    ("process_resident_memory_bytes", &[]),
    ("process_open_fds", &[]),
    ("process_max_fds", &[]),
    ("process_threads", &[]),
    ("process_start_time_seconds", &[]),
    ("traces_span_metrics_calls_total", &["service_name", "span_name", "span_kind", "status_code"]),
    (
        "traces_span_metrics_duration_milliseconds_bucket",
        &["service_name", "span_name", "span_kind", "status_code", "le"],
    ),
];

/// The labels of a series, or nothing if nobody exposes it. Closed sets of values come with them.
fn labels_of(series: &str) -> Option<Vec<(&'static str, &'static [&'static str])>> {
    if let Some((_, labels)) = FOREIGN.iter().find(|(name, _)| *name == series) {
        return Some(labels.iter().map(|key| (*key, &[] as &[&str])).collect());
    }
    let metric = METRICS.iter().find(|metric| match metric.kind {
        Kind::Histogram(_) => ["_bucket", "_sum", "_count"]
            .iter()
            .any(|end| series.strip_suffix(end).is_some_and(|base| base == metric.name)),
        _ => metric.name == series,
    })?;
    let mut labels: Vec<_> = metric.labels.iter().map(|label| (label.key, label.values)).collect();
    if series.ends_with("_bucket") {
        labels.push(("le", &[]));
    }
    Some(labels)
}

/// Checks a selector and returns the labels that its series have.
fn check_selector(selector: &VectorSelector) -> Result<BTreeSet<String>, String> {
    let name = selector.name.as_deref().ok_or("a selector without a metric")?;
    let labels = labels_of(name).ok_or(format!("nobody exposes {name}"))?;
    for matcher in &selector.matchers.matchers {
        let known = labels.iter().find(|(key, _)| *key == matcher.name);
        if known.is_none() && !TARGET.contains(&matcher.name.as_str()) {
            return Err(format!("{name} has no label {}", matcher.name));
        }
        let closed = known.map_or(&[] as &[&str], |(_, values)| values);
        let reached = closed.is_empty() || closed.iter().any(|value| matcher.is_match(value));
        if !reached || matcher.op == MatchOp::Equal && matcher.value.is_empty() {
            return Err(format!("{name} never has {matcher}"));
        }
        if matcher.name == "le"
            && !METRICS.iter().any(|metric| has_bound(metric.kind, name, metric.name, &matcher.value))
        {
            return Err(format!("{name} has no bucket {matcher}"));
        }
    }
    Ok(labels.iter().map(|(key, _)| *key).chain(TARGET.iter().copied()).map(str::to_owned).collect())
}

fn has_bound(kind: Kind, series: &str, metric: &str, le: &str) -> bool {
    let Kind::Histogram(bounds) = kind else { return false };
    series.strip_suffix("_bucket") == Some(metric) && bounds.iter().any(|bound| bound.to_string() == le)
}

/// Checks an expression and returns every label that its result may have.
fn check(expr: &Expr) -> Result<BTreeSet<String>, String> {
    let both = |exprs: Vec<&Expr>| -> Result<BTreeSet<String>, String> {
        exprs.into_iter().map(check).try_fold(BTreeSet::new(), |all, one| Ok(&all | &one?))
    };
    match expr {
        Expr::VectorSelector(selector) => check_selector(selector),
        Expr::MatrixSelector(range) => check_selector(&range.vs),
        Expr::Aggregate(aggregate) => {
            let inner = check(&aggregate.expr)?;
            let Some(LabelModifier::Include(kept)) = &aggregate.modifier else { return Ok(BTreeSet::new()) };
            match kept.labels.iter().find(|label| !inner.contains(*label)) {
                Some(label) => Err(format!("nothing in {} has the label {label}", aggregate.expr)),
                None => Ok(kept.labels.iter().cloned().collect()),
            }
        }
        Expr::Binary(binary) => both(vec![&binary.lhs, &binary.rhs]),
        Expr::Paren(paren) => check(&paren.expr),
        Expr::Unary(unary) => check(&unary.expr),
        Expr::Subquery(sub) => check(&sub.expr),
        Expr::Call(call) => both(call.args.args.iter().map(|arg| &**arg).collect()),
        _ => Ok(BTreeSet::new()),
    }
}

/// Parses an expression and checks every metric, label and value in it against what exists.
pub fn check_promql(expr: &str) -> Result<BTreeSet<String>, String> {
    check(&parser::parse(expr).map_err(|error| format!("{error}: {expr}"))?)
}

#[test]
fn trap_7_every_metric_label_and_value_in_a_panel_is_one_that_somebody_exposes() {
    let wrong: Vec<_> = panel_queries()
        .into_iter()
        .filter_map(|(dashboard, panel, expr)| Some((dashboard, panel, check_promql(&expr).err()?)))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_check_of_names_sees_a_metric_a_label_and_a_value_that_nobody_exposes() {
    for (expr, complaint) in [
        ("rate(http_requests_total[5m])", "nobody exposes"),
        ("rate(order_value[5m])", "nobody exposes"),
        ("sum(orders_created_total{status=\"ok\"})", "no label status"),
        ("sum(queue_messages_processed_total{status=\"failed\"})", "never has"),
        ("sum by (queue) (queue_consumer_lag)", "has the label queue"),
        ("http_server_request_duration_seconds_bucket{le=\"0.2\"}", "no bucket"),
        ("sum(rate(up[5m])", "sum"),
    ] {
        let error = check_promql(expr).expect_err(expr);
        assert!(error.contains(complaint), "{expr}: {error}");
    }
}

#[test]
fn every_label_that_a_legend_or_a_link_names_is_left_in_the_result() {
    for dashboard in dashboards() {
        for panel in panels(&dashboard) {
            let links = panel["fieldConfig"]["defaults"]["links"].to_string().contains("__field.labels.job");
            for target in panel["targets"].as_array().unwrap() {
                let Some(expr) = target["expr"].as_str() else { continue };
                let Ok(labels) = check_promql(&filled_in(expr)) else { continue };
                let legend = text(target, "legendFormat");
                let named = legend.split("{{").skip(1).filter_map(|rest| rest.split("}}").next());
                for label in named.chain(links.then_some("job")) {
                    assert!(labels.contains(label), "{}: {label} is gone from {expr}", text(panel, "title"));
                }
            }
        }
    }
}

#[test]
fn the_files_that_grafana_reads_are_those_that_their_sources_make() {
    let run = Command::new("python3").arg(folder("scripts/dashboards")).arg("--check").output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
}

#[test]
fn dashboards_carry_the_ids_that_alerts_and_links_use_and_lead_to_each_other() {
    let all = dashboards();
    let ids: BTreeSet<_> = all.iter().map(|one| text(one, "uid")).collect();
    let expected = ["o11y-logs", "o11y-queue", "o11y-services", "o11y-slo", "o11y-telemetry"];
    assert_eq!(ids, BTreeSet::from(expected));
    for dashboard in &all {
        let title = text(dashboard, "title");
        assert!(!title.is_empty() && !text(dashboard, "description").is_empty());
        assert!(dashboard["tags"].as_array().unwrap().contains(&"o11y-lab".into()), "{title}: its tag");
        assert_eq!(dashboard["links"][0]["tags"][0], "o11y-lab", "{title}: links to the others");
        assert_eq!(dashboard["editable"], false, "{title}: it is a file, edits would be lost");
        let linked = dashboard.to_string();
        for id in linked.split("/d/").skip(1).filter_map(|rest| rest.split(['?', '"']).next()) {
            assert!(ids.contains(id), "{title} links to {id}");
        }
    }
}

fn variables(dashboard: &Value) -> &[Value] {
    dashboard["templating"]["list"].as_array().unwrap()
}

#[test]
fn data_sources_are_variables_and_service_and_instance_take_several_values() {
    for dashboard in dashboards() {
        let title = text(&dashboard, "title");
        let find = |name: &str| variables(&dashboard).iter().find(|one| one["name"] == name);
        assert_eq!(find("datasource").unwrap()["query"], "prometheus", "{title}");
        let filters: &[&str] =
            if text(&dashboard, "uid") == "o11y-logs" { &["service", "level"] } else { &["job", "instance"] };
        for name in filters {
            let variable = find(name).unwrap_or_else(|| panic!("{title} has no variable {name}"));
            assert_eq!(
                (&variable["multi"], &variable["includeAll"]),
                (&true.into(), &true.into()),
                "{title}: {name}"
            );
            assert_eq!(variable["allValue"], ".+", "{title}: {name}");
        }
        let known: BTreeSet<_> =
            variables(&dashboard).iter().map(|one| format!("${{{}}}", text(one, "name"))).collect();
        for panel in panels(&dashboard) {
            for target in panel["targets"].as_array().unwrap().iter().chain([panel]) {
                assert!(known.contains(text(&target["datasource"], "uid")), "{title}: {target:#}");
            }
        }
    }
}

#[test]
fn every_panel_says_what_it_shows_in_which_unit_and_has_its_place() {
    for dashboard in dashboards() {
        let mut taken = BTreeSet::new();
        let mut titles = BTreeSet::new();
        for panel in panels(&dashboard) {
            let title = text(panel, "title");
            assert!(titles.insert(title), "{title} stands there twice");
            assert!(text(panel, "description").len() > 10, "{title} has no description");
            assert!(!text(&panel["fieldConfig"]["defaults"], "unit").is_empty(), "{title} has no unit");
            let place = |field: &str| panel["gridPos"][field].as_u64().unwrap();
            let (x, y, w, h) = (place("x"), place("y"), place("w"), place("h"));
            assert!(x + w <= 24, "{title} is out of the grid");
            let cells = (x..x + w).flat_map(|column| (y..y + h).map(move |row| (column, row)));
            for cell in cells {
                assert!(taken.insert(cell), "{title} lies on another panel");
            }
        }
    }
}

#[test]
fn queries_filter_by_service_and_instance_and_rates_take_grafanas_interval() {
    for dashboard in dashboards() {
        for panel in panels(&dashboard) {
            for expr in queries(panel, "prometheus") {
                let title = text(panel, "title");
                let range = expr.split('[').skip(1).all(|rest| rest.starts_with("$__rate_interval]"));
                assert!(range, "{title}: {expr}");
                let own = ["slo:", "ALERTS", "traces_span_metrics"].iter().any(|name| expr.contains(name));
                assert!(own || expr.contains(r#"job=~"$job",instance=~"$instance""#), "{title}: {expr}");
            }
        }
    }
}

#[test]
fn logs_are_asked_for_by_the_labels_that_the_shipper_sets() {
    let shipper = std::fs::read_to_string(folder("deploy/alloy/config.alloy")).unwrap();
    let mut seen = 0;
    for dashboard in dashboards() {
        for expr in panels(&dashboard).flat_map(|panel| queries(panel, "loki")) {
            let selector = expr.split('{').nth(1).and_then(|rest| rest.split('}').next()).unwrap();
            for label in selector.split(',').filter_map(|one| one.split(['=', '!']).next()).map(str::trim) {
                assert!(shipper.contains(&format!("\"{label}\"")), "{expr}: {label}");
            }
            assert!(
                !expr.contains("traceId=") || expr.contains("| traceId="),
                "{expr}: it is no label of a stream"
            );
            seen += 1;
        }
    }
    assert!(seen >= 3);
}

#[test]
fn alerts_lead_to_dashboards_and_variables_that_exist() {
    let all = dashboards();
    let mut seen = 0;
    for folder in
        std::fs::read_dir(folder("alerts")).unwrap().flatten().filter(|entry| entry.file_name() != "tests")
    {
        for file in std::fs::read_dir(folder.path()).unwrap().flatten() {
            let rules = std::fs::read_to_string(file.path()).unwrap();
            for url in rules.lines().filter_map(|line| line.trim().strip_prefix("dashboard_url:")) {
                let target = url.split("/d/").nth(1).unwrap().trim_end_matches('\'');
                let (id, query) = target.split_once('?').unwrap_or((target, ""));
                let found =
                    all.iter().find(|one| one["uid"] == id).unwrap_or_else(|| panic!("no dashboard {id}"));
                for name in query.split('&').filter_map(|pair| pair.split('=').next()?.strip_prefix("var-")) {
                    assert!(
                        variables(found).iter().any(|one| one["name"] == name),
                        "{id} has no variable {name}: {url}"
                    );
                }
                seen += 1;
            }
        }
    }
    assert!(seen >= 10, "alerts were read");
}
