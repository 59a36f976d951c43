//! What each metric is called in OTLP: by OpenTelemetry's semantic conventions where they have it, else so
//! that a Prometheus that takes OTLP makes the name of `/metrics` of it again (dots become underscores, the
//! unit and `_total` are added), and rules and panels hold on both.

use super::metrics::{Label, METRICS, PROCESS_HELP, names};

/// What a metric becomes in OTLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtlpKind {
    /// A monotonic sum, counted by us.
    Sum,
    /// A monotonic sum of seconds, with fractions, that is read off the system at each collection: the CPU time.
    ObservedSum,
    /// A sum that also goes down: how many there are.
    UpDownSum,
    /// A value for which a sum over processes says nothing.
    Gauge,
    /// Explicit buckets or exponential ones, as the settings say.
    Histogram,
}

/// One row: a metric of `/metrics` as it is exported.
#[derive(Clone, Copy, Debug)]
pub struct OtlpMetric {
    /// Its name on `/metrics`.
    pub metric: &'static str,
    /// Its name in OTLP.
    pub name: &'static str,
    /// The unit in UCUM spelling, or `{thing}`. Never `1` for a gauge: Prometheus would call it a ratio.
    pub unit: &'static str,
    /// How it is exported.
    pub kind: OtlpKind,
    /// What a value on `/metrics` is divided by to have this unit.
    pub divisor: f64,
    /// Attributes of every series.
    pub fixed: &'static [(&'static str, &'static str)],
    /// Labels with a key of their own in OTLP; empty where the label is left out. All others keep theirs.
    pub keys: &'static [(&'static str, &'static str)],
    /// The label whose value is the `error.type` of what failed, and which values did not fail: by their
    /// beginnings.
    pub errors: Option<(&'static str, &'static [&'static str])>,
}

impl OtlpMetric {
    /// The row of a metric of `/metrics`.
    pub fn of(metric: &str) -> Option<&'static Self> {
        OTLP_METRICS.iter().find(|row| row.metric == metric)
    }

    /// Whether the semantic conventions have it.
    pub fn is_convention(&self) -> bool {
        CONVENTIONS.iter().any(|prefix| self.name.starts_with(prefix))
    }

    /// What it counts or measures, in a sentence.
    pub fn help(&self) -> &'static str {
        let described = METRICS.iter().map(|metric| (metric.name, metric.help)).chain(PROCESS_HELP);
        described.into_iter().find(|(name, _)| *name == self.metric).map_or("", |(_, help)| help)
    }

    /// The labels of its series on `/metrics`.
    pub fn labels(&self) -> &'static [Label] {
        METRICS.iter().find(|metric| metric.name == self.metric).map_or(&[], |metric| metric.labels)
    }

    /// The attribute key of a label; `None` where it is left out.
    pub fn key<'a>(&self, label: &'a str) -> Option<&'a str>
    where
        'static: 'a,
    {
        let own = self.keys.iter().find(|(known, _)| *known == label);
        own.map_or(Some(label), |(_, key)| (!key.is_empty()).then_some(*key))
    }

    /// The keys of the attributes that its series may have.
    pub fn attribute_keys(&self) -> impl Iterator<Item = &'static str> {
        let labels = self.labels().iter().filter_map(|label| self.key(label.key));
        let fixed = self.fixed.iter().map(|(key, _)| *key);
        fixed.chain(labels).chain(self.errors.map(|_| "error.type"))
    }

    /// Whether this value of a label says what failed.
    pub fn is_error(&self, label: &str, value: &str) -> bool {
        self.errors
            .is_some_and(|(own, good)| own == label && !good.iter().any(|good| value.starts_with(good)))
    }

    /// What a Prometheus makes of the name where it takes OTLP (prometheus/otlptranslator, with suffixes).
    pub fn prometheus_name(&self) -> String {
        let mut words: Vec<_> = self.name.split(['.', '_']).collect();
        let unit = match self.unit {
            "s" => "seconds",
            "By" => "bytes",
            _ => "",
        };
        if !unit.is_empty() && !words.contains(&unit) {
            words.push(unit);
        }
        if matches!(self.kind, Sum | ObservedSum) {
            words.push("total");
        }
        words.join("_")
    }

    const fn fixed(mut self, fixed: &'static [(&'static str, &'static str)]) -> Self {
        self.fixed = fixed;
        self
    }

    const fn keys(mut self, keys: &'static [(&'static str, &'static str)]) -> Self {
        self.keys = keys;
        self
    }

    const fn errors(mut self, label: &'static str, good: &'static [&'static str]) -> Self {
        self.errors = Some((label, good));
        self
    }

    const fn divisor(mut self, divisor: f64) -> Self {
        self.divisor = divisor;
        self
    }
}

/// The beginnings of names that are the semantic conventions'.
const CONVENTIONS: [&str; 8] = [
    "http.",
    "db.",
    "messaging.",
    "otel.sdk.",
    "process.cpu.",
    "process.memory.",
    "process.thread.",
    "process.unix.",
];

/// The attribute keys whose values are integers.
pub const INTEGER_KEYS: [&str; 1] = ["http.response.status_code"];

use OtlpKind::{Gauge, Histogram, ObservedSum, Sum, UpDownSum};

/// Every metric of `METRICS`, and those that describe the process.
pub static OTLP_METRICS: &[OtlpMetric] = &[
    row(names::GATEWAY_REQUESTS, "gateway.requests", "{request}", Sum),
    row(names::GATEWAY_ERRORS, "gateway.errors", "{request}", Sum),
    row(names::GATEWAY_VALIDATION_SKIPPED, "gateway.validation.skipped", "{order}", Sum),
    row(names::USERS_CREATED, "users.created", "{user}", Sum),
    row(names::USERS_ERRORS, "users.errors", "{request}", Sum),
    row(names::ORDERS_CREATED, "orders.created", "{order}", Sum),
    row(names::ORDERS_ERRORS, "orders.errors", "{request}", Sum),
    row(names::ORDERS_BY_STATUS, "orders.by_status", "{order}", Sum),
    // UCUM has no currencies.
    row(names::ORDER_VALUE, "order.value", "{USD}", Histogram),
    row(names::QUEUE_PUBLISHED, "messaging.client.sent.messages", "{message}", Sum).fixed(SEND),
    row(names::QUEUE_PUBLISH_ERRORS, "queue.publish.errors", "{batch}", Sum),
    row(names::QUEUE_PUBLISH_DURATION, "messaging.client.operation.duration", "s", Histogram).fixed(SEND),
    row(names::QUEUE_OUTBOX_PENDING, "queue.outbox.pending", "{message}", Gauge),
    row(names::NOTIFICATIONS_SENT, "notifications.sent", "{notification}", Sum),
    row(names::NOTIFICATIONS_FAILED, "notifications.failed", "{notification}", Sum),
    row(names::NOTIFICATION_DURATION, "messaging.process.duration", "s", Histogram)
        .fixed(PROCESS)
        .divisor(1000.0),
    row(names::QUEUE_PROCESSED, "messaging.client.consumed.messages", "{message}", Sum).fixed(PROCESS),
    row(names::QUEUE_AGE, "queue.message.age", "s", Histogram),
    row(names::QUEUE_LAG, "queue.consumer.lag", "{message}", Gauge),
    row(names::QUEUE_DEAD, "queue.dead_letters", "{message}", Gauge),
    row(names::ALERTS_RECEIVED, "alerts.received", "{alert}", Sum),
    row(names::HTTP_SERVER_DURATION, "http.server.request.duration", "s", Histogram)
        .fixed(SCHEME)
        .keys(ROUTE)
        // As on the span: a 4xx is the client's, and a client that went away has no error of ours.
        .errors("http_response_status_code", &["1", "2", "3", "4"]),
    row(names::HTTP_SERVER_ACTIVE, "http.server.active_requests", "{request}", UpDownSum)
        .fixed(SCHEME)
        .keys(ROUTE),
    row(names::HTTP_CLIENT_DURATION, "http.client.request.duration", "s", Histogram)
        .keys(&[("peer_service", "service.peer.name")])
        .errors("outcome", &["2xx", "3xx"]),
    row(names::DB_DURATION, "db.client.operation.duration", "s", Histogram)
        .keys(&[("db_operation_name", "db.operation.name"), ("outcome", "")])
        .errors("outcome", &["ok"]),
    row(names::DB_POOL, "db.client.connection.count", "{connection}", UpDownSum)
        .keys(&[("state", "db.client.connection.state")]),
    row(names::DB_POOL_MAX, "db.client.connection.max", "{connection}", UpDownSum),
    row(names::SPANS_DROPPED, "otel.sdk.processor.span.processed", "{span}", Sum)
        .fixed(&[("error.type", "queue_full")]),
    row(names::SPANS_EXPORTED, "otel.sdk.exporter.span.exported", "{span}", Sum),
    row(names::EXPORT_FAILURES, "telemetry.export.failures", "{batch}", Sum),
    row(names::ITEMS_DROPPED, "telemetry.items.dropped", "{item}", Sum),
    row(names::ITEMS_EXPORTED, "telemetry.items.exported", "{item}", Sum),
    row(names::ITEMS_LOST, "telemetry.items.lost", "{item}", Sum),
    row(names::BATCHES_FAILED, "telemetry.batches.failed", "{batch}", Sum),
    row(names::LOG_LINES_DROPPED, "telemetry.log_lines.dropped", "{line}", Sum),
    row(names::RUNTIME_WORKERS, "runtime.tokio.workers", "{thread}", Gauge),
    row(names::FAULT_ACTIVE, "fault.active", "{fault}", Gauge),
    row(names::BUILD_INFO, "build.info", "{build}", Gauge),
    row(names::PROCESS_CPU, "process.cpu.time", "s", ObservedSum),
    row(names::PROCESS_OPEN_FDS, "process.unix.file_descriptor.count", "{file_descriptor}", UpDownSum),
    row(names::PROCESS_MAX_FDS, "process.max_fds", "{file_descriptor}", Gauge),
    row(names::PROCESS_VIRTUAL, "process.memory.virtual", "By", UpDownSum),
    row(names::PROCESS_VIRTUAL_MAX, "process.virtual_memory.max", "By", Gauge),
    row(names::PROCESS_RESIDENT, "process.memory.usage", "By", UpDownSum),
    row(names::PROCESS_START, "process.start_time", "s", Gauge),
    row(names::PROCESS_THREADS, "process.thread.count", "{thread}", UpDownSum),
];

const SEND: &[(&str, &str)] = &[("messaging.operation.name", "send"), ("messaging.operation.type", "send")];
const PROCESS: &[(&str, &str)] =
    &[("messaging.operation.name", "process"), ("messaging.operation.type", "process")];
/// The roles serve nothing else; what stands in front of them is not theirs.
const SCHEME: &[(&str, &str)] = &[("url.scheme", "http")];
const ROUTE: &[(&str, &str)] = &[
    ("http_request_method", "http.request.method"),
    ("http_route", "http.route"),
    ("http_response_status_code", "http.response.status_code"),
];

const fn row(metric: &'static str, name: &'static str, unit: &'static str, kind: OtlpKind) -> OtlpMetric {
    OtlpMetric { metric, name, unit, kind, divisor: 1.0, fixed: &[], keys: &[], errors: None }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::schema::{METRICS, MetricKind};

    #[test]
    fn every_metric_has_one_name_in_otlp_and_no_two_share_one() {
        for metric in METRICS {
            let rows: Vec<_> = OTLP_METRICS.iter().filter(|row| row.metric == metric.name).collect();
            assert_eq!(rows.len(), 1, "{}", metric.name);
            let same = match metric.kind {
                MetricKind::Counter => matches!(rows[0].kind, Sum | ObservedSum),
                MetricKind::Gauge => matches!(rows[0].kind, UpDownSum | Gauge),
                MetricKind::Histogram(_) => rows[0].kind == Histogram,
            };
            assert!(same, "{rows:?}");
            let unknown = |label: &&str| !metric.labels.iter().any(|known| known.key == *label);
            let named =
                rows[0].keys.iter().map(|(label, _)| *label).chain(rows[0].errors.map(|(label, _)| label));
            let shared: Vec<_> = named.filter(unknown).filter(|label| !label.starts_with("http_")).collect();
            assert!(shared.is_empty(), "{}: {shared:?}", metric.name);
        }
        assert!(OTLP_METRICS.iter().all(|row| !row.help().is_empty()));
        let names: BTreeSet<_> = OTLP_METRICS.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), OTLP_METRICS.len());
        let process = |row: &&OtlpMetric| row.metric.starts_with("process_");
        assert_eq!(OTLP_METRICS.iter().filter(|row| !process(row)).count(), METRICS.len());
    }

    #[test]
    fn what_is_no_convention_comes_back_under_its_name_on_a_prometheus_that_takes_otlp() {
        // Namespaces of the conventions in which a name of theirs differs from that of /metrics.
        let conventions = [
            "messaging.",
            "otel.sdk.",
            "process.cpu.",
            "process.memory.",
            "process.thread.",
            "process.unix.",
        ];
        for row in OTLP_METRICS {
            let theirs = conventions.iter().any(|prefix| row.name.starts_with(prefix));
            assert_eq!(
                row.prometheus_name() == row.metric,
                !theirs,
                "{} {}",
                row.name,
                row.prometheus_name()
            );
            assert!(row.kind != Gauge || row.unit != "1", "{} would be a ratio", row.name);
        }
    }

    #[test]
    fn an_outcome_becomes_the_error_of_what_failed_and_no_error_of_what_did_not() {
        let error = |metric, label, value| OtlpMetric::of(metric).unwrap().is_error(label, value);
        let server = |status| error(names::HTTP_SERVER_DURATION, "http_response_status_code", status);
        assert_eq!(["200", "404", "499", "500", "503"].map(server), [false, false, false, true, true]);
        let client = |outcome| error(names::HTTP_CLIENT_DURATION, "outcome", outcome);
        assert_eq!(["2xx", "3xx", "4xx", "timeout"].map(client), [false, false, true, true]);
        let row = OtlpMetric::of(names::DB_DURATION).unwrap();
        assert_eq!((row.key("outcome"), row.key("other")), (None, Some("other")));
        assert_eq!(["ok", "conflict"].map(|value| row.is_error("outcome", value)), [false, true]);
    }
}
