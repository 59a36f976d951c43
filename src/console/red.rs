//! Rate, errors and duration of every service, from scrapes of its `/metrics` and the spans kept.
//!
//! Only the few series shown here are kept; for more there is Prometheus.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::percentile::{BucketCounts, Percentile};
use super::served::ServedDurations;
use crate::exposition::MetricSample;
use crate::schema::{OTHER_METHOD, OTHER_ROUTE, Ports, Role, SERVICES, names};

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
pub(super) const WINDOW: Duration = Duration::from_secs(60);
/// Bounds against an endpoint that is not one of ours.
const MOST_ROUTES: usize = 100;
const MOST_BUCKETS: usize = 64;

/// Counters of one route since its process started.
#[derive(Clone, Debug, Default, PartialEq)]
struct RouteCounts {
    count: f64,
    errors: f64,
    buckets: BucketCounts,
}

/// One scrape of a service.
#[derive(Clone, Debug)]
pub(super) struct Scrape {
    at: Instant,
    /// When the process started, in seconds since the epoch, where the page says so.
    started: Option<f64>,
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

    /// Whether a role answered the last scrape.
    pub(super) fn is_up(&self, role: Role) -> bool {
        self.0.iter().zip(&SERVICES).any(|(history, service)| service.role == role && history.up)
    }

    /// One entry a service: `up`, and over the last minute `count` of requests, `seconds` in which they
    /// came, `rate` (a second), `errorRatio` (the share of 5xx), `p95`, the same of each route.
    pub(super) fn report(&self, ports: Ports, served: &ServedDurations<'_>) -> Vec<Value> {
        let entry = |(history, service): (&ServiceHistory, &'static crate::schema::Service)| {
            let mut entry = history.report(service.name, served);
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
        if self.scrapes.back().is_some_and(|last| !scrape.continues(last)) {
            // Another process: what was counted before says nothing now.
            self.scrapes.clear();
        }
        if self.scrapes.len() == MOST_SCRAPES {
            self.scrapes.pop_front();
        }
        self.scrapes.push_back(scrape);
    }

    fn report(&self, service: &str, served: &ServedDurations<'_>) -> Value {
        let (Some(last), true) = (self.scrapes.back(), self.up) else {
            return json!({"up": false});
        };
        let first =
            self.scrapes.iter().find(|scrape| last.at.duration_since(scrape.at) <= WINDOW).unwrap_or(last);
        let seconds = last.at.duration_since(first.at).as_secs_f64();
        let since: Vec<_> =
            last.routes.iter().map(|(name, now)| (name, now, now.minus(first.routes.get(name)))).collect();
        let mut routes = Vec::new();
        for (name, now, since) in &since {
            let p95 =
                served.of(service, span_name(name)).or_else(|| Percentile::of_buckets(&[&since.buckets]));
            let mut entry = since.report(seconds, p95);
            entry["route"] = json!(name);
            entry["total"] = json!(now.count);
            routes.push(entry);
        }
        let all = RouteCounts {
            count: since.iter().map(|(.., route)| route.count).sum(),
            errors: since.iter().map(|(.., route)| route.errors).sum(),
            buckets: BucketCounts::new(),
        };
        let histograms: Vec<_> = since.iter().map(|(.., route)| &route.buckets).collect();
        let p95 = served.of_all(service).or_else(|| Percentile::of_buckets(&histograms));
        let mut entry = all.report(seconds, p95);
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

impl Scrape {
    /// Whether it is of the process of an earlier scrape. Where the page does not say when its process
    /// started, a counter that fell tells: each by itself, for a sum may have grown meanwhile.
    fn continues(&self, earlier: &Self) -> bool {
        let grown = |(name, was): (&String, &RouteCounts)| {
            self.routes.get(name).is_some_and(|now| now.count >= was.count && now.errors >= was.errors)
        };
        self.started == earlier.started && earlier.routes.iter().all(grown)
    }
}

impl RouteCounts {
    fn minus(&self, earlier: Option<&Self>) -> Self {
        let Some(earlier) = earlier else { return self.clone() };
        let before = |le: f64| earlier.buckets.iter().find(|b| b.0 == le).map_or(0.0, |b| b.1);
        let buckets = self.buckets.iter().map(|(le, n)| (*le, (n - before(*le)).max(0.0))).collect();
        Self { count: self.count - earlier.count, errors: self.errors - earlier.errors, buckets }
    }

    /// Adds a series' count to the bucket of its bound; the series of one route have the same bounds.
    fn add_bucket(&mut self, le: f64, count: f64) {
        match self.buckets.iter().position(|b| b.0 >= le) {
            Some(place) if self.buckets[place].0 == le => self.buckets[place].1 += count,
            _ if self.buckets.len() >= MOST_BUCKETS => {}
            Some(place) => self.buckets.insert(place, (le, count)),
            None => self.buckets.push((le, count)),
        }
    }

    fn report(&self, seconds: f64, p95: Option<Percentile>) -> Value {
        let rate = (seconds > 0.0).then(|| self.count / seconds);
        let errors = (self.count > 0.0).then(|| self.errors / self.count);
        json!({"count": self.count, "seconds": seconds, "rate": rate, "errorRatio": errors,
            "p95": p95.map(Percentile::json)})
    }
}

/// The name of the spans that serve a route as it stands in labels.
fn span_name(route: &str) -> &str {
    match route.strip_suffix(OTHER_ROUTE).map(str::trim_end) {
        Some(OTHER_METHOD) => "HTTP",
        Some(method) if !method.contains(' ') => method,
        _ => route,
    }
}

/// Reads the text of a `/metrics` page; lines that are not understood are passed over.
pub(super) fn parse(text: &str) -> Scrape {
    let (routes, shown) = Default::default();
    let mut scrape = Scrape { at: Instant::now(), started: None, routes, shown };
    for sample in text.lines().filter(|line| is_read(line)).filter_map(MetricSample::parse) {
        if let Some(part) = sample.name.strip_prefix(names::HTTP_SERVER_DURATION) {
            note_request(&mut scrape.routes, part, &sample);
        } else if sample.name == names::QUEUE_PROCESSED
            || sample.name.strip_prefix(names::NOTIFICATION_DURATION) == Some("_bucket")
        {
            note_message(scrape.routes.entry(CONSUMING.to_owned()).or_default(), &sample);
        } else if sample.name == names::PROCESS_START {
            scrape.started = Some(sample.value);
        } else if let Some(shown) = SHOWN.iter().find(|shown| **shown == sample.name) {
            *scrape.shown.entry(shown).or_default() += sample.value;
        }
    }
    scrape
}

/// Whether a line may be of a series that is read: most of a page is not.
fn is_read(line: &str) -> bool {
    let read = [
        names::HTTP_SERVER_DURATION,
        names::QUEUE_PROCESSED,
        names::NOTIFICATION_DURATION,
        names::PROCESS_START,
    ];
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
