//! Rate, errors and duration of every service, from what its `/metrics` said.
//!
//! Only the few series shown here are kept; whoever wants more has Prometheus.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::exposition::sample;
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
/// Looks kept of one service, and the time the rates are taken over.
const MOST_LOOKS: usize = 60;
const WINDOW: Duration = Duration::from_secs(60);
/// Bounds against an endpoint that is not one of ours.
const MOST_ROUTES: usize = 100;
const MOST_BUCKETS: usize = 64;

/// Counters of one route since its process started.
#[derive(Clone, Debug, Default, PartialEq)]
struct Route {
    count: f64,
    errors: f64,
    /// Upper bound in seconds and how many requests were at most that long, ascending.
    buckets: Vec<(f64, f64)>,
}

/// One look at a service.
#[derive(Clone, Debug)]
pub(super) struct Look {
    at: Instant,
    routes: BTreeMap<String, Route>,
    shown: BTreeMap<&'static str, f64>,
}

/// The looks at every service, in the order of the service table.
#[derive(Debug, Default)]
pub(super) struct Services([History; SERVICES.len()]);

#[derive(Debug, Default)]
struct History {
    up: bool,
    looks: VecDeque<Look>,
}

impl Services {
    /// Notes what a service answered, or that it did not. Says whether a page would show it.
    pub(super) fn note(&mut self, service: usize, look: Option<Look>) -> bool {
        let history = &mut self.0[service];
        let was = std::mem::replace(&mut history.up, look.is_some());
        if let Some(look) = look {
            history.push(look);
        }
        was || history.up
    }

    /// One entry a service: `up`, requests a second, the share of 5xx, p95 in milliseconds, routes.
    pub(super) fn report(&self, ports: Ports) -> Vec<Value> {
        let entry = |(history, service): (&History, &'static crate::schema::Service)| {
            let mut entry = history.report();
            entry["name"] = json!(service.name);
            entry["port"] = json!(ports.of(service.role));
            entry["about"] = json!(service.about);
            entry
        };
        self.0.iter().zip(&SERVICES).map(entry).collect()
    }
}

impl History {
    fn push(&mut self, look: Look) {
        let requests = |look: &Look| look.routes.values().map(|r| r.count).sum::<f64>();
        if self.looks.back().is_some_and(|last| requests(last) > requests(&look)) {
            // Counters only fall when the process is a new one; what came before says nothing now.
            self.looks.clear();
        }
        if self.looks.len() == MOST_LOOKS {
            self.looks.pop_front();
        }
        self.looks.push_back(look);
    }

    fn report(&self) -> Value {
        let (Some(last), true) = (self.looks.back(), self.up) else {
            return json!({"up": false});
        };
        let first = self.looks.iter().find(|look| last.at.duration_since(look.at) <= WINDOW).unwrap_or(last);
        let seconds = last.at.duration_since(first.at).as_secs_f64();
        let mut all = Route::default();
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

    /// Requests a second between every two looks, oldest first.
    fn rates(&self) -> Vec<f64> {
        let count = |look: &Look| look.routes.values().map(|r| r.count).sum::<f64>();
        let pairs = self.looks.iter().zip(self.looks.iter().skip(1));
        pairs
            .map(|(a, b)| (count(b) - count(a)) / b.at.duration_since(a.at).as_secs_f64().max(0.001))
            .collect()
    }
}

impl Route {
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
pub(super) fn parse(text: &str) -> Look {
    let mut look = Look { at: Instant::now(), routes: BTreeMap::new(), shown: BTreeMap::new() };
    for line in text.lines() {
        let Some((name, labels, value)) = sample(line) else { continue };
        if let Some(part) = name.strip_prefix(names::HTTP_SERVER_DURATION) {
            note_request(&mut look.routes, part, &labels, value);
        } else if name == names::QUEUE_PROCESSED
            || name.strip_prefix(names::NOTIFICATION_DURATION) == Some("_bucket")
        {
            note_message(look.routes.entry(CONSUMING.to_owned()).or_default(), &labels, value);
        } else if let Some(shown) = SHOWN.iter().find(|shown| **shown == name) {
            *look.shown.entry(shown).or_default() += value;
        }
    }
    look
}

/// A consumer's messages are to it what requests are to a server; a retry is a failure.
fn note_message(route: &mut Route, labels: &[(&str, String)], value: f64) {
    match (label(labels, "status"), label(labels, "le").parse::<f64>()) {
        ("", Ok(milliseconds)) if !milliseconds.is_nan() => route.add_bucket(milliseconds / 1e3, value),
        ("", _) => {}
        (status, _) => {
            route.count += value;
            route.errors += if status == "success" { 0.0 } else { value };
        }
    }
}

fn label<'a>(labels: &'a [(&str, String)], wanted: &str) -> &'a str {
    labels.iter().find(|(key, _)| *key == wanted).map_or("", |(_, value)| value.as_str())
}

fn note_request(routes: &mut BTreeMap<String, Route>, part: &str, labels: &[(&str, String)], value: f64) {
    let label = |wanted| label(labels, wanted);
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
