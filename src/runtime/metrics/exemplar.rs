//! Exemplars: for each bucket of a histogram, the span in which it was last observed.

use std::sync::Mutex;
use std::time::SystemTime;

use opentelemetry::Context;
use opentelemetry::trace::{SpanId, TraceContextExt as _, TraceId};

use super::options::ExemplarFilter;
use crate::runtime::telemetry::nanoseconds;

/// One observation and the span that it was made in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::runtime) struct BucketExemplar {
    /// What was observed, in the histogram's unit; finite.
    pub(in crate::runtime) value: f64,
    /// When, in nanoseconds since 1970.
    pub(in crate::runtime) time: u64,
    /// The trace of a span of this process; invalid where it was made in none.
    pub(in crate::runtime) trace: TraceId,
    /// That span.
    pub(in crate::runtime) span: SpanId,
}

/// The last exemplar of each bucket. Holds no memory until the first one.
#[derive(Debug, Default)]
pub(super) struct Reservoir(Mutex<Option<Slots>>);

type Slots = Box<[Option<BucketExemplar>]>;

impl Reservoir {
    /// Keeps an observation that the filter lets pass as the exemplar of its bucket, one of so many. Never
    /// waits: it is on the way of a request, and where two threads meet here, one exemplar is as good as the
    /// other.
    pub(super) fn offer(&self, value: f64, bucket: usize, buckets: usize, filter: ExemplarFilter) {
        let Some((trace, span)) = span_for(filter).filter(|_| value.is_finite()) else { return };
        let Ok(mut slots) = self.0.try_lock() else { return };
        let slots = slots.get_or_insert_with(|| vec![None; buckets].into());
        if let Some(slot) = slots.get_mut(bucket) {
            *slot = Some(BucketExemplar { value, time: nanoseconds(SystemTime::now()), trace, span });
        }
    }

    /// A copy: a slot for each bound and one for what lies above; `None` before the first exemplar.
    pub(super) fn copy(&self) -> Option<Slots> {
        self.0.lock().unwrap_or_else(|e| e.into_inner()).clone()
    }
}

/// The active span, where it is one of this process: a parent elsewhere that telemetry which is off merely
/// passes on is not what was measured. `None` where the filter wants no exemplar.
fn span_for(filter: ExemplarFilter) -> Option<(TraceId, SpanId)> {
    if filter == ExemplarFilter::AlwaysOff {
        return None;
    }
    Context::map_current(|context| {
        let span = context.span();
        let span = span.span_context();
        let ours = span.is_valid() && !span.is_remote();
        match filter {
            ExemplarFilter::AlwaysOn if !ours => Some((TraceId::INVALID, SpanId::INVALID)),
            ExemplarFilter::AlwaysOn => Some((span.trace_id(), span.span_id())),
            _ => (ours && span.is_sampled()).then(|| (span.trace_id(), span.span_id())),
        }
    })
}

#[cfg(test)]
pub(super) mod tests {
    use opentelemetry::trace::{SpanContext, TraceFlags, TraceState};

    use super::*;

    /// A context whose span has this id in trace 7.
    pub(in crate::runtime::metrics) fn context(span: u64, flags: TraceFlags, remote: bool) -> Context {
        let ids = (TraceId::from(7), SpanId::from(span));
        let span = SpanContext::new(ids.0, ids.1, flags, remote, TraceState::NONE);
        // Also what is remote in truth is set as the context's own.
        Context::new().with_remote_span_context(span)
    }

    #[test]
    fn each_bucket_keeps_the_last_sampled_span_and_its_bounds_belong_to_it() {
        let reservoir = Reservoir::default();
        let observe = |span, value, bucket| {
            let _active = context(span, TraceFlags::SAMPLED, false).attach();
            reservoir.offer(value, bucket, 3, ExemplarFilter::TraceBased);
        };
        let values =
            [(1, 0.1, 0), (2, 0.5, 0), (3, 1.5, 1), (4, 1.6, 2), (5, f64::NAN, 2), (6, f64::INFINITY, 2)];
        for (span, value, bucket) in values {
            observe(span, value, bucket);
        }
        let slots = reservoir.copy().unwrap();
        let kept: Vec<_> = slots.iter().flatten().map(|e| (e.span, e.value)).collect();
        assert_eq!(kept, [(2, 0.5), (3, 1.5), (4, 1.6)].map(|(span, value)| (SpanId::from(span), value)));
        assert!(slots.iter().flatten().all(|e| e.trace == TraceId::from(7) && e.time > 1 << 60));
    }

    #[test]
    fn without_a_sampled_span_of_this_process_nothing_is_kept_and_no_memory_is_taken() {
        let reservoir = Reservoir::default();
        reservoir.offer(1.0, 1, 2, ExemplarFilter::TraceBased);
        for context in [context(1, TraceFlags::NOT_SAMPLED, false), context(1, TraceFlags::SAMPLED, true)] {
            let _active = context.attach();
            reservoir.offer(1.0, 1, 2, ExemplarFilter::TraceBased);
        }
        assert_eq!(reservoir.copy(), None);
    }

    #[test]
    fn an_observation_does_not_wait_for_one_who_reads_the_exemplars() {
        let reservoir = Reservoir::default();
        let reading = reservoir.0.lock().unwrap();
        let _active = context(1, TraceFlags::SAMPLED, false).attach();
        reservoir.offer(1.0, 1, 2, ExemplarFilter::TraceBased);
        drop(reading);
        assert_eq!(reservoir.copy(), None);
    }
    #[test]
    fn the_other_filters_take_everything_and_nothing() {
        let kept = |filter| {
            let reservoir = Reservoir::default();
            let _active = context(1, TraceFlags::NOT_SAMPLED, false).attach();
            reservoir.offer(0.1, 0, 2, filter);
            let _outside = Context::new().attach();
            reservoir.offer(1.0, 1, 2, filter);
            let slots = reservoir.copy().unwrap_or_default();
            slots.iter().flatten().map(|exemplar| exemplar.span).collect::<Vec<_>>()
        };
        assert_eq!(kept(ExemplarFilter::AlwaysOn), [SpanId::from(1), SpanId::INVALID]);
        assert_eq!(kept(ExemplarFilter::AlwaysOff), []);
    }
}
