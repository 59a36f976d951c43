//! Metrics against the rows of the registry.

use serde_json::Value;

use super::super::claim::Flaws;
use super::registry::fits;
use crate::lab::backend::count::ArrivedMetrics;
use crate::lab::score::is_made_of_spans;
use crate::schema::registry::Attribute;
use crate::schema::{METRICS, MetricKind, OTLP_METRICS, OtlpKind, OtlpMetric};

/// What a Prometheus makes itself for each target, and what it makes of a resource.
const OF_PROMETHEUS: [&str; 4] = ["up", "target_info", "ALERTS", "ALERTS_FOR_STATE"];

/// What a backend has that no row has, or has otherwise. Kinds and units of what counts are `metrics.schema`'s to say.
pub(in super::super) fn strange_metrics(arrived: &ArrivedMetrics, look: &str) -> Flaws {
    let mut flaws = Flaws::default();
    let mut add = |what: String| flaws.add(what, || look.to_owned());
    match arrived {
        ArrivedMetrics::Names(names) => {
            let unknown = names.iter().filter(|(_, name)| !is_known(name));
            unknown.for_each(|(service, name)| {
                add(format!("{service} has a metric {name}, which is not in the registry"))
            });
        }
        ArrivedMetrics::Series(series) => {
            series.iter().flat_map(strange_series).for_each(add);
        }
    }
    flaws
}

/// Whether a page or a Prometheus may have a series of this name.
fn is_known(name: &str) -> bool {
    let base = ["_bucket", "_count", "_sum"].into_iter().find_map(|suffix| name.strip_suffix(suffix));
    // A colon is a recording rule's.
    OF_PROMETHEUS.contains(&name)
        || name.starts_with("scrape_")
        || name.contains(':')
        || is_made_of_spans(name)
        || OTLP_METRICS.iter().any(|row| {
            let is = |name: &str| row.metric == name || row.prometheus_name() == name;
            is(name) || base.is_some_and(is)
        })
}

fn strange_series(series: &Value) -> Vec<String> {
    let text = |key: &str| series[key].as_str().unwrap_or_default();
    let (service, name) = (text("service"), text("name"));
    if is_made_of_spans(name) {
        return Vec::new();
    }
    let Some(row) = OTLP_METRICS.iter().find(|row| row.name == name) else {
        return vec![format!("{service} has a metric {name}, which is not in the registry")];
    };
    let mut strange = Vec::new();
    let counts =
        METRICS.iter().any(|metric| metric.name == row.metric && !matches!(metric.kind, MetricKind::Gauge));
    if !counts && (text("unit") != row.unit || text("kind") != kind_of(row)) {
        strange.push(format!("{service}: {name} is a {} in \"{}\"", text("kind"), text("unit")));
    }
    for (key, value) in series["attributes"].as_object().into_iter().flatten() {
        match Attribute::of(key).filter(|_| row.attribute_keys().any(|known| known == key)) {
            Some(known) if !fits(known, value) => {
                strange.push(format!("{service}: {key} of {name} is {value}"));
            }
            Some(_) => {}
            None => strange.push(format!("{service}: {name} has {key}, which is not in the registry")),
        }
    }
    strange
}

/// In the words of the console's API.
fn kind_of(row: &OtlpMetric) -> &'static str {
    match row.kind {
        OtlpKind::Sum | OtlpKind::ObservedSum => "counter",
        OtlpKind::UpDownSum => "upDownCounter",
        OtlpKind::Gauge => "gauge",
        OtlpKind::Histogram => "histogram",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_series_has_the_kind_the_unit_and_the_attributes_of_its_row() {
        let lag = |unit: &str, attributes: Value| {
            strange_series(
                &json!({"service": "s", "name": "queue.consumer.lag", "kind": "gauge", "unit": unit, "attributes": attributes}),
            )
        };
        assert_eq!(lag("{message}", json!({})), [""; 0]);
        assert_eq!(lag("1", json!({})), ["s: queue.consumer.lag is a gauge in \"1\""]);
        assert_eq!(
            lag("{message}", json!({"user": "7"})),
            ["s: queue.consumer.lag has user, which is not in the registry"]
        );
        let unknown = strange_series(&json!({"service": "s", "name": "pets"}));
        assert_eq!(unknown, ["s has a metric pets, which is not in the registry"]);
    }

    #[test]
    fn a_prometheus_has_names_of_pages_of_otlp_and_of_its_own() {
        for name in ["up", "scrape_duration_seconds", "slo:x", "gateway_requests_total", "order_value_bucket"]
        {
            assert!(is_known(name), "{name}");
        }
        assert!(is_known("messaging_client_sent_messages_total"));
        assert!(is_known("traces.span.metrics.calls") && is_known("traces_span_metrics_calls_total"));
        assert!(!is_known("pets_total") && !is_known("pets_count"));
    }
}
