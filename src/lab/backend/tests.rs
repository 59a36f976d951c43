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
        ("/api/many/counts", "traceId=1,4") => json!({"spans": [1, 0], "lines": [0, 2]}),
        // An answer that has room for the first trace only, and the one about the rest.
        ("/api/many/spans", "traceId=1,4") => {
            let mut first = otlp(vec![span("1", "2", "", json!(2))])["result"].take();
            first["told"] = json!(1);
            first
        }
        ("/api/many/spans", "traceId=4") => {
            let mut rest =
                otlp(vec![span("4", "5", "", json!(3)), span("4", "6", "5", json!(3))])["result"].take();
            rest["told"] = json!(1);
            rest
        }
        ("/api/logs", "traceId=1,4&limit=4") => json!({"logs": vec![json!({"traceId": "1"}); 4]}),
        ("/api/logs", "traceId=1&limit=2") => json!({"logs": [{"traceId": "1"}, {"traceId": "1"}]}),
        ("/api/logs", "traceId=4&limit=2") => json!({"logs": [{"traceId": "4"}]}),
        ("/loki/api/v1/query_range", query) if query.ends_with("%7C%7E%20%221%7C4%22") => {
            json!({"data": {"result": [{"values": [["0", "{\"traceId\":\"4\",\"message\":\"about 1\"}"]]}]}})
        }
        ("/select/logsql/query", query) if query.contains("trace%5Fid%3Ain%28%221%22%2C%224%22%29") => {
            return HttpResponse::Ok().body("{\"trace_id\":\"1\"}\n{\"traceId\":\"4\"}\n");
        }
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

#[actix_web::test]
async fn many_traces_are_one_question_and_an_answer_without_room_for_all_is_asked_on_about_the_rest() {
    let base = serve();
    let traces = TraceReader::console(&base);
    assert_eq!(traces.counts(&["1", "4"]).await.unwrap(), [1, 0]);
    let spans = traces.spans(&["1", "4"]).await.unwrap();
    assert_eq!((spans["1"].len(), spans["4"].len()), (1, 2));
    // Jaeger has no such question, so each trace is one.
    let jaeger = TraceReader::new(&base);
    assert_eq!((jaeger.at_once(), jaeger.counts(&["1", "7"]).await.unwrap()), (1, vec![2, 0]));
    let refused = traces.counts(&["7"]).await.unwrap_err();
    assert!(matches!(&refused, BackendError::Refused { status: 404, .. }), "{refused}");
    let long = traces.counts(&["7"; 200]).await.unwrap_err().to_string();
    assert!(long.ends_with("7,7,7… answered 404") && long.len() < 250, "{long}");

    let id = |number: u32| format!("{number:032}");
    let console = LogReader::console(&base);
    assert_eq!(console.counts(&["1", "4"], 2).await.unwrap(), [0, 2]);
    // Four lines were all that the answer had room for: each trace by itself.
    let lines = console.lines(&["1", "4"], 2).await.unwrap();
    assert_eq!((lines[&id(1)].len(), lines[&id(4)].len()), (2, 1));
    let lines = LogReader::victoria_logs(&base).lines(&["1", "4"], 2).await.unwrap();
    assert_eq!((lines[&id(1)].len(), lines[&id(4)].len()), (1, 1));
    // A line that only speaks of a trace is not of it.
    let lines = LogReader::loki(&base).lines(&["1", "4"], 2).await.unwrap();
    assert_eq!((lines.len(), lines[&id(4)].len()), (1, 1));
}
