//! The ports of one `up`, checked before anything is started.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, TcpListener};
use std::path::PathBuf;

use anyhow::bail;

use super::backends;
use super::otlp::OtlpChoice;
use super::plan::LabPlan;
use super::spec::CONSOLE;
use crate::lab::listener::holder;
use crate::schema::{Endpoint, PORT_BASE, Ports, SERVICES};

impl LabPlan {
    /// Every port this `up` needs, with who needs it.
    fn ports_needed(&self) -> Vec<(u16, &'static str)> {
        let roles = SERVICES.iter().filter(|s| self.runs(s.role)).map(|s| (self.ports.of(s.role), s.name));
        let backends =
            self.with.iter().map(|backend| (backends::port(*backend, self.ports), backends::name(*backend)));
        let console = [(self.ports.at(Endpoint::Console), CONSOLE)];
        let otlp = self.otlp.port.map(|port| (port, "console, OTLP"));
        let grpc = self.otlp.grpc.map(|port| (port, "console, OTLP/gRPC"));
        roles.chain(console).chain(otlp).chain(grpc).chain(backends).collect()
    }

    /// An error that names every port which cannot be had, before anything is started.
    pub(super) fn check_ports(&self) -> anyhow::Result<()> {
        let mut taken: BTreeMap<IpAddr, Vec<String>> = BTreeMap::new();
        for (port, name) in self.ports_needed() {
            if let Err((address, error)) = self.bind(port) {
                let in_use = error.kind() == io::ErrorKind::AddrInUse;
                let why = if in_use { String::new() } else { format!(": {error}") };
                let who = if in_use { holder(port) } else { None };
                let by = who.map_or(String::new(), |who| format!(" by {who}"));
                taken.entry(address).or_default().push(format!("port {port} ({name}{why}){by}"));
            }
        }
        if taken.is_empty() {
            return Ok(());
        }
        let free = (1..=40).map(|n| PORT_BASE + n * 1000).find(|base| self.all_free(*base));
        let base = free.map_or("N".to_owned(), |base| base.to_string());
        bail!(
            "{}; stop what listens there, or move the whole lab with --port-base {base}",
            taken
                .iter()
                .map(|(address, ports)| format!("taken on {address}: {}", ports.join(", ")))
                .collect::<Vec<_>>()
                .join("; ")
        )
    }

    fn all_free(&self, base: u16) -> bool {
        let ports = Ports::from_base(base);
        let moved = Self {
            ports,
            otlp: OtlpChoice::expected(ports),
            host: self.host,
            public_host: None,
            roles: self.roles.clone(),
            with: self.with.clone(),
            export: None,
            keep: None,
            retain: false,
            data_dir: PathBuf::new(),
            grace: self.grace,
        };
        moved.ports_needed().iter().all(|(port, _)| self.bind(*port).is_ok())
    }

    fn bind(&self, port: u16) -> Result<(), (IpAddr, io::Error)> {
        bind(self.host, port)
    }
}

/// Whether a child could listen there.
pub(in crate::lab) fn is_free(host: IpAddr, port: u16) -> bool {
    bind(host, port).is_ok()
}

/// Whether the port can be had, or on which address not. `localhost` leads to ::1 first: there a stranger
/// would get what is meant for a lab on 127.0.0.1.
fn bind(host: IpAddr, port: u16) -> Result<(), (IpAddr, io::Error)> {
    let try_on = |address: IpAddr| TcpListener::bind((address, port)).map(drop).map_err(|e| (address, e));
    try_on(host)?;
    match (host, try_on(Ipv6Addr::LOCALHOST.into())) {
        (IpAddr::V4(_), Err((address, error))) if error.kind() == io::ErrorKind::AddrInUse => {
            Err((address, error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::net::Ipv4Addr;

    use super::*;
    use crate::config::TAKES_GRPC;
    use crate::schema::Role;

    #[test]
    fn a_subset_needs_only_the_ports_of_its_roles_and_of_the_console() {
        let plan = LabPlan::example(7000, &[Role::Order, Role::Order]);
        let ports: Vec<_> = plan.ports_needed().iter().map(|p| p.0).collect();
        let grpc: &[u16] = if TAKES_GRPC { &[7009] } else { &[] };
        assert_eq!(ports, [&[7002, 7005, 7006], grpc].concat());
    }

    #[test]
    fn a_taken_port_is_one_message_with_the_port_the_service_and_the_way_out() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let plan = LabPlan::example(port - 1, &[Role::User]);
        let message = plan.check_ports().unwrap_err().to_string();
        assert!(message.contains(&format!("taken on 127.0.0.1: port {port} (user-service)")), "{message}");
        assert!(message.contains("--port-base ") && !message.contains('\n'), "{message}");
        let who = format!("(pid {})", std::process::id());
        assert!(cfg!(not(target_os = "linux")) || message.contains(&who), "{message}");
    }

    #[test]
    fn a_port_taken_on_ipv6_loopback_only_is_taken_because_localhost_leads_there() {
        // Below the ports that the system hands out: a neighbour of those may be another test's.
        let bases = std::iter::repeat_with(|| 10_001 + fastrand::u16(0..2_000) * 10).take(1_000);
        let bound = bases.into_iter().find_map(|port| TcpListener::bind((Ipv6Addr::LOCALHOST, port)).ok());
        let taken = bound.unwrap();
        let port = taken.local_addr().unwrap().port();
        let plan = LabPlan::example(port - 1, &[Role::User]);
        let message = plan.check_ports().unwrap_err().to_string();
        assert!(message.contains(&format!("taken on ::1: port {port} (user-service)")), "{message}");
        assert!(!message.contains("127.0.0.1"), "{message}");
    }
}
