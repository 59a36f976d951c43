//! The forms in which an order gets here, and the answers they expect.
//!
//! - API Gateway's REST proxy event, payload format 1.0; also what the gateway role sends by Invoke,
//!   and what a load balancer sends.
//! - The event of an HTTP API and of a function URL, payload format 2.0.
//!
//! All carry the body as text, perhaps in base64. Anything else has no body and is answered as a bad
//! request. (API Gateway Developer Guide, "Lambda proxy integrations"; Lambda Developer Guide,
//! "Function URLs".)

use std::collections::BTreeMap;

use base64::Engine;
use opentelemetry::trace::TraceContextExt;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::runtime::error::{TRACE_RESPONSE, trace_response};
use crate::schema::{KNOWN_METHODS, OTHER_METHOD};

/// Event of an invocation, whatever sent it.
#[derive(Clone, Copy)]
pub(super) struct InvokeEvent<'a>(pub(super) &'a Value);

/// Answer to an event. Both formats know these four fields.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FunctionAnswer {
    status_code: u16,
    body: String,
    is_base64_encoded: bool,
    headers: BTreeMap<&'static str, String>,
    /// For a load balancer that sends lists of headers and wants lists back.
    #[serde(skip_serializing_if = "Option::is_none")]
    multi_value_headers: Option<BTreeMap<&'static str, [String; 1]>>,
}

impl<'a> InvokeEvent<'a> {
    fn text(self, name: &str) -> Option<&'a str> {
        self.0.get(name).and_then(Value::as_str)
    }

    fn is_v2(self) -> bool {
        self.text("version") == Some("2.0")
    }

    /// `faas.trigger`.
    pub(super) fn trigger(self) -> &'static str {
        if self.method().is_some() { "http" } else { "other" }
    }

    /// The method of the HTTP request behind the event, as span names and labels know it.
    pub(super) fn method(self) -> Option<&'static str> {
        let method = match self.is_v2() {
            true => self.0.pointer("/requestContext/http/method").and_then(Value::as_str)?,
            false => self.text("httpMethod")?,
        };
        Some(KNOWN_METHODS.into_iter().find(|known| *known == method).unwrap_or(OTHER_METHOD))
    }

    /// The path that was asked for.
    pub(super) fn path(self) -> Option<&'a str> {
        self.text(if self.is_v2() { "rawPath" } else { "path" })
    }

    /// The route that matched; a function URL has none.
    pub(super) fn route(self) -> Option<&'a str> {
        match self.is_v2() {
            true => self.text("routeKey")?.split_once(' ').map(|(_, route)| route),
            false => self.text("resource"),
        }
    }

    /// The request's headers, names in lower case, several of one name joined as HTTP joins them.
    pub(super) fn headers(self) -> BTreeMap<String, String> {
        let fields = |name| self.0.get(name).and_then(Value::as_object).into_iter().flat_map(Map::iter);
        let one =
            |(name, value): (&String, &Value)| Some((name.to_ascii_lowercase(), value.as_str()?.to_owned()));
        let all = |(name, values): (&String, &Value)| {
            let values: Vec<_> = values.as_array()?.iter().filter_map(Value::as_str).collect();
            Some((name.to_ascii_lowercase(), values.join(",")))
        };
        // Of a name that came twice `headers` has only the last one.
        fields("headers").filter_map(one).chain(fields("multiValueHeaders").filter_map(all)).collect()
    }

    /// The order in the body.
    ///
    /// # Errors
    /// What a caller reads about a body that is missing or cannot be read.
    pub(super) fn order(self) -> Result<Value, &'static str> {
        let body = self.text("body").ok_or("missing body")?;
        let decoded;
        let bytes = if self.0.get("isBase64Encoded").and_then(Value::as_bool) == Some(true) {
            let engine = base64::engine::general_purpose::STANDARD;
            decoded = engine.decode(body).map_err(|_| "body is not valid base64")?;
            &decoded
        } else {
            body.as_bytes()
        };
        serde_json::from_slice(bytes).map_err(|_| "body is not valid JSON")
    }

    /// An answer in the form that the sender of the event reads.
    pub(super) fn response(self, status: u16, body: String) -> FunctionAnswer {
        let mut headers = BTreeMap::from([("content-type", "application/json".to_owned())]);
        let span = opentelemetry::Context::current().span().span_context().clone();
        let trace = trace_response(&span);
        let trace = trace.as_ref().and_then(|value| value.to_str().ok());
        headers.extend(trace.map(|value| (TRACE_RESPONSE, value.to_owned())));
        let lists = !self.is_v2() && self.0.get("multiValueHeaders").is_some_and(Value::is_object);
        let listed = || headers.iter().map(|(name, value)| (*name, [value.clone()])).collect();
        FunctionAnswer {
            status_code: status,
            body,
            is_base64_encoded: false,
            multi_value_headers: lists.then(listed),
            headers,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_payload_formats_say_what_was_asked_for() {
        let v1 = json!({"httpMethod": "POST", "path": "/v/orders", "resource": "/{stage}/orders"});
        let v2 = json!({"version": "2.0", "routeKey": "POST /orders", "rawPath": "/orders",
            "requestContext": {"http": {"method": "BREW"}}});
        let url = json!({"version": "2.0", "routeKey": "$default", "rawPath": "/",
            "requestContext": {"http": {"method": "GET"}}});
        for (event, expected) in [
            (&v1, ("http", Some("POST"), Some("/v/orders"), Some("/{stage}/orders"))),
            (&v2, ("http", Some(OTHER_METHOD), Some("/orders"), Some("/orders"))),
            (&url, ("http", Some("GET"), Some("/"), None)),
            (&json!({"userId": 1}), ("other", None, None, None)),
            (&json!([1]), ("other", None, None, None)),
        ] {
            let event = InvokeEvent(event);
            assert_eq!((event.trigger(), event.method(), event.path(), event.route()), expected);
        }
    }

    #[test]
    fn headers_are_found_in_any_case_and_in_lists() {
        let event = json!({"headers": {"TraceParent": "a", "tracestate": "last", "x": 1},
            "multiValueHeaders": {"TraceState": ["first", "last"], "y": "no list"}});
        let headers = InvokeEvent(&event).headers();
        let expected = [("traceparent", "a"), ("tracestate", "first,last")];
        assert_eq!(headers, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        assert!(InvokeEvent(&json!({"headers": null, "multiValueHeaders": []})).headers().is_empty());
    }

    #[test]
    fn an_event_without_a_readable_body_has_no_order() {
        for event in [json!(null), json!({}), json!({"body": null}), json!({"body": "{"}), json!({"body": 3})]
        {
            assert!(InvokeEvent(&event).order().is_err(), "{event}");
        }
        let encoded = json!({"body": "not base64!", "isBase64Encoded": true});
        assert_eq!(InvokeEvent(&encoded).order(), Err("body is not valid base64"));
        let encoded = json!({"body": "eyJ1c2VySWQiOjB9", "isBase64Encoded": true});
        assert_eq!(InvokeEvent(&encoded).order(), Ok(json!({"userId": 0})));
    }

    #[test]
    fn who_sends_lists_of_headers_gets_lists_back() {
        let plain = json!(InvokeEvent(&json!({"headers": {}})).response(200, "{}".into()));
        assert_eq!(
            (&plain["headers"]["content-type"], plain.get("multiValueHeaders")),
            (&json!("application/json"), None)
        );
        let lists = json!(InvokeEvent(&json!({"multiValueHeaders": {}})).response(400, "{}".into()));
        assert_eq!(lists["multiValueHeaders"]["content-type"], json!(["application/json"]));
        assert_eq!((&lists["statusCode"], &lists["isBase64Encoded"]), (&json!(400), &json!(false)));
    }
}
