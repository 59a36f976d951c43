//! Traces and log lines of a recording, as the console has them, and without what gives the answer away.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::lab::backend::log::{LogLine, LogReader};
use crate::lab::backend::trace::{Span, SpanKind, Trace, TraceReader};
use crate::lab::backend::window::WindowReader;
use crate::lab::scenario::target::LessonLab;
use crate::schema::registry::LOG_FIELDS;
use crate::schema::{FAULT_ATTRIBUTE, SERVICES};

/// The most lines of one trace, and of one service without a trace.
const LINES: usize = 5_000;
/// How the error of a fault names what is behind it; what stands there instead without marks.
const INJECTED: &str = "injected by the fault";
const UNNAMED: &str = "internal error";
/// The field of a line that tells of a fault, in a line of its own.
const FAULT_FIELD: &str = "fault";

/// What was recorded of traces and lines.
pub(super) struct RecordedTelemetry {
    /// Messages of OTLP, one for each trace.
    pub(super) traces: Vec<Value>,
    /// Messages of OTLP, one for each line.
    pub(super) logs: Vec<Value>,
    /// The spans by trace, marks included.
    pub(super) spans: BTreeMap<String, Vec<Span>>,
    /// The resource of each service that has a span.
    pub(super) resources: BTreeMap<String, Value>,
}

impl RecordedTelemetry {
    /// Reads these traces, those of the queue since then, and their lines.
    pub(super) async fn read(lab: &LessonLab, since: u64, sent: BTreeSet<String>) -> Result<Self, String> {
        let console = lab.config.console();
        let (traces, logs) = (TraceReader::new(&console), LogReader::console(&console));
        let let_go = traces.let_go().await.unwrap_or_default();
        let mut ids = queued(&console, since).await?;
        ids.extend(sent);
        let mut read =
            Self { traces: Vec::new(), logs: Vec::new(), spans: BTreeMap::new(), resources: BTreeMap::new() };
        for id in &ids {
            let export = traces.export(id).await.map_err(|why| why.to_string())?;
            for group in export["resourceSpans"].as_array().into_iter().flatten() {
                read.resources.entry(service(group)).or_insert_with(|| group["resource"].clone());
            }
            read.spans.insert(id.clone(), Trace::from_otlp(&export).spans);
            read.traces.push(json!({"resourceSpans": export["resourceSpans"]}));
            let lines = logs.of_trace(id, LINES).await.map_err(|why| why.to_string())?;
            read.logs.extend(lines.iter().map(|line| record(line, &read.resources)));
        }
        for row in &SERVICES {
            let lines = logs.of_service(row.name, LINES).await.map_err(|why| why.to_string())?;
            let own = lines.iter().filter(|line| line.text("traceId").is_empty() && nanos(line) >= since);
            read.logs.extend(own.map(|line| record(line, &read.resources)));
        }
        match traces.let_go().await.unwrap_or_default() > let_go || read.spans.values().any(Vec::is_empty) {
            true => Err(
                "the console has let go of traces that were recorded: --minutes is too long for its memory"
                    .to_owned(),
            ),
            false => Ok(read),
        }
    }

    /// Takes out whatever says which fault is set.
    pub(super) fn unmark(&mut self) {
        self.logs.retain(|line| !line.to_string().contains(&format!("\"key\":\"{FAULT_FIELD}\"")));
        self.traces.iter_mut().chain(&mut self.logs).for_each(unmark);
    }
}

/// The traces since then in which a message is sent, received or handled: with a consumer's own, where it has some.
async fn queued(console: &str, since: u64) -> Result<BTreeSet<String>, String> {
    let window = WindowReader::new(console);
    let queues = |span: &Span| {
        matches!(span.kind, SpanKind::Producer | SpanKind::Consumer)
            || span.attributes.contains_key("messaging.system")
    };
    let mut ids = BTreeSet::new();
    for row in &SERVICES {
        let found = window.traces(row.name, since).await.map_err(|why| why.to_string())?;
        ids.extend(found.into_iter().filter(|(_, spans)| spans.iter().any(queues)).map(|(id, _)| id));
    }
    Ok(ids)
}

fn service(group: &Value) -> String {
    let attributes = group["resource"]["attributes"].as_array();
    let name = attributes.and_then(|all| all.iter().find(|pair| pair["key"] == "service.name"));
    name.and_then(|pair| pair["value"]["stringValue"].as_str()).unwrap_or_default().to_owned()
}

fn unmark(value: &mut Value) {
    match value {
        Value::Array(all) => {
            all.retain(|one| one["key"] != FAULT_ATTRIBUTE);
            all.iter_mut().for_each(unmark);
        }
        Value::Object(fields) => fields.values_mut().for_each(unmark),
        Value::String(text) if text.contains(INJECTED) => UNNAMED.clone_into(text),
        _ => {}
    }
}

/// A line as a record of OTLP, in a message of its own, with the keys under which the roles export it.
fn record(line: &LogLine, resources: &BTreeMap<String, Value>) -> Value {
    const OWN: [&str; 9] = [
        "timestamp",
        "level",
        "message",
        "service",
        "traceId",
        "spanId",
        "severityNumber",
        "resource",
        "scope",
    ];
    let attributes = line.fields.iter().filter(|(key, _)| !OWN.contains(&key.as_str()));
    let attributes = attributes.map(|(key, value)| json!({"key": key_of(key, value), "value": any(value)}));
    let level = line.text("level").to_uppercase();
    let mut record = json!({
        "timeUnixNano": nanos(line).to_string(),
        "severityNumber": severity(&level),
        "severityText": level,
        "body": {"stringValue": line.text("message")},
        "attributes": attributes.collect::<Vec<_>>(),
    });
    for key in ["traceId", "spanId"].into_iter().filter(|key| !line.text(key).is_empty()) {
        record[key] = json!(line.text(key));
    }
    let name = json!({"key": "service.name", "value": {"stringValue": line.text("service")}});
    let alone = json!({ "attributes": [name] });
    let resource = resources.get(line.text("service")).unwrap_or(&alone);
    json!({"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": [record]}]}]})
}

/// The attribute of a field. A text and a number may share a field's name.
fn key_of<'a>(field: &'a str, value: &Value) -> &'a str {
    let mut rows = LOG_FIELDS.iter().filter(|row| row.field == field);
    let first = rows.next();
    let other = rows.next().filter(|_| value.is_number());
    other.or(first).map_or(field, |row| row.key)
}

/// OTLP's SeverityNumber.
fn severity(level: &str) -> u8 {
    match level {
        "TRACE" => 1,
        "DEBUG" => 5,
        "INFO" => 9,
        "WARN" => 13,
        "ERROR" => 17,
        _ => 0,
    }
}

fn nanos(line: &LogLine) -> u64 {
    let time = line.text("timestamp").parse::<jiff::Timestamp>().map(jiff::Timestamp::as_nanosecond);
    time.ok().and_then(|nanos| u64::try_from(nanos).ok()).unwrap_or_default()
}

fn any(value: &Value) -> Value {
    match value {
        Value::String(text) => json!({"stringValue": text}),
        Value::Bool(flag) => json!({"boolValue": flag}),
        Value::Number(number) if number.is_i64() => json!({"intValue": number.to_string()}),
        Value::Number(number) => json!({"doubleValue": number}),
        other => json!({"stringValue": other.to_string()}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_has_its_key_in_otlp_and_what_names_a_fault_is_taken_out() {
        let line = json!({"timestamp": "1970-01-01T00:00:01Z", "level": "error", "message": "request failed",
            "service": "a", "traceId": "4b", "spanId": "00", "status": 503, "cause": "injected by the fault error"});
        let line = LogLine::parse(&line.to_string()).unwrap_or_else(|| unreachable!());
        let mut read = RecordedTelemetry {
            traces: vec![json!({"attributes": [{"key": FAULT_ATTRIBUTE}, {"key": "other"}]})],
            logs: vec![record(&line, &BTreeMap::new())],
            spans: BTreeMap::new(),
            resources: BTreeMap::new(),
        };
        read.unmark();
        assert_eq!(read.traces[0], json!({"attributes": [{"key": "other"}]}));
        let record = &read.logs[0]["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0];
        assert_eq!((&record["timeUnixNano"], &record["severityNumber"]), (&json!("1000000000"), &json!(17)));
        let cause = json!({"key": "cause", "value": {"stringValue": UNNAMED}});
        let status = json!({"key": "http.response.status_code", "value": {"intValue": "503"}});
        assert_eq!(record["attributes"], json!([cause, status]));
        let set = LogLine::parse(r#"{"message": "Fault set", "fault": "error"}"#);
        read.logs = set.iter().map(|line| super::record(line, &BTreeMap::new())).collect();
        read.unmark();
        assert!(read.logs.is_empty());
    }
}
