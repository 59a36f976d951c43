//! One signal, one token, one deadline.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};
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

    /// Starts listening: SIGTERM, SIGINT and SIGHUP begin the shutdown, a second one exits at once. A
    /// child of `up` also stops when its standard input ends, because then its parent is gone.
    pub fn listen(&self) -> std::io::Result<()> {
        let mut signals = StopSignals::listen()?;
        let token = self.token.clone();
        actix_web::rt::spawn(async move {
            signals.next().await;
            token.cancel();
            exit(signals.next().await);
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

/// The signals that ask a process to stop.
pub struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Option<Signal>,
}

impl StopSignals {
    /// Starts listening. SIGHUP stays ignored where it was: `nohup` is there to outlive a terminal.
    ///
    /// # Errors
    /// The process cannot listen for signals.
    pub fn listen() -> std::io::Result<Self> {
        let hang_up = if hang_up_is_ignored() { None } else { Some(signal(SignalKind::hangup())?) };
        let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        Ok(Self { terminate, interrupt, hang_up })
    }

    /// Waits for the next one; returns the exit code by which a shell tells of it.
    pub async fn next(&mut self) -> i32 {
        let hang_up = async {
            match &mut self.hang_up {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => 143,
            _ = self.interrupt.recv() => 130,
            _ = hang_up => 129,
        }
    }
}

/// By the mask of ignored signals, whose first bit is SIGHUP's (proc(5)); elsewhere than on Linux it is
/// not known.
fn hang_up_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

/// Ends the process at once, but for the log lines that wait.
fn exit(code: i32) -> ! {
    writer::flush_all_blocking(LAST_LINES);
    std::process::exit(code)
}
