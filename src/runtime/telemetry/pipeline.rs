//! One signal on its way out, as the guard of all telemetry sees it.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::time::timeout;

use super::otlp::{BatchProcessor, Ledger};

/// What a flush may take of a backend that failed last.
const TRIAL: Duration = Duration::from_millis(100);

/// What exports a signal. Both calls block; whether it was done in time.
pub(super) trait Exporting: std::fmt::Debug + Send + Sync {
    /// Exports what there is so far.
    fn flush(&self) -> bool;

    /// Takes nothing more and exports the rest, within `timeout`.
    fn stop(&self, timeout: Duration) -> bool;

    /// Whether a flush exports more than what waits in the ledger: metrics are read for it.
    fn collects(&self) -> bool {
        false
    }
}

impl Exporting for SdkTracerProvider {
    fn flush(&self) -> bool {
        self.force_flush().is_ok()
    }

    fn stop(&self, timeout: Duration) -> bool {
        self.shutdown_with_timeout(timeout).is_ok()
    }
}

impl Exporting for BatchProcessor {
    fn flush(&self) -> bool {
        BatchProcessor::flush(self);
        true
    }

    fn stop(&self, timeout: Duration) -> bool {
        BatchProcessor::stop(self, timeout)
    }
}

/// One signal's export and its account.
#[derive(Debug)]
pub(super) struct Pipeline {
    exporting: Arc<dyn Exporting>,
    pub(super) ledger: Arc<Ledger>,
    flushing: tokio::sync::Mutex<()>,
}

impl Pipeline {
    pub(super) fn new(exporting: Arc<dyn Exporting>, ledger: Arc<Ledger>) -> Self {
        Self { exporting, ledger, flushing: tokio::sync::Mutex::default() }
    }

    /// Exports everything so far; `true` if the backend took it all. Takes at most `deadline`, and only
    /// [`TRIAL`] where the backend did not take the last batch.
    pub(super) async fn flush(&self, deadline: Duration) -> bool {
        let ledger = &self.ledger;
        let deadline = if ledger.in_trouble() { deadline.min(TRIAL) } else { deadline };
        let flush = async {
            // Callers that waited here find their items already gone.
            let _one_at_a_time = self.flushing.lock().await;
            if ledger.pending() == 0 && !self.exporting.collects() {
                return !ledger.in_trouble();
            }
            let (exporting, failures) = (self.exporting.clone(), ledger.failures());
            // The SDK tells of the last batch only.
            aside(move || exporting.flush()).await && ledger.failures() == failures
        };
        match timeout(deadline, flush).await {
            Ok(flushed) => flushed,
            Err(_) => {
                ledger.set_trouble(true);
                false
            }
        }
    }

    /// Exports what is left and stops, within `deadline` even where the backend hangs.
    pub(super) async fn shutdown(&self, deadline: Duration) {
        let exporting = self.exporting.clone();
        let stop = aside(move || exporting.stop(deadline));
        let stopped = timeout(deadline, stop).await.unwrap_or(false);
        let (left, dropped) = (self.ledger.pending(), self.ledger.dropped());
        if left > 0 || dropped > 0 {
            let signal = self.ledger.signal();
            let (items, backend) = (signal.items(), signal.title().to_lowercase());
            tracing::warn!(left, dropped, stopped, "Some {items} never reached the {backend} backend");
        }
    }
}

/// Runs something that blocks on a thread of its own. Not on the runtime's blocking pool: the
/// runtime waits for that at its end, and a hung collector would keep the process alive.
async fn aside(f: impl FnOnce() -> bool + Send + 'static) -> bool {
    let (done, result) = tokio::sync::oneshot::channel();
    let spawned =
        std::thread::Builder::new().name("telemetry-flush".to_owned()).spawn(move || done.send(f()));
    spawned.is_ok() && result.await.unwrap_or(false)
}
