//! What is kept, as OTLP JSON: to be taken away.

use std::convert::Infallible;
use std::sync::Arc;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, web};
use futures_util::stream;
use serde_json::json;

use super::ids::{self, parse_trace_id, trace_hex};
use super::jaeger;
use super::log_json::resource_logs;
use super::logs::LogFilter;
use super::otlp_json::resource_spans;
use super::params::{Pairs, Params};
use super::state::Console;
use super::summaries;
use super::traces::StoredTrace;

/// `GET /api/export/traces?…`: the traces of a list with the parameters of `/api/summaries`, on whatever page, a message a line.
pub(super) async fn traces(console: web::Data<Console>, pairs: Pairs) -> HttpResponse {
    match summaries::found(&console, &Params(&pairs)) {
        Ok(found) => lines("traces", found.into_iter().map(|trace| message(&trace).to_string())),
        Err(why) => jaeger::error(StatusCode::BAD_REQUEST, &why),
    }
}

/// `GET /api/export/logs`: every log line as a record, a message a line, the oldest first.
pub(super) async fn logs(console: web::Data<Console>) -> HttpResponse {
    let texts = console.logs().recent(&LogFilter::default()).texts();
    lines("logs", texts.filter_map(|line| Some(resource_logs(&line)?.to_string())))
}

/// `GET /api/export/metrics`: every series with its points, a message a line.
pub(super) async fn metrics(console: web::Data<Console>) -> HttpResponse {
    lines("metrics", console.resource_metrics())
}

/// A file of lines, each made when the one before was sent.
fn lines(name: &str, lines: impl Iterator<Item = String> + 'static) -> HttpResponse {
    let lines = lines.map(|line| Ok::<_, Infallible>(web::Bytes::from(line + "\n")));
    HttpResponse::Ok()
        .content_type("application/x-ndjson")
        .insert_header(attachment(&format!("{name}.jsonl")))
        .streaming(stream::iter(lines))
}

fn attachment(name: &str) -> (header::HeaderName, String) {
    (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\""))
}

fn message(trace: &Arc<StoredTrace>) -> serde_json::Value {
    json!({"resourceSpans": resource_spans(trace)})
}

/// `GET /api/export/traces/{traceId}`: one trace, as a file.
pub(super) async fn trace(console: web::Data<Console>, id: web::Path<String>) -> HttpResponse {
    let Some(id) = parse_trace_id(&id) else {
        return jaeger::error(StatusCode::BAD_REQUEST, ids::NO_TRACE_ID);
    };
    let Some(trace) = console.trace(id) else {
        return jaeger::error(StatusCode::NOT_FOUND, "trace not found");
    };
    let name = format!("trace-{}.json", trace_hex(id));
    HttpResponse::Ok().insert_header(attachment(&name)).json(message(&trace))
}
