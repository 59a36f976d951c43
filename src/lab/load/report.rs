//! The report of a run, for people and for programs.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::engine::LoadEnd;
use super::links::TraceLinks;
use super::plan::Phase;
use super::tally::{LoadRecorder, SlowRequest, Tally};
use crate::config::Arrivals;

mod table;

use table::{TimeRow, clipped, counts, times};

/// A run that is over.
pub(super) struct LoadReport<'a> {
    /// The gateway's.
    pub(super) url: &'a str,
    /// `None` in a closed loop.
    pub(super) arrivals: Option<Arrivals>,
    pub(super) seed: u64,
    pub(super) phases: &'a [Phase],
    pub(super) recorder: &'a LoadRecorder,
    /// The rows that the set-up made.
    pub(super) made: Value,
    pub(super) links: &'a TraceLinks,
    pub(super) ended: &'a LoadEnd,
}

impl LoadReport<'_> {
    /// The report for a person, [`table::WIDTH`] columns wide but for URLs.
    pub(super) fn text(&self) -> String {
        let LoadRecorder { total, dropped, orders, .. } = self.recorder;
        let seconds = self.ended.elapsed.as_secs_f64();
        let mut text = format!(
            "\n{}, {} loop{}, seed {}, {seconds:.1} s{}\n",
            self.url,
            self.model(),
            if self.arrivals == Some(Arrivals::Poisson) { " with Poisson arrivals" } else { "" },
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
        let routes = || self.recorder.routes.iter().map(|(route, tally)| (*route, tally));
        let all = ("all", total);
        text += &counts("ROUTE", routes().chain([all]).map(|(name, tally)| (name, tally, seconds)));
        text.push('\n');
        text += &times("ROUTE", routes().chain([all]).map(TimeRow::of).chain(self.parts()));
        if self.phases.len() > 1 {
            text.push('\n');
            text += &counts("PHASE", self.by_phase());
            text.push('\n');
            text += &times("PHASE", self.by_phase().map(|(name, tally, _)| TimeRow::of((name, tally))));
        }
        text + &self.surprises() + &self.slowest()
    }

    /// The report for a program.
    pub(super) fn json(&self) -> Value {
        let LoadRecorder { total, dropped, orders, waited, connect, answer, .. } = self.recorder;
        let seconds = self.ended.elapsed.as_secs_f64();
        let routes = self.recorder.routes.iter();
        let routes = routes.map(|(route, tally)| table::json("route", route, tally, seconds));
        let phases = self.by_phase().map(|(name, tally, spent)| table::json("phase", name, tally, spent));
        let surprises = self.recorder.surprises.iter().map(|((route, what, answer), count)| {
            json!({ "route": route, "what": what, "answer": answer, "count": count })
        });
        json!({
            "url": self.url,
            "loop": self.model(),
            "arrivals": self.arrivals.map(|arrivals| format!("{arrivals:?}").to_lowercase()),
            "seed": self.seed,
            "elapsedSeconds": round(seconds),
            "interrupted": self.ended.interrupted,
            "made": self.made,
            "orders": orders,
            "expected": total.count() - total.wrong(),
            "unexpected": total.wrong(),
            "dropped": dropped,
            "unfinished": self.ended.unfinished,
            "errorRatio": self.recorder.error_ratio(),
            "total": table::json("route", "all", total, seconds),
            "waitedMs": table::percentiles(waited),
            "connections": connect.count(),
            "connectMs": table::percentiles(connect),
            "answerMs": table::percentiles(answer),
            "routes": routes.collect::<Vec<_>>(),
            "phases": phases.collect::<Vec<_>>(),
            "surprises": surprises.collect::<Vec<_>>(),
            "slowest": self.recorder.slowest.iter().map(|slow| self.slow(slow)).collect::<Vec<_>>(),
        })
    }

    fn slow(&self, slow: &SlowRequest) -> Value {
        json!({
            "traceId": slow.trace.as_ref().map(|trace| &trace.id),
            "sampled": slow.trace.as_ref().is_some_and(|trace| trace.sampled),
            "traceUrl": self.links.of(slow.trace.as_ref()),
            "route": slow.route,
            "answer": slow.answer,
            "latencyMs": ms(slow.latency),
            "waitedMs": ms(slow.waited),
            "connectMs": ms(slow.connect),
        })
    }

    fn model(&self) -> &'static str {
        if self.arrivals.is_some() { "open" } else { "closed" }
    }

    /// What the latency of all requests consists of.
    fn parts(&self) -> [TimeRow<'_>; 3] {
        let LoadRecorder { waited, connect, answer, .. } = self.recorder;
        [
            TimeRow { name: "- until a connection is free".into(), times: waited },
            TimeRow { name: format!("- to open one, {} times", connect.count()).into(), times: connect },
            TimeRow { name: "- from then to the answer".into(), times: answer },
        ]
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
            let _ = writeln!(text, "{}", clipped(&format!("  {count} x {route}{what}: {answer}")));
        }
        if text.is_empty() { text } else { format!("\nNot as the mix expects:\n{text}") }
    }

    fn slowest(&self) -> String {
        let slowest = &self.recorder.slowest;
        if slowest.is_empty() {
            return String::new();
        }
        let mut text = format!("\n{:>9} {:>9} {:>9}  SLOWEST TRACES\n", "MS", "WAITED", "CONNECT");
        for slow in slowest {
            let [latency, waited, connect] = [slow.latency, slow.waited, slow.connect].map(ms);
            let line = format!("{latency:>9.1} {waited:>9.1} {connect:>9.1}  {} {}", slow.route, slow.answer);
            let _ = writeln!(text, "{}", clipped(&line));
            let trace = match (&slow.trace, self.links.of(slow.trace.as_ref())) {
                (_, Some(url)) => url,
                (Some(trace), None) if trace.sampled => trace.id.clone(),
                (Some(trace), None) => format!("{}, not sampled", trace.id),
                (None, _) => "no trace".to_owned(),
            };
            let _ = writeln!(text, "{:31}{trace}", "");
        }
        text
    }
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
