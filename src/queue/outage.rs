//! Something that fails for a while: waits that grow, one log line when it starts, one at its end.

use std::time::{Duration, Instant};

const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Whether `what` works at present.
#[derive(Debug)]
pub(super) struct Outage {
    what: &'static str,
    since: Option<Instant>,
    wait: Duration,
}

impl Outage {
    /// `what` as in "Publishing fails".
    pub(super) fn of(what: &'static str) -> Self {
        Self { what, since: None, wait: FIRST_WAIT }
    }

    pub(super) fn lasts(&self) -> bool {
        self.since.is_some()
    }

    /// It failed; returns how long to wait before the next try.
    pub(super) fn failed(&mut self, reason: &str) -> Duration {
        if self.since.is_none() {
            self.since = Some(Instant::now());
            tracing::error!(reason, "{} fails; trying again until it works", self.what);
        }
        let wait = self.wait;
        self.wait = (wait * 2).min(LONGEST_WAIT);
        wait
    }

    /// It worked.
    pub(super) fn worked(&mut self) {
        self.wait = FIRST_WAIT;
        if let Some(since) = self.since.take() {
            tracing::info!(outageMs = since.elapsed().as_millis() as u64, "{} works again", self.what);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_five_seconds_and_start_anew_after_a_success() {
        let mut outage = Outage::of("This");
        let waits: Vec<_> = (0..8).map(|_| outage.failed("why").as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert!(outage.lasts());
        outage.worked();
        assert!(!outage.lasts());
        assert_eq!(outage.failed("why").as_millis(), 100);
    }
}
