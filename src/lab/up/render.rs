//! A service's JSON log line as a person reads it, safe to show on a terminal.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::otlp::is_export_line;
use crate::terminal::{LogHead, LogText, escaped, paint};

/// Fields that have a place of their own in the line, or none because the prefix says it.
const PLACED: [&str; 6] = ["timestamp", "level", "message", "service", "traceId", "spanId"];
/// One colour for each child; red and yellow are left to the levels.
const PALETTE: [&str; 6] = ["\x1b[36m", "\x1b[32m", "\x1b[34m", "\x1b[35m", "\x1b[96m", "\x1b[94m"];

/// How lines look on one stream.
#[derive(Clone, Copy, Debug)]
pub(in crate::lab) struct Style {
    /// Whether escape sequences are welcome.
    pub(in crate::lab) colour: bool,
    /// The widest name, for the column of bars.
    pub(in crate::lab) width: usize,
}

impl Style {
    /// `service | text`, the service in the `index`th colour.
    pub(in crate::lab) fn prefixed(self, index: usize, name: &str, text: &str) -> String {
        let (on, off) = paint(self.colour, PALETTE[index % PALETTE.len()]);
        format!("{on}{name:<width$} |{off} {text}", width = self.width)
    }

    /// `HH:MM:SS.mmm level message key=value … trace=abcd1234`, fields in the order of the line; a line
    /// that is no JSON object, or is an export, is shown as it is. Control characters are escaped either way.
    pub(in crate::lab) fn log_line(self, line: &str) -> String {
        match serde_json::from_str::<LineFields<'_>>(line) {
            // What a `console` exporter prints has no time or level of its own.
            Ok(fields) if !is_export_line(line) => self.fields(&fields),
            _ => escaped(line).into_owned(),
        }
    }

    fn fields(self, fields: &LineFields<'_>) -> String {
        let (level, timestamp) = (fields.text("level"), fields.text("timestamp"));
        let head = LogHead {
            time: time_of_day(&timestamp),
            level: &format!("{level:<5}"),
            level_colour: match &*level {
                "error" => "\x1b[31m",
                "warn" => "\x1b[33m",
                _ => "",
            },
            target: None,
            message: &fields.text("message"),
        };
        let mut line = LogText::new(&head, self.colour);
        for (key, value) in fields.0.iter().filter(|(key, _)| !PLACED.contains(&key.0.as_ref())) {
            match text(value) {
                Some(text) => line.text(&key.0, &text),
                None => line.pair(&key.0, value.get()),
            }
        }
        let trace = fields.text("traceId");
        if !trace.is_empty() {
            line.pair("trace", trace.get(..8).unwrap_or(&trace));
        }
        line.finish()
    }
}

/// The fields of a JSON object in their order, the values still JSON.
struct LineFields<'a>(Vec<(JsonKey<'a>, &'a RawValue)>);

/// A text that is copied only where JSON escapes a part of it.
#[derive(Deserialize)]
struct JsonKey<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> LineFields<'a> {
    /// A field's text, empty where it is none; the last of several of one name.
    fn text(&self, name: &str) -> Cow<'a, str> {
        let found = self.0.iter().rev().find(|(key, _)| key.0 == name);
        found.and_then(|(_, value)| text(value)).unwrap_or_default()
    }
}

fn text(value: &RawValue) -> Option<Cow<'_, str>> {
    serde_json::from_str::<JsonKey<'_>>(value.get()).ok().map(|text| text.0)
}

impl<'de> Deserialize<'de> for LineFields<'de> {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;
        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = LineFields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::with_capacity(8);
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(LineFields(fields))
            }
        }
        reader.deserialize_map(FieldsVisitor)
    }
}

/// `12:34:56.789` out of `2026-01-31T12:34:56.789012Z`; whatever else is there, as it is.
fn time_of_day(timestamp: &str) -> &str {
    timestamp.split_once('T').and_then(|(_, time)| time.get(..12)).unwrap_or(timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::is_unsafe;

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
    fn an_export_between_the_lines_is_shown_as_it_is() {
        let style = Style { colour: false, width: 4 };
        let export = r#"{"resourceSpans":[{"scopeSpans":[]}]}"#;
        assert_eq!(style.log_line(export), export);
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
            assert!(!shown.chars().any(is_unsafe), "{shown:?}");
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
