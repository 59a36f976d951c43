//! One signal, one token, one deadline.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::config::LIFELINE_VARIABLE;

/// Tells everybody who holds a clone that the process is about to stop.
#[derive(Clone, Debug)]
pub struct Shutdown {
    token: CancellationToken,
    grace: Duration,
}

impl Shutdown {
    /// A shutdown that nobody has asked for yet. `grace` is the time to finish what is in hand.
    pub fn new(grace: Duration) -> Self {
        Self { token: CancellationToken::new(), grace }
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
            std::process::exit(code);
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
                std::process::exit(143);
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

    /// The time to finish what is in hand.
    pub fn grace(&self) -> Duration {
        self.grace
    }
}
