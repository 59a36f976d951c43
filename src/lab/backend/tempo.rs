//! A trace as Grafana Tempo answers it.
//!
//! Both shapes of its HTTP API are read, `{"batches": […]}` and, of version 2, `{"trace": {"resourceSpans": […]}}`:
//! <https://grafana.com/docs/tempo/latest/api_docs/>. Ids are in base64 there and not in hexadecimal
//! (<https://github.com/grafana/tempo/issues/5437>); both are understood.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::trace::Trace;

/// The spans of an answer.
pub(super) fn trace(mut answer: Value) -> Trace {
    let shapes = ["/batches", "/trace/resourceSpans", "/trace/batches", "/resourceSpans"];
    let found = shapes.into_iter().find(|shape| answer.pointer(shape).is_some_and(Value::is_array));
    let groups = found.and_then(|shape| answer.pointer_mut(shape)).map(Value::take);
    let mut trace = Trace::from_otlp(&json!({"resourceSpans": groups}));
    for span in &mut trace.spans {
        let links = span.links.iter_mut().flat_map(|link| [&mut link.trace, &mut link.span]);
        [&mut span.trace, &mut span.id, &mut span.parent].into_iter().chain(links).for_each(hexadecimal);
    }
    trace
}

/// Ids have 16 or 8 bytes: 24 or 12 characters of base64, 32 or 16 of hexadecimal.
fn hexadecimal(id: &mut String) {
    if matches!(id.len(), 24 | 12)
        && let Ok(bytes) = BASE64_STANDARD.decode(id.as_bytes())
    {
        *id = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::backend::trace::{SpanKind, SpanStatus};

    /// What Tempo answers to a trace of two spans, as its documentation has it.
    fn groups() -> Value {
        let spans = json!([
            {"traceId": "AAAAAAAAAAABI0VniavN7w==", "spanId": "AAAAAAAAEjQ=", "name": "GET /", "kind": "SPAN_KIND_SERVER",
             "startTimeUnixNano": "1608239395286533000", "endTimeUnixNano": "1608239395386533000",
             "attributes": [{"key": "http.response.status_code", "value": {"intValue": "200"}}],
             "status": {"code": "STATUS_CODE_ERROR"}},
            {"traceId": "AAAAAAAAAAABI0VniavN7w==", "spanId": "AAAAAAAAEjU=", "parentSpanId": "AAAAAAAAEjQ=",
             "name": "SELECT users", "links": [{"traceId": "AAAAAAAAAAABI0VniavN8A==", "spanId": "AAAAAAAAEjY="}]},
        ]);
        let service = json!([{"key": "service.name", "value": {"stringValue": "api-gateway"}}]);
        json!([{"resource": {"attributes": service}, "scopeSpans": [{"spans": spans}]}])
    }

    #[test]
    fn both_shapes_of_an_answer_are_read_and_their_ids_are_hexadecimal_again() {
        for answer in
            [json!({"batches": groups()}), json!({"trace": {"resourceSpans": groups()}, "metrics": {}})]
        {
            let trace = trace(answer);
            let [root, child] = trace.spans.as_slice() else { unreachable!() };
            assert_eq!(
                (root.trace.as_str(), root.id.as_str()),
                ("00000000000000000123456789abcdef", "0000000000001234")
            );
            assert_eq!(
                (root.kind, root.status, &root.parent),
                (SpanKind::Server, SpanStatus::Error, &String::new())
            );
            assert_eq!(
                (root.service.as_str(), root.text("http.response.status_code")),
                ("api-gateway", "200".to_owned())
            );
            assert_eq!(root.start, 1_608_239_395_286_533_000);
            assert_eq!(trace.parent(child).map(|parent| parent.name.as_str()), Some("GET /"));
            assert_eq!(child.links[0].trace, "00000000000000000123456789abcdf0");
            assert_eq!(child.links[0].span, "0000000000001236");
        }
        assert!(trace(json!({"batches": []})).spans.is_empty());
    }
}
