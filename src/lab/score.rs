//! The Instrumentation Score, version 0.1, of what a backend received: how well each service says what it does.
//!
//! <https://github.com/instrumentation-score/spec>. A rule holds or it does not, and weighs by its impact; the score of a
//! service is the share of the weights of those that hold, in hundredths. Rules that nothing in the telemetry tells are
//! left out and named ([`NOT_COMPUTED`]).

mod facts;
mod rules;

use serde_json::{Value, json};

pub use facts::Facts;
pub(super) use facts::is_made_of_spans;
pub use rules::{NOT_COMPUTED, RULES};

use facts::ServiceFacts;

/// The version of the specification.
pub const VERSION: &str = "0.1";

/// How much a rule weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the specification's")]
pub enum Impact {
    Critical,
    Important,
    Normal,
    Low,
}

impl Impact {
    /// Its weight in the score.
    pub fn weight(self) -> u32 {
        match self {
            Self::Critical => 40,
            Self::Important => 30,
            Self::Normal => 20,
            Self::Low => 10,
        }
    }
}

/// What has to have been read before a rule can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Spans, or series as OTLP brought them: both have a resource.
    Resources,
    /// Spans.
    Spans,
    /// Series as OTLP brought them: a page has no units, and no resource.
    Series,
    /// Log records with their severity as it was sent.
    Severities,
}

/// A rule of the specification.
#[derive(Debug)]
pub struct Rule {
    /// Its name there.
    pub id: &'static str,
    /// How much it weighs.
    pub impact: Impact,
    /// What it wants.
    pub wants: &'static str,
    /// What it is told by.
    pub needs: Needs,
    /// What a service does instead, if it does.
    broken: fn(&Facts, &ServiceFacts) -> Option<String>,
}

/// The score of one service.
#[derive(Debug)]
pub struct ServiceScore {
    /// `service.name`; empty where it has none.
    pub service: String,
    /// From 0 to 100.
    pub score: f64,
    /// The rules that do not hold, and what was found instead.
    pub broken: Vec<(&'static Rule, String)>,
}

impl ServiceScore {
    /// What the specification calls a score of this height.
    pub fn category(&self) -> &'static str {
        match self.score {
            90.0.. => "Excellent",
            75.0.. => "Good",
            50.0.. => "Needs Improvement",
            _ => "Poor",
        }
    }

    /// As an object of a report.
    pub fn json(&self) -> Value {
        let broken = self.broken.iter().map(
            |(rule, found)| json!({"rule": rule.id, "impact": format!("{:?}", rule.impact), "found": found}),
        );
        json!({"service": self.service, "score": self.score, "category": self.category(),
            "broken": broken.collect::<Vec<_>>()})
    }
}

/// The rules that can be told of what was read.
pub fn computed(facts: &Facts) -> impl Iterator<Item = &'static Rule> {
    RULES.iter().filter(|rule| facts.tells(rule.needs))
}

/// The score of every service of which something was read, by name.
pub fn scores(facts: &Facts) -> Vec<ServiceScore> {
    let score = |(name, service): (&String, &ServiceFacts)| {
        let (mut broken, mut held, mut all) = (Vec::new(), 0, 0);
        for rule in computed(facts) {
            all += rule.impact.weight();
            match (rule.broken)(facts, service) {
                Some(found) => broken.push((rule, found)),
                None => held += rule.impact.weight(),
            }
        }
        let score = f64::from(held) / f64::from(all.max(1)) * 100.0;
        ServiceScore { service: name.clone(), score: (score * 100.0).round() / 100.0, broken }
    };
    facts.services().map(score).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::lab::backend::trace::{Span, Trace};

    fn spans(resource: &Value, spans: &Value) -> Vec<Span> {
        let pairs = resource.as_object().into_iter().flatten();
        let pairs = pairs.map(|(key, value)| json!({"key": key, "value": {"stringValue": value}}));
        let export = json!({"resourceSpans": [{"resource": {"attributes": pairs.collect::<Vec<_>>()},
            "scopeSpans": [{"spans": spans}]}]});
        Trace::from_otlp(&export).spans
    }

    fn span(id: &str, parent: &str, kind: u8) -> Value {
        json!({"traceId": "01", "spanId": id, "parentSpanId": parent, "name": "x", "kind": kind,
            "startTimeUnixNano": "0", "endTimeUnixNano": "9000000"})
    }

    fn broken(facts: &Facts) -> Vec<&'static str> {
        scores(facts).iter().flat_map(|service| service.broken.iter().map(|(rule, _)| rule.id)).collect()
    }

    #[test]
    fn the_rules_are_the_specifications_nineteen_each_computed_or_excused() {
        let ids: BTreeSet<_> =
            RULES.iter().map(|rule| rule.id).chain(NOT_COMPUTED.map(|(id, _)| id)).collect();
        let all = [("LOG", 2), ("MET", 6), ("RES", 5), ("SDK", 1), ("SPA", 5)];
        let all = all.iter().flat_map(|(group, most)| (1..=*most).map(move |n| format!("{group}-00{n}")));
        assert_eq!(ids.into_iter().collect::<Vec<_>>(), all.collect::<Vec<_>>());
    }

    #[test]
    fn a_score_is_the_share_of_the_weights_that_hold() {
        let mut facts = Facts::default();
        let whole = json!({"service.name": "a", "service.instance.id": "1"});
        facts.trace(&spans(&whole, &json!([span("1", "", 2), span("2", "1", 3)])));
        assert_eq!((scores(&facts)[0].score, scores(&facts)[0].category()), (100.0, "Excellent"));
        // Another process with the same id, an orphan, and a root that calls somebody.
        let again = json!({"service.name": "a", "service.instance.id": "1", "process.pid": "2"});
        facts.trace(&spans(&again, &json!([span("3", "9", 2), span("4", "", 3)])));
        assert_eq!(broken(&facts), ["RES-002", "SPA-002", "SPA-004"]);
        // Of resources and spans: 40 + 4 * 30 + 20, and 2 * 20 + 2 * 30; 30 + 20 + 30 of it are gone.
        let weights: u32 = computed(&facts).map(|rule| rule.impact.weight()).sum();
        let score = &scores(&facts)[0];
        let expected = (f64::from(weights - 80) / f64::from(weights) * 10_000.0).round() / 100.0;
        assert_eq!(score.score, expected);
        assert!(score.score < 75.0 && score.category() == "Needs Improvement", "{score:?}");
    }

    #[test]
    fn what_a_resource_lacks_or_has_at_the_wrong_level_is_found() {
        let mut facts = Facts::default();
        let strange = json!({"http.request.method": "GET", "k8s.pod.name": "p"});
        let mut own = span("1", "", 2);
        own["attributes"] = json!([{"key": "host.name", "value": {"stringValue": "h"}}]);
        facts.trace(&spans(&strange, &json!([own])));
        assert_eq!(broken(&facts), ["RES-001", "RES-003", "RES-004", "RES-005"]);
    }

    #[test]
    fn too_many_internal_or_short_spans_in_one_trace_are_found() {
        let mut facts = Facts::default();
        let whole = json!({"service.name": "a", "service.instance.id": "1"});
        let many = |count: u32, kind: u8, end: &str| {
            let all = (0..count).map(|n| {
                let mut span = span(&format!("{n}"), "", kind);
                span["endTimeUnixNano"] = end.into();
                span
            });
            Value::Array(all.collect())
        };
        facts.trace(&spans(&whole, &many(10, 1, "9000000")));
        facts.trace(&spans(&whole, &many(20, 2, "1000000")));
        assert_eq!(broken(&facts), [""; 0]);
        facts.trace(&spans(&whole, &many(11, 1, "9000000")));
        facts.trace(&spans(&whole, &many(21, 2, "1000000")));
        assert_eq!(broken(&facts), ["SPA-001", "SPA-005"]);
    }

    #[test]
    fn names_units_and_buckets_of_metrics_are_held_against_each_other() {
        let mut facts = Facts::default();
        let series = |service: &str, name: &str, unit: &str, bounds: &Value| {
            json!({"service": service, "name": name, "unit": unit, "kind": "histogram",
                "resource": {"service.instance.id": "1"}, "attributes": {"k": "v"}, "latest": {"bounds": bounds}})
        };
        facts.series(&[series("a", "http.server.request.duration", "s", &json!([1, 2]))]);
        // A collector's, without a unit.
        facts.series(&[series("a", "traces.span.metrics.calls", "", &json!(null))]);
        assert_eq!((broken(&facts), scores(&facts)[0].score), (vec![], 100.0));
        facts.series(&[series("a", "wait.seconds", "s", &json!([1]))]);
        facts.series(&[series("a", "http.route", "{route}", &json!([1]))]);
        facts.series(&[series("a", "one", "", &json!([1])), series("a", "two", "furlong", &json!([1]))]);
        assert_eq!(broken(&facts), ["MET-002", "MET-005", "MET-006"]);
        facts.series(&[series("b", "http.server.request.duration", "ms", &json!([1, 3]))]);
        let b = &scores(&facts)[1];
        assert_eq!(b.broken.iter().map(|(rule, _)| rule.id).collect::<Vec<_>>(), ["MET-003", "MET-004"]);
    }
}
