//! Spans, in the words of OTLP, read from its JSON.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

/// Different resources, so many at most.
#[derive(Debug, Default)]
pub struct DistinctResources(Vec<Arc<SpanAttributes>>);

impl DistinctResources {
    const MOST: usize = 64;

    /// Keeps it; whether it is a new one. Most spans have the one before's.
    pub fn insert(&mut self, resource: &Arc<SpanAttributes>) -> bool {
        let same = |known: &Arc<SpanAttributes>| Arc::ptr_eq(known, resource) || known == resource;
        let new = self.0.len() < Self::MOST && !self.0.iter().rev().any(same);
        if new {
            self.0.push(resource.clone());
        }
        new
    }

    /// In the order in which they came.
    pub fn all(&self) -> &[Arc<SpanAttributes>] {
        &self.0
    }
}

/// Span kinds, in the words of OTLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the specification's")]
pub enum SpanKind {
    Unspecified,
    Internal,
    Server,
    Client,
    Producer,
    Consumer,
}

impl SpanKind {
    /// In OTLP's order, which is that of its numbers.
    const ALL: [Self; 6] =
        [Self::Unspecified, Self::Internal, Self::Server, Self::Client, Self::Producer, Self::Consumer];

    /// As diagrams spell it: `SERVER`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "UNSPECIFIED",
            Self::Internal => "INTERNAL",
            Self::Server => "SERVER",
            Self::Client => "CLIENT",
            Self::Producer => "PRODUCER",
            Self::Consumer => "CONSUMER",
        }
    }

    /// From OTLP's number or name (`SPAN_KIND_SERVER`).
    fn read(value: &Value) -> Self {
        let same = |kind: &Self| match value {
            Value::String(name) => name.ends_with(kind.as_str()),
            number => number.as_u64() == Some(*kind as u64),
        };
        Self::ALL.into_iter().find(same).unwrap_or(Self::Unspecified)
    }
}

/// Span status, in the words of OTLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the specification's")]
pub enum SpanStatus {
    Unset,
    Ok,
    Error,
}

impl SpanStatus {
    /// From OTLP's number or name (`STATUS_CODE_ERROR`).
    fn read(value: &Value) -> Self {
        match (value.as_str(), value.as_i64()) {
            (Some(name), _) if name.ends_with("ERROR") => Self::Error,
            (Some(name), _) if name.ends_with("OK") => Self::Ok,
            (_, Some(2)) => Self::Error,
            (_, Some(1)) => Self::Ok,
            _ => Self::Unset,
        }
    }
}

/// Attributes with their values unwrapped: texts, numbers, booleans, lists.
pub type SpanAttributes = BTreeMap<String, Value>;

/// One span.
#[derive(Clone, Debug)]
pub struct Span {
    /// `service.name` of the resource.
    pub service: String,
    /// The resource's attributes, which its other spans share.
    pub resource: Arc<SpanAttributes>,
    /// The span's name.
    pub name: String,
    /// Its kind.
    pub kind: SpanKind,
    /// 16 hexadecimal digits.
    pub id: String,
    /// 32 hexadecimal digits.
    pub trace: String,
    /// The parent's id, empty for a root.
    pub parent: String,
    /// Nanoseconds since the epoch.
    pub start: u64,
    /// Nanoseconds since the epoch.
    pub end: u64,
    /// Its own attributes.
    pub attributes: SpanAttributes,
    /// Its events, such as `exception`.
    pub events: Vec<SpanEvent>,
    /// Its links to other spans.
    pub links: Vec<SpanLink>,
    /// Its status.
    pub status: SpanStatus,
}

/// An event of a span.
#[derive(Clone, Debug)]
pub struct SpanEvent {
    /// The event's name.
    pub name: String,
    /// Its attributes.
    pub attributes: SpanAttributes,
}

/// A link from a span to another.
#[derive(Clone, Debug)]
pub struct SpanLink {
    /// The other span's trace.
    pub trace: String,
    /// The other span's id.
    pub span: String,
}

impl Span {
    /// An attribute as text, empty where there is none.
    pub fn text(&self, key: &str) -> String {
        match self.attributes.get(key) {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => String::new(),
        }
    }

    /// One span of OTLP JSON, with the attributes of its resource.
    pub(super) fn read(span: &Value, resource: &Arc<SpanAttributes>) -> Self {
        Self {
            service: resource.get("service.name").and_then(Value::as_str).unwrap_or_default().to_owned(),
            resource: resource.clone(),
            name: text(span, "name"),
            kind: SpanKind::read(&span["kind"]),
            id: text(span, "spanId"),
            trace: text(span, "traceId"),
            parent: text(span, "parentSpanId"),
            start: nanos(&span["startTimeUnixNano"]),
            end: nanos(&span["endTimeUnixNano"]),
            attributes: attributes(&span["attributes"]),
            events: array(&span["events"])
                .iter()
                .map(|e| SpanEvent { name: text(e, "name"), attributes: attributes(&e["attributes"]) })
                .collect(),
            links: array(&span["links"])
                .iter()
                .map(|link| SpanLink { trace: text(link, "traceId"), span: text(link, "spanId") })
                .collect(),
            status: SpanStatus::read(&span["status"]["code"]),
        }
    }
}

/// A list, empty where there is none.
pub(super) fn array(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(object: &Value, key: &str) -> String {
    object[key].as_str().unwrap_or_default().to_owned()
}

/// A 64-bit number, which OTLP JSON writes as text.
pub(super) fn nanos(value: &Value) -> u64 {
    value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap_or_default()
}

/// OTLP's list of key-value pairs as a map.
pub fn attributes(pairs: &Value) -> SpanAttributes {
    let pair = |pair: &Value| Some((pair["key"].as_str()?.to_owned(), plain(&pair["value"])));
    array(pairs).iter().filter_map(pair).collect()
}

fn plain(value: &Value) -> Value {
    let Some((kind, inner)) = value.as_object().and_then(|object| object.iter().next()) else {
        return Value::Null;
    };
    match (kind.as_str(), inner) {
        ("intValue", Value::String(text)) => text.parse::<i64>().map_or(Value::Null, Value::from),
        ("arrayValue", inner) => array(&inner["values"]).iter().map(plain).collect(),
        (_, inner) => inner.clone(),
    }
}
