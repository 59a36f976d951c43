//! The console's API and headers as a client meets them.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use actix_web::App;
use actix_web::http::Method;
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Status};
use serde_json::Value;

use super::*;
use crate::console::sample;
use crate::console::state::Console;
use crate::runtime::Shutdown;

async fn get_from(
    console: &web::Data<Console>,
    path: &str,
    host: &str,
) -> (u16, header::HeaderMap, web::Bytes) {
    let shutdown = web::Data::new(Shutdown::new(Duration::ZERO));
    let app = init_service(App::new().app_data(console.clone()).app_data(shutdown).configure(routes)).await;
    let request = TestRequest::get().uri(path).insert_header((header::HOST, host)).to_request();
    let response = call_service(&app, request).await;
    (response.status().as_u16(), response.headers().clone(), read_body(response).await)
}

pub(super) async fn get(console: &web::Data<Console>, path: &str) -> (u16, Value) {
    let (status, _, body) = get_from(console, path, "localhost:7005").await;
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

/// A gateway span with everything a span can have, and a child of another service.
pub(super) fn filled() -> web::Data<Console> {
    let console = sample::console();
    let mut root = sample::span(0xab, 1, 0);
    let answer = AnyValue { value: Some(Any::IntValue(500)) };
    root.attributes = vec![
        sample::text("http.route", "/api/orders"),
        KeyValue { key: "http.response.status_code".into(), value: Some(answer), ..KeyValue::default() },
    ];
    root.status = Some(Status { code: 2, message: "it failed".into() });
    root.events = vec![Event { name: "exception".into(), time_unix_nano: sample::START, ..Event::default() }];
    root.links = vec![Link {
        trace_id: 5u128.to_be_bytes().to_vec(),
        span_id: 6u64.to_be_bytes().to_vec(),
        ..Link::default()
    }];
    console.take_spans(sample::received(&sample::export("api-gateway", vec![root])));
    console.take_spans(sample::received(&sample::export("order-service", vec![sample::span(0xab, 2, 1)])));
    console.take_line(Some(
        r#"{"level":"info","service":"order-service","traceId":"AB","message":"</script>"}"#,
    ));
    console
}

#[actix_web::test]
async fn a_trace_has_the_shape_that_jaeger_gives_it() {
    let (status, body) = get(&filled(), "/api/traces/00AB").await;
    assert_eq!(status, 200);
    let trace = &body["data"][0];
    let (root, child) = (&trace["spans"][0], &trace["spans"][1]);
    assert_eq!(trace["traceID"], format!("{:032x}", 0xab));
    assert_eq!((&root["operationName"], &root["duration"]), (&json!("span 1"), &json!(10_000)));
    assert_eq!(root["startTime"], (sample::START + 1_000_000) / 1_000);
    let follows =
        json!({"refType": "FOLLOWS_FROM", "traceID": format!("{:032x}", 5), "spanID": format!("{:016x}", 6)});
    assert_eq!(root["references"], json!([follows]));
    assert_eq!(child["references"][0]["refType"], "CHILD_OF");
    assert_eq!(child["references"][0]["spanID"], root["spanID"]);
    let tags = root["tags"].as_array().unwrap();
    for expected in [
        json!({"key": "http.response.status_code", "type": "int64", "value": 500}),
        json!({"key": "span.kind", "type": "string", "value": "server"}),
        json!({"key": "otel.status_code", "type": "string", "value": "ERROR"}),
        json!({"key": "otel.status_description", "type": "string", "value": "it failed"}),
        json!({"key": "error", "type": "bool", "value": true}),
    ] {
        assert!(tags.contains(&expected), "{expected}");
    }
    assert_eq!(root["logs"][0]["fields"][0]["value"], "exception");
    let process =
        |span: &Value| trace["processes"][span["processID"].as_str().unwrap()]["serviceName"].clone();
    assert_eq!((process(root), process(child)), (json!("api-gateway"), json!("order-service")));
    assert_eq!((&body["total"], &body["errors"]), (&json!(1), &Value::Null));
}

#[actix_web::test]
async fn search_takes_jaegers_parameters() {
    let console = filled();
    for (query, found) in [
        ("service=api-gateway", 1),
        ("service=api-gateway&operation=span%202", 0),
        ("service=order-service&operation=span%202", 1),
        ("service=nobody", 0),
        ("tags=%7B%22error%22%3A%22true%22%7D", 1),
        ("tag=http.response.status_code:500&tag=http.route:/api/orders", 1),
        ("tag=http.response.status_code:200", 0),
        ("minDuration=11ms", 0),
        ("maxDuration=10ms", 1),
        ("lookback=1h", 0),
        ("start=1699999999000000&end=1700000001000000", 1),
        ("start=1700000001000000", 0),
        ("traceID=ab", 1),
        ("limit=0", 0),
    ] {
        let (status, body) = get(&console, &format!("/api/traces?{query}")).await;
        assert_eq!((status, body["data"].as_array().map(Vec::len)), (200, Some(found)), "{query}");
    }
    for wrong in ["minDuration=x", "limit=-1", "start=now", "lookback=soon", "tags=nothing"] {
        let (status, body) = get(&console, &format!("/api/traces?{wrong}")).await;
        assert_eq!((status, &body["errors"][0]["code"]), (400, &json!(400)), "{wrong}");
    }
}

#[actix_web::test]
async fn services_and_operations_are_listed_in_both_versions() {
    let console = filled();
    assert_eq!(get(&console, "/api/services").await.1["data"], json!(["api-gateway", "order-service"]));
    assert_eq!(get(&console, "/api/services/order-service/operations").await.1["data"], json!(["span 2"]));
    let one = json!([{"name": "span 1", "spanKind": "server"}]);
    assert_eq!(get(&console, "/api/operations?service=api-gateway").await.1["data"], one);
    assert_eq!(get(&console, "/api/v3/operations?service=api-gateway").await.1["operations"], one);
    assert_eq!(get(&console, "/api/v3/services").await.1["services"][1], "order-service");
}

#[actix_web::test]
async fn version_3_answers_otlp_json_that_reads_back_as_what_came_in() {
    let console = filled();
    let times = "query.startTimeMin=2023-11-14T22:13:00Z&query.startTimeMax=2023-11-14T22:14:00Z";
    let (status, body) =
        get(&console, &format!("/api/v3/traces?query.serviceName=api-gateway&{times}")).await;
    assert_eq!(status, 200);
    let groups: Vec<ResourceSpans> = serde_json::from_value(body["result"]["resourceSpans"].clone()).unwrap();
    assert_eq!(groups.len(), 2);
    assert_eq!(groups[0].scope_spans[0].spans[0].links.len(), 1);
    let span = &body["result"]["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    assert_eq!(span["traceId"], format!("{:032x}", 0xab));
    assert_eq!(get(&console, "/api/v3/traces/ab").await.0, 200);
    for (path, expected) in [
        ("/api/v3/traces/77", 404),
        ("/api/v3/traces/nothex", 400),
        ("/api/v3/traces?query.serviceName=nobody", 404),
        ("/api/v3/traces?query.startTimeMin=yesterday", 400),
    ] {
        let (status, body) = get(&console, path).await;
        assert_eq!((status, &body["error"]["httpCode"]), (expected, &json!(expected)), "{path}");
    }
}

#[actix_web::test]
async fn an_unknown_trace_is_404_in_jaegers_shape() {
    let (status, body) = get(&filled(), "/api/traces/77").await;
    assert_eq!(status, 404);
    assert_eq!(body["errors"], json!([{"code": 404, "msg": "trace not found"}]));
    assert_eq!(body["data"], Value::Null);
}

#[actix_web::test]
async fn the_page_gets_its_list_one_trace_with_path_and_logs_and_the_overview() {
    let console = filled();
    for (query, found) in [
        ("", 1),
        ("?status=error", 1),
        ("?status=ok", 0),
        ("?status=5xx", 1),
        ("?status=4xx", 0),
        ("?text=/API/orders", 1),
        ("?text=nowhere", 0),
        ("?service=order-service&minDuration=11", 1),
        ("?minDuration=12", 0),
    ] {
        let (_, body) = get(&console, &format!("/api/summaries{query}")).await;
        assert_eq!(body["matched"], found, "{query}");
    }
    let (_, body) = get(&console, "/api/view/ab").await;
    assert_eq!(body["log"]["logs"][0]["message"], "</script>");
    let total: f64 =
        body["criticalPath"].as_array().unwrap().iter().map(|s| s["duration"].as_f64().unwrap()).sum();
    assert!((total - 10_000.0).abs() < 1e-6);
    let (_, body) = get(&console, "/api/overview").await;
    assert_eq!((&body["traces"]["kept"], &body["logs"]["kept"]), (&json!(2), &json!(1)));
    assert_eq!((&body["services"][0]["up"], &body["otlpPort"]), (&json!(false), &json!(7006)));
    let (_, body) = get(&console, "/api/logs?traceId=AB&service=order-service&limit=5").await;
    assert_eq!(body["logs"].as_array().unwrap().len(), 1);
    assert_eq!(get(&console, "/api/logs?traceId=zz").await.0, 400);
}

#[actix_web::test]
async fn every_answer_forbids_foreign_content_and_the_page_needs_none() {
    let console = filled();
    for path in ["/", "/trace/ab", "/assets/app.js", "/api/services", "/nothing", "/assets/../Cargo.toml"] {
        let (_, headers, _) = get_from(&console, path, "127.0.0.1").await;
        let policy = headers.get(header::CONTENT_SECURITY_POLICY).unwrap().to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{path}");
        assert_eq!(headers.get(header::X_CONTENT_TYPE_OPTIONS).unwrap(), "nosniff", "{path}");
    }
    for (name, _, text) in FILES {
        assert!(
            INDEX.contains(name) || FILES.iter().any(|(_, _, other)| other.contains(name)),
            "{name} is used"
        );
        for forbidden in ["innerHTML", "outerHTML", "insertAdjacent", "document.write", "https://", "eval("] {
            assert!(!text.contains(forbidden), "{name} has {forbidden}");
        }
    }
    assert!(!INDEX.contains("style=") && !INDEX.contains("onclick") && !INDEX.contains("<script>"));
}

#[actix_web::test]
async fn a_browser_is_shown_a_page_where_there_is_none_and_a_program_is_told_so_in_json() {
    let console = filled();
    let shutdown = web::Data::new(Shutdown::new(Duration::ZERO));
    let app = init_service(App::new().app_data(console.clone()).app_data(shutdown).configure(routes)).await;
    for path in ["/nope", "/trace/ab/cd", "/assets/nope.js"] {
        for (accepted, kind) in [("text/html,*/*;q=0.8", "text/html"), ("*/*", "application/json")] {
            let request = TestRequest::with_uri(path).insert_header((header::ACCEPT, accepted));
            let answer = call_service(&app, request.to_request()).await;
            assert_eq!(answer.status(), 404, "{path}");
            let told = answer.headers().get(header::CONTENT_TYPE).unwrap().to_str().unwrap();
            assert!(told.starts_with(kind), "{path} {accepted}: {told}");
            let body = read_body(answer).await;
            let linked = String::from_utf8_lossy(&body).contains(r#"<a href="/">"#);
            assert_eq!(linked, kind == "text/html", "{path} {accepted}");
        }
    }
}

#[actix_web::test]
async fn a_name_that_a_foreign_page_could_own_is_refused() {
    let console = sample::console();
    for host in
        ["localhost:7005", "127.0.0.1", "[::1]:7005", "console:3005", "10.0.0.7:3005", "lab.localhost"]
    {
        assert_eq!(get_from(&console, "/api/services", host).await.0, 200, "{host}");
    }
    assert_eq!(get_from(&console, "/api/services", "lab.example:7005").await.0, 200, "named by a setting");
    for host in ["evil.example", "127.0.0.1.evil.example:7005", "localhost.evil.example", "[evil]:1", ""] {
        assert_eq!(get_from(&console, "/api/services", host).await.0, 421, "{host}");
    }
}

#[actix_web::test]
async fn head_is_answered_wherever_get_is() {
    let console = filled();
    let shutdown = web::Data::new(Shutdown::new(Duration::ZERO));
    let app = init_service(App::new().app_data(console.clone()).app_data(shutdown).configure(routes)).await;
    for path in ["/", "/health", "/api/services", "/api/overview", "/assets/app.js", "/trace/ab"] {
        let request = TestRequest::with_uri(path).method(Method::HEAD).to_request();
        assert_eq!(call_service(&app, request).await.status(), 200, "{path}");
    }
}
