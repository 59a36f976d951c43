//! What a trace backend receives.

use o11y_lab::lab::backend::trace::{Span, SpanKind, SpanStatus, Trace};
use o11y_lab::lab::expect::{ORDER_TRACE, parent_of};
use o11y_lab::schema::Role;
use serde_json::{Value, json};

use crate::helpers::{Lab, backend, eventually, get, post, send};

fn json_headers<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut headers = vec![("content-type", "application/json")];
    headers.extend_from_slice(more);
    headers
}

/// Orders with further headers; answers the trace id.
fn order_with(lab: &Lab, headers: &[(&str, &str)]) -> String {
    let body = json!({"userId": lab.user(), "items": ["book"], "total": 1}).to_string();
    let answer = send("POST", &lab.api("/api/orders"), &json_headers(headers), Some(body.as_bytes()));
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.trace_id()
}

/// These spans and no others, each with its parent and its attributes.
pub fn assert_is_the_order_trace(trace: &Trace) {
    assert_eq!(trace.spans.len(), ORDER_TRACE.len(), "{}", trace.drawing());
    for (row, expected) in ORDER_TRACE.iter().enumerate() {
        let found: Vec<_> = trace
            .spans
            .iter()
            .filter(|s| s.service == expected.service && s.name == expected.name && s.kind == expected.kind)
            .collect();
        assert_eq!(found.len(), 1, "{} {} in {}", expected.service, expected.name, trace.drawing());
        for attribute in expected.attributes {
            assert!(found[0].attributes.contains_key(*attribute), "{attribute} of {:?}", found[0]);
        }
        assert_ne!(found[0].status, SpanStatus::Error, "{:?}", found[0]);
        if let Some(parent) = parent_of(ORDER_TRACE, row) {
            let parent = &ORDER_TRACE[parent];
            let actual = trace.parent(found[0]);
            assert!(
                actual.is_some_and(|s| s.name == parent.name && s.service == parent.service),
                "parent of {} {} is {actual:?}",
                expected.service,
                expected.name
            );
        }
    }
}

#[test]
fn the_trace_of_an_order_is_exactly_the_one_of_the_contract() {
    let lab = Lab::shared();
    let trace = lab.trace(&order_with(lab, &[]), ORDER_TRACE.len());
    assert_is_the_order_trace(&trace);
    assert_eq!(trace.roots().len(), 1);
    assert_eq!(trace.roots()[0].parent, "");
}

#[test]
fn trap_1_the_insert_the_call_and_the_publish_hang_off_the_order_services_span() {
    let lab = Lab::shared();
    let trace = lab.trace(&order_with(lab, &[]), ORDER_TRACE.len());
    let server =
        trace.spans.iter().find(|s| s.service == "order-service" && s.kind == SpanKind::Server).unwrap();
    let children: Vec<_> =
        trace.spans.iter().filter(|s| s.parent == server.id).map(|s| s.name.as_str()).collect();
    assert_eq!(children.len(), 3, "{children:?}");
    let producer = trace.span("order-service", "send notifications").unwrap();
    assert_eq!(trace.span("notification-service", "process notifications").unwrap().parent, producer.id);
}

#[test]
fn trap_2_an_idle_lab_that_is_scraped_and_polled_makes_no_traces() {
    let lab = Lab::start();
    for _ in 0..10 {
        for role in [Role::Gateway, Role::User, Role::Order, Role::Notify, Role::Lambda] {
            for path in ["/health", "/ready", "/metrics"] {
                assert_eq!(get(&lab.url(role, path)).status, 200);
            }
        }
    }
    // One real request, so that an empty answer below cannot mean that nothing arrives at all.
    let id = get(&lab.api("/api/users")).trace_id();
    lab.trace(&id, 4);
    let services: Vec<_> = get(&lab.console("/api/services")).json["data"].as_array().unwrap().clone();
    let mut traces = std::collections::BTreeSet::new();
    for service in services {
        let found = get(
            &lab.console(&format!("/api/traces?service={}&limit=100&lookback=1h", service.as_str().unwrap()))
        );
        traces.extend(found.json["data"].as_array().unwrap().iter().map(|t| t["traceID"].to_string()));
    }
    assert_eq!(traces.len(), 1, "{traces:?}");
}

#[test]
fn trap_3_the_default_sampler_follows_the_callers_decision() {
    let lab = Lab::shared();
    let (yes, no) = ("0af7651916cd43dd8448eb211c80319c", "0af7651916cd43dd8448eb211c80319d");
    let user = lab.user();
    let body = json!({"userId": user, "items": ["book"], "total": 1}).to_string();
    for (id, flag) in [(no, "00"), (yes, "01")] {
        let parent = format!("00-{id}-b7ad6b7169203331-{flag}");
        let answer = send(
            "POST",
            &lab.api("/api/orders"),
            &json_headers(&[("traceparent", &parent)]),
            Some(body.as_bytes()),
        );
        assert_eq!(answer.trace_id(), id);
        assert!(answer.header("traceresponse").ends_with(flag), "{answer:?}");
    }
    let trace = lab.trace(yes, ORDER_TRACE.len());
    assert_eq!(trace.span("api-gateway", "POST /api/orders").unwrap().parent, "b7ad6b7169203331");
    assert!(lab.trace_now(no).spans.is_empty());
}

#[test]
fn trap_4_the_gateway_calls_the_lambda_and_its_span_joins_and_is_exported() {
    let lab = Lab::shared();
    let answer = post(&lab.api("/api/orders/validate"), &json!({"userId": 1, "items": ["a"], "total": 1}));
    let trace = lab.trace(&answer.trace_id(), 3);
    let invoke = trace.span("api-gateway", "invoke order-validator").unwrap();
    let function = trace.span("order-validator", "order-validator").unwrap();
    assert_eq!(function.parent, invoke.id);
    assert_eq!(function.kind, SpanKind::Server);
    assert_eq!(function.text("faas.invocation_id"), answer.json["requestId"]);
}

#[test]
fn a_client_error_is_no_error_of_the_server_span_and_a_server_error_is_recorded_once() {
    let lab = Lab::start();
    let refused = get(&lab.api("/api/users/999999999"));
    let trace = lab.trace(&refused.trace_id(), 4);
    let root = trace.span("api-gateway", "GET /api/users/{id}").unwrap();
    assert_eq!((root.status, root.text("http.response.status_code").as_str()), (SpanStatus::Unset, "404"));

    crate::helpers::process::signal_pid(lab.pid(Role::User), nix::sys::signal::Signal::SIGSTOP);
    let failed = get(&lab.api("/api/users/1"));
    crate::helpers::process::signal_pid(lab.pid(Role::User), nix::sys::signal::Signal::SIGCONT);
    assert_eq!(failed.status, 504, "{failed:?}");
    let trace = lab.trace(&failed.trace_id(), 2);
    let root = trace.span("api-gateway", "GET /api/users/{id}").unwrap();
    assert_eq!((root.status, root.text("error.type").as_str()), (SpanStatus::Error, "504"));
    let exceptions = |s: &&Span| s.events.iter().any(|e| e.name == "exception");
    assert!(trace.spans.iter().filter(exceptions).count() <= 1, "{:?}", trace.spans);
}

#[test]
fn spans_are_named_by_route_template_and_unknown_paths_by_method_alone() {
    let lab = Lab::shared();
    let answer = get(&lab.api("/secret/path/17"));
    let trace = lab.trace(&answer.trace_id(), 1);
    assert_eq!(trace.spans[0].name, "GET");
    assert!(!trace.spans[0].attributes.contains_key("http.route"));
    let answer = send("BREW", &lab.api("/api/users"), &[], None);
    assert_eq!(lab.trace(&answer.trace_id(), 1).spans[0].name, "HTTP");
}

#[test]
fn hostile_and_malformed_trace_contexts_start_a_new_trace_and_break_nothing() {
    let lab = Lab::shared();
    let huge = format!("a={}", "x".repeat(9_000));
    let many = (0..500).map(|i| format!("k{i}=v")).collect::<Vec<_>>().join(",");
    let good_id = "0af7651916cd43dd8448eb211c80319c";
    let cases: &[(&str, &str)] = &[
        ("traceparent", "garbage"),
        ("traceparent", ""),
        ("traceparent", "00-00000000000000000000000000000000-b7ad6b7169203331-01"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01"),
        ("traceparent", "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("traceparent", "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-extra"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-zz"),
        ("tracestate", "no equals sign"),
        ("baggage", &huge),
        ("baggage", &many),
        ("baggage", "=;,=%zz"),
    ];
    for (name, value) in cases {
        let answer = send("GET", &lab.api("/api/users?limit=1"), &[(name, value)], None);
        assert_eq!(answer.status, 200, "{name}: {value}: {answer:?}");
        assert_ne!(answer.trace_id(), good_id, "{name}: {value}");
    }
}

#[test]
fn baggage_and_trace_state_travel_with_the_context() {
    let lab = Lab::shared();
    let id = "1af7651916cd43dd8448eb211c80319c";
    let parent = format!("00-{id}-b7ad6b7169203331-01");
    order_with(lab, &[("traceparent", &parent), ("tracestate", "vendor=value"), ("baggage", "tenant=blue")]);
    assert_is_the_order_trace(&lab.trace(id, ORDER_TRACE.len()));
}

#[test]
fn b3_is_understood_and_passed_on_where_it_is_configured() {
    let lab = Lab::start_with(&[("OTEL_PROPAGATORS", "b3")]);
    let id = "2af7651916cd43dd8448eb211c80319c";
    let b3 = format!("{id}-b7ad6b7169203331-1");
    assert_eq!(order_with(&lab, &[("b3", &b3)]), id);
    assert_is_the_order_trace(&lab.trace(id, ORDER_TRACE.len()));
    let ignored =
        order_with(&lab, &[("traceparent", "00-3af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")]);
    assert_ne!(ignored, "3af7651916cd43dd8448eb211c80319c");
}

#[test]
fn the_sampler_is_the_configured_one() {
    let lab = Lab::start_with(&[("OTEL_TRACES_SAMPLER", "always_off")]);
    let id = order_with(&lab, &[]);
    // always_on is not parent based: it samples what the caller did not.
    let on = Lab::start_with(&[("OTEL_TRACES_SAMPLER", "always_on")]);
    let unsampled = "4af7651916cd43dd8448eb211c80319c";
    order_with(&on, &[("traceparent", &format!("00-{unsampled}-b7ad6b7169203331-00"))]);
    assert_is_the_order_trace(&on.trace(unsampled, ORDER_TRACE.len()));
    assert!(lab.trace_now(&id).spans.is_empty());
}

#[test]
fn a_disabled_sdk_makes_no_spans_and_serves_all_the_same() {
    let lab = Lab::start_with(&[("OTEL_SDK_DISABLED", "true")]);
    let user = lab.user();
    let order = lab.order(user);
    assert!(!order.headers.contains_key("traceresponse"), "{order:?}");
    lab.wait_notifications(order.id(), 1);
    assert_eq!(get(&lab.console("/api/services")).json["data"], json!([]));
}

#[test]
fn in_link_mode_the_consumer_starts_its_own_trace_and_links_to_the_producer() {
    let lab = Lab::start_with(&[("QUEUE_TRACE_MODE", "link")]);
    let id = order_with(&lab, &[]);
    let trace = lab.trace(&id, ORDER_TRACE.len() - 2);
    let producer = trace.span("order-service", "send notifications").unwrap().clone();
    assert!(trace.spans.iter().all(|s| s.service != "notification-service"), "{}", trace.drawing());
    let consumer = eventually("the consumer's trace", || {
        consumer_traces(&lab)
            .into_iter()
            .find(|trace| trace.spans.iter().any(|s| s.kind == SpanKind::Consumer))
    });
    let process = consumer.span("notification-service", "process notifications").unwrap();
    assert_eq!(process.parent, "");
    assert_eq!(process.links[0].trace, id);
    assert_eq!(process.links[0].span, producer.id);
}

/// The traces that have spans of notification-service.
fn consumer_traces(lab: &Lab) -> Vec<Trace> {
    backend::traces_of(&lab.console(""), "notification-service")
}

#[test]
fn receive_and_settle_have_a_trace_of_their_own_that_links_to_the_messages_producer() {
    let lab = Lab::start();
    let order = lab.order(lab.user());
    let trace = lab.trace(&order.trace_id(), ORDER_TRACE.len());
    let producer = trace.span("order-service", "send notifications").unwrap();
    let received = eventually("the trace of the receive call", || {
        let two = |trace: &Trace| trace.spans.len() == 2;
        consumer_traces(&lab).into_iter().find(two)
    });
    let receive = received.span("notification-service", "receive notifications").unwrap();
    let settle = received.span("notification-service", "settle notifications").unwrap();
    assert_eq!(
        (receive.kind, receive.parent.as_str(), receive.status),
        (SpanKind::Client, "", SpanStatus::Unset)
    );
    assert_eq!(
        (settle.kind, settle.parent.as_str(), settle.status),
        (SpanKind::Client, receive.id.as_str(), SpanStatus::Unset)
    );
    assert_eq!(receive.links[0].span, producer.id);
    assert_eq!(receive.links[0].trace, order.trace_id());
    assert_eq!(receive.text("messaging.batch.message_count"), "1");
    assert_eq!(settle.text("messaging.message.id"), producer.text("messaging.message.id"));
    for span in [receive, settle] {
        for key in ["messaging.system", "messaging.destination.name", "messaging.operation.name"] {
            assert!(!span.text(key).is_empty(), "{key} of {span:?}");
        }
    }
}

#[test]
fn the_resource_says_what_runs_where() {
    let lab = Lab::shared();
    let trace = lab.trace(&get(&lab.api("/api/users?limit=1")).trace_id(), 4);
    for span in &trace.spans {
        for key in [
            "service.name",
            "service.version",
            "service.instance.id",
            "deployment.environment.name",
            "host.name",
            "telemetry.sdk.language",
        ] {
            assert!(
                span.resource.get(key).is_some_and(|v| v != &Value::Null),
                "{key} in {:?}",
                span.resource
            );
        }
    }
}
