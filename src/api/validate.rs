//! The rules of an order, once: the Lambda answers with them and order-service guards with them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Cents;

/// More items than this is worth a warning.
const MANY_ITEMS: usize = 50;
/// The most items an order may have, and the longest one in characters: a bound on memory.
const MAX_ITEMS: usize = 1_000;
const MAX_ITEM_LENGTH: usize = 1_000;
/// A total above this many USD is worth a warning.
const HIGH_TOTAL: f64 = 10_000.0;

/// What the validator says of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// Whether `errors` is empty.
    pub valid: bool,
    /// Rules that are broken.
    pub errors: Vec<String>,
    /// Things that are allowed and unusual.
    pub warnings: Vec<String>,
    /// RFC 3339, UTC.
    pub timestamp: String,
    /// The Lambda invocation's id.
    pub request_id: String,
}

/// Judges an order.
pub fn verdict(order: &Value, request_id: &str) -> Verdict {
    let errors = errors(order);
    let valid = errors.is_empty();
    let warnings = warnings(order);
    Verdict { valid, errors, warnings, timestamp: super::now(), request_id: request_id.to_owned() }
}

/// The rules that `order` breaks; none means it is valid.
pub fn errors(order: &Value) -> Vec<String> {
    let mut errors = Vec::new();
    if order.get("userId").and_then(Value::as_i64).is_none_or(|id| id <= 0) {
        errors.push("userId must be a positive integer".to_owned());
    }
    match order.get("items").and_then(Value::as_array) {
        None => errors.push("items must be an array".to_owned()),
        Some(items) if items.is_empty() => errors.push("items must not be empty".to_owned()),
        Some(items) if items.len() > MAX_ITEMS => {
            errors.push(format!("items must not be more than {MAX_ITEMS}"));
        }
        Some(items) => {
            if !items.iter().all(is_item) {
                errors.push(format!(
                    "each item must be a non-empty string of at most {MAX_ITEM_LENGTH} characters"
                ));
            }
        }
    }
    errors.extend(total_error(order.get("total")).map(str::to_owned));
    errors
}

fn is_item(item: &Value) -> bool {
    item.as_str().is_some_and(|s| !s.trim().is_empty() && s.chars().count() <= MAX_ITEM_LENGTH)
}

fn total_error(total: Option<&Value>) -> Option<&'static str> {
    match total.and_then(Value::as_f64) {
        Some(n) if n.is_finite() && n >= 0.0 => match Cents::from_dollars(n) {
            Some(_) => None,
            None => Some("total must have at most two decimals and be at most 1000000000000"),
        },
        _ => Some("total must be a non-negative number"),
    }
}

fn warnings(order: &Value) -> Vec<String> {
    let mut warnings = Vec::new();
    if order.get("items").and_then(Value::as_array).is_some_and(|items| items.len() > MANY_ITEMS) {
        warnings.push(format!("order has more than {MANY_ITEMS} items"));
    }
    match order.get("total").and_then(Value::as_f64) {
        Some(0.0) => warnings.push("total is zero".to_owned()),
        Some(total) if total > HIGH_TOTAL => warnings.push("total is above 10,000".to_owned()),
        _ => {}
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_sound_order_has_no_errors_and_no_warnings() {
        let verdict = verdict(&json!({"userId": 1, "items": ["book"], "total": 49.99}), "r");
        assert!(verdict.valid && verdict.errors.is_empty() && verdict.warnings.is_empty());
    }

    #[test]
    fn each_broken_rule_is_named() {
        let sound = json!({"userId": 1, "items": ["book"], "total": 1});
        let cases = [
            ("userId", json!("../health"), "userId must be a positive integer"),
            ("userId", json!("1"), "userId must be a positive integer"),
            ("userId", json!(0), "userId must be a positive integer"),
            ("userId", json!(-3), "userId must be a positive integer"),
            ("userId", json!(1.5), "userId must be a positive integer"),
            ("items", json!("book"), "items must be an array"),
            ("items", json!([]), "items must not be empty"),
            ("items", json!([""]), "each item must be"),
            ("items", json!(["a", 1]), "each item must be"),
            ("items", json!(vec!["a"; 1001]), "items must not be more than"),
            ("total", json!(-5), "total must be a non-negative number"),
            ("total", json!("5"), "total must be a non-negative number"),
            ("total", json!(0.001), "total must have at most two decimals"),
            ("total", json!(1e13), "total must have at most two decimals"),
        ];
        for (field, value, expected) in cases {
            let mut order = sound.clone();
            order[field] = value.clone();
            let errors = errors(&order);
            assert_eq!(errors.len(), 1, "{field}={value}: {errors:?}");
            assert!(errors[0].starts_with(expected), "{field}={value}: {errors:?}");
        }
        for nothing in [json!(null), json!([]), json!("x"), json!({})] {
            assert_eq!(errors(&nothing).len(), 3, "{nothing}");
        }
    }

    #[test]
    fn unusual_orders_are_valid_with_a_warning() {
        for (items, total) in [(51, 1.0), (1, 0.0), (1, 10_000.01)] {
            let verdict = verdict(&json!({"userId": 1, "items": vec!["a"; items], "total": total}), "r");
            assert!(verdict.valid, "{verdict:?}");
            assert_eq!(verdict.warnings.len(), 1, "{verdict:?}");
        }
    }
}
