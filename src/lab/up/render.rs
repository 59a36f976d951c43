//! A service's JSON log line as a person reads it, safe to show on a terminal.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::{Map, Value};

/// Fields that have a place of their own in the line, or none because the prefix says it.
const PLACED: [&str; 6] = ["timestamp", "level", "message", "service", "traceId", "spanId"];
const RESET: &str = "\x1b[0m";
const DIM: &str = "\x1b[2m";
/// One colour for each child; red and yellow are left to the levels.
const PALETTE: [&str; 6] = ["\x1b[36m", "\x1b[32m", "\x1b[34m", "\x1b[35m", "\x1b[96m", "\x1b[94m"];

/// How lines look on one stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    /// Whether escape sequences are welcome.
    pub(super) colour: bool,
    /// The widest name, for the column of bars.
    pub(super) width: usize,
}

impl Style {
    /// `service | text`, the service in the `index`th colour.
    pub(super) fn prefixed(self, index: usize, name: &str, text: &str) -> String {
        let (on, off) = self.paint(PALETTE[index % PALETTE.len()]);
        format!("{on}{name:<width$} |{off} {text}", width = self.width)
    }

    /// `HH:MM:SS.mmm level message key=value … trace=abcd1234`; a line that is no JSON object is
    /// shown as it is. Control characters are escaped either way.
    pub(super) fn log_line(self, line: &str) -> String {
        match serde_json::from_str::<Map<String, Value>>(line) {
            Ok(fields) => self.fields(&fields),
            Err(_) => escaped(line).into_owned(),
        }
    }

    fn fields(self, fields: &Map<String, Value>) -> String {
        let text = |key: &str| fields.get(key).and_then(Value::as_str).unwrap_or_default();
        let level = text("level");
        let (on, off) = self.paint(match level {
            "error" => "\x1b[31m",
            "warn" => "\x1b[33m",
            _ => "",
        });
        let mut out = format!(
            "{} {on}{:<5}{off} {}",
            escaped(time_of_day(text("timestamp"))),
            escaped(level),
            escaped(text("message"))
        );
        let (dim, off) = self.paint(DIM);
        for (key, value) in fields.iter().filter(|(key, _)| !PLACED.contains(&key.as_str())) {
            let _ = write!(out, " {dim}{}={off}{}", escaped(key), shown(value));
        }
        let trace: String = text("traceId").chars().take(8).collect();
        if !trace.is_empty() {
            let _ = write!(out, " {dim}trace={}{off}", escaped(&trace));
        }
        out
    }

    fn paint(self, code: &'static str) -> (&'static str, &'static str) {
        if self.colour && !code.is_empty() { (code, RESET) } else { ("", "") }
    }
}

/// `12:34:56.789` out of `2026-01-31T12:34:56.789012Z`; whatever else is there, as it is.
fn time_of_day(timestamp: &str) -> &str {
    timestamp.split_once('T').and_then(|(_, time)| time.get(..12)).unwrap_or(timestamp)
}

/// A string bare where that is unambiguous, quoted where not; everything else as JSON.
fn shown(value: &Value) -> String {
    let bare = |s: &str| !s.is_empty() && !s.contains(|c: char| c.is_whitespace() || c == '"' || c == '=');
    match value {
        Value::String(s) if bare(s) => escaped(s).into_owned(),
        other => escaped(&other.to_string()).into_owned(),
    }
}

/// Text from outside with everything escaped that could move a cursor, end a line, recolour a
/// terminal or reorder what is read: nobody forges a line through a log field.
pub(in crate::lab) fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(dangerous) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if dangerous(c) { out.extend(c.escape_default()) } else { out.push(c) }
    }
    Cow::Owned(out)
}

fn dangerous(c: char) -> bool {
    c.is_control()
        // Line and paragraph separators, and the marks that change reading direction.
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{061c}')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Style = Style { colour: false, width: 5 };
    const COLOUR: Style = Style { colour: true, width: 5 };

    #[test]
    fn a_json_line_becomes_time_level_message_fields_and_a_short_trace_id() {
        let line = r#"{"timestamp":"2026-01-31T12:34:56.789012Z","level":"info","message":"Order created",
            "service":"order-service","traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"00f067aa0ba902b7",
            "orderId":3,"note":"two words","total":49.99}"#;
        let shown = PLAIN.log_line(line);
        let expected =
            r#"12:34:56.789 info  Order created orderId=3 note="two words" total=49.99 trace=4bf92f35"#;
        let words = |s: &str| {
            let mut words: Vec<_> = s.split(' ').map(str::to_owned).collect();
            words.sort();
            words
        };
        assert_eq!(words(&shown), words(expected));
        assert!(shown.starts_with("12:34:56.789 info  Order created ") && shown.ends_with(" trace=4bf92f35"));
    }

    #[test]
    fn a_line_that_is_not_json_is_shown_as_it_is_behind_its_prefix() {
        let text = PLAIN.log_line("thread 'main' panicked at src/x.rs:1");
        assert_eq!(PLAIN.prefixed(0, "user", &text), "user  | thread 'main' panicked at src/x.rs:1");
    }

    #[test]
    fn nothing_in_a_line_can_reach_the_terminal_as_a_control_sequence() {
        let evil = "\u{1b}[2J\r\n\u{9b}31m\u{202e}\u{2028}x";
        let json = serde_json::json!({
            "timestamp": evil, "level": evil, "message": evil, "traceId": evil, evil: evil, "nested": [evil],
        });
        for text in [json.to_string(), evil.to_owned(), format!("{{{evil}")] {
            let shown = PLAIN.log_line(&text);
            assert!(!shown.chars().any(dangerous), "{shown:?}");
            assert!(shown.contains(r"\u{1b}[2J") || shown.contains(r"\u001b[2J"), "{shown:?}");
        }
    }

    #[test]
    fn colour_is_there_only_where_it_is_welcome() {
        let line = r#"{"level":"error","message":"no"}"#;
        assert!(!PLAIN.prefixed(1, "user", &PLAIN.log_line(line)).contains('\u{1b}'));
        assert!(COLOUR.log_line(line).contains("\u{1b}[31merror"));
        assert!(COLOUR.prefixed(1, "user", "").starts_with(PALETTE[1]));
    }

    #[test]
    fn an_odd_timestamp_cannot_break_the_line() {
        for odd in ["2026-01-31T1é:34:56.789Z", "T", "", "12:00"] {
            let line = serde_json::json!({ "timestamp": odd, "message": "m" }).to_string();
            assert!(PLAIN.log_line(&line).ends_with(" m"));
        }
    }
}
