//! deploy/terraform: the service table, compose and the map of roles name the same. What Terraform
//! itself says of these files, `make test-aws` asks.

use std::collections::BTreeSet;

use o11y_lab::config::{QueueConfig, Transport};
use o11y_lab::schema::{QueueUse, Role, SERVICES};

use super::{read, yaml};
use crate::helpers::dashboards::folder;

/// What stands between the quotation marks after `name = `, or the number.
fn field<'a>(row: &'a str, name: &str) -> &'a str {
    let (_, rest) = row.split_once(&format!(" {name} = ")).unwrap_or_else(|| panic!("no {name} in {row}"));
    rest.split([',', '}', ']']).next().unwrap().trim().trim_matches(['[', '"'])
}

/// The row of the map of roles.
fn row(role: Role) -> String {
    let text = read("deploy/terraform/roles.tf");
    let start =
        |line: &&str| line.trim_start().split_once('=').is_some_and(|(key, _)| key.trim() == role.as_str());
    let found = text.lines().find(start).unwrap_or_else(|| panic!("{role} is not in the map of roles"));
    found.to_owned()
}

/// The names of environment variables in a text of Terraform: capitals before an equals sign.
fn variables(text: &str) -> BTreeSet<&str> {
    let name = |word: &&str| {
        word.len() > 3 && word.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
    };
    text.lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .flat_map(|line| {
            let mut parts: Vec<_> = line.split('=').collect();
            parts.pop();
            parts.into_iter().filter_map(|part| part.trim_end().rsplit([' ', '{', ',']).next())
        })
        .filter(name)
        .collect()
}

#[test]
fn terraform_has_every_role_under_its_command_port_and_name() {
    let compose = yaml("compose.yaml");
    for service in &SERVICES {
        let row = row(service.role);
        assert_eq!(field(&row, "command"), service.command);
        assert_eq!(field(&row, "port"), service.port().to_string());
        assert_eq!(field(&row, "service"), service.name);
        assert_eq!(field(&row, "store"), service.store.is_some().to_string(), "{row}");
        let queue = match service.queue {
            QueueUse::None => "",
            QueueUse::Publishes => "publishes",
            QueueUse::Consumes => "consumes",
        };
        assert_eq!(field(&row, "queue"), queue, "{row}");
        assert!(compose["services"][service.command].is_object());
    }
}

#[test]
fn a_role_is_told_of_all_that_it_needs() {
    let text = read("deploy/terraform/roles.tf");
    for service in &SERVICES {
        let start = text.find("environment = {\n    gateway").expect("the environments");
        let all = &text[start..];
        let from =
            all.find(&format!("\n    {} ", service.command)).unwrap_or_else(|| panic!("{}", service.command));
        let block = &all[from..from + all[from + 5..].find("\n    }").unwrap_or(400).min(400)];
        for needed in service.needs.iter().filter(|one| **one != Role::Lambda) {
            let variable = format!("{}_SERVICE_URL", needed.as_str().to_uppercase());
            assert!(block.contains(&variable), "{} is not told {variable}", service.command);
        }
    }
}

#[test]
fn the_program_reads_every_variable_that_terraform_gives_it() {
    let program = o11y_lab::cli::command();
    let role = program.find_subcommand("order").unwrap();
    let mut known: BTreeSet<_> = role.get_arguments().filter_map(|arg| arg.get_env()?.to_str()).collect();
    known.insert("O11Y_LAB_ROLE");
    let text = read("deploy/terraform/roles.tf");
    let given = variables(&text);
    assert!(given.len() >= 15, "{given:?}");
    for variable in &given {
        assert!(known.contains(variable), "nothing reads {variable}");
    }
    assert!(!given.contains("FAULTS_ENABLED"), "anybody could break it");
}

#[test]
fn the_redrive_policy_gives_up_where_the_program_does() {
    let text = read("deploy/terraform/roles.tf");
    let attempts = clap::Command::new("queue");
    let attempts = <QueueConfig as clap::Args>::augment_args(attempts);
    let attempts = attempts.get_arguments().find(|arg| arg.get_id() == "queue_max_attempts").unwrap();
    let default = attempts.get_default_values()[0].to_str().unwrap();
    assert!(text.contains(&format!("max_attempts = {default} }}")), "{default}");
    assert!(text.contains(&format!("QUEUE_TRANSPORT    = \"{}\"", Transport::Sqs.as_str())));
}

#[test]
fn every_backend_of_terraform_is_one_of_compose_and_listens_there() {
    let text = read("deploy/terraform/flows.tf");
    let block = text.split("backend_ports").nth(1).unwrap().split("} : {}").next().unwrap();
    let mut seen = 0;
    for line in block.lines().filter(|line| line.trim_end().ends_with(']')) {
        let (name, ports) = line.split_once('=').unwrap();
        for port in ports.trim().trim_matches(['[', ']']).split(", ") {
            assert!(super::backends::listens(name.trim(), port.parse().unwrap()), "{name}: {port}");
            seen += 1;
        }
    }
    assert_eq!(seen, 8);
    assert!(folder("deploy/fluent-bit/lab.conf").exists());
}
