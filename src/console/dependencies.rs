//! Which service called which: what Jaeger's architecture page and Grafana's node graph draw.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde_json::json;

use super::jaeger;
use super::params::{Pairs, Params, now, whole};
use super::state::Console;
use super::traces::StoredTrace;

/// How far back is looked where nothing is said, in nanoseconds: a day.
const LOOKBACK: u64 = 86_400_000_000_000;

/// `GET /api/dependencies?endTs=&lookback=&service=`: which service called which, how often. Both times
/// are milliseconds.
pub(super) async fn answer(console: web::Data<Console>, pairs: Pairs) -> HttpResponse {
    let params = Params(&pairs);
    let millis = |name| -> Result<Option<u64>, String> {
        params
            .get(name)
            .map(|text| whole::<u64>(name, text).map(|ms| ms.saturating_mul(1_000_000)))
            .transpose()
    };
    let (end, lookback) = match (millis("endTs"), millis("lookback")) {
        (Ok(end), Ok(lookback)) => (end.unwrap_or_else(now), lookback.unwrap_or(LOOKBACK)),
        (Err(why), _) | (_, Err(why)) => return jaeger::error(StatusCode::BAD_REQUEST, &why),
    };
    let traces = console.all_traces();
    let found = links(&traces, end.saturating_sub(lookback), end);
    let about = |(parent, child): &(&str, &str)| {
        params.get("service").is_none_or(|service| service == *parent || service == *child)
    };
    let list: Vec<_> = found
        .iter()
        .filter(|(link, _)| about(link))
        .map(|((parent, child), calls)| json!({"parent": parent, "child": child, "callCount": calls}))
        .collect();
    jaeger::data(list.len(), list.into())
}

/// The number of spans by the service of their parent and their own, as Jaeger's memory store counts
/// them: a service's calls within itself are there too. Only of traces that began and ended between the
/// two times, in nanoseconds since the epoch.
fn links(traces: &[Arc<StoredTrace>], from: u64, until: u64) -> BTreeMap<(&str, &str), u64> {
    let mut links = BTreeMap::new();
    for trace in traces.iter().filter(|trace| from < trace.start && trace.end < until) {
        for kept in &trace.spans {
            if let Some(parent) = trace.span(kept.parent()) {
                let link = (trace.origin(parent).service.as_str(), trace.origin(kept).service.as_str());
                *links.entry(link).or_default() += 1;
            }
        }
    }
    links
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::console::sample::{self, START};
    use crate::console::traces::TraceStore;

    #[test]
    fn a_span_is_a_call_from_the_service_of_its_parent_where_that_is_known() {
        let mut store = TraceStore::new(100, 1 << 20);
        for (service, id, parent) in [("a", 1, 0), ("a", 2, 1), ("b", 3, 2), ("b", 4, 2), ("c", 5, 99)] {
            store.insert(&sample::origin(service), sample::span(1, id, parent)).unwrap();
        }
        let traces = store.all();
        let expected = BTreeMap::from([(("a", "a"), 1), (("a", "b"), 2)]);
        assert_eq!(links(&traces, START, u64::MAX), expected);
        let (first, last) = (START + 1_000_000, START + 15_000_000);
        assert!(links(&traces, first, u64::MAX).is_empty(), "it began at the first of the two times");
        assert!(links(&traces, START, last).is_empty(), "it ended at the last of them");
        assert_eq!(links(&traces, first - 1, last + 1), expected);
    }
}
