//! The spans of `o11y-lab load` itself: the roots of the traces that it begins.

use o11y_lab::lab::backend::trace::Trace;
use o11y_lab::lab::expect::{LOAD_SPAN, ORDER_TRACE};
use serde_json::Value;

use super::{load, load_at, report};
use crate::helpers::{Lab, Process, eventually, get};

/// A run on a lab with more variables; its report.
#[track_caller]
fn reported(lab: &Lab, env: &[(&str, &str)], args: &[&str]) -> Value {
    let mut command = crate::helpers::bin();
    command
        .args(["load", "--json", "--port-base", &lab.base.to_string()])
        .args(args)
        .envs(env.iter().copied());
    let mut process = Process::spawn(command);
    let status = process.wait();
    assert!(status.success(), "{}{}", process.stdout(), process.stderr());
    report(&process)
}

/// The traces of a service with their ids, as many as there are.
fn traces(lab: &Lab, service: &str) -> Vec<(String, Trace)> {
    let found = get(&lab.console(&format!("/api/traces?service={service}&limit=1000&lookback=1h")));
    let ids = found.json["data"].as_array().into_iter().flatten();
    let ids = ids.filter_map(|trace| trace["traceID"].as_str().map(str::to_owned));
    ids.map(|id| (id.clone(), lab.trace_now(&id))).collect()
}

#[test]
fn an_order_that_load_sends_has_one_more_span_and_it_is_the_only_root() {
    let lab = Lab::start();
    let report = reported(&lab, &[], &["--mix", "checkout", "--rps", "20", "--duration", "3s"]);
    let (id, _) = eventually("the trace of an order", || {
        let mut all = traces(&lab, "notification-service").into_iter();
        // A changed order is notified of as well, in a trace of its own kind.
        all.find(|(_, trace)| trace.span(ORDER_TRACE[0].service, ORDER_TRACE[0].name).is_ok())
    });
    let trace = lab.trace(&id, ORDER_TRACE.len() + 1);
    let (drawing, roots) = (trace.drawing(), trace.roots());
    assert_eq!((trace.spans.len(), roots.len()), (ORDER_TRACE.len() + 1, 1), "{drawing}");
    let root = roots[0];
    let expected = &LOAD_SPAN;
    assert_eq!((&*root.service, &*root.name, root.kind), (expected.service, expected.name, expected.kind));
    for attribute in expected.attributes {
        assert!(root.attributes.contains_key(*attribute), "{attribute}: {drawing}");
    }
    let gateway = trace.span(ORDER_TRACE[0].service, ORDER_TRACE[0].name).unwrap();
    assert_eq!(gateway.parent, root.id, "{drawing}");

    // The page that the report names is there, and so are the parts of the latencies.
    for slow in report["slowest"].as_array().unwrap() {
        let url = slow["traceUrl"].as_str().unwrap_or_else(|| panic!("no URL: {slow}"));
        assert_eq!(url, lab.console(&format!("/trace/{}", slow["traceId"].as_str().unwrap())));
        assert_eq!(get(url).status, 200, "{url}");
    }
    // A set-up leaves connections behind, so there may be no new one.
    let connections = report["connections"].as_u64().unwrap();
    // Nothing where nothing was measured.
    let max = |part: &str| report[part]["max"].as_f64().unwrap_or_default();
    assert_eq!(max("connectMs") > 0.0, connections > 0, "{report:#}");
    assert!(max("answerMs") > 0.0, "{report:#}");
}

#[test]
fn head_sampling_is_decided_by_loads_own_sampler_and_no_trace_lacks_its_root() {
    let lab = Lab::start();
    let sampler = [("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0.1")];
    let report = reported(&lab, &sampler, &["--mix", "browse", "--rps", "100", "--duration", "2s"]);
    let unsampled = |slow: &&Value| slow["sampled"] == false && slow["traceUrl"].is_null();
    let slowest = report["slowest"].as_array().unwrap();
    assert!(slowest.iter().all(|slow| unsampled(&slow) || slow["sampled"] == true), "{report:#}");
    // 200 requests and the 16 of the set-up: a tenth, give or take five standard deviations.
    let whole = eventually("the sampled traces", || {
        let (loads, gateways) = (traces(&lab, "o11y-lab-load"), traces(&lab, "api-gateway"));
        let whole = loads.iter().all(|(_, trace)| trace.roots().len() == 1 && trace.spans.len() > 1);
        (whole && loads.len() > 1 && loads.len() == gateways.len()).then_some(loads.len())
    });
    assert!((2..=44).contains(&whole), "{whole} of 216 at a ratio of 0.1");
}

#[test]
fn without_spans_of_its_own_load_is_nobodys_parent() {
    let lab = Lab::start();
    for variable in [("OTEL_TRACES_EXPORTER", "none"), ("OTEL_SDK_DISABLED", "true")] {
        let report = reported(&lab, &[variable], &["--mix", "browse", "--rps", "10", "--duration", "1s"]);
        for slow in report["slowest"].as_array().unwrap() {
            let trace = lab.trace(slow["traceId"].as_str().unwrap(), 1);
            let roots: Vec<_> = trace.roots().iter().map(|root| (&*root.service, &*root.parent)).collect();
            assert_eq!(roots, [("api-gateway", "")], "{}", trace.drawing());
        }
    }
    assert!(traces(&lab, "o11y-lab-load").is_empty());
}

#[test]
fn where_nobody_takes_spans_load_says_so_once_and_the_gateway_begins_the_traces() {
    let (mut gateway, url, _temp) = crate::helpers::single(o11y_lab::schema::Role::Gateway, &[]);
    let base = crate::helpers::free_port_base();
    let mut process = load(
        &["--url", &url, "--mix", "browse", "--rps", "10", "--duration", "1s", "--port-base"]
            .iter()
            .copied()
            .chain([base.to_string().as_str()])
            .collect::<Vec<_>>(),
    );
    assert!(process.wait().success(), "{}", process.stderr());
    let said = process.stderr();
    assert_eq!(said.matches("No OTLP receiver").count(), 1, "{said}");
    gateway.stop();
}

#[test]
fn the_table_fits_into_a_hundred_columns_and_leads_to_its_slowest_traces() {
    let lab = Lab::shared();
    let mut process =
        load(&["--port-base", &lab.base.to_string(), "--duration", "2s", "--arrivals", "poisson"]);
    assert!(process.wait().success());
    let text = eventually("the table", || Some(process.stdout()).filter(|text| text.contains("SLOWEST")));
    let wide = text.lines().find(|line| line.chars().count() > 100);
    assert_eq!(wide, None, "{text}");
    assert!(text.contains("open loop with Poisson arrivals"), "{text}");
    assert!(text.contains(&format!(" {}", lab.console("/trace/"))), "{text}");
    let mut named = load_at(lab.base, &["--duration", "1s", "--trace-url", "https://traces/{traceId}/view"]);
    assert!(named.wait().success());
    let slow = &report(&named)["slowest"][0];
    let id = slow["traceId"].as_str().unwrap();
    assert_eq!(slow["traceUrl"], format!("https://traces/{id}/view"));
}
