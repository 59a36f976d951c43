//! The fields of an event, bounded while they are formatted.

use std::fmt::{self, Write};

use serde_json::Value;
use tracing::Event;
use tracing::field::{Field, Visit};

/// Keys that the line itself writes; a field of that name gets an underscore behind it.
const RESERVED: [&str; 6] = ["timestamp", "level", "message", "service", "traceId", "spanId"];
/// What stands at the end of a text that was cut.
const ELLIPSIS: char = '…';

/// A message and named values that together stay within a number of bytes.
#[derive(Default)]
pub(super) struct Fields {
    pub(super) message: String,
    pub(super) values: Vec<(String, Value)>,
    room: usize,
    left: usize,
}

impl Fields {
    /// At most `room` bytes for the message and `room` for the rest, counted as JSON needs them.
    pub(super) fn of(event: &Event<'_>, room: usize) -> Self {
        // Keys, braces and the line's own fields need some of it.
        let mut fields = Self { room, left: room.saturating_sub(1024), ..Self::default() };
        event.record(&mut fields);
        fields
    }

    fn put(&mut self, field: &Field, value: Value) {
        let name = field.name().trim_start_matches("r#");
        let mut key = name.to_owned();
        if RESERVED.contains(&name) {
            key.push('_');
        }
        let size = key.len() + 8 + value.as_str().map_or(24, |text| text.chars().map(cost).sum());
        if size <= self.left && !self.values.iter().any(|(known, _)| *known == key) {
            self.left -= size;
            self.values.push((key, value));
        }
    }

    fn text(&mut self, field: &Field, text: fmt::Arguments<'_>) {
        if field.name() == "message" {
            self.message = clip(text, self.room);
        } else {
            let room = self.left.saturating_sub(field.name().len() + 16);
            self.put(field, Value::String(clip(text, room)));
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, format_args!("{value}"));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.text(field, format_args!("{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no NaN and no infinity.
        let number = serde_json::Number::from_f64(value).map(Value::Number);
        self.put(field, number.unwrap_or_else(|| Value::String(value.to_string())));
    }
}

/// Formats at most `room` bytes and stops there, whatever the value's size.
fn clip(text: fmt::Arguments<'_>, room: usize) -> String {
    let mut clip = Clip { text: String::new(), left: room.saturating_sub(ELLIPSIS.len_utf8()) };
    if clip.write_fmt(text).is_err() {
        clip.text.push(ELLIPSIS);
    }
    clip.text
}

struct Clip {
    text: String,
    left: usize,
}

impl Write for Clip {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            self.left = self.left.checked_sub(cost(c)).ok_or(fmt::Error)?;
            self.text.push(c);
        }
        Ok(())
    }
}

/// The bytes a character takes in a line.
fn cost(c: char) -> usize {
    match c {
        '"' | '\\' => 2,
        c if breaks_lines(c) => 6,
        c => c.len_utf8(),
    }
}

/// Characters that a terminal or a log viewer obeys instead of showing: controls, and the
/// separators that some of them take for the end of a line.
pub(super) fn breaks_lines(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}
