//! The log lines kept in memory, each as the text it came in: the oldest go first.

use std::collections::VecDeque;

use serde_json::Value;

use super::ids::{TraceId, parse_trace_id};

/// Longest line, in bytes; a longer one is counted and forgotten.
pub(super) const MAX_LINE: usize = 64 * 1024;

/// The levels, least urgent first; anything else counts as `info`.
const LEVELS: [&str; 6] = ["trace", "debug", "info", "warn", "error", "fatal"];

#[derive(Debug)]
struct Line {
    number: u64,
    /// A JSON object, checked when it came in and therefore safe to put into an answer unchanged.
    json: Box<str>,
    service: Box<str>,
    level: usize,
    trace: Option<TraceId>,
}

impl Line {
    fn weight(&self) -> usize {
        size_of::<Self>() + self.json.len() + self.service.len()
    }
}

/// Everything kept, and counts since start (`bytes` is now).
#[derive(Debug, Default)]
pub(super) struct Logs {
    max_lines: usize,
    max_bytes: usize,
    lines: VecDeque<Line>,
    pub(super) bytes: usize,
    pub(super) received: u64,
    pub(super) rejected: u64,
    pub(super) evicted: u64,
}

/// Which lines to answer with.
#[derive(Debug, Default)]
pub(super) struct LogFilter {
    pub(super) trace: Option<TraceId>,
    pub(super) service: Option<String>,
    /// The least urgent level wanted, such as `warn`.
    pub(super) level: Option<String>,
    /// Lower-case text the line must contain, in any case.
    pub(super) text: Option<String>,
    /// Only lines after the one with this number.
    pub(super) after: Option<u64>,
    /// The newest so many.
    pub(super) limit: usize,
}

impl Logs {
    pub(super) fn new(max_lines: usize, max_bytes: usize) -> Self {
        Self { max_lines, max_bytes, ..Self::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    /// Counts a line that could not even be read.
    pub(super) fn reject(&mut self) {
        self.received += 1;
        self.rejected += 1;
    }

    /// Keeps one line; `false` when it is not a JSON object or too long. Blank lines are nothing.
    pub(super) fn push(&mut self, text: &str) -> bool {
        let text = text.trim();
        if text.is_empty() {
            return true;
        }
        match serde_json::from_str::<Value>(text) {
            Ok(Value::Object(fields)) if text.len() <= MAX_LINE => {
                self.received += 1;
                let field = |name| fields.get(name).and_then(Value::as_str).unwrap_or_default();
                self.keep(Line {
                    number: self.received,
                    json: text.into(),
                    service: field("service").into(),
                    level: rank(field("level")),
                    trace: parse_trace_id(field("traceId")),
                });
                true
            }
            _ => {
                self.reject();
                false
            }
        }
    }

    fn keep(&mut self, line: Line) {
        self.bytes += line.weight();
        self.lines.push_back(line);
        while self.lines.len() > self.max_lines || self.bytes > self.max_bytes {
            let Some(oldest) = self.lines.pop_front() else { return };
            self.bytes -= oldest.weight();
            self.evicted += 1;
        }
    }

    /// `{"logs":[…the original objects…],"next":N}`, newest last; `next` is the number to ask
    /// `after` for what comes later.
    pub(super) fn answer(&self, filter: &LogFilter) -> String {
        let least = filter.level.as_deref().map_or(0, rank);
        let wanted = |line: &&Line| {
            line.level >= least
                && filter.trace.is_none_or(|id| line.trace == Some(id))
                && filter.service.as_deref().is_none_or(|name| *line.service == *name)
                && filter.text.as_deref().is_none_or(|text| line.json.to_lowercase().contains(text))
        };
        let newer = |line: &&Line| filter.after.is_none_or(|number| line.number > number);
        let newest_first = self.lines.iter().rev().take_while(newer).filter(wanted).take(filter.limit);
        let mut found: Vec<&str> = newest_first.map(|line| &*line.json).collect();
        found.reverse();
        let next = self.lines.back().map_or(0, |line| line.number);
        format!(r#"{{"logs":[{}],"next":{next}}}"#, found.join(","))
    }
}

fn rank(level: &str) -> usize {
    let level = if level.eq_ignore_ascii_case("warning") { "warn" } else { level };
    LEVELS.iter().position(|known| known.eq_ignore_ascii_case(level)).unwrap_or(2)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn lines(answer: &str) -> Vec<Value> {
        serde_json::from_str::<Value>(answer).unwrap()["logs"].as_array().unwrap().clone()
    }

    #[test]
    fn the_oldest_lines_go_first_and_the_answer_is_newest_last() {
        let mut logs = Logs::new(3, 1 << 20);
        for n in 0..10 {
            assert!(logs.push(&format!(r#"{{"message":"{n}"}}"#)));
        }
        let kept = lines(&logs.answer(&LogFilter { limit: 2, ..LogFilter::default() }));
        assert_eq!(kept, [serde_json::json!({"message":"8"}), serde_json::json!({"message":"9"})]);
        assert_eq!((logs.len(), logs.evicted), (3, 7));
        logs.max_bytes = 0;
        logs.push("{}");
        assert_eq!((logs.len(), logs.bytes), (0, 0));
    }

    #[test]
    fn what_is_not_a_json_object_is_counted_and_forgotten() {
        let mut logs = Logs::new(10, 1 << 20);
        let long = format!(r#"{{"message":"{}"}}"#, "x".repeat(MAX_LINE));
        for wrong in ["plain text", "[1]", r#"{"a":1}{"b":2}"#, &"[".repeat(5_000), &long] {
            assert!(!logs.push(wrong));
        }
        assert!(logs.push("  "));
        assert_eq!((logs.len(), logs.rejected, logs.received), (0, 5, 5));
    }

    #[test]
    fn filters_combine_and_a_level_means_at_least() {
        let mut logs = Logs::new(10, 1 << 20);
        logs.push(r#"{"level":"info","service":"a","traceId":"0A","message":"Hello"}"#);
        logs.push(r#"{"level":"ERROR","service":"a","traceId":"0a","message":"bad"}"#);
        logs.push(r#"{"level":"warn","service":"b","message":"hello"}"#);
        let all = || LogFilter { limit: 9, ..LogFilter::default() };
        let count = |filter: LogFilter| lines(&logs.answer(&filter)).len();
        assert_eq!(count(LogFilter { level: Some("warn".into()), ..all() }), 2);
        assert_eq!(count(LogFilter { text: Some("hello".into()), ..all() }), 2);
        assert_eq!(count(LogFilter { trace: Some(10), service: Some("a".into()), ..all() }), 2);
        assert_eq!(count(LogFilter { after: Some(2), ..all() }), 1);
    }
}
