//! The loop that sends: by the clock (open) or by the answers (closed).
//!
//! Open: a request starts when it is due, whatever became of the others, and its latency counts from
//! then. If all connections are busy it waits, and the wait is part of the latency: a client that
//! came at that moment would have waited too. Without that a stall hides itself, because a closed
//! loop sends nothing while it lasts ("coordinated omission").

use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, MissedTickBehavior};

use super::client::Failure;
use super::mix::Case;
use super::schedule::{Arrival, Schedule};

/// Time between two looks at the progress.
const TICK: Duration = Duration::from_millis(200);
/// In a closed loop, the rest of a connection that got no answer: a refused connection fails at once,
/// and nobody is served by thousands of them a second.
const REST: Duration = Duration::from_millis(100);

/// Where requests come from.
pub(super) enum Pace {
    /// By the clock; at most `backlog` wait for a connection.
    Open { schedule: Schedule, backlog: usize },
    /// By the answers, for `length`, numbered from 0.
    Closed { length: Duration },
}

/// What a sender says of a request.
pub(super) struct Done {
    pub(super) case: &'static Case,
    pub(super) trace_id: String,
    /// The status, or why there is none.
    pub(super) result: Result<u16, Failure>,
}

/// One request that is over.
pub(super) struct Outcome {
    pub(super) done: Done,
    pub(super) phase: usize,
    /// From when it was due until it was sent.
    pub(super) waited: Duration,
    /// From when it was due until its answer was there.
    pub(super) latency: Duration,
}

/// What the loop tells while it runs.
pub(super) enum Event<'a> {
    Over(&'a Outcome),
    /// A request was due, and the backlog was full.
    Dropped,
    /// Some time has passed.
    Tick {
        elapsed: Duration,
    },
}

/// How it ended.
pub(super) struct Ended {
    pub(super) elapsed: Duration,
    /// Requests that were waiting or in flight when somebody stopped it.
    pub(super) unfinished: usize,
    pub(super) interrupted: bool,
}

/// Sends until the pace has no more and everything is answered, or until `stop`.
pub(super) async fn run<F: Future<Output = Done>>(
    pace: Pace,
    connections: usize,
    stop: impl Future<Output = ()>,
    send: impl Fn(Arrival) -> F,
    mut tell: impl FnMut(Event<'_>),
) -> Ended {
    let start = Instant::now();
    let closed = matches!(pace, Pace::Closed { .. });
    let mut source = Source::new(pace);
    let mut flying = FuturesUnordered::new();
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut stop = pin!(stop);
    loop {
        source.take_due(start.elapsed(), connections - flying.len(), || tell(Event::Dropped));
        while flying.len() < connections
            && let Some(arrival) = source.next(start.elapsed())
        {
            flying.push(flight(start, arrival, send(arrival), closed));
        }
        let wake = source.wake(start.elapsed());
        if wake.is_none() && flying.is_empty() {
            return Ended { elapsed: start.elapsed(), unfinished: 0, interrupted: false };
        }
        tokio::select! {
            () = &mut stop => {
                let unfinished = flying.len() + source.waiting.len();
                return Ended { elapsed: start.elapsed(), unfinished, interrupted: true };
            }
            Some(outcome) = flying.next() => tell(Event::Over(&outcome)),
            () = sleep_until(start, wake) => {}
            _ = tick.tick() => tell(Event::Tick { elapsed: start.elapsed() }),
        }
    }
}

async fn sleep_until(start: Instant, wake: Option<Duration>) {
    match wake {
        Some(at) => tokio::time::sleep_until(start + at).await,
        None => std::future::pending().await,
    }
}

async fn flight(start: Instant, arrival: Arrival, send: impl Future<Output = Done>, closed: bool) -> Outcome {
    let waited = start.elapsed().saturating_sub(arrival.at);
    let done = send.await;
    let latency = start.elapsed().saturating_sub(arrival.at);
    if closed && done.result.is_err() {
        tokio::time::sleep(REST).await;
    }
    Outcome { done, phase: arrival.phase, waited, latency }
}

/// The requests that are to be sent.
struct Source {
    /// `None` in a closed loop.
    schedule: Option<Schedule>,
    upcoming: Option<Arrival>,
    /// Due, and no connection was free.
    waiting: VecDeque<Arrival>,
    backlog: usize,
    length: Duration,
    /// The number of the next request of a closed loop.
    number: u64,
}

impl Source {
    fn new(pace: Pace) -> Self {
        let (mut schedule, backlog, length) = match pace {
            Pace::Open { schedule, backlog } => {
                let length = schedule.length();
                (Some(schedule), backlog, length)
            }
            Pace::Closed { length } => (None, 0, length),
        };
        let upcoming = schedule.as_mut().and_then(Iterator::next);
        Self { schedule, upcoming, waiting: VecDeque::new(), backlog, length, number: 0 }
    }

    /// Moves what is due to the waiting; what finds neither a free connection nor room is dropped.
    fn take_due(&mut self, now: Duration, free: usize, mut dropped: impl FnMut()) {
        while let Some(arrival) = self.upcoming.filter(|arrival| arrival.at <= now) {
            if self.waiting.len() < self.backlog + free {
                self.waiting.push_back(arrival);
            } else {
                dropped();
            }
            self.upcoming = self.schedule.as_mut().and_then(Iterator::next);
        }
    }

    /// The next request for a free connection.
    fn next(&mut self, now: Duration) -> Option<Arrival> {
        if self.schedule.is_some() {
            return self.waiting.pop_front();
        }
        (now < self.length).then(|| {
            self.number += 1;
            Arrival { at: now, number: self.number - 1, phase: 0 }
        })
    }

    /// When to look again by the clock: at the next request, after the last one at the end. `None`
    /// when only answers are waited for.
    fn wake(&self, now: Duration) -> Option<Duration> {
        self.upcoming.map(|arrival| arrival.at).or((now < self.length).then_some(self.length))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::super::mix::Draw;
    use super::super::plan::{Phase, Rate};
    use super::*;
    use crate::config::Mix;

    fn open(rate: f64, length: Duration, backlog: usize) -> Pace {
        let rate = Rate::Line(rate, rate);
        let phase = Phase { name: "steady".into(), length, rate, mix: Mix::Browse };
        Pace::Open { schedule: Schedule::new(&[phase], 1, 0), backlog }
    }

    fn done(result: Result<u16, Failure>) -> Done {
        Done { case: Draw::new(1, 0, Mix::Browse).case, trace_id: String::new(), result }
    }

    #[derive(Default)]
    struct Seen {
        latencies: Vec<Duration>,
        dropped: usize,
    }

    impl Seen {
        fn tell(&mut self, event: Event<'_>) {
            match event {
                Event::Over(outcome) => self.latencies.push(outcome.latency),
                Event::Dropped => self.dropped += 1,
                Event::Tick { .. } => {}
            }
        }

        fn slower_than(&self, limit: Duration) -> usize {
            self.latencies.iter().filter(|latency| **latency > limit).count()
        }
    }

    /// A server that answers at once, but stands still once, from a third of a second to a whole one.
    async fn with_a_stall(pace: Pace, connections: usize) -> Seen {
        let start = Instant::now();
        let (from, to) = (start + Duration::from_millis(333), start + Duration::from_secs(1));
        let mut seen = Seen::default();
        let send = |_| async move {
            tokio::time::sleep(Duration::from_millis(2)).await;
            if Instant::now() >= from {
                tokio::time::sleep_until(to).await;
            }
            done(Ok(200))
        };
        let ended = run(pace, connections, std::future::pending(), send, |event| seen.tell(event)).await;
        assert!(!ended.interrupted && ended.unfinished == 0);
        seen
    }

    #[actix_web::test]
    async fn a_stall_is_seen_by_everybody_who_came_meanwhile_and_only_the_open_loop_knows_them() {
        let length = Duration::from_millis(1500);
        let open = with_a_stall(open(200.0, length, 1000), 2).await;
        assert_eq!((open.latencies.len(), open.dropped), (300, 0));
        let closed = with_a_stall(Pace::Closed { length }, 2).await;
        // 133 were due in the stall, and 113 of them more than a tenth of a second before its end.
        let (open, closed) =
            (open.slower_than(Duration::from_millis(100)), closed.slower_than(Duration::from_millis(100)));
        assert!(open >= 100, "{open}");
        // One for each connection; the rest is for a machine with other work.
        assert!((1..=20).contains(&closed), "{closed}");
    }

    #[actix_web::test]
    async fn no_more_are_in_flight_than_connections_and_what_finds_no_room_is_dropped() {
        let (now, most) = (Cell::new(0), Cell::new(0));
        let mut seen = Seen::default();
        let send = |_| async {
            now.set(now.get() + 1);
            most.set(most.get().max(now.get()));
            tokio::time::sleep(Duration::from_millis(400)).await;
            now.set(now.get() - 1);
            done(Ok(200))
        };
        let pace = open(1000.0, Duration::from_millis(100), 5);
        run(pace, 3, std::future::pending(), send, |event| seen.tell(event)).await;
        assert_eq!(most.get(), 3);
        // The three that are in flight, the five that wait; all others came before one was over.
        assert_eq!((seen.latencies.len(), seen.dropped), (8, 92));
    }

    #[actix_web::test]
    async fn whoever_stops_it_learns_what_was_left() {
        let stop = tokio::time::sleep(Duration::from_millis(300));
        let pace = open(100.0, Duration::from_secs(60), 1000);
        let ended = run(pace, 2, stop, |_| std::future::pending(), |_| {}).await;
        assert!(ended.interrupted && ended.unfinished > 2, "{}", ended.unfinished);
    }

    #[actix_web::test]
    async fn a_closed_loop_does_not_race_against_a_refused_connection() {
        let mut seen = Seen::default();
        let send = |_| async { done(Err(Failure::Connect("refused".into()))) };
        let pace = Pace::Closed { length: Duration::from_millis(450) };
        run(pace, 2, std::future::pending(), send, |event| seen.tell(event)).await;
        assert!((2..=10).contains(&seen.latencies.len()), "{}", seen.latencies.len());
    }
}
