//! B3, as Zipkin, Istio and Envoy speak it: one `b3` field, or several `x-b3-*`.
//!
//! Either form is read, the single one first; the configured one is written. A carrier that brings
//! a sampling decision without ids has nothing a span could continue and counts as absent.

use opentelemetry::Context;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};

use super::{span_id, trace_id, with_parent};

const SINGLE: &str = "b3";
const TRACE_ID: &str = "x-b3-traceid";
const SPAN_ID: &str = "x-b3-spanid";
const SAMPLED: &str = "x-b3-sampled";
const FLAGS: &str = "x-b3-flags";

/// The debug decision, which B3 passes on and W3C cannot express.
#[derive(Clone, Copy, Debug)]
struct Debug;

/// Reads both forms and writes one.
#[derive(Debug)]
pub(super) struct B3 {
    single: bool,
    fields: Vec<String>,
}

impl B3 {
    pub(super) fn single() -> Self {
        Self { single: true, fields: vec![SINGLE.to_owned()] }
    }

    pub(super) fn multi() -> Self {
        Self { single: false, fields: [TRACE_ID, SPAN_ID, SAMPLED, FLAGS].map(str::to_owned).to_vec() }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Decision {
    Deny,
    Accept,
    Debug,
}

impl TextMapPropagator for B3 {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        let span = context.span();
        let ids = span.span_context();
        if !ids.is_valid() {
            return;
        }
        let debug = ids.is_sampled() && context.get::<Debug>().is_some();
        let sampled = if ids.is_sampled() { "1" } else { "0" };
        if self.single {
            let decision = if debug { "d" } else { sampled };
            injector.set(SINGLE, format!("{}-{}-{decision}", ids.trace_id(), ids.span_id()));
            return;
        }
        injector.set(TRACE_ID, ids.trace_id().to_string());
        injector.set(SPAN_ID, ids.span_id().to_string());
        // Debug implies sampled, and B3 wants only one of the two fields.
        let (field, value) = if debug { (FLAGS, "1") } else { (SAMPLED, sampled) };
        injector.set(field, value.to_owned());
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        match single(extractor).or_else(|| multi(extractor)) {
            Some((trace, span, decision)) => {
                // Without a decision the sender leaves it open; like the other SDKs, not sampled.
                let sampled = matches!(decision, Some(Decision::Accept | Decision::Debug));
                let flags = TraceFlags::default().with_sampled(sampled);
                let parent = with_parent(context, trace, span, flags, TraceState::default());
                if decision == Some(Decision::Debug) { parent.with_value(Debug) } else { parent }
            }
            None => context.clone(),
        }
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&self.fields)
    }
}

type B3Context = (TraceId, SpanId, Option<Decision>);

/// `{trace}-{span}[-{decision}[-{parent span}]]`
fn single(extractor: &dyn Extractor) -> Option<B3Context> {
    let mut parts = extractor.get(SINGLE)?.trim().split('-');
    let (trace, span) = (long_or_short(parts.next()?)?, span_id(parts.next()?)?);
    let decision = match parts.next() {
        None => None,
        Some("0") => Some(Decision::Deny),
        Some("1") => Some(Decision::Accept),
        Some("d") => Some(Decision::Debug),
        Some(_) => return None,
    };
    if parts.next().is_some_and(|parent| span_id(parent).is_none()) || parts.next().is_some() {
        return None;
    }
    Some((trace, span, decision))
}

fn multi(extractor: &dyn Extractor) -> Option<B3Context> {
    let trace = long_or_short(extractor.get(TRACE_ID)?.trim())?;
    let span = span_id(extractor.get(SPAN_ID)?.trim())?;
    let debug = extractor.get(FLAGS).is_some_and(|f| f.trim() == "1");
    let decision = match extractor.get(SAMPLED).map(str::trim) {
        _ if debug => Some(Decision::Debug),
        None => None,
        // Old senders wrote words.
        Some("0" | "false") => Some(Decision::Deny),
        Some("1" | "true") => Some(Decision::Accept),
        Some(_) => return None,
    };
    Some((trace, span, decision))
}

/// B3 trace ids have 128 or 64 bits; the short ones are padded on the left.
fn long_or_short(text: &str) -> Option<TraceId> {
    if text.len() == 16 { trace_id(&format!("{text:0>32}")) } else { trace_id(text) }
}
