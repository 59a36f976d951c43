//! Jaeger's API, version 3, read only: OTLP JSON under `result`.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};
use serde_json::json;

use super::ids::parse_trace_id;
use super::params::{Pairs, Params, duration, named, rfc3339, whole};
use super::query::{self, Search};
use super::state::Console;
use super::traces::StoredTrace;

/// `GET /api/v3/services`
pub(super) async fn services(console: web::Data<Console>) -> HttpResponse {
    HttpResponse::Ok().json(json!({"services": query::services(&console.all_traces())}))
}

/// `GET /api/v3/operations?service=&span_kind=`
pub(super) async fn operations(console: web::Data<Console>, pairs: Pairs) -> HttpResponse {
    let params = Params(&pairs);
    let found = query::operations(&console.all_traces(), params.v3("service"), params.v3("spanKind"));
    let list: Vec<_> =
        found.into_iter().map(|(name, kind)| json!({"name": name, "spanKind": kind})).collect();
    HttpResponse::Ok().json(json!({"operations": list}))
}

/// `GET /api/v3/traces/{traceId}`
pub(super) async fn trace(console: web::Data<Console>, id: web::Path<String>) -> HttpResponse {
    let Some(id) = parse_trace_id(&id) else {
        return error(StatusCode::BAD_REQUEST, "the trace id is not hexadecimal");
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
        limit: limit.map_or(Ok(20), |text| whole("query.searchDepth", text))?,
    })
}

/// 404 when there is nothing, as Jaeger answers.
fn result(traces: &[Arc<StoredTrace>]) -> HttpResponse {
    let groups: Vec<_> = traces.iter().flat_map(|trace| otlp(trace)).collect();
    if groups.is_empty() {
        return error(StatusCode::NOT_FOUND, "No traces found");
    }
    HttpResponse::Ok().json(json!({"result": {"resourceSpans": groups}}))
}

fn otlp(trace: &StoredTrace) -> impl Iterator<Item = ResourceSpans> + '_ {
    trace.origins.iter().map(|origin| {
        let own = trace.spans.iter().filter(|kept| std::ptr::eq(trace.origin(kept), &**origin));
        let spans = own.map(|kept| kept.span.clone()).collect();
        let schema_url = origin.schemas.scope.clone();
        let scoped = ScopeSpans { scope: Some(origin.scope.clone()), spans, schema_url };
        ResourceSpans {
            resource: Some(Resource::clone(&origin.resource)),
            scope_spans: vec![scoped],
            schema_url: origin.schemas.resource.clone(),
        }
    })
}

fn error(status: StatusCode, message: &str) -> HttpResponse {
    HttpResponse::build(status).json(json!({"error": {"httpCode": status.as_u16(), "message": message}}))
}
