//! Start: an order, or some traffic, sent through the lab because a person asks for it on the page.

use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use actix_web::http::StatusCode;
use actix_web::middleware::from_fn;
use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::jaeger;
use super::own_page::{own_page_with_token, small_json};
use super::params::{Pairs, Params};
use super::state::Console;
use crate::config::VerifyConfig;
use crate::lab::expect::Subject;
use crate::lab::verify::ledger::{LedgerEntry, RequestOutcome};
use crate::lab::verify::workload::Workload;
use crate::schema::Role;

/// Traffic ends by itself after this time.
const TRAFFIC_FOR: Duration = Duration::from_secs(120);
/// Between two of its requests.
const PAUSE: Duration = Duration::from_millis(200);
/// Orders on their way at once.
const MOST_ORDERS: usize = 4;
/// What traffic consists of, in turn; orders need the user before them.
const MIX: [Subject; 8] = [
    Subject::NewUser,
    Subject::NewOrder,
    Subject::OneOrder,
    Subject::NewOrder,
    Subject::Orders,
    Subject::NewOrder,
    Subject::OneUser,
    Subject::NewOrder,
];

/// What was started from the page, of all open pages together.
pub(super) struct StartedWork {
    orders: Semaphore,
    traffic: Mutex<StartedTraffic>,
}

#[derive(Default)]
struct StartedTraffic {
    /// Counts the starts: one that was stopped, and started again, is another.
    run: u64,
    until: Option<Instant>,
    sent: u64,
    failed: u64,
}

impl Default for StartedWork {
    fn default() -> Self {
        Self { orders: Semaphore::new(MOST_ORDERS), traffic: Mutex::default() }
    }
}

impl StartedWork {
    fn traffic(&self) -> MutexGuard<'_, StartedTraffic> {
        self.traffic.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl StartedTraffic {
    fn is_running(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() < until)
    }

    fn to_json(&self) -> Value {
        let left = self.until.map(|until| until.saturating_duration_since(Instant::now()));
        let left = left.unwrap_or_default().as_secs_f64().ceil();
        json!({"running": self.is_running(), "secondsLeft": left, "sent": self.sent, "failed": self.failed})
    }
}

/// Adds the routes that change something.
pub(super) fn routes(app: &mut web::ServiceConfig) {
    let starts = web::scope("/api/start")
        .wrap(from_fn(own_page_with_token))
        .app_data(small_json())
        .service(web::resource("/order").route(web::post().to(order)))
        .service(web::resource("/traffic").route(web::post().to(traffic)))
        .default_service(web::to(|| async { jaeger::error(StatusCode::NOT_FOUND, "no such page") }));
    app.service(starts);
}

/// `GET /api/start?traceId=`: `{"lab":…,"traffic":{…},"spans":N}`: whether the gateway answers, what traffic is sent, and how
/// many spans of the trace have come.
pub(super) async fn state(console: web::Data<Console>, pairs: Pairs) -> HttpResponse {
    let trace = match Params(&pairs).trace_id("traceId") {
        Ok(trace) => trace,
        Err(why) => return jaeger::error(StatusCode::BAD_REQUEST, &why),
    };
    let spans = trace.and_then(|id| console.trace(id)).map_or(0, |trace| trace.spans.len());
    let lab = console.services().is_up(Role::Gateway);
    HttpResponse::Ok().json(json!({
        "lab": lab, "traffic": console.started.traffic().to_json(), "spans": spans,
    }))
}

/// The lab that this console belongs to.
pub(super) fn lab(console: &Console) -> Result<VerifyConfig, Refusal> {
    VerifyConfig::defaults(console.ports.of(Role::Gateway))
        .map_err(|_| Refusal(StatusCode::INTERNAL_SERVER_ERROR, "the lab is not known"))
}

/// Why what was asked is not done.
pub(super) struct Refusal(pub(super) StatusCode, pub(super) &'static str);

impl From<Refusal> for HttpResponse {
    fn from(Refusal(status, why): Refusal) -> Self {
        jaeger::error(status, why)
    }
}

/// `POST /api/start/order {}`: `{"request":…,"status":…,"order":…,"trace":…}`. An order needs a user, who is made first; where that
/// fails, it is what is answered. `trace` is null where the trace is not recorded.
async fn order(console: web::Data<Console>, _: web::Json<Value>) -> HttpResponse {
    let Ok(_place) = console.started.orders.try_acquire() else {
        return jaeger::error(StatusCode::CONFLICT, "orders are on their way");
    };
    let config = match lab(&console) {
        Ok(config) => config,
        Err(refusal) => return refusal.into(),
    };
    let workload = Workload::new(&config);
    let mut sent = workload.send_only(Subject::NewUser, 0..1).await;
    if sent.iter().all(|entry| entry.outcome == RequestOutcome::AsExpected) {
        sent = workload.send_only(Subject::NewOrder, 0..1).await;
    }
    match sent.first().and_then(told) {
        Some(answer) => HttpResponse::Ok().json(answer),
        None => jaeger::error(StatusCode::BAD_GATEWAY, "the lab's gateway does not answer"),
    }
}

fn told(entry: &LedgerEntry) -> Option<Value> {
    let status = match entry.outcome {
        RequestOutcome::AsExpected | RequestOutcome::Settled => entry.shape.status,
        RequestOutcome::Otherwise(status) => status,
        RequestOutcome::Unknown(_) => return None,
    };
    let trace = entry.trace.as_deref().filter(|_| entry.sampled);
    Some(json!({"request": entry.shape.route, "status": status, "order": entry.order, "trace": trace}))
}

#[derive(Deserialize)]
struct WantedTraffic {
    on: bool,
}

/// `POST /api/start/traffic {"on":…}`: what is sent now.
async fn traffic(console: web::Data<Console>, wanted: web::Json<WantedTraffic>) -> HttpResponse {
    let config = match lab(&console) {
        Ok(config) => config,
        Err(refusal) => return refusal.into(),
    };
    let mut traffic = console.started.traffic();
    if !wanted.on {
        traffic.until = None;
    } else if !traffic.is_running() {
        let (run, until) = (traffic.run + 1, Instant::now() + TRAFFIC_FOR);
        *traffic = StartedTraffic { run, until: Some(until), sent: 0, failed: 0 };
        actix_web::rt::spawn(send(console.clone(), config, run));
    }
    HttpResponse::Ok().json(traffic.to_json())
}

/// One request after the other, until it is stopped or its time is over.
async fn send(console: web::Data<Console>, config: VerifyConfig, run: u64) {
    let workload = Workload::new(&config);
    for (number, subject) in MIX.iter().cycle().enumerate() {
        let sent = workload.send_only(*subject, number..number + 1).await;
        {
            let mut traffic = console.started.traffic();
            if traffic.run != run || !traffic.is_running() {
                return;
            }
            for entry in sent {
                let well = [RequestOutcome::AsExpected, RequestOutcome::Settled].contains(&entry.outcome);
                traffic.sent += 1;
                traffic.failed += u64::from(!well);
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::console::sample::{self, post, token};

    #[actix_web::test]
    async fn what_acts_on_the_lab_is_taken_from_the_consoles_own_page_with_its_token_alone() {
        let console = sample::console();
        let token = token(&console).await;
        let json_body = ("content-type", "application/json");
        let right = ("x-console-token", token.as_str());
        for path in ["/api/start/order", "/api/start/traffic", "/api/faults/set", "/api/faults/clear"] {
            for refused in [
                &[json_body][..],
                &[json_body, ("x-console-token", "")],
                &[json_body, ("x-console-token", "0123456789abcdef0123456789abcdef")],
                &[right],
                &[json_body, right, ("origin", "http://evil.example")],
                &[json_body, right, ("sec-fetch-site", "same-site")],
            ] {
                let said = post(&console, path, refused, r#"{"on":true}"#).await;
                assert_eq!(said.status, 403, "{path} {refused:?}");
            }
        }
        assert_eq!(console.started.traffic().run, 0);
        let said = post(&console, "/api/start/traffic", &[json_body, right], r#"{"on":1}"#).await;
        assert_eq!((said.status, &said.json["errors"][0]["code"]), (400, &json!(400)));
    }

    #[actix_web::test]
    async fn traffic_is_counted_and_ends_when_it_is_told_so_and_without_a_lab_an_order_says_why() {
        let console = sample::console();
        let token = token(&console).await;
        let headers = [("content-type", "application/json"), ("x-console-token", token.as_str())];
        let said = post(&console, "/api/start/traffic", &headers, r#"{"on":true}"#).await;
        assert_eq!((said.status, &said.json["running"]), (200, &json!(true)));
        let again = post(&console, "/api/start/traffic", &headers, r#"{"on":true}"#).await;
        assert!(again.json["secondsLeft"].as_f64().unwrap() <= 120.0);
        assert_eq!(console.started.traffic().run, 1, "it is sent once");
        let until = Instant::now() + Duration::from_secs(10);
        while console.started.traffic().failed == 0 {
            assert!(Instant::now() < until, "nothing was sent");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let said = post(&console, "/api/start/traffic", &headers, r#"{"on":false}"#).await;
        assert_eq!(said.json["running"], false);
        let said = post(&console, "/api/start/order", &headers, "{}").await;
        assert_eq!(
            (said.status, &said.json["errors"][0]["msg"]),
            (502, &json!("the lab's gateway does not answer"))
        );
    }
}
