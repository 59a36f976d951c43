//! Attributes against what a file says of them, and numbers against their bounds, in words.

use serde_json::Value;

use crate::config::spec::{SpecRange, SpecRule, SpecText, SpecValue, SpecValues, old_boolean};

/// What is wrong with attributes, one sentence for each.
pub(super) fn strange<'a>(rules: &SpecValues, found: impl Fn(&str) -> Option<&'a Value>) -> Vec<String> {
    rules.iter().filter_map(|(key, rule)| strange_value(key, rule, found(key))).collect()
}

fn strange_value(key: &str, rule: &SpecValue, found: Option<&Value>) -> Option<String> {
    let presence = match rule {
        SpecValue::Rule(SpecRule { presence: Some(presence), .. }) => presence.as_str(),
        _ => "required",
    };
    let value = match (found, presence) {
        (Some(value), "forbidden") => return Some(format!("has {key}, {value}")),
        (Some(value), _) => value,
        (None, "required") => return Some(format!("has no {key}")),
        (None, _) => return None,
    };
    let wanted = match rule {
        SpecValue::Exactly(wanted) => (value != wanted).then(|| plain(wanted, value)),
        SpecValue::Rule(rule) => other_than(rule, value),
    };
    wanted.map(|wanted| format!("{key} is {value} instead of {wanted}"))
}

/// A wanted value, in JSON; a word that YAML 1.1 took for a truth value is told as the text that it is in YAML 1.2.
fn plain(wanted: &Value, found: &Value) -> String {
    match wanted.as_str().and_then(old_boolean).filter(|_| found.is_boolean()) {
        Some(meant) => format!("the text {wanted} (write {meant})"),
        None => wanted.to_string(),
    }
}

/// What was wanted, where a value is something else.
fn other_than(rule: &SpecRule, value: &Value) -> Option<String> {
    if let Some(kind) = rule.kind.as_deref().filter(|kind| *kind != type_of(value)) {
        let article = if matches!(kind, "int" | "array") { "an" } else { "a" };
        return Some(format!("{article} {kind}"));
    }
    if !rule.one_of.is_empty() && !rule.one_of.contains(value) {
        let all: Vec<_> = rule.one_of.iter().map(Value::to_string).collect();
        return Some(format!("one of {}", all.join(", ")));
    }
    let pattern = rule.pattern.as_ref()?;
    let matches = value.as_str().is_some_and(|text| pattern.matches(text));
    (!matches).then(|| format!("a text like {}", pattern.as_str()))
}

/// The type of a value, as files spell it.
pub(super) fn type_of(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "string",
        Value::Bool(_) => "bool",
        Value::Array(_) => "array",
        Value::Number(number) if number.is_f64() => "double",
        Value::Number(_) => "int",
        Value::Object(_) => "map",
        Value::Null => "null",
    }
}

impl SpecRange {
    /// The least and the most.
    pub(super) fn bounds(&self) -> (f64, f64) {
        let number = |number: &serde_json::Number| number.as_f64().unwrap_or(f64::NAN);
        match self {
            Self::Exactly(one) => (number(one), number(one)),
            Self::Between { min, max } => {
                (min.as_ref().map_or(f64::NEG_INFINITY, number), max.as_ref().map_or(f64::INFINITY, number))
            }
        }
    }

    /// Whether a number is within; sums of fractions are told apart no finer than doubles allow.
    pub(super) fn holds(&self, number: f64) -> bool {
        let (min, max) = self.bounds();
        let slack = 1e-9 * number.abs().max(1.0);
        number >= min - slack && number <= max + slack
    }

    /// In words: `2`, `at least 2`, `2 to 3`.
    pub(super) fn words(&self) -> String {
        match (self, self.bounds()) {
            (Self::Exactly(one), _) => one.to_string(),
            (_, (min, max)) if max.is_infinite() => format!("at least {min}"),
            (_, (min, max)) if min.is_infinite() => format!("at most {max}"),
            (_, (min, max)) => format!("{min} to {max}"),
        }
    }
}

/// Whether a count is as a row has it: without one, one at least.
pub(super) fn holds(count: Option<&SpecRange>, found: usize) -> bool {
    #[allow(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
    count.map_or(found > 0, |range| range.holds(found as f64))
}

/// How many a row has to have.
pub(super) fn least(count: Option<&SpecRange>) -> f64 {
    count.map_or(1.0, |range| range.bounds().0.max(0.0))
}

/// A count in words.
pub(super) fn counted(count: Option<&SpecRange>) -> String {
    count.map_or_else(|| "at least 1".to_owned(), SpecRange::words)
}

/// The names of what arrived that are most like one that did not, for the report.
pub(super) fn alike<'a>(wanted: &SpecText, others: impl Iterator<Item = &'a str>) -> String {
    const SHOWN: usize = 3;
    let mut others: Vec<_> = others.collect();
    others.sort_unstable();
    others.dedup();
    others.sort_by(|a, b| strsim::jaro(wanted.as_str(), b).total_cmp(&strsim::jaro(wanted.as_str(), a)));
    let shown: Vec<_> = others.iter().take(SHOWN).map(|name| format!("'{name}'")).collect();
    match shown.as_slice() {
        [] => String::new(),
        shown => format!("; named by no row: {}", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(rule: Value, found: Value) -> String {
        let rules: SpecValues = serde_json::from_value(json!({"k": rule})).unwrap_or_default();
        strange(&rules, |key| found.get(key)).join("; ")
    }

    #[test]
    fn a_value_is_held_to_its_type_its_choice_its_pattern_and_its_presence() {
        assert_eq!(said(json!(200), json!({"k": 200})), "");
        assert_eq!(said(json!(200), json!({"k": "200"})), "k is \"200\" instead of 200");
        assert_eq!(said(json!(200), json!({"k": 200.0})), "k is 200.0 instead of 200");
        assert_eq!(
            said(json!("yes"), json!({"k": true})),
            "k is true instead of the text \"yes\" (write true)"
        );
        assert_eq!(said(json!({"type": "int"}), json!({"k": 1.5})), "k is 1.5 instead of an int");
        assert_eq!(said(json!({"type": "double"}), json!({"k": 1.5})), "");
        assert_eq!(
            said(json!({"one_of": ["a", 1]}), json!({"k": "b"})),
            "k is \"b\" instead of one of \"a\", 1"
        );
        assert_eq!(
            said(json!({"pattern": "a+"}), json!({"k": "aab"})),
            "k is \"aab\" instead of a text like a+"
        );
        assert_eq!(said(json!({"type": "int"}), json!({})), "has no k");
        assert_eq!(said(json!({"type": "int", "presence": "optional"}), json!({})), "");
        assert_eq!(
            said(json!({"type": "int", "presence": "optional"}), json!({"k": "a"})),
            "k is \"a\" instead of an int"
        );
        assert_eq!(said(json!({"presence": "forbidden"}), json!({"k": "a"})), "has k, \"a\"");
        assert_eq!(said(json!({"presence": "forbidden"}), json!({})), "");
    }

    #[test]
    fn a_range_holds_its_bounds_and_says_them() {
        let range =
            |value: Value| serde_json::from_value::<SpecRange>(value).unwrap_or(SpecRange::Exactly(0.into()));
        let said = |value: Value| range(value).words();
        assert_eq!(said(json!(2)), "2");
        assert_eq!(said(json!({"min": 2})), "at least 2");
        assert_eq!(said(json!({"max": 2})), "at most 2");
        assert_eq!(said(json!({"min": 1, "max": 2})), "1 to 2");
        assert!(range(json!(0.3)).holds(0.1 + 0.2) && !range(json!(0.3)).holds(0.31));
        assert!(holds(None, 1) && !holds(None, 0));
    }
}
