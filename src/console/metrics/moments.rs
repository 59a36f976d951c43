//! What happened to services, as their metrics tell it: faults set and ended, new versions, new processes. When a fault was
//! set and ended the role's log lines say to the millisecond, where they come here.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::series::StoredSeries;
use crate::console::attributes::find_text;
use crate::console::fault_lines::{FaultLine, FaultLines};

/// Moments of one answer; the newest stay.
const MOST: usize = 200;
const SECOND: u64 = 1_000_000_000;
/// How long before the first point of a series a change may have been: an export's interval, by its default of a minute.
const INTERVAL: u64 = 60 * SECOND;
/// A line may be written so long after the point that knows of the same.
const LINE_LATER: u64 = SECOND;

/// What happens at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    FaultSet,
    FaultEnded,
    Version,
    Restart,
}

impl What {
    fn name(self) -> &'static str {
        match self {
            Self::FaultSet => "fault set",
            Self::FaultEnded => "fault ended",
            Self::Version => "version",
            Self::Restart => "restart",
        }
    }
}

/// Something that happened to a service; sorted by its time.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Moment {
    /// When it was seen, in nanoseconds since the epoch.
    time: u64,
    what: What,
    service: String,
    /// The fault or the version.
    which: String,
    /// It happened after this time.
    after: u64,
}

impl Moment {
    fn of_line(line: &FaultLine) -> Self {
        let what = if line.set { What::FaultSet } else { What::FaultEnded };
        let (service, which) = (line.service.to_string(), line.fault.to_string());
        Self { time: line.time, what, service, which, after: line.time }
    }

    /// Whether it is what the next point knew of.
    fn is_before(&self, seen: &Self) -> bool {
        let same = self.what == seen.what && self.service == seen.service && self.which == seen.which;
        same && (seen.after..=seen.time + LINE_LATER).contains(&self.time)
    }
}

/// The moments since a time, in nanoseconds since the epoch.
#[derive(Debug)]
pub(super) struct Moments {
    from: u64,
    found: Vec<Moment>,
    /// When each version of a service was first seen.
    versions: BTreeMap<(String, String), u64>,
}

impl Moments {
    pub(super) fn since(from: u64) -> Self {
        Self { from, found: Vec::new(), versions: BTreeMap::new() }
    }

    pub(super) fn take(&mut self, series: &StoredSeries) {
        let service = &series.origin.service;
        if let Some(version) = find_text(&series.origin.resource.attributes, "service.version")
            && let Some(first) =
                series.coarse.front().into_iter().chain(series.fine.front()).map(|p| p.time).min()
        {
            let seen = self.versions.entry((service.clone(), version)).or_insert(first);
            *seen = first.min(*seen);
        }
        match series.instrument.name.as_str() {
            "fault.active" => {
                let attributes: Value = serde_json::from_str(&series.attributes).unwrap_or_default();
                let fault = attributes["fault"].as_str().unwrap_or_default();
                self.changes(series, fault, |was, now| match (was.unwrap_or(0.0) > 0.0, now > 0.0) {
                    (false, true) => Some(What::FaultSet),
                    (true, false) => Some(What::FaultEnded),
                    _ => None,
                });
            }
            "process.start_time" => {
                self.changes(series, "", |was, now| was.filter(|was| *was != now).map(|_| What::Restart));
            }
            _ => {}
        }
    }

    /// Puts what log lines said of faults in the place of what points did: theirs is the time of the next export.
    pub(super) fn tell(&mut self, lines: &FaultLines, service: Option<&str>) {
        let wanted = |line: &&FaultLine| service.is_none_or(|name| *line.service == *name);
        let lines: Vec<_> = lines.iter().filter(wanted).map(Moment::of_line).collect();
        self.found.retain(|seen| !lines.iter().any(|line| line.is_before(seen)));
        let from = self.from;
        self.found.extend(lines.into_iter().filter(|line| line.time >= from));
    }

    /// The changes between a series' points, where these are moments.
    fn changes(
        &mut self,
        series: &StoredSeries,
        which: &str,
        moment: impl Fn(Option<f64>, f64) -> Option<What>,
    ) {
        let points = series.since(self.from);
        let mut before = points.first().and_then(|first| series.before(first.time));
        for point in points {
            let was = before.map(|before| before.value.counted());
            if let Some(what) = moment(was, point.value.counted()) {
                let after = before.map_or(point.time.saturating_sub(INTERVAL), |before| before.time);
                let (service, which) = (series.origin.service.clone(), which.to_owned());
                self.found.push(Moment { time: point.time, what, service, which, after });
            }
            before = Some(point);
        }
    }

    /// `[{"time":µs,"what":…,"service":…,"which":…}]`, oldest first.
    pub(super) fn json(mut self) -> Value {
        let mut versions: BTreeMap<String, Vec<(u64, String)>> = BTreeMap::new();
        for ((service, version), first) in self.versions {
            versions.entry(service).or_default().push((first, version));
        }
        for (service, mut seen) in versions {
            seen.sort();
            // The first one known is no change.
            let later = seen.into_iter().skip(1).filter(|(first, _)| *first >= self.from);
            self.found.extend(later.map(|(time, which)| Moment {
                time,
                what: What::Version,
                service: service.clone(),
                which,
                after: 0,
            }));
        }
        self.found.sort();
        let newest = self.found.split_off(self.found.len().saturating_sub(MOST));
        let moments = newest.into_iter().map(|Moment { time, what, service, which, .. }| {
            json!({"time": time / 1_000, "what": what.name(), "service": service, "which": which})
        });
        moments.collect()
    }
}
