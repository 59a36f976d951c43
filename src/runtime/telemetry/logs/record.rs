//! An event's message and fields, bounded and formatted while they are visited.

use std::fmt::{self, Write};

use serde_json::Value;
use tracing::field::{Field, Visit};

use super::{Format, escape};

/// Keys that the line itself writes; a field of that name gets an underscore behind it.
const RESERVED: [&str; 6] = ["timestamp", "level", "message", "service", "traceId", "spanId"];
/// The room that a value takes which JSON writes bare.
const BARE: usize = 24;

/// What one event adds to its line. Kept for the next, for its memory.
#[derive(Default)]
pub(super) struct Record {
    /// Escaped for JSON; raw for a person.
    pub(super) message: String,
    /// For JSON, all fields as the line holds them, a comma before each.
    pub(super) fields: String,
    /// For a person, the fields.
    pub(super) values: Vec<(String, Value)>,
    keys: Vec<&'static str>,
    format: Format,
    room: usize,
    left: usize,
}

impl Record {
    /// Empties it; then at most `room` bytes for the message and `room` for the rest, counted as JSON
    /// needs them.
    pub(super) fn clear(&mut self, format: Format, room: usize) {
        self.message.clear();
        self.fields.clear();
        self.values.clear();
        self.keys.clear();
        // Keys, braces and the line's own fields need some of it.
        (self.format, self.room, self.left) = (format, room, room.saturating_sub(1024));
    }

    pub(super) fn message(&mut self, text: fmt::Arguments<'_>) {
        self.message.clear();
        match self.format {
            Format::Json => {
                escape::json(&mut self.message, text, self.room);
            }
            Format::Pretty { .. } => self.message = escape::raw(text, self.room),
        }
    }

    /// A value that JSON writes bare.
    pub(super) fn bare(&mut self, name: &'static str, value: impl fmt::Display + Into<Value>) {
        let Some(key) = self.begin(name, BARE) else { return };
        self.left -= BARE;
        match self.format {
            Format::Json => {
                // It cannot fail: it writes into memory.
                let _ = write!(self.fields, "{value}");
            }
            Format::Pretty { .. } => self.values.push((key, value.into())),
        }
    }

    fn text(&mut self, field: &Field, text: fmt::Arguments<'_>) {
        let name = field.name();
        if name == "message" {
            return self.message(text);
        }
        let room = self.left.saturating_sub(name.len() + 16);
        let Some(key) = self.begin(name, 0) else { return };
        let taken = match self.format {
            Format::Json => {
                self.fields.push('"');
                let taken = escape::json(&mut self.fields, text, room);
                self.fields.push('"');
                taken
            }
            Format::Pretty { .. } => {
                let text = escape::raw(text, room);
                let taken = text.len();
                self.values.push((key, text.into()));
                taken
            }
        };
        self.left = self.left.saturating_sub(taken);
    }

    /// The key, written already where the line is JSON and then empty here; `None` where it is there
    /// already or a value of `size` bytes has no room left.
    fn begin(&mut self, name: &'static str, size: usize) -> Option<String> {
        let key = without_raw_mark(name);
        let taken = key.len() + 9;
        if taken + size > self.left || self.keys.contains(&key) {
            return None;
        }
        self.left -= taken;
        self.keys.push(key);
        let underscore = if RESERVED.contains(&key) { "_" } else { "" };
        match self.format {
            Format::Json => {
                for part in [",\"", key, underscore, "\":"] {
                    self.fields.push_str(part);
                }
                Some(String::new())
            }
            Format::Pretty { .. } => Some(format!("{key}{underscore}")),
        }
    }
}

/// A field's name without the mark of a raw identifier.
pub(super) fn without_raw_mark(name: &'static str) -> &'static str {
    name.strip_prefix("r#").unwrap_or(name)
}

impl Visit for Record {
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
        self.bare(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.bare(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.bare(field.name(), value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        match serde_json::Number::from_f64(value) {
            Some(number) => self.bare(field.name(), Value::Number(number)),
            // JSON has no NaN and no infinity.
            None => self.text(field, format_args!("{value}")),
        }
    }
}
