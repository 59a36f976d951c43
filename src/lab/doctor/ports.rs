//! The ports of the lab: free, the lab's own, or whose.

use super::Check;
use crate::config::{DoctorConfig, TAKES_GRPC};
use crate::lab::listener::holder;
use crate::lab::up::{LabState, is_free};
use crate::schema::{Endpoint, SERVICES};

/// A line for all that is well, and one for each port that is not.
pub(super) fn checks(config: &DoctorConfig, lab: Option<&LabState>) -> Vec<Check> {
    let ports = config.ports.ports();
    let base = config.ports.port_base;
    if let Some(lab) = lab.filter(|lab| lab.port_base == base) {
        return vec![Check::ok("ports", format!("the lab that runs has them (pid {})", lab.pid))];
    }
    let needed = SERVICES.iter().map(|row| (ports.of(row.role), row.name));
    let needed: Vec<_> = needed.chain([(ports.at(Endpoint::Console), "console")]).collect();
    let mut otlp = vec![(ports.at(Endpoint::Otlp), "console, OTLP")];
    if TAKES_GRPC {
        otlp.push((ports.at(Endpoint::OtlpGrpc), "console, OTLP/gRPC"));
    }
    let taken =
        |(port, name): &(u16, &'static str)| (!is_free(config.host, *port)).then(|| told(*port, name));
    let stops = "stop that program, or move the lab with --port-base";
    let moves = "the console takes OTLP elsewhere, or none: programs that send to this port reach another";
    let mut checks: Vec<_> =
        needed.iter().filter_map(taken).map(|said| Check::fail("ports", said, stops)).collect();
    checks.extend(otlp.iter().filter_map(taken).map(|said| Check::warn("ports", said, moves)));
    if checks.is_empty() {
        let all = needed.iter().chain(&otlp).map(|(port, _)| port.to_string()).collect::<Vec<_>>();
        checks.push(Check::ok("ports", format!("free: {}", all.join(", "))));
    }
    checks
}

fn told(port: u16, name: &str) -> String {
    match holder(port) {
        Some(who) => format!("port {port} ({name}) is taken by {who}"),
        None => format!("port {port} ({name}) is taken, or not to be had"),
    }
}
