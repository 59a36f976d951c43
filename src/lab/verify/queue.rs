//! Claims about the queue: every order notified as often as it should be, nothing left, nothing dead.

use std::time::{Duration, Instant};

use actix_web::http::Method;
use futures_util::StreamExt as _;
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
    /// The queue's name; the default where nobody answers.
    name: String,
}

impl QueueWitness {
    /// For questions about what is there now.
    pub(crate) fn at(config: &VerifyConfig) -> Self {
        let http = OneShot::new(ANSWER_WITHIN, LARGEST_ANSWER);
        Self { http, base: config.of(Role::Notify), dead_before: None, name: DEFAULT_NAME.to_owned() }
    }

    /// Before the first request.
    pub(super) async fn before(config: &VerifyConfig) -> Self {
        let mut witness = Self::at(config);
        if let Some(stats) = witness.stats().await {
            witness.dead_before = stats["dead"].as_u64();
            witness.name = stats["queue"].as_str().unwrap_or(DEFAULT_NAME).to_owned();
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
        let mut missing: Vec<_> = ledger.notifications().into_iter().collect();
        loop {
            let asked = futures_util::stream::iter(missing).map(async |(order, wanted)| {
                let sent = self.notifications(order).await.map_or(0, |sent| sent.len());
                (sent < wanted).then_some((order, wanted))
            });
            let asked = asked.buffer_unordered(config.connections as usize);
            missing = asked.filter_map(async |missing| missing).collect().await;
            let stats = self.stats().await.unwrap_or_default();
            let rests = stats["waiting"] == waiting && stats["inFlight"] == 0 && stats["dead"] == dead_after;
            if missing.is_empty() && rests || Instant::now() >= end {
                break;
            }
            sleep(PAUSE).await;
        }
        let mut notified = Flaws::default();
        let wanted = ledger.notifications();
        let found = futures_util::stream::iter(wanted.clone()).map(async |(order, wanted)| {
            (order, wanted, self.notifications(order).await.unwrap_or_default())
        });
        let found: Vec<_> = found.buffer_unordered(config.connections as usize).collect().await;
        for (order, wanted, sent) in &found {
            if sent.len() != *wanted {
                let what = format!("order {order} has {} notifications instead of {wanted}", sent.len());
                notified.add(what, || format!("{}/notifications?orderId={order}", self.base));
            }
            link(ledger, *order, sent);
        }
        let stats = self.stats().await.unwrap_or_default();
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
        vec![
            Claim::of("queue.notified", source, format!("{all} notifications, each once"), &notified),
            Claim::of("queue.empty", source, rests, &left),
            Claim::of("queue.dead", source, died, &dead),
        ]
    }
}

/// Tells each request of an order the trace in which its message was consumed.
fn link(ledger: &mut RequestLedger, order: i64, sent: &[Value]) {
    for entry in ledger.entries.iter_mut().filter(|entry| entry.order == Some(order)) {
        let own = sent.iter().find(|one| one["type"].as_str() == entry.shape.notification);
        let other =
            own.and_then(|one| one["traceId"].as_str()).filter(|id| entry.trace.as_deref() != Some(id));
        entry.linked = other.map(str::to_owned);
    }
}
