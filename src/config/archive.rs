//! The arguments of `o11y-lab console export` and `console import`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{PortBase, http_url};

/// What is done with what a running console holds.
#[derive(Clone, Debug, Subcommand)]
pub enum ConsoleAction {
    /// Write the traces, log records and metrics of a running console to a folder, as lines of OTLP JSON
    Export(ConsoleExport),
    /// Put files of OTLP JSON (*.jsonl, *.json) of a folder into a running console
    Import(ConsoleImport),
}

/// Settings of `console export`.
#[derive(Args, Clone, Debug)]
pub struct ConsoleExport {
    /// Folder for the files, made where there is none; older ones of the same names are replaced
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub console: ConsoleAddress,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// Settings of `console import`.
#[derive(Args, Clone, Debug)]
pub struct ConsoleImport {
    /// The folder, such as `console export` or `scenario record` wrote
    pub dir: PathBuf,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub console: ConsoleAddress,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// Where the console is.
#[derive(Args, Clone, Debug)]
pub struct ConsoleAddress {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub ports: PortBase,
    /// The console's page [default: http://127.0.0.1 on the port after --port-base]
    #[arg(long, value_name = "URL", value_parser = http_url)]
    pub url: Option<String>,
}

impl ConsoleAddress {
    /// Its URL, without a slash at the end.
    pub fn url(&self) -> String {
        let port = self.ports.ports().at(crate::schema::Endpoint::Console);
        let own = || format!("http://127.0.0.1:{port}");
        self.url.as_ref().map_or_else(own, |url| url.trim_end_matches('/').to_owned())
    }
}
