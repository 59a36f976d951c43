//! Spans: which become OpenTelemetry spans, how they wait, and how they are exported.
//!
//! ```text
//! span layer ── SpanBatches ── otlp::BatchProcessor ── otlp::Sender ── collector
//!                                  └──── Ledger ──────────┘
//! ```

mod encode;
mod processor;

use std::sync::Arc;

use anyhow::Result;
use opentelemetry::InstrumentationScope;
use opentelemetry::trace::{Tracer, TracerProvider};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tracing::level_filters::LevelFilter;
use tracing::{Level, Subscriber};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::Layer;
use tracing_subscriber::registry::LookupSpan;

use super::otlp::{Envelope, Ledger, Sender};
use super::settings::Settings;
use super::signal::Signal;
pub(in crate::runtime) use encode::nanoseconds;
use processor::SpanBatches;

/// The instrumentation scope, and the prefix of the targets whose spans are traced.
pub(super) const SCOPE: &str = "o11y_lab";

/// The account of spans, for as many as the settings let wait.
pub(super) fn ledger(settings: &Settings) -> Arc<Ledger> {
    Arc::new(Ledger::new(Signal::Traces, settings.batch.queue))
}

/// What makes spans and, where the settings say so, exports them.
///
/// # Errors
/// TLS files or authorities that an https collector needs and that are not there, or no thread.
pub(super) fn provider(
    settings: &Settings,
    resource: Resource,
    ledger: &Arc<Ledger>,
) -> Result<SdkTracerProvider> {
    let envelope = Envelope::new(&resource, &scope());
    let builder = SdkTracerProvider::builder()
        .with_resource(resource)
        .with_sampler(settings.sampler.clone())
        .with_span_limits(settings.limits);
    let Some(export) = &settings.export else { return Ok(builder.build()) };
    let sender = Sender::new(Signal::Traces, export)?;
    let (batch, limit) = (settings.batch, settings.value_length);
    let batches = SpanBatches::start(sender, envelope, batch, limit, ledger.clone())?;
    Ok(builder.with_span_processor(batches).build())
}

pub(super) fn tracer(provider: &SdkTracerProvider) -> SdkTracer {
    provider.tracer_with_scope(scope())
}

/// The instrumentation scope of every span of ours, for the few made without `tracing`.
pub(crate) fn scope() -> InstrumentationScope {
    InstrumentationScope::builder(SCOPE).with_version(env!("CARGO_PKG_VERSION")).build()
}

/// Turns this program's own spans into OpenTelemetry spans. Events stay logs, and nothing is
/// guessed from fields: status and exceptions are set where they happen.
pub(super) fn span_layer<S, T>(tracer: T) -> impl Layer<S>
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
