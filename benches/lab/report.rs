//! The table for a person and the same for a program.

use std::fmt::Write as _;

use o11y_lab::schema::SERVICES;
use serde_json::{Map, Value, json};

use super::bench::{Part, Side};
use super::machine;
use super::measures::{ROWS, Row};
use super::samples::{Ratio, Series, median, ratio};

/// What is told beside the values.
pub struct Report {
    machine: Value,
    rounds: u16,
    /// What could not be measured, and why.
    gaps: Vec<String>,
}

impl Report {
    pub fn new(machine: Value, rounds: u16) -> Self {
        Self { machine, rounds, gaps: Vec::new() }
    }

    /// Notes that a part is left out. Always false.
    pub fn skip(&mut self, part: Part, why: &str) -> bool {
        self.gap(format!("{part:?} is left out: {why}"))
    }

    /// Notes that a part failed in one round.
    pub fn fail(&mut self, side: &str, part: Part, error: &anyhow::Error) {
        self.gap(format!("{part:?} of the {side} failed: {error:#}"));
    }

    fn gap(&mut self, text: String) -> bool {
        eprintln!("{text}");
        self.gaps.push(text);
        false
    }

    /// Whether all that was asked for was measured.
    pub fn complete(&self) -> bool {
        self.gaps.is_empty()
    }

    /// The table in Markdown. With two sides, the base comes first.
    pub fn text(&self, sides: &[Side]) -> String {
        let mut out = format!("{}.\n", machine::text(&self.machine));
        for side in sides {
            let _ = writeln!(out, "{}: {}", side.name, side.path.display());
        }
        let _ = writeln!(
            out,
            "Medians of {} rounds; ratios are medians of the rounds' ratios (least to most).\n",
            self.rounds
        );
        let names: Vec<_> = sides.iter().map(|side| side.name).collect();
        let _ = writeln!(out, "| measure | {} | ratio | goal | |", names.join(" | "));
        let _ = writeln!(out, "|---|{}---:|---|---|", "---:|".repeat(sides.len()));
        for row in ROWS {
            out += &lines(row, sides);
        }
        out += &calls(sides);
        for gap in &self.gaps {
            let _ = writeln!(out, "\n{gap}");
        }
        out
    }

    /// Every value of every round, and what the table says of them.
    pub fn json(&self, sides: &[Side]) -> Value {
        let programs: Map<_, _> =
            sides.iter().map(|side| (side.name.to_owned(), side.path.display().to_string().into())).collect();
        let measures: Vec<_> = ROWS.iter().filter_map(|row| measure(row, sides)).collect();
        json!({"machine": self.machine, "rounds": self.rounds, "programs": programs, "measures": measures, "gaps": self.gaps})
    }
}

/// What one line of the table is made of.
struct Line<'a> {
    /// One for each side; `None` where a side has no values.
    series: Vec<Option<&'a Series>>,
}

impl<'a> Line<'a> {
    /// `None` where no side has values.
    fn of(row: &Row, role: Option<&str>, sides: &'a [Side]) -> Option<Self> {
        let series: Vec<_> = sides.iter().map(|side| side.samples.series(row.measure, role)).collect();
        series.iter().any(Option::is_some).then_some(Self { series })
    }

    fn median(&self, side: usize) -> Option<f64> {
        median(self.series[side]?.values().copied())
    }

    /// `None` also where the base's value has too few digits to divide by.
    fn ratio(&self, row: &Row) -> Option<Ratio> {
        let least = 10.0 * 0.1_f64.powi(i32::try_from(row.digits).unwrap_or_default());
        if self.median(0)? < least {
            return None;
        }
        match self.series[..] {
            [Some(base), Some(program)] => ratio(program, base),
            _ => None,
        }
    }

    /// The program's value is the last side's.
    fn met(&self, row: &Row) -> Option<bool> {
        let value = self.median(self.series.len() - 1)?;
        row.goal?.met(value, self.ratio(row).map(|ratio| ratio.median))
    }

    fn cells(&self, row: &Row) -> String {
        let value =
            |side| self.median(side).map_or("-".to_owned(), |value| format!("{value:.*}", row.digits));
        let values: Vec<_> = (0..self.series.len()).map(value).collect();
        let ratio = self.ratio(row).map_or("-".to_owned(), |ratio| {
            format!("{:.2} ({:.2} to {:.2})", ratio.median, ratio.least, ratio.most)
        });
        format!("{} | {ratio}", values.join(" | "))
    }
}

fn lines(row: &Row, sides: &[Side]) -> String {
    let Some(line) = Line::of(row, None, sides) else { return String::new() };
    let unit = if row.unit.is_empty() { String::new() } else { format!(", {}", row.unit) };
    let goal = row.goal.map_or(String::new(), super::measures::Goal::text);
    let verdict = line.met(row).map_or("", |met| if met { "met" } else { "missed" });
    let mut out = format!("| {}{unit} | {} | {goal} | {verdict} |\n", row.about, line.cells(row));
    for role in roles(row, sides) {
        if let Some(line) = Line::of(row, Some(role), sides) {
            let _ = writeln!(out, "| - `{role}` | {} | | |", line.cells(row));
        }
    }
    out
}

fn roles<'a>(row: &Row, sides: &'a [Side]) -> Vec<&'a str> {
    let mut all: Vec<_> = sides.iter().flat_map(|side| side.samples.roles(row.measure)).collect();
    // The roles as a request meets them, then console and up.
    all.sort_by_key(|name| {
        (SERVICES.iter().position(|s| s.command == *name).unwrap_or(SERVICES.len()), *name)
    });
    all.dedup();
    all
}

fn measure(row: &Row, sides: &[Side]) -> Option<Value> {
    let line = Line::of(row, None, sides)?;
    let mut value = figures(row, &line, sides);
    value["key"] = row.key.into();
    value["unit"] = row.unit.into();
    value["goal"] = row.goal.map(super::measures::Goal::text).into();
    value["met"] = line.met(row).into();
    let role = |role: &str| Some((role.to_owned(), figures(row, &Line::of(row, Some(role), sides)?, sides)));
    value["roles"] = Value::Object(roles(row, sides).into_iter().filter_map(role).collect());
    Some(value)
}

fn figures(row: &Row, line: &Line<'_>, sides: &[Side]) -> Value {
    let mut value = Map::new();
    for (i, side) in sides.iter().enumerate() {
        let all: Vec<_> = line.series[i].into_iter().flat_map(Series::values).collect();
        value.insert(side.name.to_owned(), json!({"median": line.median(i), "values": all}));
    }
    let ratio = line
        .ratio(row)
        .map(|ratio| json!({"median": ratio.median, "least": ratio.least, "most": ratio.most}));
    value.insert("ratio".to_owned(), ratio.into());
    Value::Object(value)
}

/// Which calls they were, of the last round.
fn calls(sides: &[Side]) -> String {
    let mut out = String::new();
    for side in sides {
        for (measure, calls) in &side.calls {
            let key = ROWS.iter().find(|row| row.measure == *measure).map_or("", |row| row.key);
            let _ = writeln!(out, "\n{key} of the {}, by name:", side.name);
            for (process, calls) in calls {
                let frequent =
                    calls.iter().filter(|(_, n)| *n >= 0.05).map(|(name, n)| format!("{name} {n:.1}"));
                let frequent = frequent.collect::<Vec<_>>().join(", ");
                if !frequent.is_empty() {
                    let _ = writeln!(out, "- `{process}`: {frequent}");
                }
            }
        }
    }
    out
}
