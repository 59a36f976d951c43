//! Spans, resources and log lines against the rows of the registry.

use serde_json::Value;

use crate::lab::backend::log::LogLine;
use crate::lab::backend::trace::{Span, SpanAttributes};
use crate::schema::registry::{Attribute, EVENTS, LOG_FIELDS, RESOURCE, SPANS, SpanRow, Use, ValueType};

/// Fields of every log line, whoever writes it.
const LINE: [&str; 8] =
    ["timestamp", "level", "message", "service", "traceId", "spanId", "severityNumber", "scope"];
/// Beside them what the console puts the resource under.
const RESOURCE_FIELD: &str = "resource";

/// What a span has that its row has not, or has otherwise.
pub(in super::super) fn strange_span(span: &Span) -> Vec<String> {
    let text = |key: &str| span.attributes.get(key).and_then(Value::as_str);
    let kind = span.kind.as_str();
    let is = |row: &&SpanRow| {
        format!("{:?}", row.kind).eq_ignore_ascii_case(kind)
            && row.name_of(text).as_deref() == Some(&*span.name)
    };
    let Some(row) = SPANS.iter().find(is) else {
        return vec![format!("no row has a {kind} span {} with these attributes", span.name)];
    };
    let mut strange = strange_attributes(&span.name, &span.attributes, row.attributes);
    for event in &span.events {
        let known = EVENTS.iter().find(|one| one.name == event.name);
        match known.filter(|_| row.events.contains(&event.name.as_str())) {
            Some(known) => {
                let what = format!("event {} of {}", event.name, span.name);
                strange.extend(strange_attributes(&what, &event.attributes, known.attributes));
            }
            None => strange.push(format!("{} has an event {}", span.name, event.name)),
        }
    }
    strange
}

/// What is not as it should be of a resource. Others may be there: `OTEL_RESOURCE_ATTRIBUTES` and collectors add them.
pub(in super::super) fn strange_resource(resource: &SpanAttributes) -> Vec<String> {
    let known = |key: &&String| RESOURCE.iter().any(|one| one.key == **key);
    let own = resource.iter().filter(|(key, _)| known(key));
    let own: SpanAttributes = own.map(|(key, value)| (key.clone(), value.clone())).collect();
    let service = resource.get("service.name").and_then(Value::as_str).unwrap_or_default();
    strange_attributes(&format!("the resource of {service}"), &own, RESOURCE)
}

/// Each is in `row` with its type, and each that is always there is there.
fn strange_attributes(what: &str, attributes: &SpanAttributes, row: &[Use]) -> Vec<String> {
    let mut strange = Vec::new();
    // What Jaeger notes of a span itself stands among its attributes.
    for (key, value) in attributes.iter().filter(|(key, _)| !key.starts_with("@jaeger@")) {
        match Attribute::of(key).filter(|_| row.iter().any(|one| one.key == key)) {
            Some(known) if !fits(known, value) => strange.push(format!("{what}: {key} is {value}")),
            Some(_) => {}
            None => strange.push(format!("{what} has {key}, which is not in the registry")),
        }
    }
    let lacking = row.iter().filter(|one| one.when.is_none() && !attributes.contains_key(one.key));
    strange.extend(lacking.map(|one| format!("{what} lacks {}", one.key)));
    strange
}

/// What a line has that no line has, or has otherwise.
pub(in super::super) fn strange_line(line: &LogLine) -> Vec<String> {
    let message = line.text("message");
    let own = line.fields.iter().filter(|(key, _)| !LINE.contains(&key.as_str()) && *key != RESOURCE_FIELD);
    let strange = own.filter_map(|(key, value)| {
        let mut rows = LOG_FIELDS.iter().filter(|row| row.field == key || row.key == key).peekable();
        if rows.peek().is_none() {
            return Some(format!("\"{message}\" has {key}, which is not in the registry"));
        }
        let fits = rows.any(|row| Attribute::of(row.key).is_some_and(|known| fits(known, value)));
        (!fits).then(|| format!("\"{message}\": {key} is {value}"))
    });
    strange.collect()
}

/// Whether a value has the type of its attribute and, where those are all known, is one of its values.
pub(super) fn fits(attribute: &Attribute, value: &Value) -> bool {
    let closed = attribute.own.as_ref().filter(|own| own.closed);
    match attribute.value {
        ValueType::Text => {
            value.as_str().is_some_and(|text| closed.is_none_or(|own| own.values.contains(&text)))
        }
        ValueType::Integer => value.is_i64() || value.is_u64(),
        // JSON of other programs may write a whole one without a fraction.
        ValueType::Double => value.is_number(),
        ValueType::Boolean => value.is_boolean(),
        ValueType::Texts => value.as_array().is_some_and(|all| all.iter().all(Value::is_string)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::lab::backend::trace::Trace;

    fn span(attributes: &Value) -> Span {
        let pairs = attributes.as_object().into_iter().flatten();
        let pairs = pairs.map(|(key, value)| match value {
            Value::Number(number) => json!({"key": key, "value": {"intValue": number}}),
            value => json!({"key": key, "value": {"stringValue": value}}),
        });
        let span = json!({"name": "send email", "kind": 1, "attributes": pairs.collect::<Vec<_>>()});
        let export = json!({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]});
        Trace::from_otlp(&export).spans.remove(0)
    }

    #[test]
    fn a_span_has_the_attributes_of_its_row_with_their_types_and_values_and_no_others() {
        let kind = "o11y_lab.notification.type";
        assert_eq!(strange_span(&span(&json!({kind: "order_created"}))), [""; 0]);
        assert_eq!(
            strange_span(&span(&json!({kind: "order_created", "colour": "red"}))),
            ["send email has colour, which is not in the registry"]
        );
        assert_eq!(strange_span(&span(&json!({}))), ["send email lacks o11y_lab.notification.type"]);
        assert_eq!(strange_span(&span(&json!({kind: 5}))), ["send email: o11y_lab.notification.type is 5"]);
        assert_eq!(strange_span(&span(&json!({kind: "joke"}))).len(), 1);
        let mut other = span(&json!({kind: "order_created"}));
        other.name = "send letter".to_owned();
        assert_eq!(strange_span(&other), ["no row has a INTERNAL span send letter with these attributes"]);
    }

    #[test]
    fn a_line_has_fields_of_the_registry_in_either_spelling_and_a_name_with_two_types_may_have_both() {
        let line = |fields: Value| LogLine::parse(&fields.to_string()).unwrap_or_else(|| unreachable!());
        let known = json!({"message": "m", "status": 200, "http.route": "/", "route": "/", "orderId": 3});
        assert_eq!(strange_line(&line(known)), [""; 0]);
        assert_eq!(strange_line(&line(json!({"status": "completed"}))), [""; 0]);
        assert_eq!(strange_line(&line(json!({"message": "m", "orderId": "3"}))), ["\"m\": orderId is \"3\""]);
        assert_eq!(strange_line(&line(json!({"message": "m", "pet": 1}))).len(), 1);
    }
}
