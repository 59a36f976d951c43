//! The three signals of one order, as one receiver gets them from the roles.

use std::collections::BTreeSet;

use o11y_lab::lab::expect::ORDER_TRACE;
use o11y_lab::schema::Role;
use serde_json::Value;

use crate::helpers::{Lab, eventually, get, metric};
use crate::otlp::Console;

/// Attributes that say whose a signal is.
const IDENTITY: [&str; 4] = ["service.name", "service.instance.id", "service.version", "host.name"];

/// The last points of a metric of a service at the receiver, each with its attributes.
fn points(receiver: &Console, name: &str, service: &str) -> Vec<(Value, Value)> {
    let answer = get(&receiver.page(&format!("/api/metrics/{name}?service={service}&limit=200"))).json;
    let series = answer["series"].as_array().cloned().unwrap_or_default();
    let last = |one: &Value| one["points"].as_array().and_then(|points| points.last().cloned());
    series.iter().filter_map(|one| Some((one["attributes"].clone(), last(one)?))).collect()
}

#[test]
fn the_three_signals_of_an_order_are_joined_by_ids_and_say_the_numbers_of_the_page_and_the_log() {
    let receiver = Console::start(&[]);
    let lab = Lab::start_with(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.otlp("")),
        ("OTEL_LOGS_EXPORTER", "otlp"),
        ("OTEL_METRICS_EXPORTER", "otlp"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "500"),
    ]);
    let user = lab.user();
    let order = lab.order(user);
    lab.wait_notifications(order.id(), 1);
    let id = order.trace_id();

    let trace = eventually("the whole trace", || {
        let answer = get(&receiver.page(&format!("/api/v3/traces/{id}"))).json;
        let groups = answer["result"]["resourceSpans"].as_array()?.clone();
        let spans = |group: &Value| group["scopeSpans"][0]["spans"].as_array().map_or(0, Vec::len);
        (groups.iter().map(spans).sum::<usize>() == ORDER_TRACE.len()).then_some(groups)
    });
    let ids: BTreeSet<_> = trace
        .iter()
        .flat_map(|group| group["scopeSpans"][0]["spans"].as_array().cloned().unwrap_or_default())
        .filter_map(|span| span["spanId"].as_str().map(str::to_owned))
        .collect();

    // Logs: the lines of standard output, each in a span of the trace.
    let written = || {
        let lines = lab.logs();
        lines.into_iter().filter(|line| line["traceId"] == id.as_str()).collect::<Vec<_>>()
    };
    let records = eventually("every line of the trace", || {
        let answer = get(&receiver.page(&format!("/api/logs?text={id}&limit=200"))).json;
        let records = answer["logs"].as_array()?.clone();
        (records.len() > 3 && records.len() == written().len()).then_some(records)
    });
    for record in &records {
        assert!(ids.contains(record["spanId"].as_str().unwrap_or_default()), "{record}");
        let same = |line: &Value| {
            ["message", "service", "level", "spanId"].iter().all(|key| line[*key] == record[*key])
        };
        assert!(written().iter().any(same), "{record}");
    }

    // Whose they are: one resource for all signals of a process.
    for group in &trace {
        let of = |key: &str| {
            let pairs = group["resource"]["attributes"].as_array().unwrap();
            let pair = pairs.iter().find(|pair| pair["key"] == key).unwrap_or_else(|| panic!("{key}"));
            pair["value"]["stringValue"].clone()
        };
        let record = records.iter().find(|record| record["service"] == of("service.name"));
        let record = record.unwrap_or_else(|| panic!("a line of {}", of("service.name")));
        for key in IDENTITY.iter().filter(|key| **key != "service.name") {
            assert_eq!(record["resource"]["attributes"][*key], of(key), "{key} of {record}");
        }
    }

    // Metrics: the numbers of the page.
    let page = get(&lab.url(Role::Order, "/metrics")).text;
    let series = "http_server_request_duration_seconds_count{http_request_method=\"POST\",http_route=\"/orders\",\
                  http_response_status_code=\"201\"}";
    assert_eq!(metric(&page, series), Some(1.0));
    assert_eq!(metric(&page, "orders_created_total"), Some(1.0));
    eventually("the orders that were created", || {
        let created = points(&receiver, "orders.created", "order-service");
        (created.first()?.1["value"].as_f64() == Some(1.0)).then_some(())
    });
    let durations = eventually("the duration of the request", || {
        let all = points(&receiver, "http.server.request.duration", "order-service");
        all.into_iter().find(|(attributes, point)| {
            attributes["http.route"] == "/orders"
                && attributes["http.response.status_code"] == 201
                && point["count"] == 1
        })
    });
    assert_eq!(durations.0["http.request.method"], "POST", "{durations:?}");
    // Exemplars lead from the metric to the trace.
    let answer =
        get(&receiver.page("/api/metrics/http.server.request.duration?service=order-service&limit=200")).json;
    assert!(answer.to_string().contains(&id), "no exemplar of the order: {answer}");
}

#[test]
fn the_console_of_up_has_the_metrics_of_the_roles_and_they_lead_to_traces() {
    // Empty is not set: what `up` does by itself.
    let lab = Lab::start_with(&[("OTEL_METRICS_EXPORTER", ""), ("OTEL_METRIC_EXPORT_INTERVAL", "500")]);
    let user = lab.user();
    let id = lab.order(user).trace_id();
    let path = "/api/metrics/http.server.request.duration?service=order-service&limit=200";
    eventually("an exemplar of the order", || {
        get(&lab.console(path)).json.to_string().contains(&id).then_some(())
    });
    for name in ["gateway.requests", "users.created", "orders.created", "messaging.process.duration"] {
        eventually(name, || {
            let listed = get(&lab.console("/api/metrics?limit=1000")).text;
            listed.contains(&format!("\"{name}\"")).then_some(())
        });
    }
}
