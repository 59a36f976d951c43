//! The dashboards as tests see them: panels, and their queries with the variables filled in.

use std::path::PathBuf;

use serde_json::Value;

/// The repository's folder of this name.
pub fn folder(name: &str) -> PathBuf {
    super::rules::root().join(name)
}

/// Every dashboard, by file name.
pub fn dashboards() -> Vec<Value> {
    let mut files: Vec<_> = std::fs::read_dir(folder("dashboards"))
        .expect("the folder dashboards")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .collect();
    files.sort();
    let read = |path: &PathBuf| std::fs::read_to_string(path).expect("a file that can be read");
    files.iter().map(|path| serde_json::from_str(&read(path)).expect("JSON")).collect()
}

/// The panels of a dashboard that show something; rows are not among them.
pub fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    dashboard["panels"].as_array().expect("panels").iter().filter(|panel| panel["type"] != "row")
}

/// A field that has to be a text.
pub fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("no text {field} in {value:#}"))
}

/// The queries of a panel for data sources of this type, as they stand in the file.
pub fn queries<'a>(panel: &'a Value, kind: &str) -> Vec<&'a str> {
    let targets = panel["targets"].as_array().expect("targets").iter();
    targets.filter(|one| one["datasource"]["type"] == kind).filter_map(|one| one["expr"].as_str()).collect()
}

/// What Grafana would send with "All" chosen everywhere and an empty text box.
pub fn filled_in(expr: &str) -> String {
    let variables = [
        ("$__rate_interval", "30s"),
        ("$__auto", "30s"),
        ("$instance", ".+"),
        ("$service", ".+"),
        ("$job", ".+"),
        ("$slo", ".+"),
        ("$level", ".+"),
        ("$trace", ""),
        ("$search", ""),
    ];
    variables.iter().fold(expr.to_owned(), |text, (name, value)| text.replace(name, value))
}

/// Every PromQL query of every panel: the dashboard's title, the panel's title, the expression with
/// its variables filled in.
pub fn panel_queries() -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    for dashboard in dashboards() {
        for panel in panels(&dashboard) {
            let names = (text(&dashboard, "title").to_owned(), text(panel, "title").to_owned());
            for expr in queries(panel, "prometheus") {
                found.push((names.0.clone(), names.1.clone(), filled_in(expr)));
            }
        }
    }
    found
}

/// What a panel waits for that a healthy lab under mixed traffic has not: a failure, or a program
/// that `o11y-lab up` does not start. Every other panel has to show data there.
pub fn waits_for(dashboard: &str, panel: &str) -> Option<&'static str> {
    match (dashboard, panel) {
        ("SLO", "Alerts over time") => Some("an alert that fires"),
        ("Logs and traces", "Spans a second" | "Duration of spans, p95") => Some("Jaeger's span metrics"),
        ("Logs and traces", "Failed spans a second") => Some("Jaeger's span metrics, and a span that failed"),
        _ => None,
    }
}

/// Asks a Prometheus, such as `http://127.0.0.1:9090`, every query of every panel, and returns those
/// without data as (dashboard, panel, expression). An error of the query's own fails at once.
pub fn empty_panels(prometheus: &str) -> Vec<(String, String, String)> {
    panel_queries().into_iter().filter(|(_, _, expr)| !has_data(prometheus, expr)).collect()
}

fn has_data(prometheus: &str, expr: &str) -> bool {
    !super::backend::query(prometheus, expr).is_empty()
}
