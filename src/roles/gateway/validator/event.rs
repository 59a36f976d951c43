//! The event of an invocation: an API Gateway proxy event (payload format 1.0), as far as the
//! validator reads it.

use serde::{Serialize, Serializer};

use crate::runtime::propagation::fields_of_current_span;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProxyEvent<'a> {
    http_method: &'static str,
    path: &'static str,
    #[serde(serialize_with = "as_object")]
    headers: Vec<(String, String)>,
    body: &'a str,
    is_base64_encoded: bool,
}

fn as_object<S: Serializer>(headers: &[(String, String)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(headers.iter().map(|(name, value)| (name, value)))
}

/// The event for `order`, a JSON text; its headers carry the context of the current span.
pub(super) fn of(order: &[u8]) -> Vec<u8> {
    let mut headers = fields_of_current_span();
    headers.push(("content-type".to_owned(), "application/json".to_owned()));
    let event = ProxyEvent {
        http_method: "POST",
        path: "/api/orders/validate",
        headers,
        body: &String::from_utf8_lossy(order),
        is_base64_encoded: false,
    };
    // Text and flags have no form that JSON lacks; an empty event would be refused.
    serde_json::to_vec(&event).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_order_travels_as_the_text_it_came_as() {
        let order = "{\"items\": [\"a \\\"b\\\"\"],\n\"total\": 1.50, \"userId\": 1}";
        let event: Value = serde_json::from_slice(&of(order.as_bytes())).unwrap_or_default();
        assert_eq!((&event["body"], &event["isBase64Encoded"]), (&json!(order), &json!(false)));
        assert_eq!((&event["httpMethod"], &event["path"]), (&json!("POST"), &json!("/api/orders/validate")));
        assert_eq!(event["headers"]["content-type"], "application/json");
    }
}
