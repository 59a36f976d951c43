//! The children of one `up` as they are started: command, environment, URL, place in the drain.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use super::environment::{Environment, Inherited};
use super::plan::LabPlan;
use crate::lab::program::this_program;
use crate::schema::{Endpoint, Role, SERVICES};

/// The subcommand, and in the table and the logs the name, of the console.
pub(super) const CONSOLE: &str = "console";

/// Where our own programs say whether they are ready.
const READY: &str = "/ready";

/// What to start: `exe args… <subcommand>`.
pub(super) struct Program {
    pub(super) exe: PathBuf,
    pub(super) args: Vec<OsString>,
}

impl Program {
    /// This very program, asked once: after a rebuild the path still names the new file, while a
    /// second call would answer "(deleted)".
    pub(super) fn this() -> io::Result<Self> {
        Ok(Self { exe: this_program()?, args: Vec::new() })
    }
}

/// One child: its name, command, URL and environment.
#[derive(Clone, Debug)]
pub(super) struct ChildSpec {
    /// `service.name`, `console`, or a backend's.
    pub(super) name: &'static str,
    /// The subcommand.
    pub(super) command: &'static str,
    /// What follows the subcommand.
    pub(super) args: Vec<OsString>,
    /// `None` for the console and the backends.
    pub(super) role: Option<Role>,
    /// Where it serves, without a trailing slash.
    pub(super) url: String,
    /// Answers 200 once it is ready.
    pub(super) ready: &'static str,
    /// How its environment differs from ours.
    pub(super) environment: Environment,
}

impl ChildSpec {
    /// Its place in the drain: backends first, before they take the drain for an outage, the console
    /// last, because there the drain can be watched.
    pub(super) fn drain_place(&self) -> usize {
        match self.role {
            Some(role) => role.service().drain_place + 1,
            None if self.command == CONSOLE => SERVICES.len() + 1,
            None => 0,
        }
    }
}

/// The children, console first, then in the order of the service table.
pub(super) fn children(plan: &LabPlan, inherited: Inherited<'_>) -> Vec<ChildSpec> {
    let console = ChildSpec {
        name: CONSOLE,
        command: CONSOLE,
        args: Vec::new(),
        role: None,
        url: plan.url(plan.ports.at(Endpoint::Console)),
        ready: READY,
        environment: Environment::of_console(plan, inherited),
    };
    let roles = SERVICES.iter().filter(|s| plan.runs(s.role)).map(|service| ChildSpec {
        name: service.name,
        command: service.command,
        args: Vec::new(),
        role: Some(service.role),
        url: plan.url(plan.ports.of(service.role)),
        ready: READY,
        environment: Environment::of_role(plan, service.role, inherited),
    });
    std::iter::once(console).chain(roles).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_service_of_the_table_becomes_a_child_and_the_console_comes_first() {
        let children = children(&LabPlan::example(7000, &[]), &|_| None);
        let seen: Vec<_> = children.iter().map(|c| (c.command, c.url.as_str())).collect();
        assert_eq!(seen[0], ("console", "http://127.0.0.1:7005"));
        assert_eq!(seen[1], ("gateway", "http://127.0.0.1:7000"));
        assert_eq!(seen.len(), 1 + SERVICES.len());
    }

    #[test]
    fn a_subset_starts_its_roles_and_the_console() {
        let plan = LabPlan::example(7000, &[Role::Order, Role::Order]);
        let names: Vec<_> = children(&plan, &|_| None).iter().map(|c| c.command).collect();
        assert_eq!(names, ["console", "order"]);
    }

    #[test]
    fn the_drain_follows_the_work_and_ends_with_the_console() {
        let mut children = children(&LabPlan::example(7000, &[]), &|_| None);
        children.sort_by_key(ChildSpec::drain_place);
        let order: Vec<_> = children.iter().map(|c| c.command).collect();
        assert_eq!(order, ["gateway", "order", "user", "lambda", "notify", "console"]);
    }
}
