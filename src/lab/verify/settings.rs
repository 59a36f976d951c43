//! What the settings of a run have to do with its report: those without effect, and those that do not fit the lab.

use super::claim::{Claim, ClaimVerdict};
use super::ledger::RequestLedger;
use crate::config::{BackendSource, TraceMode, VerifyConfig};
use crate::lab::expect::SpanKind;

/// Settings that say nothing in their company, one sentence each.
pub(super) fn unused(config: &VerifyConfig) -> Vec<&'static str> {
    let access = &config.access;
    let named = [&config.traces, &config.metrics, &config.logs, &config.alerts];
    let https = named.iter().any(|sources| sources.iter().any(|source| source.url.starts_with("https:")));
    let none = |sources: &[BackendSource]| sources.is_empty();
    let rows = [
        (access.certificate.is_some() && !https, "--certificate has no effect: no backend is named by https"),
        (
            access.headers.is_some() && named.iter().all(|sources| none(sources)),
            "--headers has no effect: it is for backends that are named",
        ),
        (
            access.traces_headers.is_some() && none(&config.traces),
            "--traces-headers has no effect: no backend of traces is named",
        ),
        (
            access.metrics_headers.is_some() && none(&config.metrics),
            "--metrics-headers has no effect: no backend of metrics is named",
        ),
        (
            access.logs_headers.is_some() && none(&config.logs),
            "--logs-headers has no effect: no backend of log lines is named",
        ),
        (
            access.alerts_headers.is_some() && none(&config.alerts),
            "--alerts-headers has no effect: no backend of alerts is named",
        ),
    ];
    rows.into_iter().filter_map(|(holds, what)| holds.then_some(what)).collect()
}

/// Settings that are likely others than the lab's, where that would explain what does not hold.
pub(super) fn likely_causes(config: &VerifyConfig, ledger: &RequestLedger, claims: &[Claim]) -> Vec<String> {
    let failed = |id: &str| claims.iter().any(|one| one.id == id && one.verdict == ClaimVerdict::Fail);
    let mut causes = Vec::new();
    if let Some(sampler) = ledger.sampler.as_ref().filter(|_| failed("requests.sampled")) {
        causes.push(format!(
            "likely cause: the lab has another sampler than {} (--sampler, --sampler-arg; OTEL_TRACES_SAMPLER, \
             OTEL_TRACES_SAMPLER_ARG)",
            sampler.name
        ));
    }
    let (mode, other) = match config.queue_trace_mode {
        TraceMode::Child => ("child", "link"),
        TraceMode::Link => ("link", "child"),
    };
    if (failed("traces.complete") || failed("traces.parents")) && has_other_mode(config, ledger) {
        causes.push(format!(
            "likely cause: the lab consumes messages in mode {other} and not {mode} (--queue-trace-mode, QUEUE_TRACE_MODE)"
        ));
    }
    causes
}

/// Whether every message was consumed as the other mode has it: in its own trace, or in that of its request. The consumer
/// itself says in which one, so it holds whatever became of the spans.
fn has_other_mode(config: &VerifyConfig, ledger: &RequestLedger) -> bool {
    let consumed = ledger.known().filter(|entry| {
        let shape = &entry.shape;
        let consumer = shape.spans.iter().find(|span| span.kind == SpanKind::Consumer);
        shape.notification.is_some() && consumer.is_some_and(|consumer| !consumer.detached)
    });
    let apart: Vec<_> = consumed.map(|entry| entry.linked.is_some()).collect();
    let expected = config.queue_trace_mode == TraceMode::Link;
    !apart.is_empty() && apart.iter().all(|apart| *apart != expected)
}
