//! Every metric the roles expose: name, type, unit, meaning, and the closed set of its labels.

use super::{FAULT_NAMES, Role};

/// The metric names, so that no caller spells one twice.
pub mod names {
    #![allow(missing_docs, reason = "the table METRICS says what each one means")]
    pub const GATEWAY_REQUESTS: &str = "gateway_requests_total";
    pub const GATEWAY_ERRORS: &str = "gateway_errors_total";
    pub const GATEWAY_VALIDATION_SKIPPED: &str = "gateway_validation_skipped_total";
    pub const USERS_CREATED: &str = "users_created_total";
    pub const USERS_ERRORS: &str = "users_errors_total";
    pub const ORDERS_CREATED: &str = "orders_created_total";
    pub const ORDERS_ERRORS: &str = "orders_errors_total";
    pub const ORDERS_BY_STATUS: &str = "orders_by_status_total";
    pub const ORDER_VALUE: &str = "order_value";
    pub const QUEUE_PUBLISHED: &str = "queue_messages_published_total";
    pub const QUEUE_PUBLISH_DURATION: &str = "queue_publish_duration_seconds";
    pub const QUEUE_PUBLISH_ERRORS: &str = "queue_publish_errors_total";
    pub const QUEUE_OUTBOX_PENDING: &str = "queue_outbox_pending";
    pub const NOTIFICATIONS_SENT: &str = "notifications_sent_total";
    pub const NOTIFICATIONS_FAILED: &str = "notifications_failed_total";
    pub const NOTIFICATION_DURATION: &str = "notification_processing_duration_ms";
    pub const QUEUE_PROCESSED: &str = "queue_messages_processed_total";
    pub const QUEUE_AGE: &str = "queue_message_age_seconds";
    pub const QUEUE_LAG: &str = "queue_consumer_lag";
    pub const QUEUE_DEAD: &str = "queue_dead_letters";
    pub const ALERTS_RECEIVED: &str = "alerts_received_total";
    pub const HTTP_SERVER_DURATION: &str = "http_server_request_duration_seconds";
    pub const HTTP_SERVER_ACTIVE: &str = "http_server_active_requests";
    pub const HTTP_CLIENT_DURATION: &str = "http_client_request_duration_seconds";
    pub const DB_DURATION: &str = "db_client_operation_duration_seconds";
    pub const DB_POOL: &str = "db_client_connection_count";
    pub const DB_POOL_MAX: &str = "db_client_connection_max";
    pub const SPANS_DROPPED: &str = "telemetry_spans_dropped_total";
    pub const SPANS_EXPORTED: &str = "telemetry_spans_exported_total";
    pub const EXPORT_FAILURES: &str = "telemetry_export_failures_total";
    pub const ITEMS_DROPPED: &str = "telemetry_items_dropped_total";
    pub const ITEMS_EXPORTED: &str = "telemetry_items_exported_total";
    pub const ITEMS_LOST: &str = "telemetry_items_lost_total";
    pub const BATCHES_FAILED: &str = "telemetry_batches_failed_total";
    pub const LOG_LINES_DROPPED: &str = "telemetry_log_lines_dropped_total";
    pub const RUNTIME_WORKERS: &str = "runtime_tokio_workers";
    pub const FAULT_ACTIVE: &str = "fault_active";
    pub const BUILD_INFO: &str = "build_info";
    pub const PROCESS_CPU: &str = "process_cpu_seconds_total";
    pub const PROCESS_OPEN_FDS: &str = "process_open_fds";
    pub const PROCESS_MAX_FDS: &str = "process_max_fds";
    pub const PROCESS_VIRTUAL: &str = "process_virtual_memory_bytes";
    pub const PROCESS_VIRTUAL_MAX: &str = "process_virtual_memory_max_bytes";
    pub const PROCESS_RESIDENT: &str = "process_resident_memory_bytes";
    pub const PROCESS_START: &str = "process_start_time_seconds";
    pub const PROCESS_THREADS: &str = "process_threads";
}

/// What a metric measures with.
#[derive(Clone, Copy, Debug)]
pub enum MetricKind {
    /// Only ever grows; exists at 0 from start-up.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations into these upper bounds (+Inf is implied).
    Histogram(&'static [f64]),
}

/// A label and the closed set of its values.
#[derive(Clone, Copy, Debug)]
pub struct Label {
    /// The label's name.
    pub key: &'static str,
    /// Every value it may take. Empty: the values come from the role's route table or from
    /// the build, which are closed sets of their own.
    pub values: &'static [&'static str],
}

/// One row of the metric table.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// The exact exposed name.
    pub name: &'static str,
    /// Counter, gauge or histogram with its buckets.
    pub kind: MetricKind,
    /// The unit in UCUM spelling, or `{thing}`.
    pub unit: &'static str,
    /// One sentence for HELP.
    pub help: &'static str,
    /// The roles that expose it; empty means all.
    pub roles: &'static [Role],
    /// Its labels.
    pub labels: &'static [Label],
}

impl Metric {
    /// Whether `role` exposes this metric.
    pub fn exposed_by(&self, role: Role) -> bool {
        self.roles.is_empty() || self.roles.contains(&role)
    }
}

// Every bound is written with a fraction that does not vanish, so that Prometheus 2 and 3 spell
// `le` alike.
/// Bounds of the OpenTelemetry HTTP conventions, in seconds, with finer steps below 5 ms.
const HTTP_SECONDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.5, 2.5, 5.5, 10.5];
const DB_SECONDS: &[f64] = &[0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.5, 5.5];
const QUEUE_SECONDS: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.5, 5.5];
/// From a message that waited for nothing to one that waited for a broker to come back.
const AGE_SECONDS: &[f64] =
    &[0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.5, 5.5, 15.5, 60.5, 300.5, 1800.5];
const USD: &[f64] = &[5.5, 10.5, 25.5, 50.5, 100.5, 250.5, 500.5, 1000.5, 2500.5, 5000.5, 10000.5];
const MILLISECONDS: &[f64] = &[0.5, 1.5, 2.5, 5.5, 10.5, 25.5, 50.5, 100.5, 250.5, 500.5, 1000.5, 5000.5];

const GATEWAY: &[Role] = &[Role::Gateway];
const USER: &[Role] = &[Role::User];
const ORDER: &[Role] = &[Role::Order];
const NOTIFY: &[Role] = &[Role::Notify];
const QUEUES: &[Role] = &[Role::Order, Role::Notify];
const STORES: &[Role] = &[Role::User, Role::Order, Role::Notify];
const ALL: &[Role] = &[];

/// The gateway's endpoints, the values of `endpoint`.
const ENDPOINT: Label = Label {
    key: "endpoint",
    values: &[
        "/",
        "/api/users",
        "/api/users/{id}",
        "/api/orders",
        "/api/orders/{id}",
        "/api/orders/{id}/status",
        "/api/orders/validate",
        "/openapi.json",
        "other",
    ],
};

/// Every metric of the lab. `process_*` are `runtime::process`'s.
pub static METRICS: &[Metric] = &[
    counter(names::GATEWAY_REQUESTS, "Requests the gateway answered, by endpoint", GATEWAY, &[ENDPOINT]),
    counter(
        names::GATEWAY_ERRORS,
        "Requests the gateway answered with a 5xx, by endpoint",
        GATEWAY,
        &[ENDPOINT],
    ),
    counter(
        names::GATEWAY_VALIDATION_SKIPPED,
        "Orders passed on without the Lambda's verdict because it could not be had, by reason",
        GATEWAY,
        &[Label {
            key: "reason",
            values: &["timeout", "unreachable", "refused", "function_error", "bad_answer"],
        }],
    ),
    counter(names::USERS_CREATED, "Users stored", USER, &[]),
    counter(
        names::USERS_ERRORS,
        "Requests user-service could not serve for a reason of its own (5xx)",
        USER,
        &[],
    ),
    counter(names::ORDERS_CREATED, "Orders stored", ORDER, &[]),
    counter(
        names::ORDERS_ERRORS,
        "Orders refused or failed, by reason",
        ORDER,
        &[Label {
            key: "reason",
            values: &["validation", "user_not_found", "user_unavailable", "transition", "conflict", "store"],
        }],
    ),
    counter(
        names::ORDERS_BY_STATUS,
        "Orders that entered a status",
        ORDER,
        &[Label { key: "status", values: &["pending", "completed", "failed", "cancelled"] }],
    ),
    histogram(names::ORDER_VALUE, "USD", "Value of stored orders", ORDER, &[], USD),
    counter(names::QUEUE_PUBLISHED, "Messages the broker confirmed", ORDER, &[]),
    counter(names::QUEUE_PUBLISH_ERRORS, "Attempts to publish that the broker did not confirm", ORDER, &[]),
    histogram(
        names::QUEUE_PUBLISH_DURATION,
        "s",
        "Time until the broker confirmed a batch",
        ORDER,
        &[],
        QUEUE_SECONDS,
    ),
    gauge(
        names::QUEUE_OUTBOX_PENDING,
        "{message}",
        "Messages stored with their order and not yet published",
        ORDER,
        &[],
    ),
    counter(
        names::NOTIFICATIONS_SENT,
        "Notifications sent, by type",
        NOTIFY,
        &[Label { key: "type", values: &["order_created", "order_status_changed"] }],
    ),
    counter(names::NOTIFICATIONS_FAILED, "Attempts to send a notification that failed", NOTIFY, &[]),
    histogram(names::NOTIFICATION_DURATION, "ms", "Time to handle one message", NOTIFY, &[], MILLISECONDS),
    counter(
        names::QUEUE_PROCESSED,
        "Messages taken from the queue, by outcome",
        NOTIFY,
        &[Label { key: "status", values: &["success", "retried", "dead"] }],
    ),
    histogram(
        names::QUEUE_AGE,
        "s",
        "Age of a message when it is first tried, since it was stored with its order",
        NOTIFY,
        &[],
        AGE_SECONDS,
    ),
    gauge(names::QUEUE_LAG, "{message}", "Messages waiting in the queue", QUEUES, &[]),
    gauge(names::QUEUE_DEAD, "{message}", "Messages in the dead-letter queue", NOTIFY, &[]),
    counter(
        names::ALERTS_RECEIVED,
        "Alerts received from Alertmanager, by status",
        NOTIFY,
        &[Label { key: "status", values: &["firing", "resolved"] }],
    ),
    histogram(
        names::HTTP_SERVER_DURATION,
        "s",
        "Duration of HTTP requests served, by matched route",
        ALL,
        &[ROUTE_METHOD, ROUTE_PATH, ROUTE_STATUS],
        HTTP_SECONDS,
    ),
    gauge(
        names::HTTP_SERVER_ACTIVE,
        "{request}",
        "HTTP requests being served, by matched route",
        ALL,
        &[ROUTE_METHOD, ROUTE_PATH],
    ),
    histogram(
        names::HTTP_CLIENT_DURATION,
        "s",
        "Duration of HTTP calls to other services",
        &[Role::Gateway, Role::Order],
        &[
            Label { key: "peer_service", values: &["user-service", "order-service", "order-validator"] },
            Label {
                key: "outcome",
                values: &["2xx", "3xx", "4xx", "5xx", "timeout", "unreachable", "cancelled"],
            },
        ],
        HTTP_SECONDS,
    ),
    histogram(
        names::DB_DURATION,
        "s",
        "Duration of database operations",
        STORES,
        &[
            Label { key: "db_operation_name", values: &["SELECT", "INSERT", "UPDATE", "DELETE"] },
            Label { key: "outcome", values: &["ok", "conflict", "timeout", "error"] },
        ],
        DB_SECONDS,
    ),
    gauge(
        names::DB_POOL,
        "{connection}",
        "Connections of the database pool, by state",
        STORES,
        &[Label { key: "state", values: &["idle", "used"] }],
    ),
    gauge(names::DB_POOL_MAX, "{connection}", "Most connections the database pool may have", STORES, &[]),
    counter(names::SPANS_DROPPED, "Spans thrown away because the export queue was full", ALL, &[]),
    counter(names::SPANS_EXPORTED, "Spans the trace backend accepted", ALL, &[]),
    counter(names::EXPORT_FAILURES, "Batches of spans the trace backend did not accept", ALL, &[]),
    counter(
        names::ITEMS_DROPPED,
        "Spans, log records or data points thrown away because the export queue was full",
        ALL,
        &[SIGNAL],
    ),
    counter(
        names::ITEMS_EXPORTED,
        "Spans, log records or data points that the backend accepted",
        ALL,
        &[SIGNAL],
    ),
    counter(
        names::ITEMS_LOST,
        "Spans, log records or data points that were sent and that the backend did not accept",
        ALL,
        &[SIGNAL],
    ),
    counter(
        names::BATCHES_FAILED,
        "Batches of spans, log records or data points that the backend did not accept, or not whole",
        ALL,
        &[SIGNAL],
    ),
    counter(
        names::LOG_LINES_DROPPED,
        "Log lines thrown away because standard output took them too slowly",
        ALL,
        &[],
    ),
    gauge(names::RUNTIME_WORKERS, "{thread}", "Worker threads of the HTTP server", ALL, &[]),
    gauge(
        names::FAULT_ACTIVE,
        "1",
        "Whether a fault is active (1) or not (0); each role exposes the faults it can have",
        ALL,
        &[Label { key: "fault", values: &FAULT_NAMES }],
    ),
    gauge(
        names::BUILD_INFO,
        "1",
        "Always 1; its labels say what runs",
        ALL,
        &[Label { key: "version", values: &[] }, Label { key: "service", values: &[] }],
    ),
];

/// What each of the metrics says that describe the process, in the words of the Prometheus client libraries.
pub static PROCESS_HELP: [(&str, &str); 8] = [
    (names::PROCESS_CPU, "Total user and system CPU time spent in seconds."),
    (names::PROCESS_OPEN_FDS, "Number of open file descriptors."),
    (names::PROCESS_MAX_FDS, "Maximum number of open file descriptors."),
    (names::PROCESS_VIRTUAL, "Virtual memory size in bytes."),
    (names::PROCESS_VIRTUAL_MAX, "Maximum amount of virtual memory available in bytes."),
    (names::PROCESS_RESIDENT, "Resident memory size in bytes."),
    (names::PROCESS_START, "Start time of the process since unix epoch in seconds."),
    (names::PROCESS_THREADS, "Number of OS threads in the process."),
];

/// The signals that OTLP carries.
const SIGNAL: Label = Label { key: "signal", values: &["traces", "logs", "metrics"] };
const ROUTE_METHOD: Label = Label { key: "http_request_method", values: &[] };
const ROUTE_PATH: Label = Label { key: "http_route", values: &[] };
const ROUTE_STATUS: Label = Label { key: "http_response_status_code", values: &[] };

const fn counter(
    name: &'static str,
    help: &'static str,
    roles: &'static [Role],
    labels: &'static [Label],
) -> Metric {
    Metric { name, kind: MetricKind::Counter, unit: "1", help, roles, labels }
}

const fn gauge(
    name: &'static str,
    unit: &'static str,
    help: &'static str,
    roles: &'static [Role],
    labels: &'static [Label],
) -> Metric {
    Metric { name, kind: MetricKind::Gauge, unit, help, roles, labels }
}

const fn histogram(
    name: &'static str,
    unit: &'static str,
    help: &'static str,
    roles: &'static [Role],
    labels: &'static [Label],
    buckets: &'static [f64],
) -> Metric {
    Metric { name, kind: MetricKind::Histogram(buckets), unit, help, roles, labels }
}
