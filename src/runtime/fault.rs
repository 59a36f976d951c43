//! Faults: failures of this process on purpose, each for a limited time.
//!
//! One handle, [`Faults`], is asked at each place that can fail; while nothing is active the answer
//! costs one atomic read. What a fault does stands where it is asked for: requests in `served`, calls in
//! `runtime::client`, the database in `store`, the queue in `queue::fault`; what goes on beside that, in `effects`. [`FAULTS`](crate::schema::FAULTS) lists them all.

mod api;
mod effects;
mod request;
mod served;
mod settings;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::Instant;

pub use self::api::REPLAY;
use self::effects::Effects;
use self::request::FaultRequest;
pub use self::settings::FaultSettings;
use super::Shutdown;
use crate::schema::{FAULT_ENDS, FAULT_SET, Fault, Role, Route, names};

const CLEARED: &str = FAULT_ENDS[0];
const EXPIRED: &str = FAULT_ENDS[1];

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
    effects: Effects,
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

    /// Says that it ends: on the gauge, and in the log with the words for how.
    fn end(&self, words: &'static str) {
        metrics::gauge!(names::FAULT_ACTIVE, "fault" => self.fault.name).set(0.0);
        tracing::warn!(fault = self.fault.name, "{words}");
    }
}

impl Faults {
    /// The faults of a role that may be told to have some.
    pub fn possible(role: Role, routes: &'static [Route]) -> Self {
        let (any, active, changed) = Default::default();
        let effects = Effects::of_runtime();
        Self(Some(Arc::new(FaultState { role, routes, any, active, changed, effects })))
    }

    /// Calls `change` with the settings whenever `fault` is set, and with none when it ends: for what a
    /// fault takes and has to release. It must be quick, and must not ask for faults.
    pub fn on_change(
        &self,
        fault: &'static str,
        change: impl Fn(Option<&FaultSettings>) + Send + Sync + 'static,
    ) {
        if let Some(inner) = &self.0 {
            inner.effects.add(fault, change);
        }
    }

    /// Whether any fault is active.
    fn any(&self) -> bool {
        self.0.as_ref().is_some_and(|inner| inner.any.load(Ordering::Acquire))
    }

    /// Whether this process can be told to have any.
    pub fn are_possible(&self) -> bool {
        self.0.is_some()
    }

    /// Whether `fault` happens now: it is active, and the dice, where it has a ratio, say so.
    pub fn hits(&self, fault: &str) -> Option<FaultSettings> {
        // The clock is read only where anything is active.
        if !self.any() {
            return None;
        }
        let settings = self.settings(fault, Instant::now())?;
        settings.ratio.is_none_or(|ratio| fastrand::f64() < ratio).then_some(settings)
    }

    fn settings(&self, fault: &str, now: Instant) -> Option<FaultSettings> {
        let inner = self.0.as_ref().filter(|inner| inner.any.load(Ordering::Acquire))?;
        let active = inner.lock();
        active.iter().find(|one| one.fault.name == fault && one.until > now).map(|one| one.settings)
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
            inner.effects.changed(fault.name, Some(&settings));
        }
        inner.changed.notify_one();
        let settings = json!(settings).to_string();
        tracing::warn!(fault = fault.name, seconds = lasts.as_secs(), settings, "{FAULT_SET}");
        Some(one)
    }

    /// Ends one fault, or all; returns the names of those that were active.
    fn clear(&self, name: Option<&str>) -> Vec<&'static str> {
        self.end(CLEARED, |one| name.is_none_or(|name| name == one.fault.name))
    }

    fn end(&self, words: &'static str, which: impl Fn(&ActiveFault) -> bool) -> Vec<&'static str> {
        let Some(inner) = &self.0 else { return Vec::new() };
        let mut active = inner.lock();
        let ended: Vec<_> = active.extract_if(.., |one| which(one)).collect();
        inner.any.store(!active.is_empty(), Ordering::Release);
        for one in &ended {
            one.end(words);
            inner.effects.changed(one.fault.name, None);
        }
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

/// Says of each fault whose time is over that it is, until `shutdown` begins. A hook does not wait
/// for this: it looks at the time itself.
pub async fn expire(all: Faults, shutdown: Shutdown) {
    let Some(inner) = all.0.clone() else { return };
    loop {
        let now = Instant::now();
        all.end(EXPIRED, |one| one.until <= now);
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
    use std::time::Duration;

    use actix_web::http::StatusCode;

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
        assert_eq!(
            all.request(&ROUTES[0], "/orders").await.unwrap_err().status(),
            StatusCode::SERVICE_UNAVAILABLE
        );
        assert!(all.request(&ROUTES[1], "/orders/1").await.is_ok());
        assert!(Faults::default().request(&ROUTES[0], "/orders").await.is_ok());
    }

    #[test]
    fn a_ratio_is_the_share_that_is_hit() {
        let all = Faults::possible(Role::Order, ROUTES);
        set(&all, &json!({"fault": "error", "ratio": 0.25}), Instant::now());
        let hit = (0..10_000).filter(|_| all.hits("error").is_some()).count();
        assert!((2_000..3_000).contains(&hit), "{hit}");
    }
}
