//! What the services write to standard output.

use o11y_lab::lab::expect::ORDER_TRACE;
use o11y_lab::schema::SERVICES;
use serde_json::{Value, json};

use crate::helpers::{Lab, eventually, get, post};

fn lines_of(lab: &Lab, trace: &str) -> Vec<Value> {
    lab.logs().into_iter().filter(|line| line["traceId"] == trace).collect()
}

#[test]
fn trap_14_every_line_is_json_with_a_true_timestamp_a_level_a_message_and_a_service() {
    let lab = Lab::shared();
    lab.order(lab.user());
    let text = std::fs::read_to_string(lab.dir.with_extension("log")).unwrap();
    assert!(!text.is_empty());
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        let timestamp: jiff::Timestamp = line["timestamp"].as_str().unwrap().parse().unwrap();
        let age = jiff::Timestamp::now().duration_since(timestamp);
        // The lab is shared and may be as old as the whole run.
        assert!((-5..7200).contains(&age.as_secs()), "{line}");
        assert!(
            ["trace", "debug", "info", "warn", "error"].contains(&line["level"].as_str().unwrap()),
            "{line}"
        );
        assert!(line["message"].is_string(), "{line}");
        assert!(SERVICES.iter().any(|service| line["service"] == service.name), "{line}");
        assert_ne!(line["traceId"], "", "{line}");
    }
}

#[test]
fn every_service_on_the_way_of_an_order_logs_with_the_orders_trace_id() {
    let lab = Lab::shared();
    let order = lab.order(lab.user());
    lab.wait_notifications(order.id(), 1);
    eventually("log lines of all five services", || {
        let lines = lines_of(lab, &order.trace_id());
        SERVICES.iter().all(|s| lines.iter().any(|line| line["service"] == s.name)).then_some(())
    });
    let lines = lines_of(lab, &order.trace_id());
    let created = lines.iter().find(|line| line["message"] == "Order created").unwrap();
    assert_eq!((&created["orderId"], &created["total"]), (&json!(order.id()), &json!(49.99)));
    assert_eq!(created["level"], "info");
}

#[test]
fn trap_14_the_consumer_logs_its_own_span_and_not_the_producers() {
    let lab = Lab::shared();
    let order = lab.order(lab.user());
    let trace = lab.trace(&order.trace_id(), ORDER_TRACE.len());
    let ours: Vec<_> =
        trace.spans.iter().filter(|s| s.service == "notification-service").map(|s| s.id.clone()).collect();
    let lines = eventually("a line of the consumer", || {
        let mut lines = lines_of(lab, &order.trace_id());
        lines.retain(|line| line["service"] == "notification-service");
        (!lines.is_empty()).then_some(lines)
    });
    for line in lines {
        assert!(ours.contains(&line["spanId"].as_str().unwrap().to_owned()), "{line}");
    }
}

#[test]
fn every_log_line_of_a_trace_names_a_span_of_that_trace() {
    let lab = Lab::shared();
    let order = lab.order(lab.user());
    let trace = lab.trace(&order.trace_id(), ORDER_TRACE.len());
    for line in lines_of(lab, &order.trace_id()) {
        let span = trace.spans.iter().find(|s| line["spanId"] == s.id.as_str());
        assert_eq!(span.map(|s| s.service.as_str()), line["service"].as_str(), "{line}");
    }
}

#[test]
fn no_input_can_forge_a_line_and_no_email_is_logged() {
    let lab = Lab::shared();
    let email = format!("{}@example.com", uuid::Uuid::now_v7());
    let forged = "x\\\"}\n{\"level\":\"error\",\"message\":\"forged\"}";
    post(&lab.api("/api/users"), &json!({"name": forged, "email": email}));
    let created =
        post(&lab.api("/api/users"), &json!({"name": "\u{2028}{\"message\":\"forged\"}", "email": email}));
    get(&lab.api("/api/users/%0A%7B%22message%22%3A%22forged%22%7D"));
    eventually("the request's lines", || (!lines_of(lab, &created.trace_id()).is_empty()).then_some(()));
    let text = std::fs::read_to_string(lab.dir.with_extension("log")).unwrap();
    assert!(!text.contains(&email));
    for line in lab.logs() {
        assert_ne!(line["message"], "forged", "{line}");
    }
}

#[test]
fn a_log_level_of_warn_keeps_traces_and_drops_info_lines() {
    let lab = Lab::start_with(&[("LOG_LEVEL", "warn")]);
    let order = lab.order(lab.user());
    assert_eq!(lab.trace(&order.trace_id(), ORDER_TRACE.len()).spans.len(), ORDER_TRACE.len());
    assert!(lab.logs().iter().all(|line| line["level"] != "info"), "{:?}", lab.logs());
}

#[test]
fn trap_15_log_lines_arrive_whole_and_are_found_by_their_trace_id() {
    let lab = Lab::shared();
    let order = lab.order(lab.user());
    lab.wait_notifications(order.id(), 1);
    let url = lab.console(&format!("/api/logs?traceId={}&limit=100", order.trace_id()));
    // Console and file are fed by two writers that do not wait for each other: either may be first.
    eventually("the notification's line on the console, and each of the console's in the file", || {
        let logs = get(&url).json["logs"].as_array()?.clone();
        let file = lines_of(lab, &order.trace_id());
        let sent = logs.iter().any(|line| line["message"] == "Notification sent");
        (sent && logs.iter().all(|line| file.contains(line))).then_some(())
    });
}
