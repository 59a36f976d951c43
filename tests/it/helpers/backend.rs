//! The program's own readers of telemetry backends, waited for.

use std::time::Duration;

use o11y_lab::lab::backend::alert::{AlertInstance, AlertReader};
use o11y_lab::lab::backend::metric::{MetricReader, MetricSeries};
use o11y_lab::lab::backend::trace::{Trace, TraceReader};

use super::{DEADLINE, block_on, found_within};

/// What a backend has of a trace now; nothing where it does not answer.
pub fn trace(base: &str, id: &str) -> Trace {
    block_on(async { TraceReader::new(base).trace(id).await }).unwrap_or_default()
}

/// Asks until at least `expected` spans are there, and once more to see that no others come.
#[track_caller]
pub fn wait_trace(base: &str, id: &str, expected: usize) -> Trace {
    let mut last = Trace::default();
    let found = found_within(DEADLINE, || {
        last = trace(base, id);
        (last.spans.len() >= expected).then_some(())
    });
    assert!(found.is_some(), "not {expected} spans of {id} at {base}:\n{}", last.drawing());
    // What comes late would come with the exporters' next batches; two of those are over then.
    std::thread::sleep(Duration::from_millis(1_200));
    trace(base, id)
}

/// The traces in which a service took part.
#[track_caller]
pub fn traces_of(base: &str, service: &str) -> Vec<Trace> {
    block_on(async { TraceReader::new(base).traces_of(service, 1_000).await }).expect("traces")
}

/// The series that a Prometheus finds; an error of the query's own fails at once.
#[track_caller]
pub fn query(prometheus: &str, expr: &str) -> Vec<MetricSeries> {
    let answer = block_on(async { MetricReader::prometheus(prometheus).query(expr).await });
    answer.unwrap_or_else(|error| panic!("{expr}: {error}"))
}

/// What a Prometheus has pending and firing.
#[track_caller]
pub fn alerts(prometheus: &str) -> Vec<AlertInstance> {
    block_on(async { AlertReader::prometheus(prometheus).all().await }).expect("alerts")
}

/// What an Alertmanager holds.
#[track_caller]
pub fn managed_alerts(alertmanager: &str) -> Vec<AlertInstance> {
    block_on(async { AlertReader::alertmanager(alertmanager).all().await }).expect("alerts")
}
