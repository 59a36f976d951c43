//! Services of which nothing arrived: told once, and not by each row of theirs.

use std::collections::BTreeMap;

use super::super::claim::{Claim, Flaws};
use super::arrived::{ArrivalWindow, Arrived};
use super::values::least;
use crate::config::spec::{SpecRange, TelemetrySpec};

/// The signal of a row, as claims begin with it, and its service.
type SilentKey<'a> = (&'static str, &'a str);

/// Services of which a signal has nothing, or all have, where more than one row would say so.
pub(super) struct Silence<'a> {
    /// How many rows say nothing else.
    folded: BTreeMap<SilentKey<'a>, usize>,
    /// Services of which nothing at all arrived.
    whole: Vec<&'a str>,
}

impl<'a> Silence<'a> {
    pub(super) fn of(spec: &'a TelemetrySpec, arrived: &Arrived) -> Self {
        let mut rows: BTreeMap<SilentKey<'a>, usize> = BTreeMap::new();
        let spans = spec.spans.iter().map(|row| ("spans", &row.service, needs(row.count.as_ref())));
        let metrics = spec.metrics.iter().map(|row| ("metrics", &row.service, true));
        let logs = spec.logs.iter().map(|row| ("logs", &row.service, needs(row.count.as_ref())));
        for (signal, own, _) in spans.chain(metrics).chain(logs).filter(|(.., needs)| *needs) {
            *rows.entry((signal, spec.service_of(own.as_deref()))).or_default() += 1;
        }
        let mut folded = rows;
        folded.retain(|(signal, service), _| !has(arrived, signal, service));
        let whole =
            |service: &&str| !["spans", "metrics", "logs"].iter().any(|signal| has(arrived, signal, service));
        let mut whole: Vec<_> = folded.keys().map(|(_, service)| *service).filter(whole).collect();
        whole.sort_unstable();
        whole.dedup();
        whole.retain(|service| rows_of(&folded, service) > 1);
        folded.retain(|(_, service), rows| *rows > 1 || whole.contains(service));
        Self { folded, whole }
    }

    /// Whether a row that needs so many is left out, because what is missing is told once.
    pub(super) fn tells(&self, signal: &'static str, service: &str, count: Option<&SpecRange>) -> bool {
        needs(count) && self.folded.contains_key(&(signal, service))
    }

    /// A row for each of them.
    pub(super) fn claims(&self, window: &ArrivalWindow, known: &[String]) -> Vec<Claim> {
        let mut claims = Vec::new();
        for service in &self.whole {
            let rows = rows_of(&self.folded, service);
            let (source, base) = window.source("spans");
            let mut flaws = Flaws::default();
            flaws.add(nothing_of(service, known), || format!("{base}/"));
            let expected = format!("telemetry of {service}, for {rows} rows of the file");
            claims.push(Claim::of(&format!("services.{service}"), source, expected, &flaws));
        }
        for ((signal, service), rows) in self.folded.iter().filter(|((_, own), _)| !self.whole.contains(own))
        {
            let (source, base) = window.source(signal);
            let mut flaws = Flaws::default();
            flaws.add(format!("no {signal} of {service} in this run, though other telemetry of it"), || {
                format!("{base}/")
            });
            let expected = format!("{signal} of {service}, for {rows} rows of the file");
            claims.push(Claim::of(&format!("{signal}.{service}.arrived"), source, expected, &flaws));
        }
        claims
    }
}

/// That nothing of a service arrived, and of which others something ever did.
pub(super) fn nothing_of(service: &str, known: &[String]) -> String {
    match known.iter().any(|name| name == service) {
        true => format!("nothing of {service} arrived in this run"),
        false if known.is_empty() => format!("nothing of {service} ever arrived, nor of any other service"),
        false => format!("nothing of {service} ever arrived, but of {}", known.join(", ")),
    }
}

/// How many rows of a service are folded, of all signals.
fn rows_of(folded: &BTreeMap<SilentKey<'_>, usize>, service: &str) -> usize {
    folded.iter().filter(|((_, own), _)| *own == service).map(|(_, rows)| rows).sum()
}

fn needs(count: Option<&SpecRange>) -> bool {
    least(count) > 0.0
}

fn has(arrived: &Arrived, signal: &str, service: &str) -> bool {
    match signal {
        "spans" => arrived.spans.iter().any(|span| span.service == service),
        "metrics" => arrived.series.iter().any(|one| one.series.service == service),
        _ => arrived.lines.iter().any(|line| line.text("service") == service),
    }
}
