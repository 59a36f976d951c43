//! All series, within a number of them and within bytes: under pressure history gets shorter for all.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::series::{COARSE, FINE, Instrument, NewPoint, StoredPoint, StoredSeries};
use crate::console::origin::Origin;

/// Most series. A new one beyond takes the place of one that is no longer sent, or is refused.
pub(super) const MOST_SERIES: usize = 5_000;
/// What a series' names and attributes may take, in bytes.
const MOST_NAMES: usize = 16 * 1024;
/// What the resource and scope of a series may take, in bytes.
const MOST_OF_ORIGIN: usize = 64 * 1024;
/// How far a point may be ahead of the clock here, in nanoseconds: until then nothing older is taken.
const AHEAD: u64 = 300 * 1_000_000_000;
/// A series that got no point for so long may make room, in nanoseconds.
const IDLE: u64 = 300 * 1_000_000_000;
/// Time between two searches for points that are too old, in nanoseconds.
const SWEEP_EVERY: u64 = 10 * 1_000_000_000;

/// What tells a series from others: its origin's number, and its metric and attributes as one text.
type SeriesKey = (u64, Box<str>);

/// Counts since start.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::console) struct MetricStats {
    pub(in crate::console) received: u64,
    pub(in crate::console) rejected: u64,
    pub(in crate::console) evicted_series: u64,
}

/// The series kept.
#[derive(Debug)]
pub(in crate::console) struct MetricStore {
    max_series: usize,
    max_bytes: usize,
    series: HashMap<SeriesKey, StoredSeries>,
    /// Shared by their series; each with a number that is not used again.
    origins: Vec<(u64, Arc<Origin>)>,
    next: u64,
    swept: u64,
    /// Before then no series is idle.
    idle_from: u64,
    pub(in crate::console) bytes: usize,
    pub(in crate::console) stats: MetricStats,
}

impl MetricStore {
    pub(in crate::console) fn new(max_bytes: usize) -> Self {
        Self::bounded(MOST_SERIES, max_bytes)
    }

    pub(super) fn bounded(max_series: usize, max_bytes: usize) -> Self {
        let (series, origins, stats) = Default::default();
        let (next, swept, idle_from, bytes) = (0, 0, 0, 0);
        Self { max_series, max_bytes, series, origins, next, swept, idle_from, bytes, stats }
    }

    /// How many series there are.
    pub(in crate::console) fn len(&self) -> usize {
        self.series.len()
    }

    /// The names of the services that sent any.
    pub(in crate::console) fn services(&self) -> BTreeSet<String> {
        self.origins.iter().map(|(_, origin)| origin.service.clone()).collect()
    }

    /// How many series are wanted, and copies of the busiest since a time, those without a point since then last: at most
    /// so many series, and after the first at most so many points. Their large points are shared.
    pub(super) fn find(
        &self,
        since: u64,
        limit: usize,
        most_points: usize,
        wanted: impl Fn(&StoredSeries) -> bool,
    ) -> (usize, Vec<StoredSeries>) {
        let wanted = self.series.values().filter(|series| wanted(series));
        let mut found: Vec<_> = wanted.map(|series| (series.came_since(since), series)).collect();
        found.sort_unstable_by(|(came, a), (more, b)| {
            let (first, second) = ((&a.origin.service, &a.attributes), (&b.origin.service, &b.attributes));
            let busy = |came: &Option<f64>| came.unwrap_or(-1.0);
            busy(more).total_cmp(&busy(came)).then_with(|| first.cmp(&second))
        });
        let mut points = 0;
        let chosen =
            found.iter().map(|(_, series)| series).take(limit).enumerate().take_while(|(place, series)| {
                points += series.fine.len() + series.coarse.len();
                *place == 0 || points <= most_points
            });
        (found.len(), chosen.map(|(_, series)| (**series).clone()).collect())
    }

    /// Removes the series of a service, or all; how many.
    pub(in crate::console) fn remove_service(&mut self, service: Option<&str>) -> usize {
        let before = self.series.len();
        self.series.retain(|_, series| service.is_some_and(|name| series.origin.service != name));
        self.settle();
        before - self.series.len()
    }

    /// Visits all.
    pub(super) fn each(&self, mut visit: impl FnMut(&StoredSeries)) {
        self.series.values().for_each(&mut visit);
    }

    /// Keeps a point, or says why not. `now` is in nanoseconds since the epoch.
    pub(super) fn push(
        &mut self,
        origin: &Arc<Origin>,
        instrument: &Arc<Instrument>,
        attributes: String,
        point: NewPoint,
        now: u64,
    ) -> Result<(), &'static str> {
        if point.time < now.saturating_sub(COARSE.span) {
            return Err("the point's time is more than a day ago");
        }
        if point.time > now.saturating_add(AHEAD) {
            return Err("the point's time is more than five minutes ahead");
        }
        let Instrument { name, unit, kind, delta, .. } = &**instrument;
        let key = format!("{name}\0{unit}\0{}{delta}\0{attributes}", kind.name());
        if key.len() + instrument.description.len() > MOST_NAMES {
            return Err("the names and attributes of a series must not exceed 16 KiB");
        }
        if origin.weight > MOST_OF_ORIGIN {
            return Err("the resource and scope of a series must not exceed 64 KiB");
        }
        let known = self.known_origin(origin);
        let (number, shared) = known.unwrap_or_else(|| (self.next + 1, origin.clone()));
        let key = (number, key.into());
        if !self.series.contains_key(&key) {
            self.make_room(now)?;
            if number > self.next {
                self.next = number;
                self.bytes += shared.weight;
                self.origins.push((number, shared.clone()));
            }
            let series = StoredSeries::new(shared, instrument.clone(), attributes.into());
            self.bytes += series.bytes;
            self.series.insert(key.clone(), series);
        }
        if let Some(series) = self.series.get_mut(&key) {
            let before = series.bytes;
            let pushed = series.push(point, now);
            self.bytes = self.bytes - before + series.bytes;
            pushed?;
        }
        self.keep_bounds(now);
        Ok(())
    }

    /// The number of an origin that has series, and the one that they share.
    fn known_origin(&self, origin: &Arc<Origin>) -> Option<(u64, Arc<Origin>)> {
        let same = |known: &Arc<Origin>| Arc::ptr_eq(known, origin) || known == origin;
        self.origins.iter().rev().find(|(_, known)| same(known)).cloned()
    }

    /// Room for one more series.
    fn make_room(&mut self, now: u64) -> Result<(), &'static str> {
        const FULL: &str = "there are too many series: a new one is not kept while all others are being sent";
        if self.series.len() < self.max_series {
            return Ok(());
        }
        if now < self.idle_from {
            return Err(FULL);
        }
        let oldest = self.series.iter().min_by_key(|(_, series)| series.updated);
        let Some((key, updated)) = oldest.map(|(key, series)| (key.clone(), series.updated)) else {
            return Err(FULL);
        };
        self.idle_from = updated.saturating_add(IDLE);
        if now < self.idle_from {
            return Err(FULL);
        }
        self.remove(&key);
        self.stats.evicted_series += 1;
        Ok(())
    }

    fn remove(&mut self, key: &SeriesKey) {
        if let Some(series) = self.series.remove(key) {
            self.bytes -= series.bytes;
        }
    }

    fn keep_bounds(&mut self, now: u64) {
        let (fine, coarse) = (now.saturating_sub(FINE.span), now.saturating_sub(COARSE.span));
        if now.saturating_sub(self.swept) >= SWEEP_EVERY {
            self.swept = now;
            self.forget(fine, coarse);
        }
        // Of the points that are kept longer, measured by how long they may be, an eighth of the time goes at
        // once: so this is done seldom.
        while self.bytes > self.max_bytes {
            let all = self.series.values();
            let fine = oldest(all.clone().filter_map(|series| series.fine.front()), now);
            let coarse = oldest(all.filter_map(|series| series.coarse.front()), now);
            let (fine_age, coarse_age) = (now - fine, now - coarse);
            if fine_age < 3 * FINE.slot && coarse_age < 3 * COARSE.slot {
                return self.evict_oldest();
            }
            if fine_age * (COARSE.span / FINE.span) > coarse_age {
                self.forget(fine + fine_age / 8 + 1, 0);
            } else {
                self.forget(0, coarse + coarse_age / 8 + 1);
            }
        }
    }

    fn forget(&mut self, fine: u64, coarse: u64) {
        let before = self.series.len();
        self.series.retain(|_, series| series.forget(fine, coarse));
        self.stats.evicted_series += (before - self.series.len()) as u64;
        self.settle();
    }

    /// Too many series for the room: those that were sent longest ago go whole.
    fn evict_oldest(&mut self) {
        let mut oldest: Vec<_> = self.series.iter().map(|(key, s)| (s.updated, key.clone())).collect();
        oldest.sort_unstable();
        for (_, key) in oldest {
            if self.bytes <= self.max_bytes / 8 * 7 {
                break;
            }
            self.remove(&key);
            self.stats.evicted_series += 1;
        }
        self.settle();
    }

    /// Forgets origins without a series, and sums up what is left.
    fn settle(&mut self) {
        // One reference is its own here.
        self.origins.retain(|(_, origin)| Arc::strong_count(origin) > 1);
        let origins: usize = self.origins.iter().map(|(_, origin)| origin.weight).sum();
        self.bytes = origins + self.series.values().map(|series| series.bytes).sum::<usize>();
    }
}

/// The time of the oldest point.
fn oldest<'a>(fronts: impl Iterator<Item = &'a StoredPoint>, now: u64) -> u64 {
    fronts.map(|point| point.time).min().unwrap_or(now).min(now)
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
