//! Faults as a learner uses them: set by the command, seen from outside, gone when they should be.
//!
//! One lab serves the tests one after the other: a fault of one would be the next one's surprise.

mod calls;
mod process;

use std::sync::{Mutex, MutexGuard, OnceLock};

use o11y_lab::lab::backend::trace::{SpanKind, SpanStatus};
use o11y_lab::schema::{FAULT_NAMES, Fault, Role, SERVICES};
use serde_json::{Value, json};

use crate::helpers::{Answer, Lab, bin, eventually, free_port_base, get, metric, post, send, single};

/// The lab of this file, with no fault active and no dead letters.
fn lab() -> MutexGuard<'static, Lab> {
    static LAB: OnceLock<Mutex<Lab>> = OnceLock::new();
    let lab = LAB.get_or_init(|| Mutex::new(Lab::start())).lock().unwrap_or_else(|e| e.into_inner());
    for service in &SERVICES {
        assert_eq!(send("DELETE", &lab.url(service.role, "/faults"), &[], None).status, 200);
    }
    if dead(&lab) > 0 {
        // A test that failed left them.
        queue(&lab, &["dead", "replay", "--all"]);
    }
    lab
}

/// What a command said.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

fn run(args: &[&str]) -> Said {
    let done = bin().args(args).output().expect("the command runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    Said { code: done.status.code(), out: text(done.stdout), err: text(done.stderr) }
}

/// `o11y-lab fault` on this lab; must succeed.
#[track_caller]
fn fault(lab: &Lab, args: &[&str]) -> String {
    let base = lab.base.to_string();
    let said = run(&[&["fault"], args, &["--port-base", &base]].concat());
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{args:?}: {said:?}");
    said.out
}

fn active(lab: &Lab, role: Role) -> Vec<Value> {
    get(&lab.url(role, "/faults")).json["active"].as_array().expect("a list").clone()
}

fn value(lab: &Lab, role: Role, series: &str) -> f64 {
    lab.metric(role, series).unwrap_or_else(|| panic!("no {series}"))
}

/// The metric says that these faults of the role are active, and no others.
#[track_caller]
fn assert_gauges(lab: &Lab, role: Role, on: &[&str]) {
    for fault in Fault::of(role) {
        let expected = if on.contains(&fault.name) { 1.0 } else { 0.0 };
        let series = format!("fault_active{{fault=\"{}\"}}", fault.name);
        assert_eq!(value(lab, role, &series), expected, "{role} {series}");
    }
}

/// A log line of this service about a fault.
fn wait_line(lab: &Lab, service: &str, message: &str, fault: &str) {
    eventually(&format!("{service} says {message:?} of {fault}"), || {
        let lines = lab.logs();
        let line = lines.iter().find(|line| {
            line["service"] == service && line["message"] == message && line["fault"] == fault
        })?;
        assert_eq!(line["level"], "warn", "{line}");
        Some(())
    });
}

fn duration(part: &str, method: &str, route: &str, status: u16) -> String {
    format!(
        "http_server_request_duration_seconds_{part}{{http_request_method=\"{method}\",\
         http_route=\"{route}\",http_response_status_code=\"{status}\"}}"
    )
}

fn dead(lab: &Lab) -> u64 {
    get(&lab.url(Role::Notify, "/stats")).json["dead"].as_u64().expect("a number")
}

fn queue(lab: &Lab, args: &[&str]) -> Value {
    let base = lab.base.to_string();
    let dir = lab.dir.to_str().expect("text");
    let said = run(&[&["queue"], args, &["--json", "--port-base", &base, "--data-dir", dir]].concat());
    assert_eq!(said.code, Some(0), "{said:?}");
    serde_json::from_str(&said.out).expect("JSON")
}

/// Sends the dead letters back and sees the notification that was missing.
fn replay(lab: &Lab, order: i64) {
    assert_eq!(lab.notifications(order).len(), 0);
    queue(lab, &["dead", "replay", "--all"]);
    assert_eq!(lab.wait_notifications(order, 1).len(), 1);
    assert_eq!(dead(lab), 0);
}

#[test]
fn latency_is_inside_the_server_span_of_its_role_and_route_and_nowhere_else() {
    let lab = lab();
    let user = lab.user();
    let sum = duration("sum", "GET", "/users/{id}", 200);
    let before = value(&lab, Role::User, &sum);
    let said = fault(&lab, &["set", "latency", "--ms", "400", "--route", "/users/{id}"]);
    assert!(said.contains("user") && said.contains("ms 400") && said.contains("route /users/{id}"), "{said}");
    assert_gauges(&lab, Role::User, &["latency"]);
    assert_gauges(&lab, Role::Gateway, &[]);

    let answer = get(&lab.api(&format!("/api/users/{user}")));
    assert_eq!((answer.status, answer.id()), (200, user));
    // Not a guess about speed: a wait is never shorter than asked for.
    assert!(value(&lab, Role::User, &sum) - before >= 0.4);
    let trace = lab.trace(&answer.trace_id(), 4);
    assert_eq!(trace.span("user-service", "GET /users/{id}").unwrap().text("o11y_lab.fault"), "latency");
    assert_eq!(trace.span("user-service", "GET /users/{id}").unwrap().status, SpanStatus::Unset);
    let hit = trace.spans.iter().filter(|span| !span.text("o11y_lab.fault").is_empty());
    assert_eq!(hit.count(), 1, "{}", trace.drawing());
    let other = get(&lab.api("/api/users"));
    assert_eq!(
        lab.trace(&other.trace_id(), 4).span("user-service", "GET /users").unwrap().text("o11y_lab.fault"),
        ""
    );
}

#[test]
fn an_injected_error_looks_like_a_real_one_and_ends_when_it_is_cleared() {
    let lab = lab();
    let user = lab.user();
    let count = duration("count", "GET", "/users", 500);
    let (errors, counted) = (value(&lab, Role::User, "users_errors_total"), value(&lab, Role::User, &count));
    fault(&lab, &["set", "error", "--role", "user", "--route", "/users", "--seconds", "3600"]);
    wait_line(&lab, "user-service", "Fault set", "error");

    let answer = get(&lab.url(Role::User, "/users"));
    assert_eq!((answer.status, answer.header("content-type")), (500, "application/problem+json"));
    assert_eq!(answer.json["traceId"], answer.trace_id().as_str());
    assert!(!answer.text.contains("fault") && !answer.text.contains("inject"), "{answer:?}");
    assert_eq!(value(&lab, Role::User, &count) - counted, 1.0);
    assert_eq!(value(&lab, Role::User, "users_errors_total") - errors, 1.0);
    let trace = lab.trace(&answer.trace_id(), 1);
    let span = trace.span("user-service", "GET /users").unwrap();
    assert_eq!((span.status, span.text("error.type").as_str()), (SpanStatus::Error, "500"));
    assert_eq!((span.text("o11y_lab.fault").as_str(), span.events.len()), ("error", 1));

    // Nothing else of the role is hit.
    for path in [&format!("/users/{user}"), "/health", "/ready", "/metrics", "/faults"] {
        assert_eq!(get(&lab.url(Role::User, path)).status, 200, "{path}");
    }
    assert_eq!(active(&lab, Role::User)[0]["status"], 500);
    assert_eq!(fault(&lab, &["clear", "error"]), "cleared error at user\n");
    assert_eq!(get(&lab.url(Role::User, "/users")).status, 200);
    assert_gauges(&lab, Role::User, &[]);
    wait_line(&lab, "user-service", "Fault cleared", "error");
    assert_eq!(fault(&lab, &["clear"]), "nothing was active\n");
}

#[test]
fn the_validator_failing_is_seen_on_its_span_and_orders_go_on() {
    let lab = lab();
    let user = lab.user();
    const SKIPPED: &str = "gateway_validation_skipped_total{reason=\"function_error\"}";
    let skipped = value(&lab, Role::Gateway, SKIPPED);
    fault(&lab, &["set", "error", "--role", "lambda"]);
    let order = lab.order(user);
    assert_eq!(value(&lab, Role::Gateway, SKIPPED) - skipped, 1.0);
    let trace = lab.trace(&order.trace_id(), o11y_lab::lab::expect::ORDER_TRACE.len());
    let span = trace.span("order-validator", "order-validator").unwrap();
    assert_eq!((span.status, span.text("o11y_lab.fault").as_str()), (SpanStatus::Error, "error"));
    assert_eq!(
        trace.span("api-gateway", "invoke order-validator").unwrap().text("error.type"),
        "function_error"
    );
}

#[test]
fn a_slow_database_counts_against_its_time_limit_and_leaves_readiness_alone() {
    let lab = lab();
    let operations = |part: &str, outcome: &str| {
        let series = format!(
            "db_client_operation_duration_seconds_{part}{{db_operation_name=\"SELECT\",outcome=\"{outcome}\"}}"
        );
        value(&lab, Role::User, &series)
    };
    let ok = operations("sum", "ok");
    fault(&lab, &["set", "slow-db", "--role", "user", "--ms", "200"]);
    let answer = get(&lab.url(Role::User, "/users"));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(operations("sum", "ok") - ok >= 0.2);
    let span = lab.trace(&answer.trace_id(), 2).span("user-service", "SELECT users").unwrap().clone();
    assert_eq!((span.text("o11y_lab.fault").as_str(), span.status), ("slow-db", SpanStatus::Unset));

    let late = operations("count", "timeout");
    fault(&lab, &["set", "slow-db", "--role", "user", "--ms", "60000"]);
    assert_eq!(get(&lab.url(Role::User, "/ready")).status, 200);
    let answer = get(&lab.url(Role::User, "/users"));
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(operations("count", "timeout") - late, 1.0);
    let span = lab.trace(&answer.trace_id(), 2).span("user-service", "SELECT users").unwrap().clone();
    assert_eq!((span.text("o11y_lab.fault").as_str(), span.status), ("slow-db", SpanStatus::Error));
    fault(&lab, &["clear", "slow-db", "--role", "user"]);
    assert_eq!(get(&lab.url(Role::User, "/users")).status, 200);
}

#[test]
fn a_stalled_consumer_lets_the_queue_grow_and_catches_up_afterwards() {
    let lab = lab();
    let user = lab.user();
    fault(&lab, &["set", "consumer-stall", "--seconds", "600"]);
    let mut orders = Vec::new();
    eventually("messages wait", || {
        orders.push(lab.order(user).id());
        (value(&lab, Role::Notify, "queue_consumer_lag") >= 2.0).then_some(())
    });
    let (last, stats) = (orders[orders.len() - 1], get(&lab.url(Role::Notify, "/stats")));
    assert!(stats.json["waiting"].as_u64() >= Some(2), "{stats:?}");
    assert_eq!(lab.notifications(last).len(), 0);
    assert_eq!(get(&lab.url(Role::Notify, "/ready")).status, 200);
    fault(&lab, &["clear", "consumer-stall"]);
    for order in orders {
        assert_eq!(lab.wait_notifications(order, 1).len(), 1);
    }
}

#[test]
fn a_failing_handler_is_retried_into_the_dead_letters_and_replay_sends_the_notification() {
    let lab = lab();
    let user = lab.user();
    let processed = |status: &str| {
        let series = format!("queue_messages_processed_total{{status=\"{status}\"}}");
        value(&lab, Role::Notify, &series)
    };
    let (retried, given_up) = (processed("retried"), processed("dead"));
    fault(&lab, &["set", "handler-error", "--seconds", "600"]);
    let order = lab.order(user);
    eventually("the message is dead-lettered", || (dead(&lab) == 1).then_some(()));
    fault(&lab, &["clear"]);
    eventually("and counted", || (processed("dead") - given_up == 1.0).then_some(()));
    assert_eq!(processed("retried") - retried, 4.0);
    let trace = lab.trace(&order.trace_id(), 15);
    let attempts: Vec<_> = trace.spans.iter().filter(|span| span.kind == SpanKind::Consumer).collect();
    assert_eq!(attempts.len(), 5, "{}", trace.drawing());
    for span in attempts {
        let (fault, kind) = (span.text("o11y_lab.fault"), span.text("error.type"));
        assert_eq!(
            (span.status, fault.as_str(), kind.as_str()),
            (SpanStatus::Error, "handler-error", "handler_error")
        );
    }
    replay(&lab, order.id());
}

#[test]
fn a_poison_message_is_given_up_at_once_with_its_whole_body_and_can_be_replayed() {
    let lab = lab();
    let user = lab.user();
    fault(&lab, &["set", "poison", "--seconds", "600"]);
    let order = lab.order(user);
    eventually("the message is dead-lettered", || (dead(&lab) == 1).then_some(()));
    let letters = queue(&lab, &["dead", "list"])["deadLetters"].clone();
    assert_eq!(letters[0]["body"]["orderId"], order.id(), "{letters}");
    assert_eq!(letters[0]["attempts"], 1, "{letters}");
    assert!(letters[0]["reason"].as_str().unwrap().contains("not an order event"), "{letters}");
    let trace = lab.trace(&order.trace_id(), 11);
    let span = trace.span("notification-service", "process notifications").unwrap();
    let (fault_hit, kind) = (span.text("o11y_lab.fault"), span.text("error.type"));
    assert_eq!(
        (span.status, fault_hit.as_str(), kind.as_str()),
        (SpanStatus::Error, "poison", "poison_message")
    );
    fault(&lab, &["clear", "poison"]);
    replay(&lab, order.id());
}

#[test]
fn without_its_context_a_message_is_handled_in_a_trace_of_its_own() {
    let lab = lab();
    let user = lab.user();
    fault(&lab, &["set", "drop-context"]);
    let order = lab.order(user);
    let row = lab.wait_notifications(order.id(), 1)[0].clone();
    let (theirs, ours) = (row["traceId"].as_str().expect("a trace").to_owned(), order.trace_id());
    assert_ne!(theirs, ours);
    let trace = lab.trace(&ours, 10);
    assert_eq!(
        trace.span("order-service", "send notifications").unwrap().text("o11y_lab.fault"),
        "drop-context"
    );
    assert!(trace.spans.iter().all(|span| span.service != "notification-service"), "{}", trace.drawing());
    let other = lab.trace(&theirs, 2);
    assert_eq!(other.roots()[0].name, "process notifications", "{}", other.drawing());
    fault(&lab, &["clear"]);
    let order = lab.order(user);
    assert_eq!(lab.wait_notifications(order.id(), 1)[0]["traceId"], order.trace_id().as_str());
}

#[test]
fn a_fault_ends_by_itself_and_says_so() {
    let lab = lab();
    fault(&lab, &["set", "error", "--role", "gateway", "--status", "503", "--seconds", "1"]);
    eventually("the gateway serves again", || (get(&lab.api("/api/users")).status == 200).then_some(()));
    eventually("the gauge knows", || {
        (lab.metric(Role::Gateway, "fault_active{fault=\"error\"}")? == 0.0).then_some(())
    });
    wait_line(&lab, "api-gateway", "Fault expired", "error");
    assert!(active(&lab, Role::Gateway).is_empty());
}

#[test]
fn the_list_shows_every_fault_and_what_is_active_where() {
    let lab = lab();
    fault(&lab, &["set", "latency", "--role", "gateway", "--ms", "1"]);
    fault(&lab, &["set", "consumer-stall"]);
    let text = fault(&lab, &["list"]);
    assert!(FAULT_NAMES.iter().all(|name| text.contains(name)), "{text}");
    let json: Value = serde_json::from_str(&fault(&lab, &["list", "--json"])).unwrap();
    assert_eq!(json["faults"].as_array().unwrap().len(), FAULT_NAMES.len());
    let seen: Vec<_> = json["active"].as_array().unwrap().iter().map(|a| (&a["role"], &a["fault"])).collect();
    let expected = [(&json!("gateway"), &json!("latency")), (&json!("notify"), &json!("consumer-stall"))];
    assert_eq!(seen, expected);
    assert!(json["active"][0]["secondsLeft"].as_f64().is_some_and(|s| s > 0.0 && s <= 60.0), "{json}");
    let at_url = run(&["fault", "list", "--json", "--url", &lab.url(Role::Notify, "")]);
    let at_url: Value = serde_json::from_str(&at_url.out).unwrap();
    assert_eq!(at_url["active"].as_array().unwrap().len(), 1);
}

#[test]
fn a_wrong_request_names_every_wrong_field_and_sets_nothing() {
    let lab = lab();
    let url = lab.url(Role::Order, "/faults");
    let wrong =
        json!({"fault": "error", "ratio": 7, "route": "/health", "status": 200, "seconds": 0, "x": 1});
    let answer = post(&url, &wrong);
    assert_eq!((answer.status, answer.header("content-type")), (400, "application/problem+json"));
    let errors = answer.json["errors"].to_string();
    for field in ["ratio", "route", "status", "seconds", "x"] {
        assert!(errors.contains(&format!("\"{field} ")), "{field}: {errors}");
    }
    // Another role's fault is none of this one's.
    assert_eq!(post(&url, &json!({"fault": "poison"})).status, 400);
    let body = |kind: &str, text: &str| send("POST", &url, &[("content-type", kind)], Some(text.as_bytes()));
    assert_eq!(body("application/json", "{").status, 400);
    assert_eq!(body("text/plain", "{\"fault\":\"error\"}").status, 415);
    assert_eq!(send("DELETE", &format!("{url}/poison"), &[], None).status, 404);
    let put = send("PUT", &url, &[], None);
    assert_eq!((put.status, put.header("allow")), (405, "GET, POST, DELETE"));
    assert!(active(&lab, Role::Order).is_empty());
    assert_gauges(&lab, Role::Order, &[]);

    let base = lab.base.to_string();
    let said = run(&["fault", "set", "error", "--ratio", "0", "--seconds", "0", "--port-base", &base]);
    assert_eq!((said.code, said.out.as_str(), said.err.lines().count()), (Some(1), "", 1), "{said:?}");
    assert!(said.err.contains("ratio must be") && said.err.contains("seconds must be"), "{said:?}");
    assert_eq!(run(&["fault", "set", "no-such-fault"]).code, Some(2));
}

#[test]
fn where_faults_are_off_or_nobody_is_the_command_says_so() {
    let (_off, url, _temp) = single(Role::User, &[]);
    for (method, path) in [("GET", ""), ("POST", ""), ("DELETE", ""), ("DELETE", "/error")] {
        let answer = send(method, &format!("{url}/faults{path}"), &[], None);
        assert_eq!(
            (answer.status, answer.json["detail"].as_str()),
            (404, Some("no such resource")),
            "{method}"
        );
    }
    let page = get(&format!("{url}/metrics")).text;
    assert_eq!(metric(&page, "fault_active{fault=\"error\"}"), Some(0.0));
    let away = format!("http://127.0.0.1:{}", free_port_base());
    for (url, reason) in [(&url, "FAULTS_ENABLED=true"), (&away, "the lab is not running")] {
        for args in [["set", "error"].as_slice(), &["clear"]] {
            let said = run(&[&["fault"], args, &["--url", url]].concat());
            assert_eq!(
                (said.code, said.out.as_str(), said.err.lines().count()),
                (Some(1), "", 1),
                "{said:?}"
            );
            assert!(said.err.contains(reason), "{said:?}");
        }
        let said = run(&["fault", "list", "--url", url]);
        assert_eq!(said.code, Some(0), "{said:?}");
        assert!(said.err.contains(reason) && said.out.contains("no fault is active"), "{said:?}");
    }
}

#[test]
fn a_role_that_could_have_faults_and_has_none_answers_as_one_that_cannot() {
    let answers = |env: &[(&str, &str)]| -> Vec<String> {
        let (_role, url, _temp) = single(Role::User, env);
        eventually("ready", || (get(&format!("{url}/ready")).status == 200).then_some(()));
        let user = json!({"name": "Ada", "email": "ada@example.com"});
        let mut all = vec![post(&format!("{url}/users"), &user), post(&format!("{url}/users"), &user)];
        all.push(post(&format!("{url}/users"), &json!({"name": 3})));
        for path in ["/users", "/users/1", "/users/2", "/users?limit=x", "/nothing", "/health", "/ready"] {
            all.push(get(&format!("{url}{path}")));
        }
        for (method, path) in [("PUT", "/users"), ("DELETE", "/ready"), ("BREW", "/users/1")] {
            all.push(send(method, &format!("{url}{path}"), &[], None));
        }
        all.into_iter().map(plain).collect()
    };
    assert_eq!(answers(&[("FAULTS_ENABLED", "true")]), answers(&[]));
}

/// An answer without what differs between any two.
fn plain(mut answer: Answer) -> String {
    for name in ["date", "traceresponse", "content-length"] {
        answer.headers.remove(name);
    }
    if let Some(user) = answer.json.pointer_mut("/users/0").and_then(Value::as_object_mut) {
        user.remove("createdAt");
    }
    if let Some(body) = answer.json.as_object_mut() {
        body.retain(|name, _| !["traceId", "createdAt"].contains(&name.as_str()));
    }
    format!("{} {:?} {}", answer.status, answer.headers, answer.json)
}

#[test]
fn every_fault_that_a_document_sets_is_a_command_the_program_takes() {
    let mut seen = 0;
    for folder in ["docs", "docs/runbooks", "."] {
        let entries = std::fs::read_dir(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder));
        for file in entries.expect("a folder").flatten().map(|entry| entry.path()) {
            if file.extension().is_none_or(|extension| extension != "md") {
                continue;
            }
            let text = std::fs::read_to_string(&file).expect("text");
            for rest in text.split("o11y-lab fault set ").skip(1) {
                let end = rest.find(['`', '\n', '#']).unwrap_or(rest.len());
                let words: Vec<_> = rest[..end].split_whitespace().collect();
                if words.iter().any(|word| word.starts_with(['[', '<', 'N', '…'])) {
                    continue;
                }
                let all = ["o11y-lab", "fault", "set"].iter().chain(&words);
                let parsed = o11y_lab::cli::command().try_get_matches_from(all);
                assert!(parsed.is_ok(), "{}: {words:?}: {}", file.display(), parsed.unwrap_err());
                seen += 1;
            }
        }
    }
    assert!(seen > 10, "{seen}");
}

#[test]
fn a_ratio_that_is_no_number_is_refused_and_the_error_names_this_commands_own_flag() {
    for (words, said) in [
        (["fault", "set", "error", "--ratio", "nan"], "--ratio"),
        (["fault", "set", "error", "--role", "order-validator"], "--role <ROLE>: expected one of"),
    ] {
        let refused = run(&words);
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.err.contains(said) && !refused.err.contains("UP_ROLES"), "{refused:?}");
    }
}
