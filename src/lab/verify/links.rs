//! Claims about what leads from one signal to another, and about the rules that watch them.

use std::collections::HashSet;

use super::claim::{Claim, ClaimVerdict, Flaws};
use super::files::trace_place;
use super::ledger::RequestLedger;
use super::sources::Named;
use crate::config::without_login;
use crate::lab::backend::alert::AlertReader;
use crate::lab::backend::trace::TraceReader;
use crate::runtime::oneshot::OneShot;

const ANSWER_WITHIN: std::time::Duration = std::time::Duration::from_secs(10);
const LARGEST_ANSWER: usize = 16 << 20;

/// Exemplars on the gateway's page that name traces of this run: each has to be in a backend of traces.
pub(super) async fn exemplars(
    gateway: &str,
    ledger: &RequestLedger,
    traces: &[Named<TraceReader>],
) -> Vec<Claim> {
    let recorded: HashSet<&str> = ledger.recorded().map(|(id, _)| id).collect();
    let Some(reader) = traces.first().filter(|_| !recorded.is_empty()) else { return Vec::new() };
    let url = format!("{}/metrics", without_login(gateway));
    let http = OneShot::new(ANSWER_WITHIN, LARGEST_ANSWER);
    let accept = [("accept", "application/openmetrics-text")];
    let expected = "exemplars of the gateway's latencies name traces that are there";
    let page =
        match http.send(actix_web::http::Method::GET, &format!("{gateway}/metrics"), &accept, None).await {
            Ok(answer) if answer.is_success() => String::from_utf8_lossy(&answer.body).into_owned(),
            Ok(answer) => return vec![untold(expected, &format!("{url} answered {}", answer.status))],
            Err(why) => return vec![untold(expected, &why.to_string())],
        };
    let named: HashSet<&str> = exemplar_ids(&page).filter(|id| recorded.contains(id)).collect();
    if let Err(error) = reader.reader.check().await {
        return vec![untold(expected, &error.to_string())];
    }
    let mut flaws = Flaws::default();
    if named.is_empty() {
        flaws.add("no exemplar names a trace of this run".to_owned(), || url.clone());
    }
    let ids: Vec<&str> = named.iter().copied().collect();
    for ids in ids.chunks(reader.reader.at_once()) {
        let counts = match reader.reader.counts(ids).await {
            Ok(counts) => counts,
            Err(error) => return vec![untold(expected, &error.to_string())],
        };
        for (id, _) in ids.iter().zip(counts).filter(|(_, spans)| *spans == 0) {
            let look = || trace_place(&reader.label, &reader.base, id);
            flaws.add(format!("{id} is named and not there"), look);
        }
    }
    let mut claim = Claim::of("links.exemplars", "roles", expected, &flaws);
    if claim.verdict == ClaimVerdict::Pass {
        claim.found = format!("{} exemplars lead to traces", named.len());
    }
    vec![claim]
}

fn untold(expected: &str, why: &str) -> Claim {
    Claim::untold("links.exemplars", "roles", expected, why)
}

/// The trace ids of the exemplars on an OpenMetrics page.
fn exemplar_ids(page: &str) -> impl Iterator<Item = &str> {
    page.lines().filter_map(|line| line.split_once(" # {")?.1.split_once("trace_id=\"")?.1.split('"').next())
}

/// Rules that are evaluated, and alerts that fire.
pub(super) async fn alerts(source: &Named<AlertReader>) -> Vec<Claim> {
    let (rules, firing) = match (source.reader.rules().await, source.reader.all().await) {
        (Ok(rules), Ok(alerts)) => (rules, alerts),
        (Err(error), _) | (_, Err(error)) => {
            return vec![Claim::unread("alerts", &source.label, error.to_string())];
        }
    };
    let look = |path: &str| format!("{}{path}", source.base);
    let (mut sick, mut fires) = (Flaws::default(), Flaws::default());
    if rules.is_empty() {
        sick.add("no rule is loaded".to_owned(), || look("/rules"));
    }
    for rule in rules.iter().filter(|rule| rule.health != "ok" && rule.health != "unknown") {
        sick.add(format!("{} is {}", rule.name, rule.health), || look("/rules"));
    }
    for alert in firing.iter().filter(|alert| alert.state == "firing" && alert.label("severity") != "none") {
        fires.add(format!("{} fires", alert.name()), || look("/alerts"));
    }
    let expected = format!("{} rules, each evaluated without an error", rules.len());
    vec![
        Claim::of("alerts.rules", &source.label, expected, &sick),
        Claim::of("alerts.firing", &source.label, "no alert fires", &fires),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exemplar_stands_behind_its_sample_and_other_lines_have_none() {
        let page = "a_bucket{le=\"1.5\"} 2 # {trace_id=\"4b\",span_id=\"00\"} 0.1 1.5\n# {trace_id=\"no\"}\na_sum 1\n";
        assert_eq!(exemplar_ids(page).collect::<Vec<_>>(), ["4b"]);
    }
}
