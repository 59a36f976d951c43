//! When faults were set and have ended, by the roles' own log lines: metrics tell of it only with their next export.

use std::collections::VecDeque;

/// How many are kept; the oldest go. They outlive their lines, which a busy lab keeps for minutes.
const MOST: usize = 500;
/// The most bytes of a name; longer ones are nobody's.
const MOST_NAME: usize = 100;

/// What one line said.
#[derive(Debug, PartialEq)]
pub(super) struct FaultLine {
    /// Nanoseconds since the epoch.
    pub(super) time: u64,
    /// Whether it was set then, or has ended.
    pub(super) set: bool,
    pub(super) service: Box<str>,
    pub(super) fault: Box<str>,
}

/// In the order in which they came in.
#[derive(Debug, Default)]
pub(super) struct FaultLines(VecDeque<FaultLine>);

impl FaultLines {
    pub(super) fn note(&mut self, time: u64, set: bool, service: &str, fault: &str) {
        let line = FaultLine { time, set, service: service.into(), fault: fault.into() };
        // One that was imported again is known.
        if service.len().max(fault.len()) > MOST_NAME || self.0.contains(&line) {
            return;
        }
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back(line);
    }

    /// Forgets those of a service, or all.
    pub(super) fn remove(&mut self, service: Option<&str>) {
        self.0.retain(|line| service.is_some_and(|name| *line.service != *name));
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &FaultLine> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept_each_once_and_none_of_a_name_that_is_nobodys() {
        let mut lines = FaultLines::default();
        for time in (0..1000).chain([999]) {
            lines.note(time, true, "a", "latency");
        }
        lines.note(1000, true, &"x".repeat(MOST_NAME + 1), "latency");
        let times: Vec<_> = lines.iter().map(|line| line.time).collect();
        assert_eq!((times.len(), times.first(), times.last()), (MOST, Some(&500), Some(&999)));
        lines.note(1000, false, "b", "latency");
        lines.remove(Some("a"));
        assert_eq!(lines.iter().map(|line| &*line.service).collect::<Vec<_>>(), ["b"]);
    }
}
