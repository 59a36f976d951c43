//! When each request is due: a function of the plan and the seed, known before anything is sent.

use std::time::Duration;

use super::plan::{Phase, Rate};
use crate::config::Arrivals;

/// One request that is due.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Arrival {
    /// When it should start, counted from the start of the round.
    pub(super) at: Duration,
    /// Its number in the run, from 0; with the seed it decides what is asked.
    pub(super) number: u64,
    /// The place of its phase in the plan.
    pub(super) phase: usize,
}

/// The arrivals of a plan, in order.
pub(super) struct Schedule {
    segments: std::vec::IntoIter<RateSegment>,
    current: Option<RateSegment>,
    spread: Spread,
    /// The number of the next arrival.
    number: u64,
    length: Duration,
}

/// At which shares of a segment requests are due: the number that should have started by then.
enum Spread {
    /// In the middle of each one's share; so many of the current segment so far.
    Even(u64),
    /// After gaps drawn from an exponential distribution of mean 1, which by the segment's rate is a
    /// Poisson process. It has no memory, so each segment begins again; the share of the last request.
    Poisson(fastrand::Rng, f64),
}

impl Spread {
    fn next(&mut self) -> f64 {
        match self {
            Self::Even(taken) => {
                *taken += 1;
                *taken as f64 - 0.5
            }
            Self::Poisson(rng, share) => {
                // 1 - u is never 0, whose logarithm is none.
                *share -= (1.0 - rng.f64()).ln();
                *share
            }
        }
    }

    fn begin_segment(&mut self) {
        match self {
            Self::Even(taken) => *taken = 0,
            Self::Poisson(_, share) => *share = 0.0,
        }
    }
}

/// A stretch in which the rate changes in a straight line.
#[derive(Clone, Copy)]
struct RateSegment {
    phase: usize,
    start: f64,
    seconds: f64,
    from: f64,
    to: f64,
}

impl Schedule {
    /// The arrivals of `phases`, numbered from `first`.
    pub(super) fn new(phases: &[Phase], arrivals: Arrivals, seed: u64, first: u64) -> Self {
        let mut segments = Vec::new();
        let mut start = 0.0;
        for (index, phase) in phases.iter().enumerate() {
            // `first` too, so that a plan that is repeated is not the same chaos each time.
            let mut rng = fastrand::Rng::with_seed(seed ^ first ^ index as u64);
            let mut left = phase.length.as_secs_f64();
            while left > 0.0 {
                let (seconds, from, to) = match phase.rate {
                    Rate::Line(from, to) => (left, from, to),
                    Rate::Between(low, high) => {
                        let rate = low + rng.f64() * (high - low);
                        (left.min(1.0), rate, rate)
                    }
                };
                segments.push(RateSegment { phase: index, start, seconds, from, to });
                start += seconds;
                left -= seconds;
            }
        }
        let mut segments = segments.into_iter();
        let current = segments.next();
        let length = phases.iter().map(|phase| phase.length).sum();
        let spread = match arrivals {
            Arrivals::Even => Spread::Even(0),
            Arrivals::Poisson => Spread::Poisson(fastrand::Rng::with_seed(!(seed ^ first)), 0.0),
        };
        Self { segments, current, spread, number: first, length }
    }

    /// How long the plan takes.
    pub(super) fn length(&self) -> Duration {
        self.length
    }
}

impl Iterator for Schedule {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        loop {
            let segment = self.current?;
            if let Some(seconds) = segment.due(self.spread.next()) {
                let at = Duration::from_secs_f64(segment.start + seconds);
                let arrival = Arrival { at, number: self.number, phase: segment.phase };
                self.number += 1;
                return Some(arrival);
            }
            self.current = self.segments.next();
            self.spread.begin_segment();
        }
    }
}

impl RateSegment {
    /// Seconds into the segment at which so many requests, `share`, should have started.
    ///
    /// After t seconds that is `a·t + s·t²/2`, with the rate `a` at the start and its slope `s`: so a
    /// rate times a length is the number of requests, and a rate of 0 is a pause. The root is in the
    /// form that needs no division by the slope.
    fn due(&self, share: f64) -> Option<f64> {
        let slope = (self.to - self.from) / self.seconds;
        let under = self.from * self.from + 2.0 * slope * share;
        if under < 0.0 {
            return None;
        }
        let at = 2.0 * share / (self.from + under.sqrt());
        (at < self.seconds).then_some(at)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::plan::parse;
    use super::*;
    use crate::config::Mix;

    fn arrivals(plan: &str, seed: u64) -> Vec<Arrival> {
        Schedule::new(&parse(plan, Mix::Mixed).unwrap(), Arrivals::Even, seed, 0).collect()
    }

    #[test]
    fn poisson_arrivals_have_the_rate_of_the_plan_and_the_gaps_of_clients_who_know_nothing_of_each_other() {
        let phases = parse("steady 1000s 20\nup 1000s 0..20", Mix::Mixed).unwrap();
        let all: Vec<_> = Schedule::new(&phases, Arrivals::Poisson, 3, 0).collect();
        assert_eq!(all, Schedule::new(&phases, Arrivals::Poisson, 3, 0).collect::<Vec<_>>());
        assert_ne!(all, Schedule::new(&phases, Arrivals::Poisson, 4, 0).collect::<Vec<_>>());
        let steady: Vec<_> = all.iter().filter(|a| a.phase == 0).collect();
        let up: Vec<_> = all.iter().filter(|a| a.phase == 1).collect();
        // 20,000 and 10,000 are due, give or take four standard deviations.
        assert!((19_434..=20_566).contains(&steady.len()), "{}", steady.len());
        assert!((9_600..=10_400).contains(&up.len()), "{}", up.len());
        let late = up.iter().filter(|a| a.at > Duration::from_secs(1500)).count();
        assert!((7_100..=7_900).contains(&late), "three quarters come in the second half: {late}");
        // An exponential gap is longer than its mean with probability 1/e; an even one never is.
        let gaps = steady.windows(2).map(|pair| pair[1].at - pair[0].at);
        let long = gaps.filter(|gap| *gap > Duration::from_millis(50)).count() as f64 / steady.len() as f64;
        assert!((0.35..=0.39).contains(&long), "{long}");
        assert!(all.iter().zip(0..).all(|(arrival, number)| arrival.number == number));
    }

    #[test]
    fn a_constant_rate_is_evenly_spaced() {
        let all = arrivals("steady 10s 20", 1);
        assert_eq!(all.len(), 200);
        for pair in all.windows(2) {
            let gap = (pair[1].at - pair[0].at).as_secs_f64();
            assert!((gap - 0.05).abs() < 1e-6 && pair[1].number == pair[0].number + 1, "{pair:?}");
        }
    }

    #[test]
    fn a_ramp_has_the_requests_of_its_area_and_more_of_them_at_its_high_end() {
        for (plan, first_half) in [("up 10s 0..20", 25), ("down 10s 20..0", 75)] {
            let all = arrivals(plan, 1);
            assert_eq!(all.len(), 100, "{plan}");
            assert!(all.is_sorted_by(|a, b| a.at < b.at), "{plan}");
            let early = all.iter().filter(|a| a.at < Duration::from_secs(5)).count();
            assert_eq!(early, first_half, "{plan}");
        }
    }

    #[test]
    fn phases_follow_each_other_and_a_rate_of_zero_is_a_pause() {
        let all = arrivals("a 1s 4\npause 2s 0\nb 1s 2", 1);
        let at: Vec<_> = all.iter().map(|a| (a.phase, a.at.as_millis())).collect();
        assert_eq!(at, [(0, 125), (0, 375), (0, 625), (0, 875), (2, 3250), (2, 3750)]);
    }

    #[test]
    fn chaos_stays_between_its_bounds_and_follows_the_seed() {
        let all = arrivals("chaos 60s 5~60", 7);
        assert_eq!(all, arrivals("chaos 60s 5~60", 7));
        assert_ne!(all, arrivals("chaos 60s 5~60", 8));
        let mut seen = Vec::new();
        for second in 0..60 {
            let within = all.iter().filter(|a| a.at.as_secs() == second).count();
            assert!((5..=61).contains(&within), "second {second}: {within}");
            seen.push(within);
        }
        seen.sort_unstable();
        seen.dedup();
        assert!(seen.len() > 10, "{seen:?}");
    }

    #[test]
    fn a_plan_that_is_repeated_goes_on_with_other_numbers() {
        let phases = parse("a 1s 2", Mix::Mixed).unwrap();
        let numbers: Vec<_> = Schedule::new(&phases, Arrivals::Even, 1, 2).map(|a| a.number).collect();
        assert_eq!(numbers, [2, 3]);
    }
}
