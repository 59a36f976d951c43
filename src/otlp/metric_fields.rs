//! The messages of metrics as tables, from opentelemetry-proto 1.x.

use std::mem::size_of;

use actix_web::web::Bytes;

use super::fields::FieldType::{
    Bool, Double, Enum, Fixed64, Hex, Item, Message, SFixed64, SInt32, Text, Uint32, Uint64,
};
use super::fields::{MessageType, PAIR, RESOURCE, SCOPE, many, one};
use super::points::{
    Exemplar, ExponentialBuckets, ExponentialPoint, HistogramPoint, MetricItem, NumberPoint, SummaryPoint,
    ValueAtQuantile,
};

/// A data point of one kind, with its table.
pub(crate) trait DataPoint: prost::Message + Default {
    const TABLE: &'static MessageType;
}

impl DataPoint for NumberPoint {
    const TABLE: &'static MessageType = &NUMBER;
}
impl DataPoint for HistogramPoint {
    const TABLE: &'static MessageType = &HISTOGRAM;
}
impl DataPoint for ExponentialPoint {
    const TABLE: &'static MessageType = &EXPONENTIAL;
}
impl DataPoint for SummaryPoint {
    const TABLE: &'static MessageType = &SUMMARY;
}

/// DELTA and CUMULATIVE are what a point may have.
fn temporality(name: &str) -> Option<i32> {
    let names = ["UNSPECIFIED", "DELTA", "CUMULATIVE"];
    let own = name.strip_prefix("AGGREGATION_TEMPORALITY_")?;
    names.iter().position(|known| *known == own).and_then(|number| i32::try_from(number).ok())
}

pub(crate) static METRICS_EXPORT: MessageType =
    MessageType { size: 0, fields: &[many(1, "resourceMetrics", Message(&RESOURCE_METRICS))] };
static RESOURCE_METRICS: MessageType = MessageType {
    size: 128,
    fields: &[
        one(1, "resource", Message(&RESOURCE)),
        many(2, "scopeMetrics", Message(&SCOPE_METRICS)),
        one(3, "schemaUrl", Text),
    ],
};
static SCOPE_METRICS: MessageType = MessageType {
    size: 160,
    fields: &[one(1, "scope", Message(&SCOPE)), many(2, "metrics", Item(&METRIC)), one(3, "schemaUrl", Text)],
};
pub(crate) static METRIC: MessageType = MessageType {
    size: size_of::<MetricItem>(),
    fields: &[
        one(1, "name", Text),
        one(2, "description", Text),
        one(3, "unit", Text),
        one(5, "gauge", Message(&NUMBERS)),
        one(7, "sum", Message(&SUM)),
        one(9, "histogram", Message(&HISTOGRAMS)),
        one(10, "exponentialHistogram", Message(&EXPONENTIALS)),
        one(11, "summary", Message(&SUMMARIES)),
        many(12, "metadata", Message(&PAIR)),
    ],
};
static NUMBERS: MessageType = MessageType { size: 0, fields: &[many(1, "dataPoints", Item(&NUMBER))] };
static SUM: MessageType = MessageType {
    size: 0,
    fields: &[
        many(1, "dataPoints", Item(&NUMBER)),
        one(2, "aggregationTemporality", Enum(temporality)),
        one(3, "isMonotonic", Bool),
    ],
};
static HISTOGRAMS: MessageType = MessageType {
    size: 0,
    fields: &[many(1, "dataPoints", Item(&HISTOGRAM)), one(2, "aggregationTemporality", Enum(temporality))],
};
static EXPONENTIALS: MessageType = MessageType {
    size: 0,
    fields: &[many(1, "dataPoints", Item(&EXPONENTIAL)), one(2, "aggregationTemporality", Enum(temporality))],
};
static SUMMARIES: MessageType = MessageType { size: 0, fields: &[many(1, "dataPoints", Item(&SUMMARY))] };

/// A point waits as the bytes of the body.
const WAITING: usize = size_of::<Bytes>();

static NUMBER: MessageType = MessageType {
    size: WAITING + size_of::<NumberPoint>(),
    fields: &[
        one(2, "startTimeUnixNano", Fixed64),
        one(3, "timeUnixNano", Fixed64),
        one(4, "asDouble", Double),
        many(5, "exemplars", Message(&EXEMPLAR)),
        one(6, "asInt", SFixed64),
        many(7, "attributes", Message(&PAIR)),
        one(8, "flags", Uint32),
    ],
};
static HISTOGRAM: MessageType = MessageType {
    size: WAITING + size_of::<HistogramPoint>(),
    fields: &[
        one(2, "startTimeUnixNano", Fixed64),
        one(3, "timeUnixNano", Fixed64),
        one(4, "count", Fixed64),
        one(5, "sum", Double),
        many(6, "bucketCounts", Fixed64),
        many(7, "explicitBounds", Double),
        many(8, "exemplars", Message(&EXEMPLAR)),
        many(9, "attributes", Message(&PAIR)),
        one(10, "flags", Uint32),
        one(11, "min", Double),
        one(12, "max", Double),
    ],
};
static EXPONENTIAL: MessageType = MessageType {
    size: WAITING + size_of::<ExponentialPoint>(),
    fields: &[
        many(1, "attributes", Message(&PAIR)),
        one(2, "startTimeUnixNano", Fixed64),
        one(3, "timeUnixNano", Fixed64),
        one(4, "count", Fixed64),
        one(5, "sum", Double),
        one(6, "scale", SInt32),
        one(7, "zeroCount", Fixed64),
        one(8, "positive", Message(&BUCKETS)),
        one(9, "negative", Message(&BUCKETS)),
        one(10, "flags", Uint32),
        many(11, "exemplars", Message(&EXEMPLAR)),
        one(12, "min", Double),
        one(13, "max", Double),
        one(14, "zeroThreshold", Double),
    ],
};
static BUCKETS: MessageType = MessageType {
    size: size_of::<ExponentialBuckets>(),
    fields: &[one(1, "offset", SInt32), many(2, "bucketCounts", Uint64)],
};
static SUMMARY: MessageType = MessageType {
    size: WAITING + size_of::<SummaryPoint>(),
    fields: &[
        one(2, "startTimeUnixNano", Fixed64),
        one(3, "timeUnixNano", Fixed64),
        one(4, "count", Fixed64),
        one(5, "sum", Double),
        many(6, "quantileValues", Message(&QUANTILE)),
        many(7, "attributes", Message(&PAIR)),
        one(8, "flags", Uint32),
    ],
};
static QUANTILE: MessageType = MessageType {
    size: size_of::<ValueAtQuantile>(),
    fields: &[one(1, "quantile", Double), one(2, "value", Double)],
};
static EXEMPLAR: MessageType = MessageType {
    size: size_of::<Exemplar>(),
    fields: &[
        one(2, "timeUnixNano", Fixed64),
        one(3, "asDouble", Double),
        one(4, "spanId", Hex),
        one(5, "traceId", Hex),
        one(6, "asInt", SFixed64),
        many(7, "filteredAttributes", Message(&PAIR)),
    ],
};
