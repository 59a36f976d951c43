//! What is kept beside the numbers of a page.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

/// Which observations may become exemplars (`OTEL_METRICS_EXEMPLAR_FILTER`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::runtime) enum ExemplarFilter {
    /// Those made in a sampled span.
    #[default]
    TraceBased,
    /// All; those made in no span have no trace.
    AlwaysOn,
    /// None.
    AlwaysOff,
}

/// Read at every observation; set once, at the start.
#[derive(Debug, Default)]
pub(super) struct ObservationOptions {
    filter: AtomicU8,
    exponential: AtomicBool,
}

impl ObservationOptions {
    pub(super) fn set(&self, filter: ExemplarFilter, exponential: bool) {
        self.filter.store(filter as u8, Ordering::Relaxed);
        self.exponential.store(exponential, Ordering::Relaxed);
    }

    pub(super) fn filter(&self) -> ExemplarFilter {
        match self.filter.load(Ordering::Relaxed) {
            0 => ExemplarFilter::TraceBased,
            1 => ExemplarFilter::AlwaysOn,
            _ => ExemplarFilter::AlwaysOff,
        }
    }

    /// Whether histograms are also counted in exponential buckets.
    pub(super) fn exponential(&self) -> bool {
        self.exponential.load(Ordering::Relaxed)
    }
}
