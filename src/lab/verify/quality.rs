//! Claims about quality: what arrived is what the registry has, and how good it is by the Instrumentation Score.
//!
//! One cause turns one row red. So the registry is asked about spans, lines and series in which no other row found anything,
//! and a broken rule of the score is red where nothing else is.

mod metrics;
mod registry;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::claim::{Claim, ClaimVerdict, Flaws};
use crate::lab::score::{Facts, NOT_COMPUTED, RULES, ServiceScore, VERSION, computed, scores};

pub(super) use metrics::strange_metrics;
pub(super) use registry::{strange_line, strange_resource, strange_span};

/// What the registry does not have, by the backend that has it.
#[derive(Default)]
pub(super) struct RegistryFlaws(BTreeMap<String, Flaws>);

impl RegistryFlaws {
    /// What was found of one signal in a backend.
    pub(super) fn add(&mut self, source: &str, flaws: Flaws) {
        self.0.entry(source.to_owned()).or_default().join(flaws);
    }

    /// The same where something was asked.
    pub(super) fn extend(&mut self, source: &str, flaws: Option<Flaws>) {
        flaws.into_iter().for_each(|flaws| self.add(source, flaws));
    }

    /// A row for each backend.
    pub(super) fn claims(&self) -> impl Iterator<Item = Claim> {
        let expected = "names, attributes and types as the registry has them";
        self.0.iter().map(move |(source, flaws)| Claim::of("quality.registry", source, expected, flaws))
    }
}

/// The scores of all services, and which rules they are made of.
#[derive(Debug, Default)]
pub(super) struct QualityScore {
    services: Vec<ServiceScore>,
    computed: Vec<&'static str>,
}

impl QualityScore {
    pub(super) fn of(facts: &Facts) -> Self {
        Self { services: scores(facts), computed: computed(facts).map(|rule| rule.id).collect() }
    }

    /// The row, where there is something to rate; `others` are all other rows.
    pub(super) fn claim(&self, others: &[Claim]) -> Option<Claim> {
        let mut flaws = Flaws::default();
        for service in &self.services {
            for (rule, found) in &service.broken {
                let what = format!("{} {}, {}: {found}", service.service, service.score, rule.id);
                flaws.add(what, || "https://github.com/instrumentation-score/spec".to_owned());
            }
        }
        if self.services.is_empty() {
            return None;
        }
        let expected = format!("each service keeps the {} rules that can be told", self.computed.len());
        let mut claim = Claim::of("quality.score", "services", expected, &flaws);
        let explained = others.iter().any(|other| other.verdict == ClaimVerdict::Fail);
        match claim.verdict {
            ClaimVerdict::Pass => claim.found = self.line(),
            _ if explained => {
                claim.verdict = ClaimVerdict::Pass;
                claim.found = format!("{}; the rows that do not hold say why", claim.found);
            }
            _ => {}
        }
        Some(claim)
    }

    /// In a few words: `5 services: 100 Excellent`.
    fn line(&self) -> String {
        let lowest = self.services.iter().min_by(|a, b| a.score.total_cmp(&b.score));
        lowest.map_or_else(String::new, |lowest| {
            format!("{} services: {} {}", self.services.len(), lowest.score, lowest.category())
        })
    }

    /// For the table: the score of each service.
    pub(super) fn text(&self) -> Option<String> {
        let services: Vec<_> = self
            .services
            .iter()
            .map(|one| format!("{} {} {}", one.service, one.score, one.category()))
            .collect();
        let all = RULES.len() + NOT_COMPUTED.len();
        (!services.is_empty()).then(|| {
            format!("score {VERSION} by {} of {all} rules: {}", self.computed.len(), services.join(", "))
        })
    }

    /// As an object of the report; null where nothing was rated.
    pub(super) fn json(&self) -> Value {
        if self.services.is_empty() {
            return Value::Null;
        }
        let left_out = RULES.iter().map(|rule| rule.id).chain(NOT_COMPUTED.map(|(id, _)| id));
        let left_out: Vec<_> = left_out.filter(|id| !self.computed.contains(id)).collect();
        json!({"version": VERSION, "computed": self.computed, "notComputed": left_out,
            "services": self.services.iter().map(ServiceScore::json).collect::<Vec<_>>()})
    }
}
