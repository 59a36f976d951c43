//! Claims about metrics: every series grew by what was sent, and by nothing else.

use std::collections::BTreeMap;

use super::claim::{Claim, Flaws};
use super::ledger::RequestLedger;
use super::queue::ASKED;
use crate::lab::backend::count::{CountKey, CountSnapshot};
use crate::lab::expect::SHAPES;
use crate::schema::{SERVICES, names};

/// Counters that a healthy lab leaves alone, beside those that requests move.
const QUIET: [&str; 6] = [
    names::GATEWAY_ERRORS,
    names::GATEWAY_VALIDATION_SKIPPED,
    names::USERS_ERRORS,
    names::QUEUE_PUBLISH_ERRORS,
    names::NOTIFICATIONS_FAILED,
    names::LOG_LINES_DROPPED,
];

/// The least difference that counts: sums of dollars have cents.
const LEAST: f64 = 0.005;

/// What a source showed before and after.
pub(super) struct CountedSource<'a> {
    pub(super) source: &'a str,
    pub(super) before: &'a CountSnapshot,
    pub(super) after: &'a CountSnapshot,
    /// How to look at a metric there.
    pub(super) look: &'a str,
}

/// The names that are compared, in the order of the report.
fn compared(uncounted: &[&str]) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let moved = SHAPES.iter().flat_map(|shape| shape.expected_counts()).map(|key| key.metric);
    let sum = std::iter::once(format!("{}_sum", names::ORDER_VALUE));
    for name in moved.chain(sum).chain(QUIET.map(str::to_owned)) {
        if !all.contains(&name) && !uncounted.contains(&name.as_str()) {
            all.push(name);
        }
    }
    all
}

impl CountedSource<'_> {
    fn grown(&self, key: &CountKey) -> f64 {
        self.after.grown(self.before, key)
    }

    /// The rows: one for each metric, one for what is not as the schema has it, one for what was not there
    /// from the start.
    pub(super) fn claims(&self, ledger: &RequestLedger, others: Option<&str>) -> Vec<Claim> {
        let wanted = ledger.counts();
        let mut claims: Vec<_> = compared(&ledger.uncounted)
            .into_iter()
            .map(|name| self.metric(&name, &wanted, ledger, others))
            .collect();
        let (mut late, mut strange) = (Flaws::default(), Flaws::default());
        for key in wanted.keys().filter(|key| self.before.value(key).is_none()) {
            late.add(format!("{} was not there", shown(key)), || self.place(&key.metric));
        }
        for what in &self.after.strange {
            strange.add(what.clone(), || self.look.to_owned());
        }
        claims.push(Claim::of(
            "metrics.present",
            self.source,
            "every series is there before anything happens",
            &late,
        ));
        claims.push(Claim::of(
            "metrics.schema",
            self.source,
            "kinds, units and label values as documented",
            &strange,
        ));
        claims
    }

    fn metric(
        &self,
        name: &str,
        wanted: &BTreeMap<CountKey, f64>,
        ledger: &RequestLedger,
        others: Option<&str>,
    ) -> Claim {
        let keys = self.before.values.keys().chain(self.after.values.keys()).chain(wanted.keys());
        let asked = |key: &CountKey| {
            key.labels.get("http_route").is_some_and(|route| ASKED.contains(&route.as_str()))
        };
        let mut keys: Vec<_> = keys.filter(|key| key.metric == name && !asked(key)).collect();
        keys.sort();
        keys.dedup();
        let (mut flaws, mut sum) = (Flaws::default(), 0.0);
        // One series that nothing explains is enough to say that it does not hold.
        let (mut explained, mut unexplained) = (ledger.inexact(), false);
        let inexact = explained.is_some();
        for key in &keys {
            let by = wanted.get(key).copied().unwrap_or_default();
            let grown = self.grown(key);
            sum += by;
            if (grown - by).abs() < LEAST {
                continue;
            }
            let (before, after) = (self.before.value(key), self.after.value(key));
            let what = match (before, after) {
                (Some(before), Some(after)) if after < before => {
                    format!("{} went back from {} to {}", shown(key), short(before), short(after))
                }
                (_, None) => format!("{} is not there, expected +{}", shown(key), short(by)),
                _ => format!("{} +{}, expected +{}", shown(key), short(grown), short(by)),
            };
            flaws.add(what, || self.place(name));
            match self.restarted(&key.service) {
                Some(why) => explained = Some(why),
                None if grown > by && others.is_some() => explained = others.map(str::to_owned),
                None => unexplained = true,
            }
        }
        let explained = explained.filter(|_| inexact || !unexplained);
        let expected = format!("+{} in {} series", short(sum), keys.len());
        Claim::of(&format!("metrics.{name}"), self.source, expected, &flaws).unless(explained.as_deref())
    }

    /// Whether a service's processes are others than they were, in words.
    pub(super) fn restarted(&self, service: &str) -> Option<String> {
        let same = self.before.processes.get(service) == self.after.processes.get(service);
        (!same).then(|| format!("{service} was restarted meanwhile"))
    }

    /// Where a metric is looked at.
    pub(super) fn place(&self, metric: &str) -> String {
        self.look.replace("{metric}", metric)
    }
}

/// Whether every series grew by what it has to.
pub(super) fn all_counted(
    before: &CountSnapshot,
    after: &CountSnapshot,
    wanted: &BTreeMap<CountKey, f64>,
) -> bool {
    wanted.iter().all(|(key, by)| (after.grown(before, key) - by).abs() < LEAST)
}

/// Whether somebody else sent requests meanwhile: by the gateway's own page, of which nothing gets lost.
pub(super) fn other_traffic(
    before: &CountSnapshot,
    after: &CountSnapshot,
    ledger: &RequestLedger,
) -> Option<String> {
    let requests = after.values.keys().filter(|key| key.metric == names::GATEWAY_REQUESTS);
    let found: f64 = requests.map(|key| after.grown(before, key)).sum();
    let sent = f64::from(ledger.attempts);
    (found > sent + LEAST)
        .then(|| format!("the gateway served {} other requests meanwhile", short(found - sent)))
}

/// Claims about what telemetry says of itself: what was exported, and what was thrown away.
pub(super) fn books(pages: &CountedSource<'_>, ledger: &RequestLedger, others: Option<&str>) -> Vec<Claim> {
    let (mut exported, mut dropped) = (Flaws::default(), Flaws::default());
    let spans = ledger.spans();
    let restarted = SERVICES.iter().find_map(|service| pages.restarted(service.name));
    let explained = ledger.inexact().or(restarted).or_else(|| others.map(str::to_owned));
    for key in pages.after.values.keys() {
        let grown = pages.grown(key);
        let look = || pages.place(&key.metric);
        match key.metric.as_str() {
            names::SPANS_EXPORTED => {
                let wanted = spans.get(key.service.as_str()).copied().unwrap_or_default();
                // More are those of requests before, and a consumer's own of receiving and settling batches.
                if grown < wanted - LEAST {
                    let grown = match grown < 0.0 {
                        true => "fewer than before".to_owned(),
                        false => short(grown),
                    };
                    let what =
                        format!("{} exported {grown}, expected {} or more", key.service, short(wanted));
                    exported.add(what, look);
                }
            }
            names::ITEMS_DROPPED | names::ITEMS_LOST | names::BATCHES_FAILED if grown > LEAST => {
                dropped.add(format!("{} +{}", shown(key), short(grown)), look);
            }
            _ => {}
        }
    }
    let all = short(spans.values().sum());
    vec![
        Claim::of(
            "books.exported",
            pages.source,
            format!("{all} spans were accepted where they were sent"),
            &exported,
        )
        .unless(explained.as_deref()),
        Claim::of("books.drops", pages.source, "nothing was thrown away, no batch was refused", &dropped),
    ]
}

/// Whether the roles have exported every span that was made.
pub(super) fn all_exported(before: &CountSnapshot, after: &CountSnapshot, ledger: &RequestLedger) -> bool {
    ledger.spans().iter().all(|(service, wanted)| {
        let mut exported = after.values.keys().filter(|key| key.metric == names::SPANS_EXPORTED);
        let key = exported.find(|key| key.service == *service);
        key.is_some_and(|key| after.grown(before, key) >= *wanted)
    })
}

/// A series as a page has it.
pub(super) fn shown(key: &CountKey) -> String {
    let labels: Vec<_> = key.labels.iter().map(|(key, value)| format!("{key}=\"{value}\"")).collect();
    match labels.is_empty() {
        true => format!("{} {}", key.service, key.metric),
        false => format!("{} {}{{{}}}", key.service, key.metric, labels.join(",")),
    }
}

/// A number without the fraction that it does not have.
fn short(number: f64) -> String {
    let text = format!("{number:.2}");
    text.strip_suffix(".00").map_or_else(|| text.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::super::claim::ClaimVerdict;
    use super::super::ledger::{LedgerEntry, RequestOutcome};
    use super::*;
    use crate::lab::expect::{Shape, Subject};

    fn ledger() -> RequestLedger {
        let entry = LedgerEntry {
            shape: std::sync::Arc::new(Shape::of(Subject::Root).clone()),
            path: "/".to_owned(),
            outcome: RequestOutcome::AsExpected,
            trace: None,
            sampled: true,
            flagged: true,
            order: None,
            linked: None,
            cents: 0,
        };
        RequestLedger { entries: vec![entry], ..RequestLedger::default() }
    }

    /// The gateway's requests for `/` and for what has no route, and which process counted them.
    fn page(root: f64, other: f64, process: &str) -> CountSnapshot {
        let mut page = CountSnapshot::default();
        for (endpoint, value) in [("/", root), ("other", other)] {
            let labels = BTreeMap::from([("endpoint".to_owned(), endpoint.to_owned())]);
            let (service, metric) = ("api-gateway".to_owned(), names::GATEWAY_REQUESTS.to_owned());
            page.values.insert(CountKey { service, metric, labels }, value);
        }
        page.processes.entry("api-gateway".to_owned()).or_default().insert(process.to_owned());
        page
    }

    fn requests(
        before: &CountSnapshot,
        after: &CountSnapshot,
        others: Option<&str>,
    ) -> (ClaimVerdict, String) {
        let counted = CountedSource { source: "roles", before, after, look: "" };
        let claim = counted.metric(names::GATEWAY_REQUESTS, &ledger().counts(), &ledger(), others);
        (claim.verdict, claim.found)
    }

    #[test]
    fn a_count_that_is_not_exact_fails_unless_a_restart_or_others_explain_every_series() {
        let before = page(5.0, 2.0, "one");
        assert_eq!(requests(&before, &page(6.0, 2.0, "one"), None).0, ClaimVerdict::Pass);
        let (verdict, found) = requests(&before, &page(7.0, 2.0, "one"), None);
        assert_eq!(verdict, ClaimVerdict::Fail);
        assert!(found.contains("endpoint=\"/\"} +2, expected +1"), "{found}");
        let others = Some("others were there");
        assert_eq!(requests(&before, &page(7.0, 2.0, "one"), others).0, ClaimVerdict::CannotTell);
        // What is missing others did not send.
        assert_eq!(requests(&before, &page(5.0, 3.0, "one"), others).0, ClaimVerdict::Fail);
        let (verdict, found) = requests(&before, &page(1.0, 0.0, "two"), None);
        assert_eq!(verdict, ClaimVerdict::CannotTell);
        assert!(found.contains("went back from 5 to 1") && found.contains("was restarted"), "{found}");
    }
}
