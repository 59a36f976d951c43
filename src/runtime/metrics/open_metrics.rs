//! The page once more as OpenMetrics 1.0 text, which has room for exemplars.
//!
//! It is made of the page of the Prometheus text format, so that both say the same numbers.

use std::fmt::Write;

use opentelemetry::trace::TraceId;

use super::exemplar::BucketExemplar;
use crate::exposition::{MetricFamily, MetricSample, families};
use crate::schema::{OtlpMetric, names};

/// The page with the exemplars that `exemplars` has for the series of a bucket, one for each bucket in order.
pub(super) fn open_metrics(
    page: &str,
    exemplars: impl Fn(&MetricSample<'_>) -> Box<[Option<BucketExemplar>]>,
) -> String {
    let mut text = String::with_capacity(page.len() * 5 / 4);
    for family in families(page) {
        write_head(&mut text, &family);
        let mut series = ("", Box::default(), 0);
        for line in family.lines {
            text.push_str(line);
            if let Some((head, _)) = line.split_once("le=\"") {
                if series.0 != head {
                    let bucket = MetricSample::parse(line);
                    series = (head, bucket.map(|bucket| exemplars(&bucket)).unwrap_or_default(), 0);
                }
                if let Some(Some(exemplar)) = series.1.get(series.2) {
                    write_exemplar(&mut text, exemplar);
                }
                series.2 += 1;
            }
            text.push('\n');
        }
    }
    text.push_str("# EOF\n");
    text
}

/// A counter's family is named without the `_total` of its samples.
fn write_head(text: &mut String, family: &MetricFamily<'_>) {
    let name = match family.kind {
        "counter" => family.name.strip_suffix("_total").unwrap_or(family.name),
        _ => family.name,
    };
    let kind = if family.kind == "untyped" { "unknown" } else { family.kind };
    // Writing to a string cannot fail.
    let _ = writeln!(text, "# TYPE {name} {kind}");
    if let Some(unit) = unit(family.name, name) {
        let _ = writeln!(text, "# UNIT {name} {unit}");
    }
    // Quotes are escaped here and not in the other format.
    let _ = writeln!(text, "# HELP {name} {}", family.help.replace('"', "\\\""));
}

/// The unit, which the format wants at the end of the family's name.
fn unit(metric: &str, family: &str) -> Option<&'static str> {
    let unit = match (metric, OtlpMetric::of(metric)?.unit) {
        (names::NOTIFICATION_DURATION, _) => "ms",
        (_, "s") => "seconds",
        (_, "By") => "bytes",
        _ => return None,
    };
    family.strip_suffix(unit)?.ends_with('_').then_some(unit)
}

/// The labels are 63 characters; a backend drops an exemplar with more than 128.
fn write_exemplar(text: &mut String, exemplar: &BucketExemplar) {
    let BucketExemplar { value, time, trace, span } = exemplar;
    let (seconds, milliseconds) = (time / 1_000_000_000, time / 1_000_000 % 1000);
    text.push_str(" # {");
    // Writing to a string cannot fail.
    if *trace != TraceId::INVALID {
        let _ = write!(text, "trace_id=\"{trace}\",span_id=\"{span}\"");
    }
    let _ = write!(text, "}} {value} {seconds}.{milliseconds:03}");
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::SpanId;

    use super::*;

    const PAGE: &str = "\
# HELP users_created_total Users \"stored\"
# TYPE users_created_total counter
users_created_total 3

# HELP fault_active Whether
# TYPE fault_active gauge
fault_active{fault=\"error\"} 0

# HELP notification_processing_duration_ms Time
# TYPE notification_processing_duration_ms histogram
notification_processing_duration_ms_bucket{le=\"0.5\"} 1
notification_processing_duration_ms_bucket{le=\"+Inf\"} 1
notification_processing_duration_ms_sum 0.25
notification_processing_duration_ms_count 1

# HELP db_client_operation_duration_seconds Duration
# TYPE db_client_operation_duration_seconds histogram
db_client_operation_duration_seconds_bucket{outcome=\"ok\",le=\"0.5\"} 1
db_client_operation_duration_seconds_bucket{outcome=\"ok\",le=\"+Inf\"} 2
db_client_operation_duration_seconds_sum{outcome=\"ok\"} 1.5
db_client_operation_duration_seconds_count{outcome=\"ok\"} 2
db_client_operation_duration_seconds_bucket{outcome=\"error\",le=\"0.5\"} 0
db_client_operation_duration_seconds_bucket{outcome=\"error\",le=\"+Inf\"} 0
db_client_operation_duration_seconds_sum{outcome=\"error\"} 0
db_client_operation_duration_seconds_count{outcome=\"error\"} 0
";

    const OPEN_METRICS: &str = "\
# TYPE users_created counter
# HELP users_created Users \\\"stored\\\"
users_created_total 3
# TYPE fault_active gauge
# HELP fault_active Whether
fault_active{fault=\"error\"} 0
# TYPE notification_processing_duration_ms histogram
# UNIT notification_processing_duration_ms ms
# HELP notification_processing_duration_ms Time
notification_processing_duration_ms_bucket{le=\"0.5\"} 1
notification_processing_duration_ms_bucket{le=\"+Inf\"} 1
notification_processing_duration_ms_sum 0.25
notification_processing_duration_ms_count 1
# TYPE db_client_operation_duration_seconds histogram
# UNIT db_client_operation_duration_seconds seconds
# HELP db_client_operation_duration_seconds Duration
db_client_operation_duration_seconds_bucket{outcome=\"ok\",le=\"0.5\"} 1
db_client_operation_duration_seconds_bucket{outcome=\"ok\",le=\"+Inf\"} 2 \
# {trace_id=\"00000000000000000000000000000007\",span_id=\"0000000000000009\"} 1.25 1790000000.012
db_client_operation_duration_seconds_sum{outcome=\"ok\"} 1.5
db_client_operation_duration_seconds_count{outcome=\"ok\"} 2
db_client_operation_duration_seconds_bucket{outcome=\"error\",le=\"0.5\"} 0
db_client_operation_duration_seconds_bucket{outcome=\"error\",le=\"+Inf\"} 0
db_client_operation_duration_seconds_sum{outcome=\"error\"} 0
db_client_operation_duration_seconds_count{outcome=\"error\"} 0
# EOF
";

    #[test]
    fn the_page_as_open_metrics_has_the_same_numbers_units_and_exemplars_where_there_are_some() {
        let exemplar = BucketExemplar {
            value: 1.25,
            time: 1_790_000_000_012_345_678,
            trace: TraceId::from(7),
            span: SpanId::from(9),
        };
        let text = open_metrics(PAGE, |bucket| match bucket.label("outcome") {
            "ok" => Box::new([None, Some(exemplar)]),
            _ => Box::default(),
        });
        assert_eq!(text, OPEN_METRICS);
    }
}
