//! `/api/charts`: the panels of the metrics page over a span of time, and what happened to the services in it.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde_json::{Map, Value, json};

use super::answer::since;
use super::dots::Dots;
use super::lines::{ChartLine, panel_json};
use super::moments::Moments;
use super::panel::{Figure, Source};
use super::panels::PANELS;
use super::series::StoredSeries;
use super::timeline::Timeline;
use crate::console::jaeger;
use crate::console::params::{Pairs, Params, now};
use crate::console::state::Console;

const SECOND: u64 = 1_000_000_000;
/// The finest step, which is that of the points, and how many steps a chart has at most.
const STEP: u64 = 10 * SECOND;
const MOST_STEPS: u64 = 120;

/// The times that all charts of an answer share, in nanoseconds since the epoch.
#[derive(Clone, Copy)]
pub(super) struct Grid {
    pub(super) from: u64,
    pub(super) step: u64,
    steps: u64,
}

impl Grid {
    fn new(from: u64, now: u64) -> Self {
        let step = (now.saturating_sub(from) / MOST_STEPS).next_multiple_of(STEP).max(STEP);
        // It ends now, whatever its steps are: a day's are twelve minutes.
        let (end, steps) = (now / STEP * STEP, now.saturating_sub(from).div_ceil(step));
        Self { from: end.saturating_sub(steps * step), step, steps }
    }

    /// The ends of its steps.
    pub(super) fn times(self) -> impl Iterator<Item = u64> {
        (1..=self.steps).map(move |n| self.from + n * self.step)
    }

    pub(super) fn end(self) -> u64 {
        self.from + self.steps * self.step
    }
}

/// `GET /api/charts?since=&service=`: `{"from":µs,"step":µs,"panels":[…],"moments":[…]}`. A panel has lines, a line a value for
/// each step, `null` where none is known.
pub(in crate::console) async fn charts(console: web::Data<Console>, pairs: Pairs) -> HttpResponse {
    let (params, now) = (Params(&pairs), now());
    let from = match since(&params, now) {
        Ok(from) => from,
        Err(why) => return jaeger::error(StatusCode::BAD_REQUEST, &why),
    };
    let (grid, service) = (Grid::new(from, now), params.get("service"));
    let mut read = Collected::new(service, grid);
    console.metrics().each(|series| read.take(series));
    read.moments.tell(console.logs().faults(), service);
    HttpResponse::Ok().json(read.answer(&console))
}

/// What the charts need of the store, taken in one visit and drawn without its lock.
struct Collected<'a> {
    service: Option<&'a str>,
    grid: Grid,
    panels: Vec<CollectedPanel>,
    moments: Moments,
}

/// What one panel needs.
pub(super) struct CollectedPanel {
    /// Of each source, each line by what it is of.
    pub(super) lines: Vec<BTreeMap<String, ChartLine>>,
    pub(super) dots: Dots,
}

impl<'a> Collected<'a> {
    fn new(service: Option<&'a str>, grid: Grid) -> Self {
        let panels = PANELS.iter().map(|panel| CollectedPanel {
            lines: panel.sources.iter().map(|_| BTreeMap::new()).collect(),
            dots: Dots::between(grid.from, grid.end()),
        });
        Self { service, grid, panels: panels.collect(), moments: Moments::since(grid.from) }
    }

    fn take(&mut self, series: &StoredSeries) {
        let service = series.origin.service.as_str();
        if self.service.is_some_and(|wanted| wanted != service) {
            return;
        }
        self.moments.take(series);
        let mut attributes = None;
        for (panel, collected) in PANELS.iter().zip(&mut self.panels) {
            if !panel.subject.takes(service, self.service) {
                continue;
            }
            let mut wanted = false;
            for (source, lines) in panel.sources.iter().zip(&mut collected.lines) {
                if source.metric != series.instrument.name {
                    continue;
                }
                let attributes: &Map<String, Value> = attributes
                    .get_or_insert_with(|| serde_json::from_str(&series.attributes).unwrap_or_default());
                if source.only.is_some_and(|(key, value)| text(attributes.get(key)) != value) {
                    continue;
                }
                wanted = true;
                let line = lines.entry(subject_of(source, service, self.service, attributes)).or_default();
                line.add(read(series, source, self.grid), source.counts(attributes));
            }
            if wanted && panel.exemplars {
                collected.dots.take(series);
            }
        }
    }

    fn answer(self, console: &Console) -> Value {
        let grid = self.grid;
        let panels = PANELS.iter().zip(&self.panels);
        let panels: Vec<_> =
            panels.filter_map(|(panel, read)| panel_json(panel, read, grid, console)).collect();
        json!({"from": grid.from / 1_000, "step": grid.step / 1_000, "panels": panels,
            "moments": self.moments.json()})
    }
}

/// A series as far back as a source looks.
fn read(series: &StoredSeries, source: &Source, grid: Grid) -> Timeline {
    let from = grid.from.saturating_sub(source.window() * SECOND);
    Timeline::new(series, from, source.percentile().is_some())
}

impl Source {
    /// Whether a share counts what has these attributes.
    fn counts(&self, attributes: &Map<String, Value>) -> bool {
        match self.figure {
            Figure::Share(share) | Figure::Left(share) => {
                text(attributes.get(share.attribute)).starts_with(share.begins)
            }
            _ => false,
        }
    }
}

/// An attribute as text; empty where there is none.
fn text(value: Option<&Value>) -> String {
    value.map_or_else(String::new, |value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

/// What a line is of: a service where all are shown; of a chosen one what its attributes tell apart.
fn subject_of(
    source: &Source,
    service: &str,
    chosen: Option<&str>,
    attributes: &Map<String, Value>,
) -> String {
    let parts = source.by.iter().map(|key| text(attributes.get(*key))).filter(|part| !part.is_empty());
    match chosen {
        None => service.to_owned(),
        Some(_) => parts.collect::<Vec<_>>().join(" "),
    }
}

#[cfg(test)]
#[path = "charts_tests.rs"]
mod tests;
