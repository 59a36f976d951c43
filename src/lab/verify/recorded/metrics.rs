//! Metrics in files: what counts never falls, and has counted every request of which a span is there.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use super::super::claim::{Claim, Flaws};
use super::{Recorded, claim, text};
use crate::config::Invalid;
use crate::lab::backend::trace::{SpanKind, attributes};
use crate::schema::{OtlpMetric, names};

/// From where to where it grew, by service, metric and attributes: a series that came later grew from 0.
type Grown = BTreeMap<(String, String, String), (f64, f64)>;

/// The rows of the file.
pub(super) fn judge(file: &Path, recorded: &Recorded) -> Result<Vec<Claim>, Invalid> {
    let look = || file.display().to_string();
    let (mut grown, mut falls, mut lines) = (Grown::new(), Flaws::default(), Flaws::default());
    for (number, line) in text(file)?.lines().enumerate() {
        match serde_json::from_str::<Value>(line) {
            Ok(message) if message["resourceMetrics"].is_array() => read(&message, &mut grown, |what| {
                falls.add(what, look);
            }),
            _ => lines.add(format!("line {} is not", number + 1), look),
        }
    }
    let mut uncounted = Flaws::default();
    for ((service, route, status), spans) in served(recorded) {
        let counted = counted(&grown, &service, &route, &status);
        if counted < spans {
            let what = format!("{service} {route} {status}: {spans} spans, {counted} requests counted");
            uncounted.add(what, look);
        }
    }
    Ok(vec![
        claim("metrics.lines", "each line is a message of OTLP in JSON", &lines),
        claim("metrics.growth", "what counts never falls", &falls),
        claim("metrics.requests", "each request of which a span is there is counted", &uncounted),
    ])
}

fn read(message: &Value, grown: &mut Grown, mut falls: impl FnMut(String)) {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    for group in list(&message["resourceMetrics"]) {
        let service = attributes(&group["resource"]["attributes"]).remove("service.name").unwrap_or_default();
        let service = service.as_str().unwrap_or_default();
        let known = grown.keys().any(|(own, _, _)| own == service);
        for metric in list(&group["scopeMetrics"]).iter().flat_map(|scope| list(&scope["metrics"])) {
            let name = metric["name"].as_str().unwrap_or_default();
            let cumulative = |data: &Value| data["aggregationTemporality"] == 2;
            let (data, field) = match (&metric["sum"], &metric["histogram"]) {
                (sum, _) if cumulative(sum) && sum["isMonotonic"] == true => (sum, "asInt"),
                (_, histogram) if cumulative(histogram) => (histogram, "count"),
                _ => continue,
            };
            for point in list(&data["dataPoints"]) {
                let Some(value) = number(&point[field]) else { continue };
                let own = json!(attributes(&point["attributes"])).to_string();
                let key = (service.to_owned(), name.to_owned(), own);
                let (_, last) = grown.entry(key).or_insert((if known { 0.0 } else { value }, value));
                if value < *last {
                    falls(format!("{service}: {name} falls from {last} to {value}"));
                }
                *last = value;
            }
        }
    }
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

/// SERVER spans of HTTP by service, route and status.
fn served(recorded: &Recorded) -> BTreeMap<(String, String, String), f64> {
    let mut served = BTreeMap::new();
    let spans = recorded.traces.values().flatten().filter(|span| span.kind == SpanKind::Server);
    for span in spans.filter(|span| span.attributes.contains_key("http.route")) {
        let key = (span.service.clone(), span.text("http.route"), span.text("http.response.status_code"));
        *served.entry(key).or_default() += 1.0;
    }
    served
}

/// By how much the requests of a route with a status grew.
fn counted(grown: &Grown, service: &str, route: &str, status: &str) -> f64 {
    let name = OtlpMetric::of(names::HTTP_SERVER_DURATION).map_or("", |row| row.name);
    let of = grown.iter().filter(|((own, metric, _), _)| own == service && metric == name);
    let mut sum = 0.0;
    for ((_, _, labels), (first, last)) in of {
        let labels: Value = serde_json::from_str(labels).unwrap_or_default();
        let code = labels["http.response.status_code"].as_i64().map(|code| code.to_string());
        let same = labels["http.route"] == route && code.as_deref() == Some(status);
        sum += if same { last - first } else { 0.0 };
    }
    sum
}
