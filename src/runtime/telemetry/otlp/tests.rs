use super::*;

/// What the log says of such an answer.
fn told(status: StatusCode, body: &'static str, signal: Signal, protocol: Protocol) -> String {
    let (headers, trailers) = (HeaderMap::new(), HeaderMap::new());
    let reply = Reply { status, headers, trailers, body: body.into() };
    Failure::of(&reply, advice(&reply, signal, protocol)).cause
}

#[test]
fn who_sends_deltas_to_prometheus_is_told_what_to_set() {
    let body = r#"invalid temporality and type combination for metric "users.created""#;
    let told = |signal| told(StatusCode::INTERNAL_SERVER_ERROR, body, signal, Protocol::HttpProtobuf);
    let answered = "the backend answered 500 Internal Server Error";
    let advice = "Prometheus refuses delta temporality: set \
        OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=cumulative";
    assert_eq!(told(Signal::Traces), answered);
    assert_eq!(told(Signal::Metrics), format!("{answered}: {advice}"));
}

#[test]
fn who_sends_json_to_a_backend_that_cannot_read_it_is_told_what_to_try() {
    let told = |status, protocol| told(status, "", Signal::Logs, protocol);
    for status in [StatusCode::BAD_REQUEST, StatusCode::UNSUPPORTED_MEDIA_TYPE] {
        assert!(told(status, Protocol::HttpJson).ends_with("try OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"));
        assert_eq!(told(status, Protocol::HttpProtobuf), format!("the backend answered {status}"));
    }
    let unavailable = StatusCode::SERVICE_UNAVAILABLE;
    assert_eq!(told(unavailable, Protocol::HttpJson), format!("the backend answered {unavailable}"));
}
