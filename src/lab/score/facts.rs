//! What the rules are told by, gathered item by item: it does not grow with the number of items.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;

use super::Needs;
use crate::lab::backend::log::LogLine;
use crate::lab::backend::trace::{DistinctResources, Span, SpanAttributes, SpanKind};

/// A span that is shorter, in nanoseconds, is a short one.
const SHORT: u64 = 5_000_000;
/// Keys of one kind that are kept.
const MOST_KEYS: usize = 1_000;
/// Different values of one attribute of a metric that are told apart: so many are too many.
pub(super) const MOST_VALUES: usize = 10_000;

/// What was read so far.
#[derive(Debug, Default)]
pub struct Facts {
    services: BTreeMap<String, ServiceFacts>,
    /// By name, over all services.
    pub(super) metrics: BTreeMap<String, MetricFacts>,
    spans: bool,
    severities: bool,
}

/// Of one service.
#[derive(Debug, Default)]
pub(super) struct ServiceFacts {
    pub(super) resources: DistinctResources,
    /// Keys of spans and of log records.
    pub(super) item_keys: BTreeSet<String>,
    /// The most INTERNAL spans that it has in one trace.
    pub(super) internal: usize,
    /// The most short spans in one trace that it takes part in.
    pub(super) short: usize,
    /// A span whose parent is not there.
    pub(super) orphan: Option<String>,
    /// A CLIENT span without a parent.
    pub(super) client_root: Option<String>,
    /// A log record without a severity.
    pub(super) no_severity: Option<String>,
    /// The names of its metrics.
    pub(super) metrics: BTreeSet<String>,
}

/// Of all series of one name.
#[derive(Debug, Default)]
pub(super) struct MetricFacts {
    pub(super) units: BTreeSet<String>,
    /// The bounds of its buckets, as JSON.
    pub(super) bounds: BTreeSet<String>,
    /// By attribute its different values.
    pub(super) values: BTreeMap<String, BTreeSet<String>>,
}

/// What a collector makes of spans on the way (its span metrics connector), under their services' names: by OTLP, and as
/// Prometheus has it.
const MADE_OF_SPANS: [&str; 2] = ["traces.span.metrics.", "traces_span_metrics_"];

/// Whether a metric of that name is no service's own.
pub(in crate::lab) fn is_made_of_spans(name: &str) -> bool {
    MADE_OF_SPANS.iter().any(|prefix| name.starts_with(prefix))
}

impl Facts {
    pub(super) fn services(&self) -> impl Iterator<Item = (&String, &ServiceFacts)> {
        self.services.iter()
    }

    /// Whether a rule that needs this can be told.
    pub(super) fn tells(&self, needs: Needs) -> bool {
        match needs {
            Needs::Resources => self.spans || !self.metrics.is_empty(),
            Needs::Spans => self.spans,
            Needs::Series => !self.metrics.is_empty(),
            Needs::Severities => self.severities,
        }
    }

    /// All spans of one or more whole traces.
    pub fn trace(&mut self, spans: &[Span]) {
        self.spans |= !spans.is_empty();
        let ids: HashSet<(&str, &str)> =
            spans.iter().map(|span| (span.trace.as_str(), span.id.as_str())).collect();
        let mut internal: HashMap<(&str, &str), usize> = HashMap::new();
        let mut short: HashMap<&str, usize> = HashMap::new();
        for span in spans {
            if span.end.saturating_sub(span.start) < SHORT {
                *short.entry(&span.trace).or_default() += 1;
            }
            if span.kind == SpanKind::Internal {
                *internal.entry((&span.trace, &span.service)).or_default() += 1;
            }
        }
        for span in spans {
            let own = self.service(&span.service);
            own.resources.insert(&span.resource);
            own.keys(span.attributes.keys());
            let internal = internal.get(&(span.trace.as_str(), span.service.as_str()));
            own.internal = own.internal.max(internal.copied().unwrap_or_default());
            own.short = own.short.max(short.get(span.trace.as_str()).copied().unwrap_or_default());
            if span.parent.is_empty() {
                if span.kind == SpanKind::Client && own.client_root.is_none() {
                    own.client_root = Some(span.name.clone());
                }
            } else if own.orphan.is_none() && !ids.contains(&(span.trace.as_str(), span.parent.as_str())) {
                own.orphan = Some(span.name.clone());
            }
        }
    }

    /// Series as the console's API has them, each with its metric's `name`.
    pub fn series(&mut self, all: &[Value]) {
        for series in all {
            let text = |key: &str| series[key].as_str().unwrap_or_default().to_owned();
            if is_made_of_spans(&text("name")) {
                continue;
            }
            let own = self.service(&text("service"));
            own.metrics.insert(text("name"));
            let pairs = |value: &Value| value.as_object().cloned().unwrap_or_default();
            let mut resource: SpanAttributes = pairs(&series["resource"]).into_iter().collect();
            resource.insert("service.name".to_owned(), series["service"].clone());
            own.resources.insert(&Arc::new(resource));
            let metric = self.metrics.entry(text("name")).or_default();
            metric.units.insert(text("unit"));
            if series["latest"]["bounds"].is_array() {
                metric.bounds.insert(series["latest"]["bounds"].to_string());
            }
            for (key, value) in pairs(&series["attributes"]) {
                let values = metric.values.entry(key).or_default();
                if values.len() < MOST_VALUES {
                    values.insert(value.to_string());
                }
            }
        }
    }

    /// A log record whose backend tells its severity's number.
    pub fn line(&mut self, line: &LogLine) {
        self.severities = true;
        let number = ["severityNumber", "severity_number"].map(|key| line.fields.get(key));
        let number =
            number.into_iter().flatten().any(|number| *number != 0 && *number != "0" && !number.is_null());
        let own = self.service(line.text("service"));
        if own.no_severity.is_none() && (!number || line.text("level") == "UNSET") {
            own.no_severity = Some(line.text("message").to_owned());
        }
    }

    /// Keys of a log record's own attributes.
    pub fn line_keys<'a>(&mut self, service: &str, keys: impl Iterator<Item = &'a String>) {
        self.service(service).keys(keys);
    }

    /// What lines told elsewhere.
    pub fn join_lines(&mut self, other: Self) {
        self.severities |= other.severities;
        for (name, theirs) in other.services {
            let own = self.service(&name);
            own.keys(theirs.item_keys.iter());
            own.no_severity = own.no_severity.take().or(theirs.no_severity);
        }
    }

    fn service(&mut self, name: &str) -> &mut ServiceFacts {
        self.services.entry(name.to_owned()).or_default()
    }
}

impl ServiceFacts {
    fn keys<'a>(&mut self, keys: impl Iterator<Item = &'a String>) {
        for key in keys {
            if !self.item_keys.contains(key) && self.item_keys.len() < MOST_KEYS {
                self.item_keys.insert(key.clone());
            }
        }
    }
}
