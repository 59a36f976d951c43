//! The standard `OTEL_*` variables, understood.
//!
//! The SDK reads some of them itself, silently, and ignores others. Here all of them become typed
//! values that are passed to the SDK explicitly, so that its own reading never decides anything,
//! and whatever is not understood becomes a note for the log.

mod export;
mod metrics;
mod vars;

use std::time::Duration;

use opentelemetry_sdk::trace::{Sampler, SpanLimits};
use tracing::level_filters::LevelFilter;

pub(super) use export::{Export, Files, Protocol};
pub(super) use metrics::MetricSettings;
pub use vars::EffectiveVariable;
pub(super) use vars::Notes;
use vars::{Var, var};

use super::otlp::StdoutLines;
use super::propagators::PropagatorKind;
use super::signal::Signal;
use crate::config::OtelConfig;

/// A typing error must not cost gigabytes while the collector is away.
const LARGEST_QUEUE: usize = 100_000;
const ONE_DAY_MS: u64 = 86_400_000;

/// Everything the variables decide.
#[derive(Debug)]
pub(super) struct Settings {
    /// Tracing is off; propagation still works.
    pub(super) disabled: bool,
    /// Where spans go; `None` where they are made for the log and for other services only.
    pub(super) export: Option<Export>,
    pub(super) logs: Option<LogSettings>,
    pub(super) metrics: MetricSettings,
    pub(super) service_name: String,
    /// The user's resource attributes, service.name excluded.
    pub(super) attributes: Vec<(String, String)>,
    pub(super) propagators: Vec<PropagatorKind>,
    pub(super) sampler: Sampler,
    pub(super) limits: SpanLimits,
    /// Most characters of an attribute's text.
    pub(super) value_length: Option<usize>,
    pub(super) batch: Batch,
    /// The level of what telemetry logs of itself, where it has one of its own.
    pub(super) log_level: Option<LevelFilter>,
    pub(super) notes: Notes,
}

/// How log records are exported.
#[derive(Clone, Debug)]
pub(super) struct LogSettings {
    pub(super) export: Export,
    pub(super) batch: Batch,
    /// Most attributes of a record.
    pub(super) attributes: usize,
    /// Most characters of an attribute's text.
    pub(super) value_length: Option<usize>,
}

/// How spans or log records wait for their export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Batch {
    /// Most items waiting or on their way; one more is dropped.
    pub(super) queue: usize,
    /// Most items in one export.
    pub(super) size: usize,
    /// Longest time between two exports.
    pub(super) delay: Duration,
}

impl Settings {
    /// Reads the variables; `service` names the role where they do not.
    pub(super) fn read(service: &str, config: &OtelConfig) -> Self {
        let mut notes = Notes::default();
        let mut attributes = var!(config, otel_resource_attributes).pairs(&mut notes);
        if !attributes.is_empty() {
            notes.holds(
                &var!(config, otel_resource_attributes),
                &config.otel_resource_attributes.as_deref().unwrap_or_default(),
            );
        }
        let named =
            attributes.iter().rfind(|(k, v)| k == "service.name" && !v.is_empty()).map(|(_, v)| v.clone());
        attributes.retain(|(key, _)| key != "service.name");
        let service_name = service_name(service, named, config, &mut notes);
        export::general(config, &mut notes);
        Self {
            disabled: disabled(&var!(config, otel_sdk_disabled), &mut notes),
            export: Export::read(Signal::Traces, config, &mut notes),
            logs: notes.apart(|notes| logs(config, notes)),
            metrics: notes.apart(|notes| MetricSettings::read(config, notes)),
            service_name,
            attributes,
            propagators: propagators(&var!(config, otel_propagators), &mut notes),
            sampler: sampler(config, &mut notes),
            limits: limits(config, &mut notes),
            value_length: value_length(
                var!(config, otel_span_attribute_value_length_limit),
                config,
                &mut notes,
            ),
            batch: batch(&BatchVariables::of_spans(config), 5000, &mut notes),
            log_level: log_level(&var!(config, otel_log_level), &mut notes),
            notes,
        }
    }

    /// Gives the `console` exporters what they print to.
    pub(super) fn print_to(&mut self, lines: &StdoutLines) {
        let logs = self.logs.as_mut().map(|logs| &mut logs.export);
        for export in self.export.iter_mut().chain(logs).chain(&mut self.metrics.export) {
            export.lines = Some(lines.clone());
        }
    }
}

/// `named` is what the resource attributes say.
fn service_name(role: &str, named: Option<String>, config: &OtelConfig, notes: &mut Notes) -> String {
    let own = var!(config, otel_service_name);
    match (own.value, named) {
        (None, Some(name)) => {
            notes.holds(&own.or(var!(config, otel_resource_attributes)), &name);
            name
        }
        (name, _) => {
            let name = name.unwrap_or(role);
            notes.holds(&own, &name);
            name.to_owned()
        }
    }
}

/// The specification names no levels; these are the words of the SDKs and of the declarative configuration, where
/// `debug2` is a `debug`.
fn log_level(var: &Var<'_>, notes: &mut Notes) -> Option<LevelFilter> {
    let word = var.value?.to_ascii_lowercase();
    let level = match word.trim_end_matches(['2', '3', '4']) {
        "none" | "off" => LevelFilter::OFF,
        "fatal" | "error" => LevelFilter::ERROR,
        "warn" | "warning" => LevelFilter::WARN,
        "info" => LevelFilter::INFO,
        "debug" => LevelFilter::DEBUG,
        "trace" | "verbose" | "all" => LevelFilter::TRACE,
        _ => {
            notes.add(var, "is none of none, error, warn, info, debug and trace; ignoring it");
            return None;
        }
    };
    notes.holds(var, &level);
    Some(level)
}

fn disabled(var: &Var<'_>, notes: &mut Notes) -> bool {
    let disabled = var.value.is_some_and(|value| value.eq_ignore_ascii_case("true"));
    match var.value {
        Some(v) if !disabled && !v.eq_ignore_ascii_case("false") => {
            notes.add(var, "is neither true nor false; tracing stays on");
            notes.holds_by_default(var, &false);
        }
        _ => notes.holds(var, &disabled),
    }
    disabled
}

fn propagators(var: &Var<'_>, notes: &mut Notes) -> Vec<PropagatorKind> {
    const DEFAULT: [PropagatorKind; 2] = [PropagatorKind::TraceContext, PropagatorKind::Baggage];
    let said = |kinds: &[PropagatorKind]| kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(",");
    let Some(list) = var.value else {
        notes.holds(var, &said(&DEFAULT));
        return DEFAULT.to_vec();
    };
    let names: Vec<String> = list.split(',').map(|n| n.trim().to_ascii_lowercase()).collect();
    if names.iter().all(|name| name == "none") {
        notes.holds(var, &"none");
        return Vec::new();
    }
    let mut kinds = Vec::new();
    for name in names.iter().filter(|n| !n.is_empty()) {
        match PropagatorKind::from_name(name) {
            Some(kind) if kinds.contains(&kind) => {}
            Some(kind) => kinds.push(kind),
            None => notes.add(var, "names a propagator that is not known here; ignoring that one"),
        }
    }
    if kinds.is_empty() {
        notes.add(var, "names none that is known; using tracecontext,baggage");
        notes.holds_by_default(var, &said(&DEFAULT));
        return DEFAULT.to_vec();
    }
    notes.holds(var, &said(&kinds));
    kinds
}

const DEFAULT_SAMPLER: &str = "parentbased_always_on";

fn sampler(config: &OtelConfig, notes: &mut Notes) -> Sampler {
    let var = var!(config, otel_traces_sampler);
    let mut ratio = || {
        let arg = var!(config, otel_traces_sampler_arg);
        if arg.value.is_none() {
            notes.add(&arg, "is not set; the ratio is 1");
        }
        Sampler::TraceIdRatioBased(arg.number(0.0..=1.0, 1.0, notes))
    };
    let parent_based = |root| Sampler::ParentBased(Box::new(root));
    let name = var.value.map(str::to_ascii_lowercase);
    let sampler = match name.as_deref() {
        None | Some("parentbased_always_on") => parent_based(Sampler::AlwaysOn),
        Some("parentbased_always_off") => parent_based(Sampler::AlwaysOff),
        Some("parentbased_traceidratio") => parent_based(ratio()),
        Some("always_on") => Sampler::AlwaysOn,
        Some("always_off") => Sampler::AlwaysOff,
        Some("traceidratio") => ratio(),
        Some(_) => {
            notes.add(&var, "names a sampler that is not known here; using parentbased_always_on");
            notes.holds_by_default(&var, &DEFAULT_SAMPLER);
            return parent_based(Sampler::AlwaysOn);
        }
    };
    notes.holds(&var, &name.as_deref().unwrap_or(DEFAULT_SAMPLER));
    sampler
}

fn limits(config: &OtelConfig, notes: &mut Notes) -> SpanLimits {
    let all = 0..=u32::MAX;
    let general = var!(config, otel_attribute_count_limit);
    let most = general.number(all.clone(), 128, notes);
    // A general one that is no number has not said it.
    let general = if general.value.is_some_and(|value| value.parse::<u32>().is_err()) {
        general.unset()
    } else {
        general
    };
    let mut attributes = |var: Var<'_>| var.number_or(all.clone(), (&general, most), notes);
    let (of_span, of_event, of_link) = (
        attributes(var!(config, otel_span_attribute_count_limit)),
        attributes(var!(config, otel_event_attribute_count_limit)),
        attributes(var!(config, otel_link_attribute_count_limit)),
    );
    SpanLimits {
        max_attributes_per_span: of_span,
        max_attributes_per_event: of_event,
        max_attributes_per_link: of_link,
        max_events_per_span: var!(config, otel_span_event_count_limit).number(all.clone(), 128, notes),
        max_links_per_span: var!(config, otel_span_link_count_limit).number(all, 128, notes),
    }
}

fn value_length(own: Var<'_>, config: &OtelConfig, notes: &mut Notes) -> Option<usize> {
    text_length(&own.or(var!(config, otel_attribute_value_length_limit)), notes)
}

fn text_length(var: &Var<'_>, notes: &mut Notes) -> Option<usize> {
    let length = var.number(0..=usize::MAX, usize::MAX, notes);
    if length == usize::MAX {
        notes.holds_by_default(var, &"no limit");
    }
    (length < usize::MAX).then_some(length)
}

fn logs(config: &OtelConfig, notes: &mut Notes) -> Option<LogSettings> {
    let export = Export::read(Signal::Logs, config, notes)?;
    let own = &config.logs;
    let variables = BatchVariables {
        queue: var!(own, otel_blrp_max_queue_size),
        size: var!(own, otel_blrp_max_export_batch_size),
        delay: var!(own, otel_blrp_schedule_delay),
    };
    let attributes = var!(own, otel_logrecord_attribute_count_limit)
        .or(var!(config, otel_attribute_count_limit))
        .number(0..=u32::MAX, 128, notes);
    Some(LogSettings {
        export,
        batch: batch(&variables, 1000, notes),
        attributes: usize::try_from(attributes).unwrap_or(usize::MAX),
        value_length: value_length(var!(own, otel_logrecord_attribute_value_length_limit), config, notes),
    })
}

/// The variables of a batch processor.
struct BatchVariables<'a> {
    queue: Var<'a>,
    size: Var<'a>,
    delay: Var<'a>,
}

impl<'a> BatchVariables<'a> {
    fn of_spans(config: &'a OtelConfig) -> Self {
        Self {
            queue: var!(config, otel_bsp_max_queue_size),
            size: var!(config, otel_bsp_max_export_batch_size),
            delay: var!(config, otel_bsp_schedule_delay),
        }
    }
}

/// `delay` is the default, in milliseconds.
fn batch(variables: &BatchVariables<'_>, delay: u64, notes: &mut Notes) -> Batch {
    let queue = variables.queue.number(1..=LARGEST_QUEUE, 2048, notes);
    let delay = variables.delay.number(1..=ONE_DAY_MS, delay, notes);
    let size = variables.size;
    // Checked apart from the number itself, so that a small queue alone is no reason to complain.
    let wanted = size.number(1..=LARGEST_QUEUE, 512, notes);
    if wanted > queue && size.value.is_some() {
        notes.add(&size, &format!("is more than the queue holds; using {queue}"));
    }
    if wanted > queue {
        // What the queue's variable says, or its default.
        notes.holds(&size.unset().or(variables.queue), &queue);
    }
    Batch { queue, size: wanted.min(queue), delay: Duration::from_millis(delay) }
}

#[cfg(test)]
mod tests;
