//! `/api/metrics`: which metrics there are, and the points of one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::dots::exemplar_json;
use super::exponential::{Buckets, Exponential};
use super::series::{Instrument, StoredKind, StoredPoint, StoredSeries};
use super::value::{Counted, PointValue};
use crate::console::attributes::{self, double};
use crate::console::jaeger;
use crate::console::origin::Origin;
use crate::console::params::{Pairs, Params, now};
use crate::console::state::Console;

/// Metrics in one list.
const MOST_METRICS: usize = 2_000;
/// Series in one answer, and their points together: an answer stays within some MiB.
const MOST_SERIES: usize = 200;
const MOST_POINTS: usize = 20_000;
/// Names of attributes that a list shows of one metric.
const MOST_NAMES: usize = 50;
/// What is answered where no time is asked for, in nanoseconds.
const LATELY: u64 = 900 * 1_000_000_000;
const PERCENTILES: [(&str, f64); 3] = [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)];

/// `GET /api/metrics?service=&text=&limit=`: `{"metrics":[…],"matched":N}`, sorted by name and service.
pub(in crate::console) async fn list(console: web::Data<Console>, pairs: Pairs) -> HttpResponse {
    let params = Params(&pairs);
    let limit = match params.limit("limit", 500, MOST_METRICS) {
        Ok(limit) => limit,
        Err(why) => return jaeger::error(StatusCode::BAD_REQUEST, &why),
    };
    let words = words(&params);
    let mut found: BTreeMap<(String, String, &str, String), MetricEntry> = BTreeMap::new();
    // Searched without the lock.
    let mut all = Vec::new();
    console.metrics().each(|series| all.push(ListedSeries::of(series)));
    for series in all.iter().filter(|series| is_of(&series.origin, &params) && series.mentions(&words)) {
        let (instrument, service) = (&series.instrument, series.origin.service.clone());
        let key = (instrument.name.clone(), service, instrument.kind.name(), instrument.unit.clone());
        found.entry(key).or_default().add(series);
    }
    let metrics: Vec<_> = found
        .iter()
        .take(limit)
        .map(|((name, service, kind, unit), entry)| {
            json!({"name": name, "service": service, "kind": kind, "unit": unit,
                "description": entry.description, "series": entry.series, "attributes": entry.attributes})
        })
        .collect();
    HttpResponse::Ok().json(json!({"metrics": metrics, "matched": found.len()}))
}

/// What is searched for, in lower case.
fn words(params: &Params<'_>) -> Vec<String> {
    params.get("text").unwrap_or("").split_whitespace().map(str::to_lowercase).collect()
}

/// One metric of one service in the list.
#[derive(Default)]
struct MetricEntry {
    description: String,
    series: usize,
    attributes: BTreeSet<String>,
}

impl MetricEntry {
    fn add(&mut self, series: &ListedSeries) {
        self.description.clone_from(&series.instrument.description);
        self.series += 1;
        let own: Map<String, Value> = serde_json::from_str(&series.attributes).unwrap_or_default();
        for name in own.into_iter().map(|(name, _)| name) {
            if self.attributes.len() < MOST_NAMES {
                self.attributes.insert(name);
            }
        }
    }
}

/// What a list reads of a series: its names, shared with it.
struct ListedSeries {
    origin: Arc<Origin>,
    instrument: Arc<Instrument>,
    attributes: Arc<str>,
}

impl ListedSeries {
    fn of(series: &StoredSeries) -> Self {
        let StoredSeries { origin, instrument, attributes, .. } = series;
        Self { origin: origin.clone(), instrument: instrument.clone(), attributes: attributes.clone() }
    }

    fn mentions(&self, words: &[String]) -> bool {
        let instrument = &self.instrument;
        let texts = [&instrument.name, &instrument.description, &self.origin.service, &*self.attributes];
        let has = |word: &String| texts.iter().any(|text| text.to_lowercase().contains(word));
        words.iter().all(|word| has(word) || self.has_attribute(word))
    }

    /// Whether a word is `key=value`, each a part of an attribute's.
    fn has_attribute(&self, word: &str) -> bool {
        let Some((key, value)) = word.split_once('=') else { return false };
        let own: Map<String, Value> = serde_json::from_str(&self.attributes).unwrap_or_default();
        own.iter().any(|(name, said)| {
            let said = said.as_str().map_or_else(|| said.to_string(), str::to_owned);
            name.to_lowercase().contains(key) && said.to_lowercase().contains(value)
        })
    }
}

fn is_of(origin: &Origin, params: &Params<'_>) -> bool {
    params.get("service").is_none_or(|name| origin.service == name)
}

/// `GET /api/metrics/{name}?service=&text=&since=&limit=`: `{"name":…,"series":[…],"matched":N}`, the busiest first, those
/// without a point last. `since` is a duration back from now or a time (RFC 3339).
pub(in crate::console) async fn metric(
    console: web::Data<Console>,
    name: web::Path<String>,
    pairs: Pairs,
) -> HttpResponse {
    let params = Params(&pairs);
    let asked = since(&params, now()).and_then(|since| Ok((since, params.limit("limit", 50, MOST_SERIES)?)));
    let (since, limit) = match asked {
        Ok(asked) => asked,
        Err(why) => return jaeger::error(StatusCode::BAD_REQUEST, &why),
    };
    let words = words(&params);
    let of = |series: &StoredSeries| series.instrument.name == *name && is_of(&series.origin, &params);
    let wanted = |series: &StoredSeries| of(series) && ListedSeries::of(series).mentions(&words);
    let (matched, chosen) = console.metrics().find(since, limit, MOST_POINTS, wanted);
    if matched == 0 && (words.is_empty() || console.metrics().find(since, 0, 0, of).0 == 0) {
        return jaeger::error(StatusCode::NOT_FOUND, "metric not found");
    }
    // Rendered without the lock.
    let series: Vec<_> = chosen.iter().map(|series| series_json(&console, series, since)).collect();
    HttpResponse::Ok().json(json!({"name": *name, "series": series, "matched": matched,
        "since": since / 1_000}))
}

/// Nanoseconds since the epoch.
pub(super) fn since(params: &Params<'_>, now: u64) -> Result<u64, String> {
    Ok(params.instant("since", now)?.unwrap_or(now.saturating_sub(LATELY)))
}

fn series_json(console: &Console, series: &StoredSeries, since: u64) -> Value {
    let (instrument, origin) = (&series.instrument, &series.origin);
    let points = series.since(since);
    // The first series is shown however many it has.
    let points = &points[points.len().saturating_sub(MOST_POINTS)..];
    let mut before = points.first().and_then(|first| series.before(first.time));
    let mut list = Vec::with_capacity(points.len());
    for point in points {
        list.push(point_json(series, point, before));
        before = Some(point);
    }
    let exemplars = series.exemplars.iter().filter(|exemplar| exemplar.time >= since);
    let exemplars: Vec<_> = exemplars.map(|exemplar| exemplar_json(exemplar, console)).collect();
    let mut resource = attributes::object(&origin.resource.attributes);
    resource.remove("service.name");
    json!({
        "service": origin.service, "resource": resource, "scope": origin.scope.name,
        "unit": instrument.unit, "kind": instrument.kind.name(), "description": instrument.description,
        "temporality": temporality(instrument),
        "attributes": RawValue::from_string(series.attributes.to_string()).ok(),
        "points": list, "latest": series.latest().map(|point| latest_json(&point.value)), "exemplars": exemplars,
    })
}

/// How points add up; those of a gauge and of a summary do not.
fn temporality(instrument: &Instrument) -> Option<&'static str> {
    match instrument.kind {
        StoredKind::Gauge | StoredKind::Summary => None,
        _ => Some(if instrument.delta { "delta" } else { "cumulative" }),
    }
}

/// What a chart shows of a point: what it says, and what that is since the point before.
fn point_json(series: &StoredSeries, point: &StoredPoint, before: Option<&StoredPoint>) -> Value {
    // What counts anew has nothing before it.
    let before = before.and_then(|before| series.base(point, before));
    let mut fields = Map::new();
    fields.insert("time".into(), json!(point.time / 1_000));
    if point.fresh && series.instrument.kind.grows() {
        fields.insert("fresh".into(), json!(true));
    }
    match &point.value {
        PointValue::Number(number) => _ = fields.insert("value".into(), number.json()),
        PointValue::Histogram(histogram) => counted(&mut fields, &histogram.all),
        PointValue::Exponential(histogram) => counted(&mut fields, &histogram.all),
        PointValue::Summary(summary) => {
            fields.insert("count".into(), json!(summary.count));
            fields.insert("sum".into(), double(summary.sum));
        }
    }
    let from = before.map_or(point.start, |before| before.time);
    if series.instrument.kind.grows() && from > 0 && from < point.time {
        let more = point.value.counted() - before.map_or(0.0, |before| before.value.counted());
        let seconds = (point.time - from) as f64 / 1e9;
        fields.insert("rate".into(), double(more.max(0.0) / seconds));
    }
    for (name, share) in PERCENTILES {
        if let Some(bound) = point.value.percentile(before.map(|before| &before.value), share) {
            fields.insert(name.into(), bound.json());
        }
    }
    Value::Object(fields)
}

fn counted(fields: &mut Map<String, Value>, all: &Counted) {
    fields.insert("count".into(), json!(all.count));
    for (name, value) in [("sum", all.sum), ("min", all.min), ("max", all.max)] {
        if let Some(value) = value {
            fields.insert(name.into(), double(value));
        }
    }
}

/// All that the last point says.
fn latest_json(value: &PointValue) -> Value {
    match value {
        PointValue::Number(number) => json!({"value": number.json()}),
        PointValue::Histogram(histogram) => {
            let mut fields = Map::new();
            counted(&mut fields, &histogram.all);
            let bounds: Vec<_> = histogram.bounds.iter().map(|bound| double(*bound)).collect();
            fields.insert("bounds".into(), Value::Array(bounds));
            fields.insert("counts".into(), json!(histogram.counts));
            Value::Object(fields)
        }
        PointValue::Exponential(histogram) => exponential_json(histogram),
        PointValue::Summary(summary) => {
            let quantile = |(share, value): &(f64, f64)| json!({"quantile": share, "value": double(*value)});
            let quantiles: Vec<_> = summary.quantiles.iter().map(quantile).collect();
            json!({"count": summary.count, "sum": double(summary.sum), "quantiles": quantiles})
        }
    }
}

fn exponential_json(histogram: &Exponential) -> Value {
    let buckets = |buckets: &Buckets| json!({"offset": buckets.offset, "counts": buckets.counts});
    let mut fields = Map::new();
    counted(&mut fields, &histogram.all);
    fields.insert("scale".into(), json!(histogram.scale));
    fields.insert("zeroCount".into(), json!(histogram.zero));
    fields.insert("zeroThreshold".into(), double(histogram.zero_threshold));
    fields.insert("positive".into(), buckets(&histogram.positive));
    fields.insert("negative".into(), buckets(&histogram.negative));
    Value::Object(fields)
}
