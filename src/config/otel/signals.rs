//! The variables of logs and metrics. Those of their exporters are, one by one, what the general ones are.

use clap::Args;

const HEADING: &str = "OpenTelemetry (the specification's variables)";

/// A signal's struct: its exporter's variables as rows of field, variable and value, then its own.
macro_rules! signal_variables {
    (
        $(#[$doc:meta])*
        $name:ident, $signal:literal
        { $($field:ident $variable:literal $value:literal $hide:literal)* }
        { $($own:tt)* }
    ) => {
        $(#[$doc])*
        #[derive(Args, Clone, Debug, Default)]
        #[command(next_help_heading = HEADING)]
        pub struct $name {
            $($own)*
            $(
                #[arg(
                    long,
                    env = $variable,
                    value_name = $value,
                    hide_env_values = $hide,
                    help = concat!("The same as for traces, for ", $signal)
                )]
                #[allow(missing_docs, reason = "the help says it")]
                pub $field: Option<String>,
            )*
        }
    };
}

signal_variables! {
    /// The variables of logs.
    LogsVariables, "logs"
    {
        otel_exporter_otlp_logs_endpoint "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT" "URL" false
        otel_exporter_otlp_logs_protocol "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL" "NAME" false
        otel_exporter_otlp_logs_headers "OTEL_EXPORTER_OTLP_LOGS_HEADERS" "PAIRS" true
        otel_exporter_otlp_logs_timeout "OTEL_EXPORTER_OTLP_LOGS_TIMEOUT" "MS" false
        otel_exporter_otlp_logs_compression "OTEL_EXPORTER_OTLP_LOGS_COMPRESSION" "NAME" false
        otel_exporter_otlp_logs_certificate "OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE" "FILE" false
        otel_exporter_otlp_logs_client_certificate "OTEL_EXPORTER_OTLP_LOGS_CLIENT_CERTIFICATE" "FILE" false
        otel_exporter_otlp_logs_client_key "OTEL_EXPORTER_OTLP_LOGS_CLIENT_KEY" "FILE" false
    }
    {
        /// otlp, console or none, several by comma; standard output has the log lines in any case [default: otlp]
        #[arg(long, env = "OTEL_LOGS_EXPORTER", value_name = "NAMES")]
        pub otel_logs_exporter: Option<String>,
        /// Longest time log records wait before an export, in milliseconds [default: 1000]
        #[arg(long, env = "OTEL_BLRP_SCHEDULE_DELAY", value_name = "MS")]
        pub otel_blrp_schedule_delay: Option<String>,
        /// Most log records waiting for export; more are dropped and counted [default: 2048]
        #[arg(long, env = "OTEL_BLRP_MAX_QUEUE_SIZE", value_name = "N")]
        pub otel_blrp_max_queue_size: Option<String>,
        /// Most log records in one export [default: 512]
        #[arg(long, env = "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", value_name = "N")]
        pub otel_blrp_max_export_batch_size: Option<String>,
        /// Longest time one export may take, in milliseconds, where shorter than the OTLP timeout [default: 30000]
        #[arg(long, env = "OTEL_BLRP_EXPORT_TIMEOUT", value_name = "MS")]
        pub otel_blrp_export_timeout: Option<String>,
        /// Most attributes a log record keeps [default: 128]
        #[arg(long, env = "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", value_name = "N")]
        pub otel_logrecord_attribute_count_limit: Option<String>,
        /// Most characters an attribute's text keeps in a log record [default: no limit]
        #[arg(long, env = "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", value_name = "N")]
        pub otel_logrecord_attribute_value_length_limit: Option<String>,
    }
}

signal_variables! {
    /// The variables of metrics.
    MetricsVariables, "metrics"
    {
        otel_exporter_otlp_metrics_endpoint "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT" "URL" false
        otel_exporter_otlp_metrics_protocol "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL" "NAME" false
        otel_exporter_otlp_metrics_headers "OTEL_EXPORTER_OTLP_METRICS_HEADERS" "PAIRS" true
        otel_exporter_otlp_metrics_timeout "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT" "MS" false
        otel_exporter_otlp_metrics_compression "OTEL_EXPORTER_OTLP_METRICS_COMPRESSION" "NAME" false
        otel_exporter_otlp_metrics_certificate "OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE" "FILE" false
        otel_exporter_otlp_metrics_client_certificate "OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE" "FILE" false
        otel_exporter_otlp_metrics_client_key "OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY" "FILE" false
    }
    {
        /// otlp, prometheus, console or none, several by comma; /metrics is there in any case [default: otlp]
        #[arg(long, env = "OTEL_METRICS_EXPORTER", value_name = "NAMES")]
        pub otel_metrics_exporter: Option<String>,
        /// Time between two exports of metrics, in milliseconds [default: 60000]
        #[arg(long, env = "OTEL_METRIC_EXPORT_INTERVAL", value_name = "MS")]
        pub otel_metric_export_interval: Option<String>,
        /// Longest time one export may take, in milliseconds, where shorter than the OTLP timeout [default: 30000]
        #[arg(long, env = "OTEL_METRIC_EXPORT_TIMEOUT", value_name = "MS")]
        pub otel_metric_export_timeout: Option<String>,
        /// cumulative, delta or lowmemory [default: cumulative]
        #[arg(long, env = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", value_name = "NAME")]
        pub otel_exporter_otlp_metrics_temporality_preference: Option<String>,
        /// explicit_bucket_histogram or base2_exponential_bucket_histogram [default: explicit_bucket_histogram]
        #[arg(long, env = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", value_name = "NAME")]
        pub otel_exporter_otlp_metrics_default_histogram_aggregation: Option<String>,
        /// trace_based, always_on or always_off: which observations can be exemplars [default: trace_based]
        #[arg(long, env = "OTEL_METRICS_EXEMPLAR_FILTER", value_name = "NAME")]
        pub otel_metrics_exemplar_filter: Option<String>,
    }
}
