//! One series: its points by slots of time, the last point of each slot.

use std::collections::VecDeque;
use std::mem::size_of;
use std::sync::Arc;

use super::value::PointValue;
use crate::console::ids::{SpanId, TraceId};
use crate::console::origin::Origin;

const SECOND: u64 = 1_000_000_000;
/// Fine points: an hour, one in ten seconds.
pub(super) const FINE: Resolution = Resolution { slot: 10 * SECOND, span: 3_600 * SECOND };
/// Coarse points: a day, one in five minutes.
pub(super) const COARSE: Resolution = Resolution { slot: 300 * SECOND, span: 86_400 * SECOND };
/// Exemplars of a series; the newest stay.
const MOST_EXEMPLARS: usize = 64;

/// How finely points are kept and for how long, in nanoseconds.
pub(super) struct Resolution {
    pub(super) slot: u64,
    pub(super) span: u64,
}

/// The kinds of OTLP, a sum's two apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum StoredKind {
    Gauge,
    Counter,
    UpDownCounter,
    Histogram,
    ExponentialHistogram,
    Summary,
}

impl StoredKind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::UpDownCounter => "upDownCounter",
            Self::Histogram => "histogram",
            Self::ExponentialHistogram => "exponentialHistogram",
            Self::Summary => "summary",
        }
    }

    /// Whether its points count something since a start: then a fall is a new start.
    pub(super) fn grows(self) -> bool {
        !matches!(self, Self::Gauge | Self::UpDownCounter)
    }
}

/// What the series of one metric share.
#[derive(Debug, PartialEq)]
pub(super) struct Instrument {
    pub(super) name: String,
    pub(super) unit: String,
    pub(super) description: String,
    pub(super) kind: StoredKind,
    /// Whether it is sent as deltas; they are kept as their sum.
    pub(super) delta: bool,
}

/// One point, cumulative where its kind grows.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct StoredPoint {
    /// Nanoseconds since the epoch.
    pub(super) time: u64,
    /// Since when it counts; 0 where that was not said.
    pub(super) start: u64,
    /// It counts anew, or is the first.
    pub(super) fresh: bool,
    pub(super) value: PointValue,
}

impl StoredPoint {
    /// Whether a later value that counts since `start` goes on with what this one counts.
    fn goes_on(&self, start: u64, value: &PointValue) -> bool {
        !(start > self.start && self.start > 0) && value.continues(&self.value)
    }

    fn weight(&self) -> usize {
        size_of::<Self>() + self.value.weight()
    }
}

/// A measurement with the span that it was made in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct StoredExemplar {
    pub(super) time: u64,
    pub(super) value: f64,
    pub(super) trace: TraceId,
    pub(super) span: SpanId,
}

/// A point as it came in.
#[derive(Debug)]
pub(super) struct NewPoint {
    pub(super) time: u64,
    pub(super) start: u64,
    pub(super) value: PointValue,
    pub(super) exemplars: Vec<StoredExemplar>,
}

/// The points of one series.
#[derive(Clone, Debug)]
pub(super) struct StoredSeries {
    pub(super) origin: Arc<Origin>,
    pub(super) instrument: Arc<Instrument>,
    /// A JSON object.
    pub(super) attributes: Arc<str>,
    pub(super) fine: VecDeque<StoredPoint>,
    pub(super) coarse: VecDeque<StoredPoint>,
    pub(super) exemplars: VecDeque<StoredExemplar>,
    /// When its last point came in.
    pub(super) updated: u64,
    /// What it takes in memory, by estimate.
    pub(super) bytes: usize,
}

impl StoredSeries {
    pub(super) fn new(origin: Arc<Origin>, instrument: Arc<Instrument>, attributes: Arc<str>) -> Self {
        let texts = instrument.name.len() + instrument.unit.len() + instrument.description.len();
        // The attributes stand in its key as well, beside the names.
        let bytes = size_of::<Self>() + size_of::<Instrument>() + 2 * (texts + attributes.len()) + 128;
        let (fine, coarse, exemplars) = Default::default();
        Self { origin, instrument, attributes, fine, coarse, exemplars, updated: 0, bytes }
    }

    /// The newest point.
    pub(super) fn latest(&self) -> Option<&StoredPoint> {
        self.fine.back().or(self.coarse.back())
    }

    /// Adds a point, or says why not. One that was sent before changes nothing: exporters repeat an export
    /// whose answer they did not see.
    pub(super) fn push(&mut self, point: NewPoint, now: u64) -> Result<(), &'static str> {
        let last = self.latest();
        let point = match last {
            Some(last) if point.time < last.time => {
                return Err("the point is older than the series' last one");
            }
            Some(last) if point.time == last.time && self.instrument.delta => return Ok(()),
            last => {
                let stored = self.cumulative(last, &point);
                self.add_exemplars(point.exemplars);
                stored
            }
        };
        self.updated = now;
        let (before, fine, coarse) = (self.bytes, &mut self.fine, &mut self.coarse);
        let added = place(coarse, &COARSE, point.clone()) + place(fine, &FINE, point);
        self.bytes = before.saturating_add_signed(added);
        Ok(())
    }

    /// The point as it is kept: a delta added to what was counted before it.
    fn cumulative(&self, last: Option<&StoredPoint>, new: &NewPoint) -> StoredPoint {
        let Some(last) = last else {
            return StoredPoint { time: new.time, start: new.start, fresh: true, value: new.value.clone() };
        };
        if self.instrument.delta {
            let sum = last.value.plus(&new.value);
            let (fresh, start) = (sum.is_none(), if sum.is_some() { last.start } else { new.start });
            let value = sum.unwrap_or_else(|| new.value.clone());
            return StoredPoint { time: new.time, start, fresh, value };
        }
        let restarted = !last.goes_on(new.start, &new.value);
        // A correction of the newest point stays what that was.
        let fresh = self.instrument.kind.grows() && restarted || new.time == last.time && last.fresh;
        StoredPoint { time: new.time, start: new.start, fresh, value: new.value.clone() }
    }

    fn add_exemplars(&mut self, exemplars: Vec<StoredExemplar>) {
        for exemplar in exemplars {
            // Reservoirs are sent again until something takes a place in them.
            if self.exemplars.contains(&exemplar) {
                continue;
            }
            if self.exemplars.len() == MOST_EXEMPLARS {
                self.exemplars.pop_front();
            } else {
                self.bytes += size_of::<StoredExemplar>();
            }
            self.exemplars.push_back(exemplar);
        }
    }

    /// Forgets points before these times; whether any point is left.
    pub(super) fn forget(&mut self, fine: u64, coarse: u64) -> bool {
        let mut freed = 0;
        for (points, from) in [(&mut self.fine, fine), (&mut self.coarse, coarse)] {
            while let Some(old) = points.pop_front_if(|point| point.time < from) {
                freed += old.weight();
            }
        }
        let before = self.exemplars.len();
        self.exemplars.retain(|exemplar| exemplar.time >= fine);
        freed += (before - self.exemplars.len()) * size_of::<StoredExemplar>();
        self.bytes -= freed;
        !(self.fine.is_empty() && self.coarse.is_empty())
    }

    /// Its points from a time on: coarse ones as far back as there are no fine ones.
    pub(super) fn since(&self, from: u64) -> Vec<&StoredPoint> {
        let fine_from = self.fine.front().map_or(u64::MAX, |point| point.time);
        let coarse = self.coarse.iter().filter(|point| point.time < fine_from);
        coarse.chain(&self.fine).filter(|point| point.time >= from).collect()
    }

    /// The point that a later one counts from, if it does. Where a fine point follows a coarse one, what
    /// began anew between them is no longer marked on either.
    pub(super) fn base<'a>(&self, point: &StoredPoint, before: &'a StoredPoint) -> Option<&'a StoredPoint> {
        let grows = self.instrument.kind.grows();
        (!point.fresh && (!grows || before.goes_on(point.start, &point.value))).then_some(before)
    }

    /// How much came since a time, of what grows; 0 of anything else, nothing where no point came.
    pub(super) fn came_since(&self, from: u64) -> Option<f64> {
        let last = self.latest().filter(|last| last.time >= from)?;
        if !self.instrument.kind.grows() {
            return Some(0.0);
        }
        let now = last.value.counted();
        let then = self.before(from).map_or(0.0, |before| before.value.counted());
        // Less than before counts anew.
        Some(if then <= now { now - then } else { now })
    }

    /// The last point before a time, to count from.
    pub(super) fn before(&self, time: u64) -> Option<&StoredPoint> {
        let earlier = |points: &'_ VecDeque<StoredPoint>| points.iter().rposition(|point| point.time < time);
        match (earlier(&self.fine), earlier(&self.coarse)) {
            (Some(at), _) => self.fine.get(at),
            (None, Some(at)) => self.coarse.get(at),
            (None, None) => None,
        }
    }
}

/// Puts a point into its slot, in the place of the one before; one that counts anew gets a place of its own,
/// or what was counted before would be lost. How many bytes more that are.
fn place(points: &mut VecDeque<StoredPoint>, of: &Resolution, point: StoredPoint) -> isize {
    let weight = |point: &StoredPoint| isize::try_from(point.weight()).unwrap_or(isize::MAX);
    let added = weight(&point);
    match points.back_mut() {
        Some(last)
            if last.time == point.time || last.time / of.slot == point.time / of.slot && !point.fresh =>
        {
            let replaced = weight(last);
            let fresh = last.fresh || point.fresh;
            *last = StoredPoint { fresh, ..point };
            added - replaced
        }
        _ => {
            points.push_back(point);
            added
        }
    }
}
