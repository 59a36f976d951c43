//! Durations over time as points: each trace one, or where they are many one for those that lie together.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::ids::trace_hex;
use super::traces::StoredTrace;

/// Up to so many traces each has a point of its own.
const MOST_SINGLE: usize = 1_000;
/// Beyond, columns of time and rows of duration, a factor each: 3,000 points at most.
const COLUMNS: f64 = 150.0;
const ROWS: f64 = 20.0;

/// A point stands for `count` traces; it is the failed one among them, else the longest.
struct Point<'a> {
    trace: &'a StoredTrace,
    failed: bool,
    count: usize,
}

impl Point<'_> {
    fn rank(&self) -> (bool, u64) {
        (self.failed, duration(self.trace))
    }

    /// Trace, start, duration, whether it failed, and of how many it is one: short, for there are many.
    fn to_json(&self) -> Value {
        let Self { trace, failed, count } = self;
        json!([trace_hex(trace.id), trace.start / 1_000, duration(trace) / 1_000, failed, count])
    }
}

/// Nanoseconds.
fn duration(trace: &StoredTrace) -> u64 {
    trace.end - trace.start
}

/// The points of traces, in no order; times and durations are microseconds.
pub(super) fn points(traces: &[Arc<StoredTrace>]) -> Vec<Value> {
    let single = traces.iter().map(|trace| Point {
        trace,
        failed: trace.spans.iter().any(|kept| kept.is_error()),
        count: 1,
    });
    if traces.len() <= MOST_SINGLE {
        return single.map(|point| point.to_json()).collect();
    }
    let column = scale(traces.iter().map(|trace| trace.start as f64), COLUMNS);
    let row = scale(traces.iter().map(|trace| height(trace)), ROWS);
    let mut cells: HashMap<(u16, u16), Point<'_>> = HashMap::new();
    for point in single {
        let cell = (column(point.trace.start as f64), row(height(point.trace)));
        let Some(kept) = cells.get_mut(&cell) else {
            cells.insert(cell, point);
            continue;
        };
        let count = kept.count + 1;
        if point.rank() > kept.rank() {
            *kept = point;
        }
        kept.count = count;
    }
    cells.values().map(Point::to_json).collect()
}

/// Durations differ by powers of ten; below a microsecond nothing is told apart.
fn height(trace: &StoredTrace) -> f64 {
    (duration(trace).max(1_000) as f64).ln()
}

/// Which of so many equal parts, from the least value to the most, a value lies in.
fn scale(values: impl Iterator<Item = f64>, parts: f64) -> impl Fn(f64) -> u16 {
    let (least, most) = values.fold((f64::MAX, f64::MIN), |(a, b), value| (a.min(value), b.max(value)));
    let width = (most - least).max(f64::MIN_POSITIVE);
    move |value| ((value - least) / width * (parts - 1.0)).round() as u16
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use opentelemetry_proto::tonic::trace::v1::{Span, Status};

    use super::*;
    use crate::console::sample;
    use crate::console::traces::TraceStore;

    fn points_of(count: u64) -> Vec<Value> {
        let mut store = TraceStore::new(100_000, 1 << 30);
        for id in 1..=count {
            let code = if id == 7 { 2 } else { 0 };
            let end_time_unix_nano = sample::START + id * 1_000_000 + 1_000 * (1 + id % 97);
            let status = Some(Status { code, ..Status::default() });
            let span = Span { end_time_unix_nano, status, ..sample::span(id.into(), id, 0) };
            store.insert(&sample::origin("a"), span).unwrap();
        }
        points(&store.all())
    }

    #[test]
    fn few_traces_are_a_point_each_and_many_share_a_bounded_number_without_hiding_a_failure() {
        let few = points_of(1_000);
        assert_eq!(few.len(), 1_000);
        assert!(few.iter().all(|point| point[4] == 1));
        let many = points_of(20_000);
        assert!((500..=3_000).contains(&many.len()), "{}", many.len());
        assert_eq!(many.iter().map(|point| point[4].as_u64().unwrap()).sum::<u64>(), 20_000);
        let failed: Vec<_> = many.iter().filter(|point| point[3] == true).collect();
        assert_eq!((failed.len(), &failed[0][0]), (1, &json!(trace_hex(7))));
    }

    #[test]
    fn traces_of_one_time_and_one_duration_are_one_point() {
        let mut store = TraceStore::new(100_000, 1 << 30);
        for id in 1..=2_000 {
            store.insert(&sample::origin("a"), sample::span(id, 1, 0)).unwrap();
        }
        let points = points(&store.all());
        assert_eq!((points.len(), &points[0][4]), (1, &json!(2_000)));
    }
}
