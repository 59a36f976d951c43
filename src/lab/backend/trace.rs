//! Traces as a backend stored them, read through Jaeger's query API, version 3 (OTLP JSON): the
//! console's and Jaeger's own.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use super::span::array;
pub use super::span::{Span, SpanAttributes, SpanEvent, SpanKind, SpanLink, SpanStatus, attributes};
use super::{BackendAccess, BackendError, QueryApi, encoded};

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

    /// The same, reached in this way.
    #[must_use]
    pub fn through(self, access: &BackendAccess) -> Self {
        Self(self.0.through(access))
    }

    /// How many traces the console has let go of so far for want of room.
    pub async fn let_go(&self) -> Option<u64> {
        self.0.let_go("traces", "evictedTraces").await
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
