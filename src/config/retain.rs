//! What of the console's telemetry survives its restart.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::retention::age;

/// Where and how much.
#[derive(Args, Clone, Debug)]
pub struct RetainConfig {
    /// Folder in which what came in is retained, so that a console that starts again shows it [default: none]
    #[arg(long, env = "CONSOLE_RETAIN", value_name = "FOLDER")]
    pub retain: Option<PathBuf>,
    /// Most retained there, packed, in MiB; the oldest goes first
    #[arg(long, env = "CONSOLE_RETAIN_MIB", default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..=1_048_576))]
    pub retain_mib: u64,
    /// How long it is retained
    #[arg(long, env = "CONSOLE_RETAIN_AGE", value_name = "TIME", default_value = "1d", value_parser = age)]
    pub retain_age: Duration,
}
