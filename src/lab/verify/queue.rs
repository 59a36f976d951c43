//! Claims about the queue: every order notified as often as it should be, nothing left, nothing dead.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use actix_web::http::Method;
use serde_json::Value;
use tokio::time::sleep;

use super::claim::{Claim, Flaws};
use super::ledger::RequestLedger;
use crate::config::VerifyConfig;
use crate::exposition;
use crate::runtime::oneshot::OneShot;
use crate::schema::{Role, names};

const ANSWER_WITHIN: Duration = Duration::from_secs(10);
const LARGEST_ANSWER: usize = 1 << 20;
const PAUSE: Duration = Duration::from_millis(200);
/// Notifications in one answer, at most.
const PAGE: usize = 1_000;
/// Goes with each question, so that asking makes no spans: a parent that is not sampled.
const UNSAMPLED: (&str, &str) = ("traceparent", "00-0000000000000000000000000000f00d-000000000000f00d-00");
/// The routes of notification-service that are asked here: its own metrics count that.
pub(super) const ASKED: [&str; 2] = ["/notifications", "/stats"];

/// The queue's name where nothing else is set.
const DEFAULT_NAME: &str = "notifications";

/// The consumer's own word about the queue and about what it sent.
pub(crate) struct QueueWitness {
    http: OneShot,
    base: String,
    dead_before: Option<u64>,
    /// The newest notification before the first request, 0 where there is none.
    newest_before: i64,
    /// The queue's name; the default where nobody answers.
    name: String,
}

impl QueueWitness {
    /// For questions about what is there now.
    pub(crate) fn at(config: &VerifyConfig) -> Self {
        let http = OneShot::new(ANSWER_WITHIN, LARGEST_ANSWER);
        let name = DEFAULT_NAME.to_owned();
        Self { http, base: config.of(Role::Notify), dead_before: None, newest_before: 0, name }
    }

    /// Before the first request.
    pub(super) async fn before(config: &VerifyConfig) -> Self {
        let mut witness = Self::at(config);
        if let Some(stats) = witness.stats().await {
            witness.dead_before = stats["dead"].as_u64();
            witness.name = stats["queue"].as_str().unwrap_or(DEFAULT_NAME).to_owned();
            let newest = witness.ask("/notifications?limit=1").await.unwrap_or_default();
            witness.newest_before = newest["notifications"][0]["id"].as_i64().unwrap_or_default();
        }
        witness
    }

    /// Waits until nothing waits and nothing is in flight any more, after faults.
    pub(super) async fn rested(config: &VerifyConfig) -> Claim {
        let witness = Self::at(config);
        let end = Instant::now() + config.within;
        let mut left = Flaws::default();
        loop {
            // First: what it holds comes to the queue.
            let outbox = witness.outbox(config).await;
            let stats = witness.stats().await.unwrap_or_default();
            if outbox == Some(0.0) && stats["waiting"] == 0 && stats["inFlight"] == 0 {
                break;
            }
            if Instant::now() >= end {
                left.add(
                    format!("waiting is {}, inFlight is {}", stats["waiting"], stats["inFlight"]),
                    || format!("{}/stats", witness.base),
                );
                break;
            }
            sleep(PAUSE).await;
        }
        Claim::of("queue.healed", "notification-service", "without the faults nothing is left waiting", &left)
    }

    /// What waits to be published.
    async fn outbox(&self, config: &VerifyConfig) -> Option<f64> {
        let url = format!("{}/metrics", config.of(Role::Order));
        let answer = self.http.send(Method::GET, &url, &[UNSAMPLED], None).await.ok()?;
        exposition::value(std::str::from_utf8(&answer.body).ok()?, names::QUEUE_OUTBOX_PENDING)
    }

    /// What `/stats` says, if it answers.
    pub(crate) async fn stats(&self) -> Option<Value> {
        self.ask("/stats").await
    }

    async fn ask(&self, path: &str) -> Option<Value> {
        let url = format!("{}{path}", self.base);
        let answer = self.http.send(Method::GET, &url, &[UNSAMPLED], None).await.ok()?;
        if answer.is_success() { answer.json() } else { None }
    }

    /// The notifications of an order, if it answers.
    pub(crate) async fn notifications(&self, order: i64) -> Option<Vec<Value>> {
        let answer = self.ask(&format!("/notifications?orderId={order}&limit=100")).await?;
        answer["notifications"].as_array().cloned()
    }

    /// All notifications since the first request, by their orders; what could be read, and whether that is all of them.
    async fn since_before(&self) -> (HashMap<i64, Vec<Value>>, bool) {
        let (mut found, mut before) = (HashMap::<i64, Vec<Value>>::new(), i64::MAX);
        loop {
            let path = format!("/notifications?before={before}&limit={PAGE}");
            let Some(mut answer) = self.ask(&path).await else { return (found, false) };
            let Value::Array(page) = answer["notifications"].take() else { return (found, false) };
            let newer = |one: &Value| one["id"].as_i64().is_some_and(|id| id > self.newest_before);
            let reached = page.len();
            let page: Vec<_> = page.into_iter().filter(newer).collect();
            let is_last = page.len() < reached;
            for one in page {
                found.entry(one["orderId"].as_i64().unwrap_or_default()).or_default().push(one);
            }
            match answer["next"].as_i64() {
                // A page ends where its bytes do, so that a short one is not the last.
                Some(next) if !is_last && next < before => before = next,
                _ => return (found, true),
            }
        }
    }

    /// Waits until every order is notified, and learns the traces of the consumer's spans where those are
    /// others; the rows.
    pub(super) async fn settle(&self, ledger: &mut RequestLedger, config: &VerifyConfig) -> Vec<Claim> {
        let source = "notification-service";
        ledger.queue.clone_from(&self.name);
        let Some(dead_before) = self.dead_before else {
            let why = format!("nobody answers at {}", self.base);
            return vec![Claim::untold("queue.notified", source, "each order is notified once", why)];
        };
        let end = Instant::now() + config.within;
        let (waiting, dead_after) = (ledger.waiting(), dead_before + ledger.dead());
        let wanted = ledger.notifications();
        // Not asked again later: a message of others may have come by then.
        let stats = loop {
            let stats = self.stats().await.unwrap_or_default();
            let rests = stats["waiting"] == waiting && stats["inFlight"] == 0 && stats["dead"] == dead_after;
            if rests && notified(&wanted, &self.since_before().await.0) || Instant::now() >= end {
                break stats;
            }
            sleep(PAUSE).await;
        };
        let (found, whole) = self.since_before().await;
        let mut unsent = Flaws::default();
        for (order, wanted) in &wanted {
            let sent = found.get(order).map_or(0, Vec::len);
            if sent != *wanted {
                let what = format!("order {order} has {sent} notifications instead of {wanted}");
                unsent.add(what, || format!("{}/notifications?orderId={order}", self.base));
            }
        }
        link(ledger, &found);
        let (mut left, mut dead) = (Flaws::default(), Flaws::default());
        let look = || format!("{}/stats", self.base);
        let number = |field: &str| stats[field].as_u64();
        for (field, _) in
            [("waiting", waiting), ("inFlight", 0)].into_iter().filter(|one| number(one.0) != Some(one.1))
        {
            left.add(format!("{field} is {}", stats[field]), look);
        }
        if number("dead") != Some(dead_after) {
            dead.add(format!("{} dead letters, {dead_before} before", stats["dead"]), look);
        }
        let rests = match waiting {
            0 => "nothing waits, nothing is in flight".to_owned(),
            all => format!("{all} messages wait, nothing is in flight"),
        };
        let died = match ledger.dead() {
            0 => "no new dead letters".to_owned(),
            all => format!("{all} new dead letters"),
        };
        let all: usize = wanted.values().sum();
        let notified =
            Claim::of("queue.notified", source, format!("{all} notifications, each once"), &unsent);
        let unread = (!whole).then_some("not all of them could be read");
        vec![
            notified.unless(unread),
            Claim::of("queue.empty", source, rests, &left),
            Claim::of("queue.dead", source, died, &dead),
        ]
    }
}

/// Whether every order has as many notifications as it has to have, at least.
fn notified(wanted: &BTreeMap<i64, usize>, found: &HashMap<i64, Vec<Value>>) -> bool {
    wanted.iter().all(|(order, wanted)| found.get(order).map_or(0, Vec::len) >= *wanted)
}

/// Tells each request of an order the trace in which its message was consumed.
fn link(ledger: &mut RequestLedger, found: &HashMap<i64, Vec<Value>>) {
    for entry in &mut ledger.entries {
        let Some(sent) = entry.order.and_then(|order| found.get(&order)) else { continue };
        let own = sent.iter().find(|one| one["type"].as_str() == entry.shape.notification);
        let other =
            own.and_then(|one| one["traceId"].as_str()).filter(|id| entry.trace.as_deref() != Some(id));
        entry.linked = other.map(str::to_owned);
    }
}
