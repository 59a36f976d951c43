//! What the figures say, from metrics pages written by hand.
#![allow(clippy::unwrap_used)]
use super::*;

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
    let report = &services.report(Ports::from_base(7000))[0];
    assert!((report["rate"].as_f64().unwrap() - 4.0).abs() < 0.1, "{report}");
    assert_eq!(report["errorRatio"], 0.25);
    assert!((report["p95"].as_f64().unwrap() - 95.0).abs() < 1e-6);
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
    assert_eq!(services.report(Ports::from_base(7000))[1]["up"], false);
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
    let report = &services.report(Ports::from_base(7000))[3];
    assert!((report["rate"].as_f64().unwrap() - 2.0).abs() < 0.1, "{report}");
    assert_eq!((&report["errorRatio"], &report["routes"][0]["total"]), (&json!(0.5), &json!(20.0)));
    assert!((report["p95"].as_f64().unwrap() - 95.0).abs() < 1e-6, "{report}");
}
