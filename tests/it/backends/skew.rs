//! Jaeger compares hosts, and takes spans of different ones that do not nest for a sign of clocks that differ.

use o11y_lab::lab::backend::trace::{Span, Trace};
use o11y_lab::lab::expect::ORDER_TRACE;
use serde_json::{Value, json};

use super::jaeger::Jaeger;
use crate::helpers::{Lab, backend, eventually, get, post};

/// Where Jaeger's API, version 3, puts its warnings.
const WARNINGS: &str = "@jaeger@warnings";

/// The spans of whose clock Jaeger warns.
fn warned(trace: &Trace) -> Vec<&str> {
    let warnings = |span: &Span| span.attributes.get(WARNINGS).map_or(String::new(), Value::to_string);
    let warned: Vec<_> = trace.spans.iter().filter(|span| !warnings(span).is_empty()).collect();
    warned.iter().for_each(|span| eprintln!("{} {}: {}", span.service, span.name, warnings(span)));
    let skewed = warned.into_iter().filter(|span| warnings(span).contains("not applying calculated delta"));
    skewed.map(|span| span.name.as_str()).collect()
}

/// The same trace under another id, as containers would have sent it: each service with a host name of its own. The
/// message is handled after it was sent, and faster.
fn of_containers(export: &Value, id: &str) -> Value {
    let mut export = export.clone();
    for group in export["resourceSpans"].as_array_mut().unwrap() {
        let attributes = group["resource"]["attributes"].as_array_mut().unwrap();
        let service = attributes.iter().find(|pair| pair["key"] == "service.name").unwrap()["value"].clone();
        for pair in attributes.iter_mut().filter(|pair| pair["key"] == "host.name") {
            pair["value"] = service.clone();
        }
        let scopes = group["scopeSpans"].as_array_mut().unwrap().iter_mut();
        for span in scopes.flat_map(|scope| scope["spans"].as_array_mut().unwrap()) {
            span["traceId"] = id.into();
            let times = match span["name"].as_str().unwrap() {
                "send notifications" => ["1790000000000000000", "1790000000010000000"],
                "process notifications" => ["1790000000020000000", "1790000000029000000"],
                "send email" => ["1790000000021000000", "1790000000022000000"],
                _ => ["1790000000000000000", "1790000000015000000"],
            };
            span["startTimeUnixNano"] = times[0].into();
            span["endTimeUnixNano"] = times[1].into();
        }
    }
    export
}

#[test]
#[ignore = "needs programs that take minutes to build: make test-backends"]
fn jaeger_warns_of_no_clock_skew_in_an_orders_trace_of_one_machine_its_containers_included() {
    let jaeger = Jaeger::start();
    let lab = Lab::start_with(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &jaeger.endpoint("http/protobuf"))]);
    let order = lab.order(lab.user());
    lab.wait_notifications(order.id(), 1);
    let trace = backend::wait_trace(&jaeger.url, &order.trace_id(), ORDER_TRACE.len());
    assert_eq!(warned(&trace), Vec::<&str>::new());

    let export = get(&format!("{}/api/v3/traces/{}", jaeger.url, order.trace_id())).json["result"].clone();
    let sent = |export: &Value, id: &str| {
        let answer = post(&format!("{}/v1/traces", jaeger.endpoint("http/json")), export);
        assert_eq!(answer.status, 200, "{answer:?}");
        let all =
            || Some(backend::trace(&jaeger.url, id)).filter(|trace| trace.spans.len() == ORDER_TRACE.len());
        eventually("the trace as containers send it", all)
    };
    let id = "0000000000000000000000000000c0de";
    let containers = of_containers(&export, id);
    assert_eq!(warned(&sent(&containers, id)), Vec::<&str>::new(), "host.id is the same in all");

    // Without it, names are what Jaeger compares: the test sees what it is about.
    let id = "0000000000000000000000000000c0df";
    let mut nameless = of_containers(&export, id);
    for group in nameless["resourceSpans"].as_array_mut().unwrap() {
        group["resource"]["attributes"]
            .as_array_mut()
            .unwrap()
            .retain(|pair| pair["key"] != json!("host.id"));
    }
    let trace = sent(&nameless, id);
    let mut names = warned(&trace);
    names.sort_unstable();
    assert_eq!(names, ["process notifications", "send email"]);
}
