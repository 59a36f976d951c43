//! `12:34:56.789  INFO o11y_lab::queue: Order created orderId=3 traceId=…`

use tracing::{Level, Metadata};

use super::Line;
use super::fields::Fields;
use crate::terminal::{LogHead, LogText};

/// One line without its end, for a person at a terminal.
pub(super) fn line(line: &Line<'_>, event: &Metadata<'_>, fields: &Fields, colours: bool) -> Vec<u8> {
    let head = LogHead {
        time: &line.now.strftime("%H:%M:%S%.3f").to_string(),
        level: &format!("{:>5}", event.level().as_str()),
        level_colour: colour(*event.level()),
        target: Some(event.target()),
        message: &fields.message,
    };
    let mut text = LogText::new(&head, colours);
    for (key, value) in &fields.values {
        text.field(key, value);
    }
    if let Some((trace, _)) = line.ids {
        text.pair("traceId", &trace.to_string());
    }
    text.finish().into_bytes()
}

fn colour(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        _ => "\x1b[34m",
    }
}
