//! Answers that actix-http makes by itself, below the application: to what it cannot read as a request,
//! and to a head that does not arrive. They have no body and nobody hears of them; here they get the form
//! that all errors have, and are counted and logged like other requests that match no route.

use std::time::Duration;

use actix_web::http::StatusCode;
use opentelemetry::trace::SpanContext;

use super::Surface;
use crate::runtime::error::{PROBLEM_JSON, Problem};

/// Such an answer, found where it is about to be written.
pub(super) struct BareAnswer {
    /// Where its head begins: what stands before is somebody's answer.
    pub(super) at: usize,
    status: StatusCode,
}

impl BareAnswer {
    /// The one at the end of `written`, if that is one: nothing follows it on its connection. None of the
    /// application's own answers with these statuses is empty.
    pub(super) fn find(written: &[u8]) -> Option<Self> {
        if !written.ends_with(b"\r\n\r\n") {
            return None;
        }
        let at = written.windows(7).rposition(|seven| seven == b"HTTP/1.")?;
        let head = std::str::from_utf8(&written[at..]).ok()?.to_ascii_lowercase();
        let status = StatusCode::from_bytes(head.get(9..12)?.as_bytes()).ok()?;
        let empty = head.lines().any(|line| line.trim_end() == "content-length: 0");
        (empty && detail(status).is_some()).then_some(Self { at, status })
    }

    /// A head that has not arrived in time, where nothing has been written of it.
    pub(super) fn to_late_head() -> Self {
        Self { at: 0, status: StatusCode::REQUEST_TIMEOUT }
    }

    /// What is written instead.
    pub(super) fn in_our_form(&self) -> Vec<u8> {
        let (code, title) = (self.status.as_u16(), self.status.canonical_reason().unwrap_or("Error"));
        let detail = detail(self.status).unwrap_or("the request could not be read");
        let body = Problem::new(self.status, detail).body(&SpanContext::NONE).to_string();
        format!(
            "HTTP/1.1 {code} {title}\r\ncontent-type: {PROBLEM_JSON}\r\ncontent-length: {}\r\n\
             connection: close\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    }

    /// Counts and logs it. To wait for a head is none of our work.
    pub(super) fn tell(&self, surface: &Surface) {
        let Some(row) = surface.routes.unreadable() else { return };
        row.observe(self.status, Duration::ZERO);
        (surface.on_answer)(None, self.status);
        let detail = detail(self.status);
        tracing::info!(
            method = row.method,
            route = row.path(),
            status = self.status.as_u16(),
            detail,
            "request refused unread"
        );
    }
}

/// What the client reads of each; `None` for what actix-http never answers by itself.
fn detail(status: StatusCode) -> Option<&'static str> {
    match status {
        StatusCode::BAD_REQUEST => Some("the request is not valid HTTP, or its target is longer than 64 kB"),
        StatusCode::REQUEST_TIMEOUT => Some("the request did not arrive in time"),
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => Some("the request's head is too long"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn only_an_empty_refusal_at_the_end_is_taken_for_one_of_the_servers_own() {
        let bare = "HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\n\
                    connection: close\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n";
        let before = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
        let found =
            |text: &str| BareAnswer::find(text.as_bytes()).map(|answer| (answer.at, answer.status.as_u16()));
        assert_eq!(found(bare), Some((0, 431)));
        assert_eq!(found(&format!("{before}{bare}")), Some((before.len(), 431)));
        assert_eq!(found(&format!("{bare}{before}")), None);
        assert_eq!(found(before), None);
        // Those of the application: an empty success, and the head that answers HEAD.
        assert_eq!(found("HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n"), None);
        assert_eq!(found("HTTP/1.1 400 Bad Request\r\ncontent-length: 77\r\n\r\n"), None);
        for junk in ["", "\r\n\r\n", "HTTP/1.\r\n\r\n", "HTTP/1.1 4\r\n\r\n"] {
            assert_eq!(found(junk), None, "{junk:?}");
        }
    }

    #[test]
    fn it_is_written_in_the_form_that_all_errors_have() {
        let text = String::from_utf8(BareAnswer::to_late_head().in_our_form()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{head}");
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{head}");
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!((&body["status"], &body["error"]), (&json!(408), &body["detail"]));
    }
}
