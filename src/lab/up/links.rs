//! Links of alerts and commands of runbooks, made this lab's own: the files as they stand are for the
//! containers, with Grafana and Jaeger, and for the default ports.

use std::fmt::Write as _;
use std::time::Duration;

use super::plan::LabPlan;
use crate::config::BackendProgram;
use crate::exposition;
use crate::runtime::oneshot::OneShot;
use crate::schema::{Endpoint, PORT_BASE, Role, names};

/// Where `dashboard_url` leads in the containers.
const DASHBOARDS: &str = "http://localhost:3100/d/";
/// How a runbook names the trace backend.
const TRACES: &str = "Jaeger (http://localhost:16686, with `up` the console at http://localhost:3005)";
/// Prometheus's page of alerts, and where it is in a build that has only the classic pages, as Debian's.
const ALERT_PAGES: [&str; 2] = ["/alerts", "/classic/alerts"];

/// The largest page of metrics that is read, in bytes.
const LARGEST_PAGE: usize = 1 << 20;

/// The commands that find their lab by its ports.
const COMMANDS: [&str; 6] = [
    "o11y-lab load",
    "o11y-lab fault set",
    "o11y-lab queue depth",
    "o11y-lab queue dead list",
    "o11y-lab queue dead show",
    "o11y-lab queue dead replay",
];

/// The page of alerts of the Prometheus that runs beside the lab; it has to be there already.
pub(super) async fn alerts_page(plan: &LabPlan) -> Option<String> {
    if !plan.with.contains(&BackendProgram::Prometheus) {
        return None;
    }
    let url = plan.url(plan.ports.at(Endpoint::Prometheus));
    let client = OneShot::new(Duration::from_secs(1), 0);
    for page in ALERT_PAGES {
        let page = format!("{url}{page}");
        if client.status(&page).await.is_ok_and(|status| status.is_success()) {
            return Some(page);
        }
    }
    Some(url)
}

/// What is said where dead letters wait from before, as a lesson leaves them whose lab was stopped in the middle. The page of
/// metrics says so, which leaves no trace: a lab in which nothing happened has none.
pub(super) async fn dead_letters(plan: &LabPlan) -> Option<String> {
    let dead = dead_letters_at(&plan.url(plan.ports.of(Role::Notify))).await.filter(|dead| *dead > 0.0)?;
    let (letters, them) = if dead == 1.0 { ("letter waits", "it") } else { ("letters wait", "them") };
    let base = plan.ports.of(Role::Gateway);
    let ports = if base == PORT_BASE { String::new() } else { format!(" --port-base {base}") };
    Some(format!(
        "{dead} dead {letters} from before; `o11y-lab queue dead replay --all{ports}` sends {them} back to the queue"
    ))
}

/// The dead letters that the notification service at `url` counts.
pub(in crate::lab) async fn dead_letters_at(url: &str) -> Option<f64> {
    let url = format!("{url}/metrics");
    let answer = OneShot::new(Duration::from_secs(1), LARGEST_PAGE).get(&url).await.ok()?;
    exposition::value(std::str::from_utf8(&answer.body).ok()?, names::QUEUE_DEAD)
}

/// A rule file whose dashboards are the console's page of the services: there is no Grafana here.
pub(super) fn rules(text: &str, plan: &LabPlan) -> String {
    let mut parts = text.split(DASHBOARDS);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (_, rest) = part.split_at(part.find('\'').unwrap_or(part.len()));
        let _ = write!(out, "{}/services{rest}", plan.page(plan.ports.at(Endpoint::Console)));
    }
    out
}

/// A runbook that names this lab's console, and its ports to the commands.
pub(super) fn runbook(text: &str, plan: &LabPlan) -> String {
    let console = format!("console ({})", plan.page(plan.ports.at(Endpoint::Console)));
    let text = text.replace(&format!("\n{TRACES}"), &format!("\nThe {console}"));
    let text = text.replace(TRACES, &format!("the {console}"));
    let base = plan.ports.of(Role::Gateway);
    if base == PORT_BASE {
        return text;
    }
    COMMANDS
        .iter()
        .fold(text, |text, command| text.replace(command, &format!("{command} --port-base {base}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::up::backends::{RULES, RUNBOOKS};

    #[test]
    fn no_link_of_a_rule_or_a_runbook_leads_out_of_this_lab() {
        let plan = LabPlan::example(7000, &[]);
        for (name, text) in RULES {
            let text = rules(text, &plan);
            let links = text.matches("dashboard_url: 'http://127.0.0.1:7005/services'\n").count();
            assert_eq!(links, text.matches("dashboard_url:").count(), "{name}");
            assert!(!text.contains("localhost"), "{name}");
        }
        for (name, text) in RUNBOOKS {
            assert!(!runbook(text, &plan).contains("localhost"), "{name}");
        }
    }

    #[test]
    fn every_command_of_a_runbook_finds_this_lab() {
        for (base, flag) in [(7000, " --port-base 7000"), (PORT_BASE, "")] {
            let plan = LabPlan::example(base, &[]);
            for (name, text) in RUNBOOKS {
                let text = runbook(text, &plan);
                let commands = text.split("o11y-lab ").skip(1);
                // `up` has its ports already.
                for command in commands.filter(|command| !command.starts_with("up")) {
                    let known = COMMANDS.iter().filter_map(|known| known.strip_prefix("o11y-lab "));
                    let known: Vec<_> = known.map(|known| format!("{known}{flag}")).collect();
                    assert!(known.iter().any(|known| command.starts_with(known)), "{name}: {command}");
                }
            }
        }
    }
}
