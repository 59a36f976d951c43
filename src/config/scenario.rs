//! The arguments of `o11y-lab scenario`.

use std::path::PathBuf;

use clap::{Args, Command, FromArgMatches as _, Subcommand};

use super::{PortBase, VerifyConfig, http_url};
use crate::schema::{Fault, Role, SERVICES};

/// What `o11y-lab scenario` does.
#[derive(Clone, Debug, Subcommand)]
pub enum ScenarioAction {
    /// List the scenarios, in the order in which to learn from them
    List {
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one: what it teaches, what it does, its question, and how to look
    Show {
        /// The scenario
        name: String,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
    /// Set its stage on a running lab and ask its question; with an answer: judge it, explain, and heal
    Run(ScenarioRun),
    /// Set the stage, solve it from the telemetry alone, compare with the truth, heal, and prove that
    Check(ScenarioCheck),
    /// Set its stage and write what it leaves in the telemetry to a folder, with the truth beside it; then heal
    Record(ScenarioRecord),
    /// Send a recorded incident to a receiver of OTLP
    Replay(ScenarioReplay),
    /// Grade answers about recorded incidents against their truth
    Score(ScenarioScore),
}

/// Settings of `scenario record`.
#[derive(Args, Clone, Debug)]
pub struct ScenarioRecord {
    /// The scenario: one that sets a fault
    pub name: String,
    /// Folder for the data set, made where there is none
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Send requests as ever for so many minutes, half of them before the fault and half while it is set [default: 20 of each kind before it]
    #[arg(long, value_name = "M", value_parser = clap::value_parser!(u32).range(1..=20))]
    pub minutes: Option<u32>,
    /// Set this fault too, with its defaults, which is not the cause: FAULT, or FAULT@ROLE (repeatable)
    #[arg(long, value_name = "FAULT", value_parser = fault_place)]
    pub distraction: Vec<FaultPlace>,
    /// Leave in what says which fault is set: o11y_lab.fault, its causes, lines and series about faults
    #[arg(long)]
    pub with_marks: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub target: ScenarioTarget,
}

/// A fault and the role that has it.
#[derive(Clone, Copy, Debug)]
pub struct FaultPlace {
    /// Its row.
    pub fault: &'static Fault,
    /// One of the row's roles.
    pub role: Role,
}

/// `FAULT@ROLE`; without a role the first that the fault's row names.
fn fault_place(text: &str) -> Result<FaultPlace, String> {
    let (name, role) = text.split_once('@').map_or((text, None), |(name, role)| (name, Some(role)));
    let fault = Fault::named(name).ok_or("there is no such fault: `o11y-lab fault list` has all")?;
    let wanted = |candidate: &&Role| role.is_none_or(|role| candidate.as_str() == role);
    match fault.roles.iter().find(wanted) {
        Some(role) => Ok(FaultPlace { fault, role: *role }),
        None => {
            let roles: Vec<_> = SERVICES.iter().filter(|row| fault.roles.contains(&row.role)).collect();
            let roles: Vec<_> = roles.iter().map(|row| row.command).collect();
            Err(format!("{name} is a fault of {}", roles.join(", ")))
        }
    }
}

/// Settings of `scenario replay`.
#[derive(Args, Clone, Debug)]
pub struct ScenarioReplay {
    /// The folder that `scenario record` wrote
    pub dir: PathBuf,
    /// Receiver of OTLP/HTTP in JSON, such as http://127.0.0.1:4318
    #[arg(long, value_name = "OTLP_URL", value_parser = http_url)]
    pub to: String,
    /// Keep the recorded times [default: the incident ends now]
    #[arg(long)]
    pub own_clock: bool,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// Settings of `scenario score`.
#[derive(Args, Clone, Debug)]
pub struct ScenarioScore {
    /// The answers: [{"incident": DIR, "candidates": [{"service", "fault", "startUnixNano"}]}], the most likely first
    pub answers: PathBuf,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// Settings of `scenario run`.
#[derive(Args, Clone, Debug)]
#[command(group = clap::ArgGroup::new("turn").args(["answer", "hint", "solve", "stop"]))]
pub struct ScenarioRun {
    /// The scenario; `scenario list` has them all
    pub name: String,
    /// Answer the question of the stage that was set before; a wrong answer brings a hint and exit code 1
    #[arg(long, value_name = "ANSWER")]
    pub answer: Option<String>,
    /// The next hint
    #[arg(long)]
    pub hint: bool,
    /// The answer, how it is found, and the repair; sets the stage first where none is set
    #[arg(long)]
    pub solve: bool,
    /// Repair and ask no more
    #[arg(long)]
    pub stop: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub target: ScenarioTarget,
}

/// Settings of `scenario check`.
#[derive(Args, Clone, Debug)]
#[command(group = clap::ArgGroup::new("which").required(true).args(["names", "all"]))]
pub struct ScenarioCheck {
    /// The scenarios to check (repeatable)
    pub names: Vec<String>,
    /// Every one of them, one after the other
    #[arg(long)]
    pub all: bool,
    /// Start a lab for this, on free ports, and end it; --port-base has no effect then
    #[arg(long)]
    pub own_lab: bool,
    /// Leave out what the answer is about: every check then has to fail
    #[arg(long, hide = true)]
    pub without_cause: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub target: ScenarioTarget,
}

/// The lab on which a stage is set.
#[derive(Args, Clone, Debug)]
pub struct ScenarioTarget {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub ports: PortBase,
    /// Read metrics from this Prometheus, which scrapes the lab [default: the pages of the roles]
    #[arg(long, env = "SCENARIO_PROMETHEUS", value_name = "URL", value_parser = http_url, hide_env_values = true)]
    pub prometheus: Option<String>,
    /// What differs from run to run is drawn with this number [default: another one each time]
    #[arg(long, env = "SCENARIO_SEED", value_name = "N")]
    pub seed: Option<u64>,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

impl VerifyConfig {
    /// The defaults, for the lab on these ports; no variable is read.
    ///
    /// # Errors
    /// Never: every setting has a default.
    pub(crate) fn defaults(port_base: u16) -> Result<Self, clap::Error> {
        let command = Self::augment_args(Command::new("verify")).mut_args(|arg| arg.env(None::<&str>));
        let words = ["verify".to_owned(), format!("--port-base={port_base}")];
        Self::from_arg_matches(&command.try_get_matches_from(words)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distraction_is_a_fault_of_the_table_at_a_role_that_can_have_it() {
        let place = |text: &str| fault_place(text).map(|place| (place.fault.name, place.role));
        assert_eq!(place("poison"), Ok(("poison", Role::Notify)));
        assert_eq!(place("latency@lambda"), Ok(("latency", Role::Lambda)));
        assert_eq!(place("poison@user"), Err("poison is a fault of notify".to_owned()));
        assert!(place("rain").is_err());
    }

    #[test]
    fn the_defaults_of_a_workload_are_those_of_verify_on_other_ports() {
        let config = VerifyConfig::defaults(7000).unwrap_or_else(|error| unreachable!("{error}"));
        assert_eq!((config.ports.port_base, config.orders, config.connections), (7000, 20, 8));
        assert!(config.faults.is_empty() && config.url.is_none());
    }
}
