//! Exports of metrics as anyone may send them, and what the API says of them.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use actix_web::test::{TestRequest, call_service, init_service, read_body_json};
use actix_web::{App, web};
use serde_json::{Value, json};

use super::series::{Instrument, NewPoint, StoredKind};
use super::value::{Counted, Histogram, Number, PointValue};
use crate::console::export::{METRICS, OtlpExport};
use crate::console::params::now;
use crate::console::state::Console;
use crate::console::{page, sample};
use crate::otlp::points::ExportMetricsAnswer;
use crate::runtime::Shutdown;

const SECOND: u64 = 1_000_000_000;

/// An export in JSON of one service.
fn export(service: &str, metrics: &Value) -> String {
    let service = json!([{"key": "service.name", "value": {"stringValue": service}}]);
    json!({"resourceMetrics": [{"resource": {"attributes": service}, "scopeMetrics": [{"metrics": metrics}]}]})
        .to_string()
}

fn send(console: &Console, metrics: &Value) -> ExportMetricsAnswer {
    send_of(console, "shop", metrics)
}

pub(super) fn send_of(console: &Console, service: &str, metrics: &Value) -> ExportMetricsAnswer {
    let export = OtlpExport::read(&METRICS, export(service, metrics).into(), true).unwrap();
    console.take_metrics(export)
}

pub(super) async fn get(console: &web::Data<Console>, path: &str) -> (u16, Value) {
    let shutdown = web::Data::new(Shutdown::new(std::time::Duration::ZERO));
    let app = App::new().app_data(console.clone()).app_data(shutdown).configure(page::routes);
    let answer = call_service(&init_service(app).await, TestRequest::with_uri(path).to_request()).await;
    (answer.status().as_u16(), read_body_json(answer).await)
}

/// The one series of a metric.
async fn series(console: &web::Data<Console>, name: &str) -> Value {
    let (status, answer) = get(console, &format!("/api/metrics/{name}?since=20h")).await;
    assert_eq!((status, answer["matched"].as_u64()), (200, Some(1)), "{answer}");
    answer["series"][0].clone()
}

/// Whole minutes ago, in nanoseconds.
fn ago(minutes: u64) -> u64 {
    now() / (60 * SECOND) * 60 * SECOND - minutes * 60 * SECOND
}

fn sum(start: u64, time: u64, value: &Value, delta: bool) -> Value {
    let point =
        json!({"startTimeUnixNano": start.to_string(), "timeUnixNano": time.to_string(), "asInt": value});
    let temporality =
        if delta { "AGGREGATION_TEMPORALITY_DELTA" } else { "AGGREGATION_TEMPORALITY_CUMULATIVE" };
    json!([{"name": "sold", "unit": "{book}", "sum":
        {"dataPoints": [point], "aggregationTemporality": temporality, "isMonotonic": true}}])
}

#[actix_web::test]
async fn deltas_are_added_up_where_they_arrive_and_one_sent_again_counts_once() {
    let console = sample::console();
    for (from, to, value) in [(9, 8, "6"), (8, 7, "3"), (8, 7, "3"), (7, 6, "0")] {
        let answer = send(&console, &sum(ago(from), ago(to), &json!(value), true));
        assert_eq!(answer.partial_success, None);
    }
    let found = series(&console, "sold").await;
    assert_eq!((&found["temporality"], &found["kind"]), (&json!("delta"), &json!("counter")));
    let values: Vec<_> = found["points"].as_array().unwrap().iter().map(|point| &point["value"]).collect();
    assert_eq!(values, [6, 9, 9]);
    let rates: Vec<_> = found["points"].as_array().unwrap().iter().map(|point| &point["rate"]).collect();
    assert_eq!(rates, [0.1, 0.05, 0.0]);
}

#[actix_web::test]
async fn a_counter_that_begins_anew_is_seen_by_its_start_even_where_it_is_larger_than_before() {
    let console = sample::console();
    // 2^62 + 1 has no double of its own.
    for (start, time, value) in [(9, 8, json!("3")), (9, 7, json!("4")), (7, 6, json!("4611686018427387905"))]
    {
        send(&console, &sum(ago(start), ago(time), &value, false));
    }
    let points = series(&console, "sold").await["points"].clone();
    assert_eq!(
        [&points[0]["fresh"], &points[1]["fresh"], &points[2]["fresh"]],
        [&json!(true), &Value::Null, &json!(true)]
    );
    assert_eq!(points[2]["value"], json!(4_611_686_018_427_387_905_i64));
    assert_eq!(points[1]["rate"], json!(1.0 / 60.0));
    // Without start times a fall tells.
    for (time, value) in [(5, "9"), (4, "2")] {
        let mut metrics = sum(0, ago(time), &json!(value), false);
        metrics[0]["name"] = json!("untimed");
        send(&console, &metrics);
    }
    let points = series(&console, "untimed").await["points"].clone();
    assert_eq!((&points[1]["fresh"], &points[1]["rate"]), (&json!(true), &Value::Null));
}

#[actix_web::test]
async fn a_bad_point_or_metric_costs_only_itself_and_is_told_with_its_reason() {
    let console = sample::console();
    let time = ago(1).to_string();
    let histogram = |counts: Value, bounds: Value, count: u64| json!({"timeUnixNano": time, "count": count, "bucketCounts": counts, "explicitBounds": bounds});
    let answer = send(
        &console,
        &json!([
            {"name": "level", "gauge": {"dataPoints": [
                {"timeUnixNano": time, "asDouble": "NaN", "attributes": [{"key": "n", "value": {"intValue": "1"}}]},
                {"timeUnixNano": "soon", "asDouble": 1},
                {"timeUnixNano": time},
                {"timeUnixNano": "1", "asDouble": 1},
                {"timeUnixNano": time, "flags": 1},
                {"timeUnixNano": time, "asDouble": 1.5, "later": [1]}]}},
            {"name": "", "gauge": {"dataPoints": [{"timeUnixNano": time, "asInt": 1}, {"timeUnixNano": time, "asInt": 2}]}},
            {"name": "nothing"},
            {"name": "took", "histogram": {"aggregationTemporality": 2, "dataPoints": [
                histogram(json!(["1", 2]), json!([0.5]), 3),
                histogram(json!([1]), json!([0.5]), 1),
                histogram(json!([1, 1, 1]), json!([2, 1]), 3),
                histogram(json!([1, 1]), json!([2]), 3)]}},
            {"name": "untold", "sum": {"dataPoints": [{"timeUnixNano": time, "asInt": 1}]}},
        ]),
    );
    let partial = answer.partial_success.unwrap();
    assert_eq!(partial.rejected_data_points, 10, "{}", partial.error_message);
    for reason in [
        "\"soon\" is not a whole number",
        "must have a value",
        "more than a day",
        "2: a metric must have a name",
    ] {
        assert!(partial.error_message.contains(reason), "{reason}: {}", partial.error_message);
    }
    let (_, list) = get(&console, "/api/metrics").await;
    let names: Vec<_> =
        list["metrics"].as_array().unwrap().iter().map(|m| (&m["name"], &m["series"])).collect();
    assert_eq!(names, [(&json!("level"), &json!(2)), (&json!("took"), &json!(1))]);
    assert_eq!(list["metrics"][0]["attributes"], json!(["n"]));
    let stats = console.metrics().stats;
    assert_eq!((stats.received, stats.rejected), (14, 10));
}

#[actix_web::test]
async fn percentiles_are_bounds_of_what_came_since_the_point_before() {
    let console = sample::console();
    for (time, counts, count) in
        [(3, json!([100, 0, 0]), 100), (2, json!([100, 10, 0]), 110), (1, json!([100, 10, 1]), 111)]
    {
        let point = json!({"startTimeUnixNano": ago(5).to_string(), "timeUnixNano": ago(time).to_string(), "count": count,
            "sum": 1.25, "bucketCounts": counts, "explicitBounds": [0.5, 2.5]});
        send(
            &console,
            &json!([{"name": "took", "unit": "s", "histogram": {"aggregationTemporality": 2, "dataPoints": [point]}}]),
        );
    }
    let found = series(&console, "took").await;
    let p95: Vec<_> = found["points"].as_array().unwrap().iter().map(|point| point["p95"].clone()).collect();
    let bound = |value: f64, bound: &str| json!({"value": value, "bound": bound});
    assert_eq!(p95, [bound(0.5, "at most"), bound(2.5, "at most"), bound(2.5, "more than")]);
    assert_eq!(
        found["latest"],
        json!({"count": 111, "sum": 1.25, "bounds": [0.5, 2.5], "counts": [100, 10, 1]})
    );
}

#[actix_web::test]
async fn an_exemplar_leads_to_its_trace_and_says_whether_that_is_kept() {
    let console = sample::console();
    console.take_spans(sample::received(&sample::export("shop", vec![sample::span(0xab, 1, 0)])));
    let exemplar = |trace: &str| json!({"timeUnixNano": ago(1).to_string(), "asDouble": 0.25, "traceId": trace, "spanId": "00000000000000cd"});
    let exemplars = [
        exemplar("000000000000000000000000000000ab"),
        exemplar("000000000000000000000000000000ac"),
        exemplar(""),
    ];
    let mut metrics = sum(ago(2), ago(1), &json!(1), false);
    metrics[0]["sum"]["dataPoints"][0]["exemplars"] = json!(exemplars);
    (0..2).for_each(|_| _ = send(&console, &metrics));
    let found = series(&console, "sold").await["exemplars"].clone();
    let told: Vec<_> = found
        .as_array()
        .unwrap()
        .iter()
        .map(|e| (e["traceID"].as_str().unwrap(), e["kept"].as_bool().unwrap()))
        .collect();
    assert_eq!(
        told,
        [("000000000000000000000000000000ab", true), ("000000000000000000000000000000ac", false)]
    );
    assert_eq!((&found[0]["value"], &found[0]["spanID"]), (&json!(0.25), &json!("00000000000000cd")));
}

#[actix_web::test]
async fn a_service_that_sends_only_metrics_appears_by_itself() {
    let console = sample::console();
    send(&console, &sum(ago(2), ago(1), &json!(1), false));
    for path in ["/api/services", "/api/v3/services", "/api/overview"] {
        let (_, answer) = get(&console, path).await;
        let names = [&answer["data"], &answer["services"], &answer["seen"]]
            .map(|list| list.as_array().is_some_and(|l| l.contains(&json!("shop"))));
        assert!(names.contains(&true), "{path}: {answer}");
    }
    assert_eq!(get(&console, "/api/metrics/none").await.0, 404);
    assert_eq!(get(&console, "/api/metrics/sold?since=x").await.0, 400);
    assert_eq!(get(&console, "/api/metrics/sold?service=other").await.0, 404);
}

fn histogram(bounds: &[f64], counts: &[u64]) -> PointValue {
    let all = Counted { count: counts.iter().sum(), ..Counted::default() };
    PointValue::Histogram(Histogram { all, bounds: bounds.into(), counts: counts.into() }.into())
}

/// Keeps a point as it would have come in at its time.
fn keep(console: &Console, name: &str, kind: StoredKind, start: u64, time: u64, value: PointValue) {
    let (unit, description) = Default::default();
    let instrument = Arc::new(Instrument { name: name.into(), unit, description, kind, delta: false });
    let point = NewPoint { time, start, value, exemplars: Vec::new() };
    console.metrics().push(&sample::origin("shop"), &instrument, "{}".into(), point, time).unwrap();
}

#[actix_web::test]
async fn a_histogram_that_gets_its_first_bucket_later_begins_anew() {
    let console = sample::console();
    for (time, counts) in [(ago(3), &[][..]), (ago(2), &[2]), (ago(1), &[3])] {
        keep(&console, "took", StoredKind::Histogram, 0, time, histogram(&[], counts));
    }
    let points = series(&console, "took").await["points"].clone();
    assert_eq!([&points[1]["fresh"], &points[2]["fresh"]], [&json!(true), &Value::Null]);
    assert_eq!(points[2]["rate"], json!(1.0 / 60.0));
}

#[actix_web::test]
async fn what_began_anew_an_hour_ago_is_not_counted_from_a_coarse_point_before_that() {
    let console = sample::console();
    let begin = now() / (300 * SECOND) * 300 * SECOND - 7_200 * SECOND;
    // The new beginning goes first of the fine points; the coarse one of its slot is newer than the next.
    for (start, time, count) in [
        (begin - 110 * SECOND, begin - 10 * SECOND, 9),
        (begin, begin, 2),
        (begin, begin + 20 * SECOND, 5),
        (begin, begin + 3_615 * SECOND, 6),
    ] {
        let bounds: &[f64] = if start == begin { &[1.0] } else { &[1.0, 2.0, 3.0] };
        let counts: Vec<u64> = [count].into_iter().chain(bounds.iter().map(|_| 0)).collect();
        keep(&console, "took", StoredKind::Histogram, start, time, histogram(bounds, &counts));
        let number = PointValue::Number(Number::Int(i64::try_from(count).unwrap()));
        keep(&console, "sold", StoredKind::Counter, start, time, number);
    }
    for name in ["took", "sold"] {
        let points = series(&console, name).await["points"].clone();
        let told: Vec<_> = points.as_array().unwrap().iter().map(|p| (&p["fresh"], &p["rate"])).collect();
        let (first, anew) = (9.0 / 100.0, 5.0 / 20.0);
        assert_eq!(told.len(), 3, "{points}");
        assert_eq!(
            (told[0], told[1]),
            ((&json!(true), &json!(first)), (&Value::Null, &json!(anew))),
            "{name}"
        );
    }
}

#[actix_web::test]
async fn an_exponential_histogram_of_a_scale_that_no_sdk_sends_is_refused() {
    let console = sample::console();
    let send = |scale: i32| {
        let point = json!({"timeUnixNano": ago(1).to_string(), "count": "3", "scale": scale,
            "positive": {"offset": 4, "bucketCounts": ["1", "2"]}, "attributes": [{"key": "n", "value": {"intValue": scale}}]});
        let points = json!({"aggregationTemporality": 1, "dataPoints": [point]});
        send(&console, &json!([{"name": "took", "exponentialHistogram": points}])).partial_success
    };
    assert_eq!([-10, 20].map(send), [None, None]);
    for refused in [-11, 21, i32::MIN, i32::MAX] {
        let partial = send(refused).unwrap();
        assert!(partial.error_message.contains("between -10 and 20"), "{}", partial.error_message);
    }
}

#[test]
fn an_export_counts_its_data_points_and_what_could_not_be_read_of_it() {
    let time = ago(1).to_string();
    let points = json!([{"timeUnixNano": time, "asInt": 1}, {"timeUnixNano": "soon"}, {"timeUnixNano": time, "asInt": 2}]);
    let metrics =
        json!([{"name": "a", "gauge": {"dataPoints": points}}, {"name": "b", "gauge": 1}, {"name": "none"}]);
    let export = OtlpExport::read(&METRICS, export("shop", &metrics).into(), true).unwrap();
    // Two and the bad one, the metric that is none, and the one without data.
    assert_eq!(export.items(), 5);
    let console = sample::console();
    console.take_metrics(export);
    let stats = console.metrics().stats;
    assert_eq!((stats.received, stats.rejected), (5, 3));
}
