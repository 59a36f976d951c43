//! The page's own views: one trace with its path and logs, the overview, logs.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use super::critical;
use super::forward::Forwarder;
use super::ids::{self, parse_trace_id, span_hex};
use super::jaeger;
use super::line_head::{LEVELS, place};
use super::linked::linked_from;
use super::logs::LogFilter;
use super::others;
use super::params::{Pairs, Params, now, whole};
use super::red;
use super::retain::Retention;
use super::served::{ServedDurations, ServedSpans};
use super::state::Console;

/// Log lines shown under one trace.
const LOGS_OF_A_TRACE: usize = 500;
const SECOND: u64 = 1_000_000_000;
/// Bars of the histogram of log lines, about.
const HISTOGRAM_STEPS: u64 = 60;

/// `GET /api/logs?traceId=&service=&level=&text=&after=&since=&until=&around=&limit=`: `{"logs":[…],"numbers":[…],"next":N}`;
/// of several traces with commas between their ids.
pub(super) async fn logs(console: web::Data<Console>, pairs: Pairs) -> HttpResponse {
    match log_filter(&Params(&pairs)) {
        Ok(filter) => raw(log_answer(&console, &filter)),
        Err(why) => jaeger::error(StatusCode::BAD_REQUEST, &why),
    }
}

fn log_filter(params: &Params<'_>) -> Result<LogFilter, String> {
    Ok(LogFilter {
        traces: params.trace_ids("traceId")?.into_iter().collect(),
        service: params.get("service").map(Into::into),
        level: params.get("level").map(known_level).transpose()?,
        text: params.get("text").map(str::to_lowercase),
        after: params.get("after").map(|text| whole("after", text)).transpose()?,
        since: params.instant("since", now())?,
        until: params.instant("until", now())?,
        around: params.get("around").map(|text| whole("around", text)).transpose()?,
        limit: params.limit("limit", 200, 5_000)?,
    })
}

/// By any logging system's name.
fn known_level(name: &str) -> Result<String, String> {
    let why = || format!("'level' is none of {}", LEVELS.map(|(name, _)| name).join(", "));
    place(name).map(|_| name.to_owned()).ok_or_else(why)
}

/// `GET /api/logs/histogram?…` with the filters of the list: `{"from":µs,"step":µs,"levels":[…],"counts":[[…]…]}`, how many
/// lines of each level there were in each step. Without `since` it begins with the oldest line kept.
pub(super) async fn log_histogram(console: web::Data<Console>, pairs: Pairs) -> HttpResponse {
    let filter = match log_filter(&Params(&pairs)) {
        Ok(filter) => filter,
        Err(why) => return jaeger::error(StatusCode::BAD_REQUEST, &why),
    };
    let recent = console.logs().recent(&filter);
    let until = filter.until.unwrap_or_else(now);
    let from = filter.since.or_else(|| recent.oldest()).unwrap_or(until).min(until);
    let step = ((until - from) / HISTOGRAM_STEPS).next_multiple_of(SECOND).max(SECOND);
    let from = from / step * step;
    let steps = usize::try_from((until - from) / step + 1).unwrap_or_default();
    let counts = recent.histogram(&filter, from, step, steps);
    let levels: Vec<_> = LEVELS.iter().map(|(name, _)| name).collect();
    HttpResponse::Ok()
        .json(json!({"from": from / 1_000, "step": step / 1_000, "levels": levels, "counts": counts}))
}

/// The lines are searched and put together without the store's lock.
fn log_answer(console: &Console, filter: &LogFilter) -> String {
    let recent = console.logs().recent(filter);
    recent.answer(filter)
}

fn raw(body: String) -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(body)
}

/// `GET /api/view/{traceId}`: the trace as in Jaeger's JSON, its critical path, its log lines, and which spans link to it.
pub(super) async fn view(console: web::Data<Console>, id: web::Path<String>) -> HttpResponse {
    let Some(id) = parse_trace_id(&id) else {
        return jaeger::error(StatusCode::BAD_REQUEST, ids::NO_TRACE_ID);
    };
    let Some(trace) = console.trace(id) else {
        return jaeger::error(StatusCode::NOT_FOUND, "trace not found");
    };
    let path = critical::path(&trace);
    let trace = serde_json::to_string(&jaeger::TraceJson(&trace)).unwrap_or_else(|_| "null".to_owned());
    let segment = |s: &critical::PathSegment| json!({"spanID": span_hex(s.span), "startTime": s.start / 1_000, "duration": (s.end - s.start) as f64 / 1e3});
    let path: Vec<_> = path.iter().map(segment).collect();
    let filter = LogFilter { traces: [id].into(), limit: LOGS_OF_A_TRACE, ..LogFilter::default() };
    let logs = log_answer(&console, &filter);
    let linked = linked_from(&console.all_traces(), id);
    let (path, linked) = (Value::from(path), Value::from(linked));
    // The log lines stay the text they came in, so they are put into the answer as they are.
    raw(format!(r#"{{"trace":{trace},"criticalPath":{path},"log":{logs},"linkedFrom":{linked}}}"#))
}

/// `GET /api/overview`: the services with their rates, what came in, what was kept and what was not.
pub(super) async fn overview(console: web::Data<Console>) -> HttpResponse {
    let (spans, (max_spans, max_bytes), traces) = {
        let store = console.traces();
        (store.stats, store.bounds(), store.all())
    };
    let logs = {
        let logs = console.logs();
        json!({"received": logs.received, "rejected": logs.rejected, "evicted": logs.evicted,
            "kept": logs.len(), "bytes": logs.bytes})
    };
    let metrics = {
        let store = console.metrics();
        json!({"received": store.stats.received, "rejected": store.stats.rejected, "series": store.len(),
            "evictedSeries": store.stats.evicted_series, "bytes": store.bytes})
    };
    let (now, window) = (now(), u64::try_from(red::WINDOW.as_nanos()).unwrap_or(u64::MAX));
    // Another machine's clock may be ahead, but not by years.
    let lately = now.saturating_sub(window)..=now.saturating_add(window);
    // Where a part of the traces is kept, figures are of all that came in.
    let (arrived, not_stored, waiting, keep) = match console.sampler() {
        Some(sampler) => {
            (Some(sampler.served.clone()), sampler.not_stored(), sampler.bytes(), Some(sampler.json()))
        }
        None => (None, 0, 0, None),
    };
    let served = match &arrived {
        Some(arrived) => arrived.ended(lately),
        None => ServedDurations::ended(&traces, lately),
    };
    let mut seen = console.all_services(&traces);
    seen.extend(arrived.iter().flat_map(ServedSpans::services));
    HttpResponse::Ok().json(json!({
        "services": console.services().report(console.ports, &served),
        "others": others::report(&seen, &served),
        "seen": seen,
        "traces": {"received": spans.received + not_stored, "rejected": spans.rejected, "kept": spans.spans,
            "evicted": spans.evicted_spans, "keptTraces": traces.len(),
            "evictedTraces": spans.evicted_traces, "bytes": spans.bytes + waiting,
            "maxSpans": max_spans, "maxBytes": max_bytes},
        "logs": logs,
        "metrics": metrics,
        "keep": keep,
        "retain": console.retention.as_ref().map(Retention::json),
        "forward": console.forward.as_ref().map(Forwarder::json),
        "maxBytes": console.max_bytes,
        "gatewayPort": console.ports.of(crate::schema::Role::Gateway),
        "otlpPort": console.otlp_port,
        "otlpGrpcPort": console.otlp_grpc_port,
    }))
}
