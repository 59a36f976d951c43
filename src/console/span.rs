//! One span as it is kept: its bytes, and where it belongs.

use opentelemetry_proto::tonic::trace::v1::status::StatusCode;

use super::ids::{SpanId, TraceId};
use crate::otlp::packed::PackedSpan;

/// Kinds of spans, as OTLP numbers them.
pub(super) const SERVER: i32 = 2;
pub(super) const CLIENT: i32 = 3;
pub(super) const PRODUCER: i32 = 4;
pub(super) const CONSUMER: i32 = 5;
/// Largest single span, in bytes.
const MAX_SPAN_BYTES: usize = 1 << 20;
/// Why a larger one is refused.
pub(super) const TOO_LARGE: &str = "a span must not be larger than 1 MiB";
/// Its entry in the trace's index, and what the allocator and the counts of an `Arc` add, in bytes; an estimate that errs
/// on the high side.
const BESIDE: usize = 96;

/// One stored span.
#[derive(Clone, Debug)]
pub(super) struct StoredSpan {
    pub(super) id: SpanId,
    /// Zero for a root.
    pub(super) parent: SpanId,
    /// Nanoseconds since the epoch; `end` is never before `start`.
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) span: PackedSpan,
    /// Its origin's place among those of its trace.
    pub(super) origin: usize,
    /// What it takes in memory, by estimate.
    pub(super) weight: usize,
}

impl StoredSpan {
    /// Why a span cannot be kept, if it cannot.
    pub(super) fn check(span: &PackedSpan) -> Result<(), &'static str> {
        if span.trace_id == 0 {
            return Err("a trace id must be 16 bytes, not all zero");
        }
        if span.span_id == 0 {
            return Err("a span id must be 8 bytes, not all zero");
        }
        if span.packed_size() > MAX_SPAN_BYTES {
            return Err(TOO_LARGE);
        }
        if span.start == 0 {
            return Err("a span must have a start or an end");
        }
        Ok(())
    }

    /// A span as it came in, with its trace; or why it cannot be kept.
    pub(super) fn new(span: PackedSpan) -> Result<(TraceId, Self), &'static str> {
        Self::check(&span)?;
        let (trace, id) = (span.trace_id, span.span_id);
        let parent = if span.parent_span_id == id { 0 } else { span.parent_span_id };
        let (start, end) = (span.start, span.end.max(span.start));
        let weight = size_of::<Self>() - size_of::<PackedSpan>() + span.packed_size() + BESIDE;
        Ok((trace, Self { id, parent, start, end, span, origin: 0, weight }))
    }

    /// Nanoseconds.
    pub(super) fn duration(&self) -> u64 {
        self.end - self.start
    }

    pub(super) fn is_error(&self) -> bool {
        self.span.status_code == StatusCode::Error as i32
    }
}
