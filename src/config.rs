//! Every setting: its flag, its environment variable, its default and its help, nowhere else.
//!
//! The doc comments are the help text. A role takes [`RoleConfig`]; lab commands take their own
//! groups. An environment variable that is set but empty counts as not set, as the OpenTelemetry
//! specification asks and compose files need.

mod access;
mod archive;
mod broker;
pub mod child;
mod doctor;
mod duration;
mod fault_command;
mod forward;
mod keep;
mod lab;
mod lambda;
mod load;
mod log;
mod manual;
mod otel;
mod pipeline;
mod queue;
mod queue_command;
mod readers;
mod retain;
mod retention;
mod running;
mod scenario;
pub mod spec;
mod transport;
mod validator;
mod values;
mod verify;
mod verify_sampling;
mod verify_spec;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

pub use access::BackendAccessConfig;
pub use archive::{ConsoleAction, ConsoleAddress, ConsoleExport, ConsoleImport};
pub use broker::{BrokerConfig, KafkaGroupProtocol, KafkaMechanism, KafkaSecurity, Secret};
pub use doctor::DoctorConfig;
pub(crate) use duration::{BareUnit, duration};
pub use fault_command::{FaultAction, FaultArguments, FaultTarget};
pub use forward::{ForwardConfig, not_in_circles};
pub use keep::KeepRules;
use keep::keep_rules;
pub use lab::{BackendProgram, ConsoleConfig, HealthcheckConfig, PortBase, TAKES_GRPC, UpConfig};
pub use lambda::LambdaEnvironment;
pub(crate) use load::length;
pub use load::{Arrivals, LoadConfig, MAX_RPS, Mix, TRACE_ID};
pub use log::{LogConfig, LogFormat};
pub use manual::{CompletionsConfig, ManConfig};
pub use otel::{OTEL_SPECIFICATION, OtelConfig, OtelFile, OtelSupport, OtelVariable, otel_variables};
pub(crate) use pipeline::{pipeline_environment, pipeline_speaks_grpc};
pub use queue::{QueueConfig, TraceMode};
pub use queue_command::{DeadAction, QueueAction, QueueTarget};
pub(crate) use readers::VariableReader;
pub use retain::RetainConfig;
pub use retention::{DeadLetterConfig, RetentionConfig};
pub use running::{DownConfig, LabFolder, LogsConfig, OpenConfig, StatusConfig, has_display};
pub use scenario::{
    FaultPlace, ScenarioAction, ScenarioCheck, ScenarioRecord, ScenarioReplay, ScenarioRun, ScenarioScore,
    ScenarioTarget,
};
pub use transport::{
    AddressSetting, CargoFeature, Guarantees, KeyOrder, TRANSPORTS, Transport, TransportRow,
};
use values::{
    LONGEST, address, at_least_one, database_url, host_name, http_url, milliseconds, milliseconds_or_zero,
    plain_http_url, port_base, seconds,
};
pub(crate) use values::{basic_login, boolean, pairs};
pub use values::{is_loopback, reached_at, without_login};
pub use verify::{BackendSource, StationSource, VerifyConfig};
pub use verify_sampling::{Sampling, SamplingConfig, TraceSampler};
pub use verify_spec::SpecConfig;

/// Names the role where no subcommand is given.
pub const ROLE_VARIABLE: &str = "O11Y_LAB_ROLE";
/// Set by `up` for its children: standard input is a lifeline, its end means the parent is gone.
pub const LIFELINE_VARIABLE: &str = "O11Y_LAB_LIFELINE";
/// Set by `up` for its children: the variables, separated by commas, that it chose and nobody else set.
pub const CHOSEN_VARIABLE: &str = "O11Y_LAB_CHOSEN";
/// Set by `up --detach` for the `up` that it leaves behind.
pub const DETACHED_VARIABLE: &str = "O11Y_LAB_DETACHED";
/// `PORT` and its kind must not leak from one child of `up` into another.
pub const PORT_VARIABLE: &str = "PORT";
/// A file beside `orders.db` that `up --fresh` leaves where the queue is elsewhere and may still hold messages:
/// the last order's id, after which those of a new file begin.
pub const LAST_ORDER_FILE: &str = "orders.last-id";
/// The search path of programs.
pub const PATH_VARIABLE: &str = "PATH";
/// A person who set this (to anything but nothing) wants no colour: <https://no-color.org>.
pub const NO_COLOR_VARIABLE: &str = "NO_COLOR";
/// What the terminal can do; `dumb` is one that knows no escape sequences.
pub const TERM_VARIABLE: &str = "TERM";
/// Read by many programs in Rust, and not by this one.
pub const RUST_LOG_VARIABLE: &str = "RUST_LOG";

/// Pairs of settings, named by their fields, where the first as a flag outweighs the variable of the
/// second, although that one decides where both are set in the same way.
pub(crate) const FLAG_OUTWEIGHS: [(&str, &str); 2] = [("port", "url"), ("port_base", "url")];

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

/// The name by which containers call the machine that they run on.
pub(crate) const HOST_OF_CONTAINERS: &str = "host.docker.internal";

/// Where a role listens and how it stops.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "HTTP")]
pub struct HttpConfig {
    /// Address to listen on; containers set 0.0.0.0
    #[arg(long, env = "HOST", default_value = "127.0.0.1", value_parser = address)]
    pub host: std::net::IpAddr,
    /// Port to listen on; 0 takes a free one [default: the role's own, 3000 to 3004]
    #[arg(long, env = "PORT")]
    pub port: Option<u16>,
    /// Names that a role on a loopback address answers to, beside localhost, addresses and names without a dot; separated by commas
    #[arg(
        long,
        env = "ALLOWED_HOSTS",
        value_name = "LIST",
        default_value = HOST_OF_CONTAINERS,
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
    #[arg(long, env = "FAULTS_ENABLED")]
    pub faults_enabled: bool,
}

/// The folder for data where none is named: `$XDG_STATE_HOME/o11y-lab`, else
/// `~/.local/state/o11y-lab` (XDG Base Directory Specification), else `o11y-lab-data` here: `o11y-lab` may be the program.
pub fn default_data_dir() -> PathBuf {
    computed_data_dir().0
}

/// The same, and what it is computed from.
pub(crate) fn computed_data_dir() -> (PathBuf, &'static str) {
    let absolute = |name: &'static str| {
        std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute()).map(|path| (path, name))
    };
    let home = || absolute("HOME").map(|(home, name)| (home.join(".local/state"), name));
    match absolute("XDG_STATE_HOME").or_else(home) {
        Some((state, name)) => (state.join("o11y-lab"), name),
        None => ("o11y-lab-data".into(), "the working folder"),
    }
}

/// A setting that can never work, found only when it was used: exit code 2, as for one that the
/// command line refuses. The text names flag and variable and holds no secret.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub String);
