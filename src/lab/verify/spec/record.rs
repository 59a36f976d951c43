//! The first file, written from what arrived: in one order whatever came first, and without what the next run has
//! otherwise.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::arrived::{Arrived, ArrivedSeries};
use super::volatile::{counts_the_workload, is_measured, readable, rule, text, whole};
use crate::config::spec::fields::SEVERITIES;
use crate::config::spec::{
    SpecLog, SpecMetric, SpecRange, SpecSeries, SpecSpan, SpecText, SpecValues, TelemetrySpec,
};
use crate::lab::backend::log::LogLine;
use crate::lab::backend::trace::{Span, SpanStatus};
use crate::terminal::escaped;

/// Service and name, as a row has them.
type NameKey = (String, String);

/// Where a span stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum RecordPlace {
    Root,
    Under(NameKey),
    /// Its parent did not arrive.
    Outside,
}

/// What tells the spans of one row from those of another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct SpanKey {
    place: RecordPlace,
    name: NameKey,
    kind: String,
    /// Those that went well come first.
    status: Reverse<&'static str>,
}

/// Service, text, event, severity and the span's row of the lines of one row.
type LineKey = (String, String, String, String, Option<String>);

/// Fields of a log line that are no attributes.
const LINE_FIELDS: [&str; 9] =
    ["timestamp", "level", "message", "service", "traceId", "spanId", "eventName", "scope", "resource"];

/// What arrived as a file.
pub(super) fn spec(arrived: &Arrived) -> TelemetrySpec {
    let (spans, labels) = spans(arrived);
    let mut spec = TelemetrySpec {
        service: None,
        strict: true,
        spans,
        metrics: metrics(&arrived.series),
        logs: logs(arrived, &labels),
    };
    let own = spec.spans.iter_mut().map(|row| &mut row.service);
    let own = own.chain(spec.metrics.iter_mut().map(|row| &mut row.service));
    let own: Vec<_> = own.chain(spec.logs.iter_mut().map(|row| &mut row.service)).collect();
    let all: BTreeSet<_> = own.iter().map(|service| (**service).clone()).collect();
    if let (1, Some(Some(only))) = (all.len(), all.first()) {
        own.into_iter().for_each(|service| *service = None);
        spec.service = Some(only.clone());
    }
    if own_is_empty(&spec) { TelemetrySpec::default() } else { spec }
}

fn own_is_empty(spec: &TelemetrySpec) -> bool {
    spec.spans.is_empty() && spec.metrics.is_empty() && spec.logs.is_empty()
}

/// The file's text, which names what was left out.
///
/// # Errors
/// What was recorded is no file that this program takes.
pub(super) fn written(spec: &TelemetrySpec, left_out: &[String]) -> anyhow::Result<String> {
    let yaml = serde_yaml_ng::to_string(spec)?;
    let left_out: String = left_out.iter().map(|what| format!("# Left out: {}\n", escaped(what))).collect();
    let text = format!(
        "# Written by `o11y-lab verify --record` from what arrived in one run; what another run has otherwise is a type\n\
         # or a pattern. Check it: `o11y-lab verify --spec FILE -- COMMAND`; docs/verify-spec.md has every field.\n\
         {left_out}{yaml}"
    );
    match TelemetrySpec::parse(&text) {
        Ok(_) => Ok(text),
        Err(wrong) => anyhow::bail!("what arrived makes no file: {}", wrong.join("; ")),
    }
}

fn name_key(service: &str, name: &str) -> NameKey {
    (service.to_owned(), String::from(text(name).as_str()))
}

fn span_key(arrived: &Arrived, span: &Span) -> SpanKey {
    let parent = arrived.all.get(&(span.trace.clone(), span.parent.clone()));
    let place = match (span.parent.as_str(), parent) {
        ("", _) => RecordPlace::Root,
        (_, Some((service, name))) => RecordPlace::Under(name_key(service, name)),
        (_, None) => RecordPlace::Outside,
    };
    let status = match span.status {
        SpanStatus::Unset => "unset",
        SpanStatus::Ok => "ok",
        SpanStatus::Error => "error",
    };
    SpanKey {
        place,
        name: name_key(&span.service, &span.name),
        kind: span.kind.as_str().to_lowercase(),
        status: Reverse(status),
    }
}

/// The rows of spans, each below its parent, and what each is called.
fn spans(arrived: &Arrived) -> (Vec<SpecSpan>, BTreeMap<NameKey, String>) {
    let mut groups: BTreeMap<SpanKey, Vec<&Span>> = BTreeMap::new();
    for span in &arrived.spans {
        groups.entry(span_key(arrived, span)).or_default().push(span);
    }
    let order = in_order(groups.keys().cloned().collect());
    let (ids, labels) = called(&order, &groups);
    let row =
        |(key, id): (&SpanKey, &Option<String>)| span_row(arrived, key, id.clone(), &groups[key], &labels);
    (order.iter().zip(&ids).map(row).collect(), labels)
}

/// Roots first, each followed by what is below it.
fn in_order(mut left: Vec<SpanKey>) -> Vec<SpanKey> {
    let mut order = Vec::with_capacity(left.len());
    let mut stack: Vec<SpanKey> =
        left.extract_if(.., |key| !matches!(key.place, RecordPlace::Under(_))).collect();
    stack.reverse();
    while !left.is_empty() || !stack.is_empty() {
        // What is in no tree comes last.
        let Some(next) = stack.pop().or_else(|| (!left.is_empty()).then(|| left.remove(0))) else { break };
        let below = |key: &mut SpanKey| key.place == RecordPlace::Under(next.name.clone());
        let mut children: Vec<_> = left.extract_if(.., below).collect();
        children.reverse();
        stack.extend(children);
        order.push(next);
    }
    order
}

/// The `id` of each row, where its name would not do, and what the first row of each name is called.
fn called(
    order: &[SpanKey],
    groups: &BTreeMap<SpanKey, Vec<&Span>>,
) -> (Vec<Option<String>>, BTreeMap<NameKey, String>) {
    let (mut ids, mut labels, mut taken) = (Vec::new(), BTreeMap::new(), BTreeSet::new());
    for key in order {
        let own = readable(groups[key].first().map_or("", |span| span.name.as_str()));
        let alike = order.iter().filter(|other| other.name.1 == key.name.1).count();
        let mut label = own.clone();
        if taken.contains(&label) && key.status.0 != "unset" {
            label = format!("{own} ({})", key.status.0);
        }
        let (first, mut number) = (label.clone(), 1);
        while !taken.insert(label.clone()) {
            number += 1;
            label = format!("{first} #{number}");
        }
        let needed = alike > 1 || label != key.name.1;
        ids.push(needed.then(|| label.clone()));
        labels.entry(key.name.clone()).or_insert(label);
    }
    (ids, labels)
}

fn span_row(
    arrived: &Arrived,
    key: &SpanKey,
    id: Option<String>,
    spans: &[&Span],
    labels: &BTreeMap<NameKey, String>,
) -> SpecSpan {
    let parent = match &key.place {
        RecordPlace::Under(name) => labels.get(name).cloned(),
        RecordPlace::Root | RecordPlace::Outside => None,
    };
    let attributes: Vec<_> = spans.iter().map(|span| span.attributes.iter().collect()).collect();
    SpecSpan {
        id,
        name: text(spans.first().map_or("", |span| span.name.as_str())),
        service: Some(key.name.0.clone()),
        count: Some(SpecRange::Exactly(spans.len().into())),
        kind: Some(key.kind.clone()).filter(|kind| kind != "unspecified"),
        root: key.place == RecordPlace::Root,
        parent,
        links: links(arrived, spans, labels),
        status: Some(key.status.0.to_owned()),
        attributes: rules(&attributes),
        resource: SpecValues::new(),
    }
}

/// The rows that every one of these spans has a link to.
fn links(arrived: &Arrived, spans: &[&Span], labels: &BTreeMap<NameKey, String>) -> Vec<String> {
    let of = |span: &&Span| {
        let linked =
            span.links.iter().filter_map(|link| arrived.all.get(&(link.trace.clone(), link.span.clone())));
        linked
            .filter_map(|(service, name)| labels.get(&name_key(service, name)).cloned())
            .collect::<BTreeSet<_>>()
    };
    let common = spans.iter().map(of).reduce(|a, b| a.intersection(&b).cloned().collect());
    common.unwrap_or_default().into_iter().collect()
}

/// What every one of these has, as far as the next run has it too.
fn rules(all: &[BTreeMap<&String, &Value>]) -> SpecValues {
    let Some(first) = all.first() else { return SpecValues::new() };
    let of = |key: &&String| {
        let found = all.iter().map(|one| one.get(*key).copied()).collect::<Option<Vec<_>>>()?;
        Some(((*key).clone(), rule(key, &found)))
    };
    first.keys().filter_map(of).collect()
}

fn metrics(arrived: &[ArrivedSeries]) -> Vec<SpecMetric> {
    let mut groups: BTreeMap<(&str, &str, &str, &str), Vec<&ArrivedSeries>> = BTreeMap::new();
    for one in arrived {
        let series = &one.series;
        groups.entry((&series.service, &series.name, series.kind, &series.unit)).or_default().push(one);
    }
    let row = |((service, name, kind, unit), all): (&(&str, &str, &str, &str), &Vec<&ArrivedSeries>)| {
        let mut series: BTreeMap<String, (SpecValues, f64)> = BTreeMap::new();
        for one in all {
            let rules: SpecValues =
                one.series.attributes.iter().map(|(key, value)| (key.clone(), rule(key, &[value]))).collect();
            let key = serde_json::to_string(&rules).unwrap_or_default();
            series.entry(key).or_insert_with(|| (rules, 0.0)).1 += one.grown;
        }
        let counted = counts_the_workload(name);
        let series = series.into_values().filter_map(|(attributes, grown)| {
            let delta = match *kind {
                "gauge" | "up_down_counter" | "summary" => None,
                "counter" if is_measured(unit, grown) => None,
                _ => Some(SpecRange::Exactly(whole(grown))),
            };
            (delta.is_some() || !attributes.is_empty()).then_some(SpecSeries {
                attributes,
                delta,
                value: None,
            })
        });
        SpecMetric {
            name: (*name).to_owned(),
            service: Some((*service).to_owned()),
            kind: Some((*kind).to_owned()),
            unit: Some((*unit).to_owned()).filter(|unit| !unit.is_empty()),
            series: if counted { series.collect() } else { Vec::new() },
        }
    };
    groups.iter().map(row).collect()
}

fn logs(arrived: &Arrived, labels: &BTreeMap<NameKey, String>) -> Vec<SpecLog> {
    let mut groups: BTreeMap<LineKey, Vec<&LogLine>> = BTreeMap::new();
    for line in &arrived.lines {
        let span = arrived.all.get(&(line.text("traceId").to_owned(), line.text("spanId").to_owned()));
        let span = span.and_then(|(service, name)| labels.get(&name_key(service, name)).cloned());
        let body = if line.text("eventName").is_empty() { line.text("message") } else { "" };
        let (service, body) = name_key(line.text("service"), body);
        let key = (service, body, line.text("eventName").to_owned(), line.text("level").to_owned(), span);
        groups.entry(key).or_default().push(line);
    }
    let row = |((service, _, event, severity, span), lines): (LineKey, Vec<&LogLine>)| {
        let attributes: Vec<_> = lines.iter().map(|line| own_fields(line)).collect();
        SpecLog {
            body: event
                .is_empty()
                .then(|| lines.first().map_or(SpecText::default(), |line| text(line.text("message")))),
            event: Some(event).filter(|event: &String| !event.is_empty()),
            service: Some(service),
            count: Some(SpecRange::Exactly(lines.len().into())),
            severity: Some(severity).filter(|severity| SEVERITIES.contains(&severity.as_str())),
            span,
            attributes: rules(&attributes),
        }
    };
    groups.into_iter().map(row).collect()
}

fn own_fields(line: &LogLine) -> BTreeMap<&String, &Value> {
    line.fields.iter().filter(|(key, _)| !LINE_FIELDS.contains(&key.as_str())).collect()
}
