//! A stage that was set: what was staged, what was sent, and what the client saw of it. Kept between two commands
//! as JSON, and in the console.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::answer::Answer;
use super::model::Scenario;
use crate::lab::expect::{Shape, Subject};
use crate::lab::verify::ledger::{LedgerEntry, RequestOutcome};
use crate::schema::{Role, SERVICES};

/// See the module.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Scene {
    /// The scenario's name.
    pub scenario: String,
    /// What differed from run to run was drawn with it.
    pub seed: u64,
    /// When it began, in nanoseconds since the epoch.
    pub began: u64,
    /// The faults that were set, in order.
    pub(super) faults: Vec<StagedFault>,
    /// The requests that were sent, in order of the answers within a step.
    pub(super) sent: Vec<SceneRequest>,
    /// The numbers that were noted.
    pub(super) notes: BTreeMap<String, f64>,
    /// Dead letters before anything was done.
    pub(super) dead_before: u64,
    /// Hints that were given.
    pub(super) hints: usize,
    /// The right answer, once the stage is set.
    pub(super) truth: Option<Answer>,
}

/// A fault that was set.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct StagedFault {
    /// Its name.
    pub(super) fault: String,
    /// The command of its role.
    pub(super) role: String,
    /// The body of `POST /faults`.
    pub(super) settings: Value,
    /// When it was set, in nanoseconds since the epoch.
    #[serde(default)]
    pub(super) set: u64,
    /// When the stage cleared it, likewise; 0 while it is active.
    #[serde(default)]
    pub(super) cleared: u64,
    /// Set beside the cause, to lead away from it.
    #[serde(default)]
    pub(super) distraction: bool,
}

/// The time, in nanoseconds since the epoch.
pub(super) fn nanos_now() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or_default()
}

impl StagedFault {
    /// The role.
    pub(super) fn role(&self) -> Option<Role> {
        SERVICES.iter().find(|row| row.command == self.role).map(|row| row.role)
    }

    /// A number of its settings.
    pub(super) fn number(&self, name: &str) -> f64 {
        self.settings[name].as_f64().unwrap_or_default()
    }
}

/// A request that was sent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SceneRequest {
    /// The name of its shape.
    pub(super) shape: String,
    /// The status of its answer; 0 where there was none.
    pub(super) status: u16,
    /// Its trace.
    pub(super) trace: Option<String>,
    /// Whether the answer says that the trace is recorded.
    pub(super) sampled: bool,
    /// The order that it made or is about.
    pub(super) order: Option<i64>,
    /// Whether it was sent while the fault was set, or is the cause itself.
    pub(super) caused: bool,
}

impl SceneRequest {
    pub(super) fn of(entry: &LedgerEntry, caused: bool) -> Self {
        let status = match &entry.outcome {
            RequestOutcome::AsExpected | RequestOutcome::Settled => entry.shape.status,
            RequestOutcome::Otherwise(status) => *status,
            RequestOutcome::Unknown(_) => 0,
        };
        let (trace, sampled) = (entry.trace.clone(), entry.sampled);
        Self { shape: entry.shape.name.to_owned(), status, trace, sampled, order: entry.order, caused }
    }

    /// Whether it is an order that was accepted.
    pub(super) fn is_accepted_order(&self) -> bool {
        self.status == 201 && self.shape == Shape::of(Subject::NewOrder).name
    }

    /// Whether the lab failed it.
    pub(super) fn failed(&self) -> bool {
        self.status >= 500
    }
}

impl Scene {
    /// A stage on which nothing was done yet.
    pub fn new(scenario: &Scenario, seed: Option<u64>) -> Self {
        Self {
            scenario: scenario.name.to_owned(),
            // Small enough for a person to type and for JSON to hold.
            seed: seed.unwrap_or_else(|| u64::from(fastrand::u32(..))),
            began: nanos_now(),
            faults: Vec::new(),
            sent: Vec::new(),
            notes: BTreeMap::new(),
            dead_before: 0,
            hints: 0,
            truth: None,
        }
    }

    /// The fault that is the cause.
    pub(super) fn fault(&self) -> Result<&StagedFault, String> {
        let mut causes = self.faults.iter().rev().filter(|fault| !fault.distraction);
        causes.next().ok_or_else(|| "no fault was staged".to_owned())
    }

    /// The service that has the fault.
    pub(super) fn culprit(&self) -> Result<&'static str, String> {
        let role = self.fault()?.role().ok_or("an unknown role was staged")?;
        Ok(role.service().name)
    }

    /// The requests that are the cause, or were sent while the fault was set.
    pub(super) fn caused(&self) -> impl Iterator<Item = &SceneRequest> {
        self.sent.iter().filter(|sent| sent.caused)
    }

    /// The request that the question is about: the last one.
    pub(super) fn last(&self) -> Option<&SceneRequest> {
        self.sent.iter().rev().find(|sent| sent.trace.is_some())
    }

    /// The ids of the accepted orders.
    pub(super) fn orders(&self) -> impl Iterator<Item = i64> {
        self.sent.iter().filter(|sent| sent.is_accepted_order()).filter_map(|sent| sent.order)
    }
}
