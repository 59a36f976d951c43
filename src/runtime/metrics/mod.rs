//! The metrics of a process: every series of the schema exists from start-up, and no other.
//!
//! ```text
//! counter! gauge! histogram! ── ObservingRecorder ── PrometheusRecorder ── page 0.0.4
//!                                  └─ exemplars ── open_metrics ───────────────┘
//! ```

mod base2;
mod exemplar;
mod format;
mod observe;
mod open_metrics;
mod options;
mod series;

use std::time::Duration;

use anyhow::anyhow;
use metrics::gauge;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

pub(super) use base2::Base2Histogram;
pub(super) use exemplar::BucketExemplar;
pub use format::PageFormat;
pub(super) use observe::Histograms;
use observe::ObservingRecorder;
use open_metrics::open_metrics;
pub(super) use options::ExemplarFilter;
pub use series::{route_labels, server_labels};

use super::{Shutdown, process};
use crate::schema::{Kind, METRICS, Route, Service, names};

/// Time between two clean-ups of the recorder's buffers.
const UPKEEP: Duration = Duration::from_secs(5);

/// The process's metrics. Clones share them.
#[derive(Clone)]
pub struct Recorder {
    handle: PrometheusHandle,
    histograms: Histograms,
    /// The main runtime; a page is rendered on a worker's.
    runtime: tokio::runtime::Handle,
}

impl Recorder {
    /// Installs the recorder for this process and registers every series of `service`.
    pub fn install(service: &'static Service, routes: &'static [Route]) -> anyhow::Result<Self> {
        let (observing, recorder) = Self::build()?;
        let installed = metrics::set_global_recorder(observing);
        // The error holds the recorder itself.
        installed.map_err(|_| anyhow!("there is a metrics recorder already"))?;
        for metric in METRICS.iter().filter(|metric| metric.exposed_by(service.role)) {
            series::register(metric, service, routes);
        }
        process::register();
        Ok(recorder)
    }

    fn build() -> anyhow::Result<(ObservingRecorder, Self)> {
        let mut builder = PrometheusBuilder::new();
        for metric in METRICS {
            // A histogram without buckets would come out as a summary.
            if let Kind::Histogram(buckets) = metric.kind {
                builder = builder.set_buckets_for_metric(Matcher::Full(metric.name.into()), buckets)?;
            }
        }
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        let observing = ObservingRecorder::new(recorder);
        let histograms = observing.histograms();
        Ok((observing, Self { handle, histograms, runtime: tokio::runtime::Handle::current() }))
    }

    /// What is kept beside the numbers from now on: which observations become exemplars, and whether
    /// histograms are also counted in exponential buckets.
    pub(super) fn keep(&self, filter: ExemplarFilter, exponential: bool) {
        self.histograms.keep(filter, exponential);
    }

    /// The histograms, for what is kept beside the numbers of the page.
    pub(super) fn histograms(&self) -> &Histograms {
        &self.histograms
    }

    /// The page for `/metrics`.
    pub fn render(&self, format: PageFormat) -> String {
        let page = self.page();
        match format {
            PageFormat::Prometheus => page,
            PageFormat::OpenMetrics => open_metrics(&page, |bucket| {
                self.histograms.of_bucket(bucket).map(|histogram| histogram.exemplars()).unwrap_or_default()
            }),
        }
    }

    /// The page as it stands: Prometheus text format 0.0.4.
    pub(super) fn page(&self) -> String {
        process::collect();
        gauge!(names::RUNTIME_TASKS).set(self.runtime.metrics().num_alive_tasks() as f64);
        self.handle.render()
    }
}

/// Keeps the recorder's buffers small where nothing scrapes.
pub async fn upkeep(recorder: Recorder, shutdown: Shutdown) {
    let mut interval = tokio::time::interval(UPKEEP);
    loop {
        tokio::select! {
            _ = interval.tick() => recorder.handle.run_upkeep(),
            () = shutdown.wait() => return,
        }
    }
}

#[cfg(test)]
impl Recorder {
    /// One that is not the process's: for the thread that `local` lasts on. Only in a tokio runtime.
    pub(super) fn for_test() -> (impl metrics::Recorder, Self) {
        Self::build().unwrap()
    }
}
