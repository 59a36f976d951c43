//! The parts of a file, and those that hold for all signals.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::draft::Draft;
use super::node::Node;
use super::providers::{logger_provider, meter_provider, tracer_provider};

/// The version of the schema that this follows.
const MAJOR: u32 = 1;
const MINOR: u32 = 1;

/// The levels of the schema; each but the first of a kind has a number behind it.
const LEVELS: [&str; 6] = ["trace", "debug", "info", "warn", "error", "fatal"];

pub(super) fn read(root: Node, draft: &mut Draft) -> Result<(), String> {
    let mut file = root.fields()?;
    version(&file.required("file_format")?, draft)?;
    if let Some(node) = file.take("disabled") {
        draft.set("OTEL_SDK_DISABLED", &node.path, node.truth()?.map(|truth| truth.to_string()));
    }
    file.take("log_level").map_or(Ok(()), |node| log_level(&node, draft))?;
    if let Some(node) = file.take("attribute_limits") {
        let mut limits = node.fields()?;
        draft.whole("OTEL_ATTRIBUTE_COUNT_LIMIT", limits.take("attribute_count_limit"), 0)?;
        draft.whole("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", limits.take("attribute_value_length_limit"), 0)?;
        limits.end()?;
    }
    file.take("resource").map_or(Ok(()), |node| resource(node, draft))?;
    propagator(file.take("propagator"), draft)?;
    match file.take("tracer_provider") {
        Some(node) => tracer_provider(node, draft)?,
        None => draft.set("OTEL_TRACES_EXPORTER", "tracer_provider", Some("none".to_owned())),
    }
    match file.take("logger_provider") {
        Some(node) => logger_provider(node, draft)?,
        None => draft.set("OTEL_LOGS_EXPORTER", "logger_provider", Some("none".to_owned())),
    }
    match file.take("meter_provider") {
        Some(node) => meter_provider(node, draft)?,
        None => draft.set("OTEL_METRICS_EXPORTER", "meter_provider", Some("none".to_owned())),
    }
    for path in file.rest() {
        draft.warnings.push(format!("OTEL_CONFIG_FILE: {path} has no effect here"));
    }
    Ok(())
}

fn version(node: &Node, draft: &mut Draft) -> Result<(), String> {
    let text = node.text()?.unwrap_or_default();
    let number = |text: &str| text.parse::<u32>().ok();
    let parts = text.split_once('.').and_then(|(major, minor)| Some((number(major)?, number(minor)?)));
    let Some((MAJOR, minor)) = parts else {
        return node.error(&format!("is not a version that is known here, such as \"{MAJOR}.{MINOR}\""));
    };
    if minor > MINOR {
        draft.warnings.push(format!(
            "OTEL_CONFIG_FILE: file_format is newer than {MAJOR}.{MINOR}, the version that is known here"
        ));
    }
    Ok(())
}

fn log_level(node: &Node, draft: &mut Draft) -> Result<(), String> {
    let level = node.text()?;
    let known =
        level.as_deref().is_none_or(|level| LEVELS.contains(&level.trim_end_matches(['2', '3', '4'])));
    if !known {
        return node.error(&format!("is none of {}, perhaps with 2, 3 or 4 behind it", LEVELS.join(", ")));
    }
    draft.set("OTEL_LOG_LEVEL", &node.path, level);
    Ok(())
}

/// `key=value` as the variables have it.
pub(super) fn pair(name: &str, value: &str) -> String {
    let encoded = |text| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    format!("{}={}", encoded(name), encoded(value))
}

/// Name and value of an entry; no value where that is null.
pub(super) fn entry(node: Node) -> Result<Option<(String, String)>, String> {
    let mut fields = node.fields()?;
    let (name, value) = (fields.required("name")?, fields.required("value")?);
    let kind = fields.take("type").map(|kind| kind.text().map(|text| (kind, text))).transpose()?;
    fields.end()?;
    if let Some((kind, Some(word))) = kind
        && word != "string"
    {
        return kind.error("is another type than string, the one that is supported here");
    }
    let Some(text) = name.text()? else { return name.error("is not a text") };
    Ok(value.text()?.map(|value| (text, value)))
}

fn resource(node: Node, draft: &mut Draft) -> Result<(), String> {
    const VARIABLE: &str = "OTEL_RESOURCE_ATTRIBUTES";
    // What its detectors find, a role says in any case.
    const FOUND: [&str; 4] = ["service", "host", "process", "container"];
    let mut fields = node.fields()?;
    // Of two values the later one counts.
    if let Some(list) = fields.take("attributes_list")
        && let Some(text) = list.text()?
    {
        draft.add(VARIABLE, &list.path, &text);
    }
    if let Some(attributes) = fields.take("attributes") {
        let path = attributes.path.clone();
        for attribute in attributes.items()? {
            // The specification's word for a name that nobody gave: then the role's own is one.
            let named = entry(attribute)?
                .filter(|(name, value)| name != "service.name" || value != "unknown_service");
            if let Some((name, value)) = named {
                draft.add(VARIABLE, &path, &pair(&name, &value));
            }
        }
    }
    if let Some(detection) = fields.take("detection/development") {
        let mut detection = detection.fields()?;
        for detector in detection.required("detectors")?.items()? {
            let (name, below) = detector.choice()?;
            if !FOUND.contains(&name.as_str()) {
                return below.error("is not supported here");
            }
            below.empty()?;
        }
        detection.end()?;
    }
    fields.end()
}

fn propagator(node: Option<Node>, draft: &mut Draft) -> Result<(), String> {
    const VARIABLE: &str = "OTEL_PROPAGATORS";
    let Some(node) = node else {
        draft.set(VARIABLE, "propagator", Some("none".to_owned()));
        return Ok(());
    };
    let path = node.path.clone();
    let mut fields = node.fields()?;
    if let Some(composite) = fields.take("composite") {
        for one in composite.items()? {
            let (name, below) = one.choice()?;
            draft.add(VARIABLE, &below.path, &name);
            below.empty()?;
        }
    }
    if let Some(list) = fields.take("composite_list")
        && let Some(names) = list.text()?
    {
        draft.add(VARIABLE, &list.path, &names);
    }
    if draft.get(VARIABLE).is_none() {
        draft.set(VARIABLE, &path, Some("none".to_owned()));
    }
    fields.end()
}
