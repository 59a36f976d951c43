//! The log lines kept in memory, each as the text it came in: the oldest go first.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use super::fault_lines::FaultLines;
use super::ids::TraceId;
use super::line_head::{LEVELS, LineHead, rank};
use super::params::now;

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
    /// When it was written, or came in where it does not say; nanoseconds since the epoch.
    time: u64,
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
    /// Those that say of a fault that it was set or has ended.
    faults: FaultLines,
    pub(super) bytes: usize,
    pub(super) received: u64,
    pub(super) rejected: u64,
    pub(super) evicted: u64,
}

/// Which lines to answer with.
#[derive(Debug, Default)]
pub(super) struct LogFilter {
    /// Of one of these traces; of any where none is named.
    pub(super) traces: HashSet<TraceId>,
    pub(super) service: Option<String>,
    /// The least urgent level wanted, such as `warn`.
    pub(super) level: Option<String>,
    /// Lower-case text the line must contain, in any case.
    pub(super) text: Option<String>,
    /// Only lines after the one with this number.
    pub(super) after: Option<u64>,
    /// Only lines of a time in this range, in nanoseconds since the epoch.
    pub(super) since: Option<u64>,
    pub(super) until: Option<u64>,
    /// Half of the limit on each side of the line with this number, whatever its neighbours' time.
    pub(super) around: Option<u64>,
    /// The newest so many.
    pub(super) limit: usize,
}

impl LogFilter {
    /// Says of each line whether it is wanted.
    fn wanted(&self) -> impl Fn(&&Arc<StoredLine>) -> bool {
        let least = self.level.as_deref().map_or(0, rank);
        move |line| line.level >= least && self.takes(line)
    }

    fn takes(&self, line: &StoredLine) -> bool {
        (self.traces.is_empty() || line.trace.is_some_and(|id| self.traces.contains(&id)))
            && self.service.as_deref().is_none_or(|name| *line.service == *name)
            && self.since.is_none_or(|since| line.time >= since)
            && self.until.is_none_or(|until| line.time <= until)
            && self.text.as_deref().is_none_or(|text| line.json.to_lowercase().contains(text))
    }
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
        let time = head.time.unwrap_or_else(now);
        if let Some((set, fault)) = head.fault() {
            self.faults.note(time, set, &head.service, fault);
        }
        self.keep(StoredLine {
            number: self.received,
            json: text.into(),
            service: head.service.as_ref().into(),
            level: head.level,
            trace: head.trace,
            time,
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

    /// When faults were set and have ended, as far as lines said so.
    pub(super) fn faults(&self) -> &FaultLines {
        &self.faults
    }

    /// Adds to each trace that is there already the number of its lines.
    pub(super) fn count(&self, traces: &mut HashMap<TraceId, usize>) {
        for id in self.lines.iter().filter_map(|line| line.trace) {
            if let Some(lines) = traces.get_mut(&id) {
                *lines += 1;
            }
        }
    }

    /// Removes the lines of a service, or all; how many.
    pub(super) fn remove(&mut self, service: Option<&str>) -> usize {
        let before = self.lines.len();
        self.faults.remove(service);
        self.lines.retain(|line| service.is_some_and(|name| *line.service != *name));
        self.bytes = self.lines.iter().map(|line| line.weight()).sum();
        before - self.lines.len()
    }

    /// The lines to search, as they are now.
    pub(super) fn recent(&self, filter: &LogFilter) -> RecentLines {
        let newer = |line: &&Arc<StoredLine>| filter.after.is_none_or(|number| line.number > number);
        let lines = self.lines.iter().rev().take_while(newer).cloned().collect();
        RecentLines { lines, next: self.lines.back().map_or(0, |line| line.number) }
    }
}

impl RecentLines {
    /// All of them as they came in, the oldest first.
    pub(super) fn texts(self) -> impl Iterator<Item = String> + use<> {
        self.lines.into_iter().rev().map(|line| line.json.to_string())
    }

    /// `{"logs":[…the original objects…],"numbers":[…],"next":N}`, newest last: each line has a number, and `next` is the
    /// one to ask `after` for what comes later.
    pub(super) fn answer(&self, filter: &LogFilter) -> String {
        let wanted = self.lines.iter().filter(filter.wanted());
        let mut found: Vec<_> = match filter.around {
            None => wanted.take(filter.limit).collect(),
            Some(number) => around(&wanted.collect::<Vec<_>>(), number, filter.limit),
        };
        found.reverse();
        let lines: Vec<&str> = found.iter().map(|line| &*line.json).collect();
        let numbers: Vec<_> = found.iter().map(|line| line.number.to_string()).collect();
        format!(r#"{{"logs":[{}],"numbers":[{}],"next":{}}}"#, lines.join(","), numbers.join(","), self.next)
    }

    /// How many lines of each level there were in each step from `since` on; what does not lie in a step counts nowhere.
    pub(super) fn histogram(
        &self,
        filter: &LogFilter,
        since: u64,
        step: u64,
        steps: usize,
    ) -> Vec<[u64; LEVELS.len()]> {
        let mut counts = vec![[0; LEVELS.len()]; steps];
        for line in self.lines.iter().filter(|line| line.time >= since).filter(filter.wanted()) {
            let place = usize::try_from((line.time - since) / step.max(1)).ok();
            if let Some(counts) = place.and_then(|place| counts.get_mut(place)) {
                counts[line.level] += 1;
            }
        }
        counts
    }

    /// The time of the oldest line kept, in nanoseconds since the epoch.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.lines.iter().map(|line| line.time).min()
    }
}

/// Of lines that are newest first, those next to the one with a number, or to where it was; by when they were written, for
/// those of several services do not come in that order.
fn around<'a>(lines: &[&'a Arc<StoredLine>], number: u64, limit: usize) -> Vec<&'a Arc<StoredLine>> {
    let place = lines.partition_point(|line| line.number > number);
    let (first, end) = (place.saturating_sub(limit / 2), (place + limit.div_ceil(2)).min(lines.len()));
    let mut found = lines[first..end].to_vec();
    found.sort_by_key(|line| std::cmp::Reverse(line.time));
    found
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
        assert_eq!(count(LogFilter { traces: [10, 11].into(), service: Some("a".into()), ..all() }), 2);
        assert_eq!(count(LogFilter { after: Some(2), ..all() }), 1);
    }

    #[test]
    fn a_time_range_takes_the_lines_written_in_it_and_a_line_without_a_time_is_of_when_it_came() {
        let mut logs = LogStore::new(10, 1 << 20);
        for second in [1, 2, 3] {
            logs.push(&format!(r#"{{"timestamp":"2026-01-01T00:00:0{second}Z","n":{second}}}"#));
        }
        let before = now();
        logs.push(r#"{"timestamp":"soon"}"#);
        let at = |text: &str| crate::console::params::rfc3339(text);
        let filter = LogFilter {
            since: at("2026-01-01T00:00:02Z"),
            until: at("2026-01-01T00:00:03Z"),
            limit: 9,
            ..LogFilter::default()
        };
        let found: Vec<_> = lines(&answer(&logs, &filter)).iter().map(|line| line["n"].clone()).collect();
        assert_eq!(found, [2, 3]);
        let lately = LogFilter { since: Some(before), limit: 9, ..LogFilter::default() };
        assert_eq!(lines(&answer(&logs, &lately)), [serde_json::json!({"timestamp": "soon"})]);
    }

    #[test]
    fn lines_around_one_are_its_neighbours_on_both_sides() {
        let mut logs = LogStore::new(100, 1 << 20);
        for n in 1..=20 {
            logs.push(&format!(r#"{{"service":"{}","n":{n}}}"#, ["a", "b"][n % 2]));
        }
        let found = |around: u64, service: Option<&str>| {
            let filter = LogFilter {
                around: Some(around),
                service: service.map(Into::into),
                limit: 4,
                ..LogFilter::default()
            };
            let answer: Value = serde_json::from_str(&answer(&logs, &filter)).unwrap();
            answer["numbers"].clone()
        };
        assert_eq!(found(10, None), serde_json::json!([9, 10, 11, 12]));
        assert_eq!(found(10, Some("b")), serde_json::json!([7, 9, 11, 13]));
        assert_eq!(found(1, None), serde_json::json!([1, 2, 3]));
        assert_eq!(found(99, None), serde_json::json!([19, 20]));
    }

    #[test]
    fn lines_around_one_are_in_the_order_in_which_they_were_written() {
        let mut logs = LogStore::new(100, 1 << 20);
        for millis in [708, 843, 844, 708, 839, 844, 785] {
            logs.push(&format!(r#"{{"timestamp":"2026-01-01T00:00:00.{millis}Z"}}"#));
        }
        let filter = LogFilter { around: Some(4), limit: 10, ..LogFilter::default() };
        let answer: Value = serde_json::from_str(&answer(&logs, &filter)).unwrap();
        assert_eq!(answer["numbers"], serde_json::json!([1, 4, 7, 5, 2, 3, 6]));
    }

    #[test]
    fn the_histogram_counts_each_line_in_its_step_under_its_level() {
        let mut logs = LogStore::new(10, 1 << 20);
        for (second, level) in [(0, "info"), (9, "error"), (10, "info"), (10, "info"), (31, "info")] {
            logs.push(&format!(r#"{{"timestamp":"2026-01-01T00:00:{second:02}Z","level":"{level}"}}"#));
        }
        let since = crate::console::params::rfc3339("2026-01-01T00:00:00Z").unwrap();
        let filter = LogFilter::default();
        let counts = logs.recent(&filter).histogram(&filter, since, 10_000_000_000, 3);
        assert_eq!(counts, [[0, 0, 1, 0, 1, 0], [0, 0, 2, 0, 0, 0], [0; 6]]);
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
