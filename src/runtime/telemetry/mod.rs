//! Telemetry, started and stopped once for every role: traces over OTLP, logs with their ids.
//!
//! ```text
//! tracing ─┬─ logs ────── LossyWriter ── stdout          LOG_LEVEL filters here only
//!          └─ traces ──── otlp ───────── collector
//! ```
//!
//! A room for each signal, and what they share: `signal` names them, `settings` reads their
//! variables, `otlp` carries them, `resource` says who they are from. Metrics are scraped
//! ([`super::metrics`]); only traces are exported so far.
//!
//! Nothing on the way of a request waits for the collector or for who reads the log: a span that ends
//! and a line that is logged take a place in a bounded queue or are dropped and counted.

mod logs;
mod otlp;
mod propagators;
mod resource;
mod settings;
mod signal;
mod traces;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use opentelemetry::global;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::Registry;
use tracing_subscriber::layer::{Layer, SubscriberExt};

use super::writer;
use crate::config::{LogConfig, OtelConfig, RUST_LOG_VARIABLE};
use logs::LogLayer;
use otlp::Ledger;
use propagators::Propagators;
use settings::Settings;
pub use signal::Signal;
pub(crate) use traces::scope;
use traces::{span_layer, tracer};

/// What a flush may take of a backend that failed last.
const TRIAL: Duration = Duration::from_millis(100);

/// What the last log lines may take of the shutdown's deadline, and where spans used it up, beyond it.
const LINES_AT_MOST: Duration = Duration::from_secs(1);
const LINES_AT_LEAST: Duration = Duration::from_millis(100);

/// Running telemetry. Nothing is flushed on drop: end it with [`Telemetry::shutdown`].
#[derive(Clone, Debug)]
pub struct Telemetry(Arc<Running>);

#[derive(Debug)]
struct Running {
    provider: Option<SdkTracerProvider>,
    ledger: Arc<Ledger>,
    flushing: tokio::sync::Mutex<()>,
}

/// Starts telemetry for `service`: logs, traces and propagation, for the whole process.
///
/// May be called from async code; it blocks for a moment, up to a second in an ECS task. Settings
/// that are not understood are logged and replaced, never refused.
///
/// # Errors
/// A second call in one process, log directives that cannot be read, or TLS files or authorities
/// that an https collector needs and that are not there.
pub fn start(service: &str, otel: &OtelConfig, log: &LogConfig) -> Result<Telemetry> {
    let settings = Settings::read(service, otel);
    let logs = LogLayer::stdout(&settings.service_name, log)?.with_filter(logs::filter(&log.log_level)?);
    install(&settings, otel, logs)
}

/// The same for a command, whose standard output is its result: warnings go to standard error. Where
/// its spans are not exported it makes none, so that no trace has a parent that is never seen.
///
/// # Errors
/// As for [`start`].
pub fn start_command(service: &str, otel: &OtelConfig) -> Result<Telemetry> {
    let mut settings = Settings::read(service, otel);
    settings.disabled |= settings.export.is_none();
    let logs = LogLayer::stderr(&settings.service_name)?.with_filter(logs::filter("warn")?);
    install(&settings, otel, logs)
}

fn install<L>(settings: &Settings, otel: &OtelConfig, logs: L) -> Result<Telemetry>
where
    L: Layer<Registry> + Send + Sync,
{
    let ledger = traces::ledger(settings);
    let provider = match settings.disabled {
        true => None,
        false => Some(on_plain_thread(|| provider(settings, otel, &ledger))??),
    };
    let subscriber = tracing_subscriber::registry().with(logs);
    let installed = match &provider {
        Some(provider) => {
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
    report(settings);
    Ok(Telemetry::new(provider, ledger))
}

/// Builds what exports. Blocks; see [`on_plain_thread`].
fn provider(settings: &Settings, otel: &OtelConfig, ledger: &Arc<Ledger>) -> Result<SdkTracerProvider> {
    install_crypto();
    let ecs = otel.ecs_metadata_uri.as_deref().filter(|uri| !uri.is_empty());
    let function = crate::config::LambdaEnvironment::read()?;
    let resource = resource::resource(settings, &otel.deployment_environment, ecs, function);
    traces::provider(settings, resource, ledger)
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

fn report(settings: &Settings) {
    for note in &settings.notes.0 {
        tracing::warn!("{note}");
    }
    let unused = OtelConfig::variables_without_effect();
    if !unused.is_empty() {
        tracing::warn!(variables = unused.join(","), "Some OTEL_ variables have no effect here");
    }
    if std::env::var_os(RUST_LOG_VARIABLE).is_some_and(|value| !value.is_empty()) {
        tracing::warn!("{RUST_LOG_VARIABLE} has no effect here; LOG_LEVEL takes the same directives");
    }
}

impl Telemetry {
    fn new(provider: Option<SdkTracerProvider>, ledger: Arc<Ledger>) -> Self {
        Self(Arc::new(Running { provider, ledger, flushing: tokio::sync::Mutex::default() }))
    }

    /// Whether spans are made.
    pub fn traces(&self) -> bool {
        self.0.provider.is_some()
    }

    /// Exports every span that has ended so far and writes the log lines that wait; `true` if the
    /// backend took all the spans.
    ///
    /// Never blocks the thread and takes at most `deadline`, and only [`TRIAL`] where the backend did
    /// not take the last batch: a request should not pay for that, but a process that is frozen
    /// between requests has no other moment to find out that the backend is back.
    pub async fn flush(&self, deadline: Duration) -> bool {
        tokio::join!(self.flush_spans(deadline), writer::flush_all(deadline)).0
    }

    async fn flush_spans(&self, deadline: Duration) -> bool {
        let Some(provider) = &self.0.provider else { return true };
        let ledger = &self.0.ledger;
        let deadline = if ledger.in_trouble() { deadline.min(TRIAL) } else { deadline };
        let flush = async {
            // Callers that waited here find their spans already gone.
            let _one_at_a_time = self.0.flushing.lock().await;
            if ledger.pending() == 0 {
                return !ledger.in_trouble();
            }
            let (provider, failures) = (provider.clone(), ledger.failures());
            // The SDK tells of the last batch only.
            aside(move || provider.force_flush().is_ok()).await && ledger.failures() == failures
        };
        match tokio::time::timeout(deadline, flush).await {
            Ok(flushed) => flushed,
            Err(_) => {
                ledger.set_trouble(true);
                false
            }
        }
    }

    /// Exports what is left and stops, within `deadline` even where the collector hangs or nobody
    /// reads standard output. Spans that end later are dropped.
    pub async fn shutdown(&self, deadline: Duration) {
        let end = Instant::now() + deadline;
        self.shutdown_spans(deadline).await;
        let left = end.saturating_duration_since(Instant::now());
        writer::flush_all(left.clamp(LINES_AT_LEAST, LINES_AT_MOST)).await;
    }

    async fn shutdown_spans(&self, deadline: Duration) {
        let Some(provider) = self.0.provider.clone() else { return };
        let stop = aside(move || provider.shutdown_with_timeout(deadline).is_ok());
        let stopped = tokio::time::timeout(deadline, stop).await.unwrap_or(false);
        let (left, dropped) = (self.0.ledger.pending(), self.0.ledger.dropped());
        if left > 0 || dropped > 0 {
            tracing::warn!(left, dropped, stopped, "Some spans never reached the trace backend");
        }
    }
}

/// Runs something that blocks on a thread of its own. Not on the runtime's blocking pool: the
/// runtime waits for that at its end, and a hung collector would keep the process alive.
async fn aside(f: impl FnOnce() -> bool + Send + 'static) -> bool {
    let (done, result) = tokio::sync::oneshot::channel();
    let spawned =
        std::thread::Builder::new().name("telemetry-flush".to_owned()).spawn(move || done.send(f()));
    spawned.is_ok() && result.await.unwrap_or(false)
}

#[cfg(test)]
mod tests;
