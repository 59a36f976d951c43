//! Asking a child whether it is ready.

use std::time::Duration;

use serde::Deserialize;

use crate::runtime::oneshot::{OneShot, OneShotError};
use crate::terminal::escaped;

const ANSWER_WITHIN: Duration = Duration::from_secs(1);
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_BODY: usize = 64 * 1024;

/// What `/ready` said.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::lab) enum ProbeAnswer {
    Ready,
    /// Not yet, and why, fit for a terminal.
    NotYet(String),
}

/// Polls one child's `/ready`, quickly at first.
pub(in crate::lab) struct Probe {
    http: OneShot,
    url: String,
    pause: Duration,
}

impl Probe {
    /// `url` is what answers 200 once the child is ready.
    pub(in crate::lab) fn new(url: String) -> Self {
        Self { http: OneShot::new(ANSWER_WITHIN, LONGEST_BODY), url, pause: Duration::ZERO }
    }

    /// The next answer, after a pause that grows from 10 to 100 ms.
    pub(in crate::lab) async fn next(&mut self) -> ProbeAnswer {
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 3 / 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        let answer = match self.http.get(&self.url).await {
            Ok(answer) => answer,
            Err(OneShotError::Timeout(_)) => return ProbeAnswer::NotYet("/ready does not answer".to_owned()),
            Err(_) => return ProbeAnswer::NotYet("nothing listens yet".to_owned()),
        };
        if answer.is_success() {
            return ProbeAnswer::Ready;
        }
        ProbeAnswer::NotYet(
            why(&answer.body).unwrap_or_else(|| format!("/ready answers {}", answer.status.as_u16())),
        )
    }
}

#[derive(Deserialize)]
struct ReadyDocument {
    status: String,
    #[serde(default)]
    checks: Vec<ReadyCheck>,
}

#[derive(Deserialize)]
struct ReadyCheck {
    name: String,
    required: bool,
    ok: bool,
    reason: Option<String>,
}

/// The failed required checks of a readiness document, or its status where none failed.
fn why(body: &[u8]) -> Option<String> {
    let readiness: ReadyDocument = serde_json::from_slice(body).ok()?;
    let failed = readiness.checks.iter().filter(|check| check.required && !check.ok);
    let reasons: Vec<_> = failed
        .map(|check| match &check.reason {
            Some(reason) => format!("{}: {reason}", check.name),
            None => check.name.clone(),
        })
        .collect();
    let text = if reasons.is_empty() { readiness.status } else { reasons.join("; ") };
    Some(escaped(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_what_the_required_checks_say() {
        let body = br#"{"status":"not ready","checks":[
            {"name":"store","required":true,"ok":false,"reason":"did not answer\nin time"},
            {"name":"user-service","required":false,"ok":false,"reason":"unreachable"},
            {"name":"queue","required":true,"ok":true}]}"#;
        assert_eq!(why(body).as_deref(), Some(r"store: did not answer\nin time"));
    }

    #[test]
    fn a_drain_is_told_by_its_status_and_an_unknown_body_by_nothing() {
        assert_eq!(why(br#"{"status":"draining","checks":[]}"#).as_deref(), Some("draining"));
        assert_eq!(why(b"<html>"), None);
    }
}
