//! `12:34:56.789  INFO o11y_lab::queue: Order created orderId=3 traceId=…`

use std::fmt::Write;

use serde_json::Value;
use tracing::{Level, Metadata};

use super::Line;
use super::fields::{Fields, breaks_lines};

/// One line without its end, for a person at a terminal.
pub(super) fn line(line: &Line<'_>, event: &Metadata<'_>, fields: &Fields, colours: bool) -> Vec<u8> {
    let paint = |code: &'static str, text: &str| match colours {
        true => format!("\x1b[{code}m{text}\x1b[0m"),
        false => text.to_owned(),
    };
    let time = line.now.strftime("%H:%M:%S%.3f").to_string();
    let level = paint(colour(*event.level()), &format!("{:>5}", event.level().as_str()));
    let mut text = format!("{} {level} {}", paint("2", &time), paint("2", event.target()));
    let _ = write!(text, ": {}", shown(&fields.message));
    for (key, value) in &fields.values {
        let value = value.as_str().map_or_else(|| value.to_string(), |v| quoted(v, value));
        let _ = write!(text, " {}{value}", paint("2", &format!("{key}=")));
    }
    if let Some((trace, _)) = line.ids {
        let _ = write!(text, " {}{trace}", paint("2", "traceId="));
    }
    text.into_bytes()
}

fn colour(level: Level) -> &'static str {
    match level {
        Level::ERROR => "31",
        Level::WARN => "33",
        Level::INFO => "32",
        _ => "34",
    }
}

fn quoted(text: &str, value: &Value) -> String {
    let plain = !text.is_empty() && !text.contains([' ', '"', '=']);
    shown(&if plain { text.to_owned() } else { value.to_string() })
}

/// Escape sequences from a request must not reach the terminal.
fn shown(text: &str) -> String {
    let one = |c: char| if breaks_lines(c) { c.escape_default().collect() } else { String::from(c) };
    text.chars().map(one).collect()
}
