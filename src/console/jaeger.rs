//! Jaeger's JSON API, version 1, read only: `/api/services`, `/api/operations`, `/api/traces`.
//!
//! Shapes as the query service of Jaeger 2.20 answers them; times and durations are microseconds.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::trace::v1::Span;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::attributes;
use super::ids::{self, parse_trace_id, span_hex, trace_hex};
use super::params::{Pairs, Params};
use super::query::{self, MOST_TRACES, Search};
use super::state::Console;
use super::traces::{StoredSpan, StoredTrace};

/// The largest whole number that JavaScript tells from its neighbours.
const MOST_EXACT: u64 = (1 << 53) - 1;

/// `GET /api/services`
pub(super) async fn services(console: web::Data<Console>) -> HttpResponse {
    let names: Vec<_> = console.all_services(&console.all_traces()).into_iter().collect();
    data(names.len(), json!(names))
}

/// `GET /api/operations?service=&spanKind=`
pub(super) async fn operations(console: web::Data<Console>, pairs: Pairs) -> HttpResponse {
    let params = Params(&pairs);
    let found = query::operations(&console.all_traces(), params.get("service"), params.get("spanKind"));
    let list: Vec<_> =
        found.into_iter().map(|(name, kind)| json!({"name": name, "spanKind": kind})).collect();
    data(list.len(), json!(list))
}

/// `GET /api/services/{service}/operations`
pub(super) async fn service_operations(
    console: web::Data<Console>,
    service: web::Path<String>,
) -> HttpResponse {
    let found = query::operations(&console.all_traces(), Some(&service), None);
    let mut names: Vec<_> = found.into_iter().map(|(name, _)| name).collect();
    names.dedup();
    data(names.len(), json!(names))
}

/// `GET /api/traces?service=&operation=&tags=&minDuration=&maxDuration=&start=&end=&lookback=&text=&limit=`
/// or `?traceID=…&traceID=…`. Without a service all are searched; `text` is in the query language.
pub(super) async fn search(console: web::Data<Console>, pairs: Pairs) -> HttpResponse {
    let params = Params(&pairs);
    if params.get("traceID").is_some() {
        return by_ids(&console, &params);
    }
    match parse(&params) {
        Ok(search) => traces_data(&search.run(console.all_traces())),
        Err(why) => error(StatusCode::BAD_REQUEST, &why),
    }
}

/// The traces with the ids asked for; the others are named under `errors`.
fn by_ids(console: &Console, params: &Params<'_>) -> HttpResponse {
    let Some(wanted) = params.all("traceID").map(parse_trace_id).collect::<Option<Vec<_>>>() else {
        return error(StatusCode::BAD_REQUEST, "'traceID' is not a trace id");
    };
    let traces = console.traces();
    let (found, missing): (Vec<_>, Vec<_>) =
        wanted.into_iter().map(|id| traces.get(id).ok_or(id)).partition(Result::is_ok);
    drop(traces);
    let found: Vec<_> = found.into_iter().flatten().collect();
    let no_trace = |id| json!({"msg": "trace not found", "traceID": trace_hex(id)});
    let errors: Vec<_> = missing.into_iter().filter_map(Result::err).map(no_trace).collect();
    let errors = if errors.is_empty() { Value::Null } else { errors.into() };
    let told: Vec<_> = found.iter().map(|trace| TraceJson(trace)).collect();
    HttpResponse::Ok().json(answer(told.len(), told, errors))
}

/// `GET /api/traces/{traceId}`
pub(super) async fn trace(console: web::Data<Console>, id: web::Path<String>) -> HttpResponse {
    let Some(id) = parse_trace_id(&id) else {
        return error(StatusCode::BAD_REQUEST, ids::NO_TRACE_ID);
    };
    match console.trace(id) {
        Some(trace) => traces_data(&[trace]),
        None => error(StatusCode::NOT_FOUND, "trace not found"),
    }
}

fn parse(params: &Params<'_>) -> Result<Search, String> {
    let mut tags = Vec::new();
    for text in params.all("tags") {
        match serde_json::from_str(text) {
            Ok(Value::Object(fields)) => tags.extend(fields.into_iter().map(|(key, value)| match value {
                Value::String(text) => (key, text),
                other => (key, other.to_string()),
            })),
            _ => tags.push(pair(text).ok_or("'tags' is neither a JSON object nor key:value")?),
        }
    }
    for text in params.all("tag") {
        tags.push(pair(text).ok_or("'tag' is not key:value")?);
    }
    let (from, until) = params.times()?;
    Ok(Search {
        service: params.get("service").map(Into::into),
        operation: params.get("operation").filter(|name| *name != "all").map(Into::into),
        tags,
        min_duration: params.duration("minDuration")?.unwrap_or(0),
        max_duration: params.duration("maxDuration")?.unwrap_or(u64::MAX),
        from,
        until,
        filter: params.filter()?,
        limit: params.limit("limit", Search::default().limit, MOST_TRACES)?,
    })
}

fn pair(text: &str) -> Option<(String, String)> {
    text.split_once(':').map(|(key, value)| (key.to_owned(), value.to_owned()))
}

fn traces_data(traces: &[Arc<StoredTrace>]) -> HttpResponse {
    let told: Vec<_> = traces.iter().map(|trace| TraceJson(trace)).collect();
    HttpResponse::Ok().json(answer(told.len(), told, Value::Null))
}

/// Jaeger's shape for what was found.
pub(super) fn data(total: usize, data: Value) -> HttpResponse {
    HttpResponse::Ok().json(answer(total, data, Value::Null))
}

/// What every answer of Jaeger's is.
#[derive(Serialize)]
struct JaegerAnswer<T> {
    data: T,
    total: usize,
    limit: usize,
    offset: usize,
    errors: Value,
}

fn answer<T: Serialize>(total: usize, data: T, errors: Value) -> JaegerAnswer<T> {
    JaegerAnswer { data, total, limit: 0, offset: 0, errors }
}

/// Jaeger's shape for a failure.
pub(super) fn error(status: StatusCode, message: &str) -> HttpResponse {
    let errors = json!([{"code": status.as_u16(), "msg": message}]);
    HttpResponse::build(status).json(answer(0, Value::Null, errors))
}

/// One trace: spans by start, and a process for every distinct resource. A span is decoded when it is written, and
/// forgotten before the next one is.
pub(super) struct TraceJson<'a>(pub(super) &'a StoredTrace);

impl Serialize for TraceJson<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let (first, processes) = processes(self.0);
        let mut fields = to.serialize_map(None)?;
        fields.serialize_entry("traceID", &trace_hex(self.0.id))?;
        fields.serialize_entry("spans", &SpansJson(self.0, &first))?;
        fields.serialize_entry("processes", &processes)?;
        fields.serialize_entry("warnings", &Value::Null)?;
        fields.end()
    }
}

/// The spans of a trace, with the process of each of its origins.
struct SpansJson<'a>(&'a StoredTrace, &'a [usize]);

impl Serialize for SpansJson<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self(trace, first) = self;
        let mut ordered: Vec<&StoredSpan> = trace.spans.iter().map(Arc::as_ref).collect();
        ordered.sort_by_key(|kept| (kept.start(), std::cmp::Reverse(kept.end())));
        let process = |kept: &StoredSpan| format!("p{}", first[kept.origin] + 1);
        to.collect_seq(ordered.into_iter().map(|kept| span_json(trace, kept, process(kept))))
    }
}

/// Which of its origins stands for each, by the resource, and those as Jaeger's processes.
fn processes(trace: &StoredTrace) -> (Vec<usize>, Value) {
    let same = |a: &usize, b: &usize| trace.origins[*a].resource == trace.origins[*b].resource;
    let first: Vec<usize> =
        (0..trace.origins.len()).map(|i| (0..i).find(|j| same(&i, j)).unwrap_or(i)).collect();
    let processes: serde_json::Map<_, _> = (0..first.len())
        .filter(|i| first[*i] == *i)
        .map(|i| {
            let origin = &trace.origins[i];
            let own = origin.resource.attributes.iter().filter(|pair| pair.key != "service.name");
            let tags: Vec<_> = own.map(tag).collect();
            (format!("p{}", i + 1), json!({"serviceName": origin.service, "tags": tags}))
        })
        .collect();
    (first, processes.into())
}

fn span_json(trace: &StoredTrace, kept: &StoredSpan, process: String) -> Value {
    let missing = kept.parent() != 0 && trace.span(kept.parent()).is_none();
    let warnings = missing.then_some(["the parent span was not received"]);
    let span = kept.span.decode();
    let logs: Vec<_> = span
        .events
        .iter()
        .map(|event| {
            let name = json!({"key": "event", "type": "string", "value": event.name});
            let fields: Vec<_> = std::iter::once(name).chain(event.attributes.iter().map(tag)).collect();
            json!({"timestamp": event.time_unix_nano / 1_000, "fields": fields})
        })
        .collect();
    json!({
        "traceID": trace_hex(trace.id),
        "spanID": span_hex(kept.id()),
        "flags": span.flags & 0xff,
        "operationName": span.name,
        "references": references(trace, kept, &span),
        "startTime": kept.start() / 1_000,
        "duration": kept.duration() / 1_000,
        "tags": tags(trace, kept, &span),
        "logs": logs,
        "processID": process,
        "warnings": warnings,
    })
}

fn references(trace: &StoredTrace, kept: &StoredSpan, span: &Span) -> Vec<Value> {
    let parent = (kept.parent() != 0).then_some(("CHILD_OF", trace.id, kept.parent()));
    let links = span.links.iter().filter_map(|link| {
        Some(("FOLLOWS_FROM", ids::trace_id(&link.trace_id)?, ids::span_id(&link.span_id)?))
    });
    let reference =
        |(kind, trace, span)| json!({"refType": kind, "traceID": trace_hex(trace), "spanID": span_hex(span)});
    parent.into_iter().chain(links).map(reference).collect()
}

/// The span's attributes and what Jaeger makes tags of: scope, kind, status, trace state.
fn tags(trace: &StoredTrace, kept: &StoredSpan, span: &Span) -> Vec<Value> {
    let mut tags: Vec<_> = span.attributes.iter().map(tag).collect();
    let mut add = |key: &str, value: &str| {
        if !value.is_empty() {
            tags.push(json!({"key": key, "type": "string", "value": value}));
        }
    };
    let scope = &trace.origin(kept).scope;
    add("otel.scope.name", &scope.name);
    add("otel.scope.version", &scope.version);
    if span.kind != 0 {
        add("span.kind", query::kind(kept));
    }
    add("otel.status_code", query::status(kept).unwrap_or_default());
    add("otel.status_description", span.status.as_ref().map_or("", |status| &status.message));
    add("w3c.tracestate", &span.trace_state);
    if kept.is_error() {
        tags.push(json!({"key": "error", "type": "bool", "value": true}));
    }
    tags
}

fn tag(pair: &KeyValue) -> Value {
    let value = pair.value.as_ref().and_then(|value| value.value.as_ref());
    let (kind, value) = match value {
        Some(any @ Any::BoolValue(_)) => ("bool", attributes::to_json(any)),
        // JavaScript would read another number; Jaeger writes a text there as well.
        Some(Any::IntValue(number)) if number.unsigned_abs() > MOST_EXACT => {
            ("int64", json!(number.to_string()))
        }
        Some(any @ Any::IntValue(_)) => ("int64", attributes::to_json(any)),
        Some(any @ Any::DoubleValue(_)) => ("float64", attributes::to_json(any)),
        Some(any @ Any::BytesValue(_)) => ("binary", attributes::to_json(any)),
        Some(any) => ("string", json!(attributes::text(any))),
        None => ("string", json!("")),
    };
    json!({"key": pair.key, "type": kind, "value": value})
}
