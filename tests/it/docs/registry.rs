//! `telemetry/registry/` in the format of OpenTelemetry Weaver (semconv-syntax, version 1), and what
//! `docs/telemetry.md` says of it, made from `schema::registry`.

use o11y_lab::schema::OTLP_METRICS;
use o11y_lab::schema::registry::{
    ATTRIBUTES, Attribute, Definition, EVENTS, LOG_FIELDS, RESOURCE, SEMANTIC_CONVENTIONS, SPANS, SpanRow,
    Use, ValueType,
};
use serde_json::{Value, json};
use serde_yaml_ng::{Mapping, Value as Yaml};

use super::*;

const MADE: &str = "# Made from src/schema/registry by UPDATE_DOCS=1 cargo test --test it docs\n";

/// The keys of mappings in the order in which a reader wants them.
const ORDER: [&str; 23] = [
    "name",
    "description",
    "schema_url",
    "registry_path",
    "groups",
    "id",
    "ref",
    "type",
    "metric_name",
    "instrument",
    "unit",
    "span_kind",
    "stability",
    "members",
    "value",
    "brief",
    "note",
    "examples",
    "requirement_level",
    "conditionally_required",
    "events",
    "attributes",
    "dependencies",
];

fn ordered(value: &Value) -> Yaml {
    match value {
        Value::Object(map) => {
            let mut pairs: Vec<_> = map.iter().collect();
            pairs.sort_by_key(|(key, _)| ORDER.iter().position(|one| one == key).unwrap_or(ORDER.len()));
            pairs
                .into_iter()
                .map(|(key, value)| (Yaml::from(key.as_str()), ordered(value)))
                .collect::<Mapping>()
                .into()
        }
        Value::Array(list) => list.iter().map(ordered).collect::<Vec<_>>().into(),
        other => serde_yaml_ng::to_value(other).unwrap(),
    }
}

/// Holds a whole file against what is made, or writes it.
#[track_caller]
fn assert_file(file: &str, value: &Value) {
    let expected = format!("{MADE}{}", serde_yaml_ng::to_string(&ordered(value)).unwrap());
    let path = root().join(file);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, expected).unwrap();
        return;
    }
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let differs = text.lines().zip(expected.lines()).find(|(is, should)| is != should);
    assert!(text == expected, "{file}: {differs:?}: UPDATE_DOCS=1 cargo test --test it docs");
}

fn groups(file: &str, groups: Vec<Value>) {
    assert_file(&format!("telemetry/registry/{file}.yaml"), &json!({ "groups": groups }));
}

fn type_name(value: ValueType) -> &'static str {
    match value {
        ValueType::Text => "string",
        ValueType::Integer => "int",
        ValueType::Double => "double",
        ValueType::Boolean => "boolean",
        ValueType::Texts => "string[]",
    }
}

fn definition(attribute: &Attribute, own: &Definition) -> Value {
    let mut entry = json!({
        "id": attribute.key, "type": type_name(attribute.value), "stability": "development", "brief": own.brief,
    });
    if own.closed {
        let member = |value: &&str| json!({ "id": value, "value": value, "stability": "development" });
        entry["type"] = json!({ "members": own.values.iter().map(member).collect::<Vec<_>>() });
    } else if !own.values.is_empty() {
        entry["examples"] = json!(own.values);
    }
    entry
}

fn reference(one: &Use) -> Value {
    let level = one.when.map_or(json!("required"), |when| json!({ "conditionally_required": when }));
    json!({ "ref": one.key, "requirement_level": level })
}

fn references(uses: &[Use]) -> Vec<Value> {
    uses.iter().map(reference).collect()
}

#[test]
fn the_registry_names_the_conventions_that_it_refers_to() {
    let of = |version: &str| format!("https://opentelemetry.io/schemas/{version}");
    let path =
        format!("https://github.com/open-telemetry/semantic-conventions@v{SEMANTIC_CONVENTIONS}[model]");
    let manifest = json!({
        "name": "o11y_lab",
        "description": "What the roles of o11y-lab and its load generator emit.",
        "schema_url": format!("https://o11y-lab.example/schemas/{}", env!("CARGO_PKG_VERSION")),
        "stability": "development",
        "dependencies": [{ "schema_url": of(SEMANTIC_CONVENTIONS), "registry_path": path }],
    });
    assert_file("telemetry/registry/manifest.yaml", &manifest);
}

#[test]
fn the_registry_defines_every_attribute_of_our_own() {
    let own = ATTRIBUTES.iter().filter_map(|one| Some(definition(one, one.own.as_ref()?)));
    let group = json!({
        "id": "registry.o11y_lab", "type": "attribute_group", "brief": "Attributes that no convention has.",
        "attributes": own.collect::<Vec<_>>(),
    });
    groups("attributes", vec![group]);
}

#[test]
fn the_registry_has_every_span_with_its_events() {
    let span = |row: &SpanRow| {
        json!({
            "id": format!("span.o11y_lab.{}", row.id.trim_start_matches("o11y_lab.")), "type": "span",
            "stability": "development", "span_kind": kind(row), "brief": row.brief,
            "note": format!("Its name: `{}`", row.names.join("`, else `")),
            "events": row.events.iter().map(|name| event_id(name)).collect::<Vec<_>>(),
            "attributes": references(row.attributes),
        })
    };
    groups("spans", SPANS.iter().map(span).collect());
    let event = EVENTS.iter().map(|row| {
        json!({
            "id": event_id(row.name), "type": "event", "name": row.name, "stability": "development",
            "brief": row.brief, "attributes": references(row.attributes),
        })
    });
    groups("events", event.collect());
}

fn event_id(name: &str) -> String {
    format!("event.o11y_lab.{}", name.trim_start_matches("o11y_lab."))
}

fn kind(row: &SpanRow) -> String {
    format!("{:?}", row.kind).to_lowercase()
}

#[test]
fn the_registry_has_every_metric_as_it_is_exported() {
    let metric = OTLP_METRICS.iter().map(|row| {
        let whose = if row.is_convention() { "Of the semantic conventions." } else { "Our own." };
        let attributes: Vec<_> = metric_attributes(row).iter().map(reference).collect();
        json!({
            "id": format!("metric.{}", row.name), "type": "metric", "metric_name": row.name,
            "stability": "development", "instrument": instrument(row.kind), "unit": row.unit, "brief": row.help(),
            "note": format!("{whose} On `/metrics`: `{}`.", row.metric), "attributes": attributes,
        })
    });
    groups("metrics", metric.collect());
}

/// What makes such a metric, in the conventions' words.
pub fn instrument(kind: OtlpKind) -> &'static str {
    match kind {
        OtlpKind::Sum | OtlpKind::ObservedSum => "counter",
        OtlpKind::UpDownSum => "updowncounter",
        OtlpKind::Gauge => "gauge",
        OtlpKind::Histogram => "histogram",
    }
}

/// The attributes of a metric's series.
pub fn metric_attributes(row: &OtlpMetric) -> Vec<Use> {
    let always = |key| Use { key, when: None };
    let labels = row.labels().iter().filter_map(|label| row.key(label.key));
    let failed = row.errors.map(|_| Use { key: "error.type", when: Some("where it failed") });
    row.fixed.iter().map(|(key, _)| *key).chain(labels).map(always).chain(failed).collect()
}

#[test]
fn the_registry_has_every_attribute_of_resources_and_log_records() {
    let resource = json!({
        "id": "o11y_lab.resource", "type": "attribute_group", "brief": "Whose telemetry it is.",
        "attributes": references(RESOURCE),
    });
    let mut keys: Vec<_> = LOG_FIELDS.iter().map(|field| field.key).collect();
    keys.sort_unstable();
    let log = json!({
        "id": "o11y_lab.log", "type": "attribute_group", "brief": "Attributes of log records.",
        "attributes": keys.iter().map(|key| json!({ "ref": key })).collect::<Vec<_>>(),
    });
    groups("groups", vec![resource, log]);
}

#[test]
fn every_span_is_documented_with_name_kind_and_attributes() {
    let mut table = "| kind | name | what | attributes | events |\n|---|---|---|---|---|\n".to_owned();
    let code = |text: &str| format!("`{text}`");
    for row in SPANS {
        let of = |one: &Use| code(one.key) + &one.when.map(|when| format!(" ({when})")).unwrap_or_default();
        let names: Vec<_> = row.names.iter().map(|name| code(name)).collect();
        let attributes: Vec<_> = row.attributes.iter().map(of).collect();
        let events: Vec<_> = row.events.iter().map(|name| code(name)).collect();
        let cells = [
            kind(row),
            names.join(", else "),
            row.brief.to_owned(),
            attributes.join(", "),
            events.join(", "),
        ];
        table += &format!("| {} |\n", cells.join(" | "));
    }
    assert_block("docs/telemetry.md", "spans", &table);
}

#[test]
fn every_attribute_of_our_own_is_documented_with_its_type_and_meaning() {
    let mut table = "| attribute | type | meaning | values |\n|---|---|---|---|\n".to_owned();
    for (attribute, own) in ATTRIBUTES.iter().filter_map(|one| Some((one, one.own.as_ref()?))) {
        let values: Vec<_> = own.values.iter().map(|value| format!("`{value}`")).collect();
        let more = if own.closed || values.is_empty() { "" } else { ", …" };
        let (key, kind) = (attribute.key, type_name(attribute.value));
        table += &format!("| `{key}` | {kind} | {} | {}{more} |\n", own.brief, values.join(", "));
    }
    assert_block("docs/telemetry.md", "attributes", &table);
}

#[test]
fn the_fields_of_log_lines_that_have_another_key_in_records_are_documented() {
    let mut table = "| on the line | in the record |\n|---|---|\n".to_owned();
    for row in LOG_FIELDS.iter().filter(|row| row.field != row.key) {
        let kind = if row.field == "status" { ", a number" } else { "" };
        table += &format!("| `{}`{kind} | `{}` |\n", row.field, row.key);
    }
    assert_block("docs/telemetry.md", "log-fields", &table);
}
