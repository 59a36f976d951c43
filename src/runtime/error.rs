//! Errors as clients see them: RFC 9457 problem details, made in this one place.

use std::fmt;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use opentelemetry::trace::{SpanContext, TraceContextExt};
use serde_json::{Map, Value, json};

/// `application/problem+json` (RFC 9457, section 3).
pub const PROBLEM_JSON: &str = "application/problem+json";

/// Problem details of a failed request. `detail`, `errors` and `warnings` go to the
/// client, so they name nothing internal; `cause` goes to the log and the span only.
#[derive(Clone, Debug)]
pub struct Problem(Box<ProblemParts>);

#[derive(Clone, Debug)]
struct ProblemParts {
    status: StatusCode,
    detail: String,
    errors: Vec<String>,
    warnings: Vec<String>,
    cause: Option<String>,
    headers: Vec<(HeaderName, String)>,
    span: Option<SpanContext>,
}

impl Problem {
    /// A problem with an explanation for the client.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let (errors, warnings) = (Vec::new(), Vec::new());
        Self(Box::new(ProblemParts {
            status,
            detail,
            errors,
            warnings,
            cause: None,
            headers: Vec::new(),
            span: None,
        }))
    }

    /// 400 with every rule that was broken.
    pub fn invalid(errors: Vec<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, errors.join("; ")).with_errors(errors)
    }

    /// 404.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// 409.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    /// 503.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    }

    /// 504.
    pub fn timeout(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::GATEWAY_TIMEOUT, detail)
    }

    /// 500; the cause never reaches the client.
    pub fn internal(cause: impl fmt::Display) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "something went wrong here").because(cause)
    }

    /// Adds what the log and the span should know.
    pub fn because(mut self, cause: impl fmt::Display) -> Self {
        self.0.cause = Some(cause.to_string());
        self
    }

    /// Adds the rules that were broken, as another service listed them.
    pub fn with_errors(mut self, errors: Vec<String>) -> Self {
        self.0.errors = errors;
        self
    }

    /// Adds warnings to a refusal.
    pub fn with_warnings(mut self, warnings: Vec<String>) -> Self {
        self.0.warnings = warnings;
        self
    }

    /// Adds the methods a resource does know, for a 405 (RFC 9110, section 15.5.6).
    pub fn with_allow(self, methods: String) -> Self {
        self.with_header(header::ALLOW, methods)
    }

    /// Says when another attempt may be welcome, for a 503.
    pub fn with_retry_after(self, wait: Option<Duration>) -> Self {
        match wait {
            // Whole seconds, and never sooner.
            Some(wait) => self.with_header(header::RETRY_AFTER, wait.as_secs_f64().ceil().to_string()),
            None => self,
        }
    }

    /// Adds a header field to the answer.
    pub fn with_header(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.0.headers.push((name, value.into()));
        self
    }

    /// Remembers the span it happened in, for an answer that is written when the span is no longer
    /// the active one.
    pub fn in_current_span(mut self) -> Self {
        self.0.span = Some(current_span());
        self
    }

    /// The status code.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// What the client reads.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// What the log and the span read.
    pub fn cause(&self) -> Option<&str> {
        self.0.cause.as_deref()
    }

    /// As JSON; in no span without a trace id.
    pub(super) fn body(&self, span: &SpanContext) -> Value {
        let mut body = Map::new();
        body.insert("type".into(), json!("about:blank"));
        body.insert("title".into(), json!(self.0.status.canonical_reason().unwrap_or("Error")));
        body.insert("status".into(), json!(self.0.status.as_u16()));
        body.insert("detail".into(), json!(self.0.detail));
        body.insert("error".into(), json!(self.0.detail));
        if !self.0.errors.is_empty() {
            body.insert("errors".into(), json!(self.0.errors));
        }
        if !self.0.warnings.is_empty() {
            body.insert("warnings".into(), json!(self.0.warnings));
        }
        if span.is_valid() {
            body.insert("traceId".into(), json!(span.trace_id().to_string()));
        }
        Value::Object(body)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.status, self.0.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.0.status
    }

    fn error_response(&self) -> HttpResponse {
        let span = self.0.span.clone().unwrap_or_else(current_span);
        let mut response = HttpResponse::build(self.0.status);
        response.insert_header((header::CONTENT_TYPE, PROBLEM_JSON));
        for (name, value) in &self.0.headers {
            response.insert_header((name.clone(), value.as_str()));
        }
        if let Some(value) = trace_response(&span) {
            response.insert_header((TRACE_RESPONSE, value));
        }
        response.body(self.body(&span).to_string())
    }
}

fn current_span() -> SpanContext {
    opentelemetry::Context::current().span().span_context().clone()
}

/// The header that tells a client its trace (W3C Trace Context, level 2, `traceresponse`).
pub const TRACE_RESPONSE: &str = "traceresponse";

/// The header's value for a span, if there is one.
pub fn trace_response(span: &SpanContext) -> Option<HeaderValue> {
    span.is_valid().then(|| HeaderValue::from_bytes(&trace_text(span)).ok()).flatten()
}

/// `00-TRACE-SPAN-FLAGS`, without the formatting machinery: every answer has one.
fn trace_text(span: &SpanContext) -> [u8; 55] {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut text = [b'-'; 55];
    let mut write = |at: usize, bytes: &[u8]| {
        for (pair, byte) in text[at..].chunks_exact_mut(2).zip(bytes) {
            pair.copy_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    };
    write(0, &[0]);
    write(3, &span.trace_id().to_bytes());
    write(36, &span.span_id().to_bytes());
    write(53, &[span.trace_flags().to_u8()]);
    text
}

/// The root of an error chain, which says more than its wrappers and does not repeat a URL.
pub(crate) fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanId, TraceFlags, TraceId, TraceState};

    use super::*;

    #[test]
    fn the_trace_of_an_answer_is_written_as_the_specification_says() {
        let of = |trace, flags| {
            let id = SpanId::from(0x00f0_67aa_0ba9_02b7_u64);
            let context = SpanContext::new(TraceId::from(trace), id, flags, false, TraceState::NONE);
            trace_response(&context).and_then(|value| value.to_str().map(str::to_owned).ok())
        };
        let expected = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let trace = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128;
        assert_eq!(of(trace, TraceFlags::SAMPLED).as_deref(), Some(expected));
        assert_eq!(of(trace, TraceFlags::default()).map(|text| text.ends_with("-00")), Some(true));
        assert_eq!(of(0, TraceFlags::SAMPLED), None);
    }
}
