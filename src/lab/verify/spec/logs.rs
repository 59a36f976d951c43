//! Claims about the log lines that a file names: so many, joined to their spans.

use super::super::claim::{Claim, Flaws};
use super::arrived::{ArrivalWindow, Arrived};
use super::assign::assign;
use super::silence::Silence;
use super::spans::{RowLabels, SpanJudge};
use super::values::{alike, counted, holds, strange};
use crate::config::spec::{SpecLog, SpecText, TelemetrySpec};
use crate::lab::backend::log::LogLine;

/// What a row may say beyond a count, in the order of the report.
const ASPECTS: [(&str, &str); 3] = [
    ("severity", "each has its severity"),
    ("span", "each has the ids of the span it was written in"),
    ("attributes", "each attribute is as the file has it"),
];

/// One thing that is wrong with a line: aspect and words.
type LineFlaw = (&'static str, String);

/// The rows of all log lines.
pub(super) fn judge(
    spec: &TelemetrySpec,
    window: &ArrivalWindow,
    arrived: &Arrived,
    silence: &Silence<'_>,
) -> Vec<Claim> {
    let (source, base) = window.source("logs");
    let spans = SpanJudge::new(spec, arrived);
    let flaws_of = |line: &LogLine| {
        let row = |row: &SpecLog| is_line(spec, row, line).then(|| flaws(&spans, arrived, row, line));
        spec.logs.iter().map(row).collect::<Vec<_>>()
    };
    let flaws: Vec<Vec<Option<Vec<LineFlaw>>>> = arrived.lines.iter().map(flaws_of).collect();
    let wrong: Vec<Vec<_>> =
        flaws.iter().map(|rows| rows.iter().map(|flaws| flaws.as_ref().map(Vec::len)).collect()).collect();
    let counts: Vec<_> = spec.logs.iter().map(|row| row.count.as_ref()).collect();
    let given = assign(&counts, &wrong);
    let others: Vec<&LogLine> =
        arrived.lines.iter().zip(&given).filter(|(_, row)| row.is_none()).map(|(line, _)| line).collect();

    let mut claims = Vec::new();
    let mut labels = RowLabels::default();
    for (index, row) in spec.logs.iter().enumerate() {
        let service = spec.service_of(row.service.as_deref());
        let look = || format!("{base}/api/logs?service={service}");
        let mine: Vec<&[LineFlaw]> = flaws
            .iter()
            .zip(&given)
            .filter(|(_, given)| **given == Some(index))
            .map(|(flaws, _)| flaws[index].as_deref().unwrap_or_default())
            .collect();
        let name = row.event.as_deref().or(row.body.as_ref().map(SpecText::as_str)).unwrap_or_default();
        let label = labels.unique(name);
        if silence.tells("logs", service, row.count.as_ref()) {
            continue;
        }
        let claim = |aspect: &str, expected: String, flaws: &Flaws| {
            Claim::of(&format!("logs.{label}.{aspect}"), source, expected, flaws)
        };
        let mut count = Flaws::default();
        if !holds(row.count.as_ref(), mine.len()) {
            let of = others.iter().filter(|line| line.text("service") == service);
            let hint = match mine.is_empty() {
                true => alike(&SpecText::Exactly(name.to_owned()), of.map(|line| named(line))),
                false => String::new(),
            };
            count.add(format!("{}{hint}", mine.len()), look);
        }
        claims.push(claim("count", format!("{} of {service}", counted(row.count.as_ref())), &count));
        for (aspect, expected) in
            ASPECTS.into_iter().filter(|(aspect, _)| !mine.is_empty() && says(row, aspect))
        {
            let mut wrong = Flaws::default();
            for (_, what) in mine.iter().flat_map(|flaws| flaws.iter()).filter(|(of, _)| *of == aspect) {
                wrong.add(what.clone(), look);
            }
            claims.push(claim(aspect, expected.to_owned(), &wrong));
        }
    }
    if spec.strict && !spec.logs.is_empty() {
        let mut extra = Flaws::default();
        for line in others {
            let service = line.text("service");
            extra.add(format!("'{}' of {service}", named(line)), || {
                format!("{base}/api/logs?service={service}")
            });
        }
        claims.push(Claim::of("logs.extra", source, "no other log line of these services", &extra));
    }
    claims
}

fn is_line(spec: &TelemetrySpec, row: &SpecLog, line: &LogLine) -> bool {
    spec.service_of(row.service.as_deref()) == line.text("service")
        && row.body.as_ref().is_none_or(|body| body.matches(line.text("message")))
        && row.event.as_deref().is_none_or(|event| event == line.text("eventName"))
}

fn flaws(spans: &SpanJudge<'_>, arrived: &Arrived, row: &SpecLog, line: &LogLine) -> Vec<LineFlaw> {
    let mut flaws = Vec::new();
    let severity = line.text("level");
    if let Some(wanted) = row.severity.as_deref().filter(|wanted| *wanted != severity) {
        flaws.push(("severity", format!("{severity} instead of {wanted}")));
    }
    if let Some(wanted) = &row.span {
        let (trace, id) = (line.text("traceId"), line.text("spanId"));
        let there = arrived.all.get(&(trace.to_owned(), id.to_owned()));
        let excused = !id.is_empty() && spans.is_excused(wanted, trace, id);
        if !spans.is_of(wanted, trace, id) && !excused {
            flaws.push(("span", misjoined(there, wanted, trace, id)));
        }
    }
    let own = strange(&row.attributes, |key| line.fields.get(key));
    flaws.extend(own.into_iter().map(|what| ("attributes", what)));
    flaws
}

/// What is wrong with the ids of a line that is in no span of its row; `span` is the one that it is in.
fn misjoined(span: Option<&(String, String)>, wanted: &str, trace: &str, id: &str) -> String {
    match span {
        _ if trace.is_empty() || id.is_empty() => {
            format!("trace id '{trace}' and span id '{id}' instead of those of {wanted}")
        }
        Some((service, name)) => format!("in {name} of {service} instead of {wanted}"),
        None => format!("in span {id}, which is not there, instead of {wanted}"),
    }
}

fn says(row: &SpecLog, aspect: &str) -> bool {
    match aspect {
        "severity" => row.severity.is_some(),
        "span" => row.span.is_some(),
        _ => !row.attributes.is_empty(),
    }
}

/// What a line is called: its event's name, or its text.
fn named(line: &LogLine) -> &str {
    match line.text("eventName") {
        "" => line.text("message"),
        event => event,
    }
}
