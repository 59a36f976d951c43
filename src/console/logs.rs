//! The log lines kept in memory, each as the text it came in: the oldest go first.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use super::ids::TraceId;
use super::line_head::{LineHead, rank};

/// Longest line, in bytes; a longer one is counted and forgotten.
pub(super) const MAX_LINE: usize = 64 * 1024;
/// Services whose lines are known to come on standard input.
const MOST_FOLLOWED: usize = 64;
/// Why a longer OTLP record is refused.
pub(super) const TOO_LARGE: &str = "a log record must not exceed 64 KiB";

/// One log line, shared with the answers that show it.
#[derive(Debug)]
struct StoredLine {
    number: u64,
    /// A JSON object, checked when it came in and therefore safe to put into an answer unchanged.
    json: Box<str>,
    service: Box<str>,
    level: usize,
    trace: Option<TraceId>,
}

impl StoredLine {
    fn weight(&self) -> usize {
        // The counts of its references and its place in the queue.
        size_of::<Self>() + 3 * size_of::<usize>() + self.json.len() + self.service.len()
    }
}

/// The log lines kept, and counts since start (`bytes` is now).
#[derive(Debug, Default)]
pub(super) struct LogStore {
    max_lines: usize,
    max_bytes: usize,
    lines: VecDeque<Arc<StoredLine>>,
    /// Services whose lines are followed; their records are the same said twice.
    followed: BTreeSet<Box<str>>,
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

/// The lines that a filter may find, newest first, and the number of the newest.
pub(super) struct RecentLines {
    lines: Vec<Arc<StoredLine>>,
    next: u64,
}

impl LogStore {
    pub(super) fn new(max_lines: usize, max_bytes: usize) -> Self {
        Self { max_lines, max_bytes, ..Self::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    /// Counts lines that could not even be read.
    pub(super) fn reject(&mut self, lines: u64) {
        self.received += lines;
        self.rejected += lines;
    }

    /// Keeps a line that a service wrote to its standard output.
    pub(super) fn follow(&mut self, text: &str) {
        if self.push(text)
            && let Some(line) = self.lines.back()
            && self.followed.len() < MOST_FOLLOWED
            && !self.followed.contains(&line.service)
        {
            self.followed.insert(line.service.clone());
        }
    }

    /// Whether lines of that service came so.
    pub(super) fn follows(&self, service: &str) -> bool {
        self.followed.contains(service)
    }

    /// Keeps one line; `false` when it is not a JSON object or too long. Blank lines are nothing.
    pub(super) fn push(&mut self, text: &str) -> bool {
        let text = text.trim();
        if text.is_empty() {
            return true;
        }
        let Some(head) = (text.len() <= MAX_LINE).then(|| LineHead::read(text)).flatten() else {
            self.reject(1);
            return false;
        };
        self.received += 1;
        self.keep(StoredLine {
            number: self.received,
            json: text.into(),
            service: head.service.as_ref().into(),
            level: head.level,
            trace: head.trace,
        });
        true
    }

    fn keep(&mut self, line: StoredLine) {
        self.bytes += line.weight();
        self.lines.push_back(line.into());
        while self.lines.len() > self.max_lines || self.bytes > self.max_bytes {
            let Some(oldest) = self.lines.pop_front() else { return };
            self.bytes -= oldest.weight();
            self.evicted += 1;
        }
    }

    /// The lines to search, as they are now.
    pub(super) fn recent(&self, filter: &LogFilter) -> RecentLines {
        let newer = |line: &&Arc<StoredLine>| filter.after.is_none_or(|number| line.number > number);
        let lines = self.lines.iter().rev().take_while(newer).cloned().collect();
        RecentLines { lines, next: self.lines.back().map_or(0, |line| line.number) }
    }
}

impl RecentLines {
    /// `{"logs":[…the original objects…],"next":N}`, newest last; `next` is the number to ask
    /// `after` for what comes later.
    pub(super) fn answer(&self, filter: &LogFilter) -> String {
        let least = filter.level.as_deref().map_or(0, rank);
        let wanted = |line: &&Arc<StoredLine>| {
            line.level >= least
                && filter.trace.is_none_or(|id| line.trace == Some(id))
                && filter.service.as_deref().is_none_or(|name| *line.service == *name)
                && filter.text.as_deref().is_none_or(|text| line.json.to_lowercase().contains(text))
        };
        let newest_first = self.lines.iter().filter(wanted).take(filter.limit);
        let mut found: Vec<&str> = newest_first.map(|line| &*line.json).collect();
        found.reverse();
        format!(r#"{{"logs":[{}],"next":{}}}"#, found.join(","), self.next)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::Value;

    use super::*;

    fn answer(logs: &LogStore, filter: &LogFilter) -> String {
        logs.recent(filter).answer(filter)
    }

    fn lines(answer: &str) -> Vec<Value> {
        serde_json::from_str::<Value>(answer).unwrap()["logs"].as_array().unwrap().clone()
    }

    #[test]
    fn the_oldest_lines_go_first_and_the_answer_is_newest_last() {
        let mut logs = LogStore::new(3, 1 << 20);
        for n in 0..10 {
            assert!(logs.push(&format!(r#"{{"message":"{n}"}}"#)));
        }
        let kept = lines(&answer(&logs, &LogFilter { limit: 2, ..LogFilter::default() }));
        assert_eq!(kept, [serde_json::json!({"message":"8"}), serde_json::json!({"message":"9"})]);
        assert_eq!((logs.len(), logs.evicted), (3, 7));
        logs.max_bytes = 0;
        logs.push("{}");
        assert_eq!((logs.len(), logs.bytes), (0, 0));
    }

    #[test]
    fn what_is_not_a_json_object_is_counted_and_forgotten() {
        let mut logs = LogStore::new(10, 1 << 20);
        let long = format!(r#"{{"message":"{}"}}"#, "x".repeat(MAX_LINE));
        for wrong in ["plain text", "[1]", r#"{"a":1}{"b":2}"#, &"[".repeat(5_000), &long] {
            assert!(!logs.push(wrong));
        }
        assert!(logs.push("  "));
        assert_eq!((logs.len(), logs.rejected, logs.received), (0, 5, 5));
    }

    #[test]
    fn filters_combine_and_a_level_means_at_least() {
        let mut logs = LogStore::new(10, 1 << 20);
        logs.push(r#"{"level":"info","service":"a","traceId":"0A","message":"Hello"}"#);
        logs.push(r#"{"level":"ERROR","service":"a","traceId":"0a","message":"bad"}"#);
        logs.push(r#"{"level":"warn","service":"b","message":"hello"}"#);
        let all = || LogFilter { limit: 9, ..LogFilter::default() };
        let count = |filter: LogFilter| lines(&answer(&logs, &filter)).len();
        assert_eq!(count(LogFilter { level: Some("warn".into()), ..all() }), 2);
        assert_eq!(count(LogFilter { text: Some("hello".into()), ..all() }), 2);
        assert_eq!(count(LogFilter { trace: Some(10), service: Some("a".into()), ..all() }), 2);
        assert_eq!(count(LogFilter { after: Some(2), ..all() }), 1);
    }

    #[test]
    fn a_line_of_another_logging_systems_level_ranks_as_an_otlp_record_of_it_does() {
        let mut logs = LogStore::new(10, 1 << 20);
        for level in ["critical", "Severe", "WARNING", "notice", "verbose", "DEBUG3", "loud"] {
            logs.push(&format!(r#"{{"level":"{level}"}}"#));
        }
        let count = |level: &str| {
            let filter = LogFilter { level: Some(level.into()), limit: 9, ..LogFilter::default() };
            lines(&answer(&logs, &filter)).len()
        };
        assert_eq!(["trace", "debug", "info", "warn", "err", "critical"].map(count), [7, 6, 5, 3, 2, 1]);
    }
}
