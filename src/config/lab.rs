//! The settings of the lab commands that have no file of their own here.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::{
    ForwardConfig, HOST_OF_CONTAINERS, Invalid, KeepRules, ROLE_VARIABLE, RetainConfig, address,
    at_least_one, host_name, http_url, keep_rules, milliseconds, port_base, reached_at, seconds,
};

/// The ports by which a lab command finds a running lab.
#[derive(Args, Clone, Copy, Debug)]
pub struct PortBase {
    /// First port of the lab: gateway N, user N+1, … console N+5, OTLP N+6 and N+9
    #[arg(long, env = "PORT_BASE", default_value_t = crate::schema::PORT_BASE, value_parser = port_base)]
    pub port_base: u16,
}

impl PortBase {
    /// The ports that follow from the base.
    pub fn ports(self) -> crate::schema::Ports {
        crate::schema::Ports::from_base(self.port_base)
    }
}

/// Settings of `up`: the whole lab on this machine.
#[derive(Args, Clone, Debug)]
pub struct UpConfig {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub ports: PortBase,
    /// Address to listen on; on others than loopback, whoever reaches it can use the lab and break it
    #[arg(long, env = "UP_HOST", default_value = "127.0.0.1", value_parser = address)]
    pub host: IpAddr,
    /// Name by which a browser elsewhere reaches the lab: printed in URLs, and known to the console as one of its own [default: the address]
    #[arg(long, env = "UP_PUBLIC_HOST", value_name = "NAME", value_parser = host_name)]
    pub public_host: Option<String>,
    /// Folder of databases and queue [default: the user's state folder]
    #[arg(long, env = "DATA_DIR", value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
    /// Empty the data folder first; a queue elsewhere keeps its messages, and then no order id is given again
    #[arg(long, env = "UP_FRESH")]
    pub fresh: bool,
    /// Start only these roles (repeatable); the console always runs
    #[arg(long = "role", env = "UP_ROLES", value_name = "ROLE", value_delimiter = ',')]
    pub roles: Vec<crate::schema::Role>,
    /// Run these programs beside the lab, with its own rules and routes (repeatable); they have to be installed
    #[arg(long, env = "UP_WITH", value_name = "PROGRAM", value_delimiter = ',', conflicts_with = "roles")]
    pub with: Vec<BackendProgram>,
    /// Leave the lab running in the background, once it is ready; `status`, `logs`, `open` and `down` find it by its data folder
    #[arg(long, env = "UP_DETACH")]
    pub detach: bool,
    /// Do not print the services' log lines
    #[arg(long, env = "UP_QUIET")]
    pub quiet: bool,
    /// Append the services' log lines, as they are, to this file
    #[arg(long, env = "UP_LOGS", value_name = "FILE")]
    pub logs: Option<PathBuf>,
    /// Send traces, logs and metrics to this OTLP/HTTP receiver too; its headers stand in OTEL_EXPORTER_OTLP_HEADERS
    #[arg(long, env = "UP_EXPORT", value_name = "URL", value_parser = http_url, hide_env_values = true)]
    pub export: Option<String>,
    /// The console keeps only traces for which a rule holds, such as error,slower=500ms,ratio=0.1 [default: all]
    #[arg(long, env = "UP_KEEP", value_name = "RULES", value_parser = keep_rules)]
    pub keep: Option<KeepRules>,
    /// The console retains what came in with the data, and shows it again when the lab is started again
    #[arg(long, env = "UP_RETAIN")]
    pub retain: bool,
    /// Longest time to finish work in flight after Ctrl-C, in seconds
    #[arg(long, env = "SHUTDOWN_GRACE", default_value = "10", value_parser = seconds)]
    pub shutdown_grace: Duration,
}

/// A backend that `up` can run beside the lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum BackendProgram {
    /// Scrapes the roles and evaluates the lab's alert rules.
    Prometheus,
    /// Routes Prometheus's alerts to notification-service.
    Alertmanager,
}

/// The console: the built-in viewer of traces, metrics and logs.
#[derive(Args, Clone, Debug)]
pub struct ConsoleConfig {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub ports: PortBase,
    /// Address to listen on, for the page and for OTLP
    #[arg(long, env = "HOST", default_value = "127.0.0.1", value_parser = address)]
    pub host: IpAddr,
    /// Names that its page answers to, beside localhost, addresses and names without a dot; separated by commas
    #[arg(
        long,
        env = "ALLOWED_HOSTS",
        value_name = "LIST",
        default_value = HOST_OF_CONTAINERS,
        value_delimiter = ','
    )]
    pub allowed_hosts: Vec<String>,
    /// Port that takes OTLP/HTTP, 0 for none [default: 4318, or N+6 with --port-base N]
    #[arg(long, env = "CONSOLE_OTLP_PORT", value_name = "PORT")]
    pub otlp_port: Option<u16>,
    /// Port that takes OTLP/gRPC where that is built in (feature `grpc`), 0 for none [default: 4317, or N+9 with --port-base N, where OTLP/HTTP is taken and that port is free]
    #[arg(long, env = "CONSOLE_OTLP_GRPC_PORT", value_name = "PORT")]
    pub otlp_grpc_port: Option<u16>,
    /// Most spans kept; the oldest traces go first
    #[arg(long, env = "CONSOLE_MAX_SPANS", default_value_t = 50_000, value_parser = at_least_one)]
    pub max_spans: usize,
    /// Most log lines kept; the oldest go first
    #[arg(long, env = "CONSOLE_MAX_LOGS", default_value_t = 20_000, value_parser = at_least_one)]
    pub max_logs: usize,
    /// Most memory for spans (5/8 of it), log lines and metrics (3/16 each) together, in MiB
    #[arg(long, env = "CONSOLE_MAX_MEMORY_MIB", default_value_t = 64, value_parser = at_least_one)]
    pub max_memory_mib: usize,
    /// Interval between two scrapes of the services' /metrics, in seconds
    #[arg(long, env = "CONSOLE_SCRAPE_INTERVAL", default_value = "5", value_parser = seconds)]
    pub scrape_interval: Duration,
    /// Keep only traces for which a rule holds: error, slower=500ms, ratio=0.1; wait=5s until they are decided [default: all]
    #[arg(long, env = "CONSOLE_KEEP", value_name = "RULES", value_parser = keep_rules)]
    pub keep: Option<KeepRules>,
    /// Show the alerts, budgets and runbooks of this Prometheus
    #[arg(long, env = "CONSOLE_PROMETHEUS", value_name = "URL", value_parser = http_url, hide_env_values = true)]
    pub prometheus: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub forward: ForwardConfig,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub retain: RetainConfig,
}

impl ConsoleConfig {
    /// The port that takes OTLP, where one does.
    pub fn otlp(&self) -> Option<u16> {
        let port = self.otlp_port.unwrap_or(self.ports.ports().at(crate::schema::Endpoint::Otlp));
        (port != 0).then_some(port)
    }

    /// The port that takes OTLP/gRPC, where one does; whether it was asked for.
    ///
    /// # Errors
    /// One is asked for, and this build speaks no gRPC.
    pub fn otlp_grpc(&self) -> Result<Option<(u16, bool)>, Invalid> {
        match self.otlp_grpc_port {
            Some(0) => Ok(None),
            Some(port) if TAKES_GRPC => Ok(Some((port, true))),
            Some(_) => Err(Invalid(
                "--otlp-grpc-port (CONSOLE_OTLP_GRPC_PORT): this build takes no OTLP over gRPC; it takes a build \
                 with it (cargo build --release --features grpc)"
                    .to_owned(),
            )),
            None => {
                let port = self.ports.ports().at(crate::schema::Endpoint::OtlpGrpc);
                Ok((TAKES_GRPC && self.otlp().is_some()).then_some((port, false)))
            }
        }
    }
}

/// Whether the console of this build takes OTLP over gRPC.
pub const TAKES_GRPC: bool = cfg!(feature = "grpc");

/// A health check for containers without a shell.
#[derive(Args, Clone, Debug)]
pub struct HealthcheckConfig {
    /// URL to ask [default: http://HOST:PORT/health]
    #[arg(long, env = "HEALTHCHECK_URL", value_parser = http_url)]
    pub url: Option<String>,
    /// Address the service listens on; one that means all addresses is asked on loopback [default: 127.0.0.1]
    #[arg(long, env = "HOST", value_parser = address)]
    pub host: Option<IpAddr>,
    /// Port of the service on this machine [default: the port of the role in O11Y_LAB_ROLE, else 3000]
    #[arg(long, env = "PORT")]
    pub port: Option<u16>,
    /// Longest time to wait, in milliseconds
    #[arg(long, env = "HEALTHCHECK_TIMEOUT_MS", default_value = "2000", value_parser = milliseconds)]
    pub timeout: Duration,
}

impl HealthcheckConfig {
    /// The URL to ask.
    pub fn target(&self) -> String {
        let role = std::env::var(ROLE_VARIABLE).unwrap_or_default();
        let service = crate::schema::SERVICES.iter().find(|service| service.command == role);
        let port =
            self.port.or(service.map(crate::schema::Service::port)).unwrap_or(crate::schema::PORT_BASE);
        let host = self.host.unwrap_or(Ipv4Addr::LOCALHOST.into());
        self.url.clone().unwrap_or_else(|| format!("http://{}/health", reached_at(host, port)))
    }
}
