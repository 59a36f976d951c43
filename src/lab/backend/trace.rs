//! Traces as a backend stored them: read through Jaeger's query API, version 3 (OTLP JSON), which the console has
//! too; through Tempo's; from files of a collector.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::Value;

use super::file::LineTally;
use super::item_file::{FileItem, ItemFile};
use super::span::array;
pub use super::span::{
    DistinctResources, Span, SpanAttributes, SpanEvent, SpanKind, SpanLink, SpanStatus, attributes,
};
use super::{BackendAccess, BackendError, QueryApi, encoded, tempo};

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
            let resource = Arc::new(attributes(&group["resource"]["attributes"]));
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
pub struct TraceReader(TraceSource);

/// Traces in one question: their ids have 3.3 kB in a URL, which proxies take.
const AT_ONCE: usize = 100;

enum TraceSource {
    /// Jaeger's query API, version 3, and the console's own questions about many traces.
    Console(QueryApi),
    /// Jaeger's query API, version 3.
    Jaeger(QueryApi),
    Tempo(QueryApi),
    File(RefCell<ItemFile>),
}

impl TraceReader {
    /// The query API at this base URL: the console's page or Jaeger's.
    pub fn new(base: &str) -> Self {
        Self(TraceSource::Jaeger(QueryApi::new(base)))
    }

    /// The console at this base URL.
    pub fn console(base: &str) -> Self {
        Self(TraceSource::Console(QueryApi::new(base)))
    }

    /// A Grafana Tempo at this base URL.
    pub fn tempo(base: &str) -> Self {
        Self(TraceSource::Tempo(QueryApi::new(base)))
    }

    /// The spans that a collector's file exporter writes to this file from now on, as JSON.
    pub fn file(path: &str) -> Self {
        Self(TraceSource::File(RefCell::new(ItemFile::of_spans(path))))
    }

    /// The same, reached in this way.
    #[must_use]
    pub fn through(self, access: &BackendAccess) -> Self {
        Self(match self.0 {
            TraceSource::Console(api) => TraceSource::Console(api.through(access)),
            TraceSource::Jaeger(api) => TraceSource::Jaeger(api.through(access)),
            TraceSource::Tempo(api) => TraceSource::Tempo(api.through(access)),
            file @ TraceSource::File(_) => file,
        })
    }

    /// How many traces the console has let go of so far for want of room.
    pub async fn let_go(&self) -> Option<u64> {
        self.jaeger().ok()?.let_go("traces", "evictedTraces").await
    }

    /// How much of a file was read; `None` of a server.
    pub fn tally(&self) -> Option<LineTally> {
        match &self.0 {
            TraceSource::File(file) => Some(file.borrow().tally()),
            _ => None,
        }
    }

    fn jaeger(&self) -> Result<&QueryApi, BackendError> {
        match &self.0 {
            TraceSource::Console(api) | TraceSource::Jaeger(api) => Ok(api),
            _ => Err(BackendError::Unsupported),
        }
    }

    /// Whether what answers is such a backend; another program's "not found" reads like a trace that is not there.
    ///
    /// # Errors
    /// It is not, or cannot be read.
    pub async fn check(&self) -> Result<(), BackendError> {
        match &self.0 {
            TraceSource::Console(_) | TraceSource::Jaeger(_) => self.services().await.map(drop),
            // Tempo has no list that answers without a search; a file is read when it is there.
            TraceSource::Tempo(_) | TraceSource::File(_) => Ok(()),
        }
    }

    /// One trace by its id; without spans where the backend has none.
    ///
    /// # Errors
    /// The backend cannot be read.
    pub async fn trace(&self, id: &str) -> Result<Trace, BackendError> {
        match &self.0 {
            TraceSource::Console(_) | TraceSource::Jaeger(_) => Ok(Trace::from_otlp(&self.export(id).await?)),
            TraceSource::Tempo(api) => {
                let answer = api.find(&format!("/api/traces/{}", encoded(id))).await?;
                Ok(answer.map(tempo::trace).unwrap_or_default())
            }
            TraceSource::File(file) => {
                let spans = file.borrow_mut().of_trace(id)?;
                Ok(Trace { spans: spans.iter().map(|(resource, span)| Span::read(span, resource)).collect() })
            }
        }
    }

    /// How many traces one question may be about; each asks for itself where the backend's API knows no other.
    pub fn at_once(&self) -> usize {
        match &self.0 {
            TraceSource::Console(_) | TraceSource::File(_) => AT_ONCE,
            TraceSource::Jaeger(_) | TraceSource::Tempo(_) => 1,
        }
    }

    /// How many spans of each of these traces there are so far, in the order of the ids; cheaper than the spans where the
    /// backend can count.
    ///
    /// # Errors
    /// The backend cannot be read.
    pub async fn counts(&self, ids: &[&str]) -> Result<Vec<usize>, BackendError> {
        match &self.0 {
            TraceSource::Console(api) => api.many_counts(ids, "/spans").await,
            TraceSource::File(file) => file.borrow_mut().counts(ids),
            TraceSource::Jaeger(_) | TraceSource::Tempo(_) => {
                let found = self.spans(ids).await?;
                Ok(ids.iter().map(|id| found.get(*id).map_or(0, Vec::len)).collect())
            }
        }
    }

    /// The spans of these traces, by their ids.
    ///
    /// # Errors
    /// The backend cannot be read.
    pub async fn spans(&self, ids: &[&str]) -> Result<HashMap<String, Vec<Span>>, BackendError> {
        match &self.0 {
            TraceSource::Console(api) => many_spans(api, ids).await,
            TraceSource::File(file) => {
                let all = file.borrow_mut().of_traces(ids)?;
                let read = |items: Vec<FileItem>| {
                    items.iter().map(|(resource, span)| Span::read(span, resource)).collect()
                };
                Ok(ids.iter().map(|id| (*id).to_owned()).zip(all.into_iter().map(read)).collect())
            }
            TraceSource::Jaeger(_) | TraceSource::Tempo(_) => {
                let mut found = HashMap::new();
                for id in ids {
                    found.insert((*id).to_owned(), self.trace(id).await?.spans);
                }
                Ok(found)
            }
        }
    }

    /// One trace as OTLP JSON, whole; null where the backend has none. Of the console and Jaeger.
    ///
    /// # Errors
    /// The backend cannot be read.
    pub async fn export(&self, id: &str) -> Result<Value, BackendError> {
        let answer = self.jaeger()?.find(&format!("/api/v3/traces/{}", encoded(id))).await?;
        Ok(answer.map(|mut answer| answer["result"].take()).unwrap_or_default())
    }

    /// The latest traces in which a service took part, `limit` at most; of the console and Jaeger.
    ///
    /// # Errors
    /// The backend cannot be read.
    pub async fn traces_of(&self, service: &str, limit: usize) -> Result<Vec<Trace>, BackendError> {
        let query = format!("query.serviceName={}&query.searchDepth={limit}", encoded(service));
        let answer = self.jaeger()?.find(&format!("/api/v3/traces?{query}")).await?;
        let all = answer.map(|answer| Trace::from_otlp(&answer["result"])).unwrap_or_default();
        let mut traces: BTreeMap<String, Trace> = BTreeMap::new();
        for span in all.spans {
            traces.entry(span.trace.clone()).or_default().spans.push(span);
        }
        Ok(traces.into_values().collect())
    }

    /// Every service that sent a span; of the console and Jaeger.
    ///
    /// # Errors
    /// The backend cannot be read.
    pub async fn services(&self) -> Result<Vec<String>, BackendError> {
        let names = self.jaeger()?.list("/api/v3/services", "/services", "a list of services").await?;
        Ok(names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect())
    }
}

/// Asks the console for the spans of these traces, as often as it takes: an answer has a bound.
async fn many_spans(api: &QueryApi, ids: &[&str]) -> Result<HashMap<String, Vec<Span>>, BackendError> {
    let mut found: HashMap<String, Vec<Span>> = HashMap::new();
    let mut rest = ids;
    while !rest.is_empty() {
        let path = format!("/api/many/spans?traceId={}", rest.join(","));
        let answer = api.get(&path).await?;
        let told = answer["told"].as_u64().and_then(|told| usize::try_from(told).ok());
        let Some(told) = told.filter(|told| (1..=rest.len()).contains(told)) else {
            return Err(api.unreadable(&path, "spans of some of these traces"));
        };
        for span in Trace::from_otlp(&answer).spans {
            found.entry(span.trace.clone()).or_default().push(span);
        }
        rest = &rest[told..];
    }
    Ok(found)
}
