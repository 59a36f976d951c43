//! Asking a child whether it is ready.

use std::time::Duration;

use serde::Deserialize;

use super::render::escaped;

const ANSWER_WITHIN: Duration = Duration::from_secs(1);
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_BODY: usize = 64 * 1024;

/// What `/ready` said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Ready,
    /// Not yet, and why, fit for a terminal.
    NotYet(String),
}

/// Polls one child's `/ready`, quickly at first.
pub(super) struct Probe {
    client: awc::Client,
    url: String,
    pause: Duration,
}

impl Probe {
    /// `url` is what answers 200 once the child is ready.
    pub(super) fn new(url: String) -> Self {
        let client = awc::Client::builder().disable_redirects().timeout(ANSWER_WITHIN).finish();
        Self { client, url, pause: Duration::ZERO }
    }

    /// The next answer, after a pause that grows from 10 to 100 ms.
    pub(super) async fn next(&mut self) -> Answer {
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 3 / 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        match tokio::time::timeout(ANSWER_WITHIN, self.ask()).await {
            Ok(answer) => answer,
            Err(_) => Answer::NotYet("/ready does not answer".to_owned()),
        }
    }

    async fn ask(&self) -> Answer {
        // Without keep-alive: an idle connection of ours must not be what a drain waits for.
        let Ok(mut response) = self.client.get(&self.url).force_close().send().await else {
            return Answer::NotYet("nothing listens yet".to_owned());
        };
        if response.status().is_success() {
            return Answer::Ready;
        }
        let status = response.status().as_u16();
        let body = response.body().limit(LONGEST_BODY).await.unwrap_or_default();
        Answer::NotYet(why(&body).unwrap_or_else(|| format!("/ready answers {status}")))
    }
}

#[derive(Deserialize)]
struct Readiness {
    status: String,
    #[serde(default)]
    checks: Vec<Check>,
}

#[derive(Deserialize)]
struct Check {
    name: String,
    required: bool,
    ok: bool,
    reason: Option<String>,
}

/// The failed required checks of a readiness document, or its status where none failed.
fn why(body: &[u8]) -> Option<String> {
    let readiness: Readiness = serde_json::from_slice(body).ok()?;
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
