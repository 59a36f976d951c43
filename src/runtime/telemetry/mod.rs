//! Telemetry, started and stopped once for every role: traces over OTLP, logs with their ids.
//!
//! ```text
//! tracing ─┬─ log layer ── stdout                      LOG_LEVEL filters here only
//!          └─ span layer ── Gate ── batch processor ── Exporter ── Transport ── collector
//!                             └───────── Ledger ──────────┘
//! ```
//!
//! Nothing on the way of a request waits for the collector: a span that ends takes a place in the
//! bounded queue or is dropped and counted.

mod exporter;
mod ledger;
mod limits;
mod log;
mod processor;
mod propagators;
mod resource;
mod settings;
mod transport;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{Tracer, TracerProvider};
use opentelemetry::{InstrumentationScope, global};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::level_filters::LevelFilter;
use tracing::{Level, Subscriber};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

use crate::config::{LogConfig, OtelConfig};
use exporter::Exporter;
use ledger::Ledger;
use log::LogLayer;
use processor::Gate;
use propagators::Propagators;
use settings::Settings;
use transport::Transport;

/// The instrumentation scope, and the prefix of the targets whose spans are traced.
const SCOPE: &str = "o11y_lab";
/// What a flush may take of a backend that failed last.
const TRIAL: Duration = Duration::from_millis(100);

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
    let ledger = Arc::new(Ledger::new(settings.batch.queue));
    let provider = match settings.disabled {
        true => None,
        false => Some(on_plain_thread(|| provider(&settings, otel, &ledger))??),
    };
    let logs = LogLayer::stdout(&settings.service_name, log).with_filter(log::filter(&log.log_level)?);
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
    report(&settings);
    Ok(Telemetry::new(provider, ledger))
}

/// Builds what exports. Blocks; see [`on_plain_thread`].
fn provider(settings: &Settings, otel: &OtelConfig, ledger: &Arc<Ledger>) -> Result<SdkTracerProvider> {
    install_crypto();
    let ecs = otel.ecs_metadata_uri.as_deref().filter(|uri| !uri.is_empty());
    let function = crate::config::LambdaEnvironment::read()?;
    let resource = resource::resource(settings, &otel.deployment_environment, ecs, function);
    build(settings, resource, ledger)
}

fn build(settings: &Settings, resource: Resource, ledger: &Arc<Ledger>) -> Result<SdkTracerProvider> {
    let builder = SdkTracerProvider::builder()
        .with_resource(resource)
        .with_sampler(settings.sampler.clone())
        .with_span_limits(settings.limits);
    let Some(export) = &settings.export else { return Ok(builder.build()) };
    let exporter = Exporter::new(export, Transport::new(export)?, ledger.clone())?;
    let gate = Gate::new(exporter, settings.batch, settings.value_length, ledger.clone());
    Ok(builder.with_span_processor(gate).build())
}

fn tracer(provider: &SdkTracerProvider) -> opentelemetry_sdk::trace::SdkTracer {
    provider.tracer_with_scope(scope())
}

/// The instrumentation scope of every span of ours, for the few made without `tracing`.
pub(crate) fn scope() -> InstrumentationScope {
    InstrumentationScope::builder(SCOPE).with_version(env!("CARGO_PKG_VERSION")).build()
}

/// The propagator of AWS X-Ray's header, whether or not `OTEL_PROPAGATORS` names it.
pub(crate) fn xray() -> impl TextMapPropagator {
    propagators::XRay
}

/// Turns this program's own spans into OpenTelemetry spans. Events stay logs, and nothing is
/// guessed from fields: status and exceptions are set where they happen.
fn span_layer<S, T>(tracer: T) -> impl Layer<S>
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    T: Tracer + Send + Sync + 'static,
    T::Span: Send + Sync,
{
    let ours =
        filter_fn(|meta| meta.is_span() && *meta.level() <= Level::INFO && meta.target().starts_with(SCOPE))
            .with_max_level_hint(LevelFilter::INFO);
    tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_threads(false)
        .with_location(false)
        .with_target(false)
        .with_level(false)
        .with_tracked_inactivity(false)
        .with_error_fields_to_exceptions(false)
        .with_error_records_to_exceptions(false)
        .with_error_events_to_status(false)
        .with_error_events_to_exceptions(false)
        .with_filter(ours)
}

/// Several crates bring TLS; whoever comes first sets the provider, and all of them want this one.
fn install_crypto() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The blocking HTTP client refuses to be built where async code runs.
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
}

impl Telemetry {
    fn new(provider: Option<SdkTracerProvider>, ledger: Arc<Ledger>) -> Self {
        Self(Arc::new(Running { provider, ledger, flushing: tokio::sync::Mutex::default() }))
    }

    /// Exports every span that has ended so far; `true` if the backend took them all.
    ///
    /// Never blocks the thread and takes at most `deadline`, and only [`TRIAL`] where the backend did
    /// not take the last batch: a request should not pay for that, but a process that is frozen
    /// between requests has no other moment to find out that the backend is back.
    pub async fn flush(&self, deadline: Duration) -> bool {
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

    /// Exports what is left and stops, within `deadline` even where the collector hangs. Spans
    /// that end later are dropped.
    pub async fn shutdown(&self, deadline: Duration) {
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
