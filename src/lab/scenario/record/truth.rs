//! The truth about a recording: what was set, which traces it affects, what shows of it, and how far it reaches.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::symptoms::{Symptoms, changes, expected, queue};
use crate::lab::backend::trace::Span;
use crate::lab::expect::{Shape, SpanKind};
use crate::lab::scenario::scene::{Scene, SceneRequest, StagedFault};
use crate::schema::FAULT_ATTRIBUTE;

/// What was sent and what arrived of it.
pub(super) struct RecordedTraces<'a> {
    /// The stage, with what was sent on it.
    pub(super) scene: &'a Scene,
    /// What was sent before.
    pub(super) normal: &'a [SceneRequest],
    /// The spans by trace.
    pub(super) spans: &'a BTreeMap<String, Vec<Span>>,
    /// When it ended, in nanoseconds since the epoch.
    pub(super) ended: u64,
}

impl RecordedTraces<'_> {
    /// The truth as a document.
    pub(super) fn truth(&self) -> Value {
        let (distractions, causes): (Vec<_>, Vec<_>) =
            self.scene.faults.iter().partition(|fault| fault.distraction);
        let of = |faults: &[&StagedFault]| -> (Vec<Value>, BTreeSet<String>) {
            let hit = faults.iter().flat_map(|fault| self.hit(fault)).collect();
            (hit, faults.iter().flat_map(|fault| self.affected(fault)).collect())
        };
        let ((hit, affected), (distracting, distracted)) = (of(&causes), of(&distractions));
        let mut times =
            affected.iter().flat_map(|id| &self.spans[id]).flat_map(|span| [span.start, span.end]);
        let first = times.next();
        let (start, end) =
            times.fold((first, first), |(start, end), time| (start.min(Some(time)), end.max(Some(time))));
        let symptoms = Symptoms::of(self, &affected).rows();
        json!({
            "scenario": self.scene.scenario,
            "seed": self.scene.seed,
            "cause": causes.iter().map(|fault| described(fault)).collect::<Vec<_>>(),
            "distractions": distractions.iter().map(|fault| described(fault)).collect::<Vec<_>>(),
            "active": self.scene.faults.iter().map(|fault| self.active(fault)).collect::<Vec<_>>(),
            "startUnixNano": start.map(|time| time.to_string()),
            "endUnixNano": end.map(|time| time.to_string()),
            "traces": self.spans.len(),
            "requests": self.sent().count(),
            "affectedTraces": affected,
            "spansHit": hit,
            "distractedTraces": distracted,
            "distractionSpansHit": distracting,
            "blastRadius": self.radius(&affected, &symptoms),
            "symptoms": symptoms,
        })
    }

    /// Every request, as ever and on the stage.
    pub(super) fn sent(&self) -> impl Iterator<Item = &SceneRequest> {
        self.normal.iter().chain(&self.scene.sent)
    }

    /// The request of each trace.
    pub(super) fn requests<'a>(
        &'a self,
        ids: &'a BTreeSet<String>,
    ) -> impl Iterator<Item = (&'a str, &'a SceneRequest)> {
        let of = |sent: &'a SceneRequest| Some((sent.trace.as_deref()?, sent));
        self.sent().filter_map(of).filter(|(id, _)| ids.contains(*id))
    }

    /// The spans of a trace with those of the traces that are linked to it, as the consumer's may be.
    pub(super) fn joined(&self, id: &str) -> Vec<&Span> {
        let linked = self
            .spans
            .values()
            .filter(|spans| spans.iter().any(|span| joins(span) && span.links.iter().any(|l| l.trace == id)));
        self.spans.get(id).into_iter().chain(linked).flatten().collect()
    }

    /// The spans that say that a fault has hit them.
    fn spans_hit<'a>(&'a self, fault: &'a StagedFault) -> impl Iterator<Item = &'a Span> {
        let service = fault.role().map_or("", |role| role.service().name);
        let hit = move |span: &&Span| {
            span.service == service && span.text(FAULT_ATTRIBUTE).split(',').any(|name| name == fault.fault)
        };
        self.spans.values().flatten().filter(hit)
    }

    fn hit(&self, fault: &StagedFault) -> Vec<Value> {
        let told = |span: &Span| json!({"traceId": span.trace, "spanId": span.id, "service": span.service, "name": span.name, "fault": fault.fault});
        self.spans_hit(fault).map(told).collect()
    }

    /// The traces with a span that a fault has hit, and those that such a span is linked to. Of a cause also those that are
    /// otherwise than their requests, and that no distraction has hit. A fault that marks none affects what was sent while
    /// it was set and reaches its role.
    fn affected(&self, fault: &StagedFault) -> BTreeSet<String> {
        let mut affected = self.marked(fault);
        let (queue, unmarked) = (queue(self), affected.is_empty());
        let others = self.scene.faults.iter().filter(|fault| fault.distraction);
        let distracted: BTreeSet<_> = others.flat_map(|fault| self.marked(fault)).collect();
        let meanwhile = self.scene.sent.iter().filter(|sent| match fault.distraction {
            true => unmarked && sent.trace.is_some(),
            false => sent.caused,
        });
        for sent in meanwhile.filter(|sent| reaches(sent, fault)) {
            let (Some(id), Some(shape)) = (&sent.trace, expected(sent)) else { continue };
            let changed = || !distracted.contains(id) && !changes(shape, &queue, &self.joined(id)).is_empty();
            if unmarked || changed() {
                affected.insert(id.clone());
            }
        }
        affected.retain(|id| self.spans.contains_key(id));
        affected
    }

    fn marked(&self, fault: &StagedFault) -> BTreeSet<String> {
        let links = |span: &Span| span.links.iter().map(|link| link.trace.clone()).collect::<Vec<_>>();
        self.spans_hit(fault).flat_map(|span| links(span).into_iter().chain([span.trace.clone()])).collect()
    }

    /// When a fault was set and when it ended, which may be the end of the recording.
    fn active(&self, fault: &StagedFault) -> Value {
        let end = if fault.cleared > 0 { fault.cleared } else { self.ended };
        json!({"fault": fault.fault, "role": fault.role, "startUnixNano": fault.set.to_string(), "endUnixNano": end.to_string()})
    }

    fn radius(&self, affected: &BTreeSet<String>, symptoms: &[Value]) -> Value {
        let services: BTreeSet<_> = symptoms.iter().filter_map(|one| one["service"].as_str()).collect();
        let shapes = self.requests(affected).filter_map(|(_, sent)| expected(sent));
        let routes: BTreeSet<_> = shapes.map(|shape| shape.route).collect();
        let unnotified = self.requests(affected).filter(|(id, sent)| {
            let waits = expected(sent).is_some_and(|shape| shape.notification.is_some());
            waits && sent.status < 400 && !self.joined(id).iter().any(|span| span.name == "send email")
        });
        json!({
            "services": services,
            "routes": routes,
            "requests": self.requests(affected).count(),
            "failedRequests": self.scene.caused().filter(|sent| sent.failed() || sent.status == 0).count(),
            "notNotified": unnotified.count(),
        })
    }
}

/// Calls that receive many messages are linked to all of them, and belong to none.
fn joins(span: &Span) -> bool {
    span.kind == SpanKind::Consumer
}

fn described(fault: &StagedFault) -> Value {
    let service = fault.role().map(|role| role.service().name);
    let route = &fault.settings["route"];
    json!({"fault": fault.fault, "role": fault.role, "service": service, "route": route, "settings": fault.settings})
}

/// Whether a request of this kind comes to the fault's role, and to its route where it has one.
fn reaches(sent: &SceneRequest, fault: &StagedFault) -> bool {
    let service = fault.role().map_or("", |role| role.service().name);
    let route = fault.settings["route"].as_str();
    let serves = |shape: &Shape| {
        let own = shape.spans.iter().filter(|span| span.service == service);
        own.clone().any(|span| route.is_none_or(|route| span.http().is_some_and(|(_, own)| own == route)))
    };
    expected(sent).is_some_and(serves)
}
