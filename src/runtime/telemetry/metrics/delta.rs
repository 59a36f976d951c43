//! What came since the last collection, of series that count from the start of the process.

use std::collections::HashMap;

use super::collect::{OtlpMetricData, OtlpPoint, OtlpValue};
use crate::schema::OtlpKind;

/// How sums and histograms are told (`OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::runtime::telemetry) enum Temporality {
    /// Since the start.
    #[default]
    Cumulative,
    /// Since the last collection, but for sums that also go down.
    Delta,
    /// The same, but what is read off the system keeps counting from the start, so that nothing has to be
    /// remembered of it.
    LowMemory,
}

impl Temporality {
    /// Whether points of this kind are told since the last collection.
    pub(super) fn is_delta(self, kind: OtlpKind) -> bool {
        match kind {
            OtlpKind::Sum | OtlpKind::Histogram => self != Self::Cumulative,
            OtlpKind::ObservedSum => self == Self::Delta,
            OtlpKind::UpDownSum | OtlpKind::Gauge => false,
        }
    }
}

/// What each series said at the last collection: as many as the schema has.
#[derive(Debug, Default)]
pub(super) struct DeltaState(HashMap<usize, OtlpValue>);

impl DeltaState {
    /// Makes deltas of what `temporality` wants so; series without a change are left out.
    pub(super) fn advance(&mut self, temporality: Temporality, metrics: &mut Vec<OtlpMetricData>) {
        for metric in metrics.iter_mut().filter(|metric| temporality.is_delta(metric.row.kind)) {
            metric.points.retain_mut(|point| self.subtract(point));
        }
        metrics.retain(|metric| !metric.points.is_empty());
    }

    /// Whether anything came.
    fn subtract(&mut self, point: &mut OtlpPoint) -> bool {
        // These begin again with each collection.
        if let OtlpValue::Base2(histogram) = &point.value {
            return histogram.count > 0;
        }
        let before = match self.0.get_mut(&point.series) {
            Some(before) => std::mem::replace(before, point.value.clone()),
            None => {
                self.0.insert(point.series, point.value.clone());
                return !is_nothing(&point.value);
            }
        };
        match (&mut point.value, before) {
            // A number that became smaller has begun again: all of it is new.
            (OtlpValue::Integer(now), OtlpValue::Integer(before)) if *now >= before => *now -= before,
            (OtlpValue::Double(now), OtlpValue::Double(before)) if *now >= before => *now -= before,
            (
                OtlpValue::Buckets { counts, count, sum, .. },
                OtlpValue::Buckets { counts: counts_before, count: count_before, sum: sum_before, .. },
            ) if *count >= count_before => {
                *count -= count_before;
                *sum -= sum_before;
                for (now, before) in counts.iter_mut().zip(counts_before) {
                    *now = now.saturating_sub(before);
                }
            }
            _ => {}
        }
        !is_nothing(&point.value)
    }
}

fn is_nothing(value: &OtlpValue) -> bool {
    match value {
        OtlpValue::Integer(value) => *value == 0,
        OtlpValue::Double(value) => *value == 0.0,
        OtlpValue::Buckets { count, .. } => *count == 0,
        OtlpValue::Base2(_) => false,
    }
}
