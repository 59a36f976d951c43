//! What the function answers and exports, invocation by invocation.

use base64::Engine;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::standin::{Function, Invocation, Seen};
use crate::helpers::{Process, bin, eventually};

fn order() -> String {
    json!({"userId": 1, "items": ["a"], "total": 1}).to_string()
}

fn plain(event: Value) -> Invocation {
    (Vec::new(), event)
}

fn traceparent(digit: char) -> String {
    format!("00-{}-b7ad6b716920333{digit}-01", digit.to_string().repeat(32))
}

#[test]
fn trap_4_on_the_lambda_runtime_every_answer_comes_after_its_spans() {
    let headers = json!({"Traceparent": traceparent('5')});
    let events = [json!({"body": order(), "headers": headers}), json!({"body": "{"}), json!({})];
    let mut function = Function::start(events.map(plain).into(), &[]);
    for (number, (path, answer, exported)) in function.answers(3).iter().enumerate() {
        assert_eq!(*path, format!("/2018-06-01/runtime/invocation/request-{number}/response"));
        assert_eq!(answer["statusCode"], if number == 0 { 200 } else { 400 }, "{answer}");
        assert!(answer["body"].as_str().unwrap().contains(&format!("request-{number}")), "{answer}");
        assert_eq!(exported.attributes["faas.invocation_id"], format!("request-{number}"));
        assert_eq!(exported.attributes["faas.coldstart"], number == 0);
    }
    let line = eventually("the function's log line", || {
        let text = function.process.stdout();
        text.lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .find(|l| l["message"] == "Order validated")
    });
    assert_eq!((&line["traceId"], &line["requestId"]), (&json!("5".repeat(32)), &json!("request-0")));
    function.process.signal(Signal::SIGTERM);
    assert!(function.process.wait().success());
}

#[test]
fn events_of_every_source_are_understood_and_answered_in_their_form() {
    let encoded = base64::engine::general_purpose::STANDARD.encode(order());
    let http = |method: &str| json!({"http": {"method": method, "path": "/orders", "protocol": "HTTP/1.1"}});
    let rest = json!({"httpMethod": "POST", "path": "/orders", "resource": "/orders", "headers": {"Host": "h"},
        "multiValueHeaders": {"Host": ["h"]}, "requestContext": {"stage": "live"}, "body": order(),
        "isBase64Encoded": false});
    let v2 = json!({"version": "2.0", "routeKey": "POST /orders", "rawPath": "/orders", "headers": {"host": "h"},
        "requestContext": http("POST"), "body": encoded, "isBase64Encoded": true});
    let url = json!({"version": "2.0", "routeKey": "$default", "rawPath": "/", "headers": {"host": "h"},
        "requestContext": http("GET"), "isBase64Encoded": false});
    let invoked = json!({"body": order()});
    let function = Function::start([rest, v2, url, invoked].map(plain).into(), &[]);
    let answers = function.answers(4);
    for (_, answer, exported) in &answers {
        assert_eq!(answer["isBase64Encoded"], false);
        assert_eq!(answer["headers"]["content-type"], "application/json");
        let trace = answer["headers"]["traceresponse"].as_str().unwrap().split('-').nth(1).unwrap();
        assert_eq!(exported.span["traceId"], trace);
        serde_json::from_str::<Value>(answer["body"].as_str().unwrap()).unwrap();
    }
    let summary: Vec<_> = answers
        .iter()
        .map(|(_, answer, exported)| {
            let of = |key: &str| exported.attributes[key].clone();
            json!([
                answer["statusCode"],
                of("faas.trigger"),
                of("http.request.method"),
                of("http.route"),
                of("http.response.status_code"),
                answer["multiValueHeaders"]["content-type"]
            ])
        })
        .collect();
    assert_eq!(
        json!(summary),
        json!([
            [200, "http", "POST", "/orders", 200, ["application/json"]],
            [200, "http", "POST", "/orders", 200, null],
            [400, "http", "GET", null, 400, null],
            [200, "other", null, null, null, null],
        ])
    );
}

#[test]
fn the_callers_trace_is_found_in_the_event_then_the_client_context_then_x_ray() {
    let client = |value: &str| {
        let context = json!({"custom": {"TraceParent": value}});
        ("lambda-runtime-client-context", context.to_string())
    };
    let xray = |sampled: u8| {
        let root = format!("Root=1-{}-{}", "3".repeat(8), "3".repeat(24));
        ("lambda-runtime-trace-id", format!("{root};Parent=b7ad6b7169203333;Sampled={sampled}"))
    };
    let event = |headers: Value| json!({"body": order(), "headers": headers});
    let (one, two) = (traceparent('1'), traceparent('2'));
    let cases = vec![
        (vec![client(&two), xray(1)], event(json!({"TRACEPARENT": one}))),
        (vec![client(&two), xray(1)], json!({"body": order(), "multiValueHeaders": {"traceparent": [one]}})),
        (vec![client(&two), xray(1)], event(json!({"traceparent": "garbage"}))),
        (vec![xray(1)], event(json!({}))),
        // X-Ray is off: it says so of every invocation, and that must not silence the traces.
        (vec![xray(0)], event(json!({}))),
    ];
    let function = Function::start(cases, &[]);
    let traces: Vec<_> = function.answers(5).iter().map(|(_, _, one)| one.span.clone()).collect();
    for (span, digit) in traces.iter().zip(["1", "1", "2", "3"]) {
        assert_eq!(span["traceId"], digit.repeat(32), "{span}");
        assert_eq!(span["parentSpanId"], format!("b7ad6b716920333{digit}"), "{span}");
    }
    assert_ne!(traces[4]["traceId"], "3".repeat(32));
    assert_eq!(traces[4]["parentSpanId"], "");
    // The last word of a propagator list is not the last word on an invocation.
    let cases = vec![(vec![xray(1)], event(json!({"traceparent": one})))];
    let function = Function::start(cases, &[("OTEL_PROPAGATORS", "tracecontext,baggage,xray")]);
    assert_eq!(function.answers(1)[0].2.span["traceId"], "1".repeat(32));
}

#[test]
fn spans_say_which_function_they_are_of_in_the_words_of_the_conventions() {
    let started = [("AWS_LAMBDA_INITIALIZATION_TYPE", "provisioned-concurrency")];
    let function = Function::start(vec![plain(json!({"body": order()}))], &started);
    let (_, _, exported) = function.answers(1).remove(0);
    let arn = "arn:aws:lambda:eu-west-1:123456789012:function:order-validator";
    for (key, value) in [
        ("faas.name", json!("order-validator")),
        ("faas.version", json!("$LATEST")),
        ("faas.instance", json!("stream")),
        ("faas.max_memory", json!(128 * 1024 * 1024)),
        ("cloud.provider", json!("aws")),
        ("cloud.platform", json!("aws_lambda")),
        ("cloud.region", json!("eu-west-1")),
        ("service.name", json!("order-validator")),
    ] {
        assert_eq!(exported.resource[key], value, "{key}");
    }
    for (key, value) in [
        ("aws.lambda.invoked_arn", json!(format!("{arn}:live"))),
        ("cloud.resource_id", json!(arn)),
        ("cloud.account.id", json!("123456789012")),
        // Started ahead of any caller: nobody waited for it.
        ("faas.coldstart", json!(false)),
    ] {
        assert_eq!(exported.attributes[key], value, "{key}");
    }
}

#[test]
fn a_function_is_told_of_its_end_and_exports_then_what_it_could_not_before() {
    let events = [json!({"body": order()}), json!({})].map(plain);
    let mut function = Function::start_before_a_mute_collector(events.into(), &[]);
    let answered = |seen: &[Seen]| seen.iter().filter(|one| matches!(one, Seen::Answer(..))).count();
    eventually("answers in spite of the collector", || (answered(&function.seen()) == 2).then_some(()));
    // Lambda sends the signal only to who registered before the first invocation.
    assert!(matches!(function.seen()[..2], [Seen::Registered, Seen::Asked]), "{:?}", function.seen());
    function.let_the_collector_answer();
    assert!(function.process.stop().success());
    let exported: usize =
        function.seen().iter().map(|one| if let Seen::Export(spans) = one { spans.len() } else { 0 }).sum();
    assert_eq!(exported, 2, "{:?}", function.seen());
}

#[test]
fn an_incomplete_lambda_environment_is_said_and_not_panicked_about() {
    let mut command = bin();
    command.arg("lambda").env("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9");
    let mut process = Process::spawn(command);
    assert_eq!(process.wait().code(), Some(2));
    let said = eventually("a message", || Some(process.stderr()).filter(|said| said.ends_with('\n')));
    assert!(said.contains("AWS_LAMBDA_FUNCTION_NAME") && !said.contains("panicked"), "{said}");
}
