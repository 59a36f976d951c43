//! The arguments of `o11y-lab doctor`.

use std::ffi::OsString;
use std::net::IpAddr;

use clap::Args;
use clap::builder::PossibleValuesParser;

use super::{OtelConfig, PortBase, QueueConfig, StoreConfig, address};
use crate::schema::SERVICES;

/// Settings of `doctor`: those of the lab that is to run here.
#[derive(Args, Clone, Debug)]
pub struct DoctorConfig {
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
    /// Instead of checks: each setting of a role or of `up`, what it is, and where that came from
    #[arg(long, value_name = "ROLE", num_args = 0..=1, default_missing_value = "up", value_parser = commands())]
    pub settings: Option<String>,
    /// With --settings: flags that it is asked with, behind `--`
    #[arg(last = true, value_name = "FLAGS", requires = "settings")]
    pub flags: Vec<OsString>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub ports: PortBase,
    /// Address that the lab is to listen on
    #[arg(long, env = "UP_HOST", default_value = "127.0.0.1", value_parser = address)]
    pub host: IpAddr,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub store: StoreConfig,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub queue: QueueConfig,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub otel: OtelConfig,
}

/// The commands whose settings can be shown.
fn commands() -> PossibleValuesParser {
    PossibleValuesParser::new(["up", "console"].into_iter().chain(SERVICES.iter().map(|row| row.command)))
}
