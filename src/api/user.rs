//! Users: the type, the rules.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The longest name, in characters.
pub const MAX_NAME: usize = 200;
/// The longest email address, in bytes (RFC 5321, section 4.5.3.1.3, less the angle brackets).
pub const MAX_EMAIL: usize = 254;

/// A stored user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// Positive, given by the store.
    pub id: i64,
    /// 1 to 200 characters.
    pub name: String,
    /// Unique among users, compared without regard to case.
    pub email: String,
    /// RFC 3339, UTC.
    pub created_at: String,
}

/// A user that keeps the rules and has no id yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NewUser {
    /// 1 to 200 characters, not only white space.
    pub name: String,
    /// A syntactically valid address.
    pub email: String,
}

impl NewUser {
    /// Reads and checks a request body; an error lists every rule that was broken.
    pub fn from_json(body: &Value) -> Result<Self, Vec<String>> {
        let Some(object) = body.as_object() else {
            return Err(vec!["body must be a JSON object".into()]);
        };
        let mut errors = Vec::new();
        let name = object.get("name").and_then(Value::as_str).map(str::trim).unwrap_or_default();
        if !(1..=MAX_NAME).contains(&name.chars().count()) || name.chars().any(char::is_control) {
            errors.push(format!("name must be a string of 1 to {MAX_NAME} printable characters"));
        }
        let email = object.get("email").and_then(Value::as_str).map(str::trim).unwrap_or_default();
        if !is_email(email) {
            errors.push("email must be a valid email address".into());
        }
        if errors.is_empty() {
            Ok(Self { name: name.to_owned(), email: email.to_owned() })
        } else {
            Err(errors)
        }
    }
}

/// The syntax the HTML standard asks of `<input type=email>`, with at least one dot in the domain.
fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else { return false };
    let local_ok = !local.is_empty()
        && local.len() <= 64
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
        && local.bytes().all(|b| b.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&b));
    let label_ok = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    text.len() <= MAX_EMAIL && local_ok && domain.contains('.') && domain.split('.').all(label_ok)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn email_syntax_is_checked() {
        for good in ["a@b.co", "first.last+tag@sub.example.com", "x_y@d-e.org"] {
            assert!(is_email(good), "{good}");
        }
        let long = format!("{}@example.com", "a".repeat(250));
        for bad in
            ["", "a", "@b.co", "a@", "a@b", "a@b..co", "a@-b.co", ".a@b.co", "a b@c.co", "a@b.co\n", &long]
        {
            assert!(!is_email(bad), "{bad}");
        }
    }

    #[test]
    fn every_broken_rule_of_a_user_is_listed() {
        assert_eq!(NewUser::from_json(&json!({})).map_err(|e| e.len()), Err(2));
        assert_eq!(NewUser::from_json(&json!([])).map_err(|e| e.len()), Err(1));
        let name = "ä".repeat(200);
        assert!(NewUser::from_json(&json!({"name": name, "email": "a@b.co"})).is_ok());
        let name = "ä".repeat(201);
        assert!(NewUser::from_json(&json!({"name": name, "email": "a@b.co"})).is_err());
        assert!(NewUser::from_json(&json!({"name": "a\nb", "email": "a@b.co"})).is_err());
    }
}
