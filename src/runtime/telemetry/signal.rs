//! The signals of OpenTelemetry, and what OTLP and the environment call them.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;

/// What a backend receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Log records.
    Logs,
    /// Data points.
    Metrics,
}

impl Signal {
    /// Every signal.
    pub const ALL: [Self; 3] = [Self::Traces, Self::Logs, Self::Metrics];

    /// The path that is added to a general OTLP/HTTP endpoint.
    pub fn path(self) -> &'static str {
        match self {
            Self::Traces => "/v1/traces",
            Self::Logs => "/v1/logs",
            Self::Metrics => "/v1/metrics",
        }
    }

    /// The word in the signal's own variables: `OTEL_EXPORTER_OTLP_{stem}_ENDPOINT`.
    pub fn stem(self) -> &'static str {
        match self {
            Self::Traces => "TRACES",
            Self::Logs => "LOGS",
            Self::Metrics => "METRICS",
        }
    }

    /// The value of a label or field that names the signal.
    pub fn label(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Logs => "logs",
            Self::Metrics => "metrics",
        }
    }

    /// Begins a sentence about its export.
    pub fn title(self) -> &'static str {
        match self {
            Self::Traces => "Trace",
            Self::Logs => "Log",
            Self::Metrics => "Metric",
        }
    }

    /// What a batch of it is made of.
    pub fn items(self) -> &'static str {
        match self {
            Self::Traces => "spans",
            Self::Logs => "log records",
            Self::Metrics => "data points",
        }
    }

    /// What a backend says of a batch that it accepted, by the body of its answer. The three answers
    /// have one wire form; what cannot be read says nothing.
    pub fn partial_success(self, answer: &[u8]) -> PartialSuccess {
        let partial = ExportTraceServiceResponse::decode(answer).ok().and_then(|a| a.partial_success);
        partial.map_or_else(PartialSuccess::default, |partial| PartialSuccess {
            rejected: partial.rejected_spans.max(0).unsigned_abs(),
            message: partial.error_message.trim().chars().take(LONGEST_MESSAGE).collect(),
        })
    }

    /// Whether a body is an answer to an export at all. An empty one is: all its fields are at their defaults.
    pub(super) fn is_answer(body: &[u8], in_json: bool) -> bool {
        match in_json {
            _ if body.is_empty() => true,
            true => serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(body).is_ok(),
            false => ExportTraceServiceResponse::decode(body).is_ok(),
        }
    }

    /// The same of an answer in JSON.
    pub fn partial_success_in_json(self, answer: &[u8]) -> PartialSuccess {
        let answer: serde_json::Value = serde_json::from_slice(answer).unwrap_or_default();
        let partial = &answer["partialSuccess"];
        let rejected = match self {
            Self::Traces => &partial["rejectedSpans"],
            Self::Logs => &partial["rejectedLogRecords"],
            Self::Metrics => &partial["rejectedDataPoints"],
        };
        // 64-bit numbers are texts, and some write them as numbers all the same.
        let rejected = rejected.as_u64().or_else(|| rejected.as_str()?.parse().ok()).unwrap_or(0);
        let message = partial["errorMessage"].as_str().unwrap_or_default();
        PartialSuccess { rejected, message: message.trim().chars().take(LONGEST_MESSAGE).collect() }
    }
}

/// The most characters of a backend's message that are kept.
const LONGEST_MESSAGE: usize = 300;

/// What a backend says of a batch that it accepted, whole or in part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartialSuccess {
    /// Items that it refused.
    pub rejected: u64,
    /// Why, or where it refused none, a warning; mostly empty.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::collector::logs::v1::{
        ExportLogsPartialSuccess, ExportLogsServiceResponse,
    };

    #[test]
    fn every_signals_answer_is_read_by_its_one_wire_form() {
        let partial = ExportLogsPartialSuccess { rejected_log_records: 7, error_message: "quota".into() };
        let answer = ExportLogsServiceResponse { partial_success: Some(partial) }.encode_to_vec();
        assert_eq!(
            [&answer[..], b"", b"<html>"].map(|body| Signal::Logs.partial_success(body).rejected),
            [7, 0, 0]
        );
        assert_eq!(Signal::Logs.partial_success(&answer).message, "quota");
    }

    #[test]
    fn a_page_or_a_word_is_no_answer_and_an_empty_body_is_one() {
        let page = b"<!DOCTYPE html><title>Sign in</title>";
        for in_json in [true, false] {
            assert!(Signal::is_answer(b"", in_json));
            assert!(!Signal::is_answer(page, in_json) && !Signal::is_answer(b"OK", in_json));
        }
        assert!(Signal::is_answer(b"{\"partialSuccess\":{}}", true) && !Signal::is_answer(b"[]", true));
    }

    #[test]
    fn an_answer_in_json_names_what_the_signals_items_are() {
        for (signal, field) in [
            (Signal::Traces, "rejectedSpans"),
            (Signal::Logs, "rejectedLogRecords"),
            (Signal::Metrics, "rejectedDataPoints"),
        ] {
            for number in ["7", "\"7\""] {
                let answer = format!(r#"{{"partialSuccess":{{"{field}":{number},"errorMessage":"quota"}}}}"#);
                let partial = signal.partial_success_in_json(answer.as_bytes());
                assert_eq!(partial, PartialSuccess { rejected: 7, message: "quota".into() });
            }
            assert_eq!(signal.partial_success_in_json(b"{}"), PartialSuccess::default());
            assert_eq!(signal.partial_success_in_json(b"<html>"), PartialSuccess::default());
        }
    }
}
