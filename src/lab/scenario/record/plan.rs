//! What is sent in a recording: as ever, then the stage, then on while the fault is set.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::super::model::{Scenario, Step};
use super::super::scene::{Scene, SceneRequest, StagedFault, nanos_now};
use super::super::stage;
use super::super::target::LessonLab;
use crate::config::{FaultPlace, ScenarioRecord};
use crate::lab::expect::Subject;
use crate::lab::fault::staged::{FAULT_SECONDS, UNTIL_STALLED};
use crate::lab::verify::workload::Workload;
use crate::schema::{Values, faults};

/// Of each kind, requests before the fault where no time is given: what is normal.
const NORMAL: usize = 20;
/// One request of each kind is sent so often where a time is given.
const ROUND: Duration = Duration::from_secs(2);
/// Several of the roles' batches.
const UNTIL_EXPORTED: Duration = Duration::from_secs(3);
/// The longest wait for the notifications of what was sent before the fault.
const NOTIFIED_WITHIN: Duration = Duration::from_secs(30);
/// The share of requests that a distraction hits, where it takes one.
const DISTRACTING: f64 = 0.25;
/// What is sent as ever.
const USUAL: [Subject; 5] =
    [Subject::NewUser, Subject::NewOrder, Subject::OneOrder, Subject::Orders, Subject::OneUser];

/// Sends everything; what was sent before the fault. What is set and sent on the stage stands in the scene.
pub(super) async fn send(
    lab: &LessonLab,
    scenario: &Scenario,
    scene: &mut Scene,
    config: &ScenarioRecord,
) -> Result<Vec<SceneRequest>, String> {
    let workload = Workload::new(&lab.config);
    // Half of the time before the fault, half while it is set.
    let rounds = config.minutes.map_or(0, |minutes| (u64::from(minutes) * 30 / ROUND.as_secs()) as usize);
    scene.sent = match rounds {
        0 => at_once(&workload).await,
        rounds => in_rounds(&workload, 0..rounds, false).await,
    };
    // What waits when the consumer breaks would belong to the incident.
    lab.delivered(scene, NOTIFIED_WITHIN, true).await?;
    let normal = std::mem::take(&mut scene.sent);
    for distraction in &config.distraction {
        distract(lab, scene, distraction).await?;
    }
    stage::set(lab, scenario, scene, true).await?;
    let broken = scene.faults.iter().any(|fault| !fault.distraction && fault.cleared == 0);
    scene.sent.extend(in_rounds(&workload, rounds..2 * rounds, broken).await);
    sleep(UNTIL_EXPORTED).await;
    Ok(normal)
}

async fn at_once(workload: &Workload<'_>) -> Vec<SceneRequest> {
    let mut sent = Vec::new();
    for subject in USUAL {
        let entries = workload.send_only(subject, 0..NORMAL).await;
        sent.extend(entries.iter().map(|entry| SceneRequest::of(entry, false)));
    }
    sent
}

async fn in_rounds(
    workload: &Workload<'_>,
    rounds: std::ops::Range<usize>,
    caused: bool,
) -> Vec<SceneRequest> {
    let (mut sent, mut next) = (Vec::new(), Instant::now());
    for round in rounds {
        for subject in USUAL {
            let entries = workload.send_only(subject, round..round + 1).await;
            sent.extend(entries.iter().map(|entry| SceneRequest::of(entry, caused)));
        }
        next += ROUND;
        sleep_until(next).await;
    }
    sent
}

/// Sets a fault beside the cause, with its defaults.
async fn distract(lab: &LessonLab, scene: &mut Scene, place: &FaultPlace) -> Result<(), String> {
    let mut settings = serde_json::json!({"fault": place.fault.name, "seconds": FAULT_SECONDS});
    let share = place.fault.parameters.iter().find(|one| matches!(one.values, Values::Ratio));
    if let Some(share) = share {
        settings[share.name] = DISTRACTING.into();
    }
    let (fault, role) = (place.fault.name.to_owned(), place.role.as_str().to_owned());
    let staged = StagedFault { fault, role, settings, set: nanos_now(), cleared: 0, distraction: true };
    // First noted, then set: so it is repaired also where this is stopped in between.
    scene.faults.push(staged.clone());
    lab.set(&staged).await?;
    if place.fault.name == faults::CONSUMER_STALL {
        sleep(UNTIL_STALLED).await;
    }
    Ok(())
}

/// Whether a scenario may stage this very fault itself, which the distraction would replace.
pub(super) fn may_stage(scenario: &Scenario, place: &FaultPlace) -> bool {
    scenario.stage.iter().any(|step| match step {
        Step::Fault(choices) => {
            choices.iter().any(|choice| choice.fault == place.fault.name && choice.role == place.role)
        }
        _ => false,
    })
}
