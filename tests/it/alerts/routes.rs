//! Who is told: Alertmanager's configuration, asked through amtool.

use std::collections::BTreeSet;

use serde_yaml_ng::Value;

use crate::helpers::prometheus::{WEBHOOK, path, tool};
use crate::helpers::rules::{alerts, all, yaml};

const FILE: &str = "deploy/alertmanager/alertmanager.yml";

fn text() -> String {
    std::fs::read_to_string(path(FILE)).unwrap()
}

/// Fails unless an alert with these labels goes to this receiver and no other.
#[track_caller]
fn assert_route(receiver: &str, labels: &[String]) {
    let (config, verify) =
        (format!("--config.file={}", path(FILE)), format!("--verify.receivers={receiver}"));
    let mut args = vec!["config", "routes", "test", &config, &verify];
    args.extend(labels.iter().map(String::as_str));
    tool("amtool", &args);
}

#[test]
fn amtool_accepts_the_configuration_and_the_webhook_stands_in_it_once() {
    tool("amtool", &["check-config", &path(FILE)]);
    assert_eq!(text().matches(WEBHOOK).count(), 1);
}

#[test]
fn the_documented_receivers_for_people_are_valid_and_take_their_secrets_from_files() {
    let options: Vec<_> = text()
        .lines()
        .skip_while(|line| !line.starts_with("#   slack_configs:"))
        .take_while(|line| line.starts_with("#   "))
        .map(|line| format!("  {}\n", line.trim_start_matches('#')))
        .collect();
    let options = options.concat().replace("\n     ", "\n    ").replacen("     ", "    ", 1);
    for secret in ["api_url_file", "routing_key_file", "auth_password_file"] {
        assert!(options.contains(secret), "{options}");
    }
    let config =
        text().replace("    webhook_configs: &lab\n", &format!("{options}    webhook_configs: &lab\n"));
    let temp = tempfile::tempdir().unwrap();
    let file = temp.path().join("alertmanager.yml");
    std::fs::write(&file, config).unwrap();
    tool("amtool", &["check-config", &file.display().to_string()]);
}

#[test]
fn every_severity_service_and_slo_goes_to_its_receiver() {
    let services = o11y_lab::schema::SERVICES.iter().map(|service| service.name);
    for service in services.chain(["prometheus", "loki", "alertmanager"]) {
        for (severity, receiver) in [("critical", "pager"), ("warning", "ticket")] {
            let labels = vec![format!("severity={severity}"), format!("service={service}")];
            assert_route(receiver, &labels);
            for slo in slos() {
                let short = slo.trim_start_matches("gateway-");
                let labels = [labels.clone(), vec![format!("slo={slo}")]].concat();
                assert_route(&format!("{receiver}-{short}"), &labels);
            }
        }
    }
    assert_route("ticket", &["alertname=Unheard".to_owned()]);
}

fn slos() -> BTreeSet<String> {
    let found: BTreeSet<_> = all().into_iter().filter_map(|rule| rule.labels.get("slo").cloned()).collect();
    assert!(found.len() >= 2, "{found:?}");
    found
}

#[test]
fn trap_12_every_label_value_that_a_route_or_an_inhibition_names_is_set_by_an_alert() {
    let mut set = BTreeSet::new();
    for (name, rule) in alerts() {
        set.insert(format!("alertname=\"{name}\""));
        set.extend(rule.labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")));
    }
    set.extend(slos().iter().map(|slo| format!("slo=\"{slo}\"")));
    let mut named = Vec::new();
    matchers(&yaml(path(FILE).as_ref()), &mut named);
    assert!(named.len() > 10, "{named:?}");
    for matcher in named {
        let exact = matcher.replace("!=", "=");
        let presence = matcher.ends_with("=~\".+\"");
        assert!(presence || set.contains(&exact), "{matcher}: among {set:?}");
    }
}

/// Every matcher below a node.
fn matchers(node: &Value, found: &mut Vec<String>) {
    match node {
        Value::Mapping(map) => {
            for (key, value) in map {
                if key.as_str().is_some_and(|key| key.ends_with("matchers")) {
                    let list = value.as_sequence().into_iter().flatten().filter_map(Value::as_str);
                    found.extend(list.map(str::to_owned));
                } else {
                    matchers(value, found);
                }
            }
        }
        Value::Sequence(list) => list.iter().for_each(|value| matchers(value, found)),
        _ => {}
    }
}

#[test]
fn no_inhibition_counts_a_label_that_both_sides_lack_as_equal() {
    let config: Value = yaml(path(FILE).as_ref());
    for rule in config["inhibit_rules"].as_sequence().unwrap() {
        for side in ["source_matchers", "target_matchers"] {
            let mut found = Vec::new();
            matchers(&Value::Mapping([(side.into(), rule[side].clone())].into_iter().collect()), &mut found);
            let some = rule["equal"].as_sequence().unwrap().iter().filter_map(Value::as_str);
            let guarded = some.clone().any(|label| found.contains(&format!("{label}=~\".+\"")));
            assert!(guarded, "{side} of {rule:?}");
        }
    }
}
