//! The lab on which a stage is set, from outside: its gateway, its roles' faults, its queue.

use std::time::{Duration, Instant};

use actix_web::http::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::NotPassed;
use super::scene::{Scene, StagedFault};
use crate::config::VerifyConfig;
use crate::lab::verify::queue::QueueWitness;
use crate::runtime::oneshot::OneShot;
use crate::schema::Role;

const ANSWER_WITHIN: Duration = Duration::from_secs(5);
const LARGEST_ANSWER: usize = 1 << 20;
const PAUSE: Duration = Duration::from_millis(100);

/// A running lab.
pub struct LessonLab {
    /// Where it is.
    pub(super) config: VerifyConfig,
    /// Where its metrics are read, if not on the pages of its roles.
    pub(super) prometheus: Option<String>,
    pub(super) http: OneShot,
}

impl LessonLab {
    /// The lab on these ports, whether it answers or not.
    ///
    /// # Errors
    /// Never: every setting has a default.
    pub fn at(port_base: u16, prometheus: Option<String>) -> anyhow::Result<Self> {
        let http = OneShot::new(ANSWER_WITHIN, LARGEST_ANSWER);
        Ok(Self { config: VerifyConfig::defaults(port_base)?, prometheus, http })
    }

    /// The lab on these ports, which has to answer and to let faults be set.
    ///
    /// # Errors
    /// It does not ([`NotPassed`], exit code 3).
    pub async fn reach(port_base: u16, prometheus: Option<String>) -> anyhow::Result<Self> {
        let lab = Self::at(port_base, prometheus)?;
        for role in [Role::Gateway, Role::User, Role::Order, Role::Notify, Role::Lambda] {
            let url = format!("{}/faults", lab.config.of(role));
            match lab.http.status(&url).await {
                Ok(status) if status.is_success() => {}
                Ok(_) => return Err(NotPassed::untold(format!("faults are off at {url} (FAULTS_ENABLED)"))),
                Err(why) => {
                    let why = format!("the lab is not running: {url}: {why} (o11y-lab up, --port-base)");
                    return Err(NotPassed::untold(why));
                }
            }
        }
        let console = format!("{}/health", lab.config.console());
        match lab.http.status(&console).await {
            Ok(status) if status.is_success() => Ok(lab),
            _ => Err(NotPassed::untold(format!("there is no console at {console}: its telemetry is read"))),
        }
    }

    /// The first port.
    pub(super) fn port_base(&self) -> u16 {
        self.config.ports.port_base
    }

    async fn ask(&self, method: Method, url: &str, body: Option<&Value>) -> Result<Value, String> {
        let answer = self.http.send(method, url, &[], body.map(Value::to_string)).await;
        let answer = answer.map_err(|why| format!("{url}: {why}"))?;
        let json: Value = answer.json().unwrap_or_default();
        match answer.is_success() {
            true => Ok(json),
            false => {
                let detail = json["detail"].as_str().unwrap_or("no reason given");
                Err(format!("{url} answered {}: {detail}", answer.status))
            }
        }
    }

    pub(super) async fn set(&self, fault: &StagedFault) -> Result<(), String> {
        let role = fault.role().ok_or("no such role")?;
        let url = format!("{}/faults", self.config.of(role));
        self.ask(Method::POST, &url, Some(&fault.settings)).await.map(drop)
    }

    /// Clears one fault; that it is over already is no error.
    pub(super) async fn clear(&self, fault: &StagedFault) -> Result<(), String> {
        let role = fault.role().ok_or("no such role")?;
        let url = format!("{}/faults/{}", self.config.of(role), fault.fault);
        self.ask(Method::DELETE, &url, None).await.map(drop)
    }

    /// Whether a fault is active at its role.
    pub(super) async fn is_active(&self, fault: &StagedFault) -> Result<bool, String> {
        let role = fault.role().ok_or("no such role")?;
        let active = self.ask(Method::GET, &format!("{}/faults", self.config.of(role)), None).await?;
        let active = active["active"].as_array().cloned().unwrap_or_default();
        Ok(active.iter().any(|one| one["fault"] == fault.fault.as_str()))
    }

    /// Sends every dead letter back to the queue.
    pub(super) async fn replay(&self) -> Result<(), String> {
        let url = format!("{}/faults/replay", self.config.of(Role::Notify));
        self.ask(Method::POST, &url, Some(&json!({}))).await.map(drop)
    }

    fn queue(&self) -> QueueWitness {
        QueueWitness::at(&self.config)
    }

    /// How many letters are dead.
    pub(super) async fn dead(&self) -> Result<u64, String> {
        let stats = self.queue().stats().await.unwrap_or_default();
        stats["dead"]
            .as_u64()
            .ok_or_else(|| "notification-service does not tell the queue's depth".to_owned())
    }

    /// How many of the orders of a scene are notified.
    pub(super) async fn notified(&self, scene: &Scene) -> usize {
        let queue = self.queue();
        let mut notified = 0;
        for order in scene.orders() {
            notified += usize::from(queue.notifications(order).await.is_some_and(|sent| !sent.is_empty()));
        }
        notified
    }

    /// Waits until each accepted order is notified, where so many may be dead instead.
    pub(super) async fn delivered(
        &self,
        scene: &Scene,
        within: Duration,
        or_dead: bool,
    ) -> Result<(), String> {
        let (end, wanted) = (Instant::now() + within, scene.orders().count() as u64);
        loop {
            let notified = self.notified(scene).await as u64;
            let dead = self.dead().await?.saturating_sub(scene.dead_before);
            if notified + if or_dead { dead } else { 0 } >= wanted && (or_dead || dead == 0) {
                return Ok(());
            }
            if Instant::now() >= end {
                return Err(format!("of {wanted} orders {notified} are notified, {dead} letters are dead"));
            }
            sleep(PAUSE).await;
        }
    }
}
