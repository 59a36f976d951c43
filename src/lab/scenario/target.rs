//! The lab on which a stage is set, from outside: its gateway, its roles' faults, its queue.

use std::time::Duration;

use actix_web::http::Method;
use serde_json::Value;

use super::NotPassed;
use super::scene::{Scene, StagedFault};
use super::until::{Unmet, until};
use crate::config::VerifyConfig;
use crate::lab::fault::staged::RoleFaults;
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

    fn faults(&self, fault: &StagedFault) -> Result<RoleFaults, String> {
        let role = fault.role().ok_or("no such role")?;
        Ok(RoleFaults::at(&self.config.of(role)))
    }

    pub(super) async fn set(&self, fault: &StagedFault) -> Result<(), String> {
        self.faults(fault)?.set(&fault.settings).await
    }

    /// Clears one fault; that it is over already is no error.
    pub(super) async fn clear(&self, fault: &StagedFault) -> Result<(), String> {
        self.faults(fault)?.clear(&fault.fault).await
    }

    /// Whether a fault is active at its role.
    pub(super) async fn is_active(&self, fault: &StagedFault) -> Result<bool, String> {
        self.faults(fault)?.is_active(&fault.fault).await
    }

    /// Sends every dead letter back to the queue.
    pub(super) async fn replay(&self) -> Result<(), String> {
        let url = format!("{}/faults/replay", self.config.of(Role::Notify));
        let answer = self.http.send(Method::POST, &url, &[], Some("{}".to_owned())).await;
        match answer.map_err(|why| format!("{url}: {why}"))? {
            answer if answer.is_success() => Ok(()),
            answer => {
                let json: Value = answer.json().unwrap_or_default();
                let detail = json["detail"].as_str().unwrap_or("no reason given");
                Err(format!("{url} answered {}: {detail}", answer.status))
            }
        }
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
        let wanted = scene.orders().count() as u64;
        until(within, PAUSE, async || {
            let notified = self.notified(scene).await as u64;
            let dead = self.dead().await?.saturating_sub(scene.dead_before);
            let done = notified + if or_dead { dead } else { 0 } >= wanted && (or_dead || dead == 0);
            let so_far = || format!("of {wanted} orders {notified} are notified, {dead} letters are dead");
            if done { Ok(()) } else { Err(Unmet::NotYet(so_far())) }
        })
        .await
    }
}
