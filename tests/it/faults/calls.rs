//! Faults of calls, of the database's pool, of the outbox, and of some users only.

use o11y_lab::lab::backend::trace::{Span, Trace};

use super::*;

fn named<'a>(trace: &'a Trace, service: &str, name: &str, kind: SpanKind) -> Vec<&'a Span> {
    let of = |span: &&Span| span.service == service && span.name == name && span.kind == kind;
    trace.spans.iter().filter(of).collect()
}

fn hit(span: &Span) -> String {
    span.text("o11y_lab.fault")
}

#[test]
fn while_nothing_can_be_published_orders_are_taken_and_their_messages_come_afterwards_in_the_same_trace() {
    let lab = lab();
    let user = lab.user();
    let errors = value(&lab, Role::Order, "queue_publish_errors_total");
    fault(&lab, &["set", "publish-error", "--seconds", "600"]);
    let order = lab.order(user);
    eventually("the outbox shows what waits", || {
        (value(&lab, Role::Order, "queue_outbox_pending") >= 1.0).then_some(())
    });
    eventually("another try failed", || {
        (value(&lab, Role::Order, "queue_publish_errors_total") >= errors + 2.0).then_some(())
    });
    let trace = lab.trace_now(&order.trace_id());
    assert!(trace.span("order-service", "INSERT orders").is_ok(), "{}", trace.drawing());
    assert!(trace.spans.iter().all(|span| span.status == SpanStatus::Unset), "{}", trace.drawing());
    assert!(trace.span("order-service", "send notifications").is_err(), "{}", trace.drawing());
    assert_eq!(lab.notifications(order.id()).len(), 0);
    fault(&lab, &["clear"]);
    assert_eq!(lab.wait_notifications(order.id(), 1).len(), 1);
    lab.trace(&order.trace_id(), o11y_lab::lab::expect::ORDER_TRACE.len());
}

#[test]
fn connections_that_leak_are_gone_one_by_one_and_all_are_back_when_the_fault_ends() {
    let lab = lab();
    let user = lab.user();
    let path = lab.url(Role::User, &format!("/users/{user}"));
    fault(&lab, &["set", "pool-leak", "--role", "user", "--connections", "1"]);
    // One fewer, and everything is as ever.
    for _ in 0..6 {
        assert_eq!(get(&path).status, 200);
    }
    eventually("the gauge shows the one", || {
        (value(&lab, Role::User, "db_client_connection_count{state=\"used\"}") == 1.0).then_some(())
    });
    fault(&lab, &["set", "pool-leak", "--role", "user"]);
    let most = value(&lab, Role::User, "db_client_connection_max");
    for _ in 1..most as usize {
        assert_eq!(get(&path).status, 200);
    }
    let answer = get(&path);
    assert_eq!(answer.status, 503, "{answer:?}");
    let trace = lab.trace(&answer.trace_id(), 2);
    let span = trace.span("user-service", "SELECT users").unwrap();
    assert_eq!((span.status, hit(span).as_str()), (SpanStatus::Error, "pool-leak"));
    assert_eq!(span.text("error.type"), "timeout");
    fault(&lab, &["clear"]);
    assert_eq!(get(&path).status, 200);
    eventually("nothing is used", || {
        (value(&lab, Role::User, "db_client_connection_count{state=\"used\"}") == 0.0).then_some(())
    });
}

#[test]
fn some_users_fail_each_time_and_the_others_never() {
    let lab = lab();
    let users: Vec<_> = (0..8).map(|_| lab.user()).collect();
    fault(&lab, &["set", "user-outage", "--ratio", "0.5"]);
    let ask = |user: &i64| get(&lab.api(&format!("/api/users/{user}")));
    let statuses: Vec<_> = users.iter().map(|user| ask(user).status).collect();
    assert!(statuses.contains(&200) && statuses.contains(&502), "{statuses:?}");
    assert_eq!(statuses, users.iter().map(|user| ask(user).status).collect::<Vec<_>>());
    let failing = users[statuses.iter().position(|status| *status == 502).unwrap()];
    let trace = lab.trace(&ask(&failing).trace_id(), 3);
    let span = trace.span("user-service", "GET /users/{id}").unwrap();
    assert_eq!((span.status, hit(span).as_str()), (SpanStatus::Error, "user-outage"));
    // Nothing else of the role is hit.
    assert_eq!(get(&lab.api("/api/users")).status, 200);
    fault(&lab, &["clear"]);
    assert_eq!(ask(&failing).status, 200);
}

#[test]
fn a_slow_network_is_in_the_callers_span_and_not_in_that_of_the_called_service() {
    let lab = lab();
    let user = lab.user();
    fault(&lab, &["set", "slow-network", "--ms", "300"]);
    let order = lab.order(user);
    let trace = lab.trace(&order.trace_id(), o11y_lab::lab::expect::ORDER_TRACE.len());
    let call = named(&trace, "order-service", "GET /users/{id}", SpanKind::Client)[0];
    let served = named(&trace, "user-service", "GET /users/{id}", SpanKind::Server)[0];
    // Not guesses about speed: a wait is never shorter than asked for.
    assert!(call.end - call.start >= 300_000_000, "{}", trace.drawing());
    assert!(served.start - call.start >= 150_000_000 && call.end - served.end >= 150_000_000);
    assert_eq!((hit(call).as_str(), hit(served).as_str()), ("slow-network", ""));
    fault(&lab, &["clear"]);
}

#[test]
fn the_rows_of_a_page_are_read_again_one_by_one_as_often_as_asked_for() {
    let lab = lab();
    let user = lab.user();
    let order = lab.order(user).id();
    lab.wait_notifications(order, 1);
    fault(&lab, &["set", "repeated-query", "--times", "7"]);
    let answer = get(&lab.api("/api/orders?limit=3"));
    assert_eq!(answer.status, 200, "{answer:?}");
    let trace = lab.trace(&answer.trace_id(), 4 + 7);
    assert_eq!(named(&trace, "order-service", "SELECT orders", SpanKind::Client).len(), 1 + 7);
    assert_eq!(hit(trace.span("order-service", "GET /orders").unwrap()), "repeated-query");
    fault(&lab, &["clear"]);
    lab.trace(&get(&lab.api("/api/orders?limit=3")).trace_id(), 4);
}

#[test]
fn a_caller_without_pause_and_budget_repeats_a_failing_call_as_often_as_it_is_told_and_no_other() {
    let lab = lab();
    let user = lab.user();
    fault(&lab, &["set", "retry-storm", "--times", "4"]);
    // Nothing fails: nothing is repeated, a 404 neither.
    let order = lab.order(user);
    lab.trace(&order.trace_id(), o11y_lab::lab::expect::ORDER_TRACE.len());
    fault(&lab, &["set", "error", "--role", "user", "--route", "/users/{id}"]);
    let body = json!({"userId": user, "items": ["book"], "total": 9.99});
    let answer = post(&lab.api("/api/orders"), &body);
    assert_eq!(answer.status, 502, "{answer:?}");
    let trace = lab.trace(&answer.trace_id(), 5 + 2 * 5);
    let mut calls = named(&trace, "order-service", "GET /users/{id}", SpanKind::Client);
    calls.sort_by_key(|span| span.start);
    let again: Vec<_> = calls.iter().map(|span| span.text("http.request.resend_count")).collect();
    assert_eq!(again, ["", "1", "2", "3", "4"], "{}", trace.drawing());
    let hits: Vec<_> = calls.iter().map(|span| hit(span)).collect();
    assert_eq!(hits, ["", "retry-storm", "retry-storm", "retry-storm", "retry-storm"]);
    fault(&lab, &["clear"]);
}
