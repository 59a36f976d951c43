//! The arguments of `status`, `logs`, `down` and `open`, which find a lab by its data folder.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser};

use super::{Invalid, default_data_dir, seconds};
use crate::schema::SERVICES;

/// What `logs` can show apart.
fn programs() -> PossibleValuesParser {
    let others = ["console", "prometheus", "alertmanager", "up"];
    // Also by the names that stand before the lines.
    let roles = SERVICES.iter().map(|row| PossibleValue::new(row.command).alias(row.name));
    PossibleValuesParser::new(roles.chain(others.map(PossibleValue::new)))
}

/// The lab that is meant.
#[derive(Args, Clone, Debug)]
pub struct LabFolder {
    /// Data folder of the lab [default: the user's state folder]
    #[arg(long, env = "DATA_DIR", value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
}

impl LabFolder {
    /// The folder: the one named, or the user's state folder.
    pub fn path(&self) -> PathBuf {
        self.data_dir.clone().unwrap_or_else(default_data_dir)
    }
}

/// Settings of `status`.
#[derive(Args, Clone, Debug)]
pub struct StatusConfig {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub lab: LabFolder,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// Settings of `logs`.
#[derive(Args, Clone, Debug)]
pub struct LogsConfig {
    /// Only lines of these programs [default: all]
    #[arg(value_name = "PROGRAM", value_parser = programs())]
    pub programs: Vec<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub lab: LabFolder,
    /// Go on with the lines that come, until the lab ends or Ctrl-C; of a lab of `up --detach` (one in a terminal shows them there, or with `up --logs FILE` in a file: tail -f FILE)
    #[arg(long, short)]
    pub follow: bool,
    /// The last lines to begin with; with --follow also 0, for those alone that come
    #[arg(long, short = 'n', default_value_t = 100, value_name = "N")]
    pub lines: usize,
}

impl LogsConfig {
    /// # Errors
    /// Nothing would ever be shown.
    pub fn check(&self) -> Result<(), Invalid> {
        match (self.lines, self.follow) {
            (0, false) => {
                Err(Invalid("--lines 0 shows nothing; with --follow it shows what comes".to_owned()))
            }
            _ => Ok(()),
        }
    }
}

/// Settings of `down`.
#[derive(Args, Clone, Debug)]
pub struct DownConfig {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub lab: LabFolder,
    /// Longest time to wait for the end, in seconds [default: what the lab may take for its drain]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub within: Option<Duration>,
}

/// Settings of `open`.
#[derive(Args, Clone, Debug)]
pub struct OpenConfig {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub lab: LabFolder,
}

/// Whether a browser would have a screen to open on. On macOS there always is one.
pub fn has_display() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    cfg!(target_os = "macos") || set("DISPLAY") || set("WAYLAND_DISPLAY")
}
