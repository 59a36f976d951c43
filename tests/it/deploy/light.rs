//! compose.light.yaml and its files: pinned, without the engine's socket, and each address one where a service listens.

use super::backends::listens;
use super::{addresses, read};

/// Where the services listen that only this stack has.
const PORTS: &[(&str, u16)] = &[("victorialogs", 9428), ("console", 4318), ("console", 3005)];

#[test]
fn the_light_stacks_files_name_addresses_where_its_services_listen() {
    let mut seen = 0;
    for file in ["deploy/collector/light.yaml", "deploy/prometheus/light.yml"] {
        let lines = read(file);
        for line in lines.lines().filter(|line| !line.trim_start().starts_with('#')) {
            for (host, port) in addresses(line) {
                let here = listens(&host, port) || PORTS.contains(&(host.as_str(), port));
                assert!(here, "{file}: {host}:{port}");
                seen += 1;
            }
        }
    }
    assert!(seen >= 3, "{seen}");
}

#[test]
fn the_light_stack_starts_neither_what_is_heavy_nor_anything_with_the_engines_socket() {
    let file = read("compose.light.yaml");
    for left_out in ["grafana", "loki", "alloy", "docker-socket-proxy", "alertmanager"] {
        assert!(file.contains(&format!("\n  {left_out}: *left-out\n")), "{left_out}");
    }
    assert!(!file.contains("docker.sock"));
}

#[test]
fn what_the_light_stack_adds_is_pinned_bounded_and_published_on_this_machine_alone() {
    let file = read("compose.light.yaml");
    let images: Vec<_> = file.lines().filter_map(|line| line.trim().strip_prefix("image: ")).collect();
    assert_eq!(images, ["victoriametrics/victoria-logs:v1.52.1"]);
    let ports = file.lines().filter_map(|line| line.trim().strip_prefix("ports: "));
    assert!(ports.clone().count() == 2 && ports.clone().all(|port| port.starts_with("[\"127.0.0.1:")));
    for added in ["victorialogs", "console"] {
        let rest = file.split(&format!("\n  {added}:\n")).nth(1).unwrap_or_default();
        let block = rest.split("\n\n").next().unwrap_or_default();
        assert!(block.contains("mem_limit: ") && block.contains("healthcheck:"), "{added}");
    }
}
