//! AWS X-Ray's `X-Amzn-Trace-Id: Root=1-<8 hex>-<24 hex>;Parent=<16 hex>;Sampled=1`.

use std::sync::LazyLock;

use opentelemetry::Context;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{TraceContextExt, TraceFlags, TraceId, TraceState};

use super::{hex, span_id, trace_id, with_parent};

const FIELD: &str = "x-amzn-trace-id";
static FIELDS: LazyLock<[String; 1]> = LazyLock::new(|| [FIELD.to_owned()]);

/// The header that load balancers, API Gateway and Lambda pass on.
#[derive(Debug)]
pub(in crate::runtime::telemetry) struct XRay;

impl TextMapPropagator for XRay {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        let span = context.span();
        let ids = span.span_context();
        if !ids.is_valid() {
            return;
        }
        let trace = ids.trace_id().to_string();
        let (time, rest) = trace.split_at(8);
        let sampled = u8::from(ids.is_sampled());
        injector.set(FIELD, format!("Root=1-{time}-{rest};Parent={};Sampled={sampled}", ids.span_id()));
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        extract(context, extractor).unwrap_or_else(|| context.clone())
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(FIELDS.as_ref())
    }
}

/// A load balancer sends a root without a parent: there is no span to continue then.
fn extract(context: &Context, extractor: &dyn Extractor) -> Option<Context> {
    let (mut trace, mut span, mut sampled) = (None, None, false);
    for part in extractor.get(FIELD)?.split(';') {
        match part.trim().split_once('=') {
            Some(("Root", value)) => trace = Some(root(value)?),
            Some(("Parent", value)) => span = Some(span_id(value)?),
            // "?" asks this side to decide; like the other SDKs, not sampled.
            Some(("Sampled", value)) => sampled = value == "1",
            _ => {}
        }
    }
    let flags = TraceFlags::default().with_sampled(sampled);
    Some(with_parent(context, trace?, span?, flags, TraceState::default()))
}

fn root(text: &str) -> Option<TraceId> {
    let (time, rest) = text.strip_prefix("1-")?.split_once('-')?;
    trace_id(&format!("{}{}", hex(time, 8)?, hex(rest, 24)?))
}
