//! Where the console sends on what it receives.

use std::net::IpAddr;

use clap::Args;
use url::Url;

use super::{Invalid, OtelConfig, http_url, is_loopback};

/// A further receiver. Its headers, timeout and TLS files are those of the standard variables.
#[derive(Args, Clone, Debug, Default)]
pub struct ForwardConfig {
    /// Send all OTLP that comes in on to this receiver too; /v1/traces, /v1/logs and /v1/metrics are added
    #[arg(long, env = "CONSOLE_FORWARD", value_name = "URL", value_parser = http_url, hide_env_values = true)]
    pub forward: Option<String>,
    /// Headers for that receiver: key=value,key=value, percent-encoded
    #[arg(long, env = "OTEL_EXPORTER_OTLP_HEADERS", value_name = "PAIRS", hide_env_values = true)]
    pub forward_headers: Option<String>,
    /// Longest time to send one export on, retries included, in milliseconds [default: 10000]
    #[arg(long, env = "OTEL_EXPORTER_OTLP_TIMEOUT", value_name = "MS")]
    pub forward_timeout: Option<String>,
    /// PEM file with the certificate authority of an https receiver [default: the system's]
    #[arg(long, env = "OTEL_EXPORTER_OTLP_CERTIFICATE", value_name = "FILE")]
    pub forward_certificate: Option<String>,
    /// PEM file with the console's certificate, for mutual TLS
    #[arg(long, env = "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", value_name = "FILE")]
    pub forward_client_certificate: Option<String>,
    /// PEM file with the console's private key, for mutual TLS
    #[arg(long, env = "OTEL_EXPORTER_OTLP_CLIENT_KEY", value_name = "FILE")]
    pub forward_client_key: Option<String>,
}

/// Refuses a receiver that is the console itself: each export would be the reason of the next. The console listens at
/// `host`, is called `names` and has these ports; `setting` names the URL's.
///
/// # Errors
/// It is one of them.
pub fn not_in_circles(
    setting: &str,
    receiver: Option<&str>,
    (host, names): (IpAddr, &[String]),
    ports: &[Option<u16>],
) -> Result<(), Invalid> {
    let Some(url) = receiver.and_then(|url| Url::parse(url).ok()) else { return Ok(()) };
    let name = url.host_str().unwrap_or_default();
    let address = name.trim_matches(['[', ']']).parse::<IpAddr>();
    let here = is_loopback(name)
        || names.iter().any(|own| own == name)
        || address.is_ok_and(|ip| ip.is_loopback() || ip.is_unspecified() || ip == host);
    match url.port_or_known_default() {
        Some(port) if here && ports.contains(&Some(port)) => Err(Invalid(format!(
            "{setting} could only go in circles: port {port} is this console's own, which gets all of it already"
        ))),
        _ => Ok(()),
    }
}

impl ForwardConfig {
    /// The same as settings of an exporter; nothing where nothing is sent on.
    pub fn otel(&self) -> Option<OtelConfig> {
        self.forward.as_ref().map(|_| self.exporter())
    }

    /// The settings of that exporter, also where nothing is sent on.
    pub(crate) fn exporter(&self) -> OtelConfig {
        OtelConfig {
            otel_exporter_otlp_endpoint: self.forward.clone(),
            otel_exporter_otlp_headers: self.forward_headers.clone(),
            otel_exporter_otlp_timeout: self.forward_timeout.clone(),
            otel_exporter_otlp_certificate: self.forward_certificate.clone(),
            otel_exporter_otlp_client_certificate: self.forward_client_certificate.clone(),
            otel_exporter_otlp_client_key: self.forward_client_key.clone(),
            ..OtelConfig::default()
        }
    }
}
