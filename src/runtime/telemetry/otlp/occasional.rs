//! Lines about one trouble, not one for each time it happens.

use std::time::{Duration, Instant};

/// Time between two lines about the same trouble.
const REPORT_EVERY: Duration = Duration::from_secs(60);

/// Says something the first time and then once in a while, with the sum of what happened between.
#[derive(Debug, Default)]
pub(crate) struct Occasional {
    said: Option<Instant>,
    unsaid: u64,
}

impl Occasional {
    /// Adds `n`; returns the sum where it is time to say it.
    pub(crate) fn count(&mut self, n: u64, now: Instant) -> Option<u64> {
        self.unsaid += n;
        if self.said.is_some_and(|said| now.duration_since(said) < REPORT_EVERY) {
            return None;
        }
        self.said = Some(now);
        Some(std::mem::take(&mut self.unsaid))
    }
}

/// The most causes of one minute that are said.
const MOST_CAUSES: usize = 5;

/// What is said of a receiver that does not take what it gets: each cause once, what repeats once in a while, and the sum when
/// it is over.
#[derive(Debug, Default)]
pub(crate) struct ExportOutage {
    repeats: Occasional,
    /// Those that were said since the last time everything was.
    causes: Vec<String>,
    lost: u64,
    /// Whether something was said of what is not over yet.
    said: bool,
}

impl ExportOutage {
    /// `lost` items more, for this cause; returns what was lost and not said, where it is time to say it.
    pub(crate) fn failed(&mut self, lost: u64, cause: &str, now: Instant) -> Option<u64> {
        self.lost += lost;
        let known = self.causes.iter().any(|said| said == cause);
        let count = match self.repeats.count(lost, now) {
            Some(count) => {
                self.causes.clear();
                Some(count)
            }
            None if !known && self.causes.len() < MOST_CAUSES => {
                Some(std::mem::take(&mut self.repeats.unsaid))
            }
            None => None,
        }?;
        self.causes.push(cause.to_owned());
        self.said = true;
        Some(count)
    }

    /// Something was taken; returns what was lost before, in all, where that was said to happen.
    pub(crate) fn over(&mut self) -> Option<u64> {
        std::mem::take(&mut self.said).then(|| std::mem::take(&mut self.lost))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_is_said_once_what_repeats_with_the_sum_and_the_end_with_all_that_was_lost() {
        let mut outage = ExportOutage::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(outage.over(), None);
        assert_eq!(outage.failed(2, "refused", at(0)), Some(2));
        assert_eq!(outage.failed(3, "refused", at(5)), None);
        assert_eq!(outage.failed(4, "reset", at(10)), Some(7));
        assert_eq!(outage.failed(5, "refused", at(15)), None);
        for n in 0..20 {
            let said = outage.failed(1, &format!("cause {n}"), at(20)).is_some();
            assert_eq!(said, n < MOST_CAUSES - 2, "{n}");
        }
        assert_eq!(outage.failed(1, "refused", at(61)), Some(18));
        assert_eq!(outage.over(), Some(35));
        assert_eq!(outage.over(), None);
        // A receiver that comes and goes is not worth a line each time.
        assert_eq!(outage.failed(6, "refused", at(62)), None);
        assert_eq!(outage.over(), None);
        assert_eq!(outage.failed(7, "refused", at(130)), Some(13));
        assert_eq!(outage.over(), Some(13));
    }

    #[test]
    fn trouble_is_said_at_once_and_then_once_in_a_while_with_the_sum() {
        let mut drops = Occasional::default();
        let start = Instant::now();
        assert_eq!(drops.count(1, start), Some(1));
        assert_eq!(drops.count(2, start + Duration::from_secs(1)), None);
        assert_eq!(drops.count(3, start + Duration::from_secs(59)), None);
        assert_eq!(drops.count(4, start + Duration::from_secs(61)), Some(9));
        assert_eq!(drops.count(5, start + Duration::from_secs(62)), None);
    }
}
