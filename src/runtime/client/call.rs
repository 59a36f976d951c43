//! What is called: names for spans, a path whose parameters stay in their segments.

use actix_web::http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

/// RFC 3986 unreserved characters stay; everything else in a segment is encoded, `/` above all.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// One call: a template for names, its parameters for the path.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// The method.
    pub method: Method,
    /// The path with `{}` placeholders, as in `/users/{id}`: span name and `url.template`.
    pub template: &'static str,
    /// What goes into the placeholders, in order; encoded here.
    pub params: Vec<String>,
    /// The query string, without `?`.
    pub query: Option<String>,
    /// The body, sent as JSON.
    pub body: Option<&'a Value>,
    /// Further header fields.
    pub headers: Vec<(&'static str, String)>,
    /// Whether sending it twice does no harm.
    pub idempotent: bool,
}

impl<'a> Call<'a> {
    /// A GET.
    pub fn get(template: &'static str) -> Self {
        Self::new(Method::GET, template, None, true)
    }

    /// A call with a JSON body that must arrive at most once unless marked otherwise.
    pub fn send(method: Method, template: &'static str, body: &'a Value) -> Self {
        Self::new(method, template, Some(body), false)
    }

    fn new(method: Method, template: &'static str, body: Option<&'a Value>, idempotent: bool) -> Self {
        Self { method, template, params: Vec::new(), query: None, body, headers: Vec::new(), idempotent }
    }

    /// Fills the next placeholder.
    pub fn param(mut self, value: impl ToString) -> Self {
        self.params.push(value.to_string());
        self
    }

    pub(super) fn path(&self) -> String {
        let mut params = self.params.iter();
        let segments = self.template.split('/').map(|segment| {
            let filled = segment.starts_with('{').then(|| params.next()).flatten();
            filled.map_or_else(|| segment.to_owned(), |value| encode(value))
        });
        let path = segments.collect::<Vec<_>>().join("/");
        match &self.query {
            Some(query) => format!("{path}?{query}"),
            None => path,
        }
    }
}

/// A dot segment would be resolved away on its way, so its dots are encoded too.
fn encode(segment: &str) -> String {
    match segment {
        "." => "%2E".to_owned(),
        ".." => "%2E%2E".to_owned(),
        _ => utf8_percent_encode(segment, SEGMENT).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_cannot_leave_its_path_segment() {
        let path = |value: &str| Call::get("/users/{id}").param(value).path();
        assert_eq!(path("7"), "/users/7");
        assert_eq!(path("../health"), "/users/..%2Fhealth");
        assert_eq!(path(".."), "/users/%2E%2E");
        assert_eq!(path("a?b#c%2f é"), "/users/a%3Fb%23c%252f%20%C3%A9");
    }
}
