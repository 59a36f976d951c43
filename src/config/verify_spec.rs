//! The arguments of `o11y-lab verify --spec` and `--record`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::load::length;

/// Verifying the telemetry of other programs than the lab, by a file that says what has to arrive.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Telemetry of other programs")]
pub struct SpecConfig {
    /// Send nothing: wait for the spans, metrics and log lines that this YAML file names (docs/verify-spec.md), of what arrives from now on
    #[arg(long, env = "VERIFY_SPEC", value_name = "FILE", conflicts_with_all = ["url", "orders", "seed", "alerts", "diff", "pipeline", "faults", "watch"])]
    pub spec: Option<PathBuf>,
    /// Send nothing: write what arrives from now on as such a file; it may not be there yet
    #[arg(long, value_name = "FILE", conflicts_with_all = ["spec", "url", "orders", "seed", "alerts", "diff", "pipeline", "faults", "watch", "junit", "github", "details"])]
    pub record: Option<PathBuf>,
    /// With --record: write the telemetry of these services only, where others send to the same console (repeatable) [default: all that arrives]
    #[arg(long = "service", value_name = "NAME", requires = "record")]
    pub services: Vec<String>,
    /// Longest time the command may take
    #[arg(long, env = "VERIFY_COMMAND_WITHIN", default_value = "10m", value_name = "TIME", value_parser = length)]
    pub command_within: Duration,
    /// With --spec or --record: a command to run meanwhile, such as your tests; --within begins when it ends
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}
