//! What was found, in the words in which a pipeline's faults are told: loss, duplication, re-parenting and so on.

use serde_json::{Value, json};

use super::claim::{Claim, ClaimVerdict};

/// Everything that a claim which does not hold can be a sign of, in the order of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum FindingKind {
    Loss,
    Duplication,
    Intrusion,
    Reparenting,
    Renaming,
    AttributeLoss,
    TypeChange,
    Truncation,
    ValueChange,
    ClockShift,
    BrokenJoin,
    Reset,
    Refusal,
}

impl FindingKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::Duplication => "duplication",
            Self::Intrusion => "items that were not sent",
            Self::Reparenting => "re-parenting",
            Self::Renaming => "renaming",
            Self::AttributeLoss => "dropped or renamed attributes",
            Self::TypeChange => "type changes",
            Self::Truncation => "truncated values",
            Self::ValueChange => "changed values",
            Self::ClockShift => "clock shifts",
            Self::BrokenJoin => "broken joins",
            Self::Reset => "metric resets",
            Self::Refusal => "refused or thrown away by the senders",
        }
    }
}

/// One kind, in one backend.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Finding {
    kind: FindingKind,
    source: String,
    /// The claims that say so.
    claims: Vec<String>,
    /// The first example.
    example: String,
}

impl Finding {
    /// As an object of the report.
    pub(super) fn json(&self) -> Value {
        json!({"kind": self.kind.as_str(), "source": self.source, "claims": self.claims, "example": self.example})
    }

    /// As a line of the report, without its end.
    pub(super) fn line(&self) -> String {
        format!("{} in {}: {}", self.kind.as_str(), self.source, self.example)
    }
}

/// What the claims that do not hold are signs of. A claim keeps a few examples: what is behind the others is not known.
pub(super) fn findings(claims: &[Claim]) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    for claim in claims.iter().filter(|claim| claim.verdict == ClaimVerdict::Fail) {
        for example in examples(&claim.found) {
            let Some(kind) = kind(&claim.id, example) else { continue };
            match found.iter_mut().find(|one| (one.kind, &one.source) == (kind, &claim.source)) {
                Some(known) if known.claims.contains(&claim.id) => {}
                Some(known) => known.claims.push(claim.id.clone()),
                None => found.push(Finding {
                    kind,
                    source: claim.source.clone(),
                    claims: vec![claim.id.clone()],
                    example: example.to_owned(),
                }),
            }
        }
    }
    found.sort_by(|a, b| (a.kind, &a.source).cmp(&(b.kind, &b.source)));
    found
}

/// The examples in what a claim found.
fn examples(found: &str) -> impl Iterator<Item = &str> {
    found.split_once("such as: ").map_or(found, |(_, examples)| examples).split("; ")
}

fn kind(id: &str, example: &str) -> Option<FindingKind> {
    let (signal, what) = id.split_once('.')?;
    Some(match (signal, what) {
        ("traces" | "logs", "complete") => FindingKind::Loss,
        ("traces" | "logs", "duplicates") => FindingKind::Duplication,
        ("traces" | "logs", "extra") | ("traces", "sampling") => FindingKind::Intrusion,
        ("traces", "parents") => FindingKind::Reparenting,
        ("traces", "names" | "services" | "kinds") => FindingKind::Renaming,
        ("traces", "attributes") | ("logs", "fields") => of_value(example),
        ("traces", "status") => FindingKind::ValueChange,
        ("traces", "times") => FindingKind::ClockShift,
        ("logs", "spans") | ("links", _) => FindingKind::BrokenJoin,
        ("logs" | "traces" | "metrics", "lines") => FindingKind::Loss,
        ("metrics", "schema") => FindingKind::TypeChange,
        ("metrics", _) => of_count(example),
        ("books", _) => FindingKind::Refusal,
        ("stations", _) => FindingKind::Loss,
        _ => return None,
    })
}

/// `… KEY is FOUND instead of WANTED`, both in JSON.
fn of_value(example: &str) -> FindingKind {
    if example.contains(" has no ") {
        return FindingKind::AttributeLoss;
    }
    let parts = example.rsplit_once(" instead of ").and_then(|(left, wanted)| {
        let (_, found) = left.rsplit_once(" is ")?;
        Some((serde_json::from_str::<Value>(found).ok()?, serde_json::from_str::<Value>(wanted).ok()?))
    });
    match parts {
        Some((Value::Null, _)) => FindingKind::AttributeLoss,
        Some((Value::String(found), Value::String(wanted))) if wanted.starts_with(&found) => {
            FindingKind::Truncation
        }
        Some((found, wanted)) if found.is_string() != wanted.is_string() => FindingKind::TypeChange,
        _ => FindingKind::ValueChange,
    }
}

/// `SERIES +GROWN, expected +WANTED`, or that it went back or is not there.
fn of_count(example: &str) -> FindingKind {
    if example.contains(" went back from ") {
        return FindingKind::Reset;
    }
    let number = |text: &str| text.trim_start_matches('+').parse::<f64>().ok();
    let numbers = example
        .rsplit_once(", expected ")
        .and_then(|(left, wanted)| Some((number(left.rsplit_once(' ')?.1)?, number(wanted)?)));
    match numbers {
        Some((grown, wanted)) if grown > wanted => FindingKind::Duplication,
        _ => FindingKind::Loss,
    }
}

#[cfg(test)]
mod tests {
    use super::super::claim::Flaws;
    use super::*;

    fn kinds(claims: &[(&str, &str)]) -> Vec<&'static str> {
        let claims: Vec<_> = claims
            .iter()
            .map(|(id, found)| {
                let mut flaws = Flaws::default();
                flaws.add((*found).to_owned(), String::new);
                Claim::of(id, "jaeger", "x", &flaws)
            })
            .collect();
        findings(&claims).iter().map(|one| one.kind.as_str()).collect()
    }

    #[test]
    fn a_claim_that_does_not_hold_is_told_as_what_happened_on_the_way() {
        for (id, found, told) in [
            ("traces.complete", "no order-service INSERT orders in order", "loss"),
            ("traces.duplicates", "a SERVER b is there twice in order", "duplication"),
            ("traces.parents", "a CLIENT b under nothing instead of c", "re-parenting"),
            ("traces.names", "SQL instead of INSERT orders", "renaming"),
            ("traces.attributes", "a CLIENT b has no db.query.text", "dropped or renamed attributes"),
            (
                "traces.attributes",
                "a CLIENT b: http.response.status_code is \"200\" instead of 200",
                "type changes",
            ),
            (
                "traces.attributes",
                "a CLIENT b: url.path is \"/api\" instead of \"/api/orders\"",
                "truncated values",
            ),
            ("traces.attributes", "a CLIENT b: url.path is \"****\" instead of \"/api\"", "changed values"),
            ("traces.times", "a CLIENT b begins 3600.0 ms before its parent", "clock shifts"),
            ("logs.spans", "a \"b\": its span id is ''", "broken joins"),
            ("metrics.x", "a x{b=\"c\"} went back from 5 to 1", "metric resets"),
            ("metrics.x", "a x{b=\"c\"} +4, expected +2", "duplication"),
            ("metrics.x", "a x{b=\"c\"} +0, expected +2", "loss"),
            ("metrics.x", "a x is not there, expected +2", "loss"),
            ("stations.traces", "9 sent, 7 received", "loss"),
        ] {
            assert_eq!(kinds(&[(id, found)]), [told], "{id} {found}");
        }
    }

    #[test]
    fn one_kind_in_one_backend_is_one_line_and_what_holds_is_none() {
        let both = [("traces.complete", "no a"), ("logs.complete", "4 times, such as: no b; no c")];
        assert_eq!(kinds(&both), ["loss"]);
        assert!(findings(&[Claim::of("traces.complete", "jaeger", "x", &Flaws::default())]).is_empty());
    }
}
