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
use serde_json::{Map, Value, json};

use crate::runtime::error::{TRACE_RESPONSE, trace_response};
use crate::schema::{KNOWN_METHODS, OTHER_METHOD};

/// An event, whatever it is.
#[derive(Clone, Copy)]
pub(super) struct Event<'a>(pub(super) &'a Value);

impl<'a> Event<'a> {
    fn text(self, pointer: &str) -> Option<&'a str> {
        self.0.pointer(pointer).and_then(Value::as_str)
    }

    fn is_v2(self) -> bool {
        self.text("/version") == Some("2.0")
    }

    /// `faas.trigger`.
    pub(super) fn trigger(self) -> &'static str {
        if self.method().is_some() { "http" } else { "other" }
    }

    /// The method of the HTTP request behind the event, as span names and labels know it.
    pub(super) fn method(self) -> Option<&'static str> {
        let pointer = if self.is_v2() { "/requestContext/http/method" } else { "/httpMethod" };
        let method = self.text(pointer)?;
        Some(KNOWN_METHODS.into_iter().find(|known| *known == method).unwrap_or(OTHER_METHOD))
    }

    /// The path that was asked for.
    pub(super) fn path(self) -> Option<&'a str> {
        self.text(if self.is_v2() { "/rawPath" } else { "/path" })
    }

    /// The route that matched; a function URL has none.
    pub(super) fn route(self) -> Option<&'a str> {
        match self.is_v2() {
            true => self.text("/routeKey")?.split_once(' ').map(|(_, route)| route),
            false => self.text("/resource"),
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
        let body = self.text("/body").ok_or("missing body")?;
        let decoded;
        let bytes = if self.0.get("isBase64Encoded") == Some(&json!(true)) {
            let engine = base64::engine::general_purpose::STANDARD;
            decoded = engine.decode(body).map_err(|_| "body is not valid base64")?;
            &decoded
        } else {
            body.as_bytes()
        };
        serde_json::from_slice(bytes).map_err(|_| "body is not valid JSON")
    }

    /// An answer in the form that whoever sent the event reads. Both formats know these four fields;
    /// a load balancer that sends lists of headers also wants lists back.
    pub(super) fn response(self, status: u16, body: &Value) -> Value {
        let mut headers = Map::from_iter([("content-type".to_owned(), json!("application/json"))]);
        let span = opentelemetry::Context::current().span().span_context().clone();
        let value = trace_response(&span);
        let value = value.as_ref().and_then(|value| value.to_str().ok());
        headers.extend(value.map(|value| (TRACE_RESPONSE.to_owned(), json!(value))));
        let mut response =
            json!({ "statusCode": status, "body": body.to_string(), "isBase64Encoded": false });
        if !self.is_v2() && self.0.get("multiValueHeaders").is_some_and(Value::is_object) {
            let lists = headers.iter().map(|(name, value)| (name.clone(), json!([value])));
            response["multiValueHeaders"] = Value::Object(lists.collect());
        }
        response["headers"] = Value::Object(headers);
        response
    }
}

#[cfg(test)]
mod tests {
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
            let event = Event(event);
            assert_eq!((event.trigger(), event.method(), event.path(), event.route()), expected);
        }
    }

    #[test]
    fn headers_are_found_in_any_case_and_in_lists() {
        let event = json!({"headers": {"TraceParent": "a", "tracestate": "last", "x": 1},
            "multiValueHeaders": {"TraceState": ["first", "last"], "y": "no list"}});
        let headers = Event(&event).headers();
        let expected = [("traceparent", "a"), ("tracestate", "first,last")];
        assert_eq!(headers, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        assert!(Event(&json!({"headers": null, "multiValueHeaders": []})).headers().is_empty());
    }

    #[test]
    fn an_event_without_a_readable_body_has_no_order() {
        for event in [json!(null), json!({}), json!({"body": null}), json!({"body": "{"}), json!({"body": 3})]
        {
            assert!(Event(&event).order().is_err(), "{event}");
        }
        let encoded = json!({"body": "not base64!", "isBase64Encoded": true});
        assert_eq!(Event(&encoded).order(), Err("body is not valid base64"));
        let encoded = json!({"body": "eyJ1c2VySWQiOjB9", "isBase64Encoded": true});
        assert_eq!(Event(&encoded).order(), Ok(json!({"userId": 0})));
    }

    #[test]
    fn who_sends_lists_of_headers_gets_lists_back() {
        let plain = Event(&json!({"headers": {}})).response(200, &json!({}));
        assert_eq!(
            (&plain["headers"]["content-type"], plain.get("multiValueHeaders")),
            (&json!("application/json"), None)
        );
        let lists = Event(&json!({"multiValueHeaders": {}})).response(400, &json!({}));
        assert_eq!(lists["multiValueHeaders"]["content-type"], json!(["application/json"]));
        assert_eq!((&lists["statusCode"], &lists["isBase64Encoded"]), (&json!(400), &json!(false)));
    }
}
