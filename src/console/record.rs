//! An OTLP log record as a line like the roles' own.

use opentelemetry_proto::tonic::logs::v1::LogRecord;
use serde_json::{Map, Value, json};

use super::attributes;
use super::ids;
use super::line_head::level_in;
use super::origin::Origin;

/// Fields that are there only where the record has them.
const OWN_FIELDS: [&str; 3] = ["traceId", "spanId", "eventName"];

/// The record's attributes, and over them the fields of a role's log line; beside them the event's name, and
/// `scope` and `resource` as far as they say anything. A record without a time has the time it came in,
/// in nanoseconds since the epoch.
pub(super) fn line(origin: &Origin, record: &LogRecord, received: u64) -> Value {
    let mut fields = attributes::object(&record.attributes);
    // The record's own, which an attribute must not stand in for: a line would pose as joined to a trace.
    OWN_FIELDS.iter().for_each(|name| drop(fields.remove(*name)));
    let times = [record.time_unix_nano, record.observed_time_unix_nano];
    let nanos = times.into_iter().find(|nanos| *nanos > 0).unwrap_or(received);
    let message = record.body.as_ref().and_then(|body| body.value.as_ref()).map(attributes::text);
    if let Ok(time) = jiff::Timestamp::from_nanosecond(i128::from(nanos)) {
        fields.insert("timestamp".into(), json!(time.to_string()));
    }
    fields.insert("level".into(), json!(level(record)));
    fields.insert("message".into(), json!(message.unwrap_or_default()));
    fields.insert("service".into(), json!(origin.service));
    if let Some(id) = ids::trace_id(&record.trace_id) {
        fields.insert("traceId".into(), json!(ids::trace_hex(id)));
    }
    if let Some(id) = ids::span_id(&record.span_id) {
        fields.insert("spanId".into(), json!(ids::span_hex(id)));
    }
    add_text(&mut fields, "eventName", &record.event_name);
    add_object(&mut fields, "scope", scope(origin));
    add_object(&mut fields, "resource", resource(origin));
    Value::Object(fields)
}

/// By the number; by the text where there is no number, or none that is defined.
fn level(record: &LogRecord) -> &'static str {
    match record.severity_number {
        1..=4 => "trace",
        5..=8 => "debug",
        9..=12 => "info",
        13..=16 => "warn",
        17..=20 => "error",
        21..=24 => "fatal",
        _ => level_in(&record.severity_text),
    }
}

fn scope(origin: &Origin) -> Map<String, Value> {
    let mut fields = Map::new();
    add_text(&mut fields, "name", &origin.scope.name);
    add_text(&mut fields, "version", &origin.scope.version);
    add_text(&mut fields, "schemaUrl", &origin.schemas.scope);
    add_object(&mut fields, "attributes", attributes::object(&origin.scope.attributes));
    fields
}

/// Without the service's name, which the line has already.
fn resource(origin: &Origin) -> Map<String, Value> {
    let mut own = attributes::object(&origin.resource.attributes);
    own.remove("service.name");
    let mut fields = Map::new();
    add_text(&mut fields, "schemaUrl", &origin.schemas.resource);
    add_object(&mut fields, "attributes", own);
    fields
}

fn add_text(fields: &mut Map<String, Value>, name: &str, text: &str) {
    if !text.is_empty() {
        fields.insert(name.into(), json!(text));
    }
}

fn add_object(fields: &mut Map<String, Value>, name: &str, inner: Map<String, Value>) {
    if !inner.is_empty() {
        fields.insert(name.into(), Value::Object(inner));
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::any_value::Value::StringValue;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope};

    use super::*;
    use crate::console::origin::SchemaUrls;
    use crate::console::sample;

    #[test]
    fn an_otlp_log_record_becomes_a_line_like_the_roles_own() {
        let record = LogRecord {
            time_unix_nano: 1_700_000_000_000_000_000,
            severity_number: 17,
            body: Some(AnyValue { value: Some(StringValue("no luck".into())) }),
            attributes: vec![sample::text("level", "forged"), sample::text("orderId", "3")],
            trace_id: 7u128.to_be_bytes().to_vec(),
            span_id: 8u64.to_be_bytes().to_vec(),
            ..LogRecord::default()
        };
        let expected = json!({
            "timestamp": "2023-11-14T22:13:20Z", "level": "error", "message": "no luck", "service": "x",
            "orderId": "3", "traceId": format!("{:032x}", 7), "spanId": format!("{:016x}", 8),
        });
        assert_eq!(line(&sample::origin("x"), &record, 0), expected);
    }

    #[test]
    fn an_attribute_does_not_stand_in_for_an_id_or_an_events_name_that_the_record_does_not_have() {
        let names = ["traceId", "spanId", "eventName", "kept"];
        let attributes = names.iter().map(|name| sample::text(name, "forged")).collect();
        let line = line(&sample::origin("x"), &LogRecord { attributes, ..LogRecord::default() }, 1);
        let there: Vec<_> = names.iter().map(|name| line.get(*name).is_some()).collect();
        assert_eq!(there, [false, false, false, true]);
    }

    #[test]
    fn a_line_has_the_events_name_and_what_scope_and_resource_say() {
        let mut resource = sample::resource("x");
        resource.attributes.push(sample::text("host.name", "h"));
        let scope = InstrumentationScope {
            name: "lib".into(),
            version: "2".into(),
            attributes: vec![sample::text("tier", "gold")],
            ..InstrumentationScope::default()
        };
        let schemas = SchemaUrls { resource: "https://r".into(), scope: "https://s".into() };
        let record = LogRecord { event_name: "user.login".into(), ..LogRecord::default() };
        let line = line(&Origin::new(resource.into(), scope, schemas), &record, 1_000_000_000);
        let expected = json!({
            "timestamp": "1970-01-01T00:00:01Z", "level": "info", "message": "", "service": "x",
            "eventName": "user.login",
            "scope": {"name": "lib", "version": "2", "schemaUrl": "https://s", "attributes": {"tier": "gold"}},
            "resource": {"schemaUrl": "https://r", "attributes": {"host.name": "h"}},
        });
        assert_eq!(line, expected);
    }

    #[test]
    fn a_record_without_a_time_has_the_observed_one_or_else_that_of_its_receipt() {
        let time =
            |record: LogRecord| line(&sample::origin("x"), &record, 3_000_000_000)["timestamp"].clone();
        let observed = LogRecord { observed_time_unix_nano: 2_000_000_000, ..LogRecord::default() };
        assert_eq!(time(observed), "1970-01-01T00:00:02Z");
        assert_eq!(time(LogRecord::default()), "1970-01-01T00:00:03Z");
    }

    #[test]
    fn a_level_comes_from_the_text_where_the_number_says_nothing() {
        let said = |severity_number, text: &str| {
            level(&LogRecord { severity_number, severity_text: text.into(), ..LogRecord::default() })
        };
        for (text, expected) in [
            ("ERROR", "error"),
            ("Warning", "warn"),
            ("CRITICAL", "fatal"),
            ("DEBUG3", "debug"),
            (" err ", "error"),
            ("Information", "info"),
            ("verbose", "trace"),
            ("", "info"),
            ("loud", "info"),
        ] {
            assert_eq!((said(0, text), said(99, text)), (expected, expected), "{text}");
        }
        assert_eq!(said(17, "INFO"), "error");
    }
}
