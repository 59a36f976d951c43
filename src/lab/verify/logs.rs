//! Claims about log lines: every expected one once, joined to the span it was written in.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::claim::{Claim, Flaws};
use super::ledger::{LedgerEntry, RequestLedger};
use super::quality::strange_line;
use super::traces::SpanIds;
use crate::lab::backend::log::LogLine;
use crate::lab::expect::ExpectedLine;
use crate::lab::score::Facts;

/// Takes the lines of one request after the other and keeps what does not hold.
pub(super) struct LogJudge<'a> {
    source: &'a str,
    base: &'a str,
    /// Which span is which, where a trace backend says.
    ids: Option<&'a SpanIds>,
    complete: Flaws,
    again: Flaws,
    extra: Flaws,
    spans: Flaws,
    fields: Flaws,
    lines: usize,
    seen: SeenLines,
}

/// What a backend's lines tell beside the claims.
#[derive(Default)]
pub(super) struct SeenLines {
    /// What the score is told by.
    pub(super) facts: Facts,
    /// What the registry does not have; of a backend that tells attributes of lines from those of resources.
    pub(super) strange: Option<Flaws>,
}

impl<'a> LogJudge<'a> {
    /// For the lines of a backend.
    pub(super) fn new(source: &'a str, base: &'a str, ids: Option<&'a SpanIds>) -> Self {
        let none = Flaws::default;
        Self {
            source,
            base,
            ids,
            complete: none(),
            again: none(),
            extra: none(),
            spans: none(),
            fields: none(),
            lines: 0,
            seen: SeenLines::of(source),
        }
    }

    /// The lines that the backend has of a request's trace, and of the consumer's where that is another.
    pub(super) fn add(&mut self, entry: &LedgerEntry, lines: &[LogLine]) {
        let id = entry.trace.as_deref().unwrap_or_default();
        let look = || look(self.source, self.base, id);
        self.lines += lines.len();
        let mut found: BTreeMap<(&str, &str), Vec<&LogLine>> = BTreeMap::new();
        // What a service says when it is asked to say more is no part of the contract.
        for line in lines.iter().filter(|line| !["debug", "trace"].contains(&line.text("level"))) {
            found.entry((line.text("service"), line.text("message"))).or_default().push(line);
        }
        // The same words may be expected in several spans: one for each attempt.
        let mut wanted: BTreeMap<(&str, &str), Vec<ExpectedLine>> = BTreeMap::new();
        for expected in entry.shape.expected_lines() {
            wanted.entry((expected.service, expected.message)).or_default().push(expected);
        }
        for (words, wanted) in wanted {
            let (name, of) = (format!("{} \"{}\"", words.0, words.1), entry.shape.name);
            let lines = found.remove(&words).unwrap_or_default();
            match lines.len() {
                0 => self.complete.add(format!("no {name} of {of}"), look),
                few if few < wanted.len() => {
                    self.complete
                        .add(format!("{name} of {of} {few} times instead of {}", wanted.len()), look);
                }
                many if many > wanted.len() => self.again.add(format!("{name} of {of} {many} times"), look),
                _ => {}
            }
            for line in lines {
                let wrong = |expected: &ExpectedLine| misjoined(entry, *expected, line, self.ids);
                if !wanted.iter().any(|expected| wrong(expected).is_none()) {
                    let wrong = wanted.first().and_then(wrong).unwrap_or_default();
                    self.spans.add(format!("{name}: {wrong}"), look);
                }
                let strange = strange_fields(entry, wanted[0], line);
                if let Some(registry) = self.seen.strange.as_mut().filter(|_| strange.is_empty()) {
                    strange_line(line).into_iter().for_each(|wrong| registry.add(wrong, look));
                }
                self.seen.rate(self.source, line);
                for wrong in strange {
                    self.fields.add(format!("{name}: {wrong}"), look);
                }
            }
        }
        for (service, message) in found.into_keys() {
            self.extra.add(format!("{service} \"{message}\" in {}", entry.shape.name), look);
        }
    }

    /// The rows.
    pub(super) fn claims(self, ledger: &RequestLedger) -> (Vec<Claim>, SeenLines) {
        let wanted: usize = ledger.known().map(|entry| entry.shape.expected_lines().len()).sum();
        let claim = |id: &str, expected: &str, flaws: &Flaws| Claim::of(id, self.source, expected, flaws);
        let joined = match self.ids {
            Some(_) => "each line has the id of the span it was written in",
            None => "each line has a span id",
        };
        let mut claims = vec![
            claim("logs.complete", &format!("{wanted} lines, found by their trace ids"), &self.complete),
            claim("logs.duplicates", "each line once", &self.again),
            claim("logs.extra", "no other line in these traces", &self.extra),
            claim("logs.spans", joined, &self.spans),
            claim("logs.fields", "each field has its value where it is known", &self.fields),
        ];
        if let Some(first) = claims.first_mut().filter(|first| first.found == "as expected") {
            first.found = format!("{} lines", self.lines);
        }
        (claims, self.seen)
    }
}

impl SeenLines {
    fn of(source: &str) -> Self {
        let whole = kind(source) != "victorialogs";
        Self { facts: Facts::default(), strange: whole.then(Flaws::default) }
    }

    /// The console has a severity for every line, and VictoriaLogs does not say whose an attribute is.
    fn rate(&mut self, source: &str, line: &LogLine) {
        if ["file", "victorialogs"].contains(&kind(source)) {
            self.facts.line(line);
        }
        if self.strange.is_some() {
            self.facts.line_keys(line.text("service"), line.fields.keys());
        }
    }
}

fn kind(source: &str) -> &str {
    source.split(' ').next().unwrap_or_default()
}

fn look(source: &str, base: &str, id: &str) -> String {
    match kind(source) {
        "victorialogs" => format!("{base}/select/vmui/#/?query=trace_id:{id}"),
        "file" => format!("grep {id} {base}"),
        "loki" => format!("{{service_name=~\".+\"}} |= \"{id}\""),
        _ => format!("{base}/api/logs?traceId={id}"),
    }
}

/// What is wrong with the span id of a line, if anything is.
fn misjoined(
    entry: &LedgerEntry,
    expected: ExpectedLine,
    line: &LogLine,
    ids: Option<&SpanIds>,
) -> Option<String> {
    let found = line.text("spanId");
    let is_id =
        found.len() == 16 && found.bytes().all(|b| b.is_ascii_hexdigit()) && found != "0000000000000000";
    if !is_id {
        return Some(format!("its span id is '{found}'"));
    }
    let trace = entry.trace.clone().unwrap_or_default();
    let span = ids.filter(|_| entry.sampled)?.get(&(trace, expected.span))?;
    (span != found).then(|| format!("its span is {found} instead of {span}"))
}

/// Fields that are not what the request says. Some backends have texts for all values.
fn strange_fields(entry: &LedgerEntry, expected: ExpectedLine, line: &LogLine) -> Vec<String> {
    let span = &entry.shape.spans[expected.span];
    let level = match expected.message {
        "request failed" | "Message goes to the dead letters" => "error",
        "Message failed and will be retried" | "Order passed on without the validator's verdict" => "warn",
        _ => "info",
    };
    let mut wanted: Vec<(&str, Value)> = vec![("level", json!(level))];
    match expected.message {
        "request served" | "request failed" => {
            let (method, route) = span.http().unwrap_or(("GET", "other"));
            let status = json!(span.http_status);
            wanted.extend([("method", json!(method)), ("route", json!(route)), ("status", status)]);
        }
        "Order created" | "Order status changed" | "Notification sent" => {
            wanted.extend(entry.order.map(|order| ("orderId", json!(order))));
        }
        _ => {}
    }
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let strange = wanted.into_iter().filter_map(|(field, wanted)| {
        let found = line.fields.get(field).unwrap_or(&Value::Null);
        // INFO is OTLP's spelling.
        let same = *found == wanted || text(found).to_lowercase() == text(&wanted).to_lowercase();
        (!same).then(|| format!("{field} is {found} instead of {wanted}"))
    });
    strange.collect()
}
