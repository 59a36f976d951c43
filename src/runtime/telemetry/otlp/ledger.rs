//! What became of a signal's items: the one account that processor, exporter and flush share.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use super::occasional::{ExportOutage, Occasional};
use crate::runtime::telemetry::signal::{PartialSuccess, Signal};
use crate::schema::names::{
    BATCHES_FAILED, EXPORT_FAILURES, ITEMS_DROPPED, ITEMS_EXPORTED, ITEMS_LOST, SPANS_DROPPED, SPANS_EXPORTED,
};

/// Counts items from their end to the backend's answer.
#[derive(Debug)]
pub(crate) struct Ledger {
    signal: Signal,
    capacity: usize,
    pending: AtomicUsize,
    closed: AtomicBool,
    dropped: AtomicU64,
    exported: AtomicU64,
    failures: AtomicU64,
    trouble: AtomicBool,
    reports: Mutex<Reports>,
}

#[derive(Debug, Default)]
struct Reports {
    failures: ExportOutage,
    warnings: Occasional,
    drops: Occasional,
    dropped_before: u64,
}

impl Ledger {
    /// An account for at most `capacity` items at once, waiting and on their way together.
    pub(crate) fn new(signal: Signal, capacity: usize) -> Self {
        Self {
            signal,
            capacity,
            pending: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            dropped: AtomicU64::new(0),
            exported: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            trouble: AtomicBool::new(false),
            reports: Mutex::default(),
        }
    }

    /// Takes a place for one item, or counts it as dropped. Never blocks, never logs: it runs at
    /// the end of every item, on the thread that serves the request.
    pub(crate) fn admit(&self) -> bool {
        let room = |pending| (pending < self.capacity).then_some(pending + 1);
        let open = !self.closed.load(Ordering::Acquire);
        let admitted = open && self.pending.fetch_update(Ordering::AcqRel, Ordering::Acquire, room).is_ok();
        if !admitted {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            self.count(ITEMS_DROPPED, SPANS_DROPPED, 1);
        }
        admitted
    }

    /// A batch of `items` left; the backend kept all but what it rejected, or failed for this cause.
    pub(crate) fn settle(&self, items: usize, outcome: Result<PartialSuccess, String>) {
        self.pending.fetch_sub(items, Ordering::AcqRel);
        let items = items as u64;
        let kept = outcome.as_ref().map_or(0, |partial| items.saturating_sub(partial.rejected));
        self.exported.fetch_add(kept, Ordering::Relaxed);
        self.count(ITEMS_EXPORTED, SPANS_EXPORTED, kept);
        if kept < items {
            self.failures.fetch_add(1, Ordering::Relaxed);
            metrics::counter!(ITEMS_LOST, "signal" => self.signal.label()).increment(items - kept);
            self.count(BATCHES_FAILED, EXPORT_FAILURES, 1);
        }
        tracing::debug!(items, kept, "{} export done", self.signal.title());
        self.set_trouble(outcome.is_err());
        let cause = match outcome {
            Ok(partial) if partial.rejected == 0 => {
                self.warn(&partial.message);
                None
            }
            Ok(partial) => Some(self.rejection(items, &partial)),
            Err(cause) => Some(cause),
        };
        self.report(items - kept, cause, Instant::now());
    }

    /// Counts in a metric of all signals, and in the one that spans have for themselves.
    fn count(&self, all: &'static str, of_spans: &'static str, n: u64) {
        metrics::counter!(all, "signal" => self.signal.label()).increment(n);
        if self.signal == Signal::Traces {
            metrics::counter!(of_spans).increment(n);
        }
    }

    fn rejection(&self, items: u64, partial: &PartialSuccess) -> String {
        let why = if partial.message.is_empty() { String::new() } else { format!(": {}", partial.message) };
        format!("the backend rejected {} of {items} {}{why}", partial.rejected, self.signal.items())
    }

    /// Passes on what the backend says of a batch that it took whole.
    fn warn(&self, message: &str) {
        if message.is_empty() {
            return;
        }
        let mut reports = self.reports.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(count) = reports.warnings.count(1, Instant::now()) {
            tracing::warn!(
                count,
                reason = message,
                "{} backend took a batch with a warning",
                self.signal.title()
            );
        }
    }

    fn report(&self, lost: u64, cause: Option<String>, now: Instant) {
        let (signal, items) = (self.signal.title(), self.signal.items());
        let mut reports = self.reports.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(cause) = cause {
            if let Some(count) = reports.failures.failed(lost, &cause, now) {
                tracing::warn!(count, cause, "{signal} export failed; these {items} are lost");
            }
        } else if let Some(count) = reports.failures.over() {
            tracing::info!(count, "{signal} export works again; so many {items} were lost");
        }
        let dropped = self.dropped();
        let new = dropped - reports.dropped_before;
        if new > 0 {
            reports.dropped_before = dropped;
            if let Some(count) = reports.drops.count(new, now) {
                tracing::warn!(count, "{signal} export queue was full; these {items} were dropped");
            }
        }
    }

    /// What it counts.
    pub(crate) fn signal(&self) -> Signal {
        self.signal
    }

    /// No further items: what still ends is counted as dropped.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Remembers whether the backend takes what it gets.
    pub(crate) fn set_trouble(&self, trouble: bool) {
        self.trouble.store(trouble, Ordering::Relaxed);
    }

    /// Whether the backend did not take the last batch, so that waiting for it would be wasted. The
    /// export on schedule goes on trying and ends the trouble.
    pub(crate) fn in_trouble(&self) -> bool {
        self.trouble.load(Ordering::Relaxed)
    }

    /// Batches that the backend did not take, or not whole.
    pub(crate) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Items waiting or on their way.
    pub(crate) fn pending(&self) -> usize {
        self.pending.load(Ordering::Acquire)
    }

    /// Items thrown away because the queue was full or telemetry had stopped.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
impl Ledger {
    pub(crate) fn exported(&self) -> u64 {
        self.exported.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(capacity: usize) -> Ledger {
        Ledger::new(Signal::Traces, capacity)
    }

    #[test]
    fn spans_above_the_capacity_are_dropped_and_counted_until_a_batch_leaves() {
        let ledger = ledger(2);
        assert_eq!([ledger.admit(), ledger.admit(), ledger.admit()], [true, true, false]);
        ledger.settle(2, Err("refused".into()));
        assert_eq!((ledger.pending(), ledger.dropped(), ledger.failures()), (0, 1, 1));
        assert!(ledger.in_trouble());
        assert!(ledger.admit());
        ledger.settle(1, Ok(PartialSuccess::default()));
        assert_eq!((ledger.exported(), ledger.failures()), (1, 1));
        assert!(!ledger.in_trouble());
    }

    #[test]
    fn a_partial_success_counts_only_what_the_backend_kept() {
        let ledger = ledger(10);
        (0..5).for_each(|_| assert!(ledger.admit()));
        ledger.settle(5, Ok(PartialSuccess { rejected: 2, message: String::new() }));
        assert_eq!((ledger.exported(), ledger.failures(), ledger.in_trouble()), (3, 1, false));
    }

    #[test]
    fn a_rejection_is_told_with_the_backends_own_words() {
        let said =
            |message: &str| ledger(10).rejection(5, &PartialSuccess { rejected: 2, message: message.into() });
        assert_eq!(said("quota used up"), "the backend rejected 2 of 5 spans: quota used up");
        assert_eq!(said(""), "the backend rejected 2 of 5 spans");
    }

    #[test]
    fn after_the_end_spans_are_counted_and_not_kept() {
        let ledger = ledger(10);
        ledger.close();
        assert!(!ledger.admit());
        assert_eq!((ledger.pending(), ledger.dropped()), (0, 1));
    }
}
