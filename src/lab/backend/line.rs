//! A line of OTLP's JSON whose items stay the text they are: most of a large file is looked at once, and by far not all at a
//! time.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::span::{SpanAttributes, attributes};

/// A message, whatever its signal: several may share a file.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LineMessage<'a> {
    #[serde(borrow)]
    resource_spans: Option<Vec<LineGroup<'a>>>,
    #[serde(borrow)]
    resource_logs: Option<Vec<LineGroup<'a>>>,
    #[serde(borrow)]
    resource_metrics: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    resource_profiles: Option<Vec<&'a RawValue>>,
}

/// What one resource sent.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LineGroup<'a> {
    resource: Option<LineResource>,
    #[serde(borrow, alias = "scopeLogs")]
    scope_spans: Option<Vec<LineScope<'a>>>,
}

#[derive(Deserialize)]
struct LineResource {
    #[serde(default)]
    attributes: Value,
}

#[derive(Deserialize)]
struct LineScope<'a> {
    #[serde(borrow, alias = "logRecords")]
    spans: Option<Vec<&'a RawValue>>,
}

impl<'a> LineMessage<'a> {
    /// `None` where the line is none.
    pub(super) fn read(line: &'a [u8]) -> Option<Self> {
        let message: Self = serde_json::from_slice(line).ok()?;
        let has_any = message.resource_spans.is_some()
            || message.resource_logs.is_some()
            || message.resource_metrics.is_some()
            || message.resource_profiles.is_some();
        has_any.then_some(message)
    }

    /// Whether it is one of metrics.
    pub(super) fn has_metrics(&self) -> bool {
        self.resource_metrics.is_some()
    }

    /// Of log records, or of spans.
    pub(super) fn groups(&self, of_records: bool) -> &[LineGroup<'a>] {
        let groups = if of_records { &self.resource_logs } else { &self.resource_spans };
        groups.as_deref().unwrap_or_default()
    }
}

impl<'a> LineGroup<'a> {
    /// The resource's.
    pub(super) fn attributes(&self) -> SpanAttributes {
        self.resource.as_ref().map(|resource| attributes(&resource.attributes)).unwrap_or_default()
    }

    /// Its spans or log records.
    pub(super) fn items(&self) -> impl Iterator<Item = &'a RawValue> {
        let scopes = self.scope_spans.iter().flatten();
        scopes.flat_map(|scope| scope.spans.iter().flatten().copied())
    }
}

/// The trace of an item in lower case, empty where it names none.
pub(super) fn trace_of(item: &RawValue) -> String {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Head<'a> {
        #[serde(borrow)]
        trace_id: Option<Cow<'a, str>>,
    }
    let head: Option<Head<'_>> = serde_json::from_str(item.get()).ok();
    head.and_then(|head| head.trace_id).map(|id| id.to_lowercase()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_empty_or_absent_is_nothing_and_a_line_of_another_form_is_no_message() {
        let line = br#"{"resourceSpans":[{"resource":{},"scopeSpans":null},{"scopeSpans":[{"spans":null},{"scope":{},"spans":
            [{"traceId":"AB"},{"traceId":null},{"name":"x"}]}]}],"resourceLogs":null,"more":1}"#;
        let message = LineMessage::read(line).unwrap();
        let traces: Vec<_> = message.groups(false).iter().flat_map(LineGroup::items).map(trace_of).collect();
        assert_eq!(traces, ["ab", "", ""]);
        assert!(message.groups(true).is_empty() && message.groups(false)[0].attributes().is_empty());
        for bad in ["", "[]", "1", "{}", r#"{"resourceSpans":1}"#, r#"{"resourceSpans":null}"#, r#"{"a":[]}"#]
        {
            assert!(LineMessage::read(bad.as_bytes()).is_none(), "{bad}");
        }
        assert!(LineMessage::read(br#"{"resourceMetrics":[{"anything":[1]}]}"#).is_some());
    }
}
