//! Every setting: its flag, its environment variable, its default and its help, nowhere else.
//!
//! The doc comments are the help text. A role takes [`RoleConfig`]; lab commands take their own
//! groups. An environment variable that is set but empty counts as not set, as the OpenTelemetry
//! specification asks and compose files need.

mod broker;
mod duration;
mod fault_command;
mod lab;
mod lambda;
mod load;
mod otel;
mod queue;
mod queue_command;
mod retention;
mod transport;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

pub use broker::{BrokerConfig, KafkaGroupProtocol, KafkaMechanism, KafkaSecurity, Secret};
pub(crate) use duration::{BareUnit, duration};
pub use fault_command::{FaultAction, FaultArguments, FaultTarget};
pub use lab::{BackendProgram, ConsoleConfig, HealthcheckConfig, PortBase, UpConfig};
pub use lambda::LambdaEnvironment;
pub(crate) use load::length;
pub use load::{Arrivals, LoadConfig, MAX_RPS, Mix, TRACE_ID};
pub use otel::OtelConfig;
pub use queue::{QueueConfig, TraceMode};
pub use queue_command::{DeadAction, QueueAction, QueueTarget};
pub use retention::{DeadLetterConfig, RetentionConfig};
pub use transport::{
    AddressSetting, CargoFeature, Guarantees, KeyOrder, TRANSPORTS, Transport, TransportRow,
};

/// Names the role where no subcommand is given.
pub const ROLE_VARIABLE: &str = "O11Y_LAB_ROLE";
/// Set by `up` for its children: standard input is a lifeline, its end means the parent is gone.
pub const LIFELINE_VARIABLE: &str = "O11Y_LAB_LIFELINE";
/// `PORT` and its kind must not leak from one child of `up` into another.
pub const PORT_VARIABLE: &str = "PORT";
/// A file beside `orders.db` that `up --fresh` leaves where the queue is elsewhere and may still hold messages:
/// the last order's id, after which those of a new file begin.
pub const LAST_ORDER_FILE: &str = "orders.last-id";
/// The search path of programs.
pub const PATH_VARIABLE: &str = "PATH";
/// A person who set this (to anything but nothing) wants no colour: <https://no-color.org>.
pub const NO_COLOR_VARIABLE: &str = "NO_COLOR";

/// The variables by which `up` configures its children. The first group repeats names that stand
/// at the settings below; a test compares them.
pub mod child {
    #![allow(missing_docs, reason = "the settings say what each one means")]
    pub const HOST: &str = "HOST";
    pub const SHUTDOWN_GRACE: &str = "SHUTDOWN_GRACE";
    pub const LOG_FORMAT: &str = "LOG_FORMAT";
    pub const DATA_DIR: &str = "DATA_DIR";
    pub const PORT_BASE: &str = "PORT_BASE";
    pub const QUEUE_TRANSPORT: &str = "QUEUE_TRANSPORT";
    pub const CONSOLE_OTLP_PORT: &str = "CONSOLE_OTLP_PORT";
    pub const USER_SERVICE_URL: &str = "USER_SERVICE_URL";
    pub const ORDER_SERVICE_URL: &str = "ORDER_SERVICE_URL";
    pub const LAMBDA_ENDPOINT: &str = "AWS_ENDPOINT_URL_LAMBDA";
    pub const AWS_REGION: &str = "AWS_REGION";
    pub const FAULTS_ENABLED: &str = "FAULTS_ENABLED";
    pub const OTEL_SDK_DISABLED: &str = "OTEL_SDK_DISABLED";
    pub const OTEL_SERVICE_NAME: &str = "OTEL_SERVICE_NAME";
    pub const OTEL_TRACES_EXPORTER: &str = "OTEL_TRACES_EXPORTER";
    pub const OTLP_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
    pub const OTLP_TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
    pub const BSP_SCHEDULE_DELAY: &str = "OTEL_BSP_SCHEDULE_DELAY";

    /// Set by AWS Lambda; its presence makes the lambda role run there.
    pub const LAMBDA_RUNTIME_API: &str = "AWS_LAMBDA_RUNTIME_API";

    // The AWS SDK's own.
    pub const AWS_DEFAULT_REGION: &str = "AWS_DEFAULT_REGION";
    pub const AWS_ACCESS_KEY_ID: &str = "AWS_ACCESS_KEY_ID";
    pub const AWS_SECRET_ACCESS_KEY: &str = "AWS_SECRET_ACCESS_KEY";
    pub const AWS_SESSION_TOKEN: &str = "AWS_SESSION_TOKEN";
    pub const AWS_PROFILE: &str = "AWS_PROFILE";
    pub const AWS_EC2_METADATA_DISABLED: &str = "AWS_EC2_METADATA_DISABLED";
    pub const AWS_IGNORE_ENDPOINTS: &str = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS";
}

/// Everything one role needs to run.
#[derive(Args, Clone, Debug)]
pub struct RoleConfig {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub http: HttpConfig,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub log: LogConfig,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub otel: OtelConfig,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub upstream: UpstreamConfig,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub store: StoreConfig,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub queue: QueueConfig,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub notify: NotifyConfig,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub fault: FaultConfig,
}

impl RoleConfig {
    /// The Lambda API that the AWS SDK's variables name, if they name one.
    pub fn lambda_endpoint(&self) -> Option<&str> {
        self.upstream.lambda_endpoint.as_deref().or(self.queue.broker.aws_endpoint.as_deref())
    }
}

/// Where a role listens and how it stops.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "HTTP")]
pub struct HttpConfig {
    /// Address to listen on; containers set 0.0.0.0
    #[arg(long, env = "HOST", default_value = "127.0.0.1")]
    pub host: std::net::IpAddr,
    /// Port to listen on; 0 takes a free one [default: the role's own, 3000 to 3004]
    #[arg(long, env = "PORT")]
    pub port: Option<u16>,
    /// Names that a role on a loopback address answers to, beside localhost, addresses and names without a dot; separated by commas
    #[arg(
        long,
        env = "ALLOWED_HOSTS",
        value_name = "LIST",
        default_value = "host.docker.internal",
        value_delimiter = ','
    )]
    pub allowed_hosts: Vec<String>,
    /// HTTP worker threads
    #[arg(long, env = "HTTP_WORKERS", default_value_t = 2, value_parser = at_least_one)]
    pub http_workers: usize,
    /// Longest time one request may take, in seconds; its body has half of it to arrive, and its client so long to take each 32 KiB of the answer
    #[arg(long, env = "REQUEST_TIMEOUT", default_value = "10", value_parser = seconds)]
    pub request_timeout: Duration,
    /// Longest time to finish requests and messages in flight after SIGTERM, in seconds
    #[arg(long, env = "SHUTDOWN_GRACE", default_value = "10", value_parser = seconds)]
    pub shutdown_grace: Duration,
}

/// What goes to standard output, and how.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Logs")]
pub struct LogConfig {
    /// Level, or tracing-subscriber directives such as `info,o11y_lab::queue=debug`
    #[arg(long, env = "LOG_LEVEL", default_value = "info", value_parser = log_filter)]
    pub log_level: String,
    /// One JSON object a line, or text for a terminal
    #[arg(long, env = "LOG_FORMAT", default_value = "json")]
    pub log_format: LogFormat,
}

/// The shape of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// Text for a person.
    Pretty,
}

/// The services a role calls.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Upstreams (gateway, order)")]
pub struct UpstreamConfig {
    /// Where user-service is
    #[arg(long, env = "USER_SERVICE_URL", default_value = "http://127.0.0.1:3001", value_parser = plain_http_url)]
    pub user_service_url: String,
    /// Where order-service is
    #[arg(long, env = "ORDER_SERVICE_URL", default_value = "http://127.0.0.1:3002", value_parser = plain_http_url)]
    pub order_service_url: String,
    /// Longest time to connect to a service, in milliseconds
    #[arg(long, env = "UPSTREAM_CONNECT_TIMEOUT_MS", default_value = "1000", value_parser = milliseconds)]
    pub upstream_connect_timeout: Duration,
    /// Longest time one call to a service may take, in milliseconds
    #[arg(long, env = "UPSTREAM_TIMEOUT_MS", default_value = "3000", value_parser = milliseconds)]
    pub upstream_timeout: Duration,
    /// The validator's function name or ARN
    #[arg(long, env = "LAMBDA_FUNCTION_NAME", default_value = "order-validator")]
    pub lambda_function_name: String,
    /// Lambda API to call instead of AWS's own, else AWS_ENDPOINT_URL; without both and without AWS_REGION: http://127.0.0.1:3004
    #[arg(long, env = "AWS_ENDPOINT_URL_LAMBDA", value_name = "URL", value_parser = http_url)]
    pub lambda_endpoint: Option<String>,
    /// AWS region of the function
    #[arg(long, env = "AWS_REGION", value_name = "REGION")]
    pub aws_region: Option<String>,
    /// Longest time one validation may take, in milliseconds
    #[arg(long, env = "LAMBDA_TIMEOUT_MS", default_value = "2000", value_parser = milliseconds)]
    pub lambda_timeout: Duration,
}

/// Where a role keeps its rows.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Storage (user, order, notify)")]
pub struct StoreConfig {
    /// postgres://… or sqlite://…; without it a SQLite file of the role's own in the data folder
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true, value_parser = database_url)]
    pub database_url: Option<String>,
    /// Folder of the SQLite files and the embedded queue [default: the user's state folder]
    #[arg(long, env = "DATA_DIR", value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
    /// Most connections to the database
    #[arg(long, env = "DATABASE_MAX_CONNECTIONS", default_value_t = 4, value_parser = at_least_one)]
    pub database_max_connections: usize,
    /// Longest time one database operation may take, waiting for a connection included, in milliseconds
    #[arg(long, env = "DATABASE_TIMEOUT_MS", default_value = "1500", value_parser = milliseconds)]
    pub database_timeout: Duration,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub retention: RetentionConfig,
}

impl StoreConfig {
    /// The folder for files: the one named, or the user's state folder.
    pub fn data_dir(&self) -> PathBuf {
        self.data_dir.clone().unwrap_or_else(default_data_dir)
    }
}

/// What only the notification service has.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Notifications (notify)")]
pub struct NotifyConfig {
    /// How long sending a notification takes, in milliseconds (it is simulated)
    #[arg(long, env = "NOTIFY_DELAY_MS", default_value = "0", value_parser = milliseconds_or_zero)]
    pub notify_delay: Duration,
}

/// Whether a role can be told to misbehave.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Faults")]
pub struct FaultConfig {
    /// Serve /faults, by which any client of the port can break this role; `up` sets it
    #[arg(long, env = "FAULTS_ENABLED", value_parser = clap::builder::BoolishValueParser::new())]
    pub faults_enabled: bool,
}

/// The folder for data where none is named: `$XDG_STATE_HOME/o11y-lab`, else
/// `~/.local/state/o11y-lab` (XDG Base Directory Specification), else a folder here.
pub fn default_data_dir() -> PathBuf {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
        .unwrap_or_default()
        .join("o11y-lab")
}

/// A setting that can never work, found only when it was used: exit code 2, as for one that the
/// command line refuses. The text names flag and variable and holds no secret.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub String);

/// The longest time that a setting may name.
const LONGEST: Duration = Duration::from_secs(86_400);

fn seconds(text: &str) -> Result<Duration, String> {
    let read = duration(text, BareUnit::Seconds).filter(|d| !d.is_zero() && *d <= LONGEST);
    read.ok_or_else(|| "expected seconds, more than 0 and at most 86400".into())
}

fn milliseconds(text: &str) -> Result<Duration, String> {
    let read = duration(text, BareUnit::Milliseconds).filter(|d| d.as_millis() > 0 && *d <= LONGEST);
    read.ok_or_else(|| "expected milliseconds, 1 to 86400000".into())
}

fn milliseconds_or_zero(text: &str) -> Result<Duration, String> {
    let read = duration(text, BareUnit::Milliseconds).filter(|d| *d <= LONGEST);
    read.ok_or_else(|| "expected milliseconds, 0 to 86400000".into())
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(n) if n >= 1 => Ok(n),
        _ => Err("expected a whole number, at least 1".into()),
    }
}

fn port_base(text: &str) -> Result<u16, String> {
    match text.parse::<u16>() {
        Ok(port) if (1024..=65_000).contains(&port) => Ok(port),
        _ => Err("expected a port, 1024 to 65000".into()),
    }
}

/// Calls between our services stay inside one network: plain HTTP, TLS ends before the gateway.
fn plain_http_url(text: &str) -> Result<String, String> {
    match http_url(text)? {
        url if url.starts_with("http://") => Ok(url),
        _ => Err("expected http://host:port (services call each other without TLS)".into()),
    }
}

fn http_url(text: &str) -> Result<String, String> {
    let url: actix_web::http::Uri = text.parse().map_err(|e| format!("not a URL: {e}"))?;
    match (url.scheme_str(), url.host()) {
        (Some("http" | "https"), Some(host)) if !host.is_empty() => Ok(text.trim_end_matches('/').to_owned()),
        _ => Err("expected http://host:port or https://host".into()),
    }
}

fn database_url(text: &str) -> Result<String, String> {
    match text.split_once("://") {
        Some(("postgres" | "postgresql" | "sqlite", rest)) if !rest.is_empty() => Ok(text.to_owned()),
        _ => Err("expected postgres://user@host/database or sqlite:///path/to/file".into()),
    }
}

fn log_filter(text: &str) -> Result<String, String> {
    tracing_subscriber::EnvFilter::try_new(text)
        .map(|_| text.to_owned())
        .map_err(|e| format!("not a level or directive: {e}"))
}
