//! The report of a run, for people and for programs.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::engine::LoadEnd;
use super::fixtures::Fixtures;
use super::plan::Phase;
use super::tally::{AnswerClass, LoadRecorder, Tally};

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

/// A run that is over.
pub(super) struct LoadReport<'a> {
    pub(super) url: &'a str,
    pub(super) closed: bool,
    pub(super) seed: u64,
    pub(super) phases: &'a [Phase],
    pub(super) recorder: &'a LoadRecorder,
    pub(super) ended: &'a LoadEnd,
}

impl LoadReport<'_> {
    /// The report for a person.
    pub(super) fn text(&self) -> String {
        let LoadRecorder { total, dropped, orders, .. } = self.recorder;
        let seconds = self.ended.elapsed.as_secs_f64();
        let mut text = format!(
            "\n{}, {} loop, seed {}, {seconds:.1} s{}\n",
            self.url,
            self.model(),
            self.seed,
            if self.ended.interrupted { ", interrupted" } else { "" }
        );
        let _ = writeln!(
            text,
            "{} sent, {} as expected, {} not; {dropped} dropped, {} unfinished; {orders} orders accepted\n",
            total.count(),
            total.count() - total.wrong(),
            total.wrong(),
            self.ended.unfinished,
        );
        let routes = self.recorder.routes.iter().map(|(route, tally)| (*route, tally, seconds));
        text += &table("ROUTE", routes.chain([("all", total, seconds)]));
        if self.phases.len() > 1 {
            text.push('\n');
            text += &table("PHASE", self.by_phase());
        }
        text + &self.surprises() + &self.slowest()
    }

    /// The report for a program.
    pub(super) fn json(&self) -> Value {
        let LoadRecorder { total, dropped, orders, waited, .. } = self.recorder;
        let seconds = self.ended.elapsed.as_secs_f64();
        let routes = self.recorder.routes.iter().map(|(route, tally)| row("route", route, tally, seconds));
        let phases = self.by_phase().map(|(name, tally, seconds)| row("phase", name, tally, seconds));
        let surprises = self.recorder.surprises.iter().map(|((route, what, answer), count)| {
            json!({ "route": route, "what": what, "answer": answer, "count": count })
        });
        let slowest = self.recorder.slowest.iter().map(|slow| {
            json!({
                "traceId": slow.trace_id,
                "route": slow.route,
                "answer": slow.answer,
                "latencyMs": ms(slow.latency),
                "waitedMs": ms(slow.waited),
            })
        });
        json!({
            "url": self.url,
            "loop": self.model(),
            "seed": self.seed,
            "elapsedSeconds": round(seconds),
            "interrupted": self.ended.interrupted,
            "made": Fixtures::made(),
            "orders": orders,
            "expected": total.count() - total.wrong(),
            "unexpected": total.wrong(),
            "dropped": dropped,
            "unfinished": self.ended.unfinished,
            "errorRatio": self.recorder.error_ratio(),
            "total": row("route", "all", total, seconds),
            "waitedMs": percentiles(waited),
            "routes": routes.collect::<Vec<_>>(),
            "phases": phases.collect::<Vec<_>>(),
            "surprises": surprises.collect::<Vec<_>>(),
            "slowest": slowest.collect::<Vec<_>>(),
        })
    }

    fn model(&self) -> &'static str {
        if self.closed { "closed" } else { "open" }
    }

    /// The phases with their counts and the seconds that were spent in them.
    fn by_phase(&self) -> impl Iterator<Item = (&str, &Tally, f64)> {
        let mut left = self.ended.elapsed;
        self.phases.iter().zip(&self.recorder.phases).map(move |(phase, tally)| {
            let spent = phase.length.min(left);
            left -= spent;
            (phase.name.as_str(), tally, spent.as_secs_f64())
        })
    }

    fn surprises(&self) -> String {
        let mut text = String::new();
        for ((route, what, answer), count) in &self.recorder.surprises {
            let what = if what.is_empty() { String::new() } else { format!(" ({what})") };
            let _ = writeln!(text, "  {count} x {route}{what}: {answer}");
        }
        if text.is_empty() { text } else { format!("\nNot as the mix expects:\n{text}") }
    }

    fn slowest(&self) -> String {
        let slowest = &self.recorder.slowest;
        if slowest.is_empty() {
            return String::new();
        }
        let mut text = format!("\n{:<32}  {:>9}  {:>9}  ROUTE\n", "SLOWEST TRACES", "MS", "WAITED");
        for slow in slowest {
            let (latency, waited) = (ms(slow.latency), ms(slow.waited));
            let _ = writeln!(
                text,
                "{}  {latency:>9.1}  {waited:>9.1}  {} {}",
                slow.trace_id, slow.route, slow.answer
            );
        }
        text
    }
}

fn table<'a>(head: &str, rows: impl Iterator<Item = (&'a str, &'a Tally, f64)>) -> String {
    let counts = COLUMNS.map(|(_, column, _)| column);
    let times = PERCENTILES.map(|(_, column, _)| column);
    let mut lines: Vec<Vec<String>> =
        vec![[head, "COUNT", "RATE/S"].into_iter().chain(counts).chain(times).map(str::to_owned).collect()];
    for (name, tally, seconds) in rows {
        let mut line =
            vec![name.to_owned(), tally.count().to_string(), format!("{:.1}", rate(tally, seconds))];
        line.extend(COLUMNS.iter().map(|(class, ..)| tally.of(*class).to_string()));
        line.extend(PERCENTILES.iter().map(|(p, ..)| format!("{:.1}", tally.percentile_ms(*p))));
        lines.push(line);
    }
    let width = |column: usize| lines.iter().map(|line| line[column].len()).max().unwrap_or(0);
    let widths: Vec<_> = (0..lines[0].len()).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        let _ = write!(text, "{:<1$}", line[0], widths[0]);
        for (cell, width) in line.iter().zip(&widths).skip(1) {
            let _ = write!(text, "  {cell:>width$}");
        }
        text.push('\n');
    }
    text
}

fn row(kind: &str, name: &str, tally: &Tally, seconds: f64) -> Value {
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

fn percentiles(tally: &Tally) -> Value {
    PERCENTILES.iter().map(|(p, _, key)| ((*key).to_owned(), json!(tally.percentile_ms(*p)))).collect()
}

fn rate(tally: &Tally, seconds: f64) -> f64 {
    tally.count() as f64 / seconds.max(0.001)
}

fn ms(duration: Duration) -> f64 {
    round(duration.as_secs_f64() * 1000.0)
}

/// To three digits after the point.
fn round(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests;
