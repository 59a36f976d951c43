#![allow(clippy::unwrap_used, clippy::panic)]

use metrics::{counter, gauge, histogram, with_local_recorder};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::exemplar::Value as ExemplarNumber;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{Histogram, HistogramDataPoint, Metric, NumberDataPoint, Sum};
use opentelemetry_sdk::Resource;
use prost::Message;

use super::*;
use crate::runtime::metrics::{ExemplarFilter, server_labels};
use crate::schema::{OtlpMetric, names};

/// A recorder of the test's own, and exports of it.
struct Exports {
    collection: Collection,
    recorder: Box<dyn metrics::Recorder>,
}

impl Exports {
    /// Call it in a runtime.
    fn new(temporality: Temporality, exponential: bool) -> Self {
        let (own, recorder) = Recorder::for_test();
        recorder.keep(ExemplarFilter::TraceBased, exponential);
        let resource = Resource::builder_empty().with_attribute(KeyValue::new("service.name", "x")).build();
        let scope = InstrumentationScope::builder("scope").with_version("1").build();
        let style = MetricStyle { interval: Duration::from_secs(60), temporality, exponential };
        let collection = Collection::new(recorder, Envelope::new(&resource, &scope), style);
        Self { collection, recorder: Box::new(own) }
    }

    fn observe(&self, observe: impl FnOnce()) {
        with_local_recorder(&*self.recorder, observe);
    }

    /// The metrics of the next export, and how many points it says it has.
    fn next(&mut self) -> (Vec<Metric>, usize) {
        let Self { collection, recorder } = self;
        let (body, points) = with_local_recorder(&**recorder, || collection.encode());
        let mut export = ExportMetricsServiceRequest::decode(&body[..]).unwrap();
        let mut resource = export.resource_metrics.remove(0);
        assert_eq!(resource.resource.unwrap().attributes[0].key, "service.name");
        let scope = resource.scope_metrics.remove(0);
        assert_eq!(scope.scope.unwrap().name, "scope");
        let metrics = scope.metrics.into_iter().filter(|metric| !metric.name.starts_with("process."));
        (metrics.filter(|metric| !metric.name.starts_with("runtime.")).collect(), points)
    }

    fn metric(&mut self, name: &str) -> Option<Metric> {
        self.next().0.into_iter().find(|metric| metric.name == name)
    }

    fn sum(&mut self, name: &str) -> Option<(Sum, NumberDataPoint)> {
        let Some(Data::Sum(mut sum)) = self.metric(name)?.data else { panic!("{name} is no sum") };
        assert_eq!(sum.data_points.len(), 1);
        let point = sum.data_points.remove(0);
        Some((sum, point))
    }

    fn histogram(&mut self, name: &str) -> Option<(Histogram, HistogramDataPoint)> {
        let Some(Data::Histogram(mut found)) = self.metric(name)?.data else { panic!("{name} is none") };
        let point = found.data_points.remove(0);
        Some((found, point))
    }
}

fn texts(attributes: &[opentelemetry_proto::tonic::common::v1::KeyValue]) -> Vec<(String, String)> {
    let text = |value: &Value| match value {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => format!("int {number}"),
        other => format!("{other:?}"),
    };
    let pair = |a: &opentelemetry_proto::tonic::common::v1::KeyValue| {
        (a.key.clone(), a.value.as_ref().and_then(|any| any.value.as_ref()).map_or_else(String::new, text))
    };
    attributes.iter().map(pair).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn in_span(observe: impl FnOnce()) {
    let ids = (TraceId::from(7), SpanId::from(9));
    let span = SpanContext::new(ids.0, ids.1, TraceFlags::SAMPLED, false, TraceState::NONE);
    let _active = Context::new().with_remote_span_context(span).attach();
    observe();
}

#[tokio::test]
async fn a_request_is_told_by_the_conventions_with_typed_attributes_its_exemplar_and_its_error() {
    let mut exports = Exports::new(Temporality::Cumulative, false);
    let labels = server_labels("POST", "/orders", 503);
    exports.observe(|| {
        let requests = histogram!(names::HTTP_SERVER_DURATION, &labels);
        in_span(|| requests.record(0.003));
        requests.record(20.0);
    });
    let metric = exports.metric("http.server.request.duration").unwrap();
    let described = OtlpMetric::of(names::HTTP_SERVER_DURATION).unwrap().help();
    assert_eq!((metric.unit.as_str(), metric.description.as_str()), ("s", described));
    assert!(!described.is_empty());
    let Some(Data::Histogram(histogram)) = metric.data else { panic!("a histogram") };
    assert_eq!(histogram.aggregation_temporality, 2);
    let point = &histogram.data_points[0];
    let expected = pairs(&[
        ("url.scheme", "http"),
        ("http.request.method", "POST"),
        ("http.route", "/orders"),
        ("http.response.status_code", "int 503"),
        ("error.type", "503"),
    ]);
    assert_eq!(texts(&point.attributes), expected);
    assert_eq!((point.count, point.sum, point.bucket_counts.len()), (2, Some(20.003), 16));
    assert_eq!((point.bucket_counts[2], point.bucket_counts[15], point.explicit_bounds.len()), (1, 1, 15));
    assert_eq!((point.explicit_bounds[1], point.explicit_bounds[2]), (0.0025, 0.005));
    assert!(point.start_time_unix_nano > 1 << 60 && point.time_unix_nano >= point.start_time_unix_nano);
    let exemplar = &point.exemplars;
    assert_eq!(exemplar.len(), 1);
    assert_eq!(exemplar[0].trace_id, TraceId::from(7).to_bytes());
    assert_eq!(exemplar[0].span_id, SpanId::from(9).to_bytes());
    assert_eq!(exemplar[0].value, Some(ExemplarNumber::AsDouble(0.003)));
    // It has been told.
    let (_, again) = exports.histogram("http.server.request.duration").unwrap();
    assert_eq!((again.count, again.exemplars.len()), (2, 0));
}

#[tokio::test]
async fn milliseconds_become_seconds_where_the_conventions_want_them() {
    let mut exports = Exports::new(Temporality::Cumulative, false);
    exports.observe(|| in_span(|| histogram!(names::NOTIFICATION_DURATION).record(1.5)));
    let (_, point) = exports.histogram("messaging.process.duration").unwrap();
    assert_eq!(&point.explicit_bounds[..3], [0.0005, 0.0015, 0.0025]);
    assert_eq!((point.sum, point.bucket_counts[1]), (Some(0.0015), 1));
    assert_eq!(point.exemplars[0].value, Some(ExemplarNumber::AsDouble(0.0015)));
    let mut exports = Exports::new(Temporality::Cumulative, true);
    exports.observe(|| histogram!(names::NOTIFICATION_DURATION).record(1.5));
    let Some(Data::ExponentialHistogram(found)) = exports.metric("messaging.process.duration").unwrap().data
    else {
        panic!("an exponential histogram");
    };
    assert_eq!(found.data_points[0].sum, Some(0.0015));
}

#[tokio::test]
async fn numbers_are_sums_that_only_grow_sums_that_also_fall_and_gauges() {
    let mut exports = Exports::new(Temporality::Cumulative, false);
    exports.observe(|| {
        counter!(names::ORDERS_CREATED).increment(3);
        gauge!(names::DB_POOL, "state" => "used").set(2.0);
        gauge!(names::QUEUE_LAG).set(0.0);
    });
    let (metrics, points) = exports.next();
    assert!(points >= metrics.len());
    let data = |name: &str| metrics.iter().find(|metric| metric.name == name).unwrap().data.clone().unwrap();
    let Data::Sum(created) = data("orders.created") else { panic!("a sum") };
    assert_eq!((created.is_monotonic, created.aggregation_temporality), (true, 2));
    assert_eq!(created.data_points[0].value, Some(Number::AsInt(3)));
    let Data::Sum(pool) = data("db.client.connection.count") else { panic!("a sum") };
    assert_eq!((pool.is_monotonic, pool.aggregation_temporality), (false, 2));
    assert_eq!(texts(&pool.data_points[0].attributes), pairs(&[("db.client.connection.state", "used")]));
    let Data::Gauge(lag) = data("queue.consumer.lag") else { panic!("a gauge") };
    assert_eq!(lag.data_points[0].value, Some(Number::AsDouble(0.0)));
    assert_eq!(lag.data_points[0].start_time_unix_nano, 0);
}

#[tokio::test]
async fn a_delta_is_what_came_since_the_last_export_and_begins_there() {
    let mut exports = Exports::new(Temporality::Delta, false);
    let observe = |exports: &Exports, orders, value: &[f64]| {
        exports.observe(|| {
            counter!(names::ORDERS_CREATED).increment(orders);
            gauge!(names::DB_POOL, "state" => "used").set(2.0);
            value.iter().for_each(|value| histogram!(names::ORDER_VALUE).record(*value));
        });
    };
    observe(&exports, 3, &[1.0]);
    let (sum, first) = exports.sum("orders.created").unwrap();
    assert_eq!(
        (first.value, sum.aggregation_temporality, sum.is_monotonic),
        (Some(Number::AsInt(3)), 1, true)
    );
    observe(&exports, 2, &[7.0, 7.0]);
    let (metrics, _) = exports.next();
    let data = |name: &str| metrics.iter().find(|metric| metric.name == name).unwrap().data.clone().unwrap();
    let Data::Sum(sum) = data("orders.created") else { panic!("a sum") };
    assert_eq!(sum.data_points[0].value, Some(Number::AsInt(2)));
    assert_eq!(sum.data_points[0].start_time_unix_nano, first.time_unix_nano);
    let Data::Histogram(values) = data("order.value") else { panic!("a histogram") };
    let point = &values.data_points[0];
    assert_eq!((point.count, point.sum, &point.bucket_counts[..3]), (2, Some(14.0), &[0, 2, 0][..]));
    let Data::Sum(pool) = data("db.client.connection.count") else { panic!("a sum") };
    assert_eq!((pool.aggregation_temporality, pool.is_monotonic), (2, false));
    // Nothing came: nothing is told but what also falls.
    let names: Vec<_> = exports.next().0.into_iter().map(|metric| metric.name).collect();
    assert_eq!(names, ["db.client.connection.count"]);
}

#[tokio::test]
async fn exponential_buckets_count_what_the_page_counts_and_begin_again_with_each_delta() {
    for (temporality, second) in [(Temporality::Cumulative, 4), (Temporality::Delta, 1)] {
        let mut exports = Exports::new(temporality, true);
        let mut next = |values: &[f64]| {
            exports.observe(|| {
                in_span(|| values.iter().for_each(|value| histogram!(names::ORDER_VALUE).record(*value)));
            });
            let Some(Data::ExponentialHistogram(found)) = exports.metric("order.value").unwrap().data else {
                panic!("an exponential histogram");
            };
            found
        };
        let found = next(&[0.0, 3.0, 48.0]);
        let point = &found.data_points[0];
        assert_eq!((point.count, point.sum, point.zero_count), (3, Some(51.0), 1));
        assert_eq!((point.min, point.max, point.exemplars.len()), (Some(0.0), Some(48.0), 2));
        let positive = point.positive.clone().unwrap();
        assert!(positive.bucket_counts.len() <= 160);
        let filled: Vec<_> =
            (positive.offset..).zip(positive.bucket_counts).filter(|(_, n)| *n > 0).collect();
        // Sixteen times the value is four powers of two further.
        let [(low, 1), (high, 1)] = filled[..] else { panic!("{filled:?}") };
        assert_eq!(f64::from(high - low) * 2f64.powi(-point.scale), 4.0);
        let base = 2f64.powi(-point.scale);
        assert!((f64::from(low) * base).exp2() < 3.0 && 3.0 <= (f64::from(low + 1) * base).exp2());
        assert_eq!(next(&[5.0]).data_points[0].count, second);
    }
}

#[tokio::test]
async fn low_memory_remembers_nothing_of_what_is_read_off_the_system() {
    for (temporality, expected) in [(Temporality::Delta, 1), (Temporality::LowMemory, 2)] {
        let mut exports = Exports::new(temporality, false);
        exports.observe(|| counter!(names::PROCESS_CPU).absolute(5));
        let body = with_local_recorder(&*exports.recorder, || exports.collection.encode()).0;
        let export = ExportMetricsServiceRequest::decode(&body[..]).unwrap();
        let metrics = &export.resource_metrics[0].scope_metrics[0].metrics;
        let cpu = metrics.iter().find(|metric| metric.name == "process.cpu.time").unwrap();
        let Some(Data::Sum(sum)) = &cpu.data else { panic!("a sum") };
        assert_eq!(sum.aggregation_temporality, expected, "{temporality:?}");
    }
}
