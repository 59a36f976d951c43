//! A trace as a backend received it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::{DEADLINE, found_within, http};

/// One span, in the words of OTLP.
#[derive(Clone, Debug)]
pub struct Span {
    pub service: String,
    pub resource: BTreeMap<String, Value>,
    pub name: String,
    /// `SERVER`, `CLIENT`, `PRODUCER`, `CONSUMER` or `INTERNAL`.
    pub kind: &'static str,
    pub id: String,
    pub trace: String,
    pub parent: String,
    pub attributes: BTreeMap<String, Value>,
    pub events: Vec<Value>,
    pub links: Vec<Value>,
    /// 0 unset, 1 ok, 2 error.
    pub status: i64,
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
}

/// The spans of one trace.
#[derive(Debug, Default)]
pub struct Trace {
    pub spans: Vec<Span>,
}

impl Trace {
    /// Asks until at least `expected` spans are there, and once more to see that no others come.
    #[track_caller]
    pub fn wait(url: &str, expected: usize) -> Self {
        let mut last = Self::default();
        let found = found_within(DEADLINE, || {
            last = Self::fetch(url);
            (last.spans.len() >= expected).then_some(())
        });
        assert!(found.is_some(), "not {expected} spans at {url}:\n{}", last.drawing());
        // What comes late would come with the exporters' next batches; two of those are over then.
        std::thread::sleep(Duration::from_millis(1_200));
        Self::fetch(url)
    }

    /// What is there now.
    pub fn fetch(url: &str) -> Self {
        let answer = http::try_send("GET", url, &[], None).filter(|answer| answer.status == 200);
        answer.map(|answer| Self::parse(&answer.json)).unwrap_or_default()
    }

    fn parse(answer: &Value) -> Self {
        let mut spans = Vec::new();
        for resource_spans in array(&answer["result"]["resourceSpans"]) {
            let resource = attributes(&resource_spans["resource"]["attributes"]);
            for scope in array(&resource_spans["scopeSpans"]) {
                spans.extend(array(&scope["spans"]).iter().map(|span| parse_span(span, &resource)));
            }
        }
        Self { spans }
    }

    /// The only span with this service and name.
    #[track_caller]
    pub fn span(&self, service: &str, name: &str) -> &Span {
        let found: Vec<_> = self.spans.iter().filter(|s| s.service == service && s.name == name).collect();
        assert_eq!(found.len(), 1, "{service} {name} in {}", self.drawing());
        found[0]
    }

    /// The spans whose parent is not in the trace.
    pub fn roots(&self) -> Vec<&Span> {
        self.spans.iter().filter(|span| self.parent(span).is_none()).collect()
    }

    /// The parent of a span.
    pub fn parent(&self, span: &Span) -> Option<&Span> {
        self.spans.iter().find(|other| other.id == span.parent)
    }

    /// Service and name of each span with its depth, for messages.
    pub fn drawing(&self) -> String {
        let mut text = String::new();
        for span in &self.spans {
            let parent = self.parent(span).map_or("-", |parent| parent.name.as_str());
            text.push_str(&format!("\n{} {} {} <- {parent}", span.service, span.kind, span.name));
        }
        text
    }
}

fn parse_span(span: &Value, resource: &BTreeMap<String, Value>) -> Span {
    let text = |key: &str| span[key].as_str().unwrap_or_default().to_owned();
    Span {
        service: resource.get("service.name").and_then(Value::as_str).unwrap_or_default().to_owned(),
        resource: resource.clone(),
        name: text("name"),
        kind: kind(&span["kind"]),
        id: text("spanId"),
        trace: text("traceId"),
        parent: text("parentSpanId"),
        attributes: attributes(&span["attributes"]),
        events: array(&span["events"]).to_vec(),
        links: array(&span["links"]).to_vec(),
        status: match &span["status"]["code"] {
            Value::String(code) if code.ends_with("ERROR") => 2,
            Value::String(code) if code.ends_with("OK") => 1,
            code => code.as_i64().unwrap_or(0),
        },
    }
}

fn kind(value: &Value) -> &'static str {
    const KINDS: [&str; 6] = ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"];
    match value {
        Value::String(text) => KINDS.into_iter().find(|kind| text.ends_with(kind)).unwrap_or("UNSPECIFIED"),
        number => KINDS[number.as_u64().unwrap_or(0).min(5) as usize],
    }
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Key-value pairs with their values unwrapped; integers come as text in OTLP JSON.
pub fn attributes(pairs: &Value) -> BTreeMap<String, Value> {
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
