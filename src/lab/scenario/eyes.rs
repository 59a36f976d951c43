//! What somebody sees who knows the question alone: telemetry since the stage was set, and the facts that were told.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::target::LessonLab;
use super::until::{Unmet, until};
use crate::config::VerifyConfig;
use crate::lab::backend::BackendError;
use crate::lab::backend::count::{CountReader, CountSnapshot};
use crate::lab::backend::log::{LogLine, LogReader};
use crate::lab::backend::trace::{Span, SpanKind, SpanStatus, Trace, TraceReader};
use crate::lab::backend::window::WindowReader;
use crate::lab::verify::queue::QueueWitness;
use crate::schema::Role;

/// Log lines that are read of one service.
const MOST_LINES: usize = 2_000;
/// How old a Prometheus's newest sample may get to be: many intervals of its scrapes.
const SCRAPED_WITHIN: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(200);

/// See the module.
pub(super) struct Eyes {
    traces: TraceReader,
    window: WindowReader,
    logs: LogReader,
    counts: CountReader,
    has_prometheus: bool,
    config: VerifyConfig,
    /// Nanoseconds since the epoch.
    since: u64,
    facts: BTreeMap<String, String>,
}

impl Eyes {
    /// The telemetry of a lab since then.
    pub(super) fn on(lab: &LessonLab, since: u64, facts: BTreeMap<String, String>) -> Self {
        let console = lab.config.console();
        let counts = match &lab.prometheus {
            Some(url) => CountReader::prometheus(url),
            None => CountReader::pages(lab.config.pages()),
        };
        Self {
            traces: TraceReader::new(&console),
            window: WindowReader::new(&console),
            logs: LogReader::console(&console),
            counts,
            has_prometheus: lab.prometheus.is_some(),
            config: lab.config.clone(),
            since,
            facts,
        }
    }

    /// A fact that was told; empty without one.
    pub(super) fn fact(&self, name: &str) -> &str {
        self.facts.get(name).map(String::as_str).unwrap_or_default()
    }

    /// A number that was told.
    pub(super) fn number(&self, name: &str) -> Result<f64, String> {
        self.fact(name).parse().map_err(|_| format!("{name} was not told"))
    }

    /// The traces since then whose root is this span of the gateway.
    pub(super) async fn requests(&self, root: &str) -> Result<Vec<Trace>, String> {
        let gateway = Role::Gateway.service().name;
        let found = self.window.traces(gateway, self.since).await.map_err(said)?;
        let traces = found.into_values().map(|spans| Trace { spans });
        let of_root = |trace: &Trace| {
            trace.spans.iter().any(|s| s.service == gateway && s.name == root && s.kind == SpanKind::Server)
        };
        Ok(traces.filter(of_root).collect())
    }

    /// The CONSUMER spans since then, wherever the queue's trace mode puts them.
    pub(super) async fn consumed(&self) -> Result<Vec<Span>, String> {
        let found = self.window.traces(Role::Notify.service().name, self.since).await.map_err(said)?;
        Ok(found.into_values().flatten().filter(|span| span.kind == SpanKind::Consumer).collect())
    }

    /// One trace; without spans where the backend has none.
    pub(super) async fn trace(&self, id: &str) -> Result<Trace, String> {
        self.traces.trace(id).await.map_err(said)
    }

    /// The log lines of a service since then with this message.
    pub(super) async fn lines(&self, role: Role, message: &str) -> Result<Vec<LogLine>, String> {
        let mut lines = self.logs.of_service(role.service().name, MOST_LINES).await.map_err(said)?;
        lines.retain(|line| line.text("message") == message && nanos(line) >= self.since);
        Ok(lines)
    }

    /// The trace in which an order was notified, by notification-service's own word: for a truth.
    pub(super) async fn notification(&self, order: i64) -> Result<String, String> {
        let sent = QueueWitness::at(&self.config).notifications(order).await.unwrap_or_default();
        let trace = sent.first().and_then(|one| one["traceId"].as_str()).map(str::to_owned);
        trace.ok_or_else(|| format!("order {order} is not notified"))
    }

    /// The counters of all roles now; of a Prometheus once it has scraped them since this was asked.
    pub(super) async fn counts(&self) -> Result<CountSnapshot, String> {
        let now = Timestamp::now().as_duration().as_secs_f64();
        until(SCRAPED_WITHIN, PAUSE, async || {
            let found = self.counts.read().await.map_err(said)?;
            match !self.has_prometheus || found.newest.values().all(|newest| *newest >= now) {
                true => Ok(found),
                false => Err(Unmet::yet("Prometheus has no sample that is newer than the question")),
            }
        })
        .await
    }
}

/// An error in words.
#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn said(error: BackendError) -> String {
    error.to_string()
}

/// When a line was written, in nanoseconds since the epoch.
fn nanos(line: &LogLine) -> u64 {
    let time = line.text("timestamp").parse::<Timestamp>().map(Timestamp::as_nanosecond);
    time.ok().and_then(|nanos| u64::try_from(nanos).ok()).unwrap_or_default()
}

/// A span's duration in milliseconds.
#[allow(clippy::cast_precision_loss, reason = "far below 2^53 nanoseconds")]
pub(super) fn millis(span: &Span) -> f64 {
    span.end.saturating_sub(span.start) as f64 / 1e6
}

/// The time of a span in which none of its children ran, in milliseconds.
#[allow(clippy::cast_precision_loss, reason = "far below 2^53 nanoseconds")]
pub(super) fn self_millis(trace: &Trace, span: &Span) -> f64 {
    let mut children: Vec<_> = trace
        .spans
        .iter()
        .filter(|child| child.parent == span.id && child.kind != SpanKind::Consumer)
        .map(|child| (child.start.max(span.start), child.end.min(span.end)))
        .filter(|(start, end)| start < end)
        .collect();
    children.sort_unstable();
    let (mut covered, mut until) = (0, span.start);
    for (start, end) in children {
        covered += end.saturating_sub(start.max(until));
        until = until.max(end);
    }
    span.end.saturating_sub(span.start).saturating_sub(covered) as f64 / 1e6
}

/// The span in which a failure begins: it is in error, and nothing below it is.
pub(super) fn origin(trace: &Trace) -> Option<&Span> {
    let failed = |span: &&Span| span.status == SpanStatus::Error;
    let above: BTreeSet<&str> = trace.spans.iter().filter(failed).map(|span| span.parent.as_str()).collect();
    let mut lowest = trace.spans.iter().filter(failed).filter(|span| !above.contains(span.id.as_str()));
    lowest.next()
}

/// What occurs most often, and how often.
pub(super) fn most<T: Ord>(all: impl IntoIterator<Item = T>) -> Option<(T, usize)> {
    let mut counts = BTreeMap::new();
    for one in all {
        *counts.entry(one).or_insert(0_usize) += 1;
    }
    counts.into_iter().max_by_key(|(_, count)| *count)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn trace(spans: &[(&str, &str, u64, u64, u64)]) -> Trace {
        let span = |(id, parent, start, end, status): &(&str, &str, u64, u64, u64)| {
            json!({"spanId": id, "parentSpanId": parent, "name": id, "kind": 2, "status": {"code": status},
                "startTimeUnixNano": (start * 1_000_000).to_string(), "endTimeUnixNano": (end * 1_000_000).to_string()})
        };
        let spans: Vec<_> = spans.iter().map(span).collect();
        Trace::from_otlp(&json!({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}))
    }

    #[test]
    fn a_spans_own_time_is_that_in_which_no_child_runs_however_they_overlap() {
        let trace = trace(&[
            ("a", "", 0, 100, 0),
            ("b", "a", 10, 40, 0),
            ("c", "a", 30, 60, 0),
            ("d", "a", 90, 200, 0),
        ]);
        let own = |id: &str| trace.spans.iter().find(|s| s.id == id).map(|span| self_millis(&trace, span));
        assert_eq!((own("a"), own("b")), (Some(40.0), Some(30.0)));
    }

    #[test]
    fn a_failure_begins_where_nothing_below_it_failed() {
        let failed =
            trace(&[("a", "", 0, 9, 2), ("b", "a", 0, 9, 2), ("c", "b", 0, 9, 2), ("d", "b", 0, 9, 0)]);
        assert_eq!(origin(&failed).map(|span| span.id.as_str()), Some("c"));
        assert!(origin(&trace(&[("a", "", 0, 9, 0)])).is_none());
    }
}
