//! Depths and dead letters, for people and for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::queue::{DeadLetter, Depth};
use crate::terminal::escaped;

/// Characters of a reason that fit a line; `show` has all of it.
const SHORT_REASON: usize = 80;

/// One line with its header.
pub(super) fn depth(transport: &str, queue: &str, depth: Depth) -> String {
    let width = queue.len().max("QUEUE".len());
    let Depth { waiting, in_flight, dead } = depth;
    format!(
        "TRANSPORT  {:<width$}  WAITING  IN FLIGHT  DEAD\n\
         {transport:<9}  {queue:<width$}  {waiting:>7}  {in_flight:>9}  {dead:>4}\n",
        "QUEUE"
    )
}

/// One line for each letter.
pub(super) fn list(letters: &[DeadLetter]) -> String {
    if letters.is_empty() {
        return "no dead letters\n".to_owned();
    }
    let id = |letter: &DeadLetter| escaped(&letter.message.id).into_owned();
    let width = letters.iter().map(|l| id(l).chars().count()).max().unwrap_or(0);
    let mut text = format!("{:<width$}  {:<24}  ATTEMPTS  REASON\n", "ID", "DIED");
    for letter in letters {
        let reason: String = escaped(&letter.reason).chars().take(SHORT_REASON).collect();
        let (id, died) = (id(letter), time(letter.died_at_ms).unwrap_or_else(|| "-".to_owned()));
        let _ = writeln!(text, "{id:<width$}  {died:<24}  {:>8}  {reason}", letter.attempts);
    }
    text
}

/// Everything about one letter.
pub(super) fn show(letter: &DeadLetter) -> String {
    let message = &letter.message;
    let mut text = String::new();
    let died = time(letter.died_at_ms).unwrap_or_else(|| "-".to_owned());
    let attempts = letter.attempts.to_string();
    for (name, value) in [
        ("id", &message.id),
        ("key", &message.key),
        ("died", &died),
        ("attempts", &attempts),
        ("reason", &letter.reason),
    ] {
        let _ = writeln!(text, "{name:<9} {}", escaped(value));
    }
    text.push_str("headers\n");
    for (name, value) in &message.headers {
        let _ = writeln!(text, "  {}: {}", escaped(name), escaped(value));
    }
    let _ = writeln!(text, "body\n{}", body_text(&message.body));
    text
}

/// A letter as `--json` has it. `body` is the document, or its text where it is none.
pub(super) fn object(letter: &DeadLetter) -> Value {
    let message = &letter.message;
    json!({
        "id": message.id,
        "key": message.key,
        "reason": letter.reason,
        "attempts": letter.attempts,
        "diedAt": time(letter.died_at_ms),
        "headers": message.headers,
        "body": serde_json::from_slice(&message.body)
            .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&message.body))),
    })
}

fn body_text(body: &[u8]) -> String {
    match serde_json::from_slice::<Value>(body) {
        Ok(json) => format!("{json:#}"),
        Err(_) => escaped(&String::from_utf8_lossy(body)).into_owned(),
    }
}

fn time(ms: i64) -> Option<String> {
    jiff::Timestamp::from_millisecond(ms).ok().filter(|_| ms > 0).map(|at| format!("{at:.3}"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::queue::Message;

    fn letter(body: &str) -> DeadLetter {
        DeadLetter {
            message: Message {
                id: "m-1".to_owned(),
                key: "7".to_owned(),
                headers: BTreeMap::from([("traceparent".to_owned(), "00-a".to_owned())]),
                body: body.as_bytes().to_vec(),
            },
            reason: "bad\u{1b}[2J\nnews".to_owned(),
            attempts: 5,
            died_at_ms: 1_700_000_000_123,
        }
    }

    #[test]
    fn tables_align_and_no_message_can_write_to_the_terminal() {
        let text = depth("embedded", "q", Depth { waiting: 3, in_flight: 2, dead: 1 });
        assert_eq!(text.lines().nth(1), Some("embedded   q            3          2     1"));
        for text in [list(&[letter("{}")]), show(&letter("\u{1b}[2J"))] {
            assert!(!text.contains('\u{1b}') && text.contains("2023-11-14T22:13:20.123Z"), "{text}");
        }
        assert_eq!(list(&[]), "no dead letters\n");
    }

    #[test]
    fn a_body_is_a_document_in_json_and_text_where_it_is_none() {
        assert_eq!(object(&letter("{\"a\":1}"))["body"]["a"], 1);
        let poison = object(&letter("not json"));
        assert_eq!((poison["body"].as_str(), poison["attempts"].as_u64()), (Some("not json"), Some(5)));
        assert_eq!(object(&DeadLetter { died_at_ms: 0, ..letter("1") })["diedAt"], Value::Null);
    }
}
