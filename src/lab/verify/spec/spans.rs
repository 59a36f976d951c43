//! Claims about the spans that a file names: so many, in their places, as their rows say.

use super::super::claim::{Claim, Flaws};
use super::arrived::{ArrivalWindow, Arrived};
use super::assign::assign;
use super::silence::{Silence, nothing_of};
use super::values::{alike, counted, holds, least, strange};
use crate::config::spec::{SpecSpan, TelemetrySpec};
use crate::lab::backend::trace::{Span, SpanStatus};

/// What a row may say beyond a count, in the order of the report.
const ASPECTS: [(&str, &str); 6] = [
    ("kind", "each has its kind"),
    ("parent", "each is in its place"),
    ("links", "each has its links"),
    ("status", "each has its status"),
    ("attributes", "each attribute is as the file has it"),
    ("resource", "each attribute of the resource is as the file has it"),
];

/// One thing that is wrong with a span: aspect and words.
type SpanFlaw = (&'static str, String);

/// The rows of spans with what arrived.
pub(super) struct SpanJudge<'a> {
    spec: &'a TelemetrySpec,
    arrived: &'a Arrived,
    /// Of each row, whether fewer spans of its name arrived than have to: then it is missing as a parent too, which
    /// is told once.
    short: Vec<bool>,
}

/// The rows of all spans.
pub(super) fn judge(
    spec: &TelemetrySpec,
    window: &ArrivalWindow,
    arrived: &Arrived,
    silence: &Silence<'_>,
) -> Vec<Claim> {
    let (source, base) = window.source("spans");
    let judge = SpanJudge::new(spec, arrived);
    let flaws_of = |span: &Span| {
        let row =
            |row: &SpecSpan| is_named(spec, row, &span.service, &span.name).then(|| judge.flaws(row, span));
        spec.spans.iter().map(row).collect::<Vec<_>>()
    };
    let flaws: Vec<Vec<Option<Vec<SpanFlaw>>>> = arrived.spans.iter().map(flaws_of).collect();
    let wrong: Vec<Vec<_>> =
        flaws.iter().map(|rows| rows.iter().map(|flaws| flaws.as_ref().map(Vec::len)).collect()).collect();
    let counts: Vec<_> = spec.spans.iter().map(|row| row.count.as_ref()).collect();
    let given = assign(&counts, &wrong);
    let others: Vec<&Span> =
        arrived.spans.iter().zip(&given).filter(|(_, row)| row.is_none()).map(|(span, _)| span).collect();

    let mut claims = Vec::new();
    let mut labels = RowLabels::default();
    for (index, row) in spec.spans.iter().enumerate() {
        let mine: Vec<(&Span, &[SpanFlaw])> = arrived
            .spans
            .iter()
            .zip(&flaws)
            .zip(&given)
            .filter(|(_, given)| **given == Some(index))
            .map(|((span, flaws), _)| (span, flaws[index].as_deref().unwrap_or_default()))
            .collect();
        let label = labels.unique(row.label());
        if silence.tells("spans", spec.service_of(row.service.as_deref()), row.count.as_ref()) {
            continue;
        }
        claims.extend(judge.claims(row, &label, &mine, &others, source, base));
    }
    if spec.strict && !spec.spans.is_empty() {
        let mut extra = Flaws::default();
        for span in &others {
            extra
                .add(format!("{} of {}", span.name, span.service), || format!("{base}/trace/{}", span.trace));
        }
        claims.push(Claim::of("spans.extra", source, "no other span of these services", &extra));
    }
    claims
}

/// Whether a span of a service is one that a row names.
fn is_named(spec: &TelemetrySpec, row: &SpecSpan, service: &str, name: &str) -> bool {
    spec.service_of(row.service.as_deref()) == service && row.name.matches(name)
}

impl<'a> SpanJudge<'a> {
    /// For what arrived.
    pub(super) fn new(spec: &'a TelemetrySpec, arrived: &'a Arrived) -> Self {
        // Rows that share a name share its spans.
        let short = |row: &SpecSpan| {
            let service = spec.service_of(row.service.as_deref());
            let named = arrived.spans.iter().filter(|span| is_named(spec, row, &span.service, &span.name));
            let alike = |other: &&SpecSpan| {
                other.name == row.name && spec.service_of(other.service.as_deref()) == service
            };
            let least = spec.spans.iter().filter(alike).map(|other| least(other.count.as_ref()));
            #[allow(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
            let found = named.count() as f64;
            least.sum::<f64>() > found
        };
        let short = spec.spans.iter().map(short).collect();
        Self { spec, arrived, short }
    }

    fn claims(
        &self,
        row: &SpecSpan,
        label: &str,
        mine: &[(&Span, &[SpanFlaw])],
        others: &[&Span],
        source: &str,
        base: &str,
    ) -> Vec<Claim> {
        let service = self.spec.service_of(row.service.as_deref());
        let mut count = Flaws::default();
        if !holds(row.count.as_ref(), mine.len()) {
            let look = || mine.first().map_or_else(|| format!("{base}/"), |(span, _)| trace(base, span));
            count.add(format!("{}{}", mine.len(), self.hint(row, service, mine.len(), others)), look);
        }
        let wanted = format!("{} of {service}", counted(row.count.as_ref()));
        let mut claims = vec![Claim::of(&format!("spans.{label}.count"), source, wanted, &count)];
        for (aspect, expected) in
            ASPECTS.into_iter().filter(|(aspect, _)| !mine.is_empty() && says(row, aspect))
        {
            let mut flaws = Flaws::default();
            for (span, wrong) in mine {
                for (_, what) in wrong.iter().filter(|(of, _)| *of == aspect) {
                    flaws.add(what.clone(), || trace(base, span));
                }
            }
            claims.push(Claim::of(&format!("spans.{label}.{aspect}"), source, expected, &flaws));
        }
        claims
    }

    /// Why there are none, as far as it shows.
    fn hint(&self, row: &SpecSpan, service: &str, found: usize, others: &[&Span]) -> String {
        if found > 0 {
            return String::new();
        }
        if !self.arrived.spans.iter().any(|span| span.service == service) {
            return format!("; {}", nothing_of(service, &self.arrived.services));
        }
        alike(&row.name, others.iter().filter(|span| span.service == service).map(|span| span.name.as_str()))
    }

    fn flaws(&self, row: &SpecSpan, span: &Span) -> Vec<SpanFlaw> {
        let mut flaws = Vec::new();
        let kind = span.kind.as_str().to_lowercase();
        if let Some(wanted) = row.kind.as_deref().filter(|wanted| *wanted != kind) {
            flaws.push(("kind", format!("{kind} instead of {wanted}")));
        }
        flaws.extend(self.misplaced(row, span).map(|what| ("parent", what)));
        for name in &row.links {
            let linked = span.links.iter().any(|link| self.is_of(name, &link.trace, &link.span));
            if !linked && !self.is_short(name) {
                flaws.push(("links", format!("no link to {name}, {} in all", span.links.len())));
            }
        }
        let status = match span.status {
            SpanStatus::Unset => "unset",
            SpanStatus::Ok => "ok",
            SpanStatus::Error => "error",
        };
        if let Some(wanted) = row.status.as_deref().filter(|wanted| *wanted != status) {
            flaws.push(("status", format!("{status} instead of {wanted}")));
        }
        let own = strange(&row.attributes, |key| span.attributes.get(key));
        flaws.extend(own.into_iter().map(|what| ("attributes", what)));
        let resource = strange(&row.resource, |key| span.resource.get(key));
        flaws.extend(resource.into_iter().map(|what| ("resource", what)));
        flaws
    }

    fn misplaced(&self, row: &SpecSpan, span: &Span) -> Option<String> {
        let parent = (!span.parent.is_empty()).then_some(span.parent.as_str());
        let there = parent.and_then(|id| self.arrived.all.get(&(span.trace.clone(), id.to_owned())));
        let found = match (parent, there) {
            (None, _) => "under nothing".to_owned(),
            (Some(id), None) => format!("under {id}, which is not there"),
            (Some(_), Some((service, name))) => format!("under {name} of {service}"),
        };
        if row.root {
            return parent.is_some().then(|| format!("{found} instead of a root"));
        }
        let wanted = row.parent.as_deref()?;
        let right = parent.is_some_and(|id| {
            self.is_of(wanted, &span.trace, id) || self.is_excused(wanted, &span.trace, id)
        });
        (!right).then(|| format!("{found} instead of {wanted}"))
    }

    fn row(&self, label: &str) -> Option<usize> {
        self.spec.spans.iter().position(|row| row.label() == label)
    }

    /// Whether a span is one of a row's.
    pub(super) fn is_of(&self, label: &str, trace: &str, id: &str) -> bool {
        let found = self.arrived.all.get(&(trace.to_owned(), id.to_owned()));
        let row = self.row(label).map(|row| &self.spec.spans[row]);
        row.zip(found).is_some_and(|(row, (service, name))| is_named(self.spec, row, service, name))
    }

    /// Whether a span may be one of a row's that is there under another name, or not at all: what the row's own count
    /// says, once.
    pub(super) fn is_excused(&self, label: &str, trace: &str, id: &str) -> bool {
        let found = self.arrived.all.get(&(trace.to_owned(), id.to_owned()));
        let named = |(service, name): &(String, String)| {
            self.spec.spans.iter().any(|row| is_named(self.spec, row, service, name))
        };
        self.is_short(label) && !found.is_some_and(named)
    }

    fn is_short(&self, label: &str) -> bool {
        self.row(label).is_some_and(|row| self.short[row])
    }
}

fn says(row: &SpecSpan, aspect: &str) -> bool {
    match aspect {
        "kind" => row.kind.is_some(),
        "parent" => row.root || row.parent.is_some(),
        "links" => !row.links.is_empty(),
        "status" => row.status.is_some(),
        "attributes" => !row.attributes.is_empty(),
        _ => !row.resource.is_empty(),
    }
}

fn trace(base: &str, span: &Span) -> String {
    format!("{base}/trace/{}", span.trace)
}

/// Names of rows that are told apart where several are called alike.
#[derive(Default)]
pub(super) struct RowLabels(Vec<String>);

impl RowLabels {
    /// The label, with a number from its second time on.
    pub(super) fn unique(&mut self, label: &str) -> String {
        let before = self.0.iter().filter(|known| *known == label).count();
        self.0.push(label.to_owned());
        if before == 0 { label.to_owned() } else { format!("{label} #{}", before + 1) }
    }
}
