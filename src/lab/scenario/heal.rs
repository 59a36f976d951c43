//! Repair, and its proof: no fault of the stage is active, every accepted order is notified, no dead letter is new, and
//! a request is answered as ever with a trace that no fault has hit.

use std::time::Duration;

use super::model::Scenario;
use super::scene::Scene;
use super::target::LessonLab;
use super::until::{Unmet, until};
use crate::lab::backend::trace::TraceReader;
use crate::lab::expect::{SpanKind, Subject};
use crate::lab::verify::ledger::{LedgerEntry, RequestOutcome};
use crate::lab::verify::workload::Workload;
use crate::schema::FAULT_ATTRIBUTE;

/// The longest wait for the queue, and for the trace of the proof.
const HEALED_WITHIN: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(100);

/// Clears what was staged, sends dead letters back, and proves that the lab is as it was.
///
/// # Errors
/// It is not; in words. Everything that can be done is done all the same.
pub(super) async fn heal(lab: &LessonLab, scenario: &Scenario, scene: &Scene) -> Result<Vec<String>, String> {
    // Nothing was done, so there is nothing to prove on a lab that others may have broken.
    if scene.faults.is_empty() && scene.sent.is_empty() {
        return Ok(Vec::new());
    }
    let cleared = clear(lab, scene).await;
    let redelivered = redeliver(lab, scene).await;
    cleared?;
    redelivered?;
    let mut proofs = vec!["no fault of it is active".to_owned()];
    let orders = scene.orders().count();
    if orders > 0 {
        proofs.push(format!("{orders} accepted orders are notified, no dead letter is left"));
    }
    proofs.push(sound(lab, scenario.sound).await?);
    Ok(proofs)
}

async fn clear(lab: &LessonLab, scene: &Scene) -> Result<(), String> {
    let mut outcome = Ok(());
    for fault in &scene.faults {
        if let Err(why) = lab.clear(fault).await {
            outcome = Err(why);
        }
    }
    for fault in &scene.faults {
        if lab.is_active(fault).await? {
            return Err(format!("{} is still active at {}", fault.fault, fault.role));
        }
    }
    outcome
}

async fn redeliver(lab: &LessonLab, scene: &Scene) -> Result<(), String> {
    lab.delivered(scene, HEALED_WITHIN, true).await?;
    if lab.dead().await? > scene.dead_before {
        lab.replay().await?;
    }
    lab.delivered(scene, HEALED_WITHIN, false).await
}

/// Sends a request and sees it whole.
async fn sound(lab: &LessonLab, subject: Subject) -> Result<String, String> {
    let config = lab.config.clone();
    let workload = Workload::new(&config);
    let mut sent = workload.send_only(Subject::NewUser, 0..1).await;
    let needs_order = [Subject::OneOrder, Subject::Complete].contains(&subject);
    if needs_order {
        sent.extend(workload.send_only(Subject::NewOrder, 1..2).await);
    }
    if subject != Subject::NewUser {
        sent.extend(workload.send_only(subject, 2..3).await);
    }
    let Some(last) = sent.last() else { return Err("nothing was sent".to_owned()) };
    let route = last.shape.route;
    if last.outcome != RequestOutcome::AsExpected {
        return Err(format!("{route} is not answered as ever: {:?}", last.outcome));
    }
    if last.sampled {
        whole(lab, last).await?;
    }
    Ok(format!("{route} is answered {}, its trace is whole and no fault has hit it", last.shape.status))
}

/// Waits for the spans of a request, up to the consumer's, which may be in another trace.
async fn whole(lab: &LessonLab, entry: &LedgerEntry) -> Result<(), String> {
    let reader = TraceReader::new(&lab.config.console());
    let spans = &entry.shape.spans;
    let wanted = spans.iter().position(|span| span.kind == SpanKind::Consumer).unwrap_or(spans.len());
    let id = entry.trace.as_deref().unwrap_or_default();
    until(HEALED_WITHIN, PAUSE, async || {
        let trace = reader.trace(id).await.map_err(|error| error.to_string())?;
        if let Some(hit) = trace.spans.iter().find(|span| span.attributes.contains_key(FAULT_ATTRIBUTE)) {
            let fault = hit.text(FAULT_ATTRIBUTE);
            return Err(Unmet::Never(format!("{} of {} is still hit by {fault}", hit.name, hit.service)));
        }
        match trace.spans.len() {
            there if there >= wanted => Ok(()),
            there => Err(Unmet::NotYet(format!("the trace {id} has {there} spans of {wanted}"))),
        }
    })
    .await
}
