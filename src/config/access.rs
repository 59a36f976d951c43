//! How telemetry backends are reached that want more than a URL: headers and an authority, as OTLP's exporter has them.

use std::path::PathBuf;

use clap::Args;

use super::Secret;
use super::broker::secret;

/// Headers by signal, and whom to trust.
#[derive(Args, Clone, Debug, Default)]
pub struct BackendAccessConfig {
    /// Headers for the named backends, such as authorization=Bearer%20TOKEN: key=value,key=value, percent-encoded
    #[arg(long, env = "VERIFY_HEADERS", value_name = "PAIRS", hide_env_values = true, value_parser = secret)]
    pub headers: Option<Secret>,
    /// The same, for those of traces
    #[arg(long, env = "VERIFY_TRACES_HEADERS", value_name = "PAIRS", hide_env_values = true, value_parser = secret)]
    pub traces_headers: Option<Secret>,
    /// The same, for those of metrics
    #[arg(long, env = "VERIFY_METRICS_HEADERS", value_name = "PAIRS", hide_env_values = true, value_parser = secret)]
    pub metrics_headers: Option<Secret>,
    /// The same, for those of logs
    #[arg(long, env = "VERIFY_LOGS_HEADERS", value_name = "PAIRS", hide_env_values = true, value_parser = secret)]
    pub logs_headers: Option<Secret>,
    /// The same, for those of alerts
    #[arg(long, env = "VERIFY_ALERTS_HEADERS", value_name = "PAIRS", hide_env_values = true, value_parser = secret)]
    pub alerts_headers: Option<Secret>,
    /// PEM file with the certificate authority of https backends [default: the system's]
    #[arg(long, env = "VERIFY_CERTIFICATE", value_name = "FILE")]
    pub certificate: Option<PathBuf>,
}

impl BackendAccessConfig {
    /// The headers of traces, metrics, logs and alerts, each with the name of its setting: a signal's own replace the
    /// general ones.
    pub fn by_signal(&self) -> [(&'static str, Option<&Secret>); 4] {
        let general = ("--headers (VERIFY_HEADERS)", self.headers.as_ref());
        [
            ("--traces-headers (VERIFY_TRACES_HEADERS)", &self.traces_headers),
            ("--metrics-headers (VERIFY_METRICS_HEADERS)", &self.metrics_headers),
            ("--logs-headers (VERIFY_LOGS_HEADERS)", &self.logs_headers),
            ("--alerts-headers (VERIFY_ALERTS_HEADERS)", &self.alerts_headers),
        ]
        .map(|(setting, own)| own.as_ref().map_or(general, |own| (setting, Some(own))))
    }
}
