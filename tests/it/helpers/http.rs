//! An HTTP client for tests: one request, one answer, nothing hidden. Of another make than the
//! program's own, so that both sides of a connection are never wrong in the same way.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Header names in lower case.
    pub headers: BTreeMap<String, String>,
    pub text: String,
    /// The body, where it is JSON.
    pub json: Value,
}

impl Answer {
    /// The trace id of `traceresponse`.
    pub fn trace_id(&self) -> String {
        let value = self.headers.get("traceresponse").unwrap_or_else(|| panic!("no traceresponse: {self:?}"));
        value.split('-').nth(1).expect("a trace id").to_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(String::as_str).unwrap_or_default()
    }

    /// The row's id.
    pub fn id(&self) -> i64 {
        self.json["id"].as_i64().unwrap_or_else(|| panic!("no id: {self:?}"))
    }
}

fn client() -> &'static reqwest::blocking::Client {
    static CLIENT: OnceLock<reqwest::blocking::Client> = OnceLock::new();
    CLIENT.get_or_init(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
        reqwest::blocking::Client::builder()
            .timeout(Duration::from_secs(20))
            // A fresh connection each time: tests kill servers, and a dead one must not be reused.
            .pool_max_idle_per_host(0)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .expect("a client")
    })
}

/// Sends a request; `None` where no answer came.
pub fn try_send(method: &str, url: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Option<Answer> {
    let mut request = client().request(method.parse().expect("a method"), url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if let Some(body) = body {
        request = request.body(body.to_vec());
    }
    let response = request.send().ok()?;
    let status = response.status().as_u16();
    let headers = response
        .headers()
        .iter()
        .map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
        .collect();
    let text = response.text().ok()?;
    let json = serde_json::from_str(&text).unwrap_or_default();
    Some(Answer { status, headers, text, json })
}

/// Sends a request that must be answered.
#[track_caller]
pub fn send(method: &str, url: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Answer {
    try_send(method, url, headers, body).unwrap_or_else(|| panic!("no answer to {method} {url}"))
}

/// GET.
#[track_caller]
pub fn get(url: &str) -> Answer {
    send("GET", url, &[], None)
}

/// POST of JSON.
#[track_caller]
pub fn post(url: &str, body: &Value) -> Answer {
    send("POST", url, &[("content-type", "application/json")], Some(body.to_string().as_bytes()))
}

/// PATCH of JSON.
#[track_caller]
pub fn patch(url: &str, body: &Value) -> Answer {
    send("PATCH", url, &[("content-type", "application/json")], Some(body.to_string().as_bytes()))
}
