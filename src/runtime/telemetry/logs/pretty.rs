//! `12:34:56.789  INFO o11y_lab::queue: Order created orderId=3 traceId=…`

use tracing::Level;

use super::record::Record;
use super::{Line, clock};
use crate::terminal::{LogHead, LogText};

/// Appends one line without its end, for a person at a terminal.
pub(super) fn line(to: &mut String, line: &Line<'_>, record: &Record, colours: bool) {
    let mut time = String::new();
    clock::time_of_day(&mut time);
    let head = LogHead {
        time: &time,
        level: &format!("{:>5}", line.level.as_str()),
        level_colour: colour(line.level),
        target: Some(line.target),
        message: &record.message,
    };
    let mut text = LogText::new(&head, colours);
    for (key, value) in &record.values {
        text.field(key, value);
    }
    if let Some((trace, _)) = line.ids {
        text.pair("traceId", &trace.to_string());
    }
    to.push_str(&text.finish());
}

fn colour(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        _ => "\x1b[34m",
    }
}
