//! What happened to services, as their metrics tell it: faults set and ended, new versions, new processes.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::series::StoredSeries;
use crate::console::attributes::find_text;

/// Moments of one answer; the newest stay.
const MOST: usize = 200;

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

/// The moments since a time, in nanoseconds since the epoch.
#[derive(Debug)]
pub(super) struct Moments {
    from: u64,
    /// Time, what, service, and which fault or version.
    found: Vec<(u64, What, String, String)>,
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

    /// The changes between a series' points, where these are moments.
    fn changes(
        &mut self,
        series: &StoredSeries,
        which: &str,
        moment: impl Fn(Option<f64>, f64) -> Option<What>,
    ) {
        let points = series.since(self.from);
        let mut was =
            points.first().and_then(|first| series.before(first.time)).map(|point| point.value.counted());
        for point in points {
            let now = point.value.counted();
            if let Some(what) = moment(was, now) {
                self.found.push((point.time, what, series.origin.service.clone(), which.to_owned()));
            }
            was = Some(now);
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
            self.found.extend(later.map(|(first, version)| (first, What::Version, service.clone(), version)));
        }
        self.found.sort();
        let newest = self.found.split_off(self.found.len().saturating_sub(MOST));
        let moments = newest.into_iter().map(|(time, what, service, which)| {
            json!({"time": time / 1_000, "what": what.name(), "service": service, "which": which})
        });
        moments.collect()
    }
}
