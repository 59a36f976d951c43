//! An export as lines of JSON: one item each, within its resource and scope (OTLP file exporter specification).

use prost::encoding::{WireType, decode_key, decode_varint, encode_key, encode_varint};

use super::fields::MessageType;
use super::to_json;

/// The one field of an export, of a resource's part, and the place of the items in a scope's.
const GROUPS: u32 = 1;
const SCOPED: u32 = 2;
const ITEMS: u32 = 2;

/// What a line of an export begins with; no log line does.
const BEGINNINGS: [&str; 3] = [r#"{"resourceSpans":["#, r#"{"resourceLogs":["#, r#"{"resourceMetrics":["#];

/// Whether a line of JSON is an export and not something that was logged.
pub(crate) fn is_export_line(line: &str) -> bool {
    BEGINNINGS.iter().any(|beginning| line.starts_with(beginning))
}

/// Hands over each span, log record or metric of an export as an export of its own in JSON, without a line end;
/// `None` for what is no export of this type.
pub(super) fn each_item(export: &[u8], of: &'static MessageType, mut take: impl FnMut(String)) -> Option<()> {
    for (_, group) in fields(export)?.into_iter().filter(|(number, _)| *number == GROUPS) {
        let (scoped, rest_of_group) = part(group, SCOPED)?;
        for scoped in scoped {
            let (items, rest_of_scope) = part(scoped, ITEMS)?;
            for item in items {
                let scoped = [&rest_of_scope[..], &delimited(ITEMS, item)].concat();
                let group = [&rest_of_group[..], &delimited(SCOPED, &scoped)].concat();
                take(to_json::from_protobuf(&delimited(GROUPS, &group), of)?);
            }
        }
    }
    Some(())
}

/// The values of one field, and the message without it.
fn part(message: &[u8], number: u32) -> Option<(Vec<&[u8]>, Vec<u8>)> {
    let (mut values, mut rest) = (Vec::new(), Vec::new());
    for (found, value) in fields(message)? {
        if found == number {
            values.push(value);
        } else {
            rest.extend(delimited(found, value));
        }
    }
    Some((values, rest))
}

/// The fields of a message that has none but texts and messages, as all around the items have.
fn fields(mut message: &[u8]) -> Option<Vec<(u32, &[u8])>> {
    let mut found = Vec::new();
    while !message.is_empty() {
        let (number, WireType::LengthDelimited) = decode_key(&mut message).ok()? else { return None };
        let length = usize::try_from(decode_varint(&mut message).ok()?).ok()?;
        let (value, rest) = message.split_at_checked(length)?;
        message = rest;
        found.push((number, value));
    }
    Some(found)
}

fn delimited(number: u32, value: &[u8]) -> Vec<u8> {
    let mut field = Vec::with_capacity(value.len() + 8);
    encode_key(number, WireType::LengthDelimited, &mut field);
    encode_varint(value.len() as u64, &mut field);
    field.extend_from_slice(value);
    field
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::super::{export_lines, json_to_protobuf};
    use super::*;

    fn lines(signal: &str, export: &Value) -> Vec<Value> {
        let wire = json_to_protobuf(&export.to_string(), signal).unwrap();
        let mut lines = Vec::new();
        export_lines(&wire, signal, |line| {
            assert!(is_export_line(&line) && !line.contains('\n'), "{line}");
            lines.push(serde_json::from_str(&line).unwrap());
        })
        .unwrap();
        lines
    }

    #[test]
    fn each_item_is_a_line_with_its_own_resource_and_scope() {
        let resource =
            |name: &str| json!({"attributes": [{"key": "service.name", "value": {"stringValue": name}}]});
        let span =
            |name: &str| json!({"traceId": "0".repeat(31) + "1", "spanId": "0000000000000001", "name": name});
        let export = json!({"resourceSpans": [
            {"resource": resource("a"), "schemaUrl": "s", "scopeSpans": [
                {"scope": {"name": "x", "version": "1"}, "spans": [span("one\ntwo"), span("three")]},
                {"scope": {"name": "y"}, "spans": [span("four")]},
                {"scope": {"name": "empty"}},
            ]},
            {"scopeSpans": [{"spans": [span("five")]}]},
        ]});
        let found = lines("traces", &export);
        let names: Vec<_> = found
            .iter()
            .map(|line| {
                let group = &line["resourceSpans"][0];
                let scoped = &group["scopeSpans"][0];
                assert_eq!(scoped["spans"].as_array().unwrap().len(), 1);
                (
                    scoped["spans"][0]["name"].as_str().unwrap(),
                    scoped["scope"]["name"].as_str().unwrap_or_default(),
                    group["schemaUrl"].as_str().unwrap_or_default(),
                )
            })
            .collect();
        assert_eq!(
            names,
            [("one\ntwo", "x", "s"), ("three", "x", "s"), ("four", "y", "s"), ("five", "", "")]
        );
        assert_eq!(found[0]["resourceSpans"][0]["resource"], resource("a"));
    }

    #[test]
    fn the_other_signals_have_their_own_beginnings_and_a_log_line_has_none_of_them() {
        let record = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [{"severityNumber": 9}]}]}]});
        assert_eq!(lines("logs", &record), [record]);
        let metric = json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "m"}]}]}]});
        assert_eq!(lines("metrics", &metric), [metric]);
        assert!(!is_export_line(r#"{"timestamp":"2026-01-01T00:00:00Z","message":"{\"resourceSpans\":["}"#));
        assert_eq!(export_lines(b"\x08\x01", "traces", |_| {}), None);
    }
}
