//! What one `up` is asked to run, and on which ports.

use std::path::PathBuf;
use std::time::Duration;

use super::otlp::OtlpChoice;
use crate::config::BackendProgram;
use crate::schema::{Ports, Role};

/// The settings of this `up` that decide about its children.
pub(super) struct LabPlan {
    pub(super) ports: Ports,
    pub(super) otlp: OtlpChoice,
    /// Empty means all.
    pub(super) roles: Vec<Role>,
    pub(super) with: Vec<BackendProgram>,
    /// Absolute.
    pub(super) data_dir: PathBuf,
    pub(super) grace: Duration,
}

impl LabPlan {
    /// Whether this `up` starts `role`.
    pub(super) fn runs(&self, role: Role) -> bool {
        self.roles.is_empty() || self.roles.contains(&role)
    }

    /// A plan for tests that start nothing.
    #[cfg(test)]
    pub(super) fn example(base: u16, roles: &[Role]) -> Self {
        Self {
            ports: Ports::from_base(base),
            otlp: OtlpChoice::expected(Ports::from_base(base)),
            roles: roles.to_vec(),
            with: Vec::new(),
            data_dir: "/data".into(),
            grace: Duration::from_millis(2500),
        }
    }
}

/// The URL of a port on this machine.
pub(super) fn local(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}
