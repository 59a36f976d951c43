//! Numbers and Jaeger's newer questions, as a client of the API meets them.
#![allow(clippy::unwrap_used)]

use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use serde_json::Value;

use super::tests::{filled, get};
use super::*;
use crate::console::sample;

#[actix_web::test]
async fn version_3_summarises_traces_as_jaegers_search_page_reads_them() {
    let console = filled();
    let mut orphan = sample::span(0xcd, 7, 99);
    orphan.end_time_unix_nano = u64::MAX;
    console.take_spans(sample::received(&sample::export("order-service", vec![orphan])));
    let (status, body) =
        get(&console, "/api/v3/trace-summaries?query.serviceName=order-service&query.searchDepth=20").await;
    let without_root = json!({
        "traceId": format!("{:032x}", 0xcd), "spanCount": 1, "orphanSpanCount": 1,
        "minStartTimeUnixNano": "1700000000007000000", "maxEndTimeUnixNano": "18446744073709551615",
        "services": [{"name": "order-service", "spanCount": 1}],
    });
    let whole = json!({
        "traceId": format!("{:032x}", 0xab), "rootServiceName": "api-gateway", "rootOperationName": "span 1",
        "minStartTimeUnixNano": "1700000000001000000", "maxEndTimeUnixNano": "1700000000012000000",
        "spanCount": 2, "errorSpanCount": 1,
        "services": [{"name": "api-gateway", "spanCount": 1, "errorSpanCount": 1},
            {"name": "order-service", "spanCount": 1}],
    });
    assert_eq!((status, body), (200, json!({"summaries": [without_root, whole]})));
    let nobody = get(&console, "/api/v3/trace-summaries?query.serviceName=nobody").await;
    assert_eq!(nobody, (200, json!({"summaries": []})));
    let wrong = get(&console, "/api/v3/trace-summaries?query.startTimeMin=yesterday").await;
    assert_eq!((wrong.0, &wrong.1["error"]["httpCode"]), (400, &json!(400)));
}

#[actix_web::test]
async fn dependencies_are_the_calls_between_services_in_the_time_asked_for() {
    let console = filled();
    let end = sample::START / 1_000_000 + 60_000;
    let link = json!([{"parent": "api-gateway", "child": "order-service", "callCount": 1}]);
    for (query, expected) in [
        (format!("endTs={end}&lookback=604800000"), &link),
        (format!("endTs={end}&lookback=604800000&service=order-service"), &link),
        (format!("endTs={end}&lookback=604800000&service=nobody"), &json!([])),
        (format!("endTs={end}&lookback=1000"), &json!([])),
        (format!("endTs={}", end - 120_000), &json!([])),
        (String::new(), &json!([])),
    ] {
        let (status, body) = get(&console, &format!("/api/dependencies?{query}")).await;
        assert_eq!((status, &body["data"], &body["errors"]), (200, expected, &Value::Null), "{query}");
    }
    assert_eq!(get(&console, "/api/dependencies?endTs=now").await.0, 400);
}

#[actix_web::test]
async fn numbers_that_json_or_javascript_cannot_hold_are_texts_with_their_own_digits() {
    let console = sample::console();
    let mut span = sample::span(0xab, 1, 0);
    let most_exact = (1 << 53) - 1;
    let values = [
        Any::IntValue(most_exact),
        Any::IntValue(most_exact + 2),
        Any::IntValue(-most_exact - 2),
        Any::IntValue(i64::MIN),
        Any::DoubleValue(f64::NAN),
        Any::DoubleValue(f64::NEG_INFINITY),
        Any::DoubleValue(0.1),
    ];
    let pair = |value| KeyValue { value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() };
    span.attributes = values.map(pair).into();
    console.take_spans(sample::received(&sample::export("a", vec![span])));
    let expected = [
        json!({"key": "", "type": "int64", "value": 9_007_199_254_740_991_i64}),
        json!({"key": "", "type": "int64", "value": "9007199254740993"}),
        json!({"key": "", "type": "int64", "value": "-9007199254740993"}),
        json!({"key": "", "type": "int64", "value": "-9223372036854775808"}),
        json!({"key": "", "type": "float64", "value": "NaN"}),
        json!({"key": "", "type": "float64", "value": "-Infinity"}),
        json!({"key": "", "type": "float64", "value": 0.1}),
    ];
    for (path, trace) in [("/api/traces/ab", "/data/0"), ("/api/view/ab", "/trace")] {
        let (_, body) = get(&console, path).await;
        let tags = body.pointer(trace).unwrap()["spans"][0]["tags"].as_array().unwrap();
        assert_eq!(tags[..expected.len()], expected, "{path}");
    }
    let (_, body) = get(&console, "/api/v3/traces/ab").await;
    let span = &body["result"]["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    assert_eq!(span["attributes"][1]["value"], json!({"intValue": "9007199254740993"}));
    assert_eq!(span["attributes"][4]["value"], json!({"doubleValue": "NaN"}));
    assert_eq!(span.get("parentSpanId"), None, "a root says nothing of a parent");
}

#[actix_web::test]
async fn traces_asked_for_by_id_that_are_not_there_are_named() {
    let (status, body) = get(&filled(), "/api/traces?traceID=ab&traceID=77").await;
    assert_eq!((status, body["data"].as_array().map(Vec::len)), (200, Some(1)));
    assert_eq!(body["errors"], json!([{"msg": "trace not found", "traceID": format!("{:032x}", 0x77)}]));
    assert_eq!(get(&filled(), "/api/traces?traceID=ab&traceID=no").await.0, 400);
}
