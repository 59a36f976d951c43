//! compose.yaml: the whole service table, nothing unpinned, nothing beyond this machine.

use std::collections::{BTreeMap, BTreeSet};

use clap::ValueEnum;
use o11y_lab::config::Transport;
use o11y_lab::schema::{QueueUse, SERVICES};
use serde_json::{Map, Value};

use super::{addresses, assert_tool, list, yaml};
use crate::helpers::dashboards::folder;

/// Ports of this machine, by service: those that the issue and the documents name.
const PUBLISHED: &[(&str, u16, u16)] = &[
    ("jaeger", 16686, 16686),
    ("prometheus", 9090, 9090),
    ("grafana", 3100, 3100),
    ("alertmanager", 9093, 9093),
    ("loki", 3110, 3100),
    ("rabbitmq", 15672, 15672),
];
/// Who holds rows or messages: reached from the private network only.
const STORES: &[&str] = &["postgres", "redis", "rabbitmq", "kafka", "sqs"];

fn services() -> Map<String, Value> {
    yaml("compose.yaml")["services"].as_object().unwrap().clone()
}

/// The services of `docker compose up` without a profile.
fn by_default(services: &Map<String, Value>) -> impl Iterator<Item = (&String, &Value)> {
    services.iter().filter(|(_, service)| service["profiles"].is_null())
}

#[test]
fn compose_is_what_the_compose_specification_allows() {
    assert_tool("check-jsonschema", &["--builtin-schema", "vendor.compose-spec", "compose.yaml"]);
}

#[test]
fn compose_runs_every_role_on_its_port_from_one_image() {
    let services = services();
    for role in &SERVICES {
        let one = services.get(role.command).unwrap_or_else(|| panic!("no service {}", role.command));
        let port = role.port();
        assert_eq!(list(&one["command"]), [role.command]);
        assert_eq!(one["image"], "o11y-lab:local");
        assert_eq!(list(&one["ports"]), [format!("127.0.0.1:{port}:{port}")]);
        assert_eq!(one["labels"]["lab.o11y.service"], role.name, "or no log line would lead to a trace");
        assert_eq!(one["environment"]["HOST"], "0.0.0.0");
        let check = list(&one["healthcheck"]["test"]);
        assert_eq!(check[2..], ["healthcheck", "--url", &format!("http://127.0.0.1:{port}/ready")]);
        assert_eq!(
            one["environment"].get("DATABASE_URL").is_some(),
            role.store.is_some(),
            "{}",
            role.command
        );
        let queue = one["environment"].get("QUEUE_TRANSPORT").is_some();
        assert_eq!(queue, role.queue != QueueUse::None, "{}", role.command);
        for needed in role.needs {
            let condition = &one["depends_on"][needed.as_str()]["condition"];
            assert_eq!(condition, "service_healthy", "{} needs {needed}", role.command);
        }
    }
}

#[test]
fn the_program_understands_every_command_and_variable_that_compose_gives_it() {
    let program = o11y_lab::cli::command();
    for (name, service) in services().iter().filter(|(_, one)| one["image"] == "o11y-lab:local") {
        let words = list(&service["command"]);
        let parsed = program.clone().try_get_matches_from([&["o11y-lab"], &words[..]].concat());
        assert!(parsed.is_ok(), "{name}: {}", parsed.unwrap_err());
        let command = program.find_subcommand(words[0]).unwrap();
        let known: BTreeSet<_> = command.get_arguments().filter_map(|arg| arg.get_env()?.to_str()).collect();
        for variable in service["environment"].as_object().into_iter().flat_map(Map::keys) {
            assert!(known.contains(variable.as_str()), "{name}: nothing reads {variable}");
        }
    }
}

#[test]
fn compose_has_a_profile_with_a_broker_for_every_transport() {
    let services = services();
    for transport in Transport::value_variants().iter().filter(|one| **one != Transport::Embedded) {
        let name = transport.as_str();
        let broker = services.get(name).unwrap_or_else(|| panic!("no broker for {name}"));
        let profiles = list(&broker["profiles"]);
        assert_eq!(profiles, if *transport == Transport::Redis { vec![] } else { vec![name] });
        for role in ["order", "notify"] {
            let waits = &services[role]["depends_on"][name];
            assert_eq!(waits["condition"], "service_healthy");
            assert_eq!(waits["required"] == false, !profiles.is_empty(), "{role} may start without {name}");
        }
    }
}

#[test]
fn trap_24_every_image_is_pinned_to_a_version() {
    for (name, service) in &services() {
        let image = service["image"].as_str().unwrap_or_else(|| panic!("{name} has no image"));
        let (_, tag) = image.rsplit_once(':').unwrap_or_else(|| panic!("{image} has no tag"));
        let built = !service["build"].is_null();
        let version =
            tag.trim_start_matches('v').split('.').count() >= 2 && tag.contains(|c: char| c.is_ascii_digit());
        assert!(built || version, "{image} is not pinned");
    }
}

#[test]
fn ports_are_published_on_loopback_only_and_are_those_that_the_documents_name() {
    let mut seen = BTreeSet::new();
    for (name, service) in &services() {
        for port in list(&service["ports"]) {
            let numbers = port.strip_prefix("127.0.0.1:").unwrap_or_else(|| panic!("{name}: {port}"));
            let (host, container) = numbers.split_once(':').unwrap();
            seen.insert((name.clone(), host.parse::<u16>().unwrap(), container.parse::<u16>().unwrap()));
        }
    }
    let roles = SERVICES.iter().map(|role| (role.command.to_owned(), role.port(), role.port()));
    let others = PUBLISHED.iter().map(|(name, host, container)| ((*name).to_owned(), *host, *container));
    assert_eq!(seen, roles.chain(others).collect());
}

#[test]
fn the_memory_limits_of_the_default_stack_sum_to_less_than_two_gigabytes() {
    let services = services();
    let limit = |(name, service): (&String, &Value)| -> u64 {
        let text = service["mem_limit"].as_str().unwrap_or_else(|| panic!("{name} has no limit"));
        text.strip_suffix('m').expect("MiB").parse::<u64>().unwrap() * 1024 * 1024
    };
    let sum: u64 = by_default(&services).map(limit).sum();
    assert!(sum < 2_000_000_000, "{sum} bytes");
    services.iter().map(limit).for_each(drop);
}

#[test]
fn every_container_is_asked_for_its_health_and_none_may_write_to_its_own_root() {
    let writes = ["rabbitmq", "kafka"];
    for (name, service) in &services() {
        let check = &service["healthcheck"];
        // The collector's image holds nothing to ask with. A check that is switched off fails `up --wait`.
        let unasked = name == "collector";
        assert_eq!(check.is_null(), unasked, "{name}");
        assert!(check["disable"].is_null(), "{name}");
        assert!(unasked || list(&check["test"])[0] == "CMD", "{name}: no shell needed, no string to quote");
        assert_eq!(service["read_only"] == true, !writes.contains(&name.as_str()), "{name}");
        assert!(list(&service["security_opt"]).contains(&"no-new-privileges:true"), "{name}");
        assert!(service["logging"]["options"]["max-size"].is_string(), "{name} may fill the disk");
        for (other, waits) in service["depends_on"].as_object().into_iter().flatten() {
            assert_eq!(waits["condition"], "service_healthy", "{name} on {other}");
        }
    }
}

#[test]
fn stores_and_the_docker_socket_are_on_networks_without_a_way_out() {
    let (file, services) = (yaml("compose.yaml"), services());
    for network in ["backend", "socket"] {
        assert_eq!(file["networks"][network]["internal"], true, "{network}");
    }
    for (name, service) in &services {
        let networks = list(&service["networks"]);
        assert!(!networks.is_empty(), "{name} names its networks");
        let published = !service["ports"].is_null();
        assert!(
            !STORES.contains(&name.as_str()) || networks == ["backend"] || published,
            "{name}: {networks:?}"
        );
        let mounts = list(&service["volumes"]);
        let socket = mounts.iter().any(|one| one.contains("docker.sock"));
        assert_eq!(socket, name == "docker-socket-proxy", "{name}: the socket is root on this machine");
        assert_eq!(networks.contains(&"socket"), ["alloy", "docker-socket-proxy"].contains(&name.as_str()));
    }
    assert_eq!(services["docker-socket-proxy"]["environment"]["POST"], "0");
    assert_eq!(services["docker-socket-proxy"]["networks"], serde_json::json!(["socket"]));
}

#[test]
fn every_file_and_volume_that_is_mounted_exists_and_files_are_read_only() {
    let file = yaml("compose.yaml");
    let mut volumes: BTreeMap<_, _> =
        file["volumes"].as_object().unwrap().keys().map(|name| (name.as_str(), 0)).collect();
    for (name, service) in &services() {
        for mount in list(&service["volumes"]) {
            if let Some(count) = volumes.get_mut(mount.split(':').next().unwrap()) {
                *count += 1;
                continue;
            }
            assert!(mount.ends_with(":ro"), "{name}: {mount}");
            // ${NAME:-./default}
            let source = mount.split(":/").next().unwrap().rsplit(":-").next().unwrap().trim_end_matches('}');
            let there = source.starts_with('/') || folder(source).exists();
            assert!(there, "{name}: {source} does not exist");
        }
    }
    assert!(volumes.values().all(|count| *count == 1), "each volume has one owner: {volumes:?}");
}

#[test]
fn every_address_in_the_environment_is_one_where_a_service_listens() {
    for (name, service) in &services() {
        let environment = service["environment"].as_object().into_iter().flatten();
        let texts =
            environment.map(|(_, value)| value).chain(service["command"].as_array().into_iter().flatten());
        for (host, port) in texts.filter_map(Value::as_str).flat_map(addresses) {
            // Kafka writes "all addresses" as none.
            let here = ["127.0.0.1", "localhost", ""].contains(&host.as_str());
            assert!(here || super::backends::listens(&host, port), "{name}: {host}:{port}");
        }
    }
}
