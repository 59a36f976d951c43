//! The settings of the OpenTelemetry SDK.

mod file;
mod signals;
mod specified;

use clap::Args;

pub use file::OtelFile;
use signals::{LogsVariables, MetricsVariables};
pub use specified::{OTEL_SPECIFICATION, OtelSupport, OtelVariable, otel_variables};

/// The standard OpenTelemetry variables. They stay strings here: the specification wants unknown
/// values reported and ignored, not refused, and `runtime::telemetry` does that.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "OpenTelemetry (the specification's variables)")]
pub struct OtelConfig {
    /// `true` turns traces, and the export of logs and metrics, off
    #[arg(long, env = "OTEL_SDK_DISABLED", value_name = "BOOL")]
    pub otel_sdk_disabled: Option<String>,
    /// YAML file that says all of this instead: the declarative configuration; then no other setting here has an effect
    #[arg(long, env = "OTEL_CONFIG_FILE", value_name = "FILE")]
    pub otel_config_file: Option<String>,
    /// Overrides service.name
    #[arg(long, env = "OTEL_SERVICE_NAME", value_name = "NAME")]
    pub otel_service_name: Option<String>,
    /// More resource attributes: key=value,key=value, percent-encoded
    #[arg(long, env = "OTEL_RESOURCE_ATTRIBUTES", value_name = "PAIRS")]
    pub otel_resource_attributes: Option<String>,
    /// otlp, console (lines on standard output) or none, several by comma [default: otlp]
    #[arg(long, env = "OTEL_TRACES_EXPORTER", value_name = "NAMES")]
    pub otel_traces_exporter: Option<String>,
    /// Level of what telemetry logs of itself: none, error, warn, info, debug or trace [default: that of LOG_LEVEL]
    #[arg(long, env = "OTEL_LOG_LEVEL", value_name = "LEVEL")]
    pub otel_log_level: Option<String>,
    /// tracecontext, baggage, b3, b3multi, xray or none, separated by commas [default: tracecontext,baggage]
    #[arg(long, env = "OTEL_PROPAGATORS", value_name = "NAMES")]
    pub otel_propagators: Option<String>,
    /// always_on, always_off, traceidratio or parentbased_ before one of them [default: parentbased_always_on]
    #[arg(long, env = "OTEL_TRACES_SAMPLER", value_name = "NAME")]
    pub otel_traces_sampler: Option<String>,
    /// The ratio of a traceidratio sampler, 0 to 1 [default: 1]
    #[arg(long, env = "OTEL_TRACES_SAMPLER_ARG", value_name = "RATIO")]
    pub otel_traces_sampler_arg: Option<String>,
    /// Base URL of the OTLP/HTTP receiver; /v1/traces, /v1/logs and /v1/metrics are added [default: http://localhost:4318]
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL")]
    pub otel_exporter_otlp_endpoint: Option<String>,
    /// Full URL for traces, used as it is
    #[arg(long, env = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", value_name = "URL")]
    pub otel_exporter_otlp_traces_endpoint: Option<String>,
    /// http/protobuf, http/json, or where it is built in (feature `grpc`) grpc [default: http/protobuf]
    #[arg(long, env = "OTEL_EXPORTER_OTLP_PROTOCOL", value_name = "NAME")]
    pub otel_exporter_otlp_protocol: Option<String>,
    /// The same, for traces
    #[arg(long, env = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", value_name = "NAME")]
    pub otel_exporter_otlp_traces_protocol: Option<String>,
    /// Headers for the receiver: key=value,key=value, percent-encoded
    #[arg(long, env = "OTEL_EXPORTER_OTLP_HEADERS", value_name = "PAIRS", hide_env_values = true)]
    pub otel_exporter_otlp_headers: Option<String>,
    /// The same, for traces
    #[arg(long, env = "OTEL_EXPORTER_OTLP_TRACES_HEADERS", value_name = "PAIRS", hide_env_values = true)]
    pub otel_exporter_otlp_traces_headers: Option<String>,
    /// Longest time one export may take, in milliseconds [default: 10000]
    #[arg(long, env = "OTEL_EXPORTER_OTLP_TIMEOUT", value_name = "MS")]
    pub otel_exporter_otlp_timeout: Option<String>,
    /// The same, for traces
    #[arg(long, env = "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", value_name = "MS")]
    pub otel_exporter_otlp_traces_timeout: Option<String>,
    /// gzip or none [default: none]
    #[arg(long, env = "OTEL_EXPORTER_OTLP_COMPRESSION", value_name = "NAME")]
    pub otel_exporter_otlp_compression: Option<String>,
    /// The same, for traces
    #[arg(long, env = "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", value_name = "NAME")]
    pub otel_exporter_otlp_traces_compression: Option<String>,
    /// PEM file with the certificate authority of an https receiver [default: the system's]
    #[arg(long, env = "OTEL_EXPORTER_OTLP_CERTIFICATE", value_name = "FILE")]
    pub otel_exporter_otlp_certificate: Option<String>,
    /// The same, for traces
    #[arg(long, env = "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", value_name = "FILE")]
    pub otel_exporter_otlp_traces_certificate: Option<String>,
    /// PEM file with this client's certificate, for mutual TLS
    #[arg(long, env = "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", value_name = "FILE")]
    pub otel_exporter_otlp_client_certificate: Option<String>,
    /// The same, for traces
    #[arg(long, env = "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", value_name = "FILE")]
    pub otel_exporter_otlp_traces_client_certificate: Option<String>,
    /// PEM file with this client's private key, for mutual TLS
    #[arg(long, env = "OTEL_EXPORTER_OTLP_CLIENT_KEY", value_name = "FILE")]
    pub otel_exporter_otlp_client_key: Option<String>,
    /// The same, for traces
    #[arg(long, env = "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", value_name = "FILE")]
    pub otel_exporter_otlp_traces_client_key: Option<String>,
    /// Longest time spans wait before an export, in milliseconds [default: 5000]
    #[arg(long, env = "OTEL_BSP_SCHEDULE_DELAY", value_name = "MS")]
    pub otel_bsp_schedule_delay: Option<String>,
    /// Most spans waiting for export; more are dropped and counted [default: 2048]
    #[arg(long, env = "OTEL_BSP_MAX_QUEUE_SIZE", value_name = "N")]
    pub otel_bsp_max_queue_size: Option<String>,
    /// Most spans in one export [default: 512]
    #[arg(long, env = "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", value_name = "N")]
    pub otel_bsp_max_export_batch_size: Option<String>,
    /// Longest time one export may take, in milliseconds, where shorter than the OTLP timeout [default: 30000]
    #[arg(long, env = "OTEL_BSP_EXPORT_TIMEOUT", value_name = "MS")]
    pub otel_bsp_export_timeout: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub logs: LogsVariables,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub metrics: MetricsVariables,
    /// Most attributes a span, an event or a link keeps [default: 128]
    #[arg(long, env = "OTEL_ATTRIBUTE_COUNT_LIMIT", value_name = "N")]
    pub otel_attribute_count_limit: Option<String>,
    /// Most characters an attribute's text keeps [default: no limit]
    #[arg(long, env = "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", value_name = "N")]
    pub otel_attribute_value_length_limit: Option<String>,
    /// The same, for spans
    #[arg(long, env = "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", value_name = "N")]
    pub otel_span_attribute_value_length_limit: Option<String>,
    /// Most attributes an event keeps [default: 128]
    #[arg(long, env = "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", value_name = "N")]
    pub otel_event_attribute_count_limit: Option<String>,
    /// Most attributes a link keeps [default: 128]
    #[arg(long, env = "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", value_name = "N")]
    pub otel_link_attribute_count_limit: Option<String>,
    /// Most attributes a span keeps [default: 128]
    #[arg(long, env = "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", value_name = "N")]
    pub otel_span_attribute_count_limit: Option<String>,
    /// Most events a span keeps [default: 128]
    #[arg(long, env = "OTEL_SPAN_EVENT_COUNT_LIMIT", value_name = "N")]
    pub otel_span_event_count_limit: Option<String>,
    /// Most links a span keeps [default: 128]
    #[arg(long, env = "OTEL_SPAN_LINK_COUNT_LIMIT", value_name = "N")]
    pub otel_span_link_count_limit: Option<String>,
    /// deployment.environment.name
    #[arg(long, env = "DEPLOYMENT_ENVIRONMENT", default_value = "lab", value_name = "NAME")]
    pub deployment_environment: String,
    /// The ECS agent's metadata address; AWS sets it, and the task's id goes into the resource
    #[arg(long, env = "ECS_CONTAINER_METADATA_URI_V4", value_name = "URL", hide = true)]
    pub ecs_metadata_uri: Option<String>,
}

impl OtelConfig {
    /// The `OTEL_*` variables that are set and have no effect here, so that a
    /// misspelled one is noticed. `none` asks for nothing and is not among them. Beside a file those have one that it
    /// refers to; what `up` chose for its children, nobody set.
    pub fn variables_without_effect(file: Option<&OtelFile>) -> Vec<String> {
        let known = Self::augment_args(clap::Command::new("otel"));
        let read = |name: &str| known.get_arguments().any(|a| a.get_env().is_some_and(|e| e == name));
        let is_known = |name: &str| match file {
            Some(file) => name == "OTEL_CONFIG_FILE" || file.variables.contains(name),
            None => read(name),
        };
        let chosen = std::env::var(super::CHOSEN_VARIABLE).unwrap_or_default();
        let is_chosen = |name: &str| chosen.split(',').any(|chosen| chosen == name);
        let asks = |value: &std::ffi::OsStr| !value.is_empty() && value != "none";
        let mut names: Vec<String> = std::env::vars_os()
            .filter(|(_, value)| asks(value))
            .filter_map(|(name, _)| name.into_string().ok())
            .filter(|name| name.starts_with("OTEL_") && !is_known(name) && !is_chosen(name))
            .collect();
        names.sort();
        names
    }
}
