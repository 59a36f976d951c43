//! What will run where: the children of one `up`, derived from the service table.

use std::ffi::OsString;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;

use super::backends;
use super::environment::{Environment, Inherited};
use crate::config::Backend;
use crate::schema::{Endpoint, PORT_BASE, Ports, Role, SERVICES};

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
    /// second look would answer "(deleted)".
    pub(super) fn this() -> io::Result<Self> {
        Ok(Self { exe: std::env::current_exe()?, args: Vec::new() })
    }
}

/// One child: who it is and how it is told what to do.
#[derive(Clone, Debug)]
pub(super) struct Child {
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

impl Child {
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

/// The settings of this `up` that decide about its children.
pub(super) struct Plan {
    pub(super) ports: Ports,
    /// Empty means all.
    pub(super) roles: Vec<Role>,
    pub(super) with: Vec<Backend>,
    /// Absolute.
    pub(super) data_dir: PathBuf,
    pub(super) grace: Duration,
}

impl Plan {
    /// Whether this `up` starts `role`.
    pub(super) fn runs(&self, role: Role) -> bool {
        self.roles.is_empty() || self.roles.contains(&role)
    }

    /// The children, console first, then in the order of the service table.
    pub(super) fn children(&self, inherited: Inherited<'_>) -> Vec<Child> {
        let console = Child {
            name: CONSOLE,
            command: CONSOLE,
            args: Vec::new(),
            role: None,
            url: local(self.ports.at(Endpoint::Console)),
            ready: READY,
            environment: Environment::of_console(self),
        };
        let roles = SERVICES.iter().filter(|s| self.runs(s.role)).map(|service| Child {
            name: service.name,
            command: service.command,
            args: Vec::new(),
            role: Some(service.role),
            url: local(self.ports.of(service.role)),
            ready: READY,
            environment: Environment::of_role(self, service.role, inherited),
        });
        std::iter::once(console).chain(roles).collect()
    }

    /// Every port this `up` needs, with who needs it.
    fn ports_needed(&self) -> Vec<(u16, &'static str)> {
        let roles = SERVICES.iter().filter(|s| self.runs(s.role)).map(|s| (self.ports.of(s.role), s.name));
        let backends =
            self.with.iter().map(|backend| (backends::port(*backend, self.ports), backends::name(*backend)));
        let console =
            [(self.ports.at(Endpoint::Console), CONSOLE), (self.ports.at(Endpoint::Otlp), "console, OTLP")];
        roles.chain(console).chain(backends).collect()
    }

    /// An error that names every port which cannot be had, before anything is started.
    pub(super) fn check_ports(&self) -> anyhow::Result<()> {
        let describe = |(port, name): (u16, &str)| match bind(port) {
            Ok(()) => None,
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Some(format!("port {port} ({name})")),
            Err(error) => Some(format!("port {port} ({name}: {error})")),
        };
        let taken: Vec<_> = self.ports_needed().into_iter().filter_map(describe).collect();
        if taken.is_empty() {
            return Ok(());
        }
        let free = (1..=40).map(|n| PORT_BASE + n * 1000).find(|base| self.all_free(*base));
        let base = free.map_or("N".to_owned(), |base| base.to_string());
        bail!(
            "taken on 127.0.0.1: {}; stop what listens there, or move the whole lab with --port-base {base}",
            taken.join(", ")
        )
    }

    fn all_free(&self, base: u16) -> bool {
        let moved = Self {
            ports: Ports::from_base(base),
            roles: self.roles.clone(),
            with: self.with.clone(),
            data_dir: PathBuf::new(),
            grace: self.grace,
        };
        moved.ports_needed().iter().all(|(port, _)| bind(*port).is_ok())
    }
}

/// The URL of a port on this machine.
pub(super) fn local(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

fn bind(port: u16) -> io::Result<()> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map(drop)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn plan(base: u16, roles: &[Role]) -> Plan {
        Plan {
            ports: Ports::from_base(base),
            roles: roles.to_vec(),
            with: Vec::new(),
            data_dir: "/data".into(),
            grace: Duration::from_secs(1),
        }
    }

    #[test]
    fn every_service_of_the_table_becomes_a_child_and_the_console_comes_first() {
        let children = plan(7000, &[]).children(&|_| None);
        let seen: Vec<_> = children.iter().map(|c| (c.command, c.url.as_str())).collect();
        assert_eq!(seen[0], ("console", "http://127.0.0.1:7005"));
        assert_eq!(seen[1], ("gateway", "http://127.0.0.1:7000"));
        assert_eq!(seen.len(), 1 + SERVICES.len());
    }

    #[test]
    fn a_subset_starts_its_roles_and_the_console_and_needs_only_their_ports() {
        let plan = plan(7000, &[Role::Order, Role::Order]);
        let names: Vec<_> = plan.children(&|_| None).iter().map(|c| c.command).collect();
        assert_eq!(names, ["console", "order"]);
        let ports: Vec<_> = plan.ports_needed().iter().map(|p| p.0).collect();
        assert_eq!(ports, [7002, 7005, 7006]);
    }

    #[test]
    fn the_drain_follows_the_work_and_ends_with_the_console() {
        let mut children = plan(7000, &[]).children(&|_| None);
        children.sort_by_key(Child::drain_place);
        let order: Vec<_> = children.iter().map(|c| c.command).collect();
        assert_eq!(order, ["gateway", "order", "user", "lambda", "notify", "console"]);
    }

    #[test]
    fn a_taken_port_is_one_message_with_the_port_the_service_and_the_way_out() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let plan = plan(port - 1, &[Role::User]);
        let message = plan.check_ports().unwrap_err().to_string();
        assert!(message.contains(&format!("taken on 127.0.0.1: port {port} (user-service)")), "{message}");
        assert!(message.contains("--port-base ") && !message.contains('\n'), "{message}");
    }
}
