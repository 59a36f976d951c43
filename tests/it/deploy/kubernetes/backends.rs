//! What is beside the roles: the same images, files and rules as elsewhere, and the autoscaler's metric.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use o11y_lab::schema::{QueueUse, SERVICES};
use serde_json::{Value, json};

use super::{FOLDERS, kinds, name, named, objects, pod};
use crate::dashboards::check_promql;
use crate::deploy::{list, read, yaml};
use crate::helpers::dashboards::folder;

/// The texts of a folder by file name.
fn texts(of: &str) -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(folder(of)).unwrap().flatten();
    let names = entries.map(|entry| entry.file_name().into_string().unwrap());
    names.map(|name| (name.clone(), read(&format!("{of}/{name}")))).collect()
}

#[test]
fn the_backends_of_kubernetes_are_those_of_compose() {
    let (all, compose) = (objects("overlays/backends"), yaml("compose.yaml"));
    let mut seen = BTreeSet::new();
    for workload in kinds(&all, &["Deployment", "StatefulSet"]) {
        let one = &compose["services"][name(workload)];
        if one["image"] != "o11y-lab:local" {
            assert_eq!(pod(workload).1["image"], one["image"], "{}", name(workload));
            seen.insert(name(workload));
        }
    }
    assert_eq!(seen, BTreeSet::from(["alertmanager", "jaeger", "postgres", "prometheus", "redis"]));
}

#[test]
fn every_rule_and_every_runbook_is_in_the_cluster_too() {
    let all = objects("overlays/backends");
    for (map, of) in [
        ("alert-rules-lab", "alerts/lab"),
        ("alert-rules-production", "alerts/production"),
        ("runbooks", "docs/runbooks"),
    ] {
        assert_eq!(named(&all, "ConfigMap", map)["data"], json!(texts(of)), "{map}");
    }
}

#[test]
fn every_config_map_and_secret_that_a_pod_names_is_there_or_the_users() {
    for of in FOLDERS {
        let all = objects(of);
        for workload in kinds(&all, &["Deployment", "StatefulSet"]) {
            let (pod, container) = pod(workload);
            for map in pod["volumes"].as_array().into_iter().flatten() {
                if let Some(map) = map["configMap"]["name"].as_str() {
                    named(&all, "ConfigMap", map);
                }
            }
            for one in container["env"].as_array().into_iter().flatten() {
                let Some(key) = one["valueFrom"].get("secretKeyRef") else { continue };
                // The base leaves where rows and messages are to others; the vendor's headers are a person's.
                if of != "base" && key["name"] != "otlp" {
                    let secret = named(&all, "Secret", key["name"].as_str().unwrap());
                    assert!(secret["data"].get(key["key"].as_str().unwrap()).is_some(), "{key}");
                }
            }
        }
    }
}

#[test]
fn prometheus_in_the_cluster_scrapes_every_pod_under_the_names_that_rules_use() {
    let mut ours = yaml("deploy/kubernetes/overlays/backends/prometheus.yml");
    let jobs = ours.as_object_mut().unwrap().remove("scrape_configs").unwrap();
    let mut theirs = yaml("deploy/prometheus/prometheus.yml");
    theirs.as_object_mut().unwrap().remove("scrape_configs");
    assert_eq!(ours, theirs, "all but the lists of targets");

    let all = objects("overlays/backends");
    let listed: Value = serde_json::from_str(&read("deploy/prometheus/targets/compose.json")).unwrap();
    let listed = listed.as_array().unwrap();
    assert_eq!(jobs.as_array().unwrap().len(), listed.len());
    for (job, group) in jobs.as_array().unwrap().iter().zip(listed) {
        assert_eq!(job["job_name"], group["labels"]["job"]);
        let target = list(&group["targets"])[0];
        let (host, port) = target.split_once(':').unwrap();
        if SERVICES.iter().any(|role| role.command == host) {
            let pods = format!("{host}-pods");
            assert_eq!(list(&job["dns_sd_configs"][0]["names"]), [pods.as_str()]);
            assert_eq!(job["dns_sd_configs"][0]["port"].to_string(), port);
            assert_eq!(job["relabel_configs"][0]["replacement"], group["labels"]["service"]);
            let service = &named(&all, "Service", &pods)["spec"];
            assert_eq!(
                (&service["clusterIP"], &service["selector"]["app.kubernetes.io/name"]),
                (&json!("None"), &json!(host))
            );
        } else {
            // No policy is needed for oneself.
            let target = target.replace("prometheus:", "localhost:");
            assert_eq!(list(&job["static_configs"][0]["targets"]), [target]);
            assert_eq!(job["static_configs"][0]["labels"]["service"], group["labels"]["service"]);
        }
    }
}

#[test]
fn the_autoscaler_of_the_consumer_asks_for_what_the_adapter_computes_of_series_that_exist() {
    let all = objects("overlays/backends");
    let consumer = SERVICES.iter().find(|role| role.queue == QueueUse::Consumes).unwrap();
    let scaler = &named(&all, "HorizontalPodAutoscaler", consumer.command)["spec"];
    assert_eq!(scaler["scaleTargetRef"]["name"], consumer.command);
    assert!(named(&all, "Deployment", consumer.command)["spec"]["replicas"].is_null(), "who decides is one");

    let rule = named(&all, "ConfigMap", "prometheus-adapter")["data"]["config.yaml"].as_str().unwrap();
    let rule: Value = serde_yaml_ng::from_str(rule).unwrap();
    let rule = &rule["externalRules"][0];
    assert_eq!(rule["name"]["as"], scaler["metrics"][0]["external"]["metric"]["name"]);
    for query in ["metricsQuery", "seriesQuery"] {
        let query = rule[query].as_str().unwrap();
        check_promql(query).unwrap_or_else(|error| panic!("{query}: {error}"));
    }
}

#[test]
fn prometheus_and_alertmanager_take_the_files_as_the_cluster_mounts_them() {
    let (all, temp) = (objects("overlays/backends"), tempfile::tempdir().unwrap());
    for (map, place) in [
        ("prometheus", "."),
        ("alert-rules-lab", "rules"),
        ("prometheus-alertmanagers", "alertmanagers"),
        ("alertmanager", "told"),
    ] {
        let place = temp.path().join(place);
        std::fs::create_dir_all(&place).unwrap();
        for (file, text) in named(&all, "ConfigMap", map)["data"].as_object().unwrap() {
            std::fs::write(place.join(file), text.as_str().unwrap()).unwrap();
        }
    }
    for (program, args) in [
        ("promtool", &["check", "config", "prometheus.yml"][..]),
        ("amtool", &["check-config", "told/alertmanager.yml"]),
    ] {
        let run = Command::new(program).args(args).current_dir(temp.path()).output();
        let run = run.unwrap_or_else(|error| panic!("{program}: {error}; scripts/provision installs it"));
        assert!(
            run.status.success(),
            "{}{}",
            String::from_utf8_lossy(&run.stdout),
            String::from_utf8_lossy(&run.stderr)
        );
    }
}
