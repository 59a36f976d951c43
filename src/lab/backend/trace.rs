//! Traces as a backend stored them, read through Jaeger's query API, version 3 (OTLP JSON): the
//! console's and Jaeger's own.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use super::{BackendError, QueryApi, encoded};

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
    /// The resource's attributes.
    pub resource: SpanAttributes,
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

    fn read(span: &Value, resource: &SpanAttributes) -> Self {
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

/// The spans of one trace, in the backend's order.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// All that were received; none where the backend has no such trace.
    pub spans: Vec<Span>,
}

impl Trace {
    /// From OTLP JSON: an object with `resourceSpans`.
    pub fn from_otlp(export: &Value) -> Self {
        let mut spans = Vec::new();
        for group in array(&export["resourceSpans"]) {
            let resource = attributes(&group["resource"]["attributes"]);
            let scoped = array(&group["scopeSpans"]).iter().flat_map(|scope| array(&scope["spans"]));
            spans.extend(scoped.map(|span| Span::read(span, &resource)));
        }
        Self { spans }
    }

    /// The only span with this service and name.
    ///
    /// # Errors
    /// There is none or more than one; the text says what is there instead.
    pub fn span(&self, service: &str, name: &str) -> Result<&Span, String> {
        let mut found = self.spans.iter().filter(|s| s.service == service && s.name == name);
        match (found.next(), found.next()) {
            (Some(span), None) => Ok(span),
            (None, _) => Err(format!("no {service} {name} in {}", self.drawing())),
            (Some(_), Some(_)) => Err(format!("more than one {service} {name} in {}", self.drawing())),
        }
    }

    /// The spans whose parent is not in the trace.
    pub fn roots(&self) -> Vec<&Span> {
        self.spans.iter().filter(|span| self.parent(span).is_none()).collect()
    }

    /// The parent of a span, if it was received.
    pub fn parent(&self, span: &Span) -> Option<&Span> {
        self.spans.iter().find(|other| other.id == span.parent)
    }

    /// Service, kind, name and parent of each span, one a line, for messages.
    pub fn drawing(&self) -> String {
        let mut text = String::new();
        for span in &self.spans {
            let parent = self.parent(span).map_or("-", |parent| parent.name.as_str());
            let _ = write!(text, "\n{} {} {} <- {parent}", span.service, span.kind.as_str(), span.name);
        }
        text
    }
}

/// A reader of traces.
pub struct TraceReader(QueryApi);

impl TraceReader {
    /// The query API at this base URL: the console's page or Jaeger's.
    pub fn new(base: &str) -> Self {
        Self(QueryApi::new(base))
    }

    /// One trace by its id; without spans where the backend has none.
    ///
    /// # Errors
    /// The backend cannot be read.
    pub async fn trace(&self, id: &str) -> Result<Trace, BackendError> {
        let answer = self.0.find(&format!("/api/v3/traces/{}", encoded(id))).await?;
        Ok(answer.map(|answer| Trace::from_otlp(&answer["result"])).unwrap_or_default())
    }

    /// The latest traces in which a service took part, `limit` at most.
    ///
    /// # Errors
    /// The backend cannot be read.
    pub async fn traces_of(&self, service: &str, limit: usize) -> Result<Vec<Trace>, BackendError> {
        let query = format!("query.serviceName={}&query.searchDepth={limit}", encoded(service));
        let answer = self.0.find(&format!("/api/v3/traces?{query}")).await?;
        let all = answer.map(|answer| Trace::from_otlp(&answer["result"])).unwrap_or_default();
        let mut traces: BTreeMap<String, Trace> = BTreeMap::new();
        for span in all.spans {
            traces.entry(span.trace.clone()).or_default().spans.push(span);
        }
        Ok(traces.into_values().collect())
    }

    /// Every service that sent a span.
    ///
    /// # Errors
    /// The backend cannot be read.
    pub async fn services(&self) -> Result<Vec<String>, BackendError> {
        let names = self.0.list("/api/v3/services", "/services", "a list of services").await?;
        Ok(names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect())
    }
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(object: &Value, key: &str) -> String {
    object[key].as_str().unwrap_or_default().to_owned()
}

/// A 64-bit number, which OTLP JSON writes as text.
fn nanos(value: &Value) -> u64 {
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
