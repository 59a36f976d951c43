//! The CLIENT span of one request: the root of its trace, sampled as any other root.

use opentelemetry::global::BoxedTracer;
use opentelemetry::trace::{SpanContext, SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};

use super::client::{LoadAnswer, LoadFailure};
use crate::config::{is_loopback, without_login};
use crate::runtime::propagation::fields_of;
use crate::schema::Role;

/// The trace that a request belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequestTrace {
    /// 32 hexadecimal digits.
    pub(crate) id: String,
    /// Whether it is recorded, so that it can be looked up.
    pub(crate) sampled: bool,
}

impl RequestTrace {
    /// Of a span's context, if it is one.
    fn of(context: &SpanContext) -> Option<Self> {
        let id = || context.trace_id().to_string();
        context.is_valid().then(|| Self { id: id(), sampled: context.is_sampled() })
    }

    /// Out of the header `traceresponse`, whose form is that of `traceparent`, version 00.
    pub(crate) fn in_answer(header: &str) -> Option<Self> {
        let parts: Vec<_> = header.split('-').collect();
        let [_, id, _, flags] = parts[..] else { return None };
        let flags = u8::from_str_radix(flags, 16).ok()?;
        let valid = id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit());
        valid.then(|| Self { id: id.to_owned(), sampled: flags & 1 == 1 })
    }

    #[cfg(test)]
    pub(super) fn sampled(number: u64) -> Option<Self> {
        Some(Self { id: format!("{number:032x}"), sampled: true })
    }
}

/// A request's span while it is under way. Dropped before its end, it is a cancelled request.
pub(super) struct RequestSpan {
    /// `None` where no spans are made.
    context: Option<Context>,
    settled: bool,
}

impl RequestSpan {
    /// Begins a span named by its route, `METHOD /template`; without a template by the method.
    pub(super) fn begin(tracer: &BoxedTracer, route: &'static str, path: &str, server: &Server) -> Self {
        let (method, template) = route.split_once(' ').unwrap_or((route, ""));
        let template = Some(template).filter(|template| template.starts_with('/'));
        let mut attributes = vec![
            KeyValue::new("http.request.method", method),
            KeyValue::new("url.full", format!("{}{path}", server.shown)),
            KeyValue::new("server.address", server.address.clone()),
            KeyValue::new("service.peer.name", Role::Gateway.service().name),
        ];
        attributes.extend(server.port.map(|port| KeyValue::new("server.port", i64::from(port))));
        attributes.extend(template.map(|template| KeyValue::new("url.template", template)));
        let builder = tracer.span_builder(template.map_or(method, |_| route));
        let builder = builder.with_kind(SpanKind::Client).with_attributes(attributes);
        let root = Context::new();
        let context = root.with_span(builder.start_with_context(tracer, &root));
        Self { context: Some(context), settled: false }
    }

    /// No span: the one who answers begins the trace.
    pub(super) fn none() -> Self {
        Self { context: None, settled: true }
    }

    /// The header fields that make the receiver's span a child of this one; none without a span.
    pub(super) fn fields(&self) -> Vec<(String, String)> {
        self.context.as_ref().map(fields_of).unwrap_or_default()
    }

    /// The trace that it began.
    pub(super) fn trace(&self) -> Option<RequestTrace> {
        self.context.as_ref().and_then(|context| RequestTrace::of(context.span().span_context()))
    }

    /// Ends it. On a CLIENT span a 4xx is an error too, also where the mix asks for it.
    pub(super) fn end(mut self, result: &Result<LoadAnswer, LoadFailure>) {
        self.settled = true;
        let Some(context) = &self.context else { return };
        match result {
            Ok(answer) => {
                let status = i64::from(answer.status);
                context.span().set_attribute(KeyValue::new("http.response.status_code", status));
                if status >= 400 {
                    self.failed(status.to_string());
                }
            }
            Err(failure) => self.failed(failure.kind()),
        }
    }

    fn failed(&self, kind: impl Into<opentelemetry::Value>) {
        if let Some(context) = &self.context {
            context.span().set_attribute(KeyValue::new("error.type", kind));
            context.span().set_status(Status::error(""));
        }
    }
}

impl Drop for RequestSpan {
    fn drop(&mut self) {
        if !self.settled {
            self.failed("cancelled");
        }
        if let Some(context) = &self.context {
            context.span().end();
        }
    }
}

/// The gateway's address, as spans and report name it.
pub(super) struct Server {
    /// The base URL without a user and a password.
    pub(super) shown: String,
    address: String,
    port: Option<u16>,
}

impl Server {
    /// Of a base URL.
    pub(super) fn of(base: &str) -> Self {
        let shown = without_login(base);
        let Ok(url) = url::Url::parse(&shown) else {
            return Self { shown, address: String::new(), port: None };
        };
        let address = url.host_str().unwrap_or_default().to_owned();
        Self { shown, address, port: url.port_or_known_default() }
    }

    /// Whether it is on this machine, as its name says.
    pub(super) fn is_local(&self) -> bool {
        is_loopback(&self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_and_a_password_are_nobody_elses() {
        let server = Server::of("http://me:secret@gateway:3000/lab");
        assert_eq!((server.shown.as_str(), server.port), ("http://gateway:3000/lab", Some(3000)));
        assert!(!server.is_local() && Server::of("http://127.0.0.1:3000").is_local());
        assert_eq!(Server::of("https://[::1]").port, Some(443));
    }

    #[test]
    fn the_trace_in_an_answer_is_read_and_nonsense_is_none() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        for (flags, sampled) in [("01", true), ("00", false), ("03", true), ("02", false)] {
            let read = RequestTrace::in_answer(&format!("00-{id}-00f067aa0ba902b7-{flags}"));
            assert_eq!(read, Some(RequestTrace { id: id.to_owned(), sampled }));
        }
        for nonsense in ["", "00-4bf9-00f0-01", "00-zbf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"] {
            assert_eq!(RequestTrace::in_answer(nonsense), None, "{nonsense}");
        }
    }
}
