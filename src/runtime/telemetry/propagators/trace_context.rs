//! W3C Trace Context, level 2, as strict as its specification.
//!
//! The SDK's own propagator reads loosely: it takes a trailing dash, short ids, a plus sign and an
//! upper-case version, and only the first of several `tracestate` fields; and it writes no flag but
//! "sampled", although level 2 wants the one for random trace ids passed on.

use opentelemetry::Context;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{TraceContextExt, TraceFlags, TraceId, TraceState};
use opentelemetry_sdk::propagation::TraceContextPropagator;

use super::{hex, printable, span_id, trace_id, with_parent};

/// The flags that level 2 knows: sampled, and random trace id.
const KNOWN_FLAGS: u8 = 0b11;
const RANDOM: u8 = 0b10;

/// A trace whose id was said to be random. It stands beside the span's own flags, because the SDK clears
/// those of a span that is not sampled.
#[derive(Clone, Copy, Debug)]
struct RandomTrace(TraceId);

/// `traceparent` and `tracestate`.
#[derive(Debug, Default)]
pub(super) struct TraceContext(TraceContextPropagator);

impl TextMapPropagator for TraceContext {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        let span = context.span();
        let ids = span.span_context();
        if !ids.is_valid() {
            return;
        }
        let random = context.get::<RandomTrace>().is_some_and(|random| random.0 == ids.trace_id());
        let flags = (ids.trace_flags().to_u8() & KNOWN_FLAGS) | if random { RANDOM } else { 0 };
        injector.set("traceparent", format!("00-{}-{}-{flags:02x}", ids.trace_id(), ids.span_id()));
        injector.set("tracestate", ids.trace_state().header());
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
    let parent =
        with_parent(context, trace, span, TraceFlags::new(flags & KNOWN_FLAGS), trace_state(extractor));
    Some(if flags & RANDOM == 0 { parent } else { parent.with_value(RandomTrace(trace)) })
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
