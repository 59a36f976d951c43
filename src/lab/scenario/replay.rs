//! `scenario replay`: sends a recorded incident to a receiver of OTLP, on today's clock or its own.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use actix_web::http::Method;
use anyhow::Context as _;
use serde_json::{Value, json};

use super::NotPassed;
use crate::config::{Invalid, ScenarioReplay};
use crate::lab::output::CommandOutput;
use crate::runtime::oneshot::OneShot;

const ANSWER_WITHIN: Duration = Duration::from_secs(10);
const LARGEST_ANSWER: usize = 1 << 20;
/// The files, and the path that takes each.
const FILES: [(&str, &str); 3] =
    [("traces.jsonl", "/v1/traces"), ("metrics.jsonl", "/v1/metrics"), ("logs.jsonl", "/v1/logs")];

/// Sends every message of the folder. A signal that the receiver has no path for, as a Jaeger for metrics, is left out.
///
/// # Errors
/// A file that cannot be read ([`Invalid`]); the receiver does not take a message, or no signal ([`NotPassed`], 3).
pub(super) async fn replay(config: &ScenarioReplay) -> anyhow::Result<()> {
    let files: Vec<_> = FILES
        .iter()
        .map(|(file, path)| Ok((*path, messages(&config.dir.join(file))?)))
        .collect::<Result<_, Invalid>>()?;
    let latest = files.iter().flat_map(|(_, messages)| messages).map(latest).max().unwrap_or_default();
    let now = u64::try_from(jiff::Timestamp::now().as_nanosecond()).context("the clock is before 1970")?;
    let by = if config.own_clock { 0 } else { now.saturating_sub(latest) };
    let http = OneShot::new(ANSWER_WITHIN, LARGEST_ANSWER);
    let (mut sent, mut left_out) = (0, Vec::new());
    for (path, messages) in files {
        let url = format!("{}{path}", config.to);
        for mut message in messages {
            shift(&mut message, by);
            if !taken(&http, &url, &message).await.map_err(NotPassed::untold)? {
                left_out.push(path);
                break;
            }
            sent += 1;
        }
    }
    if sent == 0 {
        return Err(NotPassed::untold(format!(
            "{} takes nothing of it: is it a receiver of OTLP?",
            config.to
        )));
    }
    let json = json!({"messages": sent, "shiftedBySeconds": by / 1_000_000_000, "leftOut": left_out});
    let mut text = format!("{sent} messages sent\n");
    for path in left_out {
        let _ = writeln!(text, "left out: the receiver has no {path}");
    }
    CommandOutput { text, json }.print(config.json)
}

/// Whether the receiver takes a message: it may have no such path.
async fn taken(http: &OneShot, url: &str, message: &Value) -> Result<bool, String> {
    let answer = http.send(Method::POST, url, &[], Some(message.to_string())).await;
    let answer = answer.map_err(|why| format!("{url}: {why}"))?;
    match answer.status.as_u16() {
        404 => Ok(false),
        _ if !answer.is_success() => Err(format!("{url} answers {}", answer.status)),
        _ => {
            let partial = &answer.json::<Value>().unwrap_or_default()["partialSuccess"];
            let refused =
                ["rejectedSpans", "rejectedDataPoints", "rejectedLogRecords"].into_iter().find(|key| {
                    !matches!(partial[key].as_str(), None | Some("0")) || partial[key].as_u64() > Some(0)
                });
            refused.map_or(Ok(true), |what| Err(format!("{url} refuses a part: {what}")))
        }
    }
}

fn messages(file: &Path) -> Result<Vec<Value>, Invalid> {
    let bad = |why: String| Invalid(format!("'{}': {why}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|why| bad(why.to_string()))?;
    text.lines().map(|line| serde_json::from_str(line).map_err(|why| bad(why.to_string()))).collect()
}

/// The latest time in a message.
fn latest(value: &Value) -> u64 {
    match value {
        Value::Object(fields) => {
            fields.iter().map(|(key, value)| time(key, value).unwrap_or_else(|| latest(value))).max()
        }
        Value::Array(all) => all.iter().map(latest).max(),
        _ => None,
    }
    .unwrap_or_default()
}

fn shift(value: &mut Value, by: u64) {
    match value {
        Value::Object(fields) => fields.iter_mut().for_each(|(key, value)| match time(key, value) {
            Some(own) => *value = json!(own.saturating_add(by).to_string()),
            None => shift(value, by),
        }),
        Value::Array(all) => all.iter_mut().for_each(|value| shift(value, by)),
        _ => {}
    }
}

/// A field that is a time: nanoseconds since 1970, as a text.
fn time(key: &str, value: &Value) -> Option<u64> {
    value.as_str().filter(|_| key.ends_with("TimeUnixNano") || key == "timeUnixNano")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_of_a_message_moves_by_the_same_and_nothing_else_does() {
        let mut message = json!({"resourceSpans": [{"scopeSpans": [{"spans": [{
            "startTimeUnixNano": "100", "endTimeUnixNano": "250", "name": "250",
            "events": [{"timeUnixNano": "200"}]}]}]}]});
        assert_eq!(latest(&message), 250);
        shift(&mut message, 50);
        let span = &message["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
        assert_eq!(
            (&span["startTimeUnixNano"], &span["endTimeUnixNano"], &span["name"]),
            (&json!("150"), &json!("300"), &json!("250"))
        );
        assert_eq!(span["events"][0]["timeUnixNano"], "250");
    }
}
