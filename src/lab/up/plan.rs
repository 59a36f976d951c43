//! What one `up` is asked to run, and on which ports.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::otlp::OtlpChoice;
use crate::config::{BackendProgram, Invalid, KeepRules, not_in_circles, reached_at};
use crate::schema::{Endpoint, Ports, Role};

/// The settings of this `up` that decide about its children.
pub(super) struct LabPlan {
    pub(super) ports: Ports,
    pub(super) otlp: OtlpChoice,
    /// Where the children listen.
    pub(super) host: IpAddr,
    /// The name by which a browser elsewhere reaches them.
    pub(super) public_host: Option<String>,
    /// Empty means all.
    pub(super) roles: Vec<Role>,
    pub(super) with: Vec<BackendProgram>,
    /// The receiver that the console sends everything on to.
    pub(super) export: Option<String>,
    /// Which traces the console keeps, where not all.
    pub(super) keep: Option<KeepRules>,
    /// Whether the console retains what came in, in the data folder.
    pub(super) retain: bool,
    /// Absolute.
    pub(super) data_dir: PathBuf,
    pub(super) grace: Duration,
}

impl LabPlan {
    /// Whether this `up` starts `role`.
    pub(super) fn runs(&self, role: Role) -> bool {
        self.roles.is_empty() || self.roles.contains(&role)
    }

    /// `host:port` by which a port of this lab is reached from this machine.
    pub(super) fn address(&self, port: u16) -> String {
        reached_at(self.host, port)
    }

    /// The URL of that.
    pub(super) fn url(&self, port: u16) -> String {
        format!("http://{}", self.address(port))
    }

    /// A URL of this lab as a person elsewhere opens it.
    pub(super) fn shown(&self, url: &str) -> String {
        let Some(public) = &self.public_host else { return url.to_owned() };
        let here = self.address(0);
        let here = here.trim_end_matches('0');
        match url.strip_prefix("http://").and_then(|rest| rest.strip_prefix(here)) {
            Some(rest) => format!("http://{public}:{rest}"),
            None => url.to_owned(),
        }
    }

    /// The same of a port.
    pub(super) fn page(&self, port: u16) -> String {
        self.shown(&self.url(port))
    }

    /// What is sent on must not come back to the console, or each export would be the reason of the next.
    ///
    /// # Errors
    /// `--export` names one of the console's own ports.
    pub(super) fn check_export(&self) -> Result<(), Invalid> {
        let own = [self.otlp.port, self.otlp.grpc, Some(self.ports.at(Endpoint::Console))];
        let names: Vec<_> = self.public_host.iter().cloned().collect();
        not_in_circles("--export (UP_EXPORT)", self.export.as_deref(), (self.host, &names), &own)
    }

    /// A plan for tests that start nothing.
    #[cfg(test)]
    pub(super) fn example(base: u16, roles: &[Role]) -> Self {
        Self {
            ports: Ports::from_base(base),
            otlp: OtlpChoice::expected(Ports::from_base(base)),
            host: std::net::Ipv4Addr::LOCALHOST.into(),
            public_host: None,
            roles: roles.to_vec(),
            with: Vec::new(),
            export: None,
            keep: None,
            retain: false,
            data_dir: "/data".into(),
            grace: Duration::from_millis(2500),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_exported_to_the_labs_own_console_would_go_in_circles_and_is_refused() {
        let plan = |url: &str| LabPlan { export: Some(url.to_owned()), ..LabPlan::example(7000, &[]) };
        for own in
            ["http://127.0.0.1:7006", "http://localhost:7006/", "http://[::1]:7005", "http://0.0.0.0:7006/v1"]
        {
            assert!(plan(own).check_export().is_err(), "{own}");
        }
        for other in ["http://127.0.0.1:4318", "http://collector:7006", "https://vendor.example"] {
            assert!(plan(other).check_export().is_ok(), "{other}");
        }
    }
}
