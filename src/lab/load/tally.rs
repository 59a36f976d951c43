//! Counts and latencies of requests, in all, by route and by phase.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use hdrhistogram::Histogram;

use super::client::LoadFailure;
use super::engine::{LoadOutcome, SentRequest};
use super::fixtures::CREATE_ORDER;
use super::span::RequestTrace;

/// How many of the slowest traces are kept.
const SLOWEST: usize = 5;
/// The most kinds of surprise that are told apart.
const SURPRISES: usize = 20;
/// Latencies are kept in microseconds, up to an hour, to three digits.
const HOUR_US: u64 = 3_600_000_000;

/// What an answer is to the mix that asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AnswerClass {
    /// Below 400, as expected.
    Ok,
    /// A 4xx, as expected.
    Refused,
    /// Below 500, and not expected.
    Unexpected,
    /// A 5xx that was not expected.
    Server,
    /// No answer within the time limit.
    Timeout,
    /// No connection, or one that broke.
    Connect,
}

impl AnswerClass {
    /// What a request came to.
    pub(super) fn of(done: &SentRequest) -> Self {
        match &done.result {
            Ok(status) if done.case.expect.contains(status) && *status < 400 => Self::Ok,
            Ok(status) if done.case.expect.contains(status) => Self::Refused,
            Ok(500..) => Self::Server,
            Ok(_) => Self::Unexpected,
            Err(LoadFailure::Timeout) => Self::Timeout,
            Err(LoadFailure::ConnectTimeout | LoadFailure::Connect(_)) => Self::Connect,
        }
    }
}

/// Counts and latencies of some requests.
#[derive(Clone)]
pub(super) struct Tally {
    counts: [u64; 6],
    latency: Histogram<u64>,
}

impl Tally {
    fn new() -> anyhow::Result<Self> {
        let latency = Histogram::new_with_bounds(1, HOUR_US, 3).context("the histogram's bounds")?;
        Ok(Self { counts: [0; 6], latency })
    }

    fn add(&mut self, class: AnswerClass, latency: Duration) {
        self.counts[class as usize] += 1;
        // Without an answer no time was measured, and a quick refusal must not flatter the rest.
        if class != AnswerClass::Connect {
            self.latency.saturating_record(latency.as_micros() as u64);
        }
    }

    fn clear(&mut self) {
        self.counts = [0; 6];
        self.latency.reset();
    }

    /// Requests of one class.
    pub(super) fn of(&self, class: AnswerClass) -> u64 {
        self.counts[class as usize]
    }

    /// Requests sent.
    pub(super) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Requests that did not end as the mix expects.
    pub(super) fn wrong(&self) -> u64 {
        self.count() - self.of(AnswerClass::Ok) - self.of(AnswerClass::Refused)
    }

    /// A percentile of the latency in milliseconds; 100 is the longest, none where nothing was measured.
    pub(super) fn percentile_ms(&self, percentile: f64) -> Option<f64> {
        (!self.latency.is_empty()).then(|| self.latency.value_at_percentile(percentile) as f64 / 1000.0)
    }
}

/// One of the slowest requests, to be opened in the trace backend.
#[derive(Clone, Debug)]
pub(super) struct SlowRequest {
    pub(super) latency: Duration,
    pub(super) waited: Duration,
    /// Of it the wait for a new connection.
    pub(super) connect: Duration,
    pub(super) trace: Option<RequestTrace>,
    pub(super) route: &'static str,
    /// The status, or why there is none.
    pub(super) answer: String,
}

/// Everything that a run counts.
pub(super) struct LoadRecorder {
    blank: Tally,
    pub(super) total: Tally,
    /// Since the last line of progress.
    pub(super) recent: Tally,
    pub(super) routes: BTreeMap<&'static str, Tally>,
    pub(super) phases: Vec<Tally>,
    /// Slowest first.
    pub(super) slowest: Vec<SlowRequest>,
    /// Kinds of request and what they were answered, where the mix did not expect it.
    pub(super) surprises: BTreeMap<(&'static str, &'static str, String), u64>,
    /// Requests that were due and never sent, for want of room.
    pub(super) dropped: u64,
    /// Orders that were answered 201.
    pub(super) orders: u64,
    /// How long requests waited until one of the connections was free.
    pub(super) waited: Tally,
    /// How long the connections took that requests opened.
    pub(super) connect: Tally,
    /// The rest of the latency: what gateway and network took.
    pub(super) answer: Tally,
}

impl LoadRecorder {
    /// Nothing counted so far, for a plan of so many phases.
    ///
    /// # Errors
    /// None that happens: the histogram's bounds are constants.
    pub(super) fn new(phases: usize) -> anyhow::Result<Self> {
        let blank = Tally::new()?;
        Ok(Self {
            total: blank.clone(),
            recent: blank.clone(),
            routes: BTreeMap::new(),
            phases: vec![blank.clone(); phases],
            slowest: Vec::new(),
            surprises: BTreeMap::new(),
            dropped: 0,
            orders: 0,
            waited: blank.clone(),
            connect: blank.clone(),
            answer: blank.clone(),
            blank,
        })
    }

    /// Counts one request.
    pub(super) fn add(&mut self, outcome: &LoadOutcome) {
        let LoadOutcome { done, phase, waited, latency } = outcome;
        let class = AnswerClass::of(done);
        let route = done.case.route;
        self.total.add(class, *latency);
        self.recent.add(class, *latency);
        self.waited.add(class, *waited);
        if let Some(connect) = done.connect {
            self.connect.add(AnswerClass::Ok, connect);
        }
        self.answer.add(class, latency.saturating_sub(*waited + done.connect.unwrap_or_default()));
        self.routes.entry(route).or_insert_with(|| self.blank.clone()).add(class, *latency);
        if let Some(phase) = self.phases.get_mut(*phase) {
            phase.add(class, *latency);
        }
        if (route, class) == (CREATE_ORDER, AnswerClass::Ok) {
            self.orders += 1;
        }
        if !matches!(class, AnswerClass::Ok | AnswerClass::Refused) {
            let key = (route, done.case.what, answer(done));
            if self.surprises.contains_key(&key) || self.surprises.len() < SURPRISES {
                *self.surprises.entry(key).or_default() += 1;
            }
        }
        if class != AnswerClass::Connect {
            self.keep_if_slow(outcome);
        }
    }

    /// The trace of the slowest request that is recorded.
    pub(super) fn slowest_recorded(&self) -> Option<RequestTrace> {
        self.slowest.iter().filter_map(|slow| slow.trace.clone()).find(|trace| trace.sampled)
    }

    /// Forgets what is recent.
    pub(super) fn start_recent(&mut self) {
        self.recent.clear();
    }

    /// The share of requests that were not answered as expected, those among them that were due and
    /// could not be sent.
    pub(super) fn error_ratio(&self) -> f64 {
        let wrong = self.total.wrong() + self.dropped;
        wrong as f64 / (self.total.count() + self.dropped).max(1) as f64
    }

    fn keep_if_slow(&mut self, outcome: &LoadOutcome) {
        let place = self.slowest.partition_point(|slow| slow.latency >= outcome.latency);
        if place < SLOWEST {
            let LoadOutcome { done, waited, latency, .. } = outcome;
            let slow = SlowRequest {
                latency: *latency,
                waited: *waited,
                connect: done.connect.unwrap_or_default(),
                trace: done.trace.clone(),
                route: done.case.route,
                answer: answer(done),
            };
            self.slowest.truncate(SLOWEST - 1);
            self.slowest.insert(place, slow);
        }
    }
}

fn answer(done: &SentRequest) -> String {
    match &done.result {
        Ok(status) => status.to_string(),
        Err(failure) => failure.to_string(),
    }
}

#[cfg(test)]
mod tests;
