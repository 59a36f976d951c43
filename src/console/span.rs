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

/// One stored span. Its end is never before its start, and it is not its own parent.
#[derive(Clone, Debug)]
pub(super) struct StoredSpan {
    pub(super) span: PackedSpan,
    /// Its origin's place among those of its trace.
    pub(super) origin: usize,
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
    pub(super) fn new(mut span: PackedSpan) -> Result<(TraceId, Self), &'static str> {
        Self::check(&span)?;
        if span.parent_span_id == span.span_id {
            span.parent_span_id = 0;
        }
        span.end = span.end.max(span.start);
        Ok((span.trace_id, Self { span, origin: 0 }))
    }

    pub(super) fn id(&self) -> SpanId {
        self.span.span_id
    }

    /// Zero for a root.
    pub(super) fn parent(&self) -> SpanId {
        self.span.parent_span_id
    }

    /// Nanoseconds since the epoch, as its end.
    pub(super) fn start(&self) -> u64 {
        self.span.start
    }

    pub(super) fn end(&self) -> u64 {
        self.span.end
    }

    /// What it takes in memory, by estimate.
    pub(super) fn weight(&self) -> usize {
        size_of::<Self>() - size_of::<PackedSpan>() + self.span.packed_size() + BESIDE
    }

    /// Nanoseconds.
    pub(super) fn duration(&self) -> u64 {
        self.span.end - self.span.start
    }

    pub(super) fn is_error(&self) -> bool {
        self.span.status_code == StatusCode::Error as i32
    }
}
