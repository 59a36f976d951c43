//! The provider of each signal.

use super::draft::Draft;
use super::exporters::{FileSignal, processors, readers};
use super::node::Node;

pub(super) fn tracer_provider(node: Node, draft: &mut Draft) -> Result<(), String> {
    let mut fields = node.fields()?;
    processors(FileSignal::TRACES, fields.required("processors")?, draft)?;
    if let Some(node) = fields.take("limits") {
        let mut limits = node.fields()?;
        for (key, variable) in [
            ("attribute_value_length_limit", "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT"),
            ("attribute_count_limit", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT"),
            ("event_count_limit", "OTEL_SPAN_EVENT_COUNT_LIMIT"),
            ("link_count_limit", "OTEL_SPAN_LINK_COUNT_LIMIT"),
            ("event_attribute_count_limit", "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT"),
            ("link_attribute_count_limit", "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT"),
        ] {
            draft.whole(variable, limits.take(key), 0)?;
        }
        limits.end()?;
    }
    if let Some(node) = fields.take("sampler") {
        sampler(node, draft)?;
    }
    if let Some(node) = fields.take("id_generator") {
        let (name, below) = node.choice()?;
        if name != "random" {
            return below.error("is not supported here");
        }
        below.empty()?;
    }
    fields.end()
}

fn sampler(node: Node, draft: &mut Draft) -> Result<(), String> {
    let (name, below) = node.choice()?;
    if name != "parent_based" {
        return root_sampler("", &name, below, draft);
    }
    let path = below.path.clone();
    let mut fields = below.fields()?;
    match fields.take("root").map(Node::choice).transpose()? {
        Some((name, below)) => root_sampler("parentbased_", &name, below, draft)?,
        None => draft.set("OTEL_TRACES_SAMPLER", &path, Some("parentbased_always_on".to_owned())),
    }
    for (key, default) in [
        ("remote_parent_sampled", "always_on"),
        ("remote_parent_not_sampled", "always_off"),
        ("local_parent_sampled", "always_on"),
        ("local_parent_not_sampled", "always_off"),
    ] {
        let Some((name, below)) = fields.take(key).map(Node::choice).transpose()? else { continue };
        if name != default {
            return below.error(&format!("is not supported here: a parent decides, {default} it is"));
        }
        below.empty()?;
    }
    fields.end()
}

fn root_sampler(prefix: &str, name: &str, below: Node, draft: &mut Draft) -> Result<(), String> {
    let path = below.path.clone();
    let word = match name {
        "always_on" | "always_off" => {
            below.empty()?;
            name
        }
        "trace_id_ratio_based" => {
            let mut fields = below.fields()?;
            let ratio = fields.take("ratio").map(|ratio| ratio.number()).transpose()?.flatten();
            let ratio = ratio.unwrap_or_else(|| "1".to_owned());
            draft.set("OTEL_TRACES_SAMPLER_ARG", &format!("{path}.ratio"), Some(ratio));
            fields.end()?;
            "traceidratio"
        }
        _ => return below.error("is not a sampler that is supported here"),
    };
    draft.set("OTEL_TRACES_SAMPLER", &path, Some(format!("{prefix}{word}")));
    Ok(())
}

pub(super) fn logger_provider(node: Node, draft: &mut Draft) -> Result<(), String> {
    let mut fields = node.fields()?;
    processors(FileSignal::LOGS, fields.required("processors")?, draft)?;
    if let Some(node) = fields.take("limits") {
        let mut limits = node.fields()?;
        let length = limits.take("attribute_value_length_limit");
        draft.whole("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", length, 0)?;
        draft.whole("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", limits.take("attribute_count_limit"), 0)?;
        limits.end()?;
    }
    fields.end()
}

pub(super) fn meter_provider(node: Node, draft: &mut Draft) -> Result<(), String> {
    let mut fields = node.fields()?;
    readers(fields.required("readers")?, draft)?;
    if let Some(node) = fields.take("exemplar_filter") {
        let filter = node.word(&["trace_based", "always_on", "always_off"])?;
        draft.set("OTEL_METRICS_EXEMPLAR_FILTER", &node.path, filter);
    }
    fields.end()
}
