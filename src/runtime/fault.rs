//! Faults: failures of this process on purpose, each for a limited time.
//!
//! One handle, [`Faults`], is asked at each place that can fail; while nothing is active the answer
//! costs one atomic read. What a fault does stands where it is asked for: requests here, the database
//! in `store::session`, the queue in `queue::fault`. [`FAULTS`](crate::schema::FAULTS) lists them all.

mod api;
mod request;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use actix_web::http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

pub use self::api::REPLAY;
use self::request::FaultRequest;
use super::{Problem, Shutdown};
use crate::schema::{FAULT_ATTRIBUTE, Fault, Role, Route, faults, names};

/// The faults of one process. Clones share them; the default can have none.
#[derive(Clone, Default)]
pub struct Faults(Option<Arc<FaultState>>);

struct FaultState {
    role: Role,
    routes: &'static [Route],
    /// Whether `active` holds any.
    any: AtomicBool,
    /// At most one for each row of the table.
    active: Mutex<Vec<ActiveFault>>,
    changed: Notify,
}

/// Parameters of an active fault; one that the fault does not have is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct FaultSettings {
    #[serde(skip_serializing_if = "Option::is_none")]
    ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'static str>,
}

impl FaultSettings {
    /// The time to add.
    pub fn extra(&self) -> Duration {
        Duration::from_millis(self.ms.unwrap_or_default())
    }
}

#[derive(Clone, Copy)]
struct ActiveFault {
    fault: &'static Fault,
    settings: FaultSettings,
    until: Instant,
}

impl ActiveFault {
    fn to_json(self, now: Instant) -> Value {
        let mut value = json!(self.settings);
        value["fault"] = json!(self.fault.name);
        value["secondsLeft"] = json!((self.until - now).as_secs_f64().ceil());
        value
    }

    /// Says that it ends: on the gauge, and in the log in the `past` form of how.
    fn end(&self, past: &'static str) {
        metrics::gauge!(names::FAULT_ACTIVE, "fault" => self.fault.name).set(0.0);
        tracing::warn!(fault = self.fault.name, "Fault {past}");
    }
}

impl Faults {
    /// The faults of a role that may be told to have some.
    pub fn possible(role: Role, routes: &'static [Route]) -> Self {
        let (any, active, changed) = Default::default();
        Self(Some(Arc::new(FaultState { role, routes, any, active, changed })))
    }

    /// Whether this process can be told to have any.
    pub fn are_possible(&self) -> bool {
        self.0.is_some()
    }

    /// Whether `fault` happens now: it is active, and the dice, where it has a ratio, say so.
    pub fn hits(&self, fault: &str) -> Option<FaultSettings> {
        // The clock is read only where anything is active.
        self.0.as_ref().filter(|inner| inner.any.load(Ordering::Acquire))?;
        let settings = self.settings(fault, Instant::now())?;
        settings.ratio.is_none_or(|ratio| fastrand::f64() < ratio).then_some(settings)
    }

    fn settings(&self, fault: &str, now: Instant) -> Option<FaultSettings> {
        let inner = self.0.as_ref().filter(|inner| inner.any.load(Ordering::Acquire))?;
        let active = inner.lock();
        active.iter().find(|one| one.fault.name == fault && one.until > now).map(|one| one.settings)
    }

    /// What a request of `route` suffers, within its span: it waits, and it may be an error. The
    /// error looks like any other of this service; only the log and the span say where it is from.
    pub async fn request(&self, route: &Route) -> Result<(), Problem> {
        let here = |fault| self.hits(fault).filter(|s| s.route.is_none_or(|only| only == route.path));
        let (latency, error) = (here(faults::LATENCY), here(faults::ERROR));
        let hit = [latency.map(|_| faults::LATENCY), error.map(|_| faults::ERROR)];
        let hit: Vec<_> = hit.into_iter().flatten().collect();
        if !hit.is_empty() {
            Span::current().set_attribute(FAULT_ATTRIBUTE, hit.join(","));
        }
        if let Some(latency) = latency {
            tokio::time::sleep(latency.extra()).await;
        }
        error.map_or(Ok(()), |error| Err(problem(error.status)))
    }

    fn set(&self, wanted: FaultRequest, now: Instant) -> Option<ActiveFault> {
        let inner = self.0.as_ref()?;
        let FaultRequest { fault, settings, lasts } = wanted;
        let one = ActiveFault { fault, settings, until: now + lasts };
        {
            let mut active = inner.lock();
            active.retain(|other| other.fault.name != fault.name);
            active.push(one);
            inner.any.store(true, Ordering::Release);
            // Under the lock: the last word on the gauge is about the last change.
            metrics::gauge!(names::FAULT_ACTIVE, "fault" => fault.name).set(1.0);
        }
        inner.changed.notify_one();
        let settings = json!(settings).to_string();
        tracing::warn!(fault = fault.name, seconds = lasts.as_secs(), settings, "Fault set");
        Some(one)
    }

    /// Ends one fault, or all; returns the names of those that were active.
    fn clear(&self, name: Option<&str>) -> Vec<&'static str> {
        self.end("cleared", |one| name.is_none_or(|name| name == one.fault.name))
    }

    fn end(&self, past: &'static str, which: impl Fn(&ActiveFault) -> bool) -> Vec<&'static str> {
        let Some(inner) = &self.0 else { return Vec::new() };
        let mut active = inner.lock();
        let ended: Vec<_> = active.extract_if(.., |one| which(one)).collect();
        inner.any.store(!active.is_empty(), Ordering::Release);
        ended.iter().for_each(|one| one.end(past));
        ended.iter().map(|one| one.fault.name).collect()
    }

    fn active(&self, now: Instant) -> Vec<ActiveFault> {
        let Some(inner) = &self.0 else { return Vec::new() };
        inner.lock().iter().filter(|one| one.until > now).copied().collect()
    }
}

impl FaultState {
    fn lock(&self) -> MutexGuard<'_, Vec<ActiveFault>> {
        self.active.lock().unwrap_or_else(|e| e.into_inner())
    }
}

fn problem(status: Option<u64>) -> Problem {
    let cause = "injected by the fault error";
    match status.and_then(|status| StatusCode::from_u16(status as u16).ok()) {
        Some(StatusCode::SERVICE_UNAVAILABLE) => Problem::unavailable("not available now").because(cause),
        Some(StatusCode::GATEWAY_TIMEOUT) => Problem::timeout("the request took too long").because(cause),
        _ => Problem::internal(cause),
    }
}

/// Says of each fault whose time is over that it is, until `shutdown` begins. A hook does not wait
/// for this: it looks at the time itself.
pub async fn expire(all: Faults, shutdown: Shutdown) {
    let Some(inner) = all.0.clone() else { return };
    loop {
        let now = Instant::now();
        all.end("expired", |one| one.until <= now);
        let next = inner.lock().iter().map(|one| one.until).min();
        let expiry = async {
            match next {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = expiry => {}
            () = inner.changed.notified() => {}
            () = shutdown.wait() => return,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const ROUTES: &[Route] = &[
        Route { method: "GET", path: "/orders", statuses: &[] },
        Route { method: "GET", path: "/orders/{id}", statuses: &[] },
    ];

    fn set(all: &Faults, body: &Value, now: Instant) {
        all.set(FaultRequest::parse(body, Role::Order, ROUTES).unwrap(), now).unwrap();
    }

    #[test]
    fn a_fault_lasts_exactly_as_long_as_it_was_set_for() {
        let (all, start) = (Faults::possible(Role::Order, ROUTES), Instant::now());
        set(&all, &json!({"fault": "slow-db", "ms": 7, "seconds": 10}), start);
        let at = |ms| all.settings("slow-db", start + Duration::from_millis(ms));
        assert_eq!(at(9_999).unwrap().extra(), Duration::from_millis(7));
        assert_eq!(at(10_000), None);
        assert_eq!(all.settings("error", start), None);
        assert!(all.active(start + Duration::from_secs(10)).is_empty());
        assert_eq!(all.active(start)[0].to_json(start)["secondsLeft"], 10.0);
    }

    #[test]
    fn a_fault_set_again_replaces_itself_and_clearing_ends_one_or_all() {
        let (all, now) = (Faults::possible(Role::Order, ROUTES), Instant::now());
        set(&all, &json!({"fault": "slow-db", "ms": 7}), now);
        set(&all, &json!({"fault": "slow-db", "ms": 8}), now);
        set(&all, &json!({"fault": "error"}), now);
        assert_eq!(all.settings("slow-db", now).unwrap().ms, Some(8));
        assert_eq!(all.active(now).len(), 2);
        assert_eq!(all.clear(Some("slow-db")), ["slow-db"]);
        assert_eq!(all.settings("slow-db", now), None);
        assert_eq!((all.clear(None), all.clear(None)), (vec!["error"], vec![]));
    }

    #[actix_web::test]
    async fn a_request_is_hit_only_on_its_route_and_a_process_without_faults_never() {
        let all = Faults::possible(Role::Order, ROUTES);
        set(&all, &json!({"fault": "error", "route": "/orders", "status": 503}), Instant::now());
        assert_eq!(all.request(&ROUTES[0]).await.unwrap_err().status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(all.request(&ROUTES[1]).await.is_ok());
        assert!(Faults::default().request(&ROUTES[0]).await.is_ok());
    }

    #[test]
    fn a_ratio_is_the_share_that_is_hit() {
        let all = Faults::possible(Role::Order, ROUTES);
        set(&all, &json!({"fault": "error", "ratio": 0.25}), Instant::now());
        let hit = (0..10_000).filter(|_| all.hits("error").is_some()).count();
        assert!((2_000..3_000).contains(&hit), "{hit}");
    }
}
