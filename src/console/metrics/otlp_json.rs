//! Series as OTLP JSON: a message for each, with its points and exemplars as they are kept.

use serde_json::{Value, json};

use super::exponential::{Buckets, Exponential};
use super::series::{StoredExemplar, StoredKind, StoredPoint, StoredSeries};
use super::value::{Counted, Histogram, Number, PointValue};
use crate::console::attributes::double;
use crate::console::ids::{span_hex, trace_hex};
use crate::console::log_json::pairs;
use crate::console::otlp_json;
use crate::console::state::Console;

/// What is counted is kept as a sum, also where it came as deltas.
const CUMULATIVE: i32 = 2;

impl Console {
    /// Every series as it is now, a message each.
    pub(in crate::console) fn resource_metrics(&self) -> impl Iterator<Item = String> + use<> {
        let (_, series) = self.metrics().find(0, usize::MAX, usize::MAX, |_| true);
        series.into_iter().map(|series| message(&series).to_string())
    }
}

fn message(series: &StoredSeries) -> Value {
    let instrument = &series.instrument;
    let attributes = serde_json::from_str::<serde_json::Map<_, _>>(&series.attributes).unwrap_or_default();
    let attributes = Value::Array(pairs(&attributes));
    let kept = series.since(0);
    let mut points: Vec<_> = kept.iter().map(|kept| point(kept, &attributes)).collect();
    for exemplar in &series.exemplars {
        if let Some(point) = points.get_mut(place(exemplar, &kept)) {
            match point["exemplars"].as_array_mut() {
                Some(exemplars) => exemplars.push(exemplar_json(exemplar)),
                None => point["exemplars"] = json!([exemplar_json(exemplar)]),
            }
        }
    }
    let kind = instrument.kind;
    let data = match kind {
        StoredKind::Gauge | StoredKind::Summary => json!({"dataPoints": points}),
        StoredKind::Histogram | StoredKind::ExponentialHistogram => {
            json!({"dataPoints": points, "aggregationTemporality": CUMULATIVE})
        }
        StoredKind::Counter | StoredKind::UpDownCounter => json!({"dataPoints": points,
            "aggregationTemporality": CUMULATIVE, "isMonotonic": kind == StoredKind::Counter}),
    };
    let field = match kind {
        StoredKind::Counter | StoredKind::UpDownCounter => "sum",
        other => other.name(),
    };
    let metric = json!({"name": instrument.name, "unit": instrument.unit, "description": instrument.description, field: data});
    json!({"resourceMetrics": [otlp_json::group(&series.origin, "scopeMetrics", "metrics", vec![metric])]})
}

/// Which of the points an exemplar is of: the first that is not before it, or else the last.
fn place(exemplar: &StoredExemplar, points: &[&StoredPoint]) -> usize {
    points.partition_point(|point| point.time < exemplar.time).min(points.len().saturating_sub(1))
}

fn exemplar_json(of: &StoredExemplar) -> Value {
    let mut exemplar =
        json!({"timeUnixNano": whole(of.time), "asDouble": double(of.value), "traceId": trace_hex(of.trace)});
    if of.span != 0 {
        exemplar["spanId"] = json!(span_hex(of.span));
    }
    exemplar
}

/// A 64-bit number is a text.
fn whole(number: impl ToString) -> Value {
    json!(number.to_string())
}

fn point(kept: &StoredPoint, attributes: &Value) -> Value {
    let mut point = match &kept.value {
        PointValue::Number(Number::Int(number)) => json!({"asInt": whole(number)}),
        PointValue::Number(Number::Double(number)) => json!({"asDouble": double(*number)}),
        PointValue::Histogram(of) => histogram(of),
        PointValue::Exponential(of) => exponential(of),
        PointValue::Summary(of) => {
            let quantiles = of
                .quantiles
                .iter()
                .map(|(share, value)| json!({"quantile": double(*share), "value": double(*value)}));
            json!({"count": whole(of.count), "sum": double(of.sum), "quantileValues": quantiles.collect::<Vec<_>>()})
        }
    };
    point["timeUnixNano"] = whole(kept.time);
    if kept.start > 0 {
        point["startTimeUnixNano"] = whole(kept.start);
    }
    point["attributes"] = attributes.clone();
    point
}

fn counted(all: &Counted) -> Value {
    let mut point = json!({"count": whole(all.count)});
    for (name, value) in [("sum", all.sum), ("min", all.min), ("max", all.max)] {
        if let Some(value) = value {
            point[name] = double(value);
        }
    }
    point
}

fn histogram(of: &Histogram) -> Value {
    let mut point = counted(&of.all);
    point["bucketCounts"] = of.counts.iter().map(whole).collect();
    point["explicitBounds"] = of.bounds.iter().map(|bound| double(*bound)).collect();
    point
}

fn exponential(of: &Exponential) -> Value {
    let buckets = |of: &Buckets| json!({"offset": of.offset, "bucketCounts": of.counts.iter().map(whole).collect::<Value>()});
    let mut point = counted(&of.all);
    point["scale"] = json!(of.scale);
    point["zeroCount"] = whole(of.zero);
    point["zeroThreshold"] = double(of.zero_threshold);
    point["positive"] = buckets(&of.positive);
    point["negative"] = buckets(&of.negative);
    point
}
