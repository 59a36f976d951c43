//! How metrics are exported.
#![expect(dead_code, reason = "the exporter of metrics comes next")]

use std::time::Duration;

use super::vars::{Notes, Var, var};
use super::{Export, ONE_DAY_MS};
use crate::config::OtelConfig;
use crate::runtime::telemetry::signal::Signal;

/// Everything the variables of metrics decide.
#[derive(Clone, Debug)]
pub(in crate::runtime::telemetry) struct MetricSettings {
    /// Where data points go; `None` where they are scraped only.
    pub(in crate::runtime::telemetry) export: Option<Export>,
    /// From one export to the next.
    pub(in crate::runtime::telemetry) interval: Duration,
    pub(in crate::runtime::telemetry) temporality: Temporality,
    pub(in crate::runtime::telemetry) histogram: HistogramAggregation,
    pub(in crate::runtime::telemetry) exemplars: ExemplarFilter,
}

/// Since when a sum or a histogram counts (metrics SDK's OTLP exporter, "Temporality preference").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runtime::telemetry) enum Temporality {
    /// Since the start of the process.
    Cumulative,
    /// Since the last export; what goes up and down stays cumulative.
    Delta,
}

/// What a histogram is sent as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runtime::telemetry) enum HistogramAggregation {
    /// The bounds that /metrics has.
    ExplicitBucket,
    /// Bounds that double or halve, at a scale that fits what was observed.
    Base2Exponential,
}

/// Which observations can become exemplars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runtime::telemetry) enum ExemplarFilter {
    /// Those made in a sampled span.
    TraceBased,
    /// All.
    AlwaysOn,
    /// None.
    AlwaysOff,
}

impl MetricSettings {
    pub(super) fn read(config: &OtelConfig, notes: &mut Notes) -> Self {
        let own = &config.metrics;
        let interval = var!(own, otel_metric_export_interval).number(1..=ONE_DAY_MS, 60_000, notes);
        Self {
            export: Export::read(Signal::Metrics, config, notes),
            interval: Duration::from_millis(interval),
            temporality: choice(
                &var!(own, otel_exporter_otlp_metrics_temporality_preference),
                &[
                    ("cumulative", Temporality::Cumulative),
                    ("delta", Temporality::Delta),
                    // Delta for all that is observed when it happens, which all of ours is.
                    ("lowmemory", Temporality::Delta),
                ],
                notes,
            ),
            histogram: choice(
                &var!(own, otel_exporter_otlp_metrics_default_histogram_aggregation),
                &[
                    ("explicit_bucket_histogram", HistogramAggregation::ExplicitBucket),
                    ("base2_exponential_bucket_histogram", HistogramAggregation::Base2Exponential),
                ],
                notes,
            ),
            exemplars: choice(
                &var!(own, otel_metrics_exemplar_filter),
                &[
                    ("trace_based", ExemplarFilter::TraceBased),
                    ("always_on", ExemplarFilter::AlwaysOn),
                    ("always_off", ExemplarFilter::AlwaysOff),
                ],
                notes,
            ),
        }
    }
}

/// The value of a word, or the first with a note.
fn choice<T: Copy>(var: &Var<'_>, words: &[(&str, T)], notes: &mut Notes) -> T {
    let (default, first) = words[0];
    let Some(value) = var.value else { return first };
    let found = words.iter().find(|(word, _)| value.eq_ignore_ascii_case(word));
    found.map_or_else(
        || {
            let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            notes.add(var, &format!("is none of {}; using {default}", known.join(", ")));
            first
        },
        |(_, chosen)| *chosen,
    )
}
