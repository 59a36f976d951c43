//! Rate, errors and duration of every service, from scrapes of its `/metrics`.
//!
//! Only the few series shown here are kept; for more there is Prometheus.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::lab::backend::metric::MetricSample;
use crate::schema::{Ports, SERVICES, names};

/// Series shown as they are, summed over their labels.
const SHOWN: [&str; 5] = [
    names::QUEUE_OUTBOX_PENDING,
    names::QUEUE_LAG,
    names::QUEUE_DEAD,
    names::SPANS_DROPPED,
    names::EXPORT_FAILURES,
];
/// What stands in a consumer's list of routes.
const CONSUMING: &str = "process notifications";
/// Scrapes kept of one service, and the time the rates are taken over.
const MOST_SCRAPES: usize = 60;
const WINDOW: Duration = Duration::from_secs(60);
/// Bounds against an endpoint that is not one of ours.
const MOST_ROUTES: usize = 100;
const MOST_BUCKETS: usize = 64;

/// Counters of one route since its process started.
#[derive(Clone, Debug, Default, PartialEq)]
struct RouteCounts {
    count: f64,
    errors: f64,
    /// Upper bound in seconds and how many requests were at most that long, ascending.
    buckets: Vec<(f64, f64)>,
}

/// One scrape of a service.
#[derive(Clone, Debug)]
pub(super) struct Scrape {
    at: Instant,
    routes: BTreeMap<String, RouteCounts>,
    shown: BTreeMap<&'static str, f64>,
}

/// The scrapes of every service, in the order of the service table.
#[derive(Debug, Default)]
pub(super) struct ServiceHistories([ServiceHistory; SERVICES.len()]);

#[derive(Debug, Default)]
struct ServiceHistory {
    up: bool,
    scrapes: VecDeque<Scrape>,
}

impl ServiceHistories {
    /// Notes what a service answered, or that it did not. Says whether a page would show it.
    pub(super) fn note(&mut self, service: usize, scrape: Option<Scrape>) -> bool {
        let history = &mut self.0[service];
        let was = std::mem::replace(&mut history.up, scrape.is_some());
        if let Some(scrape) = scrape {
            history.push(scrape);
        }
        was || history.up
    }

    /// One entry a service: `up`, requests a second, the share of 5xx, p95 in milliseconds, routes.
    pub(super) fn report(&self, ports: Ports) -> Vec<Value> {
        let entry = |(history, service): (&ServiceHistory, &'static crate::schema::Service)| {
            let mut entry = history.report();
            entry["name"] = json!(service.name);
            entry["port"] = json!(ports.of(service.role));
            entry["about"] = json!(service.about);
            entry
        };
        self.0.iter().zip(&SERVICES).map(entry).collect()
    }
}

impl ServiceHistory {
    fn push(&mut self, scrape: Scrape) {
        let requests = |scrape: &Scrape| scrape.routes.values().map(|r| r.count).sum::<f64>();
        if self.scrapes.back().is_some_and(|last| requests(last) > requests(&scrape)) {
            // Counters only fall when the process is a new one; what came before says nothing now.
            self.scrapes.clear();
        }
        if self.scrapes.len() == MOST_SCRAPES {
            self.scrapes.pop_front();
        }
        self.scrapes.push_back(scrape);
    }

    fn report(&self) -> Value {
        let (Some(last), true) = (self.scrapes.back(), self.up) else {
            return json!({"up": false});
        };
        let first =
            self.scrapes.iter().find(|scrape| last.at.duration_since(scrape.at) <= WINDOW).unwrap_or(last);
        let seconds = last.at.duration_since(first.at).as_secs_f64();
        let mut all = RouteCounts::default();
        let mut routes = Vec::new();
        for (name, now) in &last.routes {
            let since = now.minus(first.routes.get(name));
            all.add(&since);
            let mut entry = since.report(seconds);
            entry["route"] = json!(name);
            entry["total"] = json!(now.count);
            routes.push(entry);
        }
        let mut entry = all.report(seconds);
        entry["up"] = json!(true);
        entry["routes"] = json!(routes);
        entry["shown"] = json!(last.shown);
        entry["history"] = json!(self.rates());
        entry
    }

    /// Requests a second between every two scrapes, oldest first.
    fn rates(&self) -> Vec<f64> {
        let count = |scrape: &Scrape| scrape.routes.values().map(|r| r.count).sum::<f64>();
        let pairs = self.scrapes.iter().zip(self.scrapes.iter().skip(1));
        pairs
            .map(|(a, b)| (count(b) - count(a)) / b.at.duration_since(a.at).as_secs_f64().max(0.001))
            .collect()
    }
}

impl RouteCounts {
    fn minus(&self, earlier: Option<&Self>) -> Self {
        let Some(earlier) = earlier else { return self.clone() };
        let before = |le: f64| earlier.buckets.iter().find(|b| b.0 == le).map_or(0.0, |b| b.1);
        let buckets = self.buckets.iter().map(|(le, n)| (*le, (n - before(*le)).max(0.0))).collect();
        Self { count: self.count - earlier.count, errors: self.errors - earlier.errors, buckets }
    }

    fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.errors += other.errors;
        other.buckets.iter().for_each(|(le, n)| self.add_bucket(*le, *n));
    }

    fn add_bucket(&mut self, le: f64, count: f64) {
        match self.buckets.iter().position(|b| b.0 >= le) {
            Some(place) if self.buckets[place].0 == le => self.buckets[place].1 += count,
            _ if self.buckets.len() >= MOST_BUCKETS => {}
            Some(place) => self.buckets.insert(place, (le, count)),
            None => self.buckets.push((le, count)),
        }
    }

    fn report(&self, seconds: f64) -> Value {
        let rate = (seconds > 0.0).then(|| self.count / seconds);
        let errors = (self.count > 0.0).then(|| self.errors / self.count);
        let p95 = self.quantile(0.95).map(|s| s * 1e3);
        json!({"rate": rate, "errorRatio": errors, "p95": p95})
    }

    /// Seconds, linear within the bucket, as Prometheus' `histogram_quantile` has it; nothing
    /// without requests.
    fn quantile(&self, q: f64) -> Option<f64> {
        let total = self.buckets.last().filter(|b| b.1 > 0.0)?.1;
        let rank = q * total;
        let place = self.buckets.iter().position(|b| b.1 >= rank)?;
        let (below, under) = if place == 0 { (0.0, 0.0) } else { self.buckets[place - 1] };
        let (upper, count) = self.buckets[place];
        if upper.is_infinite() || count <= under {
            return Some(below);
        }
        Some(below + (upper - below) * (rank - under) / (count - under))
    }
}

/// Reads the text of a `/metrics` page; lines that are not understood are passed over.
pub(super) fn parse(text: &str) -> Scrape {
    let mut scrape = Scrape { at: Instant::now(), routes: BTreeMap::new(), shown: BTreeMap::new() };
    for sample in text.lines().filter(|line| is_read(line)).filter_map(MetricSample::parse) {
        if let Some(part) = sample.name.strip_prefix(names::HTTP_SERVER_DURATION) {
            note_request(&mut scrape.routes, part, &sample);
        } else if sample.name == names::QUEUE_PROCESSED
            || sample.name.strip_prefix(names::NOTIFICATION_DURATION) == Some("_bucket")
        {
            note_message(scrape.routes.entry(CONSUMING.to_owned()).or_default(), &sample);
        } else if let Some(shown) = SHOWN.iter().find(|shown| **shown == sample.name) {
            *scrape.shown.entry(shown).or_default() += sample.value;
        }
    }
    scrape
}

/// Whether a line may be of a series that is read: most of a page is not.
fn is_read(line: &str) -> bool {
    let read = [names::HTTP_SERVER_DURATION, names::QUEUE_PROCESSED, names::NOTIFICATION_DURATION];
    read.iter().chain(&SHOWN).any(|name| line.starts_with(name))
}

/// A consumer's messages are to it what requests are to a server; a retry is a failure.
fn note_message(route: &mut RouteCounts, sample: &MetricSample<'_>) {
    let value = sample.value;
    match (sample.label("status"), sample.label("le").parse::<f64>()) {
        ("", Ok(milliseconds)) if !milliseconds.is_nan() => route.add_bucket(milliseconds / 1e3, value),
        ("", _) => {}
        (status, _) => {
            route.count += value;
            route.errors += if status == "success" { 0.0 } else { value };
        }
    }
}

fn note_request(routes: &mut BTreeMap<String, RouteCounts>, part: &str, sample: &MetricSample<'_>) {
    let (label, value) = (|key| sample.label(key), sample.value);
    let name = format!("{} {}", label("http_request_method"), label("http_route"));
    if !routes.contains_key(&name) && routes.len() >= MOST_ROUTES {
        return;
    }
    let route = routes.entry(name).or_default();
    match part {
        "_count" => {
            route.count += value;
            route.errors += if label("http_response_status_code").starts_with('5') { value } else { 0.0 };
        }
        "_bucket" => match label("le").parse::<f64>() {
            Ok(le) if !le.is_nan() => route.add_bucket(le, value),
            _ => {}
        },
        _ => {}
    }
}

#[cfg(test)]
#[path = "red_tests.rs"]
mod tests;
