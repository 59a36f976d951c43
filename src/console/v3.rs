//! Jaeger's API, version 3, read only: OTLP JSON under `result`.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::ids::{self, parse_trace_id, trace_hex};
use super::otlp_json::{OriginGroup, resource_spans};
use super::params::{Pairs, Params, duration, named, rfc3339, whole};
use super::query::{self, Search};
use super::state::Console;
use super::traces::{StoredSpan, StoredTrace};

/// `GET /api/v3/services`
pub(super) async fn services(console: web::Data<Console>) -> HttpResponse {
    HttpResponse::Ok().json(json!({"services": console.all_services(&console.all_traces())}))
}

/// `GET /api/v3/operations?service=&span_kind=`
pub(super) async fn operations(console: web::Data<Console>, pairs: Pairs) -> HttpResponse {
    let params = Params(&pairs);
    let found = query::operations(&console.all_traces(), params.v3("service"), params.v3("spanKind"));
    // Jaeger's name for a kind that was never said.
    let kind = |kind: &'static str| if kind.is_empty() { "internal" } else { kind };
    let list: Vec<_> =
        found.into_iter().map(|(name, of)| json!({"name": name, "spanKind": kind(of)})).collect();
    HttpResponse::Ok().json(json!({"operations": list}))
}

/// `GET /api/v3/traces/{traceId}`
pub(super) async fn trace(console: web::Data<Console>, id: web::Path<String>) -> HttpResponse {
    let Some(id) = parse_trace_id(&id) else {
        return error(StatusCode::BAD_REQUEST, ids::NO_TRACE_ID);
    };
    result(console.trace(id).as_slice())
}

/// `GET /api/v3/traces?query.serviceName=&query.startTimeMin=&query.startTimeMax=…`
pub(super) async fn search(console: web::Data<Console>, pairs: Pairs) -> HttpResponse {
    match parse(&Params(&pairs)) {
        Ok(search) => result(&search.run(console.all_traces())),
        Err(why) => error(StatusCode::BAD_REQUEST, &why),
    }
}

/// `GET /api/v3/trace-summaries?…`, searched for like traces: `{"summaries":[…]}`, what a list of them
/// shows.
pub(super) async fn summaries(console: web::Data<Console>, pairs: Pairs) -> HttpResponse {
    match parse(&Params(&pairs)) {
        Ok(search) => {
            let found = search.run(console.all_traces());
            let list: Vec<_> = found.iter().map(|trace| summary(trace)).collect();
            HttpResponse::Ok().json(json!({"summaries": list}))
        }
        Err(why) => error(StatusCode::BAD_REQUEST, &why),
    }
}

/// Without what is zero or empty, as Jaeger writes it. Its root is the first span without a parent.
fn summary(trace: &StoredTrace) -> Value {
    let services: Vec<_> = query::services_of(trace)
        .into_iter()
        .map(|(name, (spans, errors))| {
            filled([("name", json!(name)), ("spanCount", json!(spans)), ("errorSpanCount", json!(errors))])
        })
        .collect();
    let root = Some(&trace.spans[trace.root()]).filter(|kept| kept.parent() == 0);
    let orphan = |kept: &&Arc<StoredSpan>| kept.parent() != 0 && trace.span(kept.parent()).is_none();
    filled([
        ("traceId", json!(trace_hex(trace.id))),
        ("rootServiceName", root.map_or(json!(""), |root| json!(trace.origin(root).service))),
        ("rootOperationName", root.map_or(json!(""), |root| json!(root.span.name()))),
        ("minStartTimeUnixNano", json!(trace.start.to_string())),
        ("maxEndTimeUnixNano", json!(trace.end.to_string())),
        ("spanCount", json!(trace.spans.len())),
        ("errorSpanCount", json!(trace.spans.iter().filter(|kept| kept.is_error()).count())),
        ("orphanSpanCount", json!(trace.spans.iter().filter(orphan).count())),
        ("services", json!(services)),
    ])
}

fn filled<const N: usize>(fields: [(&str, Value); N]) -> Value {
    let is_empty = |value: &Value| *value == json!(0) || *value == json!("");
    let kept = fields.into_iter().filter(|(_, value)| !is_empty(value));
    Value::Object(kept.map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
}

fn parse(params: &Params<'_>) -> Result<Search, String> {
    let time = |name| params.v3(name).map(|text| named(name, rfc3339(text))).transpose();
    let length = |name| params.v3(name).map(|text| named(name, duration(text))).transpose();
    let limit = params.v3("searchDepth").or_else(|| params.v3("numTraces"));
    let tags = match params.v3("attributes").map(serde_json::from_str::<std::collections::BTreeMap<_, _>>) {
        Some(Ok(tags)) => tags.into_iter().collect(),
        Some(Err(_)) => return Err("'query.attributes' is not a JSON object of strings".into()),
        None => Vec::new(),
    };
    Ok(Search {
        service: params.v3("serviceName").map(Into::into),
        operation: params.v3("operationName").map(Into::into),
        tags,
        min_duration: length("durationMin")?.unwrap_or(0),
        max_duration: length("durationMax")?.unwrap_or(u64::MAX),
        from: time("startTimeMin")?.unwrap_or(0),
        until: time("startTimeMax")?.unwrap_or(u64::MAX),
        filter: params.filter()?,
        limit: limit.map_or(Ok(Search::default().limit), |text| whole("query.searchDepth", text))?,
    })
}

#[derive(Serialize)]
struct FoundTraces<'a> {
    result: TracesData<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TracesData<'a> {
    resource_spans: Vec<OriginGroup<'a>>,
}

/// 404 when there is nothing, as Jaeger answers.
fn result(traces: &[Arc<StoredTrace>]) -> HttpResponse {
    let groups: Vec<_> = traces.iter().flat_map(resource_spans).collect();
    if groups.is_empty() {
        return error(StatusCode::NOT_FOUND, "No traces found");
    }
    HttpResponse::Ok().json(FoundTraces { result: TracesData { resource_spans: groups } })
}

fn error(status: StatusCode, message: &str) -> HttpResponse {
    HttpResponse::build(status).json(json!({"error": {"httpCode": status.as_u16(), "message": message}}))
}
