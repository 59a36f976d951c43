//! Alerts: rules, routes and runbooks, on the real promtool, amtool, Prometheus and Alertmanager.
//!
//! alerts/production is the definition. alerts/lab is derived from it, see [`profile`];
//! `UPDATE_ALERTS=1 cargo test --test it alerts` writes it, without it a difference fails.

mod cases;
pub mod live;
mod profile;
mod routes;
mod scenario;

use std::collections::BTreeSet;

use crate::helpers::prometheus::{path, tool};
use crate::helpers::promql::Known;
use crate::helpers::rules::{alerts, all, files, root};

/// The dashboards an alert may lead to.
const DASHBOARDS: [&str; 5] = ["o11y-services", "o11y-slo", "o11y-queue", "o11y-logs", "o11y-telemetry"];

#[test]
fn promtool_accepts_the_rules_and_the_configuration_of_both_profiles() {
    for profile in ["production", "lab"] {
        for file in files(&format!("alerts/{profile}")) {
            tool("promtool", &["check", "rules", &file.display().to_string()]);
        }
        let folder = crate::helpers::prometheus::folder(profile, &[], None);
        let config = folder.path().join("prometheus.yml").display().to_string();
        let said = tool("promtool", &["check", "config", &config]);
        assert_eq!(said.matches("rules found").count(), files(&format!("alerts/{profile}")).len(), "{said}");
    }
}

#[test]
fn trap_7_every_metric_label_and_value_in_a_rule_exists() {
    let rules = all();
    let known = Known::with(&rules);
    for rule in &rules {
        let complaints = known.read(&rule.expr).complaints;
        assert!(complaints.is_empty(), "{:?}{:?}: {complaints:#?}", rule.record, rule.alert);
    }
}

#[test]
fn a_metric_label_or_value_that_does_not_exist_is_noticed() {
    let known = Known::with(&all());
    for wrong in [
        "orders_total",
        "order_value",
        "orders_created_total{status=\"ok\"}",
        "orders_created_total{service=\"user-service\"}",
        "orders_errors_total{reason=\"stores\"}",
        "queue_messages_processed_total{status=~\"failed|lost\"}",
        "http_server_request_duration_seconds_bucket{le=\"0.3\"}",
        "sum by (route) (http_server_request_duration_seconds_count)",
        "slo:errors:total{route=\"/\"}",
        "up / on (slo) up",
        "histogram_quantile(0.9, sum by (service) (rate(order_value_bucket[5m])))",
        "rate(up[5m]",
    ] {
        assert!(!known.read(wrong).complaints.is_empty(), "{wrong}");
    }
}

#[test]
fn every_alert_says_how_severe_it_is_whose_it_is_and_where_to_look() {
    let known = Known::with(&all());
    for (name, rule) in alerts() {
        let severity = rule.labels.get("severity").map(String::as_str);
        assert!(matches!(severity, Some("critical" | "warning")), "{name}: {severity:?}");
        let labels = known.read(&rule.expr).labels;
        assert!(labels.contains("service") || rule.labels.contains_key("service"), "{name}: no service");
        let annotations: Vec<_> = rule.annotations.keys().map(String::as_str).collect();
        assert_eq!(annotations, ["dashboard_url", "description", "runbook_url", "summary"], "{name}");
        // `{{ externalURL }}`, the function, is an error in promtool 2.42; the variable is not.
        assert_eq!(rule.annotations["runbook_url"], format!("{{{{ $externalURL }}}}/user/{name}.md"));
        let board = rule.annotations["dashboard_url"].strip_prefix("http://localhost:3100/d/");
        let uid = board.and_then(|rest| rest.split('?').next()).unwrap_or_default();
        assert!(DASHBOARDS.contains(&uid), "{name}: {uid}");
    }
}

#[test]
fn every_alert_has_a_runbook_and_every_runbook_an_alert() {
    let entries = std::fs::read_dir(root().join("docs/runbooks")).unwrap().flatten();
    let pages: BTreeSet<_> = entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    let wanted: BTreeSet<_> = alerts().into_iter().map(|(name, _)| format!("{name}.md")).collect();
    assert_eq!(pages, wanted);
}

#[test]
fn every_runbook_explains_asks_opens_a_trace_fixes_and_rehearses_with_queries_that_can_answer() {
    let known = Known::with(&all());
    for (name, _) in alerts() {
        let text = std::fs::read_to_string(path(&format!("docs/runbooks/{name}.md"))).unwrap();
        assert!(text.starts_with(&format!("# {name}\n")), "{name}");
        for part in ["## What it means", "## Look", "## Trace", "## Fix", "## Make it happen"] {
            assert!(text.contains(&format!("\n{part}\n")), "{name}: no {part}");
        }
        let queries: Vec<_> =
            text.split("```promql\n").skip(1).filter_map(|rest| rest.split("\n```").next()).collect();
        assert!(!queries.is_empty(), "{name}: no query");
        for query in queries {
            let complaints = known.read(query).complaints;
            assert!(complaints.is_empty(), "{name}: {complaints:#?}");
        }
    }
}

#[test]
fn trap_6_burn_rates_have_the_workbooks_factors_and_both_their_windows() {
    let all = alerts();
    for (name, factor, long, short) in [
        ("ErrorBudgetFastBurn", "14.4 * ", "1h", "5m"),
        ("ErrorBudgetMediumBurn", "6 * ", "6h", "30m"),
        ("ErrorBudgetSlowBurn", "3 * ", "1d", "2h"),
        ("ErrorBudgetCreepingBurn", "", "3d", "6h"),
    ] {
        let (_, rule) = all.iter().find(|(alert, _)| alert == name).unwrap_or_else(|| panic!("no {name}"));
        for window in [long, short] {
            let part = format!("slo:sli_error:ratio_rate{window} > {factor}slo:error_budget:ratio\n");
            assert!(rule.expr.contains(&part), "{name}: {part}");
        }
    }
}

#[test]
fn every_alert_and_setting_is_listed_in_the_document() {
    let text = std::fs::read_to_string(path("docs/alerts.md")).unwrap();
    for (name, rule) in alerts() {
        let line = format!("| [{name}](runbooks/{name}.md) | {} |", rule.labels["severity"]);
        assert!(text.contains(&line), "docs/alerts.md: {line}");
    }
}
