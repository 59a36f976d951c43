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

#[actix_web::test]
async fn many_traces_are_counted_and_told_in_one_answer_with_their_lines_and_no_others() {
    let console = filled();
    console.take_spans(sample::received(&sample::export("api-gateway", vec![sample::span(0xcd, 7, 0)])));
    console.take_line(Some(r#"{"service":"order-service","traceId":"cd","message":"a"}"#));
    console.take_line(Some(r#"{"service":"order-service","traceId":"ef","message":"b"}"#));
    let (status, body) = get(&console, "/api/many/counts?traceId=cd,77,AB").await;
    assert_eq!((status, body), (200, json!({"spans": [1, 0, 2], "lines": [1, 0, 1]})));
    let (status, body) = get(&console, "/api/many/spans?traceId=cd,77,ab").await;
    assert_eq!((status, &body["told"]), (200, &json!(3)));
    // One group for each origin, whichever trace a span is of.
    let groups = body["resourceSpans"].as_array().unwrap();
    let spans = groups.iter().map(|group| group["scopeSpans"][0]["spans"].as_array().unwrap().len());
    assert_eq!(spans.collect::<Vec<_>>(), [2, 1]);
    let (_, body) = get(&console, "/api/logs?traceId=ab,cd").await;
    assert_eq!(body["logs"].as_array().map(Vec::len), Some(2));
    let too_many = vec!["1"; 501].join(",");
    for wrong in [
        "counts?traceId=ab,no",
        "spans?traceId=no",
        "counts?traceId=1,,2",
        &format!("spans?traceId={too_many}"),
    ] {
        assert_eq!(get(&console, &format!("/api/many/{wrong}")).await.0, 400, "{wrong}");
    }
    assert_eq!(get(&console, "/api/many/spans").await.1, json!({"resourceSpans": [], "told": 0}));
}

#[actix_web::test]
async fn of_traces_that_are_too_large_for_one_answer_the_first_ones_are_told() {
    let console = sample::console_of(128);
    for trace in [1, 2, 3] {
        for id in 1..=200 {
            let mut span = sample::span(trace, id, 0);
            span.attributes.push(sample::text("long", &"x".repeat(50_000)));
            console.take_spans(sample::received(&sample::export("a", vec![span])));
        }
    }
    let (status, body) = get(&console, "/api/many/spans?traceId=1,2,3").await;
    assert_eq!((status, &body["told"]), (200, &json!(1)));
    let spans = body["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().map(Vec::len);
    assert_eq!(spans, Some(200));
}
