//! The lab's telemetry in real backends, with the very files of `deploy/`. Minutes of building for whoever has not
//! got them: `make test-backends`.

mod alertmanager;
mod collector;
mod incident;
mod jaeger;
mod outage;
mod prometheus;
mod rules;
mod skew;
mod tier;
mod verify;
mod victorialogs;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::helpers::process::clean;
use crate::helpers::{Lab, Process};

/// A program that `scripts/provision --backends` builds.
#[track_caller]
fn program(path: &str) -> PathBuf {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools/backends").join(path);
    assert!(program.exists(), "{} is missing: `make test-backends` builds it", program.display());
    program
}

/// A program with one of the lab's own configurations and, over it, what this machine must have otherwise.
fn configured<const N: usize>(path: &str, ours: &str, folder: &Path, changes: [Value; N]) -> Process {
    let mut command = clean(Command::new(program(path)));
    command.arg("--config").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(ours));
    for (number, change) in changes.iter().enumerate() {
        let file = folder.join(format!("changes-{number}.yaml"));
        std::fs::write(&file, change.to_string()).unwrap();
        command.arg("--config").arg(file);
    }
    Process::spawn(command)
}

/// A lab that sends all three signals there.
fn lab(endpoint: &str, protocol: &str) -> Lab {
    Lab::start_with(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ("OTEL_LOGS_EXPORTER", "otlp"),
        ("OTEL_METRICS_EXPORTER", "otlp"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "1000"),
    ])
}
