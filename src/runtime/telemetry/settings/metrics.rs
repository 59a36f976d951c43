//! How metrics are exported.

use std::time::Duration;

use super::vars::{Notes, Var, var};
use super::{Export, ONE_DAY_MS};
use crate::config::OtelConfig;
use crate::runtime::metrics::ExemplarFilter;
use crate::runtime::telemetry::metrics::{MetricStyle, Temporality};
use crate::runtime::telemetry::signal::Signal;

/// Everything the variables of metrics decide.
#[derive(Clone, Debug)]
pub(in crate::runtime::telemetry) struct MetricSettings {
    /// Where data points go; `None` where they are scraped only.
    pub(in crate::runtime::telemetry) export: Option<Export>,
    pub(in crate::runtime::telemetry) style: MetricStyle,
    pub(in crate::runtime::telemetry) exemplars: ExemplarFilter,
}

impl MetricSettings {
    pub(super) fn read(config: &OtelConfig, notes: &mut Notes) -> Self {
        let own = &config.metrics;
        let interval = var!(own, otel_metric_export_interval).number(1..=ONE_DAY_MS, 60_000, notes);
        let temporality = choice(
            &var!(own, otel_exporter_otlp_metrics_temporality_preference),
            &[
                ("cumulative", Temporality::Cumulative),
                ("delta", Temporality::Delta),
                ("lowmemory", Temporality::LowMemory),
            ],
            notes,
        );
        let exponential = choice(
            &var!(own, otel_exporter_otlp_metrics_default_histogram_aggregation),
            &[("explicit_bucket_histogram", false), ("base2_exponential_bucket_histogram", true)],
            notes,
        );
        let exemplars = choice(
            &var!(own, otel_metrics_exemplar_filter),
            &[
                ("trace_based", ExemplarFilter::TraceBased),
                ("always_on", ExemplarFilter::AlwaysOn),
                ("always_off", ExemplarFilter::AlwaysOff),
            ],
            notes,
        );
        Self {
            export: Export::read(Signal::Metrics, config, notes),
            style: MetricStyle { interval: Duration::from_millis(interval), temporality, exponential },
            exemplars,
        }
    }
}

/// The value of a word, or the first with a note.
fn choice<T: Copy>(var: &Var<'_>, words: &[(&str, T)], notes: &mut Notes) -> T {
    let (default, first) = words[0];
    let Some(value) = var.value else {
        notes.holds(var, &default);
        return first;
    };
    let found = words.iter().find(|(word, _)| value.eq_ignore_ascii_case(word));
    match found {
        Some((word, chosen)) => {
            notes.holds(var, word);
            *chosen
        }
        None => {
            let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            notes.add(var, &format!("is none of {}; using {default}", known.join(", ")));
            notes.holds_by_default(var, &default);
            first
        }
    }
}
