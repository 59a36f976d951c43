//! What the next run of the same workload would have otherwise: ids, times, ports, addresses, measurements.

use serde_json::{Value, json};

use super::values::type_of;
use crate::config::spec::fields::LONGEST_TEXT;
use crate::config::spec::{SpecPattern, SpecRule, SpecText, SpecValue};

/// Words in an attribute's key whose values belong to a run, a machine or a build, or are nobody else's business.
const VOLATILE_KEYS: [&str; 31] = [
    "id",
    "ids",
    "uuid",
    "guid",
    "port",
    "pid",
    "time",
    "timestamp",
    "date",
    "duration",
    "age",
    "address",
    "host",
    "path_info",
    "stacktrace",
    "thread",
    "lineno",
    "line",
    "process",
    "session",
    "password",
    "passwd",
    "secret",
    "token",
    "authorization",
    "auth",
    "cookie",
    "credential",
    "credentials",
    "apikey",
    "key",
];
/// The most values that are written as a choice.
const MOST_CHOICES: usize = 4;
/// Whole numbers from here on are counts of bytes, ports, process ids and the like.
const LARGE: i64 = 1_000;
/// Digits of a hexadecimal id, as short as they come.
const SHORTEST_ID: usize = 8;
/// Parts of a metric's name and units of which another run has other numbers.
const RUNTIME: [&str; 11] =
    ["process", "system", "runtime", "cpython", "jvm", "nodejs", "v8js", "go", "dotnet", "otel", "telemetry"];
/// So much of a text that is too long for a file is kept, in characters.
const START: usize = 100;

/// A name or text as the next run would have it: numbers and ids become patterns.
pub(super) fn text(found: &str) -> SpecText {
    let like = match pattern(found) {
        // A file has no empty texts.
        _ if found.is_empty() => Some(".{0}".to_owned()),
        like if like.as_deref().unwrap_or(found).len() > LONGEST_TEXT => Some(beginning(found)),
        like => like,
    };
    match like.map(SpecPattern::try_from) {
        Some(Ok(pattern)) => SpecText::Like { pattern },
        _ => SpecText::Exactly(found.to_owned()),
    }
}

/// The same as people read it, to call a row by: `GET /users/#`.
pub(super) fn readable(found: &str) -> String {
    if found.is_empty() {
        return "(no name)".to_owned();
    }
    let mut name: String =
        tokens(found).map(|token| if stands_for(token).is_some() { "#" } else { token }).collect();
    if let Some((end, _)) = name.char_indices().nth(START) {
        name.truncate(end);
        name.push('…');
    }
    name
}

/// A pattern of what begins like a text, up to the end of a word: what is cut off may be part of an id.
fn beginning(found: &str) -> String {
    let start: String = found.chars().take(START).collect();
    let start = start.trim_end_matches(|c: char| c.is_ascii_alphanumeric());
    let like = pattern(start).unwrap_or_else(|| regex_lite::escape(start));
    format!("{like}(?s:.+)")
}

/// A pattern, where a text holds something volatile.
fn pattern(found: &str) -> Option<String> {
    if !tokens(found).any(|token| stands_for(token).is_some()) {
        return None;
    }
    Some(tokens(found).map(|token| stands_for(token).unwrap_or_else(|| regex_lite::escape(token))).collect())
}

/// Runs of letters and digits, and what stands between them.
fn tokens(text: &str) -> impl Iterator<Item = &str> {
    let mut left = text;
    std::iter::from_fn(move || {
        let first = left.chars().next()?.is_ascii_alphanumeric();
        let end = left.find(|c: char| c.is_ascii_alphanumeric() != first).unwrap_or(left.len());
        let (token, rest) = left.split_at(end);
        left = rest;
        Some(token)
    })
}

/// What matches a token of another run, if it is volatile.
fn stands_for(token: &str) -> Option<String> {
    let digits = token.bytes().filter(u8::is_ascii_digit).count();
    if digits == 0 {
        return None;
    }
    if token.len() >= SHORTEST_ID && token.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Some("[0-9a-fA-F]+".to_owned());
    }
    // `12` and `12ms` are numbers; `v1` and `utf8` are names.
    let unit = token.trim_start_matches(|c: char| c.is_ascii_digit());
    (unit.len() < token.len()).then(|| format!("[0-9]+{}", regex_lite::escape(unit)))
}

fn is_volatile(key: &str, value: &Value) -> bool {
    let word = |word: &str| VOLATILE_KEYS.contains(&word.to_lowercase().as_str());
    if key.split(['.', '_', '-']).any(word) || key.ends_with("Id") || key.starts_with("code.") {
        return true;
    }
    match value {
        Value::String(text) => {
            text.len() > LONGEST_TEXT / 5 || text.contains('\n') || text.is_empty() || pattern(text).is_some()
        }
        Value::Number(number) => number.as_i64().is_none_or(|number| number.abs() >= LARGE),
        Value::Array(values) => values.iter().any(|value| is_volatile("", value)),
        Value::Bool(_) => false,
        Value::Null | Value::Object(_) => true,
    }
}

/// What to write of an attribute's values in all spans of a row.
pub(super) fn rule(key: &str, found: &[&Value]) -> SpecValue {
    let mut values: Vec<&Value> = Vec::new();
    for value in found {
        if !values.contains(value) {
            values.push(value);
        }
    }
    let stable = !values.iter().any(|value| is_volatile(key, value));
    if let ([one], true) = (values.as_slice(), stable) {
        return SpecValue::Exactly((*one).clone());
    }
    let kind = found.first().map_or("null", |value| type_of(value));
    let same = found.iter().all(|value| type_of(value) == kind);
    if stable && values.len() <= MOST_CHOICES && same {
        values.sort_by_key(|value| value.to_string());
        let one_of = values.into_iter().cloned().collect();
        return SpecValue::Rule(SpecRule { one_of, ..SpecRule::default() });
    }
    match same && !matches!(kind, "null" | "map") {
        true => SpecValue::Rule(SpecRule { kind: Some(kind.to_owned()), ..SpecRule::default() }),
        false => SpecValue::Rule(SpecRule { presence: Some("required".to_owned()), ..SpecRule::default() }),
    }
}

/// Whether the next run counts the same: not what a runtime tells of itself.
pub(super) fn counts_the_workload(metric: &str) -> bool {
    !metric.split(['.', '_']).any(|word| RUNTIME.contains(&word))
}

/// Whether what a counter of this unit adds up to is measured, and not counted.
pub(super) fn is_measured(unit: &str, grown: f64) -> bool {
    grown.fract() != 0.0
        || ["s", "ms", "us", "ns", "min", "h", "By", "KiBy", "MiBy", "kBy", "J", "W"].contains(&unit)
}

/// A whole number as YAML has it.
pub(super) fn whole(number: f64) -> serde_json::Number {
    #[allow(clippy::cast_possible_truncation, reason = "a count")]
    json!(number as i64).as_number().cloned().unwrap_or_else(|| 0.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_keys_that_sound_like_secrets_are_not_written_down() {
        for key in ["http.request.header.authorization", "user.password", "apiKey", "session_token"] {
            assert!(is_volatile(key, &json!("hunter2")), "{key}");
        }
        assert!(!is_volatile("order.status", &json!("open")));
    }

    #[test]
    fn numbers_and_ids_in_texts_become_patterns_and_names_stay() {
        for (found, pattern) in [
            ("GET /users/17", Some("GET /users/[0-9]+")),
            ("GET /v1/users", None),
            ("took 0.32ms (a+b)", Some("took [0-9]+\\.[0-9]+ms \\(a\\+b\\)")),
            ("order 01890f3e4b7c failed", Some("order [0-9a-fA-F]+ failed")),
            ("Order created", None),
            ("grüße 7", Some("grüße [0-9]+")),
        ] {
            assert_eq!(super::pattern(found).as_deref(), pattern, "{found}");
            assert!(text(found).matches(found), "{found}");
        }
        assert_eq!(readable("GET /users/17"), "GET /users/#");
    }

    #[test]
    fn a_text_that_is_empty_or_too_long_for_a_file_is_still_matched_by_what_is_written() {
        let long = format!("SELECT {}\n FROM t WHERE id = 7", "c, ".repeat(500));
        for found in ["", &long, &"x".repeat(1_001)] {
            let text = text(found);
            assert!(text.matches(found) && (1..=LONGEST_TEXT).contains(&text.as_str().len()), "{text:?}");
            assert!((1..=LONGEST_TEXT).contains(&readable(found).len()));
        }
        assert!(!text("").matches("a"));
        assert!(text(&long).matches(&long.replace("id = 7", "id = 8")) && !text(&long).matches("SELECT 1"));
    }

    #[test]
    fn values_stay_where_the_next_run_has_them_too_and_else_become_types_or_choices() {
        let written = |key: &str, found: &[Value]| {
            let found: Vec<_> = found.iter().collect();
            serde_json::to_value(rule(key, &found)).unwrap_or_default()
        };
        assert_eq!(written("http.route", &[json!("/cart"), json!("/cart")]), json!("/cart"));
        assert_eq!(written("http.status", &[json!(200), json!(404)]), json!({"one_of": [200, 404]}));
        assert_eq!(written("server.port", &[json!(80)]), json!({"type": "int"}));
        assert_eq!(written("user.id", &[json!("a")]), json!({"type": "string"}));
        assert_eq!(written("took", &[json!(0.5)]), json!({"type": "double"}));
        assert_eq!(written("size", &[json!(31_337)]), json!({"type": "int"}));
        assert_eq!(written("agent", &[json!("python 3.11")]), json!({"type": "string"}));
        assert_eq!(written("mixed", &[json!(1), json!("b")]), json!({"presence": "required"}));
        assert_eq!(written("list", &[json!(["a"])]), json!(["a"]));
        assert_eq!(written("flag", &[json!(true)]), json!(true));
    }
}
