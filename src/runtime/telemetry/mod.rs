//! Telemetry, started and stopped once for every role: traces, logs and metrics over OTLP, log lines with
//! their ids.
//!
//! ```text
//! tracing ─┬─ logs ───┬── LossyWriter ── stdout          LOG_LEVEL filters here only
//!          │          └── otlp ───────── collector, or stdout
//!          └─ traces ──── otlp ───────── collector, or stdout
//! /metrics ─── metrics ─── otlp ───────── collector, or stdout
//! ```
//!
//! A room for each signal, and what they share: `signal` names them, `settings` reads their
//! variables, `otlp` carries them, `resource` says who they are from, `pipeline` flushes and stops them.
//! Metrics are also scraped ([`super::metrics`]).
//!
//! Nothing on the way of a request waits for the collector or for who reads the log: a span that ends
//! and a line that is logged take a place in a bounded queue or are dropped and counted.

pub(crate) mod forward;
mod logs;
mod metrics;
mod otlp;
mod pipeline;
mod propagators;
mod resource;
mod settings;
mod signal;
mod staged;
mod traces;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use futures_util::future::join_all;
use opentelemetry::global;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::{Layer, SubscriberExt};

use super::{metrics::Recorder, writer};
use crate::config::{LogConfig, OtelConfig, OtelFile, RUST_LOG_VARIABLE};
use logs::{LogBatches, LogLayer};
use otlp::Ledger;
#[cfg(feature = "grpc")]
pub(crate) use otlp::grpc;
use pipeline::Pipeline;
use propagators::Propagators;
pub use settings::EffectiveVariable;
use settings::Settings;
pub use signal::{PartialSuccess, Signal};
pub(in crate::runtime) use staged::{is_next_version, set_clock_behind, set_next_version, version};
pub(super) use traces::nanoseconds;
pub(crate) use traces::scope;
use traces::{span_layer, tracer};

/// What the last log lines may take of the shutdown's deadline, and where spans used it up, beyond it.
const LINES_AT_MOST: Duration = Duration::from_secs(1);
const LINES_AT_LEAST: Duration = Duration::from_millis(100);

/// Running telemetry. Nothing is flushed on drop: end it with [`Telemetry::shutdown`].
#[derive(Clone, Debug)]
pub struct Telemetry(Arc<Running>);

#[derive(Debug)]
struct Running {
    /// Makes spans, if anything does.
    provider: Option<SdkTracerProvider>,
    pipelines: Vec<Pipeline>,
}

/// Starts telemetry for `service`: logs, traces and propagation, for the whole process, and the export of what
/// `recorder` counts.
///
/// May be called from async code; it blocks for a moment, up to a second in an ECS task. Variables
/// that are not understood are logged and replaced, never refused; what a configuration file says is refused.
///
/// # Errors
/// A configuration file that cannot be used, a second call in one process, log directives that cannot be read, or TLS files or authorities
/// that an https collector needs and that are not there.
pub fn start(
    service: &str,
    otel: &OtelConfig,
    log: &LogConfig,
    recorder: Option<&Recorder>,
) -> Result<Telemetry> {
    let (mut settings, file) = read(service, otel)?;
    let otel = file.as_ref().map_or(otel, |file| &file.config);
    let logs = LogLayer::stdout(&settings.service_name, log)?;
    settings.print_to(&logs.lines);
    if let Some(recorder) = recorder {
        recorder.keep(settings.metrics.exemplars, settings.metrics.style.exponential);
    }
    let telemetry = install(&settings, otel, logs.layer, &log.log_level, recorder)?;
    report(&settings, file.as_ref());
    Ok(telemetry)
}

/// The same for a command, whose standard output is its result: warnings go to standard error, and of the
/// signals only its spans are exported. Where those are not, it makes none, so that no trace has a parent
/// that is never seen.
///
/// # Errors
/// As for [`start`].
pub fn start_command(service: &str, otel: &OtelConfig) -> Result<Telemetry> {
    let mut settings = Settings::read(service, otel);
    // Nothing is printed between the lines of the result.
    settings.export = settings.export.filter(|export| export.otlp);
    settings.disabled |= settings.export.is_none();
    (settings.logs, settings.metrics.export) = (None, None);
    let logs = LogLayer::stderr(&settings.service_name)?;
    let telemetry = install(&settings, otel, logs, "warn", None)?;
    report(&settings, None);
    Ok(telemetry)
}

fn install<W>(
    settings: &Settings,
    otel: &OtelConfig,
    logs: LogLayer<W>,
    level: &str,
    recorder: Option<&Recorder>,
) -> Result<Telemetry>
where
    W: Fn(&[u8]) + Send + Sync + 'static,
{
    let filter = logs::filter(level, settings.log_level)?;
    let exporters = match settings.disabled {
        true => RunningExporters::default(),
        false => on_plain_thread(|| RunningExporters::build(settings, otel, recorder))??,
    };
    let subscriber =
        tracing_subscriber::registry().with(logs.exporting(exporters.logs.clone()).with_filter(filter));
    let installed = match &exporters.spans {
        Some((provider, _)) => {
            global::set_tracer_provider(provider.clone());
            tracing::subscriber::set_global_default(subscriber.with(span_layer(tracer(provider))))
        }
        // The API's own tracer makes no spans and passes an incoming context on.
        None => {
            let tracer = opentelemetry::trace::noop::NoopTracer::new();
            tracing::subscriber::set_global_default(subscriber.with(span_layer(tracer)))
        }
    };
    installed.context("telemetry was started twice")?;
    global::set_text_map_propagator(Propagators::new(&settings.propagators));
    Ok(Telemetry::of(exporters))
}

/// What exports, a field for each signal; none of them where it is off.
#[derive(Default)]
struct RunningExporters {
    spans: Option<(SdkTracerProvider, Arc<Ledger>)>,
    logs: Option<Arc<LogBatches>>,
    metrics: Option<Pipeline>,
}

impl RunningExporters {
    /// Blocks; see [`on_plain_thread`].
    fn build(settings: &Settings, otel: &OtelConfig, recorder: Option<&Recorder>) -> Result<Self> {
        install_crypto();
        let ecs = otel.ecs_metadata_uri.as_deref().filter(|uri| !uri.is_empty());
        let function = crate::config::LambdaEnvironment::read()?;
        let resource = resource::resource(settings, &otel.deployment_environment, ecs, function);
        let logs = settings.logs.as_ref().map(|logs| LogBatches::start(logs, &resource)).transpose()?;
        let metrics = recorder.and_then(|recorder| metrics::pipeline(&settings.metrics, recorder, &resource));
        let metrics = metrics.transpose()?;
        let ledger = traces::ledger(settings);
        let provider = traces::provider(settings, resource, &ledger)?;
        Ok(Self { spans: Some((provider, ledger)), logs: logs.map(Arc::new), metrics })
    }
}

/// The propagator of AWS X-Ray's header, whether or not `OTEL_PROPAGATORS` names it.
pub(crate) fn xray() -> impl TextMapPropagator {
    propagators::XRay
}

/// Several crates bring TLS; the first sets the provider, and all of them want this one.
fn install_crypto() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// An HTTP client that blocks cannot wait for an answer where async code runs.
fn on_plain_thread<T: Send>(f: impl FnOnce() -> T + Send) -> Result<T> {
    std::thread::scope(|scope| scope.spawn(f).join())
        .map_err(|_| anyhow::anyhow!("telemetry could not be started"))
}

/// What is wrong with the settings of telemetry, a sentence each, as the roles would say when they start.
///
/// # Errors
/// A configuration file with which none of them starts.
pub fn concerns(otel: &OtelConfig) -> Result<Vec<String>> {
    let (settings, file) = read("doctor", otel)?;
    Ok(settings.notes.0.into_iter().chain(file.into_iter().flat_map(|file| file.warnings)).collect())
}

/// What each variable of these settings has come to in a role, and the sentences about those that were not taken as they
/// are, by variable. Some of the values are secrets.
///
/// # Errors
/// A role with this file would not start.
pub fn effective(role: &str, otel: &OtelConfig) -> Result<(Vec<EffectiveVariable>, Vec<String>)> {
    let (settings, _) = read(role, otel)?;
    Ok((settings.notes.1, settings.notes.0))
}

/// The settings that hold, and the file that said them, if one did.
fn read(service: &str, otel: &OtelConfig) -> Result<(Settings, Option<OtelFile>)> {
    let file = otel.file()?;
    let settings = Settings::read(service, file.as_ref().map_or(otel, |file| &file.config));
    if let Some(file) = &file {
        file.refuse(&settings.notes.0)?;
    }
    Ok((settings, file))
}

fn report(settings: &Settings, file: Option<&OtelFile>) {
    let warnings = file.map(|file| &file.warnings);
    for note in settings.notes.0.iter().chain(warnings.into_iter().flatten()) {
        tracing::warn!("{note}");
    }
    let unused = OtelConfig::variables_without_effect(file);
    if !unused.is_empty() {
        tracing::warn!(variables = unused.join(","), "Some OTEL_ variables have no effect here");
    }
    if std::env::var_os(RUST_LOG_VARIABLE).is_some_and(|value| !value.is_empty()) {
        tracing::warn!("{RUST_LOG_VARIABLE} has no effect here; LOG_LEVEL takes the same directives");
    }
}

impl Telemetry {
    fn of(exporters: RunningExporters) -> Self {
        let RunningExporters { spans, logs, metrics } = exporters;
        let provider = spans.as_ref().map(|(provider, _)| provider.clone());
        let spans = spans.map(|(provider, ledger)| Pipeline::new(Arc::new(provider), ledger));
        let logs = logs.map(|logs| logs.pipeline());
        Self(Arc::new(Running {
            provider,
            pipelines: spans.into_iter().chain(logs).chain(metrics).collect(),
        }))
    }

    /// Whether spans are made.
    pub fn traces(&self) -> bool {
        self.0.provider.is_some()
    }

    /// Exports every span and log record so far, metrics where their interval is over, and writes the log
    /// lines that wait; `true` if the backends took them all.
    ///
    /// Never blocks the thread and takes at most `deadline`, and little of it where a backend did not
    /// take the last batch: a request should not pay for that, but a process that is frozen between
    /// requests has no other moment to find out that the backend is back.
    pub async fn flush(&self, deadline: Duration) -> bool {
        let pipelines = join_all(self.0.pipelines.iter().map(|pipeline| pipeline.flush(deadline)));
        let (flushed, ()) = tokio::join!(pipelines, writer::flush_all(deadline));
        flushed.into_iter().all(|flushed| flushed)
    }

    /// Exports what is left and stops, within `deadline` even where the collector hangs or nobody
    /// reads standard output. What ends later is dropped.
    pub async fn shutdown(&self, deadline: Duration) {
        let end = Instant::now() + deadline;
        join_all(self.0.pipelines.iter().map(|pipeline| pipeline.shutdown(deadline))).await;
        let left = end.saturating_duration_since(Instant::now());
        writer::flush_all(left.clamp(LINES_AT_LEAST, LINES_AT_MOST)).await;
    }
}

#[cfg(test)]
mod tests;
