//! What the program's text says: what it would emit elsewhere, with another broker or in trouble.

use std::collections::BTreeSet;

use o11y_lab::schema::registry::{Attribute, LOG_FIELDS};

/// The text of each file of the roles, without its tests.
fn sources() -> Vec<String> {
    let mut files = Vec::new();
    crate::docs::walk(&crate::docs::root().join("src"), &mut files);
    // A command's warnings go to standard error only, and the console emits nothing of its own.
    let role = |path: &str| {
        let others = ["/tests", "_tests.rs", "/src/lab/", "/src/console/"];
        path.ends_with(".rs") && !others.iter().any(|other| path.contains(other))
    };
    let files = files.iter().filter(|file| role(&file.to_string_lossy()));
    let text = |file| std::fs::read_to_string(file).unwrap();
    files.map(|file| text(file).split("#[cfg(test)]").next().unwrap_or_default().to_owned()).collect()
}

/// The fields of the events that a source file logs from `info` upwards.
fn logged_fields(text: &str) -> BTreeSet<String> {
    let mut fields = BTreeSet::new();
    for start in ["info!(", "warn!(", "error!("].iter().flat_map(|call| text.match_indices(call)) {
        let before = text[..start.0].chars().last();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            continue;
        }
        for argument in arguments(&text[start.0 + start.1.len()..]) {
            if argument.starts_with('"') || argument.starts_with("target:") {
                continue;
            }
            let name = argument.split('=').next().unwrap_or_default().trim();
            fields.insert(name.trim_start_matches(['%', '?']).to_owned());
        }
    }
    fields
}

/// The arguments of a call, up to its message.
fn arguments(text: &str) -> Vec<String> {
    let (mut all, mut one, mut depth, mut quoted) = (Vec::new(), String::new(), 0, false);
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            '(' | '[' | '{' if !quoted => depth += 1,
            ')' | ']' | '}' if !quoted => depth -= 1,
            _ => {}
        }
        if depth < 0 || c == ',' && depth == 0 && !quoted {
            all.push(std::mem::take(&mut one).trim().to_owned());
            if depth < 0 || all.last().is_some_and(|last| last.starts_with('"')) {
                break;
            }
        } else {
            one.push(c);
        }
    }
    all
}

#[test]
fn every_field_that_this_program_logs_is_a_row_of_the_registry_and_every_row_is_logged() {
    let logged: BTreeSet<_> = sources().iter().flat_map(|text| logged_fields(text)).collect();
    let rows: BTreeSet<_> = LOG_FIELDS.iter().map(|row| row.field.to_owned()).collect();
    assert_eq!(logged, rows);
}

#[test]
fn every_attribute_that_the_program_names_by_its_key_is_a_row_of_the_registry() {
    let mut keys = BTreeSet::new();
    for text in sources() {
        let after = text.split("KeyValue::new(").skip(1).map(str::trim_start);
        let literals = after.filter_map(|rest| rest.strip_prefix('"')?.split('"').next());
        keys.extend(literals.map(str::to_owned));
    }
    let unknown: Vec<_> = keys.iter().filter(|key| Attribute::of(key).is_none()).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    assert!(keys.contains("messaging.kafka.offset"), "{keys:?}");
}
