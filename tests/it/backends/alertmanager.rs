//! Alertmanager, told by Prometheus.

use std::time::Duration;

use o11y_lab::schema::Role;

use super::{program, prometheus};
use crate::helpers::prometheus::{Server, WEBHOOK, folder, path};
use crate::helpers::{eventually_within, free_port, get, single};

#[test]
#[ignore = "needs programs that take minutes to build: make test-backends"]
fn an_alert_of_prometheus_is_delivered_by_alertmanager_with_both_of_the_labs_configurations() {
    let (_notify, notify, _temp) = single(Role::Notify, &[]);
    let text = std::fs::read_to_string(path("deploy/alertmanager/alertmanager.yml")).unwrap();
    let text = text.replace(WEBHOOK, &format!("{notify}/alerts"));
    let manager = Server::alertmanager_at(&program("alertmanager/alertmanager"), &text);
    let address = manager.url.trim_start_matches("http://");
    let dead = ("user-service".to_owned(), format!("127.0.0.1:{}", free_port()));
    let prometheus = prometheus::start(folder("lab", &[dead], Some(address)));
    let told = eventually_within(Duration::from_secs(120), "TargetDown is told", || {
        let answer = get(&format!("{notify}/alerts")).json;
        let alerts = answer["alerts"].as_array()?.clone();
        let down = |alert: &&serde_json::Value| alert["labels"]["alertname"] == "TargetDown";
        alerts.iter().find(down).cloned()
    });
    assert_eq!((&told["status"], &told["labels"]["service"]), (&"firing".into(), &"user-service".into()));
    let runbook = told["annotations"]["runbook_url"].as_str().unwrap_or_else(|| panic!("{told}"));
    assert!(runbook.starts_with(&prometheus.url), "{told}");
    assert!(get(runbook).text.starts_with("# TargetDown\n"), "{runbook}");
    assert_eq!(
        prometheus.json("/api/v1/alertmanagers")["data"]["activeAlertmanagers"].as_array().unwrap().len(),
        1
    );
}
