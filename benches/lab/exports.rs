//! OTLP exports of spans, made once and given new ids for each sending: the sender must not be the bottleneck.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;

/// Spans of one export, and of each of its traces.
pub const SPANS: usize = 96;
pub const OF_A_TRACE: usize = 12;

/// What stands in the template where an id will: 14 and 6 bytes that occur nowhere else, and a number.
const TRACE_MARK: &[u8; 14] = b"\xF5mark-of-trace";
const SPAN_MARK: &[u8; 6] = b"\xF5span-";

/// One export as bytes, and where in it the ids are.
pub struct Template {
    bytes: Vec<u8>,
    /// Where an id begins, and which of the export's traces or spans it names.
    traces: Vec<(usize, u16)>,
    spans: Vec<(usize, u16)>,
}

impl Template {
    pub fn new() -> Self {
        let bytes = export().encode_to_vec();
        let (traces, spans) = (marks(&bytes, TRACE_MARK), marks(&bytes, SPAN_MARK));
        Self { bytes, traces, spans }
    }

    /// The export with ids that no other `number` has.
    pub fn numbered(&mut self, number: u64) -> &[u8] {
        for (at, which) in &self.traces {
            self.bytes[*at..at + 8].copy_from_slice(&scattered(number));
            self.bytes[at + 8..at + 16].copy_from_slice(&u64::from(*which).to_be_bytes());
        }
        for (at, which) in &self.spans {
            let id = number * SPANS as u64 + u64::from(*which) + 1;
            self.bytes[*at..at + 8].copy_from_slice(&scattered(id));
        }
        &self.bytes
    }
}

/// Ids are random where they are real; an odd factor keeps different numbers different.
fn scattered(number: u64) -> [u8; 8] {
    (number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes()
}

/// Where a mark stands, and the two bytes behind it as a number.
fn marks(bytes: &[u8], mark: &[u8]) -> Vec<(usize, u16)> {
    let found = bytes.windows(mark.len() + 2).enumerate().filter(|(_, window)| window.starts_with(mark));
    found.map(|(at, window)| (at, u16::from_be_bytes([window[mark.len()], window[mark.len() + 1]]))).collect()
}

fn marked<const N: usize>(mark: &[u8; N], number: usize) -> Vec<u8> {
    let number = u16::try_from(number).unwrap_or_default().to_be_bytes();
    [mark.as_slice(), &number].concat()
}

fn text(key: &str, value: &str) -> KeyValue {
    pair(key, Any::StringValue(value.to_owned()))
}

fn pair(key: &str, value: Any) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// A span as an HTTP server makes it, the ones of a trace one below the other's first.
fn span(number: usize, now: u64) -> Span {
    let first = number - number % OF_A_TRACE;
    let (route, status) = (format!("/api/things/{}", number % 7), if number % 24 == 5 { 500 } else { 200 });
    Span {
        trace_id: marked(TRACE_MARK, number / OF_A_TRACE),
        span_id: marked(SPAN_MARK, number),
        parent_span_id: if number == first { Vec::new() } else { marked(SPAN_MARK, first) },
        name: format!("GET {route}"),
        kind: if number == first { 2 } else { 3 },
        start_time_unix_nano: now + number as u64 * 1_000,
        end_time_unix_nano: now + 5_000_000 + (number as u64 * 37 % 101) * 1_000_000,
        attributes: vec![
            text("http.request.method", "GET"),
            text("http.route", &route),
            pair("http.response.status_code", Any::IntValue(status)),
            text("url.path", &format!("/api/things/{}/{number}", number % 7)),
            text("server.address", "127.0.0.1"),
            pair("server.port", Any::IntValue(3000)),
            text("network.protocol.version", "1.1"),
        ],
        ..Span::default()
    }
}

fn export() -> ExportTraceServiceRequest {
    let now = u64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or_default();
    let resource = Resource {
        attributes: vec![text("service.name", "shop"), text("service.instance.id", "shop-1")],
        ..Resource::default()
    };
    let scope = InstrumentationScope { name: "bench".to_owned(), ..InstrumentationScope::default() };
    let spans = (0..SPANS).map(|number| span(number, now)).collect();
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() }];
    let group = ResourceSpans { resource: Some(resource), scope_spans, ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![group] }
}
