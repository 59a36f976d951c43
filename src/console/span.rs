//! One span as it is kept: its ids parsed, its times where they belong.

use opentelemetry_proto::tonic::trace::v1::{Span, status::StatusCode};

use super::attributes;
use super::ids::{self, SpanId, TraceId};

/// Largest single span, in bytes.
const MAX_SPAN_BYTES: usize = 1 << 20;
/// Why a larger one is refused.
pub(super) const TOO_LARGE: &str = "a span must not be larger than 1 MiB";

/// One stored span, its ids parsed.
#[derive(Clone, Debug)]
pub(super) struct StoredSpan {
    pub(super) id: SpanId,
    /// Zero for a root.
    pub(super) parent: SpanId,
    /// Nanoseconds since the epoch; `end` is never before `start`.
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) span: Span,
    /// Its origin's place among those of its trace.
    pub(super) origin: usize,
    /// What it takes in memory, by estimate.
    pub(super) weight: usize,
}

impl StoredSpan {
    /// A span as it came in, with its trace; or why it cannot be kept.
    pub(super) fn new(mut span: Span) -> Result<(TraceId, Self), &'static str> {
        let trace = ids::trace_id(&span.trace_id).ok_or("a trace id must be 16 bytes, not all zero")?;
        let id = ids::span_id(&span.span_id).ok_or("a span id must be 8 bytes, not all zero")?;
        let weight = attributes::span_weight(&span);
        if weight > MAX_SPAN_BYTES {
            return Err(TOO_LARGE);
        }
        let parent = ids::span_id(&span.parent_span_id).filter(|parent| *parent != id).unwrap_or(0);
        set_missing_times(&mut span)?;
        let (start, end) = (span.start_time_unix_nano, span.end_time_unix_nano);
        Ok((trace, Self { id, parent, start, end: end.max(start), span, origin: 0, weight }))
    }

    /// Nanoseconds.
    pub(super) fn duration(&self) -> u64 {
        self.end - self.start
    }

    pub(super) fn is_error(&self) -> bool {
        self.span.status.as_ref().is_some_and(|s| s.code == StatusCode::Error as i32)
    }
}

/// Puts what has no time where it belongs instead of into 1970: a span without a start at its end, one
/// without an end at its start, its events at its start.
fn set_missing_times(span: &mut Span) -> Result<(), &'static str> {
    let (start, end) = (span.start_time_unix_nano, span.end_time_unix_nano);
    span.start_time_unix_nano = if start == 0 { end } else { start };
    span.end_time_unix_nano = if end == 0 { start } else { end };
    if span.start_time_unix_nano == 0 {
        return Err("a span must have a start or an end");
    }
    for event in span.events.iter_mut().filter(|event| event.time_unix_nano == 0) {
        event.time_unix_nano = span.start_time_unix_nano;
    }
    Ok(())
}
