//! The console's state: the stores, shared by everything that feeds them and everything that reads them.

use std::sync::{Arc, Mutex, MutexGuard};

use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use super::attributes;
use super::ids::{self, TraceId};
use super::logs::LogStore;
use super::red::ServiceHistories;
use super::traces::{Origin, StoredTrace, TraceStore};
use crate::config::ConsoleConfig;
use crate::schema::Ports;

/// Counts up whenever something of that kind changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Generation {
    pub(super) traces: u64,
    pub(super) logs: u64,
    pub(super) metrics: u64,
}

/// The console's whole memory.
pub(super) struct Console {
    traces: Mutex<TraceStore>,
    logs: Mutex<LogStore>,
    services: Mutex<ServiceHistories>,
    changes: watch::Sender<Generation>,
    pub(super) ports: Ports,
    /// Bytes for spans and logs together.
    pub(super) max_bytes: usize,
}

impl Console {
    pub(super) fn new(config: &ConsoleConfig) -> Self {
        let max_bytes = config.max_memory_mib.saturating_mul(1 << 20);
        // A fixed share each: a flood of log lines must not push out the traces.
        let for_logs = max_bytes / 4;
        Self {
            traces: Mutex::new(TraceStore::new(config.max_spans, max_bytes - for_logs)),
            logs: Mutex::new(LogStore::new(config.max_logs, for_logs)),
            services: Mutex::new(ServiceHistories::default()),
            changes: watch::Sender::new(Generation::default()),
            ports: config.ports.ports(),
            max_bytes,
        }
    }

    pub(super) fn traces(&self) -> MutexGuard<'_, TraceStore> {
        self.traces.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// One trace as it is now, to be rendered without the lock.
    pub(super) fn trace(&self, id: TraceId) -> Option<Arc<StoredTrace>> {
        self.traces().get(id)
    }

    /// Every trace as it is now, to be searched and rendered without the lock.
    pub(super) fn all_traces(&self) -> Vec<Arc<StoredTrace>> {
        self.traces().all()
    }

    pub(super) fn logs(&self) -> MutexGuard<'_, LogStore> {
        self.logs.lock().unwrap_or_else(|e| e.into_inner())
    }

    pub(super) fn services(&self) -> MutexGuard<'_, ServiceHistories> {
        self.services.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Follows the changes from now on.
    pub(super) fn changes(&self) -> watch::Receiver<Generation> {
        self.changes.subscribe()
    }

    pub(super) fn metrics_changed(&self) {
        self.changes.send_modify(|now| now.metrics += 1);
    }

    /// One line of a role's log, or nothing for one that could not be read.
    pub(super) fn take_line(&self, line: Option<&str>) {
        match line {
            Some(line) => _ = self.logs().push(line),
            None => self.logs().reject(),
        }
        self.changes.send_modify(|now| now.logs += 1);
    }

    /// Spans of an OTLP export; invalid ones are counted in the answer, the rest is kept.
    pub(super) fn take_spans(&self, request: ExportTraceServiceRequest) -> ExportTraceServiceResponse {
        let mut refused = RefusedItems::default();
        let mut traces = self.traces();
        for group in request.resource_spans {
            let resource = Arc::new(group.resource.unwrap_or_default());
            for scoped in group.scope_spans {
                let scope = scoped.scope.unwrap_or_default();
                let origin = Arc::new(Origin::new(resource.clone(), scope));
                scoped.spans.into_iter().for_each(|span| refused.note(traces.insert(&origin, span)));
            }
        }
        drop(traces);
        self.changes.send_modify(|now| now.traces += 1);
        let partial_success = refused.some().map(|(rejected_spans, error_message)| {
            ExportTracePartialSuccess { rejected_spans, error_message }
        });
        ExportTraceServiceResponse { partial_success }
    }

    /// Log records of an OTLP export, kept in the shape of the roles' own log lines.
    pub(super) fn take_records(&self, request: ExportLogsServiceRequest) -> ExportLogsServiceResponse {
        let mut refused = RefusedItems::default();
        let mut logs = self.logs();
        for group in request.resource_logs {
            let service = group.resource.and_then(|r| attributes::find_text(&r.attributes, "service.name"));
            for record in group.scope_logs.iter().flat_map(|scoped| &scoped.log_records) {
                let line = Value::Object(log_object(service.as_deref(), record)).to_string();
                refused.note(logs.push(&line).then_some(()).ok_or("a log record must not exceed 64 KiB"));
            }
        }
        drop(logs);
        self.changes.send_modify(|now| now.logs += 1);
        let partial_success = refused.some().map(|(rejected_log_records, error_message)| {
            ExportLogsPartialSuccess { rejected_log_records, error_message }
        });
        ExportLogsServiceResponse { partial_success }
    }
}

/// How many items of an export were refused, and why the first of them was.
#[derive(Default)]
struct RefusedItems {
    count: i64,
    why: &'static str,
}

impl RefusedItems {
    fn note(&mut self, result: Result<(), &'static str>) {
        if let Err(why) = result {
            self.why = if self.count == 0 { why } else { self.why };
            self.count += 1;
        }
    }

    fn some(self) -> Option<(i64, String)> {
        (self.count > 0).then(|| (self.count, self.why.to_owned()))
    }
}

/// The fields of a role's log line win over attributes of the same name.
fn log_object(service: Option<&str>, record: &LogRecord) -> Map<String, Value> {
    let mut fields = attributes::object(&record.attributes);
    let nanos =
        if record.time_unix_nano > 0 { record.time_unix_nano } else { record.observed_time_unix_nano };
    let level = match record.severity_number {
        1..=4 => "trace",
        5..=8 => "debug",
        13..=16 => "warn",
        17..=20 => "error",
        21..=24 => "fatal",
        _ => "info",
    };
    let message = record.body.as_ref().and_then(|body| body.value.as_ref()).map(attributes::text);
    if let Ok(time) = jiff::Timestamp::from_nanosecond(i128::from(nanos)) {
        fields.insert("timestamp".into(), json!(time.to_string()));
    }
    fields.insert("level".into(), json!(level));
    fields.insert("message".into(), json!(message.unwrap_or_default()));
    fields.insert("service".into(), json!(service.unwrap_or("unknown_service")));
    if let Some(id) = ids::trace_id(&record.trace_id) {
        fields.insert("traceId".into(), json!(ids::trace_hex(id)));
    }
    if let Some(id) = ids::span_id(&record.span_id) {
        fields.insert("spanId".into(), json!(ids::span_hex(id)));
    }
    fields
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use opentelemetry_proto::tonic::common::v1::AnyValue;
    use opentelemetry_proto::tonic::common::v1::any_value::Value::StringValue;

    use super::*;
    use crate::console::sample;

    #[test]
    fn an_otlp_log_record_becomes_a_line_like_the_roles_own() {
        let record = LogRecord {
            time_unix_nano: 1_700_000_000_000_000_000,
            severity_number: 17,
            body: Some(AnyValue { value: Some(StringValue("no luck".into())) }),
            attributes: vec![sample::text("level", "forged"), sample::text("orderId", "3")],
            trace_id: 7u128.to_be_bytes().to_vec(),
            span_id: 8u64.to_be_bytes().to_vec(),
            ..LogRecord::default()
        };
        let expected = json!({
            "timestamp": "2023-11-14T22:13:20Z", "level": "error", "message": "no luck", "service": "x",
            "orderId": "3", "traceId": format!("{:032x}", 7), "spanId": format!("{:016x}", 8),
        });
        assert_eq!(Value::Object(log_object(Some("x"), &record)), expected);
    }

    #[test]
    fn an_export_with_some_invalid_spans_keeps_the_others_and_says_so() {
        let console = sample::console();
        let mut nameless = sample::span(0, 1, 0);
        nameless.trace_id = vec![0; 16];
        let request = sample::export("a", vec![nameless, sample::span(1, 1, 0)]);
        let partial = console.take_spans(request).partial_success.unwrap();
        assert_eq!(partial.rejected_spans, 1);
        assert!(partial.error_message.contains("trace id"));
        assert_eq!(console.traces().len(), 1);
    }
}
