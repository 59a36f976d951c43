//! `--with`: Prometheus and Alertmanager with the very files of deploy/ and alerts/, so that burn-rate
//! pages can be seen without containers. Only addresses are this lab's own.

use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use serde_json::json;

use super::environment::Environment;
use super::links;
use super::plan::LabPlan;
use super::spec::ChildSpec;
use crate::config::BackendProgram;
use crate::schema::{Endpoint, Ports, Role, SERVICES};

/// EmbeddedFiles of a folder of this project, by name; the test below compares with the folder.
macro_rules! files {
    ($folder:literal: $($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../../", $folder, "/", $name)))),*]
    };
}

type EmbeddedFiles = &'static [(&'static str, &'static str)];

/// The rules in the profile of short windows.
pub(super) const RULES: EmbeddedFiles = files!("alerts/lab": "burn.yml", "business.yml", "inhibition.yml", "queue.yml",
    "saturation.yml", "slo.yml", "symptoms.yml", "telemetry.yml");

/// What Prometheus serves under /user/, where the alerts' runbook_url leads.
pub(super) const RUNBOOKS: EmbeddedFiles = files!("docs/runbooks":
    "AlertDeliveryFailing.md", "DatabasePoolSaturated.md", "DeadLettersWaiting.md",
    "ErrorBudgetCreepingBurn.md", "ErrorBudgetFastBurn.md", "ErrorBudgetFastBurnLately.md",
    "ErrorBudgetMediumBurn.md", "ErrorBudgetSlowBurn.md", "FileDescriptorsRunningOut.md", "MessageFailureRatioHigh.md",
    "MetricsAbsent.md", "NotificationDeliveryLow.md", "OrderSuccessLow.md", "OrdersNotValidated.md",
    "OutboxBacklog.md", "ProcessCpuHigh.md", "ProcessMemoryHigh.md", "QueueConsumerStalled.md",
    "QueueLagHigh.md", "ServiceErrorRateHigh.md", "ServiceLatencyHigh.md", "SpanExportFailing.md",
    "SpansDropped.md", "TargetDown.md");

const PROMETHEUS: &str = include_str!("../../../deploy/prometheus/prometheus.yml");
const ALERTMANAGER: &str = include_str!("../../../deploy/alertmanager/alertmanager.yml");
/// Where alerts are sent in the containers' network.
const WEBHOOK: &str = "http://notify:3003/alerts";

/// The subcommand that ends a program with our own end.
const UNTIL_EOF: &str = "until-eof";

/// The job and, in the table, the name.
pub(super) fn name(backend: BackendProgram) -> &'static str {
    match backend {
        BackendProgram::Prometheus => "prometheus",
        BackendProgram::Alertmanager => "alertmanager",
    }
}

pub(super) fn port(backend: BackendProgram, ports: Ports) -> u16 {
    match backend {
        BackendProgram::Prometheus => ports.at(Endpoint::Prometheus),
        BackendProgram::Alertmanager => ports.at(Endpoint::Alertmanager),
    }
}

/// Those that were asked for, each once.
pub(super) fn wanted(asked: &[BackendProgram]) -> Vec<BackendProgram> {
    [BackendProgram::Prometheus, BackendProgram::Alertmanager]
        .into_iter()
        .filter(|backend| asked.contains(backend))
        .collect()
}

/// The programs of the plan's backends, before anything is touched.
///
/// # Errors
/// Names the first one that is not installed.
pub(super) fn programs(plan: &LabPlan) -> anyhow::Result<Vec<(BackendProgram, PathBuf)>> {
    plan.with.iter().map(|backend| Ok((*backend, find(*backend)?))).collect()
}

/// The backends as children, their files written into the data folder.
///
/// # Errors
/// The files cannot be written.
pub(super) fn children(
    programs: Vec<(BackendProgram, PathBuf)>,
    plan: &LabPlan,
) -> anyhow::Result<Vec<ChildSpec>> {
    programs.into_iter().map(|(backend, program)| child(backend, program, plan)).collect()
}

fn child(backend: BackendProgram, program: PathBuf, plan: &LabPlan) -> anyhow::Result<ChildSpec> {
    let folder = plan.data_dir.join(name(backend));
    write(backend, plan, &folder).with_context(|| format!("writing {}", folder.display()))?;
    let url = plan.url(port(backend, plan.ports));
    let address = SocketAddr::new(plan.host, port(backend, plan.ports));
    let flag = |name: &str, value: &Path| {
        let mut flag = OsString::from(format!("--{name}="));
        flag.push(value);
        flag
    };
    let mut args: Vec<OsString> = vec!["--".into(), program.into()];
    args.extend(
        [format!("--web.listen-address={address}"), format!("--web.external-url={}", plan.shown(&url))]
            .map(Into::into),
    );
    args.push("--log.level=warn".into());
    match backend {
        BackendProgram::Prometheus => args.extend([
            flag("config.file", &folder.join("prometheus.yml")),
            flag("storage.tsdb.path", &folder.join("data")),
            flag("web.user-assets", &folder.join("runbooks")),
            // From a bucket to the trace of one of its requests.
            "--enable-feature=exemplar-storage".into(),
        ]),
        BackendProgram::Alertmanager => args.extend([
            flag("config.file", &folder.join("alertmanager.yml")),
            flag("storage.path", &folder.join("data")),
            // It is the only one.
            "--cluster.listen-address=".into(),
        ]),
    }
    let environment = Environment::of_stranger();
    Ok(ChildSpec {
        name: name(backend),
        command: UNTIL_EOF,
        args,
        role: None,
        url,
        ready: "/-/ready",
        environment,
    })
}

fn write(backend: BackendProgram, plan: &LabPlan, folder: &Path) -> anyhow::Result<()> {
    match backend {
        BackendProgram::Alertmanager => {
            let here = format!("{}/alerts", plan.url(plan.ports.of(Role::Notify)));
            let text = ALERTMANAGER.replacen(WEBHOOK, &here, 1);
            all(folder, &[("alertmanager.yml", text)])
        }
        BackendProgram::Prometheus => {
            all(folder, &[("prometheus.yml", PROMETHEUS)])?;
            replace(&folder.join("rules"), &rewritten(RULES, |text| links::rules(text, plan)))?;
            replace(&folder.join("runbooks"), &rewritten(RUNBOOKS, |text| links::runbook(text, plan)))?;
            replace(&folder.join("targets"), &[("up.json", targets(plan))])?;
            replace(&folder.join("alertmanagers"), &[("up.json", alertmanagers(plan))])
        }
    }
}

fn rewritten(files: EmbeddedFiles, own: impl Fn(&str) -> String) -> Vec<(&'static str, String)> {
    files.iter().map(|(name, text)| (*name, own(text))).collect()
}

/// Writes the files of a folder, without what an earlier version left there.
fn replace(folder: &Path, files: &[(&str, impl AsRef<[u8]>)]) -> anyhow::Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    all(folder, files)
}

fn all(folder: &Path, files: &[(&str, impl AsRef<[u8]>)]) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    for (name, text) in files {
        fs::write(folder.join(name), text)?;
    }
    Ok(())
}

fn targets(plan: &LabPlan) -> String {
    let roles = SERVICES.iter().filter(|service| plan.runs(service.role));
    let roles = roles.map(|service| (service.name, plan.ports.of(service.role)));
    let backends = plan.with.iter().map(|backend| (name(*backend), port(*backend, plan.ports)));
    let target = |(service, port): (&str, u16)| {
        let address = plan.address(port);
        json!({"targets": [address], "labels": {"job": service, "service": service}})
    };
    json!(roles.chain(backends).map(target).collect::<Vec<_>>()).to_string()
}

fn alertmanagers(plan: &LabPlan) -> String {
    if !plan.with.contains(&BackendProgram::Alertmanager) {
        return "[]".to_owned();
    }
    json!([{"targets": [plan.address(plan.ports.at(Endpoint::Alertmanager))]}]).to_string()
}

fn find(backend: BackendProgram) -> anyhow::Result<PathBuf> {
    // Debian's package has a name of its own for it.
    let (names, package): (&[&str], _) = match backend {
        BackendProgram::Prometheus => (&["prometheus"], "prometheus"),
        BackendProgram::Alertmanager => {
            (&["alertmanager", "prometheus-alertmanager"], "prometheus-alertmanager")
        }
    };
    let path = std::env::var_os(crate::config::PATH_VARIABLE).unwrap_or_default();
    let folders: Vec<_> = std::env::split_paths(&path).collect();
    let found = names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    let mut found = found.filter(|file| file.is_file());
    found.next().ok_or_else(|| {
        anyhow!(
            "--with {} needs that program on the PATH; install it (Debian, Ubuntu: sudo apt-get install \
             --no-install-recommends {package}; others: https://prometheus.io/download/) or leave it out",
            name(backend)
        )
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn names_in(folder: &str) -> Vec<String> {
        let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn every_rule_file_and_every_runbook_is_in_the_program() {
        for (files, folder) in [(RULES, "alerts/lab"), (RUNBOOKS, "docs/runbooks")] {
            let mut ours: Vec<_> = files.iter().map(|(name, _)| (*name).to_owned()).collect();
            ours.sort();
            assert_eq!(ours, names_in(folder), "{folder}");
        }
    }

    #[test]
    fn alerts_go_to_this_labs_notification_service_and_nowhere_else() {
        assert_eq!(ALERTMANAGER.matches(WEBHOOK).count(), 1);
        assert_eq!(ALERTMANAGER.matches("url: http").count(), 1);
    }
}
