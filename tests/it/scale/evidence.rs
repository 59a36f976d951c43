//! What the telemetry of all instances says together.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use o11y_lab::lab::expect::ORDER_TRACE;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{HistogramDataPoint, ResourceMetrics};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;

use super::client::Counts;
use crate::registry::receiver::Export;

const REQUESTS: &str = "http.server.request.duration";

/// Service and instance.
type Instance = (String, String);

/// Everything that was exported, sorted.
#[derive(Default)]
pub struct Evidence {
    /// By trace, as hexadecimal digits.
    traces: HashMap<String, Vec<(Instance, Span)>>,
    /// The last value of each instance's request counters, by its attributes: counters only grow.
    requests: BTreeMap<(Instance, String, String, u16), u64>,
}

impl Evidence {
    pub fn of(exports: Vec<Export>) -> Self {
        let mut evidence = Self::default();
        for export in exports {
            match export {
                Export::Spans(groups) => {
                    for group in groups {
                        let instance = instance(&group.resource.unwrap_or_default().attributes);
                        for span in group.scope_spans.into_iter().flat_map(|scoped| scoped.spans) {
                            let spans = evidence.traces.entry(hex(&span.trace_id)).or_default();
                            spans.push((instance.clone(), span));
                        }
                    }
                }
                Export::Metrics(groups) => groups.into_iter().for_each(|group| evidence.count(group)),
                Export::Logs(_) => {}
            }
        }
        evidence
    }

    fn count(&mut self, group: ResourceMetrics) {
        let instance = instance(&group.resource.unwrap_or_default().attributes);
        let metrics = group.scope_metrics.into_iter().flat_map(|scoped| scoped.metrics);
        for metric in metrics.filter(|metric| metric.name == REQUESTS) {
            let Some(Data::Histogram(histogram)) = metric.data else { panic!("{metric:?}") };
            for HistogramDataPoint { attributes, count, .. } in histogram.data_points {
                let of = |key: &str| text(&attributes, key);
                let status = of("http.response.status_code").parse().unwrap_or_default();
                let key = (instance.clone(), of("http.request.method"), of("http.route"), status);
                let last = self.requests.entry(key).or_default();
                *last = (*last).max(count);
            }
        }
    }

    /// Requests of a service below this route, over all its instances.
    pub fn requests(&self, service: &str, below: &str) -> Counts {
        let mut sums = Counts::new();
        for (((name, _), method, route, status), many) in &self.requests {
            if name == service && route.starts_with(below) && *many > 0 {
                *sums.entry((method.clone(), route.clone(), *status)).or_default() += many;
            }
        }
        sums
    }

    /// The instances of a service that have spans.
    pub fn instances(&self, service: &str) -> BTreeSet<&str> {
        let all = self.traces.values().flatten().map(|((name, instance), _)| (name, instance.as_str()));
        all.filter(|(name, _)| *name == service).map(|(_, instance)| instance).collect()
    }

    /// That the trace is the one of an order: its spans and no others, each below one that is there.
    pub fn assert_joined(&self, trace: &str) -> Result<(), String> {
        let spans = self.traces.get(trace).ok_or("it is not there")?;
        // Which instance, and when, in milliseconds after the first: who did twice what was to be done once.
        let first = spans.iter().map(|(_, span)| span.start_time_unix_nano).min().unwrap_or_default();
        let after = |nanos: u64| nanos.saturating_sub(first) / 1_000_000;
        let drawn = || {
            let lines = spans.iter().map(|((service, instance), span)| {
                let (start, end) = (after(span.start_time_unix_nano), after(span.end_time_unix_nano));
                let (name, attributes) = (&span.name, &span.attributes);
                let attempt = text(attributes, "o11y_lab.delivery.attempt");
                format!("{start:>6} to {end:>6} ms, {service} {instance}: {name} {attempt}")
            });
            let mut lines: Vec<_> = lines.collect();
            lines.sort();
            lines
        };
        // A call whose instance had gone was made again: each attempt is a span.
        let is_repeated = |span: &Span| {
            let failed = span.status.as_ref().is_some_and(|status| status.code == StatusCode::Error as i32);
            failed && span.kind == SpanKind::Client as i32
        };
        let counted = spans.iter().filter(|(_, span)| !is_repeated(span));
        let mut found: Vec<_> =
            counted.map(|((service, _), span)| (service.as_str(), span.name.as_str())).collect();
        let mut expected: Vec<_> = ORDER_TRACE.iter().map(|span| (span.service, span.name)).collect();
        found.sort_unstable();
        expected.sort_unstable();
        if found != expected {
            return Err(format!("other spans than an order's: {:#?}", drawn()));
        }
        let ids: BTreeSet<_> = spans.iter().map(|(_, span)| span.span_id.as_slice()).collect();
        let roots = spans.iter().filter(|(_, span)| !ids.contains(span.parent_span_id.as_slice())).count();
        if roots == 1 { Ok(()) } else { Err(format!("{roots} roots: {:#?}", drawn())) }
    }

    /// That no two instances published at the same time.
    pub fn assert_one_relay_at_a_time(&self) {
        let producers =
            self.traces.values().flatten().filter(|(_, span)| span.kind == SpanKind::Producer as i32);
        let mut sent: Vec<_> = producers
            .map(|((_, instance), span)| (span.start_time_unix_nano, span.end_time_unix_nano, instance))
            .collect();
        sent.sort_unstable();
        let instances: BTreeSet<_> = sent.iter().map(|(_, _, instance)| instance).collect();
        assert!(instances.len() > 1, "only {instances:?} has published");
        for pair in sent.windows(2) {
            let ((_, end, one), (start, _, other)) = (&pair[0], &pair[1]);
            assert!(one == other || end <= start, "{one} and {other} have published at the same time");
        }
    }
}

fn instance(attributes: &[KeyValue]) -> Instance {
    (text(attributes, "service.name"), text(attributes, "service.instance.id"))
}

fn text(attributes: &[KeyValue], key: &str) -> String {
    let value =
        attributes.iter().find(|pair| pair.key == key).and_then(|pair| pair.value.as_ref()?.value.as_ref());
    match value {
        Some(Any::StringValue(text)) => text.clone(),
        Some(Any::IntValue(number)) => number.to_string(),
        _ => String::new(),
    }
}

fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}
