//! From an export into the store.

use std::sync::Arc;

use actix_web::web::Bytes;
use serde_json::Value;

use super::read::{PointParts, ReadPoint};
use super::series::{Instrument, NewPoint, StoredExemplar, StoredKind};
use crate::console::attributes;
use crate::console::export::{OtlpExport, each_point};
use crate::console::ids;
use crate::console::origin::Origin;
use crate::console::params::now;
use crate::console::state::Console;
use crate::otlp::RefusedItems;
use crate::otlp::points::{
    DataPoints, Exemplar, ExemplarValue, ExponentialPoint, ExportMetricsAnswer, HistogramPoint, MetricData,
    MetricItem, NumberPoint, PartialMetrics, SummaryPoint,
};

const DELTA: i32 = 1;
const CUMULATIVE: i32 = 2;

impl Console {
    /// Data points of an OTLP export; what is refused is counted in the answer, the rest is kept.
    pub(in crate::console) fn take_metrics(&self, export: OtlpExport) -> ExportMetricsAnswer {
        let received = now();
        let mut kept = 0;
        let refused = export.each_of(|origin, item: MetricItem, refused| {
            kept += self.take_metric(origin, item, received, refused);
        });
        let mut store = self.metrics();
        store.stats.received += kept + refused.count();
        store.stats.rejected += refused.count();
        drop(store);
        self.metrics_changed();
        let partial_success = refused.partial().map(|(rejected_data_points, error_message)| PartialMetrics {
            rejected_data_points,
            error_message,
        });
        ExportMetricsAnswer { partial_success }
    }

    /// One metric; how many of its points were taken.
    fn take_metric(
        &self,
        origin: &Arc<Origin>,
        item: MetricItem,
        received: u64,
        refused: &mut RefusedItems,
    ) -> u64 {
        let (instrument, points) = match instrument(item) {
            Ok(read) => read,
            Err((why, points)) => {
                refused.note_all(why, points as u64);
                return 0;
            }
        };
        let (count, before) = (points.len() as u64, refused.count());
        let incoming = IncomingPoints { console: self, origin, instrument: Arc::new(instrument), received };
        match incoming.instrument.kind {
            StoredKind::Histogram => incoming.take::<HistogramPoint>(points, refused),
            StoredKind::ExponentialHistogram => incoming.take::<ExponentialPoint>(points, refused),
            StoredKind::Summary => incoming.take::<SummaryPoint>(points, refused),
            _ => incoming.take::<NumberPoint>(points, refused),
        }
        count - (refused.count() - before)
    }
}

/// What a metric says of all its points; or why none is taken, and how many that are.
fn instrument(item: MetricItem) -> Result<(Instrument, Vec<Bytes>), (&'static str, usize)> {
    let MetricItem { name, description, unit, data } = item;
    let (kind, points) = match data {
        None => return Err(("a metric must have data", 1)),
        Some(MetricData::Gauge(points)) => (StoredKind::Gauge, points),
        Some(MetricData::Sum(points)) if points.monotonic => (StoredKind::Counter, points),
        Some(MetricData::Sum(points)) => (StoredKind::UpDownCounter, points),
        Some(MetricData::Histogram(points)) => (StoredKind::Histogram, points),
        Some(MetricData::Exponential(points)) => (StoredKind::ExponentialHistogram, points),
        Some(MetricData::Summary(points)) => (StoredKind::Summary, points),
    };
    let DataPoints { points, temporality, .. } = points;
    let delta = match kind {
        _ if name.is_empty() => return Err(("a metric must have a name", points.len())),
        StoredKind::Gauge | StoredKind::Summary => false,
        _ if ![DELTA, CUMULATIVE].contains(&temporality) => {
            return Err(("the temporality must be delta or cumulative", points.len()));
        }
        _ => temporality == DELTA,
    };
    Ok((Instrument { name, unit, description, kind, delta }, points))
}

/// Where the points of one metric go.
struct IncomingPoints<'a> {
    console: &'a Console,
    origin: &'a Arc<Origin>,
    instrument: Arc<Instrument>,
    received: u64,
}

impl IncomingPoints<'_> {
    /// They are read without the store's lock.
    fn take<P: ReadPoint>(&self, points: Vec<Bytes>, refused: &mut RefusedItems) {
        each_point(points, refused, |point: P| {
            let PointParts { time, start, attributes, exemplars, value } = point.parts()?;
            let Some(value) = value else { return Ok(()) };
            let time = if time == 0 { self.received } else { time };
            let exemplars = exemplars.iter().filter_map(|one| exemplar(one, time)).collect();
            let attributes = Value::Object(attributes::object(&attributes)).to_string();
            let point = NewPoint { time, start, value, exemplars };
            self.console.metrics().push(self.origin, &self.instrument, attributes, point, self.received)
        });
    }
}

/// One that leads to a trace; without a time it has that of its point.
fn exemplar(exemplar: &Exemplar, time: u64) -> Option<StoredExemplar> {
    let value = match exemplar.value? {
        ExemplarValue::Double(value) => value,
        ExemplarValue::Int(value) => value as f64,
    };
    let trace = ids::trace_id(&exemplar.trace_id)?;
    Some(StoredExemplar {
        time: if exemplar.time == 0 { time } else { exemplar.time },
        value,
        trace,
        span: ids::span_id(&exemplar.span_id).unwrap_or(0),
    })
}
