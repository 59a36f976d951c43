//! The lines of a panel: what each shows at every step, and which are drawn.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::charts::{CollectedPanel, Grid};
use super::panel::{Figure, LATELY, Panel, Share, Source};
use super::timeline::{Timeline, percentile};
use crate::console::attributes::double;
use crate::console::percentile::PercentileBound;
use crate::console::state::Console;

const SECOND: u64 = 1_000_000_000;
/// Lines of one chart; those with the largest values stay. Of more than a few those go first that are zero throughout.
/// The percentiles of one histogram count as one.
const MOST_LINES: usize = 12;
const FEW_LINES: usize = 6;

/// What is read of the store for one line.
#[derive(Default)]
pub(super) struct ChartLine {
    /// The observations, and those of them that a share counts.
    all: Vec<Timeline>,
    counted: Vec<Timeline>,
}

/// What a line shows at a step; a percentile only within which bound it lies.
#[derive(Clone, Copy)]
enum Shown {
    Is(f64),
    Bound(PercentileBound),
}

impl Shown {
    fn number(self) -> f64 {
        match self {
            Self::Is(value)
            | Self::Bound(PercentileBound::AtMost(value) | PercentileBound::MoreThan(value)) => value,
        }
    }
}

/// One line as it is drawn.
struct DrawnLine<'a> {
    source: &'a Source,
    of: &'a str,
    values: Vec<Option<Shown>>,
    largest: f64,
}

/// Nothing where no service sends what it reads.
pub(super) fn panel_json(
    panel: &Panel,
    read: &CollectedPanel,
    grid: Grid,
    console: &Console,
) -> Option<Value> {
    let all = panel.sources.iter().zip(&read.lines).flat_map(|(source, lines)| {
        lines.iter().map(move |(of, line)| DrawnLine::new(source, of, line.values(source, grid)))
    });
    let known: Vec<_> = all.filter(|line| line.values.iter().any(Option::is_some)).collect();
    let found = known.len();
    if found == 0 {
        return None;
    }
    let drawn = most(known, panel.has_percentiles());
    let lines: Vec<_> = drawn.iter().map(|line| line.json(panel)).collect();
    let limits: Vec<_> =
        panel.limits.iter().map(|(value, means)| json!({"value": value, "means": means})).collect();
    let mut told = json!({"id": panel.id, "title": panel.title, "unit": panel.unit, "about": panel.about, "lines": lines,
        "matched": found, "limits": limits, "exemplars": read.dots.json(console)});
    if let Some(period) = panel.period {
        let since =
            read.lines.iter().flat_map(|lines| lines.values()).filter_map(ChartLine::told_since).min();
        told["covers"] = json!(since.map(|since| grid.end().saturating_sub(since) as f64 / 1e9));
        told["period"] = json!(period);
    }
    Some(told)
}

/// Those that are worth their place.
fn most(mut lines: Vec<DrawnLine<'_>>, together: bool) -> Vec<DrawnLine<'_>> {
    let key = |line: &DrawnLine<'_>| if together { line.of.to_owned() } else { line.name() };
    let mut largest: HashMap<String, f64> = HashMap::new();
    for line in &lines {
        let so_far = largest.entry(key(line)).or_default();
        *so_far = so_far.max(line.largest);
    }
    let mut by_size: Vec<_> = largest.into_iter().collect();
    if by_size.len() > FEW_LINES && by_size.iter().any(|(_, largest)| *largest > 0.0) {
        by_size.retain(|(_, largest)| *largest > 0.0);
    }
    by_size.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    by_size.truncate(MOST_LINES);
    lines.retain(|line| by_size.iter().any(|(name, _)| *name == key(line)));
    lines
}

impl<'a> DrawnLine<'a> {
    fn new(source: &'a Source, of: &'a str, values: Vec<Option<Shown>>) -> Self {
        let largest = values.iter().flatten().map(|value| value.number()).fold(0.0, f64::max);
        Self { source, of, values, largest }
    }

    fn name(&self) -> String {
        let parts = [self.source.name, self.of].into_iter().filter(|part| !part.is_empty());
        parts.collect::<Vec<_>>().join(" · ")
    }

    /// `{"name":…,"values":[…]}`; where these are bounds `bound`, and `beyond`: at which steps it is more than the value.
    fn json(&self, panel: &Panel) -> Value {
        let values: Vec<_> = self
            .values
            .iter()
            .map(|value| value.map_or(Value::Null, |value| double(value.number())))
            .collect();
        let mut line = json!({"name": self.name(), "values": values});
        if self.source.percentile().is_some() {
            let beyond =
                |value: &Option<Shown>| matches!(value, Some(Shown::Bound(PercentileBound::MoreThan(_))));
            let steps = self.values.iter().enumerate().filter(|(_, value)| beyond(value));
            line["bound"] = json!("at most");
            line["beyond"] = steps.map(|(at, _)| at).collect();
        }
        if panel.has_percentiles() {
            (line["percentile"], line["of"]) = (json!(self.source.name), json!(self.of));
        }
        line
    }
}

impl ChartLine {
    pub(super) fn add(&mut self, timeline: Timeline, is_counted: bool) {
        if is_counted { &mut self.counted } else { &mut self.all }.push(timeline);
    }

    fn every(&self) -> Vec<&Timeline> {
        self.all.iter().chain(&self.counted).collect()
    }

    fn told_since(&self) -> Option<u64> {
        self.every().iter().filter_map(|one| one.told_since()).min()
    }

    fn values(&self, source: &Source, grid: Grid) -> Vec<Option<Shown>> {
        let all = self.every();
        let figure = |at: u64| match source.figure {
            Figure::Rate => sum(all.iter().filter_map(|one| one.rate(at - grid.step, at))).map(Shown::Is),
            Figure::Value => sum(all.iter().filter_map(|one| one.value(at))).map(Shown::Is),
            Figure::Percentile(percent) => {
                percentile(&all, back(at, LATELY, grid), at, percent).map(Shown::Bound)
            }
            Figure::Share(share) => self.share(share, at, grid).map(Shown::Is),
            Figure::Left(share) => self.share(share, at, grid).map(|used| Shown::Is(1.0 - used)),
        };
        grid.times().map(figure).collect()
    }

    fn share(&self, share: Share, at: u64, grid: Grid) -> Option<f64> {
        let from = back(at, share.window, grid);
        let more = |of: &mut dyn Iterator<Item = &Timeline>| sum(of.filter_map(|one| one.more(from, at)));
        let counted = more(&mut self.counted.iter()).unwrap_or(0.0);
        let total = more(&mut self.all.iter()).unwrap_or(0.0) + counted;
        (total > 0.0).then(|| counted / total / share.of)
    }
}

/// Where a window ends that begins so many seconds before, and is no shorter than a step.
fn back(at: u64, window: u64, grid: Grid) -> u64 {
    at.saturating_sub(grid.step.max(window * SECOND))
}

/// Of what there is; nothing of nothing.
fn sum(values: impl Iterator<Item = f64>) -> Option<f64> {
    values.fold(None, |sum, value| Some(sum.unwrap_or(0.0) + value))
}
