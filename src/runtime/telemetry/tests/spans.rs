//! What becomes a span, and what the disabled SDK still does.

use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::*;

/// A subscriber with nothing but the span layer.
fn with_span_layer<T>(tracer: T, f: impl FnOnce())
where
    T: Tracer + Send + Sync + 'static,
    T::Span: Send + Sync,
{
    tracing::subscriber::with_default(tracing_subscriber::registry().with(span_layer(tracer)), f);
}

#[test]
fn with_the_sdk_disabled_an_incoming_context_is_passed_on_unchanged() {
    let ids =
        SpanContext::new(TraceId::from(7), SpanId::from(9), TraceFlags::SAMPLED, true, Default::default());
    with_span_layer(opentelemetry::trace::noop::NoopTracer::new(), || {
        let span = tracing::info_span!("request");
        let _ = span.set_parent(opentelemetry::Context::new().with_remote_span_context(ids.clone()));
        span.in_scope(|| assert_eq!(*tracing::Span::current().context().span().span_context(), ids));
    });
}

#[test]
fn only_this_program_s_spans_from_info_upwards_are_traced() {
    let provider = SdkTracerProvider::builder().build();
    with_span_layer(provider.tracer("test"), || {
        let traced = |span: tracing::Span| span.context().span().span_context().is_valid();
        assert!(traced(tracing::info_span!("ours")));
        assert!(!traced(tracing::debug_span!("detail")));
        assert!(!traced(tracing::info_span!(target: "hyper", "theirs")));
    });
}
