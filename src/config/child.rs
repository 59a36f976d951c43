//! The variables by which `up` configures its children. The first group repeats names that stand at the
//! settings; a test compares them.
#![allow(missing_docs, reason = "the settings say what each one means")]

pub const HOST: &str = "HOST";
pub const SHUTDOWN_GRACE: &str = "SHUTDOWN_GRACE";
pub const LOG_FORMAT: &str = "LOG_FORMAT";
pub const DATA_DIR: &str = "DATA_DIR";
pub const PORT_BASE: &str = "PORT_BASE";
pub const QUEUE_TRANSPORT: &str = "QUEUE_TRANSPORT";
pub const CONSOLE_OTLP_PORT: &str = "CONSOLE_OTLP_PORT";
pub const CONSOLE_FORWARD: &str = "CONSOLE_FORWARD";
pub const CONSOLE_KEEP: &str = "CONSOLE_KEEP";
pub const USER_SERVICE_URL: &str = "USER_SERVICE_URL";
pub const ORDER_SERVICE_URL: &str = "ORDER_SERVICE_URL";
pub const LAMBDA_ENDPOINT: &str = "AWS_ENDPOINT_URL_LAMBDA";
pub const AWS_REGION: &str = "AWS_REGION";
pub const FAULTS_ENABLED: &str = "FAULTS_ENABLED";
pub const OTEL_SDK_DISABLED: &str = "OTEL_SDK_DISABLED";
pub const OTEL_RESOURCE_ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";
pub const OTEL_SERVICE_NAME: &str = "OTEL_SERVICE_NAME";
pub const OTEL_TRACES_EXPORTER: &str = "OTEL_TRACES_EXPORTER";
pub const OTEL_LOGS_EXPORTER: &str = "OTEL_LOGS_EXPORTER";
pub const OTEL_METRICS_EXPORTER: &str = "OTEL_METRICS_EXPORTER";
pub const METRIC_EXPORT_INTERVAL: &str = "OTEL_METRIC_EXPORT_INTERVAL";
pub const OTLP_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
pub const OTLP_TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
pub const OTLP_LOGS_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT";
pub const OTLP_METRICS_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT";
pub const BSP_SCHEDULE_DELAY: &str = "OTEL_BSP_SCHEDULE_DELAY";

/// How OTLP is spoken; the console takes it over HTTP only.
pub const OTLP_PROTOCOLS: [&str; 4] = [
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL",
    "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
];

/// What says how another receiver than the console is reached, and its secrets.
pub const OF_THE_RECEIVER: [&str; 11] = [
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
    "OTEL_EXPORTER_OTLP_LOGS_HEADERS",
    "OTEL_EXPORTER_OTLP_METRICS_HEADERS",
    OTLP_TRACES_ENDPOINT,
    OTLP_LOGS_ENDPOINT,
    OTLP_METRICS_ENDPOINT,
    "OTEL_EXPORTER_OTLP_TIMEOUT",
    "OTEL_EXPORTER_OTLP_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_CLIENT_KEY",
];

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
