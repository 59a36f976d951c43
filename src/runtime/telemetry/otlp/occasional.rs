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

#[cfg(test)]
mod tests {
    use super::*;

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
