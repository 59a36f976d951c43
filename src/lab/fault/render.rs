//! The fault table and what is active, for people and for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::schema::{Checked, FAULTS, Fault, Parameter, SECONDS};
use crate::terminal::escaped;

/// Every fault with its parameters and roles.
pub(super) fn table() -> String {
    let rows: Vec<_> = FAULTS.iter().map(|fault| (fault, parameters(fault), roles(fault))).collect();
    let widest = |lengths: &mut dyn Iterator<Item = usize>| lengths.max().unwrap_or_default();
    let name = widest(&mut rows.iter().map(|row| row.0.name.len()));
    let wide = widest(&mut rows.iter().map(|row| row.1.len()));
    let role = widest(&mut rows.iter().map(|row| row.2.len()));
    let mut text = format!("{:<name$}  {:<wide$}  {:<role$}  MEANING\n", "FAULT", "PARAMETERS", "ROLES");
    for (fault, parameters, roles) in rows {
        let _ =
            writeln!(text, "{:<name$}  {parameters:<wide$}  {roles:<role$}  {}", fault.name, fault.meaning);
    }
    text
}

/// Names with defaults, `seconds` included.
fn parameters(fault: &Fault) -> String {
    let all = fault.parameters.iter().chain([&SECONDS]);
    let all: Vec<_> = all
        .map(|parameter| match default(parameter) {
            Value::Null => format!("--{0} {1}", parameter.name, parameter.name.to_uppercase()),
            value => format!("--{} {value}", parameter.name),
        })
        .collect();
    all.join(" ")
}

fn roles(fault: &Fault) -> String {
    fault.roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(",")
}

fn default(parameter: &Parameter) -> Value {
    match parameter.values.default() {
        Some(Checked::Whole(n)) => json!(n),
        Some(Checked::Ratio(r)) => json!(r),
        Some(Checked::Route(route)) => json!(route),
        None => Value::Null,
    }
}

/// One line for each active fault, as a role tells it.
pub(super) fn active(all: &[Value]) -> String {
    if all.is_empty() {
        return "no fault is active\n".to_owned();
    }
    let text = |one: &Value, name: &str| escaped(one[name].as_str().unwrap_or("-")).into_owned();
    let wide = all.iter().map(|one| text(one, "role").chars().count()).max().unwrap_or_default().max(7);
    let mut lines = format!("{:<wide$}  {:<14}  LEFT      SETTINGS\n", "ROLE", "FAULT");
    for one in all {
        let left = format!("{} s", one["secondsLeft"].as_f64().unwrap_or_default());
        let settings = parameter_names().into_iter().filter(|name| !one[name].is_null());
        let settings: Vec<_> = settings.map(|name| format!("{name} {}", plain(&one[name]))).collect();
        let _ = writeln!(
            lines,
            "{:<wide$}  {:<14}  {left:<8}  {}",
            text(one, "role"),
            text(one, "fault"),
            settings.join(", ")
        );
    }
    lines
}

/// The names of all parameters, in the order of the table.
fn parameter_names() -> Vec<&'static str> {
    let mut names = Vec::new();
    for parameter in FAULTS.iter().flat_map(|fault| fault.parameters) {
        if !names.contains(&parameter.name) {
            names.push(parameter.name);
        }
    }
    names
}

fn plain(value: &Value) -> String {
    escaped(value.as_str().unwrap_or(&value.to_string())).into_owned()
}

/// The table as `--json` has it.
pub(super) fn objects() -> Vec<Value> {
    let parameter = |parameter: &Parameter| {
        json!({
            "name": parameter.name,
            "meaning": parameter.meaning,
            "values": parameter.values.range(),
            "default": default(parameter),
        })
    };
    let object = |fault: &Fault| {
        let parameters: Vec<_> = fault.parameters.iter().chain([&SECONDS]).map(parameter).collect();
        let roles: Vec<_> = fault.roles.iter().map(|role| role.as_str()).collect();
        json!({ "name": fault.name, "meaning": fault.meaning, "parameters": parameters, "roles": roles })
    };
    FAULTS.iter().map(object).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_every_fault_and_an_answer_cannot_write_to_the_terminal() {
        let text = table();
        assert_eq!(text.lines().count(), 1 + FAULTS.len(), "{text}");
        assert!(FAULTS.iter().all(|fault| text.contains(fault.name) && text.contains(fault.meaning)));
        let hostile =
            json!({"role": "x\u{1b}[2J", "fault": "error\n", "route": "/\u{1b}", "secondsLeft": 3.0});
        let text = active(&[hostile]);
        assert!(!text.contains('\u{1b}') && text.lines().count() == 2 && text.contains("3 s"), "{text}");
        assert_eq!(active(&[]), "no fault is active\n");
    }
}
