//! Links seen from their far end: OpenTelemetry's point one way only.

use std::sync::Arc;

use serde_json::{Value, json};

use super::ids::{TraceId, span_hex, trace_hex};
use super::traces::StoredTrace;

/// The most that one trace is shown.
const MOST: usize = 100;

/// The spans of other traces, or of the same, that link to a span of this one, with the span that they link to.
pub(super) fn linked_from(traces: &[Arc<StoredTrace>], id: TraceId) -> Vec<Value> {
    let mut found = Vec::new();
    for trace in traces {
        for kept in trace.spans.iter().filter(|kept| kept.span.has_links) {
            for link in kept.span.links().filter(|link| link.trace_id() == id) {
                let to = (link.span_id() != 0).then(|| span_hex(link.span_id()));
                found.push(json!({"traceID": trace_hex(trace.id), "spanID": span_hex(kept.id()), "to": to,
                    "service": trace.origin(kept).service, "name": kept.span.name()}));
                if found.len() == MOST {
                    return found;
                }
            }
        }
    }
    found
}
