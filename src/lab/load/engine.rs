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

use super::client::LoadFailure;
use super::draw::LoadCase;
use super::schedule::{Arrival, Schedule};
use super::span::RequestTrace;

/// Interval between two updates of the progress.
const TICK: Duration = Duration::from_millis(200);
/// In a closed loop, the rest of a connection that got no answer: a refused connection fails at once,
/// and thousands of them a second measure nothing.
const REST: Duration = Duration::from_millis(100);

/// Where requests come from.
pub(super) enum Pace {
    /// By the clock; at most `backlog` wait for a connection.
    Open { schedule: Schedule, backlog: usize },
    /// By the answers, for `length`, numbered from 0.
    Closed { length: Duration },
}

/// What a sender says of a request.
pub(super) struct SentRequest {
    pub(super) case: &'static LoadCase,
    pub(super) trace: Option<RequestTrace>,
    /// How long the connection took that it opened.
    pub(super) connect: Option<Duration>,
    /// The status, or why there is none.
    pub(super) result: Result<u16, LoadFailure>,
}

/// One request that is over.
pub(super) struct LoadOutcome {
    pub(super) done: SentRequest,
    pub(super) phase: usize,
    /// From when it was due until it was sent.
    pub(super) waited: Duration,
    /// From when it was due until its answer was there.
    pub(super) latency: Duration,
}

/// What the loop tells while it runs.
pub(super) enum LoadEvent<'a> {
    Over(&'a LoadOutcome),
    /// A request was due, and the backlog was full.
    Dropped,
    /// Some time has passed.
    Tick {
        elapsed: Duration,
    },
}

/// How it ended.
pub(super) struct LoadEnd {
    pub(super) elapsed: Duration,
    /// Requests that were waiting or in flight when it was stopped.
    pub(super) unfinished: usize,
    pub(super) interrupted: bool,
}

/// Sends until the pace has no more and everything is answered, or until `stop`.
pub(super) async fn run<F: Future<Output = SentRequest>>(
    pace: Pace,
    connections: usize,
    stop: impl Future<Output = ()>,
    send: impl Fn(Arrival) -> F,
    mut tell: impl FnMut(LoadEvent<'_>),
) -> LoadEnd {
    let start = Instant::now();
    let closed = matches!(pace, Pace::Closed { .. });
    let mut source = ArrivalSource::new(pace);
    let mut flying = FuturesUnordered::new();
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut stop = pin!(stop);
    loop {
        source.take_due(start.elapsed(), connections - flying.len(), || tell(LoadEvent::Dropped));
        while flying.len() < connections
            && let Some(arrival) = source.next(start.elapsed())
        {
            flying.push(flight(start, arrival, send(arrival), closed));
        }
        let wake = source.wake(start.elapsed());
        if wake.is_none() && flying.is_empty() {
            return LoadEnd { elapsed: start.elapsed(), unfinished: 0, interrupted: false };
        }
        tokio::select! {
            () = &mut stop => {
                let unfinished = flying.len() + source.waiting.len();
                return LoadEnd { elapsed: start.elapsed(), unfinished, interrupted: true };
            }
            Some(outcome) = flying.next() => tell(LoadEvent::Over(&outcome)),
            () = sleep_until(start, wake) => {}
            _ = tick.tick() => tell(LoadEvent::Tick { elapsed: start.elapsed() }),
        }
    }
}

async fn sleep_until(start: Instant, wake: Option<Duration>) {
    match wake {
        Some(at) => tokio::time::sleep_until(start + at).await,
        None => std::future::pending().await,
    }
}

async fn flight(
    start: Instant,
    arrival: Arrival,
    send: impl Future<Output = SentRequest>,
    closed: bool,
) -> LoadOutcome {
    let waited = start.elapsed().saturating_sub(arrival.at);
    let done = send.await;
    let latency = start.elapsed().saturating_sub(arrival.at);
    if closed && done.result.is_err() {
        tokio::time::sleep(REST).await;
    }
    LoadOutcome { done, phase: arrival.phase, waited, latency }
}

/// The requests that are to be sent.
struct ArrivalSource {
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

impl ArrivalSource {
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

    /// When to wake by the clock: at the next request, after the last one at the end. `None`
    /// when only answers are waited for.
    fn wake(&self, now: Duration) -> Option<Duration> {
        self.upcoming.map(|arrival| arrival.at).or((now < self.length).then_some(self.length))
    }
}

#[cfg(test)]
mod tests;
