//! Metrics over OTLP: the numbers of `/metrics`, once an interval.
//!
//! ```text
//! Recorder's series ── collect ── DeltaState ── encode ── otlp::Sender ── collector
//!                                                  └─ Ledger ─┘
//! ```

mod collect;
mod delta;
mod encode;
mod periodic;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use collect::{HistogramStyle, collect};
use delta::DeltaState;
pub(super) use delta::Temporality;
use encode::{ExportWindow, write_metric};
use periodic::PeriodicExporter;

use anyhow::{Context as _, Result};
use opentelemetry_sdk::Resource;

use super::otlp::{Envelope, Ledger, Sender, Wire};
use super::pipeline::Pipeline;
use super::settings::MetricSettings;
use super::signal::Signal;
use super::traces::{nanoseconds, scope};
use crate::runtime::metrics::Recorder;

/// How metrics are exported.
#[derive(Clone, Copy, Debug)]
pub(super) struct MetricStyle {
    pub(super) interval: Duration,
    pub(super) temporality: Temporality,
    /// Whether histograms have exponential buckets instead of the bounds of the page.
    pub(super) exponential: bool,
}

/// Data points of one collection: a bound far above the schema's series, because the ledger wants one.
const MOST_POINTS: usize = 100_000;

/// Starts the export of what `recorder` counts; `None` where nothing is to be exported.
///
/// # Errors
/// TLS files or authorities that an https collector needs and that are not there, or no thread.
pub(super) fn pipeline(
    settings: &MetricSettings,
    recorder: &Recorder,
    resource: &Resource,
) -> Option<Result<Pipeline>> {
    let export = settings.export.as_ref()?;
    let start = || {
        let ledger = Arc::new(Ledger::new(Signal::Metrics, MOST_POINTS));
        let sender = Sender::new(Signal::Metrics, export)?;
        let (account, envelope) = (ledger.clone(), Envelope::new(resource, &scope()));
        let mut collection = Collection::new(recorder.clone(), envelope, settings.style);
        let exporter =
            PeriodicExporter::start(settings.style.interval, move || collection.export(&sender, &account));
        let exporter = exporter.context("no thread for the export of metrics")?;
        Ok(Pipeline::new(Arc::new(exporter), ledger))
    };
    Some(start())
}

/// Makes an export of a recorder's series.
pub(super) struct Collection {
    recorder: Recorder,
    envelope: Envelope,
    style: MetricStyle,
    state: DeltaState,
    /// The start, and the last collection, in nanoseconds since 1970.
    start: u64,
    last: u64,
}

impl Collection {
    pub(super) fn new(recorder: Recorder, envelope: Envelope, style: MetricStyle) -> Self {
        let start = now();
        Self { recorder, envelope, style, state: DeltaState::default(), start, last: start }
    }

    /// The points of now as an encoded export, and how many they are.
    fn encode(&mut self) -> (Vec<u8>, usize) {
        let MetricStyle { temporality, exponential, .. } = self.style;
        let histograms = HistogramStyle {
            exponential,
            taken: temporality != Temporality::Cumulative,
            exemplars_since: self.last,
        };
        // A clock that was set back must not make a point end before it began.
        let window = ExportWindow { start: self.start, last: self.last, now: now().max(self.last) };
        let mut metrics = collect(&self.recorder.series(), histograms);
        self.state.advance(temporality, &mut metrics);
        let mut items = Vec::new();
        for metric in &metrics {
            let write = |wire: &mut Wire<'_>| write_metric(wire, metric, temporality, window);
            Wire::new(&mut items).message(Envelope::ITEM, write);
        }
        self.last = window.now;
        let points = metrics.iter().map(|metric| metric.points.len()).sum();
        (self.envelope.around(&items), points)
    }

    /// Sends the points of now and settles them.
    pub(super) fn export(&mut self, sender: &Sender, ledger: &Arc<Ledger>) {
        let (body, points) = self.encode();
        let admitted = (0..points).filter(|_| ledger.admit()).count();
        if admitted > 0 {
            ledger.settle(admitted, sender.send(body));
        }
    }
}

fn now() -> u64 {
    nanoseconds(SystemTime::now())
}

#[cfg(test)]
mod tests;
