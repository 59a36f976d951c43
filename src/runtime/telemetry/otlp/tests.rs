use super::*;

/// What the log says of such an answer.
fn told(status: StatusCode, body: &'static str, signal: Signal, protocol: Protocol) -> String {
    let (headers, trailers) = (HeaderMap::new(), HeaderMap::new());
    let reply = ReceiverReply { status, headers, trailers, body: body.into() };
    ExportFailure::of(&reply, advice(&reply, signal, protocol)).cause
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

#[test]
fn who_answers_something_else_than_the_protocol_is_told_by_what_it_says_of_itself() {
    let told = |status, kind: &'static str, body: &'static str, protocol| {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))]);
        no_answer(&ReceiverReply { status, headers, trailers: HeaderMap::new(), body: body.into() }, protocol)
    };
    let http = Protocol::HttpProtobuf;
    let page = told(StatusCode::OK, "text/html; charset=utf-8", "", http).unwrap_or_default();
    assert!(page.starts_with("the backend answered 200 OK with text/html that is no answer"), "{page}");
    assert!(told(StatusCode::OK, "text/plain", "ok", http).is_some());
    assert!(told(StatusCode::OK, "application/json", "[1]", http).is_some());
    for (kind, body) in [("application/json", "{}"), ("application/x-protobuf", ""), ("text/plain", "")] {
        assert_eq!(told(StatusCode::OK, kind, body, http), None, "{kind}");
    }
    // Of a refusal the status says all.
    assert_eq!(told(StatusCode::BAD_GATEWAY, "text/html", "<html>", http), None);
    let page = told(StatusCode::OK, "text/html", "<html>", Protocol::Grpc).unwrap_or_default();
    assert!(page.contains("200 OK with text/html, which is no gRPC"), "{page}");
    assert_eq!(told(StatusCode::OK, "application/grpc+proto", "", Protocol::Grpc), None);
}
