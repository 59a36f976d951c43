//! Metrics as OTLP has them (opentelemetry/proto/metrics/v1/metrics.proto).

use opentelemetry::trace::TraceId;

use super::collect::{OtlpMetricData, OtlpPoint, OtlpValue};
use super::delta::Temporality;
use crate::runtime::metrics::{Base2Histogram, BucketExemplar};
use crate::runtime::telemetry::otlp::Wire;
use crate::schema::OtlpKind;

/// When the points of a collection began and when they were taken, in nanoseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct ExportWindow {
    /// The start of the process's counting.
    pub(super) start: u64,
    /// The collection before this one.
    pub(super) last: u64,
    /// This one.
    pub(super) now: u64,
}

/// AggregationTemporality.
const DELTA: u64 = 1;
const CUMULATIVE: u64 = 2;

/// Writes the fields of a `Metric`.
pub(super) fn write_metric(
    wire: &mut Wire<'_>,
    metric: &OtlpMetricData,
    temporality: Temporality,
    window: ExportWindow,
) {
    let row = metric.row;
    let delta = temporality.is_delta(row.kind);
    let started = if delta { window.last } else { window.start };
    let times = ExportWindow { start: started, ..window };
    wire.bytes(1, row.name.as_bytes());
    wire.bytes(2, metric.description.as_bytes());
    wire.bytes(3, row.unit.as_bytes());
    let first = metric.points.first().map(|point| &point.value);
    let field = match (row.kind, first) {
        (OtlpKind::Gauge, _) => 5,
        (OtlpKind::Histogram, Some(OtlpValue::Base2(_))) => 10,
        (OtlpKind::Histogram, _) => 9,
        (OtlpKind::Sum | OtlpKind::ObservedSum | OtlpKind::UpDownSum, _) => 7,
    };
    wire.message(field, |data| {
        for point in &metric.points {
            data.message(1, |wire| write_point(wire, point, row.kind, times));
        }
        if row.kind != OtlpKind::Gauge {
            data.varint(2, if delta { DELTA } else { CUMULATIVE });
        }
        if field == 7 {
            data.varint(3, u64::from(row.kind != OtlpKind::UpDownSum));
        }
    });
}

fn write_point(wire: &mut Wire<'_>, point: &OtlpPoint, kind: OtlpKind, window: ExportWindow) {
    // A gauge has no beginning.
    let start = if kind == OtlpKind::Gauge { 0 } else { window.start };
    wire.fixed64(2, start);
    wire.fixed64(3, window.now);
    match &point.value {
        OtlpValue::Integer(value) => {
            wire.present_fixed64(6, value.cast_unsigned());
            wire.attributes(7, &point.attributes, None);
        }
        OtlpValue::Double(value) => {
            wire.present_fixed64(4, value.to_bits());
            wire.attributes(7, &point.attributes, None);
        }
        OtlpValue::Buckets { bounds, counts, count, sum } => {
            wire.attributes(9, &point.attributes, None);
            wire.fixed64(4, *count);
            wire.present_fixed64(5, sum.to_bits());
            wire.packed_fixed64(6, counts.iter().copied());
            wire.packed_fixed64(7, bounds.iter().map(|bound| bound.to_bits()));
            write_exemplars(wire, 8, &point.exemplars);
        }
        OtlpValue::Base2(histogram) => {
            wire.attributes(1, &point.attributes, None);
            write_base2(wire, histogram);
            write_exemplars(wire, 11, &point.exemplars);
        }
    }
}

fn write_base2(wire: &mut Wire<'_>, histogram: &Base2Histogram) {
    wire.fixed64(4, histogram.count);
    wire.present_fixed64(5, histogram.sum.to_bits());
    wire.sint32(6, histogram.scale);
    wire.fixed64(7, histogram.zero);
    wire.message(8, |buckets| {
        buckets.sint32(1, histogram.offset);
        buckets.packed_varint(2, histogram.counts.iter().copied());
    });
    if histogram.count > 0 {
        wire.present_fixed64(12, histogram.range.0.to_bits());
        wire.present_fixed64(13, histogram.range.1.to_bits());
    }
}

fn write_exemplars(wire: &mut Wire<'_>, field: u64, exemplars: &[BucketExemplar]) {
    for exemplar in exemplars {
        wire.message(field, |wire| {
            wire.fixed64(2, exemplar.time);
            wire.present_fixed64(3, exemplar.value.to_bits());
            if exemplar.trace != TraceId::INVALID {
                wire.bytes(4, &exemplar.span.to_bytes());
                wire.bytes(5, &exemplar.trace.to_bytes());
            }
        });
    }
}
