//! Alerts: what a Prometheus beside the lab has pending and firing, and what was resolved lately, with its runbook.
//!
//! PromQL belongs to Prometheus: nothing is evaluated here. It is asked now and then, so that an alert that fired and went
//! while nobody looked is remembered.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use super::jaeger;
use super::params::now;
use super::state::Console;
use crate::lab::backend::alert::{AlertInstance, AlertReader};
use crate::lab::backend::metric::{MetricReader, MetricSeries};
use crate::runtime::oneshot::OneShot;

/// Between two questions.
const INTERVAL: Duration = Duration::from_secs(5);
/// The most alerts kept, of those there are and of those that were resolved.
const MOST_ALERTS: usize = 200;
const MOST_RESOLVED: usize = 50;
/// The most characters of a label or annotation.
const MOST_CHARACTERS: usize = 400;
const RUNBOOK_WITHIN: Duration = Duration::from_secs(3);
/// The largest runbook, in bytes.
const LARGEST_RUNBOOK: usize = 64 << 10;
/// What is left of each objective's budget, and how fast it is used up.
const BUDGETS: [(&str, &str); 2] =
    [("remaining", "slo:period_error_budget_remaining:ratio"), ("burnRate", "slo:current_burn_rate:ratio")];

/// The Prometheus that is asked, if any, and what it said.
pub(super) struct AlertBook {
    prometheus: Option<String>,
    said: Mutex<SaidAlerts>,
}

#[derive(Default)]
struct SaidAlerts {
    now: Vec<AlertInstance>,
    /// With the time, in nanoseconds since the epoch, when it was seen to be gone; the last one first.
    resolved: VecDeque<(AlertInstance, u64)>,
    budgets: BTreeMap<String, BTreeMap<&'static str, f64>>,
    failing: Option<&'static str>,
}

impl AlertBook {
    pub(super) fn new(prometheus: Option<String>) -> Self {
        Self { prometheus, said: Mutex::default() }
    }

    fn said(&self) -> MutexGuard<'_, SaidAlerts> {
        self.said.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl SaidAlerts {
    fn note(&mut self, found: Vec<AlertInstance>, at: u64) {
        let found: Vec<_> = found.into_iter().take(MOST_ALERTS).collect();
        for before in std::mem::take(&mut self.now) {
            let gone = !found.iter().any(|alert| alert.labels == before.labels);
            if gone && before.state == "firing" {
                self.resolved.push_front((before, at));
            }
        }
        self.resolved.retain(|(before, _)| {
            !found.iter().any(|alert| alert.labels == before.labels && alert.state == "firing")
        });
        self.resolved.truncate(MOST_RESOLVED);
        self.now = found;
        self.failing = None;
    }

    fn alerts(&self) -> Vec<Value> {
        let now = self.now.iter().map(|alert| entry(alert, &alert.state, None));
        let resolved = self.resolved.iter().map(|(alert, at)| entry(alert, "resolved", Some(*at)));
        let mut all: Vec<_> = now.chain(resolved).collect();
        let rank = |alert: &Value| {
            ["firing", "pending", "resolved"].iter().position(|state| alert["state"] == *state)
        };
        all.sort_by_key(rank);
        all
    }
}

fn cut(text: &str) -> String {
    text.chars().take(MOST_CHARACTERS).collect()
}

fn entry(alert: &AlertInstance, state: &str, until: Option<u64>) -> Value {
    let note = |key: &str| alert.annotations.get(key).map(|text| cut(text));
    let labels: BTreeMap<_, _> = alert.labels.iter().map(|(key, value)| (cut(key), cut(value))).collect();
    let url = alert.annotations.get("runbook_url").map_or("", String::as_str);
    let runbook =
        url.rsplit('/').next().and_then(|file| file.strip_suffix(".md")).filter(|name| is_name(name));
    json!({"name": cut(alert.name()), "service": cut(alert.label("service")), "severity": cut(alert.label("severity")),
        "state": state, "summary": note("summary"), "labels": labels, "runbook": runbook,
        "since": micros(&alert.since), "until": until.map(|at| at / 1_000)})
}

fn micros(time: &str) -> Option<i64> {
    time.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_microsecond)
}

/// A runbook has the name of its alert: nothing else is asked for.
fn is_name(name: &str) -> bool {
    (1..=60).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Starts to ask, on the current thread, until the process ends.
pub(super) fn start(console: web::Data<Console>) {
    let Some(prometheus) = console.alerts.prometheus.clone() else { return };
    actix_web::rt::spawn(async move {
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            ask(&console, &prometheus).await;
        }
    });
}

async fn ask(console: &Console, prometheus: &str) {
    match AlertReader::prometheus(prometheus).all().await {
        Ok(found) => console.alerts.said().note(found, now()),
        // Its address is nothing that a page has to know.
        Err(_) => {
            console.alerts.said().failing = Some("Prometheus does not answer, or not with a list of alerts")
        }
    }
    let metrics = MetricReader::prometheus(prometheus);
    let mut budgets: BTreeMap<String, BTreeMap<&'static str, f64>> = BTreeMap::new();
    for (name, series) in BUDGETS {
        let found: Vec<MetricSeries> = metrics.query(series).await.unwrap_or_default();
        for series in found.into_iter().take(MOST_RESOLVED).filter(|series| series.value.is_finite()) {
            let slo = series.labels.get("slo").map_or(String::new(), |slo| cut(slo));
            budgets.entry(slo).or_default().insert(name, series.value);
        }
    }
    console.alerts.said().budgets = budgets;
}

/// `GET /api/alerts`: `{"known":…,"failing":…,"alerts":[…],"budgets":{…}}`. `known` says whether there is a Prometheus to ask.
///
/// An alert has `name`, `service`, `severity`, `state` (`firing`, `pending`, `resolved`), `summary`, `labels`, `runbook` (its name),
/// `since` and, resolved, `until` in microseconds since the epoch. Of an objective there is `remaining`, the share of its
/// budget, and `burnRate`.
pub(super) async fn list(console: web::Data<Console>) -> HttpResponse {
    let said = console.alerts.said();
    HttpResponse::Ok().json(json!({"known": console.alerts.prometheus.is_some(), "failing": said.failing,
        "alerts": said.alerts(), "budgets": said.budgets}))
}

/// `GET /api/alerts/runbook/{name}`: `{"text":…}`, the Markdown that this Prometheus serves for the alert.
pub(super) async fn runbook(console: web::Data<Console>, name: web::Path<String>) -> HttpResponse {
    let Some(prometheus) = console.alerts.prometheus.as_deref().filter(|_| is_name(&name)) else {
        return jaeger::error(StatusCode::NOT_FOUND, "no such runbook");
    };
    let url = format!("{}/user/{name}.md", prometheus.trim_end_matches('/'));
    match OneShot::new(RUNBOOK_WITHIN, LARGEST_RUNBOOK).get(&url).await {
        Ok(answer) if answer.is_success() => {
            HttpResponse::Ok().json(json!({"text": String::from_utf8_lossy(&answer.body)}))
        }
        Ok(_) => jaeger::error(StatusCode::NOT_FOUND, "no such runbook"),
        Err(_) => jaeger::error(StatusCode::BAD_GATEWAY, "Prometheus does not answer"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::sample;

    fn alert(name: &str, state: &str) -> AlertInstance {
        let labels = [("alertname", name), ("service", "order-service")];
        let notes = [("runbook_url", format!("http://127.0.0.1/user/{name}.md"))];
        AlertInstance {
            labels: labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
            annotations: notes.map(|(key, value)| (key.to_owned(), value)).into(),
            state: state.to_owned(),
            since: "2026-01-31T12:34:56.789Z".to_owned(),
        }
    }

    fn told(said: &SaidAlerts) -> Vec<String> {
        let line = |alert: &Value| {
            format!("{} {}", alert["name"].as_str().unwrap_or(""), alert["state"].as_str().unwrap_or(""))
        };
        said.alerts().iter().map(line).collect()
    }

    #[test]
    fn an_alert_that_fired_and_is_gone_is_resolved_until_it_fires_again_and_a_pending_one_is_forgotten() {
        let mut said = SaidAlerts::default();
        said.note(vec![alert("A", "pending"), alert("B", "firing"), alert("C", "firing")], 1);
        assert_eq!(told(&said), ["B firing", "C firing", "A pending"]);
        said.note(vec![alert("C", "firing")], 2_000);
        assert_eq!(told(&said), ["C firing", "B resolved"]);
        let b = &said.alerts()[1];
        assert_eq!(
            (&b["until"], &b["since"], &b["runbook"]),
            (&json!(2), &json!(1_769_862_896_789_000_i64), &json!("B"))
        );
        said.note(vec![alert("B", "firing")], 3_000);
        assert_eq!(told(&said), ["B firing", "C resolved"]);
    }

    #[test]
    fn what_prometheus_says_is_bounded_and_no_other_file_of_it_is_asked_for() {
        let mut said = SaidAlerts::default();
        let names: Vec<_> = (0..300).map(|number| format!("A{number}{}", "x".repeat(1000))).collect();
        said.note(names.iter().map(|name| alert(name, "firing")).collect(), 1);
        said.note(Vec::new(), 2);
        assert_eq!(said.alerts().len(), MOST_RESOLVED);
        assert!(
            said.alerts().iter().all(|alert| alert["name"].as_str().map(str::len) == Some(MOST_CHARACTERS))
        );
        for wrong in ["", "../x", "a.b", "a/b", "a%2fb", "<img>", &"x".repeat(61)] {
            assert!(!is_name(wrong), "{wrong}");
        }
    }

    #[actix_web::test]
    async fn without_a_prometheus_the_page_is_told_so() {
        let console = sample::console();
        let said = sample::get(&console, "/api/alerts").await;
        assert_eq!(
            (said.status, &said.json["known"], &said.json["alerts"]),
            (200, &json!(false), &json!([]))
        );
        assert_eq!(sample::get(&console, "/api/alerts/runbook/TargetDown").await.status, 404);
    }
}
