//! The promtool cases of alerts/tests, in both profiles, and whether they are complete.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;

use super::profile::faster;
use crate::helpers::prometheus::{path, tool};
use crate::helpers::promql::Known;
use crate::helpers::rules::{alerts, all, files, of, yaml};

/// A file of cases, as promtool has it.
#[derive(Deserialize)]
struct Cases {
    rule_files: Vec<String>,
    tests: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    input_series: Vec<Series>,
    promql_expr_test: Vec<Check>,
}

#[derive(Deserialize)]
struct Series {
    series: String,
}

#[derive(Deserialize)]
struct Check {
    expr: String,
    #[serde(default)]
    exp_samples: Vec<Sample>,
}

#[derive(Deserialize)]
struct Sample {
    labels: String,
}

impl Case {
    /// The alerts that fire at some time of the case, with all their labels.
    fn firing(&self) -> impl Iterator<Item = &str> {
        let checks = self.promql_expr_test.iter().filter(|check| check.expr.starts_with("ALERTS{"));
        checks.flat_map(|check| &check.exp_samples).map(|sample| sample.labels.as_str())
    }

    fn fires(&self, alert: &str) -> bool {
        self.firing().any(|labels| labels.contains(&format!("alertname=\"{alert}\"")))
    }

    /// The metrics it feeds.
    fn feeds(&self) -> BTreeSet<&str> {
        self.input_series.iter().filter_map(|input| input.series.split('{').next()).collect()
    }

    /// Whether it says at some time what fires, be it nothing.
    fn asks_for_alerts(&self) -> bool {
        self.promql_expr_test.iter().any(|check| check.expr == "ALERTS{alertstate=\"firing\"}")
    }
}

#[test]
fn every_case_holds_in_production() {
    for file in files("alerts/tests") {
        tool("promtool", &["test", "rules", &file.display().to_string()]);
    }
}

#[test]
fn every_case_holds_in_the_lab() {
    let temp = tempfile::tempdir().unwrap();
    for file in files("alerts/tests") {
        let derived = temp.path().join(file.file_name().unwrap());
        std::fs::write(&derived, lab_of(&file)).unwrap();
        tool("promtool", &["test", "rules", &derived.display().to_string()]);
    }
}

/// The same cases on the lab's clock. Those called steady depend on seconds that are not of the
/// clock (CPU time): they do the same for longer than either profile waits, and stay as they are.
fn lab_of(file: &Path) -> String {
    let text = std::fs::read_to_string(file).unwrap();
    let steady = file.to_string_lossy().ends_with(".steady.yml");
    let text = if steady { text } else { faster(&text) };
    text.replace("../production/", &format!("{}/", path("alerts/lab")))
}

#[test]
fn every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() {
    let known = Known::with(&all());
    let files: Vec<(Cases, BTreeSet<String>)> = files("alerts/tests")
        .iter()
        .map(|file| {
            let cases: Cases = yaml(file);
            let rules = cases.rule_files.iter().flat_map(|rules| of(&file.parent().unwrap().join(rules)));
            let loaded = rules.filter_map(|rule| rule.alert).collect();
            (cases, loaded)
        })
        .collect();
    for (alert, rule) in alerts() {
        let sources = known.read(&rule.expr).sources;
        let cases: Vec<_> = files
            .iter()
            .filter(|(_, loaded)| loaded.contains(&alert))
            .flat_map(|(cases, _)| &cases.tests)
            .filter(|case| case.asks_for_alerts())
            .collect();
        assert!(cases.iter().any(|case| case.fires(&alert)), "{alert} fires in no case");
        // A case is about an alert where it feeds what the alert looks at.
        let about = |case: &&Case| case.feeds().iter().any(|metric| sources.contains(*metric));
        let quiet = cases.iter().copied().filter(about).any(|case| !case.fires(&alert));
        assert!(quiet, "there is no case in which {alert} could fire and does not");
    }
}

#[test]
fn every_alert_that_fires_has_its_severity_and_a_service() {
    for file in files("alerts/tests") {
        for case in yaml::<Cases>(&file).tests {
            for labels in case.firing() {
                for label in ["severity=\"", "service=\""] {
                    assert!(labels.contains(label), "{}: {labels}", case.name);
                }
            }
        }
    }
}

#[test]
fn every_recorded_series_is_looked_at_in_a_case() {
    let cases: Vec<Cases> = files("alerts/tests").iter().map(|file| yaml(file)).collect();
    let checks = cases.iter().flat_map(|file| &file.tests).flat_map(|case| &case.promql_expr_test);
    let text: String = checks.map(|check| format!("{}\n", check.expr)).collect();
    for name in all().into_iter().filter_map(|rule| rule.record) {
        assert!(text.contains(&name), "{name}");
    }
}

#[test]
fn trap_9_a_dead_consumer_and_a_dead_target_fire_without_metrics_of_their_own() {
    let mut found = BTreeMap::new();
    for file in files("alerts/tests") {
        for case in yaml::<Cases>(&file).tests {
            found.insert(case.name.clone(), case);
        }
    }
    let dead = &found["a dead consumer says nothing; the publisher sees the lag"];
    assert!(dead.fires("QueueConsumerStalled"));
    assert!(found["a dead consumer has sent none"].fires("NotificationDeliveryLow"));
    assert!(found["3m without an answer pages, of a role and of a backend"].fires("TargetDown"));
}
