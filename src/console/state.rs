//! The console's state: the stores, shared by everything that feeds them and everything that reads them.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};

use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsPartialSuccess, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use serde::Serialize;
use tokio::sync::watch;

use super::alerts::AlertBook;
use super::body::BodyBudget;
use super::export::OtlpExport;
use super::forward::Forwarder;
use super::ids::TraceId;
use super::lessons::Lessons;
use super::logs::{LogStore, TOO_LARGE};
use super::metrics::MetricStore;
use super::origin::Origin;
use super::own_page::PageToken;
use super::params::now;
use super::query;
use super::record;
use super::red::ServiceHistories;
use super::retain::Retention;
use super::sampler::TailSampler;
use super::start::StartedWork;
use super::traces::{StoredTrace, TraceStore};
use crate::config::ConsoleConfig;
use crate::otlp::packed::PackedSpan;
use crate::otlp::{RefusedItems, is_export_line};
use crate::runtime::http::KnownHosts;
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
    /// Where only a part of the traces is kept.
    sampler: Option<Mutex<TailSampler>>,
    logs: Mutex<LogStore>,
    metrics: Mutex<MetricStore>,
    services: Mutex<ServiceHistories>,
    /// The lesson that is taught now.
    pub(super) lessons: Lessons,
    /// What was started from the page.
    pub(super) started: StartedWork,
    pub(super) page_token: PageToken,
    /// What Prometheus says of its alerts.
    pub(super) alerts: AlertBook,
    changes: watch::Sender<Generation>,
    pub(super) ports: Ports,
    /// Where OTLP is taken over HTTP and gRPC, if anywhere.
    pub(super) otlp_port: Option<u16>,
    pub(super) otlp_grpc_port: Option<u16>,
    /// What bounds the bodies of OTLP.
    pub(super) bodies: BodyBudget,
    /// Names that the page answers to.
    pub(super) hosts: KnownHosts,
    /// Where what comes in is sent on to, if anywhere.
    pub(super) forward: Option<Forwarder>,
    /// What survives a restart, if anything.
    pub(super) retention: Option<Retention>,
    /// Bytes for spans, log lines and metrics together.
    pub(super) max_bytes: usize,
}

impl Console {
    /// One that takes gRPC on a port, or not.
    ///
    /// # Errors
    /// What comes in cannot be sent on with these settings.
    pub(super) fn new(config: &ConsoleConfig, otlp_grpc_port: Option<u16>) -> anyhow::Result<Self> {
        let max_bytes = config.max_memory_mib.saturating_mul(1 << 20);
        // A fixed share each: a flood of log lines must not push out the traces.
        let (for_logs, for_metrics) = (max_bytes / 16 * 3, max_bytes / 16 * 3);
        let for_traces = max_bytes - for_logs - for_metrics;
        // A quarter of the traces' share is for those that are not decided.
        let for_waiting = if config.keep.is_some() { for_traces / 4 } else { 0 };
        let sampler = config.keep.clone().map(|rules| Mutex::new(TailSampler::new(rules, for_waiting)));
        Ok(Self {
            traces: Mutex::new(TraceStore::new(config.max_spans, for_traces - for_waiting)),
            sampler,
            logs: Mutex::new(LogStore::new(config.max_logs, for_logs)),
            metrics: Mutex::new(MetricStore::new(for_metrics)),
            services: Mutex::new(ServiceHistories::default()),
            lessons: Lessons::default(),
            started: StartedWork::default(),
            page_token: PageToken::default(),
            alerts: AlertBook::new(config.prometheus.clone()),
            changes: watch::Sender::new(Generation::default()),
            ports: config.ports.ports(),
            otlp_port: config.otlp(),
            otlp_grpc_port,
            bodies: BodyBudget::default(),
            hosts: KnownHosts::and(&config.allowed_hosts),
            forward: Forwarder::start(&config.forward)?,
            retention: Retention::new(&config.retain),
            max_bytes,
        })
    }

    pub(super) fn traces(&self) -> MutexGuard<'_, TraceStore> {
        self.traces.lock().unwrap_or_else(|e| e.into_inner())
    }

    pub(super) fn sampler(&self) -> Option<MutexGuard<'_, TailSampler>> {
        self.sampler.as_ref().map(|sampler| sampler.lock().unwrap_or_else(|e| e.into_inner()))
    }

    /// Decides the traces that are due at `now`, in nanoseconds since the epoch, and keeps what is to be kept.
    pub(super) fn decide(&self, now: u64) {
        let kept = self.sampler().map(|mut sampler| sampler.decide(now)).unwrap_or_default();
        if kept.is_empty() {
            return;
        }
        let mut traces = self.traces();
        kept.into_iter().for_each(|kept| traces.adopt(kept.trace, kept.received));
        drop(traces);
        self.changes.send_modify(|now| now.traces += 1);
    }

    /// Keeps a span, or holds it until its trace is decided.
    fn admit(&self, origin: &Arc<Origin>, span: PackedSpan, now: u64) -> Result<(), &'static str> {
        let taken = match self.sampler() {
            Some(mut sampler) => sampler.take(origin, span, now),
            None => Ok(Some(span)),
        };
        // The store counts what it refuses itself.
        let span = taken.inspect_err(|_| self.traces().reject(1))?;
        span.map_or(Ok(()), |span| self.traces().insert(origin, span))
    }

    /// One trace as it is now, to be rendered without the lock.
    pub(super) fn trace(&self, id: TraceId) -> Option<Arc<StoredTrace>> {
        self.traces().get(id)
    }

    /// Every trace as it is now, to be searched and rendered without the lock.
    pub(super) fn all_traces(&self) -> Vec<Arc<StoredTrace>> {
        self.traces().all()
    }

    /// The names of all services that sent spans or metrics, sorted.
    pub(super) fn all_services(&self, traces: &[Arc<StoredTrace>]) -> BTreeSet<String> {
        let mut names = query::services(traces);
        names.extend(self.metrics().services());
        names
    }

    pub(super) fn logs(&self) -> MutexGuard<'_, LogStore> {
        self.logs.lock().unwrap_or_else(|e| e.into_inner())
    }

    pub(super) fn metrics(&self) -> MutexGuard<'_, MetricStore> {
        self.metrics.lock().unwrap_or_else(|e| e.into_inner())
    }

    pub(super) fn services(&self) -> MutexGuard<'_, ServiceHistories> {
        self.services.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Whether nobody holds the stores of traces, log lines and metrics, and the sampler, in this order.
    #[cfg(test)]
    pub(super) fn free(&self) -> [bool; 4] {
        let sampler = self.sampler.as_ref().is_none_or(|sampler| sampler.try_lock().is_ok());
        let stores = (self.traces.try_lock().is_ok(), self.logs.try_lock().is_ok());
        [stores.0, stores.1, self.metrics.try_lock().is_ok(), sampler]
    }

    /// Follows the changes from now on.
    pub(super) fn changes(&self) -> watch::Receiver<Generation> {
        self.changes.subscribe()
    }

    /// Something may have changed of every kind.
    pub(super) fn changed(&self) {
        self.changes.send_modify(|now| {
            *now = Generation { traces: now.traces + 1, logs: now.logs + 1, metrics: now.metrics + 1 };
        });
    }

    pub(super) fn metrics_changed(&self) {
        self.changes.send_modify(|now| now.metrics += 1);
    }

    /// One line of a role's log, or nothing for one that could not be read. What a `console` exporter printed
    /// between them was not logged: it is left out.
    pub(super) fn take_line(&self, line: Option<&str>) {
        if line.is_some_and(is_export_line) {
            return;
        }
        match (line, &self.retention) {
            (Some(line), Some(retention)) => {
                retention.note_line(line);
                self.keep_line(line);
            }
            (Some(line), None) => self.keep_line(line),
            (None, _) => self.logs().reject(1),
        }
        self.changes.send_modify(|now| now.logs += 1);
    }

    /// Keeps a line that a role wrote to its standard output.
    pub(super) fn keep_line(&self, line: &str) {
        self.logs().follow(line);
    }

    /// Hands each span of an export to `keep`; what could not be read is counted as rejected, as what is not kept is there.
    pub(super) fn each_span(
        &self,
        export: OtlpExport,
        mut keep: impl FnMut(&Arc<Origin>, PackedSpan) -> Result<(), &'static str>,
    ) -> RefusedItems {
        let mut unkept = 0;
        // One span at a time is decoded, and that without the lock.
        let refused = export.each(|origin, span| {
            let kept = keep(origin, span);
            unkept += u64::from(kept.is_err());
            kept
        });
        self.traces().reject(refused.count() - unkept);
        refused
    }

    /// Keeps the log records of an export whose origin is wanted, in the shape of the roles' own log lines.
    pub(super) fn each_record(&self, export: OtlpExport, wanted: impl Fn(&Origin) -> bool) -> RefusedItems {
        let (mut unkept, received) = (0, now());
        let refused = export.each(|origin, record| {
            if !wanted(origin) {
                return Ok(());
            }
            let kept = self.logs().push(&record::line(origin, &record, received).to_string());
            unkept += u64::from(!kept);
            kept.then_some(()).ok_or(TOO_LARGE)
        });
        self.logs().reject(refused.count() - unkept);
        refused
    }

    /// Spans of an OTLP export; what is refused is counted in the answer, the rest is kept.
    pub(super) fn take_spans(&self, export: OtlpExport) -> ExportTraceServiceResponse {
        self.take_spans_of(export, now())
    }

    /// The same of one that came at `received`, in nanoseconds since the epoch.
    pub(super) fn take_spans_of(&self, export: OtlpExport, received: u64) -> ExportTraceServiceResponse {
        let refused = self.each_span(export, |origin, span| self.admit(origin, span, received));
        self.decide(received);
        self.changes.send_modify(|now| now.traces += 1);
        let partial_success = refused.partial().map(|(rejected_spans, error_message)| {
            ExportTracePartialSuccess { rejected_spans, error_message }
        });
        ExportTraceServiceResponse { partial_success }
    }

    /// Log records of an OTLP export, kept in the shape of the roles' own log lines.
    pub(super) fn take_records(&self, export: OtlpExport) -> ExportLogsServiceResponse {
        // Those of a service whose lines are followed came as lines already.
        let refused = self.each_record(export, |origin| !self.logs().follows(&origin.service));
        self.changes.send_modify(|now| now.logs += 1);
        let partial_success = refused.partial().map(|(rejected_log_records, error_message)| {
            ExportLogsPartialSuccess { rejected_log_records, error_message }
        });
        ExportLogsServiceResponse { partial_success }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::console::sample;

    #[test]
    fn what_a_console_exporter_printed_is_no_log_line() {
        let console = sample::console();
        console.take_line(Some(r#"{"resourceSpans":[{"scopeSpans":[]}]}"#));
        console.take_line(Some(r#"{"level":"info","message":"logged"}"#));
        let logs = console.logs();
        assert_eq!((logs.len(), logs.received, logs.rejected), (1, 1, 0));
    }

    #[test]
    fn an_export_with_some_invalid_spans_keeps_the_others_and_says_so() {
        let console = sample::console();
        let mut nameless = sample::span(0, 1, 0);
        nameless.trace_id = vec![0; 16];
        let export = sample::export("a", vec![nameless, sample::span(1, 1, 0)]);
        let partial = console.take_spans(sample::received(&export)).partial_success.unwrap();
        assert_eq!(partial.rejected_spans, 1);
        assert!(partial.error_message.contains("trace id"));
        assert_eq!(console.traces().len(), 1);
    }
}
