//! A call: its name, a path whose parameters stay in their segments, its body.

use std::fmt::{Display, Write};

use actix_web::http::Method;
use actix_web::web::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// RFC 3986 unreserved characters stay; everything else in a segment is encoded, `/` above all.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// One call: its name, which is also the template of its path, and the parameters for that path.
#[derive(Clone, Debug)]
pub struct Call {
    /// The span's name: a method and a path with `{}` placeholders, as in `GET /users/{id}`.
    pub name: &'static str,
    /// What goes into the placeholders, in order; encoded here.
    pub params: Vec<String>,
    /// The query string, without `?`.
    pub query: Option<String>,
    /// The body, JSON as it stands.
    pub body: Option<Bytes>,
    /// Further header fields.
    pub headers: Vec<(&'static str, String)>,
    /// Whether sending it twice does no harm.
    pub idempotent: bool,
}

impl Call {
    /// A GET, named `GET` and its template.
    pub fn get(name: &'static str) -> Self {
        Self::new(name, None, true)
    }

    /// A call with a JSON body that must arrive at most once unless marked otherwise.
    pub fn send(name: &'static str, body: Bytes) -> Self {
        Self::new(name, Some(body), false)
    }

    fn new(name: &'static str, body: Option<Bytes>, idempotent: bool) -> Self {
        Self { name, params: Vec::new(), query: None, body, headers: Vec::new(), idempotent }
    }

    /// Fills the next placeholder.
    pub fn param(mut self, value: impl ToString) -> Self {
        self.params.push(value.to_string());
        self
    }

    pub(super) fn method(&self) -> Method {
        let method = self.name.split_once(' ').map_or(self.name, |(method, _)| method);
        Method::from_bytes(method.as_bytes()).unwrap_or_default()
    }

    /// `url.template`.
    pub(super) fn template(&self) -> &'static str {
        self.name.split_once(' ').map_or("/", |(_, template)| template)
    }

    /// The URL below `base`, which ends without `/`.
    pub(super) fn url(&self, base: &str) -> String {
        let query = self.query.as_deref();
        let mut url =
            String::with_capacity(base.len() + self.template().len() + 32 + query.map_or(0, str::len));
        url.push_str(base);
        let mut params = self.params.iter();
        for (number, segment) in self.template().split('/').enumerate() {
            if number > 0 {
                url.push('/');
            }
            match segment.starts_with('{').then(|| params.next()).flatten() {
                // Writing to a string cannot fail.
                Some(value) => drop(write!(url, "{}", encode(value))),
                None => url.push_str(segment),
            }
        }
        if let Some(query) = query {
            url.push('?');
            url.push_str(query);
        }
        url
    }
}

/// A value as one path segment. A dot segment would be resolved away on its way, so its dots are
/// encoded too.
pub fn encode(segment: &str) -> impl Display {
    let dots = segment == "." || segment == "..";
    utf8_percent_encode(segment, if dots { NON_ALPHANUMERIC } else { SEGMENT })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_cannot_leave_its_path_segment() {
        let url = |value: &str| Call::get("GET /users/{id}").param(value).url("http://h");
        assert_eq!(url("7"), "http://h/users/7");
        assert_eq!(url("../health"), "http://h/users/..%2Fhealth");
        assert_eq!(url(".."), "http://h/users/%2E%2E");
        assert_eq!(url("."), "http://h/users/%2E");
        assert_eq!(url("a?b#c%2f é"), "http://h/users/a%3Fb%23c%252f%20%C3%A9");
        let call = Call { query: Some("limit=1".into()), ..Call::get("GET /users") };
        assert_eq!((call.url("").as_str(), call.method()), ("/users?limit=1", Method::GET));
    }
}
