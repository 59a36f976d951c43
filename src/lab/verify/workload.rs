//! The workload: users, then orders, then every other kind of request, each sent once on purpose.

use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::http::Method;
use futures_util::StreamExt as _;
use serde_json::{Value, json};

use super::ledger::{LedgerEntry, RequestLedger, RequestOutcome};
use crate::config::{TraceMode, TraceSampler, VerifyConfig};
use crate::lab::expect::{Condition, NO_VALIDATOR, SHAPES, Shape, Subject};
use crate::lab::load::span::RequestTrace;
use crate::runtime::error::TRACE_RESPONSE;
use crate::runtime::oneshot::{OneShot, OneShotAnswer, OneShotError};

/// The most of an answer that is read, in bytes.
const LARGEST_ANSWER: usize = 1 << 20;
/// An id that no row ever has.
const NOBODY: i64 = 999_999_999_999;
/// How often a request without an answer is repeated under its key, and the wait before the first time.
const REPEATS: u32 = 5;
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// What is sent once: a shape and the row it is about.
#[derive(Clone)]
struct Planned {
    shape: Arc<Shape>,
    number: usize,
}

fn planned_times(shape: &Arc<Shape>, times: usize) -> impl Iterator<Item = Planned> {
    let shape = shape.clone();
    (0..times).map(move |number| Planned { shape: shape.clone(), number })
}

/// Sends requests and keeps the ledger.
pub(crate) struct Workload<'a> {
    config: &'a VerifyConfig,
    http: OneShot,
    base: String,
    /// Tells rows of this run from those of others.
    run: String,
    users: RefCell<Vec<i64>>,
    orders: RefCell<Vec<i64>>,
    attempts: Cell<u32>,
    /// Whose decisions are expected.
    sampler: Option<TraceSampler>,
}

impl<'a> Workload<'a> {
    pub(crate) fn new(config: &'a VerifyConfig) -> Self {
        let http = OneShot::new(config.timeout, LARGEST_ANSWER);
        let run = format!("{}-{:08x}", config.seed, fastrand::u32(..));
        let (users, orders) = (RefCell::default(), RefCell::default());
        // One that cannot be used was refused at the start.
        let sampler = config.sampling.expected().ok().flatten();
        Self { config, http, base: config.target(), run, users, orders, attempts: Cell::new(0), sampler }
    }

    /// Sends everything.
    pub(super) async fn send(&self) -> RequestLedger {
        let started = Instant::now();
        let orders = self.config.orders as usize;
        let others = (orders / 10).max(1);
        let mut ledger = RequestLedger::default();
        let shapes = self.shapes();
        // Orders need users, and the rest needs both.
        for (subject, times) in [(Subject::NewUser, others), (Subject::NewOrder, orders)] {
            let planned = shapes.iter().filter(|shape| shape.subject == subject);
            let all = planned.flat_map(|shape| planned_times(shape, times));
            ledger.entries.extend(self.all(all.collect()).await);
        }
        let rest = shapes.iter().filter(|s| ![Subject::NewUser, Subject::NewOrder].contains(&s.subject));
        let mut rest: Vec<_> = rest.flat_map(|shape| planned_times(shape, others)).collect();
        fastrand::Rng::with_seed(self.config.seed).shuffle(&mut rest);
        ledger.entries.extend(self.all(rest).await);
        ledger.took = started.elapsed();
        ledger.attempts = self.attempts.get();
        ledger.sampler = self.sampler.clone();
        let sampler = self.sampler.is_some() || ledger.known().any(|entry| !entry.sampled);
        let detached = shapes.iter().any(|shape| shape.spans.iter().any(|span| span.detached));
        ledger.uncounted = self.conditions().flat_map(|one| one.uncounted).copied().collect();
        ledger.sampled_apart = (detached || self.config.queue_trace_mode == TraceMode::Link) && sampler;
        ledger
    }

    /// Sends one kind of request, once for each number; numbers are used once in a run.
    pub(crate) async fn send_only(&self, subject: Subject, numbers: Range<usize>) -> Vec<LedgerEntry> {
        let shape = self.shapes().into_iter().find(|shape| shape.subject == subject);
        let planned = shape
            .into_iter()
            .flat_map(|shape| numbers.clone().map(move |number| Planned { shape: shape.clone(), number }));
        self.all(planned.collect()).await
    }

    fn conditions(&self) -> impl Iterator<Item = &'static Condition> {
        let faults = self.config.faults.iter().map(String::as_str);
        faults.chain(self.config.without_validator.then_some(NO_VALIDATOR)).filter_map(Condition::named)
    }

    /// Every shape, as it is under the conditions of this run.
    fn shapes(&self) -> Vec<Arc<Shape>> {
        let conditions: Vec<_> = self.conditions().collect();
        let changed = SHAPES.iter().cloned().map(|mut shape| {
            conditions.iter().for_each(|one| one.apply(&mut shape, self.config.queue_max_attempts));
            Arc::new(shape)
        });
        changed.collect()
    }

    async fn all(&self, planned: Vec<Planned>) -> Vec<LedgerEntry> {
        let sent = futures_util::stream::iter(planned).map(|planned| self.one(planned));
        sent.buffer_unordered(self.config.connections as usize).collect().await
    }

    async fn one(&self, planned: Planned) -> LedgerEntry {
        let Planned { shape, number } = planned.clone();
        let cents = i64::try_from(number % 900).unwrap_or_default() + 100;
        let (path, body) = self.request(&planned, cents);
        let method = Method::from_bytes(shape.route.split(' ').next().unwrap_or_default().as_bytes());
        let method = method.unwrap_or(Method::GET);
        let (answer, settled) = self.ask(&method, &path, body, &planned).await;
        let mut entry = LedgerEntry {
            shape: shape.clone(),
            path: path.split('?').next().unwrap_or_default().to_owned(),
            outcome: RequestOutcome::AsExpected,
            trace: None,
            sampled: false,
            flagged: false,
            order: None,
            linked: None,
            cents,
        };
        match answer {
            Err(why) => entry.outcome = RequestOutcome::Unknown(why.to_string()),
            Ok(answer) => {
                entry.outcome = match answer.status.as_u16() {
                    status if status != shape.status => RequestOutcome::Otherwise(status),
                    _ if settled => RequestOutcome::Settled,
                    _ => RequestOutcome::AsExpected,
                };
                self.learn(&mut entry, &answer);
            }
        }
        entry
    }

    /// Asks; what is not answered and has a key is repeated under it. The second value says whether it was.
    async fn ask(
        &self,
        method: &Method,
        path: &str,
        body: Option<Value>,
        planned: &Planned,
    ) -> (Result<OneShotAnswer, OneShotError>, bool) {
        let url = format!("{}{path}", self.base);
        let key = format!("verify-{}-{}", self.run, planned.number);
        let keyed = planned.shape.subject == Subject::NewOrder;
        let mut headers = vec![("user-agent", "o11y-lab-verify")];
        if keyed {
            headers.push(("idempotency-key", key.as_str()));
        }
        let mut wait = FIRST_WAIT;
        let body = body.map(|body| body.to_string());
        let count = || self.attempts.set(self.attempts.get() + 1);
        count();
        let mut answer = self.http.send(method.clone(), &url, &headers, body.clone()).await;
        let mut repeated = false;
        for _ in 0..if keyed { REPEATS } else { 0 } {
            if answer.is_ok() {
                break;
            }
            repeated = true;
            tokio::time::sleep(wait).await;
            wait *= 2;
            count();
            answer = self.http.send(method.clone(), &url, &headers, body.clone()).await;
        }
        (answer, repeated)
    }

    fn request(&self, Planned { shape, number }: &Planned, cents: i64) -> (String, Option<Value>) {
        let path = shape.route.split_once(' ').map_or("/", |(_, path)| path);
        let of = |id: i64| path.replace("{id}", &id.to_string());
        let pick = |ids: &RefCell<Vec<i64>>| {
            let ids = ids.borrow();
            ids.get(number % ids.len().max(1)).copied().unwrap_or(NOBODY)
        };
        let order =
            |user: i64| json!({"userId": user, "items": ["book"], "total": super::ledger::cents(cents)});
        match shape.subject {
            Subject::NewUser => {
                let email = format!("verify-{}-{number}@example.com", self.run);
                (of(0), Some(json!({"name": "Verify", "email": email})))
            }
            Subject::BadUser => (of(0), Some(json!({"name": "", "email": "none"}))),
            Subject::NewOrder | Subject::Verdict => (of(0), Some(order(pick(&self.users)))),
            Subject::BadOrder => (of(0), Some(json!({"userId": 0, "items": [], "total": -1}))),
            Subject::OrphanOrder => (of(0), Some(order(NOBODY))),
            Subject::OneOrder => (of(pick(&self.orders)), None),
            Subject::OneUser => (of(pick(&self.users)), None),
            Subject::NoOrder | Subject::NoUser => (of(NOBODY), None),
            Subject::Users | Subject::Orders => (format!("{path}?limit=5"), None),
            Subject::Complete => (of(pick(&self.orders)), Some(json!({"status": "completed"}))),
            Subject::Root => ("/".to_owned(), None),
            Subject::Stray => (format!("/stray/{number}"), None),
        }
    }

    fn learn(&self, entry: &mut LedgerEntry, answer: &OneShotAnswer) {
        let named = answer.headers.get(TRACE_RESPONSE).and_then(|value| value.to_str().ok());
        let named = named.and_then(RequestTrace::in_answer);
        entry.flagged = named.as_ref().is_some_and(|trace| trace.sampled);
        entry.trace = named.map(|trace| trace.id);
        entry.sampled = match (&self.sampler, &entry.trace) {
            (Some(sampler), Some(id)) => sampler.keeps(id),
            _ => entry.flagged,
        };
        let body: Value = answer.json().unwrap_or_default();
        let id = body["id"].as_i64();
        match entry.shape.subject {
            Subject::NewUser => self.users.borrow_mut().extend(id),
            Subject::NewOrder => {
                entry.order = id;
                self.orders.borrow_mut().extend(id);
            }
            Subject::Complete | Subject::OneOrder => entry.order = id,
            _ => {}
        }
    }
}
