//! The readers against a server that answers as backends do, and as they should not.
#![allow(clippy::unwrap_used)]

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use serde_json::json;

use super::alert::AlertReader;
use super::log::LogReader;
use super::metric::{MetricReader, MetricSeries};
use super::trace::{SpanKind, SpanStatus, TraceReader};
use super::*;

fn span(trace: &str, id: &str, parent: &str, kind: Value) -> Value {
    json!({
        "traceId": trace, "spanId": id, "parentSpanId": parent, "name": format!("span {id}"), "kind": kind,
        "startTimeUnixNano": "1700000000000000000", "endTimeUnixNano": 1_700_000_000_000_000_005_u64,
        "attributes": [
            {"key": "n", "value": {"intValue": "7"}},
            {"key": "l", "value": {"arrayValue": {"values": [{"stringValue": "x"}]}}},
        ],
        "events": [{"name": "exception"}],
        "links": [{"traceId": "t", "spanId": "s"}],
        "status": {"code": "STATUS_CODE_ERROR"},
    })
}

fn otlp(spans: Vec<Value>) -> Value {
    let service = json!([{"key": "service.name", "value": {"stringValue": "a"}}]);
    json!({"result": {"resourceSpans": [
        {"resource": {"attributes": service}, "scopeSpans": [{"spans": spans}]},
    ]}})
}

async fn answer(request: HttpRequest) -> HttpResponse {
    let alert = |state: Value| {
        let mut alert = json!({"labels": {"alertname": "Down"}, "annotations": {"summary": "x"}});
        alert.as_object_mut().unwrap().extend(state.as_object().unwrap().clone());
        alert
    };
    let json = match (request.path(), request.query_string()) {
        ("/api/traces/1", _) => {
            json!({"batches": otlp(vec![span("1", "2", "", json!(2))])["result"]["resourceSpans"]})
        }
        ("/api/v3/traces/1", _) => {
            otlp(vec![span("1", "2", "", json!(2)), span("1", "3", "2", json!("SPAN_KIND_CLIENT"))])
        }
        ("/api/v3/traces", _) => otlp(vec![span("1", "2", "", json!(2)), span("4", "5", "", json!(9))]),
        ("/api/v3/services", _) => json!({"services": ["a", "b"]}),
        ("/api/v1/query", "query=up%20%3D%3D%201") => {
            json!({"data": {"result": [{"metric": {"job": "x"}, "value": [1.5, "+Inf"]}]}})
        }
        ("/api/v1/query", _) => return HttpResponse::BadRequest().finish(),
        ("/api/v1/alerts", _) => json!({"data": {"alerts": [alert(json!({"state": "firing"}))]}}),
        ("/api/v2/alerts", _) => json!([alert(json!({"status": {"state": "suppressed"}}))]),
        ("/api/logs", "traceId=1&limit=5") => json!({"logs": [{"message": "m", "n": 1}]}),
        ("/api/logs", _) => return HttpResponse::Ok().body("<html>"),
        _ => return HttpResponse::NotFound().finish(),
    };
    HttpResponse::Ok().json(json)
}

fn serve() -> String {
    let server = HttpServer::new(|| App::new().default_service(web::to(answer)));
    let server = server.workers(1).bind(("127.0.0.1", 0)).unwrap();
    let base = format!("http://{}", server.addrs()[0]);
    actix_web::rt::spawn(server.run());
    base
}

#[actix_web::test]
async fn traces_are_read_with_their_kinds_attributes_events_and_links() {
    let reader = TraceReader::new(&serve());
    let trace = reader.trace("1").await.unwrap();
    let child = trace.span("a", "span 3").unwrap();
    assert_eq!((child.kind, child.status), (SpanKind::Client, SpanStatus::Error));
    assert_eq!((child.start, child.end), (1_700_000_000_000_000_000, 1_700_000_000_000_000_005));
    assert_eq!((child.text("n").as_str(), &child.attributes["l"]), ("7", &json!(["x"])));
    assert_eq!((child.events[0].name.as_str(), child.links[0].span.as_str()), ("exception", "s"));
    assert_eq!(trace.parent(child).unwrap().kind, SpanKind::Server);
    assert_eq!(trace.roots().len(), 1);
    assert!(trace.span("a", "nothing").unwrap_err().contains("a CLIENT span 3 <- span 2"));
    assert!(reader.trace("unknown").await.unwrap().spans.is_empty());
    let found = reader.traces_of("a", 20).await.unwrap();
    assert_eq!(
        found.iter().map(|trace| trace.spans[0].kind).collect::<Vec<_>>(),
        [SpanKind::Server, SpanKind::Unspecified]
    );
    assert_eq!(reader.services().await.unwrap(), ["a", "b"]);
}

#[actix_web::test]
async fn tempos_answer_is_a_trace_and_its_404_is_none() {
    let reader = TraceReader::tempo(&serve());
    assert_eq!(reader.trace("1").await.unwrap().roots()[0].kind, SpanKind::Server);
    assert!(reader.trace("unknown").await.unwrap().spans.is_empty());
    assert!(matches!(reader.services().await, Err(BackendError::Unsupported)));
}

#[actix_web::test]
async fn series_alerts_and_log_lines_are_read() {
    let base = serve();
    let series = MetricReader::prometheus(&base).query("up == 1").await.unwrap();
    let labels = [("job".to_owned(), "x".to_owned())].into();
    assert_eq!(series, [MetricSeries { labels, value: f64::INFINITY }]);
    for (reader, state) in
        [(AlertReader::prometheus(&base), "firing"), (AlertReader::alertmanager(&base), "suppressed")]
    {
        let alerts = reader.all().await.unwrap();
        assert_eq!((alerts[0].name(), alerts[0].state.as_str()), ("Down", state));
        assert_eq!(alerts[0].annotations["summary"], "x");
    }
    let lines = LogReader::console(&base).of_trace("1", 5).await.unwrap();
    assert_eq!((lines[0].text("message"), lines[0].text("n")), ("m", ""));
}

#[actix_web::test]
async fn a_refusal_and_an_answer_of_another_shape_are_errors_that_name_the_url() {
    let base = serve();
    let refused = MetricReader::prometheus(&base).query("sum(").await.unwrap_err();
    assert!(matches!(&refused, BackendError::Refused { status: 400, .. }), "{refused}");
    let strange = LogReader::console(&base).of_trace("2", 5).await.unwrap_err();
    assert!(strange.to_string().starts_with(&format!("{base}/api/logs?traceId=2")), "{strange}");
    let missing = MetricReader::prometheus(&format!("{base}/elsewhere/")).query("up").await.unwrap_err();
    assert!(matches!(&missing, BackendError::Refused { status: 404, .. }), "{missing}");
}
