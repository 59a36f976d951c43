//! deploy/kubernetes: the service table's roles with their probes, variables and rights. The objects are those that
//! `tests/tools/kubernetes.py` makes of the kustomizations; that kustomize makes the same, `make test-kubernetes` shows.

mod backends;
mod network;
mod resource;

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::OnceLock;

use o11y_lab::schema::{QueueUse, Role, SERVICES};
use serde_json::{Value, json};

use super::list;
use crate::helpers::dashboards::folder;
use crate::helpers::tools::tool;

/// What can be built: the roles alone, and the two that can be applied.
const FOLDERS: [&str; 3] = ["base", "overlays/backends", "overlays/otlp-vendor"];
/// The oldest API that has all the fields (a container's `preStop.sleep`), and the newest that the tool has.
const VERSIONS: [&str; 2] = ["1.30", "1.37"];

/// A run of the tool on one of the folders, or on a file.
#[track_caller]
fn asked(args: &[&str]) -> Vec<u8> {
    let run = tool("kubernetes.py").args(args).current_dir(folder("")).output().unwrap();
    let said = [&run.stdout[..], &run.stderr[..]].concat();
    assert!(run.status.success(), "{args:?}: {}", String::from_utf8_lossy(&said));
    run.stdout
}

/// The objects of one of the folders, which are made once for all tests.
#[track_caller]
fn objects(of: &str) -> Vec<Value> {
    static MADE: [OnceLock<Vec<Value>>; FOLDERS.len()] = [const { OnceLock::new() }; FOLDERS.len()];
    let place = FOLDERS.iter().position(|folder| *folder == of).expect("one of the folders");
    let make = || serde_json::from_slice(&asked(&["render", &format!("deploy/kubernetes/{of}")])).unwrap();
    MADE[place].get_or_init(make).clone()
}

/// The objects of a kind.
fn kinds<'a>(all: &'a [Value], kinds: &'a [&str]) -> impl Iterator<Item = &'a Value> {
    all.iter().filter(|one| kinds.iter().any(|kind| one["kind"] == *kind))
}

#[track_caller]
fn named<'a>(all: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let found = all.iter().find(|one| one["kind"] == kind && one["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("no {kind} {name}"))
}

fn name(one: &Value) -> &str {
    one["metadata"]["name"].as_str().unwrap()
}

/// The pod of a workload, and its one container.
fn pod(workload: &Value) -> (&Value, &Value) {
    let pod = &workload["spec"]["template"]["spec"];
    assert_eq!(pod["containers"].as_array().unwrap().len(), 1, "{}", name(workload));
    (pod, &pod["containers"][0])
}

/// A variable of a container: its value, or where it is from.
fn variable<'a>(container: &'a Value, name: &str) -> Option<&'a Value> {
    let mut all = container["env"].as_array().into_iter().flatten();
    let found = all.find(|one| one["name"] == name)?;
    Some(found.get("value").unwrap_or(&found["valueFrom"]))
}

#[test]
fn kubernetes_api_would_take_every_object_that_the_kustomizations_make() {
    for of in FOLDERS {
        asked(&["validate", &format!("deploy/kubernetes/{of}"), VERSIONS[0], VERSIONS[1]]);
    }
}

#[test]
fn kubernetes_has_every_role_under_its_command_port_and_name() {
    let all = objects("base");
    let roles: BTreeSet<_> = kinds(&all, &["Deployment"]).map(name).collect();
    assert_eq!(roles, SERVICES.iter().map(|role| role.command).collect());
    for role in &SERVICES {
        let deployment = named(&all, "Deployment", role.command);
        let (_, container) = pod(deployment);
        assert_eq!(list(&container["args"]), [role.command]);
        assert_eq!(container["ports"], json!([{"name": "http", "containerPort": role.port()}]));
        assert_eq!(variable(container, "PORT"), Some(&json!(role.port().to_string())));
        let labels = &deployment["spec"]["template"]["metadata"]["labels"];
        assert_eq!(labels["lab.o11y.service"], role.name);
        let service = &named(&all, "Service", role.command)["spec"];
        assert_eq!(service["ports"][0]["port"], role.port(), "where the others look for it");
        let budget = &named(&all, "PodDisruptionBudget", role.command)["spec"];
        for selector in [&service["selector"], &budget["selector"]["matchLabels"]] {
            assert_eq!(*selector, json!({"app.kubernetes.io/name": labels["app.kubernetes.io/name"]}));
        }
        assert!(deployment["spec"]["replicas"].as_u64() > budget["maxUnavailable"].as_u64(), "one stays");
    }
}

#[test]
fn kubernetes_tells_each_role_where_rows_messages_and_the_others_are() {
    let all = objects("base");
    for role in &SERVICES {
        let deployment = named(&all, "Deployment", role.command);
        let (_, container) = pod(deployment);
        let labels = &deployment["spec"]["template"]["metadata"]["labels"];
        let database = variable(container, "DATABASE_URL");
        assert_eq!(database.is_some(), role.store.is_some(), "{}", role.command);
        assert!(database.is_none_or(|from| from["secretKeyRef"]["name"] == "database"), "not in the open");
        assert_eq!(labels.get("lab.o11y.store").is_some(), role.store.is_some(), "{}", role.command);
        let queue = match role.queue {
            QueueUse::None => Value::Null,
            QueueUse::Publishes => json!("publishes"),
            QueueUse::Consumes => json!("consumes"),
        };
        assert_eq!(labels["lab.o11y.queue"], queue, "{}", role.command);
        assert_eq!(variable(container, "QUEUE_TRANSPORT").is_some(), role.queue != QueueUse::None);
        let broker = variable(container, "REDIS_URL");
        assert_eq!(broker.is_some_and(|from| from["secretKeyRef"]["name"] == "queue"), !queue.is_null());
        for needed in role.needs.iter().map(|needed| needed.service()) {
            let url = format!("http://{}:{}", needed.command, needed.port());
            assert_eq!(variable(container, needed.url_variable.unwrap()), Some(&json!(url)));
        }
    }
}

#[test]
fn kubernetes_asks_health_for_life_and_ready_for_requests() {
    let all = objects("base");
    for deployment in kinds(&all, &["Deployment"]) {
        let (pod, container) = pod(deployment);
        let probes = ["startupProbe", "livenessProbe", "readinessProbe"];
        let paths = probes.map(|probe| container[probe]["httpGet"]["path"].as_str().unwrap());
        assert_eq!(paths, ["/health", "/health", "/ready"]);
        assert!(probes.iter().all(|probe| container[probe]["httpGet"]["port"] == "http"));
        let wait = container["lifecycle"]["preStop"]["sleep"]["seconds"].as_u64().unwrap();
        let grace: u64 = variable(container, "SHUTDOWN_GRACE").unwrap().as_str().unwrap().parse().unwrap();
        // Telemetry is flushed within three seconds after the grace.
        let longest = wait + grace + 4;
        assert!(pod["terminationGracePeriodSeconds"].as_u64().unwrap() > longest, "or the drain is killed");
        assert_eq!(pod["topologySpreadConstraints"][0]["topologyKey"], "kubernetes.io/hostname");
    }
}

#[test]
fn no_pod_of_kubernetes_has_a_right_that_it_does_not_need() {
    for all in FOLDERS.map(objects) {
        assert_eq!(
            named(&all, "Namespace", "o11y-lab")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"],
            "restricted"
        );
        for workload in kinds(&all, &["Deployment", "StatefulSet"]) {
            let (who, (pod, container)) = (name(workload), pod(workload));
            assert_eq!(pod["automountServiceAccountToken"], false, "{who}");
            assert_eq!(pod["enableServiceLinks"], false, "{who}");
            assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{who}");
            assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault", "{who}");
            let context = json!({"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                "capabilities": {"drop": ["ALL"]}});
            assert_eq!(container["securityContext"], context, "{who}");
            for bound in [&container["resources"]["requests"], &container["resources"]["limits"]] {
                assert!(bound["memory"].is_string(), "{who}");
            }
            assert!(container["resources"]["requests"]["cpu"].is_string(), "{who}");
            assert!(
                container["livenessProbe"].is_object() && container["readinessProbe"].is_object(),
                "{who}"
            );
        }
    }
}

#[test]
fn the_program_reads_every_variable_that_kubernetes_gives_it() {
    let program = o11y_lab::cli::command();
    for all in FOLDERS.map(objects) {
        for role in &SERVICES {
            let command = program.find_subcommand(role.command).unwrap();
            let known: BTreeSet<_> =
                command.get_arguments().filter_map(|arg| arg.get_env()?.to_str()).collect();
            let (_, container) = pod(named(&all, "Deployment", role.command));
            for one in container["env"].as_array().unwrap() {
                let name = one["name"].as_str().unwrap();
                // Those are for OTEL_RESOURCE_ATTRIBUTES.
                assert!(known.contains(name) || name.starts_with("POD_"), "nothing reads {name}");
                assert_ne!(name, "FAULTS_ENABLED", "anybody could break it");
            }
        }
    }
}

#[test]
fn each_overlay_says_where_all_three_signals_go() {
    for (of, endpoint, logs, metrics) in [
        ("overlays/backends", "http://jaeger:4318", "none", "prometheus"),
        ("overlays/otlp-vendor", "https://otlp.example.com", "otlp", "otlp"),
    ] {
        let all = objects(of);
        for role in &SERVICES {
            let (_, container) = pod(named(&all, "Deployment", role.command));
            let said = |name| variable(container, name).and_then(Value::as_str);
            assert_eq!(said("OTEL_EXPORTER_OTLP_ENDPOINT"), Some(endpoint));
            assert_eq!(said("OTEL_LOGS_EXPORTER"), Some(logs));
            assert_eq!(said("OTEL_METRICS_EXPORTER"), Some(metrics));
        }
    }
    let all = objects("overlays/otlp-vendor");
    let (_, container) = pod(named(&all, "Deployment", Role::Lambda.as_str()));
    let headers = variable(container, "OTEL_EXPORTER_OTLP_HEADERS").unwrap();
    assert_eq!(headers["secretKeyRef"], json!({"name": "otlp", "key": "headers"}));
}

#[test]
#[ignore = "needs kustomize, which Go builds: make test-kubernetes"]
fn kustomize_builds_what_the_suite_has_read() {
    let program = folder(".tools/backends/kustomize/kustomize");
    assert!(program.exists(), "scripts/backends kustomize builds it");
    let temp = tempfile::tempdir().unwrap();
    for of in FOLDERS {
        let mut command = Command::new(&program);
        let run =
            command.args(["build", &format!("deploy/kubernetes/{of}")]).current_dir(folder("")).output();
        let run = run.unwrap();
        assert!(run.status.success(), "{of}: {}", String::from_utf8_lossy(&run.stderr));
        let file = temp.path().join("built.yaml");
        std::fs::write(&file, run.stdout).unwrap();
        let built: Value = serde_json::from_slice(&asked(&["plain", file.to_str().unwrap()])).unwrap();
        assert_eq!(built, Value::from(objects(of)), "{of}");
    }
}
