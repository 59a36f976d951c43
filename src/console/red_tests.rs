//! What the figures say, from metrics pages written by hand.
#![allow(clippy::unwrap_used)]
use super::*;
use crate::console::sample;
use crate::console::traces::TraceStore;

/// The report where no span was kept.
fn report(services: &ServiceHistories) -> Vec<Value> {
    services.report(Ports::from_base(7000), &ServedDurations::default())
}

fn at_most(ms: f64) -> Value {
    json!({"ms": ms, "bound": "at most"})
}

fn page(ok: u32, failed: u32) -> String {
    let labels = |code| {
        format!(r#"http_request_method="GET",http_route="/a/{{id}}",http_response_status_code="{code}""#)
    };
    let series = |code, n: u32| {
        format!(
            "http_server_request_duration_seconds_bucket{{{0},le=\"0.1\"}} {n}\n\
             http_server_request_duration_seconds_bucket{{{0},le=\"+Inf\"}} {n}\n\
             http_server_request_duration_seconds_count{{{0}}} {n}\n",
            labels(code)
        )
    };
    format!("# HELP x\n{}{}queue_dead_letters 2\nbroken{{a=\"\n", series(200, ok), series(500, failed))
}

#[test]
fn rate_errors_and_p95_are_those_of_the_window() {
    let mut services = ServiceHistories::default();
    let mut first = parse(&page(100, 0));
    first.at -= Duration::from_secs(10);
    assert!(services.note(0, Some(first)));
    services.note(0, Some(parse(&page(130, 10))));
    let report = &report(&services)[0];
    assert!((report["rate"].as_f64().unwrap() - 4.0).abs() < 0.1, "{report}");
    assert_eq!(report["errorRatio"], 0.25);
    assert_eq!(report["p95"], at_most(100.0), "and no number in between");
    assert_eq!(report["count"], 40.0);
    assert_eq!(report["shown"]["queue_dead_letters"], 2.0);
    assert_eq!(report["routes"][0]["route"], "GET /a/{id}");
    assert_eq!((&report["port"], &report["name"]), (&json!(7000), &json!("api-gateway")));
}

#[test]
fn a_restarted_service_has_no_negative_rate_and_a_silent_one_is_down() {
    let mut services = ServiceHistories::default();
    services.note(1, Some(parse(&page(100, 5))));
    services.note(1, Some(parse(&page(1, 0))));
    assert_eq!(services.0[1].scrapes.len(), 1);
    assert!(services.note(1, None), "going down is worth showing");
    assert!(!services.note(1, None), "staying down is not");
    assert_eq!(report(&services)[1]["up"], false);
}

#[test]
fn a_consumers_messages_count_as_its_requests_and_retries_as_its_errors() {
    let page = |n: u32| {
        format!(
            "queue_messages_processed_total{{status=\"success\"}} {n}\n\
             queue_messages_processed_total{{status=\"retried\"}} {n}\n\
             notification_processing_duration_ms_bucket{{le=\"100.0\"}} {n}\n\
             notification_processing_duration_ms_bucket{{le=\"+Inf\"}} {n}\n\
             notification_processing_duration_ms_count {n}\n"
        )
    };
    let mut services = ServiceHistories::default();
    let mut first = parse(&page(0));
    first.at -= Duration::from_secs(10);
    services.note(3, Some(first));
    services.note(3, Some(parse(&page(10))));
    let report = &report(&services)[3];
    assert!((report["rate"].as_f64().unwrap() - 2.0).abs() < 0.1, "{report}");
    assert_eq!((&report["errorRatio"], &report["routes"][0]["total"]), (&json!(0.5), &json!(20.0)));
    assert_eq!(report["p95"], at_most(100.0));
}

#[test]
fn the_p95_of_requests_and_messages_together_is_that_of_neither_histogram_bent_into_the_other() {
    // 4 ms of work each: 50 requests, 50 messages. Adding bucket 15 s to buckets of other bounds said 10.5 s.
    let page = |n: u32| {
        let labels = r#"http_request_method="GET",http_route="/a",http_response_status_code="200""#;
        format!(
            "http_server_request_duration_seconds_bucket{{{labels},le=\"0.005\"}} {n}\n\
             http_server_request_duration_seconds_bucket{{{labels},le=\"10.0\"}} {n}\n\
             http_server_request_duration_seconds_bucket{{{labels},le=\"+Inf\"}} {n}\n\
             http_server_request_duration_seconds_count{{{labels}}} {n}\n\
             queue_messages_processed_total{{status=\"success\"}} {n}\n\
             notification_processing_duration_ms_bucket{{le=\"7.5\"}} {n}\n\
             notification_processing_duration_ms_bucket{{le=\"15000.0\"}} {n}\n\
             notification_processing_duration_ms_bucket{{le=\"+Inf\"}} {n}\n"
        )
    };
    let mut services = ServiceHistories::default();
    services.note(3, Some(parse(&page(0))));
    services.note(3, Some(parse(&page(50))));
    assert_eq!(report(&services)[3]["p95"], at_most(7.5));
}

#[test]
fn where_there_are_spans_the_p95_is_the_one_that_the_traces_show() {
    let mut store = TraceStore::new(100, 1 << 20);
    for (id, name, to) in [(1, "GET /a/{id}", 803), (2, "GET /a/{id}", 803), (3, "GET", 2)] {
        let span =
            opentelemetry_proto::tonic::trace::v1::Span { name: name.into(), ..sample::timed(id, 0, 0, to) };
        store.insert(&sample::origin("api-gateway"), span).unwrap();
    }
    let traces = store.all();
    let served = ServedDurations::ended(&traces, sample::START..=u64::MAX);
    let mut services = ServiceHistories::default();
    let other = r#"http_server_request_duration_seconds_count{http_request_method="GET",http_route="other",http_response_status_code="404"}"#;
    let page = |n| format!("{}{other} {n}\n", page(n, 0).replace("0.1", "1.5"));
    services.note(0, Some(parse(&page(0))));
    services.note(0, Some(parse(&page(2))));
    let report = &services.report(Ports::from_base(7000), &served)[0];
    let exact = |ms: f64, spans: usize| json!({"ms": ms, "bound": "exact", "spans": spans});
    assert_eq!(report["routes"][0]["p95"], exact(803.0, 2));
    assert_eq!(
        (&report["routes"][1]["route"], &report["routes"][1]["p95"]),
        (&json!("GET other"), &exact(2.0, 1))
    );
    assert_eq!(report["p95"], exact(803.0, 3));
}

#[test]
fn a_restart_is_seen_although_the_sum_of_all_routes_grew() {
    let page = |started: &str, a: u32, b: u32| {
        let series = |route: &str, n: u32| {
            format!(
                "http_server_request_duration_seconds_count{{http_request_method=\"GET\",\
                 http_route=\"{route}\",http_response_status_code=\"200\"}} {n}\n"
            )
        };
        format!("{started}{}{}", series("/a", a), series("/b", b))
    };
    for (was, is) in [
        ("", ""),
        ("process_start_time_seconds 1700000000\n", "process_start_time_seconds 1700000009\n"),
        ("process_start_time_seconds 1700000000\n", "process_start_time_seconds 1700000000\n"),
    ] {
        let mut services = ServiceHistories::default();
        services.note(0, Some(parse(&page(was, 10, 0))));
        services.note(0, Some(parse(&page(is, 1, 50))));
        let report = &report(&services)[0];
        assert_eq!((&report["rate"], &report["history"]), (&Value::Null, &json!([])), "{report}");
    }
    // The same counts, more than before: only the start time tells.
    let mut services = ServiceHistories::default();
    for start in ["1700000000", "1700000009"] {
        services.note(0, Some(parse(&page(&format!("process_start_time_seconds {start}\n"), 10, 10))));
    }
    assert_eq!(services.0[0].scrapes.len(), 1);
}
