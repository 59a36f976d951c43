//! What a table of fields cannot say: rows that name each other, fields that exclude each other.

use serde_json::Value;

use super::check::Wrong;
use super::locate::PathStep;

type SpecRows<'a> = &'a [Value];

fn rows<'a>(object: &'a Value, key: &str) -> SpecRows<'a> {
    object[key].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn key(name: &str) -> PathStep {
    PathStep::Key(name.to_owned())
}

fn at(list: &str, row: usize, field: &str) -> Vec<PathStep> {
    vec![key(list), PathStep::Item(row), key(field)]
}

/// What other rows call a span's row, if it has a name that is one.
fn label(row: &Value) -> Option<&str> {
    row["id"].as_str().or_else(|| row["name"].as_str())
}

/// What is wrong with a file whose fields are right.
pub(super) fn check(spec: &Value) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    let spans = rows(spec, "spans");
    for (index, row) in spans.iter().enumerate() {
        for other in &spans[..index] {
            if row["id"].is_string() && label(other) == row["id"].as_str() {
                wrong.push((at("spans", index, "id"), "another row is called so".to_owned()));
            }
        }
        if row["root"] == true && !row["parent"].is_null() {
            wrong.push((at("spans", index, "parent"), "a root has no parent".to_owned()));
        }
        reference(spans, &row["parent"], at("spans", index, "parent"), &mut wrong);
        for (link, name) in rows(row, "links").iter().enumerate() {
            let mut place = at("spans", index, "links");
            place.push(PathStep::Item(link));
            reference(spans, name, place, &mut wrong);
        }
    }
    for (index, row) in rows(spec, "logs").iter().enumerate() {
        reference(spans, &row["span"], at("logs", index, "span"), &mut wrong);
        if row["body"].is_null() && row["event"].is_null() {
            wrong.push((
                vec![key("logs"), PathStep::Item(index)],
                "has neither `body` nor `event`".to_owned(),
            ));
        }
    }
    for (index, row) in rows(spec, "metrics").iter().enumerate() {
        for (number, series) in rows(row, "series").iter().enumerate() {
            let place = |field: &str| {
                [at("metrics", index, "series"), vec![PathStep::Item(number), key(field)]].concat()
            };
            measured(row, series, place, &mut wrong);
            forbidden(&series["attributes"], place("attributes"), &mut wrong);
        }
    }
    for list in ["spans", "metrics", "logs"] {
        for (index, row) in rows(spec, list).iter().enumerate() {
            if row["service"].is_null() && spec["service"].is_null() {
                let what = "has no `service`, and the file has none for all rows";
                wrong.push((vec![key(list), PathStep::Item(index)], what.to_owned()));
            }
            bounds(&row["count"], at(list, index, "count"), &mut wrong);
            for field in ["attributes", "resource"] {
                forbidden(&row[field], at(list, index, field), &mut wrong);
            }
        }
    }
    if ["spans", "metrics", "logs"].iter().all(|list| rows(spec, list).is_empty()) {
        wrong.push((Vec::new(), "names no span, no metric and no log line".to_owned()));
    }
    wrong
}

/// A row has to be called so, and one only.
fn reference(spans: SpecRows<'_>, name: &Value, place: Vec<PathStep>, wrong: &mut Vec<Wrong>) {
    let Some(name) = name.as_str() else { return };
    let called = spans.iter().filter(|row| label(row) == Some(name)).count();
    if called == 0 {
        let known: Vec<_> = spans.iter().filter_map(label).collect();
        let known = if known.is_empty() { "none has a name".to_owned() } else { known.join(", ") };
        wrong.push((place, format!("no row of `spans` is called '{name}': {known}")));
    } else if called > 1 {
        wrong.push((
            place,
            format!("{called} rows of `spans` are called '{name}': give the one that is meant an `id`"),
        ));
    }
}

/// The numbers of a series, as its metric's kind has them.
fn measured(metric: &Value, series: &Value, place: impl Fn(&str) -> Vec<PathStep>, wrong: &mut Vec<Wrong>) {
    for field in ["delta", "value"] {
        bounds(&series[field], place(field), wrong);
    }
    let kind = metric["kind"].as_str().unwrap_or_default();
    let has = |field: &str| !series[field].is_null();
    // A new process begins an up-down counter at 0, and that shows nowhere.
    if has("delta") && ["gauge", "up_down_counter"].contains(&kind) {
        wrong.push((place("delta"), format!("a {kind} is judged by its `value`")));
    }
    if has("value") && !["", "gauge", "up_down_counter"].contains(&kind) {
        wrong.push((place("value"), format!("a {kind} is judged by its `delta`")));
    }
    if has("value") && kind.is_empty() {
        wrong.push((
            place("value"),
            "only a gauge or an up_down_counter has one: say so in `kind`".to_owned(),
        ));
    }
}

/// What must not be there has no type and no value.
fn forbidden(values: &Value, place: Vec<PathStep>, wrong: &mut Vec<Wrong>) {
    for (name, rule) in values.as_object().into_iter().flatten() {
        let more = ["type", "one_of", "pattern"].into_iter().find(|field| !rule[*field].is_null());
        if let Some(field) = more.filter(|_| rule["presence"] == "forbidden") {
            let what = format!(
                "is forbidden, so it has no `{field}`; where it may be there, `presence` is optional"
            );
            wrong.push(([place.clone(), vec![key(name)]].concat(), what));
        }
    }
}

fn bounds(range: &Value, place: Vec<PathStep>, wrong: &mut Vec<Wrong>) {
    if let (Some(min), Some(max)) = (range["min"].as_f64(), range["max"].as_f64())
        && min > max
    {
        wrong.push((place, format!("has a min of {min} and a max of {max}")));
    }
}
