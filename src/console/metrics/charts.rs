//! `/api/charts`: the panels of the metrics page over a span of time, and what happened to the services in it.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde_json::{Map, Value, json};

use super::answer::since;
use super::moments::Moments;
use super::panels::{Figure, LATELY, PANELS, Panel, Source};
use super::series::StoredSeries;
use super::timeline::{Timeline, quantile};
use crate::console::attributes::double;
use crate::console::jaeger;
use crate::console::params::{Pairs, Params, now};
use crate::console::state::Console;

const SECOND: u64 = 1_000_000_000;
/// The finest step, which is that of the points, and how many steps a chart has at most.
const STEP: u64 = 10 * SECOND;
const MOST_STEPS: u64 = 120;
/// Lines of one chart; those with the largest values stay. Of more than a few those go first that are zero throughout.
const MOST_LINES: usize = 12;
const FEW_LINES: usize = 6;

/// The times that all charts of an answer share, in nanoseconds since the epoch.
#[derive(Clone, Copy)]
struct Grid {
    from: u64,
    step: u64,
    steps: u64,
}

impl Grid {
    fn new(from: u64, now: u64) -> Self {
        let step = (now.saturating_sub(from) / MOST_STEPS).next_multiple_of(STEP).max(STEP);
        let from = from / step * step;
        Self { from, step, steps: now.saturating_sub(from) / step }
    }

    /// The ends of its steps.
    fn times(self) -> impl Iterator<Item = u64> {
        (1..=self.steps).map(move |n| self.from + n * self.step)
    }
}

/// What is read of the store for one line.
#[derive(Default)]
struct ChartLine {
    /// The observations, and those of them that a share counts.
    all: Vec<Timeline>,
    counted: Vec<Timeline>,
}

/// `GET /api/charts?since=&service=`: `{"from":µs,"step":µs,"panels":[…],"moments":[…],"services":[…]}`. A panel has lines, a
/// line a value for each step, `null` where none is known.
pub(in crate::console) async fn charts(console: web::Data<Console>, pairs: Pairs) -> HttpResponse {
    let (params, now) = (Params(&pairs), now());
    let from = match since(&params, now) {
        Ok(from) => from,
        Err(why) => return jaeger::error(StatusCode::BAD_REQUEST, &why),
    };
    let (grid, service) = (Grid::new(from, now), params.get("service"));
    let mut read = Collected::new(service, grid);
    console.metrics().each(|series| read.take(series));
    HttpResponse::Ok().json(read.answer())
}

/// What the charts need of the store, taken in one visit and drawn without its lock.
struct Collected<'a> {
    service: Option<&'a str>,
    grid: Grid,
    /// By panel and source: each line by its name.
    lines: Vec<Vec<BTreeMap<String, ChartLine>>>,
    moments: Moments,
}

impl<'a> Collected<'a> {
    fn new(service: Option<&'a str>, grid: Grid) -> Self {
        let lines =
            PANELS.iter().map(|panel| panel.sources.iter().map(|_| BTreeMap::new()).collect()).collect();
        Self { service, grid, lines, moments: Moments::since(grid.from) }
    }

    fn take(&mut self, series: &StoredSeries) {
        let service = series.origin.service.as_str();
        if self.service.is_some_and(|wanted| wanted != service) {
            return;
        }
        self.moments.take(series);
        let mut attributes = None;
        for (panel, lines) in PANELS.iter().zip(&mut self.lines) {
            if panel.service.is_some_and(|only| only != service) {
                continue;
            }
            for (source, lines) in panel.sources.iter().zip(lines) {
                if source.metric != series.instrument.name {
                    continue;
                }
                let attributes: &Map<String, Value> = attributes
                    .get_or_insert_with(|| serde_json::from_str(&series.attributes).unwrap_or_default());
                if source.only.is_some_and(|(key, value)| text(attributes.get(key)) != value) {
                    continue;
                }
                let line = lines.entry(line_name(source, service, self.service, attributes)).or_default();
                let timeline = Timeline::new(series, self.grid.from.saturating_sub(source.window() * SECOND));
                if source.counts(attributes) {
                    line.counted.push(timeline);
                } else {
                    line.all.push(timeline);
                }
            }
        }
    }

    fn answer(self) -> Value {
        let grid = self.grid;
        let panels: Vec<_> = PANELS
            .iter()
            .zip(&self.lines)
            .filter_map(|(panel, lines)| panel_json(panel, lines, grid))
            .collect();
        json!({"from": grid.from / 1_000, "step": grid.step / 1_000, "panels": panels,
            "moments": self.moments.json()})
    }
}

impl Source {
    /// Seconds before a time that its figure looks back on.
    fn window(&self) -> u64 {
        match self.figure {
            Figure::Share { window, .. } => window,
            _ => LATELY,
        }
    }

    /// Whether a share counts what has these attributes.
    fn counts(&self, attributes: &Map<String, Value>) -> bool {
        matches!(self.figure, Figure::Share { attribute, begins, .. } if text(attributes.get(attribute)).starts_with(begins))
    }
}

/// An attribute as text; empty where there is none.
fn text(value: Option<&Value>) -> String {
    value.map_or_else(String::new, |value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

/// A service where all are shown; of a chosen one what its attributes tell apart.
fn line_name(
    source: &Source,
    service: &str,
    chosen: Option<&str>,
    attributes: &Map<String, Value>,
) -> String {
    let parts = source.by.iter().map(|key| text(attributes.get(*key))).filter(|part| !part.is_empty());
    let of = match chosen {
        None => service.to_owned(),
        Some(_) => parts.collect::<Vec<_>>().join(" "),
    };
    [source.name, &of].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ")
}

/// Nothing where no service sends what it reads.
fn panel_json(panel: &Panel, lines: &[BTreeMap<String, ChartLine>], grid: Grid) -> Option<Value> {
    let drawn =
        panel.sources.iter().zip(lines).flat_map(|(source, lines)| {
            lines.iter().map(move |(name, line)| (name, line.values(source, grid)))
        });
    let mut drawn: Vec<_> = drawn.filter(|(_, values)| values.iter().any(Option::is_some)).collect();
    let (found, largest) =
        (drawn.len(), |values: &[Option<f64>]| values.iter().flatten().copied().fold(0.0, f64::max));
    if found == 0 {
        return None;
    }
    if found > FEW_LINES && drawn.iter().any(|(_, values)| largest(values) > 0.0) {
        drawn.retain(|(_, values)| largest(values) > 0.0);
    }
    if drawn.len() > MOST_LINES {
        drawn.sort_by(|a, b| largest(&b.1).total_cmp(&largest(&a.1)));
        drawn.truncate(MOST_LINES);
    }
    let lines: Vec<_> = drawn
        .iter()
        .map(|(name, values)| {
            let values: Vec<_> = values.iter().map(|value| value.map_or(Value::Null, double)).collect();
            json!({"name": name, "values": values})
        })
        .collect();
    let limits: Vec<_> =
        panel.limits.iter().map(|(value, means)| json!({"value": value, "means": means})).collect();
    Some(
        json!({"id": panel.id, "title": panel.title, "unit": panel.unit, "about": panel.about, "lines": lines,
        "matched": found, "limits": limits}),
    )
}

impl ChartLine {
    fn values(&self, source: &Source, grid: Grid) -> Vec<Option<f64>> {
        let all: Vec<_> = self.all.iter().chain(&self.counted).collect();
        let back = |at: u64, window: u64| at.saturating_sub(grid.step.max(window * SECOND));
        let figure = |at: u64| match source.figure {
            Figure::Rate => sum(all.iter().filter_map(|one| one.rate(at - grid.step, at))),
            Figure::Value => sum(all.iter().filter_map(|one| one.value(at))),
            Figure::Quantile(share) => quantile(&all, back(at, LATELY), at, share),
            Figure::Share { of, window, .. } => {
                let rate = |of: &[&Timeline]| sum(of.iter().filter_map(|one| one.rate(back(at, window), at)));
                let counted: Vec<_> = self.counted.iter().collect();
                let total = rate(&all).filter(|total| *total > 0.0)?;
                Some(rate(&counted).unwrap_or(0.0) / total / of)
            }
        };
        grid.times().map(figure).collect()
    }
}

/// Of what there is; nothing of nothing.
fn sum(values: impl Iterator<Item = f64>) -> Option<f64> {
    values.fold(None, |sum, value| Some(sum.unwrap_or(0.0) + value))
}

#[cfg(test)]
#[path = "charts_tests.rs"]
mod tests;
