//! What the store keeps, by a clock of its own.
#![allow(clippy::unwrap_used)]

use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use serde_json::json;

use super::*;
use crate::console::metrics::series::StoredKind;
use crate::console::metrics::value::{Number, PointValue};
use crate::console::origin::SchemaUrls;
use crate::console::sample;

const SECOND: u64 = 1_000_000_000;

/// A store with its own clock.
struct Timed {
    store: MetricStore,
    now: u64,
}

impl Timed {
    fn new(max_series: usize, max_bytes: usize) -> Self {
        Self { store: MetricStore::bounded(max_series, max_bytes), now: 1_700_000_000 * SECOND }
    }

    fn push(&mut self, series: usize, value: i64) -> Result<(), &'static str> {
        self.push_of(&sample::origin("shop"), self.now, series, value)
    }

    fn push_of(
        &mut self,
        origin: &Arc<Origin>,
        time: u64,
        series: usize,
        value: i64,
    ) -> Result<(), &'static str> {
        let instrument = Instrument {
            name: "m".into(),
            unit: String::new(),
            description: String::new(),
            kind: StoredKind::Counter,
            delta: false,
        };
        let point =
            NewPoint { time, start: 1, value: PointValue::Number(Number::Int(value)), exemplars: Vec::new() };
        let attributes = json!({"n": series}).to_string();
        self.store.push(origin, &Arc::new(instrument), attributes, point, self.now)
    }

    fn all(&self) -> Vec<StoredSeries> {
        self.store.find(0, usize::MAX, usize::MAX, |_| true).1
    }

    /// Fine and coarse points of all series.
    fn points(&self) -> (usize, usize) {
        let all = self.all();
        (all.iter().map(|s| s.fine.len()).sum(), all.iter().map(|s| s.coarse.len()).sum())
    }
}

#[test]
fn an_hour_of_fine_points_and_a_day_of_coarse_ones_are_kept_and_each_is_the_last_of_its_slot() {
    let mut timed = Timed::new(10, 1 << 20);
    for value in 0..(30 * 3600) {
        timed.now += SECOND;
        timed.push(0, value).unwrap();
    }
    let (fine, coarse) = timed.points();
    assert!((359..=362).contains(&fine) && (287..=290).contains(&coarse), "{fine} {coarse}");
    let series = timed.all().remove(0);
    assert_eq!(series.latest().unwrap().value, PointValue::Number(Number::Int(30 * 3600 - 1)));
    let times: Vec<_> = series.since(0).iter().map(|point| point.time).collect();
    assert!(times.is_sorted() && times[0] < timed.now - 22 * 3600 * SECOND, "{}", times[0]);
    assert_eq!(timed.store.bytes, series.bytes + sample::origin("shop").weight);
}

#[test]
fn memory_is_bounded_by_a_shorter_history_for_all_and_not_by_forgetting_some() {
    let mut timed = Timed::new(1_000, 200_000);
    for step in 0..3_000 {
        timed.now += 10 * SECOND;
        for series in 0..20 {
            timed.push(series, step).unwrap();
            assert!(timed.store.bytes <= 200_000, "{}", timed.store.bytes);
        }
    }
    let all = timed.all();
    assert_eq!((all.len(), timed.store.stats.evicted_series), (20, 0));
    assert!(
        all.iter().all(|series| series.fine.len() > 20 && series.coarse.len() > 10),
        "{:?}",
        timed.points()
    );
}

#[test]
fn a_new_series_takes_the_place_of_an_idle_one_and_never_of_one_that_is_being_sent() {
    let mut timed = Timed::new(2, 1 << 20);
    timed.push(0, 1).unwrap();
    timed.now += 200 * SECOND;
    timed.push(1, 1).unwrap();
    assert!(timed.push(2, 1).unwrap_err().contains("too many series"));
    timed.now += 101 * SECOND;
    timed.push(2, 1).unwrap();
    assert_eq!((timed.store.len(), timed.store.stats.evicted_series), (2, 1));
    timed.push(1, 2).unwrap();
    assert!(timed.push(0, 1).is_err());
    // A day later nothing of them is left but what comes in.
    timed.now += 90_000 * SECOND;
    timed.push(7, 1).unwrap();
    timed.now += 20 * SECOND;
    timed.push(7, 2).unwrap();
    assert_eq!(timed.store.len(), 1);
}

#[test]
fn origins_of_refused_series_are_not_kept_and_large_ones_are_refused() {
    let mut timed = Timed::new(1, 1 << 20);
    timed.push(0, 1).unwrap();
    let (bytes, now) = (timed.store.bytes, timed.now);
    for n in 0..100 {
        assert!(timed.push_of(&sample::origin(&format!("other {n}")), now, 0, 1).is_err());
    }
    assert_eq!((timed.store.bytes, timed.store.services().len()), (bytes, 1));
    let mut timed = Timed::new(10, 1 << 20);
    let scope = InstrumentationScope { name: "x".repeat(MOST_OF_ORIGIN), ..InstrumentationScope::default() };
    let large = Origin::new(sample::resource("shop").into(), scope, SchemaUrls::default());
    assert!(timed.push_of(&large.into(), timed.now, 0, 1).unwrap_err().contains("64 KiB"));
    assert_eq!((timed.store.bytes, timed.store.len()), (0, 0));
}

#[test]
fn a_point_far_ahead_of_the_clock_is_refused_so_that_right_ones_are_still_taken() {
    let mut timed = Timed::new(10, 1 << 20);
    let (origin, now) = (sample::origin("shop"), timed.now);
    assert!(timed.push_of(&origin, now + 301 * SECOND, 0, 1).unwrap_err().contains("ahead"));
    timed.push_of(&origin, now, 0, 1).unwrap();
    timed.push_of(&origin, now + 299 * SECOND, 0, 2).unwrap();
    assert!(timed.push_of(&origin, now - 86_401 * SECOND, 1, 1).unwrap_err().contains("a day ago"));
    timed.push_of(&origin, now - 86_399 * SECOND, 1, 1).unwrap();
}

#[test]
fn an_answer_has_the_busiest_series_and_the_first_one_however_many_points_it_has() {
    let mut timed = Timed::new(10, 1 << 20);
    let began = timed.now;
    for (series, count) in [(1, 5), (0, 9), (2, 7), (3, 1)] {
        timed.now += 20 * SECOND;
        timed.push(series, count).unwrap();
    }
    // Two points each, a fine and a coarse one.
    let found_since = |since, limit, points| {
        let (matched, chosen) =
            timed.store.find(since, limit, points, |series| &*series.attributes != "{\"n\":3}");
        (matched, chosen.iter().map(|series| series.attributes.to_string()).collect::<Vec<_>>())
    };
    let found = |limit, points| found_since(0, limit, points);
    let names = |of: &[usize]| of.iter().map(|n| json!({"n": n}).to_string()).collect::<Vec<_>>();
    assert_eq!(found(9, 100), (3, names(&[0, 2, 1])));
    assert_eq!(found(9, 4), (3, names(&[0, 2])));
    assert_eq!(found(1, 100), (3, names(&[0])));
    assert_eq!(found(9, 0), (3, names(&[0])));
    // The one without a point since then is the last.
    assert_eq!(found_since(began + 50 * SECOND, 9, 100), (3, names(&[2, 0, 1])));
}
