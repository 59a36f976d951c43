//! How a trace context travels: the propagators that `OTEL_PROPAGATORS` can name.
//!
//! Whatever a carrier brings is judged strictly. A malformed field counts as absent: it starts a
//! new trace here, and never fails a request or reaches the next service.

mod b3;
mod baggage;
mod trace_context;
mod xray;

use opentelemetry::Context;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapCompositePropagator, TextMapPropagator};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};

pub(super) use xray::XRay;

/// One name in `OTEL_PROPAGATORS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PropagatorKind {
    TraceContext,
    Baggage,
    B3,
    B3Multi,
    XRay,
}

impl PropagatorKind {
    const ALL: [Self; 5] = [Self::TraceContext, Self::Baggage, Self::B3, Self::B3Multi, Self::XRay];

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// As `OTEL_PROPAGATORS` has it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::TraceContext => "tracecontext",
            Self::Baggage => "baggage",
            Self::B3 => "b3",
            Self::B3Multi => "b3multi",
            Self::XRay => "xray",
        }
    }

    fn build(self) -> Box<dyn TextMapPropagator + Send + Sync> {
        match self {
            Self::TraceContext => Box::new(trace_context::TraceContext::default()),
            Self::Baggage => Box::new(baggage::Baggage),
            Self::B3 => Box::new(b3::B3::single()),
            Self::B3Multi => Box::new(b3::B3::multi()),
            Self::XRay => Box::new(XRay),
        }
    }
}

/// The configured propagators as one, in their order: where two find a context, the later wins.
#[derive(Debug)]
pub(super) struct Propagators(TextMapCompositePropagator);

impl Propagators {
    pub(super) fn new(kinds: &[PropagatorKind]) -> Self {
        Self(TextMapCompositePropagator::new(kinds.iter().map(|k| k.build()).collect()))
    }
}

impl TextMapPropagator for Propagators {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        self.0.inject_context(context, &mut OnlyPrintable(injector));
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        self.0.extract_with_context(context, extractor)
    }

    fn fields(&self) -> FieldIter<'_> {
        self.0.fields()
    }
}

/// What a client sent and we pass on must not put a line break into the headers of our own calls, which
/// would then all fail.
struct OnlyPrintable<'a>(&'a mut dyn Injector);

impl Injector for OnlyPrintable<'_> {
    fn set(&mut self, key: &str, value: String) {
        if printable(&value) && !value.is_empty() {
            self.0.set(key, value);
        }
    }
}

fn printable(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b' '..=b'~'))
}

/// A trace id of exactly 32 lower-case hex digits, not all zero.
fn trace_id(text: &str) -> Option<TraceId> {
    hex(text, 32).and_then(|t| TraceId::from_hex(t).ok()).filter(|id| *id != TraceId::INVALID)
}

/// A span id of exactly 16 lower-case hex digits, not all zero.
fn span_id(text: &str) -> Option<SpanId> {
    hex(text, 16).and_then(|t| SpanId::from_hex(t).ok()).filter(|id| *id != SpanId::INVALID)
}

fn hex(text: &str, digits: usize) -> Option<&str> {
    let lower = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    (text.len() == digits && text.bytes().all(lower)).then_some(text)
}

/// `context` with a remote parent.
fn with_parent(
    context: &Context,
    trace: TraceId,
    span: SpanId,
    flags: TraceFlags,
    state: TraceState,
) -> Context {
    context.with_remote_span_context(SpanContext::new(trace, span, flags, true, state))
}

#[cfg(test)]
mod tests;
