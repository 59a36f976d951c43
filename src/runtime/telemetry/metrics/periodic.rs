//! The thread that exports once an interval, when asked to, and at the end.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use opentelemetry::Context;

use crate::runtime::telemetry::pipeline::Exporting;

/// Calls its export once an interval. Ends with its thread when it is dropped.
#[derive(Debug)]
pub(in crate::runtime::telemetry) struct PeriodicExporter {
    shared: Arc<PeriodicShared>,
}

#[derive(Debug)]
struct PeriodicShared {
    interval: Duration,
    state: Mutex<PeriodicState>,
    /// Tells the thread of a wish or the end.
    work: Condvar,
    /// Tells those who wait of an export or the thread's end.
    progress: Condvar,
}

#[derive(Debug)]
struct PeriodicState {
    due: Instant,
    /// Exports asked for, and those of them that are done.
    wanted: u64,
    done: u64,
    stopping: bool,
    stopped: bool,
}

impl PeriodicExporter {
    /// `export` may block: it has a thread for itself.
    ///
    /// # Errors
    /// No thread can be started.
    pub(in crate::runtime::telemetry) fn start(
        interval: Duration,
        export: impl FnMut() + Send + 'static,
    ) -> io::Result<Self> {
        let due = Instant::now() + interval;
        let state = Mutex::new(PeriodicState { due, wanted: 0, done: 0, stopping: false, stopped: false });
        let shared = Arc::new(PeriodicShared {
            interval,
            state,
            work: Condvar::default(),
            progress: Condvar::default(),
        });
        let exporting = shared.clone();
        std::thread::Builder::new().name("metrics".to_owned()).spawn(move || exporting.run(export))?;
        Ok(Self { shared })
    }

    /// Whether the interval is over and the thread had no time of its own to notice: a process that is
    /// frozen between requests.
    pub(in crate::runtime::telemetry) fn is_due(&self) -> bool {
        self.shared.lock().due <= Instant::now()
    }

    /// Exports now and blocks until that is done.
    pub(in crate::runtime::telemetry) fn flush(&self) {
        let mut state = self.shared.lock();
        state.wanted += 1;
        let own = state.wanted;
        self.shared.work.notify_one();
        drop(self.shared.progress.wait_while(state, |state| state.done < own && !state.stopped));
    }

    /// Exports a last time and blocks until that is done, for `timeout` at the most; whether it was in time.
    pub(in crate::runtime::telemetry) fn stop(&self, timeout: Duration) -> bool {
        let mut state = self.shared.lock();
        state.stopping = true;
        self.shared.work.notify_one();
        let waited = self.shared.progress.wait_timeout_while(state, timeout, |state| !state.stopped);
        waited.unwrap_or_else(|e| e.into_inner()).0.stopped
    }
}

impl Exporting for PeriodicExporter {
    fn flush(&self) -> bool {
        PeriodicExporter::flush(self);
        true
    }

    fn stop(&self, timeout: Duration) -> bool {
        PeriodicExporter::stop(self, timeout)
    }

    fn collects(&self) -> bool {
        self.is_due()
    }
}

impl Drop for PeriodicExporter {
    fn drop(&mut self) {
        self.shared.lock().stopping = true;
        self.shared.work.notify_one();
    }
}

impl PeriodicShared {
    fn lock(&self) -> MutexGuard<'_, PeriodicState> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn run(&self, mut export: impl FnMut()) {
        // What the export itself does is no telemetry.
        let _suppressed = Context::enter_telemetry_suppressed_scope();
        // Also if `export` should panic, nobody waits for this thread for ever.
        let _stopped = PeriodicStopped(self);
        loop {
            let (wanted, last) = self.next();
            export();
            let mut state = self.lock();
            state.done = wanted;
            state.due = Instant::now() + self.interval;
            self.progress.notify_all();
            if last {
                return;
            }
        }
    }

    /// Waits until it is time; the exports that are done with the next one, and whether it is the last.
    fn next(&self) -> (u64, bool) {
        let mut state = self.lock();
        loop {
            let left = state.due.saturating_duration_since(Instant::now());
            if state.stopping || state.wanted > state.done || left.is_zero() {
                return (state.wanted, state.stopping);
            }
            state = self.work.wait_timeout(state, left).unwrap_or_else(|e| e.into_inner()).0;
        }
    }
}

struct PeriodicStopped<'a>(&'a PeriodicShared);

impl Drop for PeriodicStopped<'_> {
    fn drop(&mut self) {
        self.0.lock().stopped = true;
        self.0.progress.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(10);

    fn exporter(interval: Duration) -> (PeriodicExporter, mpsc::Receiver<()>) {
        let (sender, exported) = mpsc::channel();
        let export = move || sender.send(()).unwrap_or_default();
        (PeriodicExporter::start(interval, export).unwrap(), exported)
    }

    #[test]
    fn it_exports_once_an_interval() {
        let (_exporter, exported) = exporter(Duration::from_millis(5));
        (0..3).for_each(|_| exported.recv_timeout(DEADLINE).unwrap());
    }

    #[test]
    fn a_flush_exports_at_once_and_the_end_exports_a_last_time() {
        let (exporter, exported) = exporter(DEADLINE * 100);
        assert!(!exporter.is_due() && exported.try_recv().is_err());
        exporter.flush();
        exported.try_recv().unwrap();
        assert!(exporter.stop(DEADLINE));
        exported.try_recv().unwrap();
        // Nobody waits for a thread that has ended.
        exporter.flush();
        assert!(exporter.stop(Duration::ZERO) && exported.try_recv().is_err());
    }

    #[test]
    fn an_exporter_that_is_dropped_exports_a_last_time_and_ends_its_thread() {
        let (exporter, exported) = exporter(DEADLINE * 100);
        drop(exporter);
        // The channel ends with the thread that holds its other side.
        assert_eq!(exported.iter().count(), 1);
    }
}
