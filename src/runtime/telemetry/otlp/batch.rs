//! Encoded items that wait for their export, and the thread that exports them.
//!
//! An item is encoded where it ends, straight into the batch that is being filled: what waits is one
//! buffer, not thousands of objects, and a batch is complete when it is full or its time has come.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use opentelemetry::Context;

use super::Ledger;
use crate::runtime::telemetry::settings::Batch;
use crate::runtime::telemetry::staged::is_next_version;

/// A batch is complete at this size too, in bytes: items are bounded in number, and some are large.
const MOST_BYTES: usize = 1 << 20;

/// Items of one signal, encoded one after the other.
#[derive(Debug, Default)]
pub(in crate::runtime::telemetry) struct EncodedBatch {
    /// Their bytes, as the repeated field of the export's message.
    pub(in crate::runtime::telemetry) bytes: Vec<u8>,
    /// How many they are.
    pub(in crate::runtime::telemetry) items: usize,
    /// Whether they are of the version that is next, by the fault of that name: a batch is of one version.
    pub(in crate::runtime::telemetry) next_version: bool,
}

/// Takes items, in batches bounded by the ledger. Ends with its thread when it is dropped.
#[derive(Debug)]
pub(in crate::runtime::telemetry) struct BatchProcessor {
    shared: Arc<BatchShared>,
}

#[derive(Debug)]
struct BatchShared {
    batch: Batch,
    ledger: Arc<Ledger>,
    state: Mutex<BatchState>,
    /// Tells the thread of a first item, a complete batch or the end.
    work: Condvar,
    /// Tells who flushes or stops of an exported batch or the thread's end.
    progress: Condvar,
}

#[derive(Debug, Default)]
struct BatchState {
    filling: EncodedBatch,
    /// When `filling` is complete by time; set with its first item.
    due: Option<Instant>,
    complete: VecDeque<EncodedBatch>,
    /// Batches completed and batches exported since the start.
    completed: u64,
    exported: u64,
    stopping: bool,
    stopped: bool,
}

impl BatchState {
    fn complete(&mut self) {
        self.due = None;
        if self.filling.items > 0 {
            self.complete.push_back(std::mem::take(&mut self.filling));
            self.completed += 1;
        }
    }
}

impl BatchProcessor {
    /// `export` sends a batch, settles it in `ledger`, and may block: it has a thread for itself.
    ///
    /// # Errors
    /// No thread can be started.
    pub(in crate::runtime::telemetry) fn start(
        name: &str,
        batch: Batch,
        ledger: Arc<Ledger>,
        export: impl FnMut(EncodedBatch) + Send + 'static,
    ) -> io::Result<Self> {
        let (state, work, progress) = <(Mutex<BatchState>, Condvar, Condvar)>::default();
        let shared = Arc::new(BatchShared { batch, ledger, state, work, progress });
        let exporting = shared.clone();
        std::thread::Builder::new().name(name.to_owned()).spawn(move || exporting.run(export))?;
        Ok(Self { shared })
    }

    /// Appends an item as `write` encodes it, or counts it as dropped.
    pub(in crate::runtime::telemetry) fn append(&self, write: impl FnOnce(&mut Vec<u8>)) {
        let shared = &*self.shared;
        let mut state = shared.lock();
        // Asked for with the lock held: what is admitted comes before the end.
        if !shared.ledger.admit() {
            return;
        }
        let next_version = is_next_version();
        let mut wake = state.filling.items > 0 && state.filling.next_version != next_version;
        if wake {
            state.complete();
        }
        state.filling.next_version = next_version;
        write(&mut state.filling.bytes);
        state.filling.items += 1;
        if state.filling.items >= shared.batch.size || state.filling.bytes.len() >= MOST_BYTES {
            state.complete();
            wake = true;
        } else if state.filling.items == 1 {
            state.due = Instant::now().checked_add(shared.batch.delay);
            wake = true;
        }
        if !wake {
            return;
        }
        drop(state);
        shared.work.notify_one();
    }

    /// Blocks until all items appended so far have been exported, successfully or not.
    pub(in crate::runtime::telemetry) fn flush(&self) {
        let shared = &*self.shared;
        let mut state = shared.lock();
        state.complete();
        let all = state.completed;
        shared.work.notify_one();
        let waiting = |state: &mut BatchState| state.exported < all && !state.stopped;
        drop(shared.progress.wait_while(state, waiting));
    }

    /// Takes no further items and blocks until the rest has been exported, for `timeout` at the most;
    /// whether it was in time.
    pub(in crate::runtime::telemetry) fn stop(&self, timeout: Duration) -> bool {
        let mut state = self.shared.lock();
        self.shared.begin_stop(&mut state);
        let waited = self.shared.progress.wait_timeout_while(state, timeout, |state| !state.stopped);
        waited.unwrap_or_else(|e| e.into_inner()).0.stopped
    }
}

impl Drop for BatchProcessor {
    fn drop(&mut self) {
        self.shared.begin_stop(&mut self.shared.lock());
    }
}

impl BatchShared {
    fn lock(&self) -> MutexGuard<'_, BatchState> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn begin_stop(&self, state: &mut BatchState) {
        self.ledger.close();
        state.complete();
        state.stopping = true;
        self.work.notify_one();
    }

    fn run(&self, mut export: impl FnMut(EncodedBatch)) {
        // What the export itself does is no telemetry, or one export would be the reason of the next.
        let _suppressed = Context::enter_telemetry_suppressed_scope();
        // Also if `export` should panic, nobody waits for this thread for ever.
        let _stopped = BatchStopped(self);
        while let Some(batch) = self.next() {
            export(batch);
            self.lock().exported += 1;
            self.progress.notify_all();
        }
    }

    /// Waits for the next complete batch; `None` at the end.
    fn next(&self) -> Option<EncodedBatch> {
        let mut state = self.lock();
        loop {
            let left = state.due.map(|due| due.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                state.complete();
            }
            if let Some(batch) = state.complete.pop_front() {
                return Some(batch);
            }
            if state.stopping {
                return None;
            }
            state = match left {
                Some(left) => self.work.wait_timeout(state, left).unwrap_or_else(|e| e.into_inner()).0,
                None => self.work.wait(state).unwrap_or_else(|e| e.into_inner()),
            };
        }
    }
}

struct BatchStopped<'a>(&'a BatchShared);

impl Drop for BatchStopped<'_> {
    fn drop(&mut self) {
        self.0.lock().stopped = true;
        self.0.progress.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::runtime::telemetry::signal::Signal;

    const DEADLINE: Duration = Duration::from_secs(10);

    fn ledger() -> Arc<Ledger> {
        Arc::new(Ledger::new(Signal::Traces, 100))
    }

    /// Exports into a channel, in batches of three.
    fn processor(delay: Duration) -> (BatchProcessor, mpsc::Receiver<EncodedBatch>) {
        let (sender, exported) = mpsc::channel();
        let batch = Batch { queue: 100, size: 3, delay };
        let export = move |batch| sender.send(batch).unwrap_or_default();
        (BatchProcessor::start("test", batch, ledger(), export).unwrap(), exported)
    }

    fn append(processor: &BatchProcessor, items: std::ops::Range<u8>) {
        items.for_each(|item| processor.append(|buffer| buffer.push(item)));
    }

    #[test]
    fn a_batch_leaves_when_its_time_has_come_though_it_is_not_full() {
        let (processor, exported) = processor(Duration::from_millis(10));
        for item in 0..2 {
            append(&processor, item..item + 1);
            let batch = exported.recv_timeout(DEADLINE).unwrap();
            assert_eq!((batch.bytes, batch.items), (vec![item], 1));
        }
    }

    #[test]
    fn full_batches_leave_at_once_in_order_and_a_flush_sends_the_rest() {
        let (processor, exported) = processor(DEADLINE * 100);
        append(&processor, 0..7);
        for expected in [[0, 1, 2], [3, 4, 5]] {
            assert_eq!(exported.recv_timeout(DEADLINE).unwrap().bytes, expected);
        }
        assert!(exported.try_recv().is_err());
        processor.flush();
        assert_eq!(exported.try_recv().unwrap().bytes, [6]);
        processor.flush();
        assert!(exported.try_recv().is_err());
    }

    #[test]
    fn a_batch_of_large_items_is_complete_before_it_has_as_many_as_it_may() {
        let (processor, exported) = processor(DEADLINE * 100);
        processor.append(|buffer| buffer.resize(MOST_BYTES, 0));
        assert_eq!(exported.recv_timeout(DEADLINE).unwrap().items, 1);
    }

    #[test]
    fn the_end_exports_what_is_left_and_takes_nothing_more() {
        let (processor, exported) = processor(DEADLINE * 100);
        append(&processor, 0..4);
        assert!(processor.stop(DEADLINE));
        append(&processor, 4..5);
        assert_eq!(exported.iter().map(|batch| batch.items).sum::<usize>(), 4);
        assert!(processor.stop(Duration::ZERO));
    }

    #[test]
    fn a_processor_that_is_dropped_exports_what_it_had_and_ends_its_thread() {
        let (processor, exported) = processor(DEADLINE * 100);
        append(&processor, 0..1);
        drop(processor);
        // The channel ends with the thread that holds its other side.
        assert_eq!(exported.iter().map(|batch| batch.items).collect::<Vec<_>>(), [1]);
    }
}
