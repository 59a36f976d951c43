//! Services that are not the lab's: they appear by what they send, and their figures are of their spans.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::percentile::Percentile;
use super::red::WINDOW;
use super::served::ServedDurations;
use crate::schema::SERVICES;

/// One entry for each of `names` that is no service of the lab: as those have them, `count`, `seconds`, `rate`,
/// `errorRatio` and `p95`, of what it served lately.
pub(super) fn report(names: &BTreeSet<String>, served: &ServedDurations<'_>) -> Vec<Value> {
    let others = names.iter().filter(|name| SERVICES.iter().all(|service| service.name != **name));
    others
        .map(|name| {
            let (count, errors) = served.counts(name);
            let seconds = WINDOW.as_secs_f64();
            json!({"name": name, "count": count, "seconds": seconds, "rate": count as f64 / seconds,
                "errorRatio": (count > 0).then(|| errors as f64 / count as f64),
                "p95": served.of_all(name).map(Percentile::json)})
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::params::now;
    use crate::console::sample;

    #[test]
    fn a_service_of_ones_own_is_counted_by_the_spans_that_served_something_lately() {
        let console = sample::console();
        let at = now();
        let spans = [(1, 2, 0), (2, 2, 2), (3, 3, 2), (4, 5, 0)].map(|(id, kind, code)| {
            let mut span = sample::span(id.into(), id, 0);
            (span.kind, span.start_time_unix_nano, span.end_time_unix_nano) = (kind, at - 5_000_000, at);
            span.status.get_or_insert_default().code = code;
            span
        });
        for (trace, name) in [(100_u128, "shop"), (200, "api-gateway")] {
            let mut spans = spans.to_vec();
            spans.iter_mut().for_each(|span| span.trace_id = trace.to_be_bytes().to_vec());
            console.take_spans(sample::received(&sample::export(name, spans)));
        }
        let old = sample::span(9, 9, 0);
        console.take_spans(sample::received(&sample::export("shop", vec![old])));
        let traces = console.all_traces();
        let served = ServedDurations::ended(&traces, at - 1_000_000..=u64::MAX);
        let found = report(&console.all_services(&traces), &served);
        let expected = json!([{"name": "shop", "count": 3, "seconds": 60.0, "rate": 0.05, "errorRatio": 1.0 / 3.0,
            "p95": {"ms": 5.0, "bound": "exact", "spans": 3}}]);
        assert_eq!(json!(found), expected);
    }
}
