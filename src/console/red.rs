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
        } else if let Some(shown) = SHOWN.iter().find(|shown| **shown == name) {
            *look.shown.entry(shown).or_default() += value;
        }
    }
    look
}

fn note_request(routes: &mut BTreeMap<String, Route>, part: &str, labels: &[(&str, String)], value: f64) {
    let label = |wanted: &str| labels.iter().find(|(key, _)| *key == wanted).map_or("", |(_, v)| v.as_str());
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
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn page(ok: u32, failed: u32) -> String {
        let labels = |code| {
            format!(r#"http_request_method="GET",http_route="/a/{{id}}",http_response_status_code="{code}""#)
        };
        let series = |code, n: u32| {
            format!(
                "http_server_request_duration_seconds_bucket{{{0},le=\"0.1\"}} {n}\n\
                 http_server_request_duration_seconds_bucket{{{0},le=\"+Inf\"}} {n}\n\
                 http_server_request_duration_seconds_count{{{0}}} {n}\n",
                labels(code)
            )
        };
        format!("# HELP x\n{}{}queue_dead_letters 2\nbroken{{a=\"\n", series(200, ok), series(500, failed))
    }

    #[test]
    fn rate_errors_and_p95_are_those_of_the_window() {
        let mut services = Services::default();
        let mut first = parse(&page(100, 0));
        first.at -= Duration::from_secs(10);
        assert!(services.note(0, Some(first)));
        services.note(0, Some(parse(&page(130, 10))));
        let report = &services.report(Ports::from_base(7000))[0];
        assert!((report["rate"].as_f64().unwrap() - 4.0).abs() < 0.1, "{report}");
        assert_eq!(report["errorRatio"], 0.25);
        assert!((report["p95"].as_f64().unwrap() - 95.0).abs() < 1e-6);
        assert_eq!(report["shown"]["queue_dead_letters"], 2.0);
        assert_eq!(report["routes"][0]["route"], "GET /a/{id}");
        assert_eq!((&report["port"], &report["name"]), (&json!(7000), &json!("api-gateway")));
    }

    #[test]
    fn a_restarted_service_has_no_negative_rate_and_a_silent_one_is_down() {
        let mut services = Services::default();
        services.note(1, Some(parse(&page(100, 5))));
        services.note(1, Some(parse(&page(1, 0))));
        assert_eq!(services.0[1].looks.len(), 1);
        assert!(services.note(1, None), "going down is worth showing");
        assert!(!services.note(1, None), "staying down is not");
        assert_eq!(services.report(Ports::from_base(7000))[1]["up"], false);
    }
}
