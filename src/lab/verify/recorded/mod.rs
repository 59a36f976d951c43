//! `verify --files DIR`: what stands in files, judged without a lab: each trace by the shape of its request, every signal by
//! the registry, signals by each other, and where `truth.json` lies beside them by that.
//!
//! What a fault has hit is not as ever: of the traces that the truth names, only what holds under each fault is judged.

mod metrics;
mod traces;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::Value;

use super::claim::{Claim, Flaws};
use super::quality::{QualityScore, strange_line, strange_metrics};
use super::report::Report;
use crate::config::Invalid;
use crate::lab::backend::count::{ArrivedMetrics, CountReader};
use crate::lab::backend::log::{LogLine, otlp_lines};
use crate::lab::backend::trace::{Span, Trace};
use crate::schema::FAULT_ATTRIBUTE;

/// The largest file that is read, in bytes.
const LARGEST: u64 = 1 << 30;
/// As `record` names them, and as a collector's file exporter is mostly told to.
const ENDINGS: [&str; 2] = ["jsonl", "json"];
const SOURCE: &str = "file";

/// What is in the files.
struct Recorded {
    dir: PathBuf,
    /// By trace.
    traces: BTreeMap<String, Vec<Span>>,
    lines: Vec<LogLine>,
    /// Null where there is none.
    truth: Value,
    /// About lines that cannot be read.
    claims: Vec<Claim>,
}

/// Reads and judges the files of a folder.
///
/// # Errors
/// There are no traces, or a file is too large or cannot be read.
pub(super) async fn verify(dir: &Path) -> Result<Report, Invalid> {
    let began = Instant::now();
    let mut recorded = Recorded::read(dir)?;
    let mut claims = std::mem::take(&mut recorded.claims);
    claims.extend(traces::judge(&recorded));
    claims.extend(recorded.truth_claims());
    claims.extend(recorded.line_claims());
    let mut series = 0;
    if let Some(file) = recorded.file("metrics") {
        let path = file.display().to_string();
        let arrived = CountReader::file(&path).arrived(0.0).await;
        let arrived = arrived.map_err(|why| Invalid(why.to_string()))?;
        series = if let ArrivedMetrics::Series(all) = &arrived { all.len() } else { 0 };
        let flaws = strange_metrics(&arrived, &path);
        claims.push(claim(
            "metrics.registry",
            "names, units and attributes as the registry has them",
            &flaws,
        ));
        claims.extend(metrics::judge(&file, &recorded)?);
    }
    let spans: usize = recorded.traces.values().map(Vec::len).sum();
    let (traces, lines) = (recorded.traces.len(), recorded.lines.len());
    Ok(Report {
        target: dir.display().to_string(),
        requests: 0,
        took: began.elapsed(),
        judging: std::time::Duration::ZERO,
        seed: 0,
        visible: Vec::new(),
        notes: Vec::new(),
        claims,
        score: QualityScore::default(),
        arrived: Some(format!("{spans} spans of {traces} traces, {series} series, {lines} log lines")),
    })
}

fn claim(id: &str, expected: &str, flaws: &Flaws) -> Claim {
    Claim::of(id, SOURCE, expected, flaws)
}

impl Recorded {
    fn read(dir: &Path) -> Result<Self, Invalid> {
        let (traces, truth) = (BTreeMap::new(), Value::Null);
        let mut read = Self { dir: dir.to_owned(), traces, lines: Vec::new(), truth, claims: Vec::new() };
        let Some(traces) = read.file("traces") else {
            return Err(Invalid(format!("--files '{}': there is no traces.jsonl", dir.display())));
        };
        for message in read.messages("traces", "resourceSpans", &traces)? {
            for span in Trace::from_otlp(&message).spans {
                read.traces.entry(span.trace.clone()).or_default().push(span);
            }
        }
        if let Some(logs) = read.file("logs") {
            let messages = read.messages("logs", "resourceLogs", &logs)?;
            read.lines = messages.iter().flat_map(otlp_lines).collect();
        }
        let truth = dir.join("truth.json");
        if truth.exists() {
            let bad = || Invalid(format!("--files: '{}' is no JSON", truth.display()));
            read.truth = serde_json::from_str(&text(&truth)?).map_err(|_| bad())?;
        }
        Ok(read)
    }

    /// The file of a signal, if there is one.
    fn file(&self, signal: &str) -> Option<PathBuf> {
        let files = ENDINGS.iter().map(|ending| self.dir.join(format!("{signal}.{ending}")));
        files.into_iter().find(|file| file.exists())
    }

    /// The messages of a file, one a line; a row about those that are none.
    fn messages(&mut self, signal: &str, list: &str, file: &Path) -> Result<Vec<Value>, Invalid> {
        let (mut messages, mut flaws) = (Vec::new(), Flaws::default());
        for (number, line) in text(file)?.lines().enumerate() {
            match serde_json::from_str::<Value>(line) {
                Ok(message) if message[list].is_array() => messages.push(message),
                _ => flaws.add(format!("line {} is not", number + 1), || file.display().to_string()),
            }
        }
        self.claims.push(claim(&format!("{signal}.lines"), "each line is a message of OTLP in JSON", &flaws));
        Ok(messages)
    }

    /// The ids in a list of the truth.
    fn told(&self, list: &str) -> BTreeSet<&str> {
        self.truth[list].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// The traces that a fault has changed.
    fn changed(&self) -> BTreeSet<&str> {
        let (cause, other) = (self.told("affectedTraces"), self.told("distractedTraces"));
        cause.union(&other).copied().collect()
    }

    fn look(&self, id: &str) -> String {
        let file = self.file("traces").unwrap_or_default();
        format!("grep {id} {}", file.display())
    }

    /// The truth against the traces.
    fn truth_claims(&self) -> Vec<Claim> {
        if self.truth.is_null() {
            return Vec::new();
        }
        let (mut there, mut marks) = (Flaws::default(), Flaws::default());
        for id in self.changed().into_iter().filter(|id| !self.traces.contains_key(*id)) {
            there.add(format!("the trace {id} is not there"), || self.look(id));
        }
        let hits = ["spansHit", "distractionSpansHit"].map(|list| self.truth[list].as_array());
        let hits: HashSet<_> = hits.into_iter().flatten().flatten().map(key_of_hit).collect();
        let spans = || self.traces.values().flatten();
        let all: HashSet<_> = spans().map(|span| (span.trace.as_str(), span.id.as_str())).collect();
        for (trace, id) in hits.difference(&all) {
            there.add(format!("the span {id} of {trace} is not there"), || self.look(trace));
        }
        let marked = |span: &&Span| span.attributes.contains_key(FAULT_ATTRIBUTE);
        for span in spans().filter(marked) {
            let known = hits.contains(&(span.trace.as_str(), span.id.as_str()));
            if self.truth["marks"] != true || !known {
                marks.add(format!("{} says {FAULT_ATTRIBUTE}", span.name), || self.look(&span.trace));
            }
        }
        let marked = match self.truth["marks"] == true {
            true => "each span that says which fault has hit it is in the truth",
            false => "no span says which fault has hit it",
        };
        vec![
            claim("truth.traces", "the traces and spans that it names are there", &there),
            claim("truth.marks", marked, &marks),
        ]
    }

    /// Lines against traces and the registry.
    fn line_claims(&self) -> Vec<Claim> {
        if self.file("logs").is_none() {
            return Vec::new();
        }
        let (mut strange, mut astray) = (Flaws::default(), Flaws::default());
        for line in &self.lines {
            let (trace, span) = (line.text("traceId"), line.text("spanId"));
            strange_line(line).into_iter().for_each(|what| strange.add(what, || self.look(trace)));
            let there = self.traces.get(trace).is_some_and(|spans| spans.iter().any(|own| own.id == span));
            if !trace.is_empty() && !there {
                let what = format!("\"{}\" leads to {trace} {span}", line.text("message"));
                astray.add(what, || self.look(trace));
            }
        }
        vec![
            claim("logs.registry", "fields as the registry has them", &strange),
            claim("logs.traces", "the ids of each line lead to a span", &astray),
        ]
    }
}

fn key_of_hit(hit: &Value) -> (&str, &str) {
    (hit["traceId"].as_str().unwrap_or_default(), hit["spanId"].as_str().unwrap_or_default())
}

fn text(file: &Path) -> Result<String, Invalid> {
    let bad = |why: String| Invalid(format!("--files: '{}': {why}", file.display()));
    let size = std::fs::metadata(file).map_err(|why| bad(why.to_string()))?.len();
    if size > LARGEST {
        return Err(bad(format!("{size} bytes are more than {LARGEST}")));
    }
    std::fs::read_to_string(file).map_err(|why| bad(why.to_string()))
}
