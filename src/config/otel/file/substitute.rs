//! `${VARIABLE}` in the scalars of a configuration file (specification, "Environment variable substitution").

use std::collections::BTreeSet;

use serde_yaml_ng::Value;

/// Reads a variable of the environment.
pub(super) type SubstitutedVariables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Puts the variables' values in, and collects the names. An error is a reference that is malformed, with the path of
/// its place.
pub(super) fn substitute(
    value: &mut Value,
    path: &str,
    variables: SubstitutedVariables<'_>,
    names: &mut BTreeSet<String>,
) -> Result<(), String> {
    match value {
        Value::String(text) if text.contains('$') => {
            let replaced = scalar(text, variables, names).map_err(|reference| malformed(path, &reference))?;
            // What is left empty is null, as the same text without quotes would be.
            *value = if replaced.is_empty() { Value::Null } else { Value::String(replaced) };
            Ok(())
        }
        Value::Sequence(items) => items
            .iter_mut()
            .enumerate()
            .try_for_each(|(index, item)| substitute(item, &format!("{path}[{index}]"), variables, names)),
        Value::Mapping(map) => map.iter_mut().try_for_each(|(key, item)| {
            let key = key.as_str().unwrap_or("?");
            let dot = if path.is_empty() { "" } else { "." };
            substitute(item, &format!("{path}{dot}{key}"), variables, names)
        }),
        _ => Ok(()),
    }
}

fn malformed(path: &str, reference: &str) -> String {
    format!("{path} has a reference that is none to a variable: {reference}")
}

/// `$$` is a dollar sign, which begins no reference.
fn scalar(
    text: &str,
    variables: SubstitutedVariables<'_>,
    names: &mut BTreeSet<String>,
) -> Result<String, String> {
    let parts = text.split("$$").map(|part| references(part, variables, names));
    parts.collect::<Result<Vec<_>, _>>().map(|parts| parts.join("$"))
}

fn references(
    mut text: &str,
    variables: SubstitutedVariables<'_>,
    names: &mut BTreeSet<String>,
) -> Result<String, String> {
    let mut replaced = String::new();
    while let Some((before, rest)) = text.split_once("${") {
        replaced.push_str(before);
        let Some((content, after)) = rest.split_once('}').filter(|(content, _)| !content.is_empty()) else {
            replaced.push_str("${");
            text = rest;
            continue;
        };
        let (name, default) = reference(content).ok_or_else(|| format!("${{{content}}}"))?;
        names.insert(name.to_owned());
        let value = variables(name).filter(|value| !value.is_empty());
        replaced.push_str(&value.unwrap_or_else(|| default.to_owned()));
        text = after;
    }
    replaced.push_str(text);
    Ok(replaced)
}

/// A variable's name and what stands for it where it is not set.
fn reference(content: &str) -> Option<(&str, &str)> {
    let content = content.strip_prefix("env:").unwrap_or(content);
    let (name, default) = content.split_once(":-").unwrap_or((content, ""));
    let mut letters = name.bytes();
    let begins = letters.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    let goes_on = letters.all(|b| b.is_ascii_alphanumeric() || b == b'_');
    (begins && goes_on && !default.contains(['\n', '\r'])).then_some((name, default))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(text: &str) -> Result<Value, String> {
        let variables = |name: &str| {
            let value = match name {
                "STRING_VALUE" => "value",
                "INVALID_MAP_VALUE" => "value\nkey:value",
                "REPLACE_ME" => "${DO_NOT_REPLACE_ME}",
                "VALUE_WITH_ESCAPE" => "value$$",
                "FLOAT_VALUE" => "1.1",
                "EMPTY" => "",
                _ => return None,
            };
            Some(value.to_owned())
        };
        let mut value = Value::String(text.to_owned());
        substitute(&mut value, "key", &variables, &mut BTreeSet::new()).map(|()| value)
    }

    /// The table of the specification.
    #[test]
    fn references_are_replaced_once_from_left_to_right_and_escaped_by_a_second_dollar_sign() {
        for (text, expected) in [
            ("${STRING_VALUE}", "value"),
            ("${env:STRING_VALUE}", "value"),
            ("${INVALID_MAP_VALUE}", "value\nkey:value"),
            ("foo ${STRING_VALUE} ${FLOAT_VALUE}", "foo value 1.1"),
            ("${UNDEFINED_KEY:-fallback}", "fallback"),
            ("${EMPTY:-fallback}", "fallback"),
            ("${REPLACE_ME}", "${DO_NOT_REPLACE_ME}"),
            ("${UNDEFINED_KEY:-${STRING_VALUE}}", "${STRING_VALUE}"),
            ("$${STRING_VALUE}", "${STRING_VALUE}"),
            ("$$${STRING_VALUE}", "$value"),
            ("$$$${STRING_VALUE}", "$${STRING_VALUE}"),
            ("$${STRING_VALUE:-fallback}", "${STRING_VALUE:-fallback}"),
            ("$${STRING_VALUE:-${STRING_VALUE}}", "${STRING_VALUE:-value}"),
            ("${UNDEFINED_KEY:-$${UNDEFINED_KEY}}", "${UNDEFINED_KEY:-${UNDEFINED_KEY}}"),
            ("${VALUE_WITH_ESCAPE}", "value$$"),
            ("a $$ b", "a $ b"),
            ("a $ b", "a $ b"),
            ("${} ${", "${} ${"),
        ] {
            assert_eq!(replaced(text), Ok(Value::String(expected.to_owned())), "{text}");
        }
        assert_eq!(replaced("${UNDEFINED_KEY}"), Ok(Value::Null));
    }

    #[test]
    fn a_reference_that_is_none_to_a_variable_is_an_error_with_its_place() {
        for text in ["${STRING_VALUE:?error}", "${1API_KEY}", "${API_$KEY}", "a ${java:x} b"] {
            let said = replaced(text).err().unwrap_or_default();
            assert!(said.starts_with("key has a reference"), "{text}: {said}");
        }
    }
}
