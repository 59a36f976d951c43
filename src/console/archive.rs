//! What is kept, as OTLP JSON: to be taken away.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, web};
use serde_json::json;

use super::ids::{self, parse_trace_id, trace_hex};
use super::jaeger;
use super::otlp_json::resource_spans;
use super::state::Console;

/// `GET /api/export/traces/{traceId}`: one trace, as a file.
pub(super) async fn trace(console: web::Data<Console>, id: web::Path<String>) -> HttpResponse {
    let Some(id) = parse_trace_id(&id) else {
        return jaeger::error(StatusCode::BAD_REQUEST, ids::NO_TRACE_ID);
    };
    let Some(trace) = console.trace(id) else {
        return jaeger::error(StatusCode::NOT_FOUND, "trace not found");
    };
    let groups = resource_spans(&trace);
    let name = format!("attachment; filename=\"trace-{}.json\"", trace_hex(id));
    HttpResponse::Ok()
        .insert_header((header::CONTENT_DISPOSITION, name))
        .json(json!({"resourceSpans": groups}))
}
