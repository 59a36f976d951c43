//! Failures by their names: whose they are, and what is told of them.

mod gone;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use o11y_lab::schema::Role;
use serde_json::{Value, json};

use crate::helpers::raw::Raw;
use crate::helpers::standin::{response, serve};
use crate::helpers::{Lab, Process, eventually, get, metric, post, send, single};

const DURATIONS: &str = "http_server_request_duration_seconds";

fn labels(method: &str, route: &str, status: u16) -> String {
    format!("http_request_method=\"{method}\",http_route=\"{route}\",http_response_status_code=\"{status}\"")
}

/// How many requests of a route were counted with a status.
fn served(url: &str, method: &str, route: &str, status: u16) -> f64 {
    let series = format!("{DURATIONS}_count{{{}}}", labels(method, route, status));
    metric(&get(&format!("{url}/metrics")).text, &series).unwrap_or_default()
}

/// Those of them that took at most half a second.
fn served_quickly(url: &str, method: &str, route: &str, status: u16) -> f64 {
    let series = format!("{DURATIONS}_bucket{{{},le=\"0.5\"}}", labels(method, route, status));
    metric(&get(&format!("{url}/metrics")).text, &series).unwrap_or_default()
}

/// How many calls to a service ended so.
fn called(url: &str, peer: &str, outcome: &str) -> f64 {
    let series = format!(
        "http_client_request_duration_seconds_count{{peer_service=\"{peer}\",outcome=\"{outcome}\"}}"
    );
    metric(&get(&format!("{url}/metrics")).text, &series).unwrap()
}

fn log_lines(process: &Process) -> Vec<Value> {
    process.stdout().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// A gateway whose services are all `upstream`, an address.
fn gateway_before(upstream: &str, more: &[(&str, &str)]) -> (Process, String, tempfile::TempDir) {
    let upstream = format!("http://{upstream}");
    let urls = ["USER_SERVICE_URL", "ORDER_SERVICE_URL", "AWS_ENDPOINT_URL_LAMBDA"];
    let mut env: Vec<_> = urls.iter().map(|name| (*name, upstream.as_str())).collect();
    env.extend(more);
    single(Role::Gateway, &env)
}

#[test]
fn a_client_that_resets_its_connection_is_499_and_the_calls_made_for_it_are_cancelled() {
    let lab = Lab::start();
    let fault = json!({"fault": "latency", "ms": 20_000, "route": "/users/{id}"});
    assert!(post(&lab.url(Role::User, "/faults"), &fault).status < 300);
    let (gateway, trace) = (lab.api(""), "4bf92f3577b34da6a3ce929d0e0e4736");
    let mut client = Raw::sending(&gateway, "GET / HTTP/1.1\r\nhost: lab\r\n\r\n");
    client.send(&format!(
        "GET /api/users/1 HTTP/1.1\r\nhost: lab\r\ntraceparent: 00-{trace}-00f067aa0ba902b7-01\r\n\r\n"
    ));
    let active = "http_server_active_requests{http_request_method=\"GET\",http_route=\"/users/{id}\"}";
    eventually("the request has come through", || {
        lab.metric(Role::User, active).filter(|active| *active == 1.0)
    });
    client.reset();
    eventually("it is counted as aborted", || {
        (served(&gateway, "GET", "/api/users/{id}", 499) == 1.0).then_some(())
    });
    assert_eq!(called(&gateway, "user-service", "cancelled"), 1.0);
    assert_eq!(called(&gateway, "user-service", "timeout"), 0.0);
    let line = eventually("there is a line of it", || {
        lab.logs().into_iter().find(|line| line["service"] == "api-gateway" && line["status"] == 499)
    });
    assert_eq!((&line["traceId"], &line["level"]), (&json!(trace), &json!("info")), "{line}");
    let spans = lab.trace(trace, 2);
    let server = spans.span("api-gateway", "GET /api/users/{id}").unwrap();
    assert_eq!(server.text("http.response.status_code"), "499", "{server:?}");
    assert_eq!(server.text("error.type"), "cancelled");
    let call = spans.span("api-gateway", "GET /users/{id}").unwrap();
    assert_eq!(call.text("error.type"), "cancelled", "{call:?}");
}

#[test]
fn a_body_that_does_not_arrive_is_408_and_costs_no_objective() {
    let (process, url, _temp) = gateway_before("127.0.0.1:9", &[("REQUEST_TIMEOUT", "1500ms")]);
    let head = "POST /api/users HTTP/1.1\r\nhost: lab\r\ncontent-type: application/json\r\n";
    for rest in ["content-length: 100\r\n\r\n{\"name\":", "transfer-encoding: chunked\r\n\r\n2\r\n{\"\r\n"] {
        let mut client = Raw::sending(&url, &format!("{head}{rest}"));
        let answer = client.answer().unwrap();
        assert_eq!(answer.status, 408, "{answer:?}");
        assert!(
            answer.head.contains("application/problem+json") && answer.head.contains("connection: close")
        );
        assert_eq!(answer.json()["status"], 408);
        assert!(client.answer().is_none(), "the connection ends with it");
    }
    assert_eq!(served(&url, "POST", "/api/users", 408), 2.0);
    assert_eq!(served_quickly(&url, "POST", "/api/users", 408), 2.0, "the wait was none of our work");
    assert_eq!(served(&url, "POST", "/api/users", 504), 0.0);
    let lines = log_lines(&process);
    assert_eq!(lines.iter().filter(|line| line["status"] == 408).count(), 2, "{lines:?}");
    // One that breaks off in the middle is the client's as well.
    let mut client = Raw::sending(&url, "GET / HTTP/1.1\r\nhost: lab\r\n\r\n");
    client.send(&format!("{head}content-length: 100\r\n\r\n{{\"name\":"));
    eventually("its body is waited for", || {
        let active = "http_server_active_requests{http_request_method=\"POST\",http_route=\"/api/users\"}";
        metric(&get(&format!("{url}/metrics")).text, active).filter(|active| *active == 1.0)
    });
    client.reset();
    eventually("it is counted", || (served(&url, "POST", "/api/users", 499) == 1.0).then_some(()));
    assert_eq!(served_quickly(&url, "POST", "/api/users", 499), 1.0);
}

#[test]
fn an_answer_that_sends_elsewhere_is_no_success() {
    let upstream = serve(|_, _, _| Some(response("302 Found", "location: /\r\n", "")));
    let (_process, url, _temp) = gateway_before(&upstream, &[]);
    assert_eq!(get(&format!("{url}/api/users/1")).status, 502);
    assert_eq!((called(&url, "user-service", "3xx"), called(&url, "user-service", "2xx")), (1.0, 0.0));
}

#[test]
fn retry_after_is_honoured_and_handed_on_to_the_client() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let upstream = serve(move |_, _, _| {
        let busy =
            |seconds| response("503 Service Unavailable", &format!("retry-after: {seconds}\r\n"), "{}");
        Some(busy(if counted.fetch_add(1, Ordering::SeqCst) < 2 { 0 } else { 7 }))
    });
    let (_process, url, _temp) = gateway_before(&upstream, &[]);
    let answer = get(&format!("{url}/api/users/1"));
    assert_eq!((answer.status, answer.header("retry-after")), (503, "7"), "{answer:?}");
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    // Seven seconds are more than a call may take.
    assert_eq!(get(&format!("{url}/api/users/1")).status, 503);
    assert_eq!(asked.load(Ordering::SeqCst), 4);
}

#[test]
fn what_a_service_has_repeated_its_caller_does_not_repeat_again() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let users = serve(move |_, _, _| {
        counted.fetch_add(1, Ordering::SeqCst);
        Some(response("503 Service Unavailable", "retry-after: 0\r\n", "{}"))
    });
    let (_order, orders, _temp) = single(Role::Order, &[("USER_SERVICE_URL", &format!("http://{users}"))]);
    let (_gateway, url, _temp) = gateway_before("127.0.0.1:9", &[("ORDER_SERVICE_URL", orders.as_str())]);
    let order = json!({"userId": 1, "items": ["a"], "total": 1});
    assert_eq!(post(&format!("{url}/api/orders"), &order).status, 503);
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}

#[test]
fn a_service_stops_when_its_caller_stops_waiting_and_the_gateway_heeds_no_stranger() {
    let never = serve(|_, _, _| None);
    let patience = [("x-envoy-expected-rq-timeout-ms", "300"), ("content-type", "application/json")];
    let (_process, url, _temp) = single(Role::Order, &[("USER_SERVICE_URL", &format!("http://{never}"))]);
    let order = json!({"userId": 1, "items": ["a"], "total": 1}).to_string();
    let answer = send("POST", &format!("{url}/orders"), &patience, Some(order.as_bytes()));
    assert_eq!(answer.status, 504, "{answer:?}");
    // Without it the order-service waits for its own 2.25 s.
    assert!(served(&url, "POST", "/orders", 504) == 1.0);
    let slow = format!("{DURATIONS}_bucket{{{},le=\"1.5\"}}", labels("POST", "/orders", 504));
    assert_eq!(metric(&get(&format!("{url}/metrics")).text, &slow), Some(1.0));

    let late = serve(|_, _, _| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        Some(response("200 OK", "", "{}"))
    });
    let (_process, url, _temp) = gateway_before(&late, &[]);
    let hasty = [("x-envoy-expected-rq-timeout-ms", "1")];
    assert_eq!(send("GET", &format!("{url}/api/users/1"), &hasty, None).status, 200);
}

#[test]
fn head_is_answered_wherever_get_is_and_brings_no_body() {
    let lab = Lab::shared();
    let user = lab.user();
    for (role, path) in [
        (Role::Gateway, "/".to_owned()),
        (Role::Gateway, "/openapi.json".to_owned()),
        (Role::Gateway, format!("/api/users/{user}")),
        (Role::Gateway, "/api/users/999999999".to_owned()),
        (Role::Order, "/orders".to_owned()),
        (Role::Notify, "/stats".to_owned()),
        (Role::User, "/health".to_owned()),
        (Role::User, "/metrics".to_owned()),
    ] {
        let url = lab.url(role, &path);
        let mut client = Raw::connect(&url);
        client.send(&format!("HEAD {path} HTTP/1.1\r\nhost: lab\r\n\r\n"));
        client.send(&format!("GET {path} HTTP/1.1\r\nhost: lab\r\n\r\n"));
        let (head, got) = (client.answer_to("HEAD").unwrap(), client.answer().unwrap());
        assert_eq!(head.status, got.status, "{role} {path}: {head:?}");
        assert!(head.head.contains("content-length: ") && !got.body.is_empty(), "{head:?}");
    }
    assert_eq!(send("HEAD", &lab.api("/api/orders/validate"), &[], None).status, 405);
    assert!(served(&lab.api(""), "HEAD", "/api/users/{id}", 200) >= 1.0);
}

#[test]
fn a_body_that_is_compressed_is_415_and_a_query_may_be_percent_encoded() {
    let lab = Lab::shared();
    let json_body = ("content-type", "application/json");
    for encoding in ["gzip", "br", "deflate, gzip"] {
        let headers = [json_body, ("content-encoding", encoding)];
        let answer = send("POST", &lab.api("/api/users"), &headers, Some(b"\x1f\x8b\x08"));
        assert_eq!((answer.status, answer.header("accept-encoding")), (415, "identity"), "{answer:?}");
    }
    let headers = [json_body, ("content-encoding", "identity")];
    assert_eq!(send("POST", &lab.api("/api/users"), &headers, Some(b"{}")).status, 400);
    lab.order(lab.user());
    assert_eq!(get(&lab.api("/api/orders?limit=%31")).json["count"], 1);
    assert_eq!(get(&lab.api("/api/orders?%6Cimit=%30")).status, 400);
}

#[test]
fn a_webhook_that_could_not_be_stored_is_counted_when_it_is_sent_again_and_only_then() {
    let (_process, url, temp) = single(Role::Notify, &[]);
    let alerts: Vec<_> = (0..100)
        .map(|n| {
            json!({"status": "firing", "fingerprint": n.to_string(), "labels": {"alertname": "a"},
                   "annotations": {}, "startsAt": "2026-01-01T00:00:00Z"})
        })
        .collect();
    let webhook = json!({"version": "4", "status": "firing", "receiver": "r", "alerts": alerts});
    let received =
        || metric(&get(&format!("{url}/metrics")).text, "alerts_received_total{status=\"firing\"}");
    // Another process that holds the lock: no row can be written.
    let file = rusqlite::Connection::open(temp.path().join("notifications.db")).unwrap();
    file.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(post(&format!("{url}/alerts"), &webhook).status, 503);
    assert_eq!(received(), Some(0.0));
    file.execute_batch("ROLLBACK").unwrap();
    assert_eq!(post(&format!("{url}/alerts"), &webhook).status, 200);
    assert_eq!(received(), Some(100.0));
    assert_eq!(get(&format!("{url}/alerts")).json["count"], 100);
}

/// Requests that could not be read as such, by status.
fn refused_unread(url: &str, status: u16) -> f64 {
    served(url, "_OTHER", "other", status)
}

#[test]
fn what_is_no_request_is_refused_counted_and_logged_in_the_form_of_all_errors() {
    let (process, url, _temp) = gateway_before("127.0.0.1:9", &[]);
    let too_long = format!("GET / HTTP/1.1\r\nhost: lab\r\nx: {}", "x".repeat(140 * 1024));
    for (text, status) in [
        ("NONSENSE\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        (too_long.as_str(), 431),
        ("GET / HTTP/1.1\r\nhos", 408),
    ] {
        let mut client = Raw::sending(&url, text);
        let answer = client.answer().unwrap_or_else(|| panic!("no answer to {text:.40}"));
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(
            answer.head.contains("application/problem+json") && answer.head.contains("connection: close")
        );
        assert_eq!(
            (answer.json()["status"].as_u64(), answer.json()["error"].is_string()),
            (Some(status.into()), true)
        );
        assert!(client.answer().is_none(), "the connection ends with it");
    }
    let counted = [400, 408, 431].map(|status| refused_unread(&url, status));
    assert_eq!(counted, [2.0, 1.0, 1.0]);
    let requests = metric(&get(&format!("{url}/metrics")).text, "gateway_requests_total{endpoint=\"other\"}");
    assert_eq!(requests, Some(4.0));
    let lines = log_lines(&process);
    let said: Vec<_> = lines.iter().filter(|line| line["message"] == "request refused unread").collect();
    assert_eq!(said.len(), 4, "{lines:?}");
    assert!(
        lines.iter().all(|line| line["level"] != "error"),
        "a client's mistake is none of ours: {lines:?}"
    );
    // Also behind a request that is one, on the same connection.
    let mut client = Raw::sending(&url, "GET / HTTP/1.1\r\nhost: lab\r\n\r\nNONSENSE\r\n\r\n");
    assert_eq!(client.answer().unwrap().status, 200);
    let answer = client.answer().unwrap();
    assert_eq!((answer.status, answer.json()["status"].as_u64()), (400, Some(400)), "{answer:?}");
}

#[test]
fn a_head_that_does_not_end_is_408_on_a_connection_that_was_used_before_too() {
    let (_process, url, _temp) = gateway_before("127.0.0.1:9", &[]);
    let mut client = Raw::sending(&url, "GET / HTTP/1.1\r\nhost: lab\r\n\r\n");
    assert_eq!(client.answer().unwrap().status, 200);
    client.send("GET / HTTP/1.1\r\nhos");
    let answer = client.answer().unwrap();
    assert_eq!((answer.status, answer.json()["status"].as_u64()), (408, Some(408)), "{answer:?}");
    assert!(client.answer().is_none());
    assert_eq!(refused_unread(&url, 408), 1.0);
    // One that was opened and never used made no request.
    let mut silent = Raw::connect(&url);
    while silent.answer().is_some() {}
    assert_eq!(refused_unread(&url, 408), 1.0);
}

#[test]
fn a_client_that_would_rather_speak_http_2_is_answered_plainly_and_keeps_its_connection() {
    let lab = Lab::shared();
    let offer = "connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAoAAA\r\n";
    let mut client = Raw::connect(&lab.api(""));
    for _ in 0..3 {
        client.send(&format!("GET / HTTP/1.1\r\nhost: lab\r\n{offer}\r\n"));
        let answer = client.answer().unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(!answer.head.contains("upgrade"), "{answer:?}");
        let body = format!("{{\"name\":\"Ada\",\"email\":\"{}@example.com\"}}", uuid::Uuid::now_v7());
        client.send(&format!(
            "POST /api/users HTTP/1.1\r\nhost: lab\r\n{offer}content-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        ));
        let answer = client.answer().unwrap();
        assert_eq!(answer.status, 201, "{answer:?}");
    }
}

#[test]
fn nothing_is_served_after_a_request_that_said_it_was_the_last() {
    let (_process, url, _temp) = gateway_before("127.0.0.1:9", &[]);
    let last = "GET / HTTP/1.1\r\nhost: lab\r\nconnection: close\r\n\r\n";
    let more = "GET /openapi.json HTTP/1.1\r\nhost: lab\r\n\r\n";
    for text in [format!("{last}{more}{more}"), format!("GET / HTTP/1.0\r\n\r\n{more}")] {
        let mut client = Raw::sending(&url, &text);
        assert_eq!(client.answer().unwrap().status, 200);
        assert!(client.answer().is_none());
    }
    assert_eq!(served(&url, "GET", "/", 200), 2.0);
    assert_eq!(served(&url, "GET", "/openapi.json", 200), 0.0);
    let active = "http_server_active_requests{http_request_method=\"GET\",http_route=\"/openapi.json\"}";
    assert_eq!(metric(&get(&format!("{url}/metrics")).text, active), Some(0.0));
}

#[test]
fn a_client_that_does_not_take_its_answers_is_cut_off() {
    let page =
        response("200 OK", "content-type: application/json\r\n", &format!("\"{}\"", "x".repeat(900_000)));
    let upstream = serve(move |_, _, _| Some(page.clone()));
    let (process, url, _temp) = gateway_before(&upstream, &[("REQUEST_TIMEOUT", "1")]);
    let mut client = Raw::connect(&url);
    // More than the kernel takes for both sides.
    for _ in 0..60 {
        client.send("GET /api/users HTTP/1.1\r\nhost: lab\r\n\r\n");
    }
    eventually("it is cut off", || {
        process.stdout().contains("an answer was not taken in time").then_some(())
    });
    assert_eq!(get(&format!("{url}/api/users")).status, 200);
}

#[test]
fn a_page_is_bounded_by_its_bytes_and_the_next_one_goes_on() {
    let (_users, users, _temp) = single(Role::User, &[]);
    let email = json!({"name": "Ada", "email": "ada@example.com"});
    let user = post(&format!("{users}/users"), &email).id();
    let (_process, url, _temp) = single(Role::Order, &[("USER_SERVICE_URL", &users)]);
    let order = json!({"userId": user, "items": vec!["x".repeat(1_000); 60], "total": 1});
    for _ in 0..12 {
        assert_eq!(post(&format!("{url}/orders"), &order).status, 201);
    }
    let (mut after, mut seen, mut pages) = (json!(0), Vec::new(), 0);
    while !after.is_null() {
        let page = get(&format!("{url}/orders?limit=500&after={after}"));
        assert_eq!(page.status, 200, "{page:.200?}");
        assert!(page.text.len() < 320 * 1024, "{}", page.text.len());
        let rows = page.json["orders"].as_array().unwrap();
        assert_eq!(page.json["count"], rows.len());
        seen.extend(rows.iter().map(|row| row["id"].as_i64().unwrap()));
        (after, pages) = (page.json["next"].clone(), pages + 1);
    }
    assert_eq!((seen, pages), ((1..=12).collect(), 3));
    // What JSON writes longer than it came counts as it is written.
    let order = json!({"userId": user, "items": vec!["\u{1}".repeat(1_000); 10], "total": 1});
    (0..12).for_each(|_| assert_eq!(post(&format!("{url}/orders"), &order).status, 201));
    let page = get(&format!("{url}/orders?limit=500&after=12"));
    assert_eq!(page.status, 200, "{page:.200?}");
    assert!(page.text.len() < 320 * 1024, "{}", page.text.len());
}
