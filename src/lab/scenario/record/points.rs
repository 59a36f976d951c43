//! Samples of pages as messages of OTLP: the names, units and attributes with which the roles export them too.

use serde_json::{Value, json};

use super::samples::{ScrapedSamples, ScrapedSeries};
use crate::schema::{INTEGER_KEYS, OtlpKind, OtlpMetric, names};

const CUMULATIVE: u64 = 2;

/// A message for each scrape of a service with this resource.
pub(super) fn messages(samples: &ScrapedSamples, service: &'static str, resource: &Value) -> Vec<Value> {
    let started = samples
        .of_service(service)
        .find(|(name, _)| *name == names::PROCESS_START)
        .and_then(|(_, mut metrics)| metrics.next()?.first()?.points.first().copied());
    // To the microsecond, which a double holds.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time since 1970")]
    let started = started.map_or(0, |(_, seconds)| (seconds * 1e6) as u64 * 1_000);
    let message = |time: u64| {
        let of_family = |(name, points): (&str, Vec<&[ScrapedSeries]>)| {
            let row = OtlpMetric::of(name)?;
            let points: Vec<_> =
                points.into_iter().filter_map(|metric| point(row, metric, started, time)).collect();
            (!points.is_empty()).then(|| described(row, points))
        };
        let families = samples.of_service(service).map(|(name, metrics)| (name, metrics.collect()));
        let metrics: Vec<_> = families.filter_map(of_family).collect();
        let scope = json!({"name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION")});
        json!({"resourceMetrics": [{
            "resource": resource, "scopeMetrics": [{"scope": scope, "metrics": metrics}]}]})
    };
    samples.times().into_iter().map(message).collect()
}

fn described(row: &OtlpMetric, points: Vec<Value>) -> Value {
    let mut metric = json!({"name": row.name, "description": row.help(), "unit": row.unit});
    let (field, data) = match row.kind {
        OtlpKind::Gauge => ("gauge", json!({"dataPoints": points})),
        OtlpKind::Histogram => {
            ("histogram", json!({"dataPoints": points, "aggregationTemporality": CUMULATIVE}))
        }
        OtlpKind::Sum | OtlpKind::ObservedSum | OtlpKind::UpDownSum => {
            let monotonic = row.kind != OtlpKind::UpDownSum;
            let data = json!({"dataPoints": points, "aggregationTemporality": CUMULATIVE,
                "isMonotonic": monotonic});
            ("sum", data)
        }
    };
    metric[field] = data;
    metric
}

/// The series of one set of labels at a time: one of a number, all buckets with count and sum of a histogram.
fn point(row: &OtlpMetric, metric: &[ScrapedSeries], started: u64, time: u64) -> Option<Value> {
    let first = metric.first()?;
    let mut point = json!({"timeUnixNano": time.to_string(), "attributes": attributes(row, first)});
    if row.kind != OtlpKind::Gauge {
        point["startTimeUnixNano"] = json!(started.to_string());
    }
    match row.kind {
        OtlpKind::Gauge => point["asDouble"] = json!(first.at(time)? / row.divisor),
        OtlpKind::Histogram => buckets(row, metric, time, &mut point)?,
        _ => point["asInt"] = json!(whole(first.at(time)?)),
    }
    Some(point)
}

fn buckets(row: &OtlpMetric, metric: &[ScrapedSeries], time: u64, point: &mut Value) -> Option<()> {
    let (mut bounds, mut counts, mut below) = (Vec::new(), Vec::new(), 0.0);
    for series in metric {
        let value = series.at(time)?;
        match series.labels.iter().find(|(key, _)| key == "le") {
            Some((_, bound)) => {
                counts.push(whole(value - below));
                below = value;
                // The last one has no bound.
                bounds.extend(bound.parse::<f64>().ok().filter(|b| b.is_finite()).map(|b| b / row.divisor));
            }
            None if series.name.ends_with("_sum") => point["sum"] = json!(value / row.divisor),
            None => point["count"] = json!(whole(value)),
        }
    }
    (point["bucketCounts"], point["explicitBounds"]) = (json!(counts), json!(bounds));
    Some(())
}

/// A 64-bit number, which OTLP JSON writes as text.
fn whole(value: f64) -> String {
    format!("{value:.0}")
}

fn attributes(row: &OtlpMetric, series: &ScrapedSeries) -> Vec<Value> {
    let text = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    let mut all: Vec<_> = row.fixed.iter().map(|(key, value)| text(key, value)).collect();
    for (label, value) in series.labels.iter().filter(|(label, _)| label != "le") {
        all.extend(row.key(label).map(|key| match INTEGER_KEYS.contains(&key) {
            true => json!({"key": key, "value": {"intValue": value}}),
            false => text(key, value),
        }));
        if row.is_error(label, value) {
            all.push(text("error.type", value));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(name: &str, labels: &[(&str, &str)], value: f64) -> ScrapedSeries {
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        ScrapedSeries { name: name.to_owned(), labels: labels.collect(), points: vec![(7, value)] }
    }

    #[test]
    fn buckets_of_a_page_that_add_up_become_counts_between_bounds_in_the_unit_of_otlp() {
        let row = OtlpMetric::of(names::NOTIFICATION_DURATION).unwrap_or_else(|| unreachable!());
        let of = |suffix: &str, labels: &[(&str, &str)], value| {
            series(&format!("{}{suffix}", names::NOTIFICATION_DURATION), labels, value)
        };
        let metric = [
            of("_bucket", &[("le", "0.5")], 1.0),
            of("_bucket", &[("le", "1.5")], 3.0),
            of("_bucket", &[("le", "+Inf")], 4.0),
            of("_sum", &[], 12.0),
            of("_count", &[], 4.0),
        ];
        let point = point(row, &metric, 1, 7).unwrap_or_else(|| unreachable!());
        assert_eq!(point["bucketCounts"], json!(["1", "2", "1"]));
        assert_eq!(point["explicitBounds"], json!([0.0005, 0.0015]));
        assert_eq!((&point["count"], &point["sum"]), (&json!("4"), &json!(0.012)));
    }

    #[test]
    fn a_status_is_a_number_and_that_of_a_failure_its_error_type_too() {
        let row = OtlpMetric::of(names::HTTP_SERVER_DURATION).unwrap_or_else(|| unreachable!());
        let one = series("x", &[("http_response_status_code", "503")], 1.0);
        let found = attributes(row, &one);
        let status = json!({"key": "http.response.status_code", "value": {"intValue": "503"}});
        let error = json!({"key": "error.type", "value": {"stringValue": "503"}});
        assert!(found.contains(&status) && found.contains(&error), "{found:?}");
    }
}
