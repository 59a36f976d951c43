//! One signal, one token, one deadline.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::writer;
use crate::config::LIFELINE_VARIABLE;

/// What the last log lines may hold up an exit.
const LAST_LINES: Duration = Duration::from_millis(100);

/// Shutdown of the process, known to every holder of a clone.
#[derive(Clone, Debug)]
pub struct Shutdown {
    token: CancellationToken,
    grace: Duration,
    deadline: Arc<OnceLock<Instant>>,
}

impl Shutdown {
    /// A shutdown that has not begun. `grace` is the time to finish what is in flight.
    pub fn new(grace: Duration) -> Self {
        Self { token: CancellationToken::new(), grace, deadline: Arc::default() }
    }

    /// Starts listening: SIGTERM and SIGINT begin the shutdown, a second one exits at once. A child
    /// of `up` also stops when its standard input ends, because then its parent is gone.
    pub fn listen(&self) -> std::io::Result<()> {
        let mut term = signal(SignalKind::terminate())?;
        let mut int = signal(SignalKind::interrupt())?;
        let token = self.token.clone();
        actix_web::rt::spawn(async move {
            tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
            token.cancel();
            let code = tokio::select! { _ = term.recv() => 143, _ = int.recv() => 130 };
            exit(code);
        });
        if std::env::var_os(LIFELINE_VARIABLE).is_some_and(|v| v == "stdin") {
            self.watch_lifeline();
        }
        Ok(())
    }

    /// A thread, not a task: reading standard input blocks and cannot be cancelled.
    fn watch_lifeline(&self) {
        let token = self.token.clone();
        std::thread::spawn(move || {
            let mut sink = std::io::sink();
            let _ = std::io::copy(&mut std::io::stdin().lock(), &mut sink);
            if token.is_cancelled() {
                // It went away in the middle of the drain, as it does at a second signal.
                exit(143);
            }
            token.cancel();
        });
    }

    /// Begins the shutdown from inside.
    pub fn begin(&self) {
        self.token.cancel();
    }

    /// Whether it has begun.
    pub fn begun(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Resolves when it begins.
    pub async fn wait(&self) {
        self.token.cancelled().await;
    }

    /// When what is in flight must be finished: the grace after the first request to stop, of this
    /// shutdown or of the one it follows.
    pub fn deadline(&self) -> Instant {
        *self.deadline.get_or_init(|| Instant::now() + self.grace)
    }

    /// The time left to finish what is in flight; all of the grace until it begins.
    pub fn remaining(&self) -> Duration {
        if self.begun() { self.deadline().saturating_duration_since(Instant::now()) } else { self.grace }
    }

    /// A later stage of this shutdown: begun on its own, over at the same time.
    pub fn later_stage(&self) -> Self {
        Self { token: CancellationToken::new(), grace: self.grace, deadline: self.deadline.clone() }
    }
}

/// Ends the process at once, but for the log lines that wait.
fn exit(code: i32) -> ! {
    writer::flush_all_blocking(LAST_LINES);
    std::process::exit(code)
}
