//! Trace context and baggage in and out of carriers, by the configured propagators.
//!
//! One place for HTTP headers and message headers alike; W3C Trace Context and Baggage by default.

use std::collections::BTreeMap;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Context, global};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::telemetry::xray;

/// The header fields that carry `context`.
pub fn fields_of(context: &Context) -> Vec<(String, String)> {
    let mut fields = CollectedFields(Vec::new());
    global::get_text_map_propagator(|p| p.inject_context(context, &mut fields));
    fields.0
}

/// The header fields that carry the context of the current `tracing` span.
pub fn fields_of_current_span() -> Vec<(String, String)> {
    fields_of(&tracing::Span::current().context())
}

/// Puts the context of the current `tracing` span into the header fields of a request.
pub fn inject_current_span(headers: &mut HeaderMap) {
    let context = tracing::Span::current().context();
    global::get_text_map_propagator(|p| p.inject_context(&context, &mut HttpFieldsMut(headers)));
}

/// The context a carrier brings, or an empty one: a malformed header counts as absent.
pub fn extract(carrier: &dyn Extractor) -> Context {
    // From an empty context, not the current one: what a carrier does not say must not be
    // inherited from whatever happens to be active on this thread.
    extract_over(&Context::new(), carrier)
}

/// The context a carrier brings, and where it is silent what is known already.
pub fn extract_over(known: &Context, carrier: &dyn Extractor) -> Context {
    global::get_text_map_propagator(|p| p.extract_with_context(known, carrier))
}

/// The context in an X-Ray header with which AWS itself came: read whichever propagators are chosen,
/// unless none is, and only where X-Ray samples. Where X-Ray is off, Lambda says `Sampled=0` of every
/// invocation, and to obey that would be to trace nothing.
pub fn extract_xray(header: &str) -> Context {
    if global::get_text_map_propagator(|p| p.fields().next().is_none()) {
        return Context::new();
    }
    let fields = BTreeMap::from([("x-amzn-trace-id".to_owned(), header.to_owned())]);
    let found = xray().extract_with_context(&Context::new(), &MessageFields(&fields));
    if found.span().span_context().is_sampled() { found } else { Context::new() }
}

struct CollectedFields(Vec<(String, String)>);

impl Injector for CollectedFields {
    fn set(&mut self, key: &str, value: String) {
        // A propagator with nothing to say sets an empty value; an empty header says nothing.
        if !value.is_empty() {
            self.0.push((key.to_owned(), value));
        }
    }
}

/// Message headers as a carrier.
pub struct MessageFields<'a>(pub &'a BTreeMap<String, String>);

impl Extractor for MessageFields<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value.as_str())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }
}

/// Header fields of a request that is about to be sent, as a carrier.
struct HttpFieldsMut<'a>(&'a mut HeaderMap);

impl Injector for HttpFieldsMut<'_> {
    fn set(&mut self, key: &str, value: String) {
        if value.is_empty() {
            return;
        }
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(key.as_bytes()), HeaderValue::try_from(value))
        {
            self.0.insert(name, value);
        }
    }
}

/// HTTP request headers as a carrier.
pub struct HttpFields<'a>(pub &'a HeaderMap);

impl Extractor for HttpFields<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn get_all(&self, key: &str) -> Option<Vec<&str>> {
        let all: Vec<_> = self.0.get_all(key).filter_map(|value| value.to_str().ok()).collect();
        (!all.is_empty()).then_some(all)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(|name| name.as_str()).collect()
    }
}
