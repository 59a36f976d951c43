//! W3C Trace Context, as strict as its specification.
//!
//! The SDK's own propagator writes correctly but reads loosely: it takes a trailing dash, short
//! ids, a plus sign and an upper-case version, and only the first of several `tracestate` fields.

use opentelemetry::Context;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::TraceState;
use opentelemetry_sdk::propagation::TraceContextPropagator;

use super::{hex, printable, span_id, trace_id, with_parent};

/// `traceparent` and `tracestate`.
#[derive(Debug, Default)]
pub(super) struct TraceContext(TraceContextPropagator);

impl TextMapPropagator for TraceContext {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        self.0.inject_context(context, injector);
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        extract(context, extractor).unwrap_or_else(|| context.clone())
    }

    fn fields(&self) -> FieldIter<'_> {
        self.0.fields()
    }
}

fn extract(context: &Context, extractor: &dyn Extractor) -> Option<Context> {
    let header = extractor.get_all("traceparent").filter(|all| all.len() == 1)?.first()?.trim();
    let mut parts = header.split('-');
    let version = hex(parts.next()?, 2).filter(|v| *v != "ff")?;
    let trace = trace_id(parts.next()?)?;
    let span = span_id(parts.next()?)?;
    let flags = u8::from_str_radix(hex(parts.next()?, 2)?, 16).ok()?;
    // A later version may say more; this one says exactly four things.
    if version == "00" && parts.next().is_some() {
        return None;
    }
    Some(with_parent(context, trace, span, flags & 1 == 1, trace_state(extractor)))
}

/// An unusable `tracestate` is dropped alone; the trace goes on.
fn trace_state(extractor: &dyn Extractor) -> TraceState {
    let joined = extractor.get_all("tracestate").unwrap_or_default().join(",");
    if printable(&joined.replace('\t', " ")) {
        joined.parse().unwrap_or_default()
    } else {
        TraceState::default()
    }
}
