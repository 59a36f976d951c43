//! The list of traces and its suggestions as the page asks for them.
#![allow(clippy::unwrap_used)]

use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::Value;

use super::tests::{filled, get};
use super::*;
use crate::console::ids::trace_hex;
use crate::console::sample;

/// Traces 1 to `count`, a millisecond apart, the third as long as none, each third a health check.
fn many(count: u64) -> web::Data<Console> {
    let console = sample::console();
    let spans = (1..=count).map(|id| {
        let start = sample::START + id * 1_000_000;
        let length = if id == 3 { 900_000_000 } else { id * 1_000 };
        let route = if id.is_multiple_of(3) && id != 3 { "/health" } else { "/api/orders" };
        let attributes = vec![sample::text("http.route", route), sample::text("order.id", &id.to_string())];
        Span { end_time_unix_nano: start + length, attributes, ..sample::span(id.into(), id, 0) }
    });
    console.take_spans(sample::received(&sample::export("api-gateway", spans.collect())));
    console
}

async fn ids(console: &web::Data<Console>, query: &str) -> Vec<u64> {
    let (status, body) = get(console, &format!("/api/summaries?{query}")).await;
    assert_eq!(status, 200, "{query}: {body}");
    let id = |trace: &Value| u64::from_str_radix(trace["traceID"].as_str().unwrap(), 16).unwrap();
    body["traces"].as_array().unwrap().iter().map(id).collect()
}

#[actix_web::test]
async fn the_list_is_sorted_page_by_page_within_the_time_asked_for() {
    let console = many(250);
    let at = |id: u64| sample::START / 1_000 + id * 1_000;
    for (query, expected) in [
        ("limit=3".to_owned(), vec![250, 249, 248]),
        ("limit=2&offset=248".to_owned(), vec![2, 1]),
        ("limit=2&offset=250".to_owned(), vec![]),
        ("limit=2&sort=longest".to_owned(), vec![3, 250]),
        ("limit=2&sort=shortest".to_owned(), vec![1, 2]),
        ("limit=2&sort=oldest".to_owned(), vec![1, 2]),
        (format!("start={}&end={}", at(7), at(9)), vec![9, 8, 7]),
        ("lookback=1h".to_owned(), vec![]),
        ("text=order.id%3E%3D248+http.route%3D/api/orders".to_owned(), vec![250, 248]),
        ("text=order.id%3E%3D248&background=hide".to_owned(), vec![250, 248]),
    ] {
        assert_eq!(ids(&console, &query).await, expected, "{query}");
    }
    let (_, body) = get(&console, "/api/summaries?limit=0&background=hide&points=true").await;
    assert_eq!((&body["matched"], &body["hidden"], &body["kept"]), (&json!(168), &json!(82), &json!(250)));
    assert_eq!(body["points"].as_array().unwrap().len(), 168);
}

#[actix_web::test]
async fn a_wrong_filter_is_400_with_its_place_wherever_the_language_is_taken() {
    let console = filled();
    for path in ["/api/summaries", "/api/traces"] {
        let (status, body) = get(&console, &format!("{path}?text=duration%3Esoon")).await;
        let why = "filter, character 10: 'soon' is no duration such as 100ms or 1.5s";
        assert_eq!((status, &body["errors"][0]["msg"]), (400, &json!(why)), "{path}");
    }
    assert_eq!(get(&console, "/api/v3/traces?text=%3D").await.0, 400);
    assert_eq!(get(&console, "/api/summaries?sort=best").await.0, 400);
    let (_, found) = get(&console, "/api/traces?text=http.route%3D/api/orders+status%3Derror").await;
    assert_eq!(found["data"].as_array().map(Vec::len), Some(1));
    assert_eq!(get(&console, "/api/v3/traces?text=status%3Dok").await.0, 404);
}

#[actix_web::test]
async fn keys_and_values_are_suggested_from_what_is_kept() {
    let console = many(9);
    let asked = async |query: &str| get(&console, &format!("/api/suggestions?{query}")).await.1;
    assert_eq!(asked("text=ROUTE").await, json!({"keys": ["http.route"]}));
    assert_eq!(asked("text=span").await["keys"], json!(["span.duration"]));
    assert_eq!(asked("text=s&limit=2").await["keys"], json!(["service", "span.duration"]));
    let routes = json!([{"value": "/api/orders", "count": 7}, {"value": "/health", "count": 2}]);
    assert_eq!(asked("key=http.route").await["values"], routes);
    assert_eq!(asked("key=http.route&text=heal").await["values"], json!([routes[1]]));
    assert_eq!(asked("key=service").await["values"], json!([{"value": "api-gateway", "count": 9}]));
    assert_eq!(asked("key=status").await["values"], json!([{"value": "unset", "count": 9}]));
    assert_eq!(asked("key=nothing").await["values"], json!([]));
    assert_eq!(get(&console, "/api/suggestions?limit=x").await.0, 400);
}

#[actix_web::test]
async fn a_trace_says_which_spans_link_to_it_and_is_downloaded_as_otlp_json() {
    let console = filled();
    let linking = trace_hex(0xab);
    let spans = vec![sample::span(5, 6, 0)];
    console.take_spans(sample::received(&sample::export("user-service", spans)));
    let (_, body) = get(&console, "/api/view/5").await;
    let from = json!([{"traceID": linking, "spanID": format!("{:016x}", 1), "to": format!("{:016x}", 6),
        "service": "api-gateway", "name": "span 1"}]);
    assert_eq!(body["linkedFrom"], from);
    assert_eq!(get(&console, "/api/view/ab").await.1["linkedFrom"], json!([]));
    let (_, file) = get(&console, "/api/export/traces/ab").await;
    assert_eq!(file["resourceSpans"].as_array().map(Vec::len), Some(2));
    assert_eq!(file["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["traceId"], linking);
    assert_eq!(get(&console, "/api/export/traces/77").await.0, 404);
    assert_eq!(get(&console, "/api/export/traces/nothex").await.0, 400);
}

#[actix_web::test]
async fn what_is_none_of_the_values_of_a_parameter_is_400_with_those_it_takes() {
    let console = filled();
    for (path, why) in [
        ("/api/summaries?status=foo", "'status' is none of error, ok, 1xx to 5xx, 100 to 599"),
        ("/api/summaries?status=9xx", "'status' is none of error, ok, 1xx to 5xx, 100 to 599"),
        ("/api/export/traces?status=foo", "'status' is none of error, ok, 1xx to 5xx, 100 to 599"),
        ("/api/summaries?background=foo", "'background' is none of hide, show"),
        ("/api/summaries?limit=-1", "'limit' is not a whole number from 0 on"),
        ("/api/traces?limit=-1", "'limit' is not a whole number from 0 on"),
        ("/api/summaries?minDuration=abc", "'minDuration' is not a duration such as 100ms or 1.5s"),
        ("/api/logs?level=foo", "'level' is none of trace, debug, info, warn, error, fatal"),
    ] {
        let (status, body) = get(&console, path).await;
        assert_eq!((status, &body["errors"][0]["msg"]), (400, &json!(why)), "{path}");
    }
    for path in ["/api/summaries?status=404", "/api/summaries?background=show", "/api/logs?level=WARNING"] {
        assert_eq!(get(&console, path).await.0, 200, "{path}");
    }
}
