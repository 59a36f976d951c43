//! Many traces in one answer, for who asks about every request of a run, as `verify` does: how much of each is there,
//! and the spans. Their log lines are a question to `/api/logs`.

use std::collections::HashMap;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde::Serialize;
use serde_json::json;

use super::jaeger;
use super::otlp_json::{OriginGroup, groups};
use super::params::{Pairs, Params};
use super::query::MOST_BYTES;
use super::state::Console;

/// `GET /api/many/counts?traceId=A,B,…`: `{"spans":[…],"lines":[…]}`, how many spans and log lines there are of each
/// trace, in the order of the ids, of which one question has 500 at most.
pub(super) async fn counts(console: web::Data<Console>, pairs: Pairs) -> HttpResponse {
    let ids = match Params(&pairs).trace_ids("traceId") {
        Ok(ids) => ids,
        Err(why) => return jaeger::error(StatusCode::BAD_REQUEST, &why),
    };
    let spans: Vec<_> = {
        let traces = console.traces();
        ids.iter().map(|id| traces.get(*id).map_or(0, |trace| trace.spans.len())).collect()
    };
    let mut lines: HashMap<_, _> = ids.iter().map(|id| (*id, 0_usize)).collect();
    console.logs().count(&mut lines);
    let lines: Vec<_> = ids.iter().map(|id| lines[id]).collect();
    HttpResponse::Ok().json(json!({"spans": spans, "lines": lines}))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ToldTraces<'a> {
    resource_spans: Vec<OriginGroup<'a>>,
    told: usize,
}

/// `GET /api/many/spans?traceId=A,B,…`: `{"resourceSpans":[…],"told":N}`, OTLP as JSON of the first N of these traces,
/// one group for each origin. N is less than all where an answer would be too large; it is 1 at least.
pub(super) async fn spans(console: web::Data<Console>, pairs: Pairs) -> HttpResponse {
    let ids = match Params(&pairs).trace_ids("traceId") {
        Ok(ids) => ids,
        Err(why) => return jaeger::error(StatusCode::BAD_REQUEST, &why),
    };
    let (mut found, mut told, mut bytes) = (Vec::new(), 0, 0);
    {
        let traces = console.traces();
        for id in ids {
            let trace = traces.get(id);
            bytes += trace.as_ref().map_or(0, |trace| trace.bytes);
            if told > 0 && bytes > MOST_BYTES {
                break;
            }
            told += 1;
            found.extend(trace);
        }
    }
    HttpResponse::Ok().json(ToldTraces { resource_spans: groups(&found), told })
}
