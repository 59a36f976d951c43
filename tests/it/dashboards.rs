//! The dashboards say nothing that the roles do not expose, and follow the rules of Grafana's own
//! dashboard-linter. That their queries return data is tested on a real Prometheus, elsewhere.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;

use crate::helpers::dashboards::{dashboards, filled_in, folder, panel_queries, panels, queries, text};
use crate::helpers::promql::Known;
use crate::helpers::rules;

/// Reads an expression against what the roles expose and the rules record; returns its labels.
pub fn check_promql(expr: &str) -> Result<BTreeSet<String>, String> {
    static KNOWN: LazyLock<Known> = LazyLock::new(|| Known::with(&rules::all()));
    let reading = KNOWN.read(expr);
    if reading.complaints.is_empty() { Ok(reading.labels) } else { Err(reading.complaints.join("; ")) }
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
fn every_quantile_of_a_histogram_comes_with_its_exemplars_once() {
    let mut seen = 0;
    for dashboard in dashboards() {
        for panel in panels(&dashboard) {
            let quantiles = panel["targets"].as_array().unwrap().iter();
            let quantiles = quantiles.filter(|one| one["expr"].as_str().unwrap_or("").contains("_quantile("));
            let flags: Vec<_> = quantiles.map(|one| one["exemplar"] == true).collect();
            let dots = flags.iter().filter(|on| **on).count();
            assert!(flags.is_empty() || dots == 1, "{}: {dots} times", text(panel, "title"));
            seen += dots;
        }
    }
    assert!(seen >= 8, "{seen}");
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
    let rules = |entry: &std::fs::DirEntry| entry.path().is_dir() && entry.file_name() != "tests";
    for folder in std::fs::read_dir(folder("alerts")).unwrap().flatten().filter(rules) {
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
