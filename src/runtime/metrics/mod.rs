//! The metrics of a process: every series of the schema exists from start-up, and no other.
//!
//! ```text
//! counter! gauge! histogram! ── ObservingRecorder ── PrometheusRecorder ── page 0.0.4
//!                                  └─ Observations ── exemplars ── open_metrics ─┘
//!                                         └─ OTLP (runtime::telemetry::metrics)
//! ```

mod base2;
mod exemplar;
mod format;
mod observe;
mod observed;
mod open_metrics;
mod options;
mod series;

use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

pub(super) use base2::Base2Histogram;
pub(super) use exemplar::BucketExemplar;
pub use format::PageFormat;
use observe::ObservingRecorder;
pub(super) use observed::{Observations, ObservedHistogram, ObservedSeries, ObservedValue};
use open_metrics::open_metrics;
pub(super) use options::ExemplarFilter;
pub use series::{route_labels, server_labels};

use super::telemetry::{is_next_version, version};
use super::{Shutdown, process};
use crate::schema::{METRICS, MetricKind, Route, Service, names};

/// Time between two clean-ups of the recorder's buffers.
const UPKEEP: Duration = Duration::from_secs(5);

/// The process's metrics. Clones share them.
#[derive(Clone)]
pub struct Recorder {
    handle: PrometheusHandle,
    observations: Observations,
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
            if let MetricKind::Histogram(buckets) = metric.kind {
                builder = builder.set_buckets_for_metric(Matcher::Full(metric.name.into()), buckets)?;
            }
        }
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        let observing = ObservingRecorder::new(recorder);
        let observations = observing.observations();
        Ok((observing, Self { handle, observations }))
    }

    /// What is kept beside the numbers from now on: which observations become exemplars, and whether
    /// histograms are also counted in exponential buckets.
    pub(super) fn keep(&self, filter: ExemplarFilter, exponential: bool) {
        self.observations.keep(filter, exponential);
    }

    /// Every series as it stands now.
    pub(super) fn series(&self) -> Vec<Arc<ObservedSeries>> {
        self.read_system();
        self.observations.all()
    }

    /// The page for `/metrics`.
    pub fn render(&self, format: PageFormat) -> String {
        self.read_system();
        let page = cpu_in_seconds(of_version(self.handle.render()));
        match format {
            PageFormat::Prometheus => page,
            PageFormat::OpenMetrics => open_metrics(&page, |bucket| self.observations.exemplars(bucket)),
        }
    }

    /// Observes what is only known when it is asked for.
    fn read_system(&self) {
        process::collect();
    }
}

/// A page on which `build_info` has the version that is said to run: with two series of it, what is joined to
/// it would not know which.
fn of_version(page: String) -> String {
    match is_next_version() {
        true => {
            let of = |version| format!("{}{{version=\"{version}\"", names::BUILD_INFO);
            page.replace(&of(env!("CARGO_PKG_VERSION")), &of(version()))
        }
        false => page,
    }
}

/// A page with the CPU time in the unit of its name.
fn cpu_in_seconds(mut page: String) -> String {
    let start = format!("\n{} ", names::PROCESS_CPU);
    if let Some(from) = page.find(&start).map(|at| at + start.len())
        && let Some(length) = page[from..].find('\n')
        && let Ok(counted) = page[from..from + length].parse::<f64>()
    {
        page.replace_range(from..from + length, &(counted / process::CPU_COUNTS_PER_SECOND).to_string());
    }
    page
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
    /// One that is not the process's: for the thread that `local` lasts on.
    pub(super) fn for_test() -> (impl metrics::Recorder, Self) {
        Self::build().unwrap()
    }
}

#[cfg(test)]
mod tests {
    use metrics::{counter, with_local_recorder};

    use super::*;

    #[tokio::test]
    async fn cpu_time_is_shown_with_the_fractions_of_its_seconds() {
        let (own, recorder) = Recorder::for_test();
        let page = with_local_recorder(&own, || {
            counter!(names::PROCESS_CPU).absolute(9_000_000_250_000);
            recorder.render(PageFormat::Prometheus)
        });
        assert!(page.contains("\nprocess_cpu_seconds_total 9000000.25\n"), "{page}");
    }
}
