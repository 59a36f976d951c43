//! A run that is stopped: one rule for its exit code, and one moment for everything that has to be cleaned up.

use anyhow::Context as _;
use tokio::sync::watch;

use super::NotVerified;
use crate::runtime::shutdown::StopSignals;

/// Whether this process was asked to stop: listened to from the beginning, so that no signal falls between two steps.
#[derive(Clone)]
pub(super) struct Stop(watch::Receiver<Option<i32>>);

impl Stop {
    /// Starts listening. A second signal ends the process at once, whatever is left to clean up.
    ///
    /// # Errors
    /// The process cannot listen for signals.
    pub(super) fn listen() -> anyhow::Result<Self> {
        let mut signals = StopSignals::listen().context("listening for signals")?;
        let (tell, asked) = watch::channel(None);
        actix_web::rt::spawn(async move {
            tell.send_replace(Some(signals.next().await));
            std::process::exit(signals.next().await);
        });
        Ok(Self(asked))
    }

    /// Waits for the signal; the exit code by which a shell tells of it: 130 for an interrupt.
    pub(super) async fn wait(&self) -> i32 {
        let mut asked = self.0.clone();
        match asked.wait_for(Option::is_some).await.map(|code| *code) {
            Ok(Some(code)) => code,
            _ => std::future::pending().await,
        }
    }

    /// Does the work, unless it is stopped first: what has to be cleaned up after it is the caller's, who goes on.
    ///
    /// # Errors
    /// Those of the work; [`NotVerified`] where it was stopped.
    pub(super) async fn during<T>(&self, work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
        tokio::select! {
            done = work => done,
            code = self.wait() => Err(Self::stopped(code)),
        }
    }

    /// The end of a run that a signal stopped.
    pub(super) fn stopped(code: i32) -> anyhow::Error {
        NotVerified { summary: "it was stopped".to_owned(), exit_code: u8::try_from(code).unwrap_or(1) }
            .into()
    }
}
