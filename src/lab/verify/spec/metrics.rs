//! Claims about the metrics that a file names: there, of their kind and unit, grown by what the run does.

use super::super::claim::{Claim, Flaws};
use super::arrived::{ArrivalWindow, Arrived, ArrivedSeries};
use super::silence::Silence;
use super::spans::RowLabels;
use super::values::strange;
use crate::config::spec::{SpecMetric, SpecSeries, SpecValue, TelemetrySpec};

/// The rows of all metrics.
pub(super) fn judge(
    spec: &TelemetrySpec,
    window: &ArrivalWindow,
    arrived: &Arrived,
    silence: &Silence<'_>,
) -> Vec<Claim> {
    let (source, base) = window.source("metrics");
    let mut claims = Vec::new();
    let mut labels = RowLabels::default();
    for row in &spec.metrics {
        let service = spec.service_of(row.service.as_deref());
        let of = |one: &&ArrivedSeries| one.series.service == service && one.series.name == row.name;
        let mine: Vec<_> = arrived.series.iter().filter(of).collect();
        let label = labels.unique(&row.name);
        if silence.tells("metrics", service, None) {
            continue;
        }
        let look = format!("{base}/api/metrics/{}?service={service}", row.name);
        claims.extend(of_row(spec.strict, row, &label, service, &mine, source, &look));
    }
    claims
}

fn of_row(
    strict: bool,
    row: &SpecMetric,
    label: &str,
    service: &str,
    mine: &[&ArrivedSeries],
    source: &str,
    look: &str,
) -> Vec<Claim> {
    let look = || look.to_owned();
    let claim = |aspect: &str, expected: String, flaws: &Flaws| {
        Claim::of(&format!("metrics.{label}.{aspect}"), source, expected, flaws)
    };
    let mut present = Flaws::default();
    if mine.is_empty() {
        present.add(format!("no point of {service} in this run"), look);
    }
    let mut claims = vec![claim("present", format!("points of {service}"), &present)];
    if mine.is_empty() {
        return claims;
    }
    let (mut kinds, mut units) = (Flaws::default(), Flaws::default());
    for ArrivedSeries { series, .. } in mine {
        if row.kind.as_deref().is_some_and(|kind| kind != series.kind) {
            kinds.add(series.kind.to_owned(), look);
        }
        if row.unit.as_deref().is_some_and(|unit| unit != series.unit) {
            units.add(format!("'{}'", series.unit), look);
        }
    }
    claims.extend(row.kind.as_ref().map(|kind| claim("kind", kind.clone(), &kinds)));
    claims.extend(row.unit.as_ref().map(|unit| claim("unit", format!("'{unit}'"), &units)));
    let mut series_labels = RowLabels::default();
    for wanted in &row.series {
        claims.extend(of_series(wanted, &series_labels.unique(&attributes(wanted)), mine, &claim, &look));
    }
    if strict && !row.series.is_empty() {
        let mut extra = Flaws::default();
        let other = |one: &&&ArrivedSeries| !row.series.iter().any(|wanted| is_of(wanted, one));
        for one in mine.iter().filter(other) {
            extra.add(shown(one), look);
        }
        claims.push(claim("extra", "no other series".to_owned(), &extra));
    }
    claims
}

fn of_series(
    wanted: &SpecSeries,
    label: &str,
    mine: &[&ArrivedSeries],
    claim: &impl Fn(&str, String, &Flaws) -> Claim,
    look: &impl Fn() -> String,
) -> Vec<Claim> {
    let these: Vec<_> = mine.iter().filter(|one| is_of(wanted, one)).collect();
    if these.is_empty() {
        let mut flaws = Flaws::default();
        let all: Vec<_> = mine.iter().take(3).map(|one| shown(one)).collect();
        flaws.add(format!("no such series, but {}", all.join(", ")), look);
        return vec![claim(&format!("{label}.present"), "a series with these attributes".to_owned(), &flaws)];
    }
    let mut claims = Vec::new();
    if let Some(delta) = &wanted.delta {
        let (grown, mut flaws) = (these.iter().map(|one| one.grown).sum::<f64>(), Flaws::default());
        if !delta.holds(grown) {
            flaws.add(format!("+{grown}"), look);
        }
        claims.push(claim(&format!("{label}.delta"), format!("+{}", delta.words()), &flaws));
    }
    if let Some(value) = &wanted.value {
        let mut flaws = Flaws::default();
        for one in these.iter().filter(|one| !value.holds(one.series.latest)) {
            flaws.add(one.series.latest.to_string(), look);
        }
        claims.push(claim(&format!("{label}.value"), value.words(), &flaws));
    }
    if claims.is_empty() {
        let there = Flaws::default();
        claims.push(claim(&format!("{label}.present"), "a series with these attributes".to_owned(), &there));
    }
    claims
}

fn is_of(wanted: &SpecSeries, one: &ArrivedSeries) -> bool {
    strange(&wanted.attributes, |key| one.series.attributes.get(key)).is_empty()
}

fn shown(one: &ArrivedSeries) -> String {
    let pairs = one.series.attributes.iter().map(|(key, value)| format!("{key}={value}"));
    format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
}

/// A series' attributes as its row has them.
fn attributes(wanted: &SpecSeries) -> String {
    let pair = |(key, rule): (&String, &SpecValue)| match rule {
        SpecValue::Exactly(value) => format!("{key}={value}"),
        SpecValue::Rule(_) => format!("{key}~"),
    };
    format!("{{{}}}", wanted.attributes.iter().map(pair).collect::<Vec<_>>().join(","))
}
