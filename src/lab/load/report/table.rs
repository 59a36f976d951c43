//! The tables of the report: counts and times, a line for each route or phase.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::super::tally::{AnswerClass, Tally};
use super::round;

/// The widest that a line may be: a terminal, a chat, a page of a document show it whole.
pub(super) const WIDTH: usize = 100;

/// The columns of counts, in the words of the table and of JSON.
const COLUMNS: [(AnswerClass, &str, &str); 6] = [
    (AnswerClass::Ok, "OK", "ok"),
    (AnswerClass::Refused, "REFUSED", "refused"),
    (AnswerClass::Unexpected, "UNEXPECTED", "unexpected"),
    (AnswerClass::Server, "5XX", "serverErrors"),
    (AnswerClass::Timeout, "TIMEOUT", "timeouts"),
    (AnswerClass::Connect, "CONNECT", "connect"),
];
const PERCENTILES: [(f64, &str, &str); 4] =
    [(50.0, "P50 MS", "p50"), (90.0, "P90 MS", "p90"), (99.0, "P99 MS", "p99"), (100.0, "MAX MS", "max")];

/// A line of times.
pub(super) struct TimeRow<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) times: &'a Tally,
}

impl<'a> TimeRow<'a> {
    /// The latencies of a route or a phase.
    pub(super) fn of((name, times): (&'a str, &'a Tally)) -> Self {
        Self { name: name.into(), times }
    }
}

/// How many requests there were, and what became of them; rates over each row's seconds.
pub(super) fn counts<'a>(head: &str, rows: impl Iterator<Item = (&'a str, &'a Tally, f64)>) -> String {
    let names = COLUMNS.map(|(_, column, _)| column);
    let mut lines: Vec<Vec<String>> =
        vec![[head, "COUNT", "RATE/S"].into_iter().chain(names).map(str::to_owned).collect()];
    for (name, tally, seconds) in rows {
        let mut line = vec![name.to_owned(), short(tally.count()), format!("{:.1}", rate(tally, seconds))];
        line.extend(COLUMNS.iter().map(|(class, ..)| short(tally.of(*class))));
        lines.push(line);
    }
    aligned(&lines)
}

/// Percentiles of the time they took.
pub(super) fn times<'a>(head: &str, rows: impl Iterator<Item = TimeRow<'a>>) -> String {
    let names = PERCENTILES.map(|(_, column, _)| column);
    let mut lines: Vec<Vec<String>> = vec![[head].into_iter().chain(names).map(str::to_owned).collect()];
    for TimeRow { name, times } in rows {
        let mut line = vec![name.into_owned()];
        let written = |time: Option<f64>| time.map_or("-".to_owned(), |ms| format!("{ms:.1}"));
        line.extend(PERCENTILES.iter().map(|(p, ..)| written(times.percentile_ms(*p))));
        lines.push(line);
    }
    aligned(&lines)
}

/// A route's or a phase's line in JSON.
pub(super) fn json(kind: &str, name: &str, tally: &Tally, seconds: f64) -> Value {
    let mut row = json!({
        "count": tally.count(),
        "ratePerSecond": round(rate(tally, seconds)),
        "latencyMs": percentiles(tally),
    });
    row[kind] = json!(name);
    for (class, _, key) in COLUMNS {
        row[key] = json!(tally.of(class));
    }
    row
}

/// Percentiles by their names; null where nothing was measured.
pub(super) fn percentiles(tally: &Tally) -> Value {
    PERCENTILES.iter().map(|(p, _, key)| ((*key).to_owned(), json!(tally.percentile_ms(*p)))).collect()
}

/// A line cut to [`WIDTH`] and marked, where it is longer.
pub(super) fn clipped(line: &str) -> String {
    if line.chars().count() <= WIDTH {
        return line.to_owned();
    }
    line.chars().take(WIDTH - 1).chain(['…']).collect()
}

fn rate(tally: &Tally, seconds: f64) -> f64 {
    tally.count() as f64 / seconds.max(0.001)
}

/// A count in at most seven characters, so that a table keeps its width: from ten million on rounded.
/// JSON has every digit.
fn short(count: u64) -> String {
    match count {
        0..10_000_000 => count.to_string(),
        10_000_000..10_000_000_000 => format!("{:.1}M", count as f64 / 1e6),
        _ => format!("{:.1}G", count as f64 / 1e9),
    }
}

/// The first column to the left, the others to the right.
fn aligned(lines: &[Vec<String>]) -> String {
    let width = |column: usize| lines.iter().map(|line| line[column].len()).max().unwrap_or(0);
    let widths: Vec<_> = (0..lines[0].len()).map(width).collect();
    let between = if widths.iter().sum::<usize>() + 2 * (widths.len() - 1) <= WIDTH { "  " } else { " " };
    let mut text = String::new();
    for line in lines {
        let _ = write!(text, "{:<1$}", line[0], widths[0]);
        for (cell, width) in line.iter().zip(&widths).skip(1) {
            let _ = write!(text, "{between}{cell:>width$}");
        }
        text.push('\n');
    }
    text
}
