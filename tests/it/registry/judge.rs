//! Each item that arrives against the rows of the registry.

use std::collections::{BTreeMap, BTreeSet};

use o11y_lab::schema::registry::{
    ATTRIBUTES, Attribute, EVENTS, LOG_FIELDS, RESOURCE, SPANS, Use, ValueType,
};
use o11y_lab::schema::{INTEGER_KEYS, OTLP_METRICS, OtlpKind, OtlpMetric};
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{Metric, NumberDataPoint};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;

use super::receiver::Export;
use crate::docs::registry::metric_attributes;

/// What was seen of the registry, and what was seen that is not in it.
#[derive(Default)]
pub struct Judge {
    pub seen: BTreeSet<String>,
    pub violations: BTreeSet<String>,
}

impl Judge {
    pub fn export(&mut self, export: &Export) {
        match export {
            Export::Spans(all) => all.iter().for_each(|group| {
                self.resource(group.resource.as_ref());
                group.scope_spans.iter().flat_map(|scope| &scope.spans).for_each(|span| self.span(span));
            }),
            Export::Metrics(all) => all.iter().for_each(|group| {
                self.resource(group.resource.as_ref());
                group.scope_metrics.iter().flat_map(|scope| &scope.metrics).for_each(|one| self.metric(one));
            }),
            Export::Logs(all) => all.iter().for_each(|group| {
                self.resource(group.resource.as_ref());
                group.scope_logs.iter().flat_map(|scope| &scope.log_records).for_each(|one| self.record(one));
            }),
        }
    }

    fn resource(&mut self, resource: Option<&Resource>) {
        let attributes = resource.map_or(&[][..], |resource| &resource.attributes);
        self.attributes("resource", attributes, RESOURCE);
    }

    /// Each is in `row` with its type, and each that is always there is there.
    fn attributes(&mut self, what: &str, attributes: &[KeyValue], row: &[Use]) {
        for pair in attributes {
            let (key, value) = (pair.key.as_str(), &pair.value);
            match Attribute::of(key).filter(|_| row.iter().any(|one| one.key == key)) {
                Some(known) if !fits(known, value) => self.wrong(format!("{what} {key} = {value:?}")),
                Some(_) => drop(self.seen.insert(format!("{what} {key}"))),
                None => self.wrong(format!("{what} {key} is not in the registry")),
            }
        }
        for one in row.iter().filter(|one| one.when.is_none()) {
            if !attributes.iter().any(|pair| pair.key == one.key) {
                self.wrong(format!("{what} lacks {}", one.key));
            }
        }
    }

    fn wrong(&mut self, what: String) {
        self.violations.insert(what);
    }

    fn span(&mut self, span: &Span) {
        let kind = format!("{:?}", span.kind()).to_lowercase();
        let values: BTreeMap<_, _> =
            span.attributes.iter().filter_map(|pair| Some((pair.key.as_str(), text(&pair.value)?))).collect();
        let row = SPANS.iter().find(|row| {
            format!("{:?}", row.kind).to_lowercase() == kind
                && row.name_of(|key| values.get(key).copied()).as_deref() == Some(&*span.name)
        });
        let Some(row) = row else {
            return self.wrong(format!("a {kind} span {:?} with {:?}", span.name, values.keys()));
        };
        let what = format!("span {}", row.id);
        self.attributes(&what, &span.attributes, row.attributes);
        for event in &span.events {
            let known = EVENTS.iter().find(|one| one.name == event.name);
            match known.filter(|_| row.events.contains(&event.name.as_str())) {
                Some(known) => {
                    self.attributes(&format!("event {}", event.name), &event.attributes, known.attributes);
                    self.seen
                        .extend([format!("event {}", event.name), format!("{what} event {}", event.name)]);
                }
                None => self.wrong(format!("{what} has an event {:?}", event.name)),
            }
        }
        let links = span.links.iter().flat_map(|link| &link.attributes);
        links.for_each(|pair| self.wrong(format!("a link of {what} has {}", pair.key)));
        self.seen.insert(what);
    }

    fn metric(&mut self, metric: &Metric) {
        let Some(row) = OTLP_METRICS.iter().find(|row| row.name == metric.name) else {
            return self.wrong(format!("metric {} is not in the registry", metric.name));
        };
        let (what, uses) = (format!("metric {}", row.name), metric_attributes(row));
        if metric.unit != row.unit || metric.description != row.help() {
            self.wrong(format!("{what} in {:?}: {:?}", metric.unit, metric.description));
        }
        match (&metric.data, row.kind) {
            (Some(Data::Sum(sum)), OtlpKind::Sum | OtlpKind::ObservedSum | OtlpKind::UpDownSum) => {
                if sum.is_monotonic != (row.kind != OtlpKind::UpDownSum) {
                    self.wrong(format!("{what}: monotonic {}", sum.is_monotonic));
                }
                sum.data_points.iter().for_each(|point| self.number(&what, row, point, &uses));
            }
            (Some(Data::Gauge(gauge)), OtlpKind::Gauge) => {
                gauge.data_points.iter().for_each(|point| self.number(&what, row, point, &uses));
            }
            (Some(Data::Histogram(histogram)), OtlpKind::Histogram) => {
                histogram
                    .data_points
                    .iter()
                    .for_each(|point| self.attributes(&what, &point.attributes, &uses));
            }
            (data, kind) => self.wrong(format!("{what} is no {kind:?} but {data:?}")),
        }
        self.seen.insert(what);
    }

    fn number(&mut self, what: &str, row: &OtlpMetric, point: &NumberDataPoint, uses: &[Use]) {
        let integer = matches!(point.value, Some(Number::AsInt(_)));
        // What is counted is whole; a gauge and the seconds of CPU time are not.
        if integer != matches!(row.kind, OtlpKind::Sum | OtlpKind::UpDownSum) {
            self.wrong(format!("{what} has a value {:?}", point.value));
        }
        self.attributes(what, &point.attributes, uses);
    }

    /// The names of log events are ours to give, and none has one so far.
    fn record(&mut self, record: &LogRecord) {
        if !record.event_name.is_empty() {
            self.wrong(format!("a log event {:?}", record.event_name));
        }
        for pair in &record.attributes {
            let known = Attribute::of(&pair.key).filter(|_| LOG_FIELDS.iter().any(|row| row.key == pair.key));
            if !known.is_some_and(|known| fits(known, &pair.value)) {
                self.wrong(format!("log record {:?}: {} = {:?}", record.body, pair.key, pair.value));
            }
        }
    }
}

fn text(value: &Option<AnyValue>) -> Option<&str> {
    match value.as_ref()?.value.as_ref()? {
        Any::StringValue(text) => Some(text),
        _ => None,
    }
}

/// Whether a value has the type of its attribute and, where those are all known, is one of its values.
fn fits(attribute: &Attribute, value: &Option<AnyValue>) -> bool {
    let closed = attribute.own.as_ref().filter(|own| own.closed);
    let one_of = |text: &str| closed.is_none_or(|own| own.values.contains(&text));
    match (value.as_ref().and_then(|value| value.value.as_ref()), attribute.value) {
        (Some(Any::StringValue(text)), ValueType::Text) => one_of(text),
        (Some(Any::IntValue(_)), ValueType::Integer)
        | (Some(Any::DoubleValue(_)), ValueType::Double)
        | (Some(Any::BoolValue(_)), ValueType::Boolean)
        | (Some(Any::ArrayValue(_)), ValueType::Texts) => true,
        _ => false,
    }
}

/// Whether a name has as many words as a form, and the same where the form leaves no choice.
pub fn words_fit(form: &str, name: &str) -> bool {
    let (form, name): (Vec<_>, Vec<_>) = (form.split(' ').collect(), name.split(' ').collect());
    form.len() == name.len()
        && form.iter().zip(&name).all(|(form, word)| form.starts_with('{') || form == word)
}

#[test]
fn the_keys_that_metrics_have_as_integers_are_those_of_the_registry() {
    let label =
        |key: &str| OTLP_METRICS.iter().any(|row| metric_attributes(row).iter().any(|one| one.key == key));
    let integers = ATTRIBUTES.iter().filter(|one| one.value == ValueType::Integer && label(one.key));
    assert_eq!(integers.map(|one| one.key).collect::<Vec<_>>(), INTEGER_KEYS);
}
