//! Readiness: what a process needs, checked when `/ready` is asked.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use serde::Serialize;

/// The longest a readiness check may take before it counts as failed.
const CHECK_TIMEOUT: Duration = Duration::from_secs(1);

type Ask = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// Checks of what a process needs in order to serve. Clones share one list.
#[derive(Clone, Default)]
pub struct Health {
    checks: Arc<RwLock<Vec<HealthCheck>>>,
    draining: Arc<AtomicBool>,
}

#[derive(Clone)]
struct HealthCheck {
    name: &'static str,
    required: bool,
    ask: Ask,
}

/// Answer of `GET /ready`.
#[derive(Debug, Serialize)]
pub struct Readiness {
    /// `ready`, `not ready` or `draining`.
    pub status: &'static str,
    /// One entry for each thing this process needs.
    pub checks: Vec<CheckResult>,
}

/// Result of one check.
#[derive(Debug, Serialize)]
pub struct CheckResult {
    /// `store`, `disk`, `queue`, or the name of a service.
    pub name: &'static str,
    /// Whether the process cannot serve at all without it.
    pub required: bool,
    /// Whether it answered.
    pub ok: bool,
    /// Why not, in words that name no address and no credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Readiness {
    /// As of a process that does not serve yet.
    pub(super) fn still_starting(&mut self) {
        if self.status == "ready" {
            self.status = "not ready";
        }
        let reason = Some("still starting".to_owned());
        self.checks.push(CheckResult { name: "start", required: true, ok: false, reason });
    }
}

impl Health {
    /// Adds something this process cannot serve without: while it fails, `/ready` answers 503.
    pub fn require<F>(&self, name: &'static str, ask: F)
    where
        F: Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync + 'static,
    {
        self.add(HealthCheck { name, required: true, ask: Arc::new(ask) });
    }

    /// Adds something whose absence is worth saying but does not stop the process from serving,
    /// such as another service: its outage must not take this one out of rotation too.
    pub fn prefer<F>(&self, name: &'static str, ask: F)
    where
        F: Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync + 'static,
    {
        self.add(HealthCheck { name, required: false, ask: Arc::new(ask) });
    }

    fn add(&self, check: HealthCheck) {
        self.checks.write().unwrap_or_else(|e| e.into_inner()).push(check);
    }

    /// From now on `/ready` answers 503 whatever the checks say.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    /// Whether [`Health::drain`] was called.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    /// Asks every check at once.
    pub async fn readiness(&self) -> Readiness {
        let checks = self.checks.read().unwrap_or_else(|e| e.into_inner()).clone();
        let checks = join_all(checks.into_iter().map(HealthCheck::run)).await;
        let status = if self.is_draining() {
            "draining"
        } else if checks.iter().any(|c| c.required && !c.ok) {
            "not ready"
        } else {
            "ready"
        };
        Readiness { status, checks }
    }
}

impl HealthCheck {
    async fn run(self) -> CheckResult {
        let reason = match tokio::time::timeout(CHECK_TIMEOUT, (self.ask)()).await {
            Ok(answer) => answer.err(),
            Err(_) => Some("did not answer in time".to_owned()),
        };
        CheckResult { name: self.name, required: self.required, ok: reason.is_none(), reason }
    }
}
