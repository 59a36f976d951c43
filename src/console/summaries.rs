//! The list of traces: found, sorted, page by page, with the points of its scatter.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use super::attributes::text_of;
use super::filter::Filter;
use super::ids::trace_hex;
use super::params::{Pairs, Params};
use super::state::Console;
use super::traces::{StoredSpan, StoredTrace};
use super::{background, jaeger, query, scatter};
use crate::schema::FAULT_ATTRIBUTE;

/// The most faults that are named of one trace.
const MOST_FAULTS: usize = 5;

/// What is asked of the list.
struct ListQuery<'a> {
    service: Option<&'a str>,
    /// As [`wanted_status`] takes it.
    status: Option<&'a str>,
    filter: Filter,
    /// Nanoseconds.
    durations: RangeInclusive<u64>,
    /// In which the trace starts, nanoseconds since the epoch.
    times: RangeInclusive<u64>,
    sort: Sort,
    hide_background: bool,
    offset: usize,
    limit: usize,
}

/// The order of the list.
#[derive(Clone, Copy)]
enum Sort {
    Newest,
    Oldest,
    Longest,
    Shortest,
}

impl Sort {
    const NAMES: [(&'static str, Self); 4] = [
        ("newest", Self::Newest),
        ("oldest", Self::Oldest),
        ("longest", Self::Longest),
        ("shortest", Self::Shortest),
    ];

    fn read(name: &str) -> Result<Self, String> {
        let known = Self::NAMES.iter().find(|(known, _)| *known == name);
        known.map(|(_, sort)| *sort).ok_or("'sort' is none of newest, oldest, longest, shortest".into())
    }

    /// Equal ones by id, so that pages do not overlap.
    fn sort(self, traces: &mut [Arc<StoredTrace>]) {
        let duration = |trace: &StoredTrace| trace.end - trace.start;
        match self {
            Self::Newest => traces.sort_unstable_by_key(|trace| (Reverse(trace.start), trace.id)),
            Self::Oldest => traces.sort_unstable_by_key(|trace| (trace.start, trace.id)),
            Self::Longest => traces.sort_unstable_by_key(|trace| (Reverse(duration(trace)), trace.id)),
            Self::Shortest => traces.sort_unstable_by_key(|trace| (duration(trace), trace.id)),
        }
    }
}

/// `GET /api/summaries?service=&status=&text=&minDuration=&maxDuration=&start=&end=&lookback=&sort=&background=&offset=&limit=`:
/// one short entry a trace; `matched` is how many there are, `kept` of how many, `hidden` how many polls
/// `background=hide` left out. With `points=true` those of the scatter, of all that matched.
pub(super) async fn answer(console: web::Data<Console>, pairs: Pairs) -> HttpResponse {
    let params = Params(&pairs);
    let query = match ListQuery::read(&params) {
        Ok(query) => query,
        Err(why) => return jaeger::error(StatusCode::BAD_REQUEST, &why),
    };
    let mut found = console.all_traces();
    let kept = found.len();
    let hidden = query.narrow(&mut found);
    let list: Vec<_> =
        found.iter().skip(query.offset).take(query.limit).map(|trace| summary(trace)).collect();
    let points = (params.get("points") == Some("true")).then(|| scatter::points(&found));
    HttpResponse::Ok().json(json!({"traces": list, "matched": found.len(), "kept": kept,
        "hidden": hidden, "points": points}))
}

/// All traces that the list with these parameters has, on whatever page.
pub(super) fn found(console: &Console, params: &Params<'_>) -> Result<Vec<Arc<StoredTrace>>, String> {
    let query = ListQuery::read(params)?;
    let mut found = console.all_traces();
    query.narrow(&mut found);
    Ok(found)
}

impl<'a> ListQuery<'a> {
    fn read(params: &Params<'a>) -> Result<Self, String> {
        let least = params.duration("minDuration")?.unwrap_or(0);
        let most = params.duration("maxDuration")?.unwrap_or(u64::MAX);
        let (from, until) = params.times()?;
        Ok(Self {
            service: params.get("service"),
            status: params.get("status").map(wanted_status).transpose()?,
            filter: params.filter()?,
            durations: least..=most,
            times: from..=until,
            sort: params.get("sort").map_or(Ok(Sort::Newest), Sort::read)?,
            hide_background: params.one_of("background", &["hide", "show"])? == Some("hide"),
            offset: params.limit("offset", 0, usize::MAX)?,
            limit: params.limit("limit", 100, query::MOST_TRACES)?,
        })
    }

    /// Leaves those that are asked for, in their order; how many polls were left out.
    fn narrow(&self, traces: &mut Vec<Arc<StoredTrace>>) -> usize {
        traces.retain(|trace| self.finds(trace));
        let matched = traces.len();
        if self.hide_background {
            traces.retain(|trace| !background::is_poll(trace));
        }
        self.sort.sort(traces);
        matched - traces.len()
    }

    fn finds(&self, trace: &StoredTrace) -> bool {
        self.service.is_none_or(|name| trace.origins.iter().any(|origin| origin.service == name))
            && self.durations.contains(&(trace.end - trace.start))
            && self.times.contains(&trace.start)
            && self.status.is_none_or(|status| has_status(trace, status))
            && self.filter.finds(trace)
    }
}

/// `error`, `ok`, a class of HTTP status codes such as `5xx`, or one code.
fn wanted_status(text: &str) -> Result<&str, String> {
    let is_class = matches!(text.as_bytes(), [b'1'..=b'5', b'x', b'x']);
    let is_code = text.len() == 3 && text.parse().is_ok_and(|code: u16| (100..600).contains(&code));
    let known = ["error", "ok"].contains(&text) || is_class || is_code;
    known.then_some(text).ok_or_else(|| "'status' is none of error, ok, 1xx to 5xx, 100 to 599".to_owned())
}

fn has_status(trace: &StoredTrace, wanted: &str) -> bool {
    let errors = trace.spans.iter().any(|kept| kept.is_error());
    match wanted {
        "error" => errors,
        "ok" => !errors,
        _ => http_status(&trace.spans[trace.root()]).is_some_and(|code| {
            code == wanted || (wanted.ends_with("xx") && code.get(..1) == wanted.get(..1))
        }),
    }
}

/// By the current name or the former one.
fn http_status(kept: &StoredSpan) -> Option<String> {
    let named = |key| Some(text_of(&kept.span.attribute(key)?).into_owned());
    named("http.response.status_code").or_else(|| named("http.status_code"))
}

fn summary(trace: &StoredTrace) -> Value {
    let root = &trace.spans[trace.root()];
    let services = query::services_of(trace);
    let errors: usize = services.values().map(|counts| counts.1).sum();
    let services: Vec<_> = services
        .iter()
        .map(|(name, (spans, errors))| json!({"name": name, "spans": spans, "errors": errors}))
        .collect();
    json!({
        "traceID": trace_hex(trace.id),
        "name": root.span.name(),
        "service": trace.origin(root).service,
        "rootReceived": root.parent() == 0,
        "httpStatus": http_status(root),
        "startTime": trace.start / 1_000,
        "duration": (trace.end - trace.start) / 1_000,
        "rootDuration": root.duration() / 1_000,
        "spans": trace.spans.len(),
        "errors": errors,
        "services": services,
        "faults": faults(trace),
    })
}

/// The faults that hit a span of it, each once; some at the most, however many names it says.
fn faults(trace: &StoredTrace) -> Vec<String> {
    let mut found = BTreeSet::new();
    for kept in &trace.spans {
        if let Some(hit) = kept.span.attribute(FAULT_ATTRIBUTE).as_ref().map(text_of) {
            found.extend(
                hit.split(',')
                    .map(str::trim)
                    .filter(|name| !name.is_empty())
                    .take(MOST_FAULTS)
                    .map(|name| name.chars().take(40).collect::<String>()),
            );
        }
        if found.len() >= MOST_FAULTS {
            break;
        }
    }
    found.into_iter().take(MOST_FAULTS).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::console::sample;
    use crate::console::traces::TraceStore;

    #[test]
    fn a_trace_names_each_fault_that_hit_it_once_and_a_bounded_number_of_them() {
        let mut store = TraceStore::new(100, 1 << 20);
        for (id, hit) in [(1, "latency"), (2, "slow-db,latency"), (3, ""), (4, &"x,".repeat(90))] {
            let mut span = sample::span(1, id, 0);
            span.attributes =
                if hit.is_empty() { Vec::new() } else { vec![sample::text(FAULT_ATTRIBUTE, hit)] };
            store.insert(&sample::origin("a"), span).unwrap();
        }
        let found = faults(&store.all()[0]);
        assert!(found.len() <= MOST_FAULTS && found.contains(&"latency".to_owned()), "{found:?}");
        assert_eq!(found.iter().filter(|name| *name == "slow-db").count(), 1);
    }
}
