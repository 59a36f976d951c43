//! `{"timestamp":…,"level":…,"message":…,"service":…,"traceId":…,"spanId":…, fields…}`

use std::io::{self, Write};

use serde::Serializer as _;
use serde::ser::SerializeMap;
use serde_json::ser::Formatter;
use tracing::Level;

use super::Line;
use super::fields::{Fields, breaks_lines};

/// One line without its end.
pub(super) fn line(line: &Line<'_>, level: Level, fields: &Fields) -> Vec<u8> {
    let mut text = Vec::with_capacity(256);
    // It cannot fail: it writes into memory.
    let _ = write(&mut text, line, level, fields);
    text
}

fn write(text: &mut Vec<u8>, line: &Line<'_>, level: Level, fields: &Fields) -> serde_json::Result<()> {
    let mut json = serde_json::Serializer::with_formatter(text, OneLine);
    let mut map = json.serialize_map(None)?;
    map.serialize_entry("timestamp", &format!("{:.3}", line.now))?;
    map.serialize_entry("level", name(level))?;
    map.serialize_entry("message", &fields.message)?;
    map.serialize_entry("service", line.service)?;
    if let Some((trace, span)) = line.ids {
        map.serialize_entry("traceId", &trace.to_string())?;
        map.serialize_entry("spanId", &span.to_string())?;
    }
    for (key, value) in &fields.values {
        map.serialize_entry(key, value)?;
    }
    map.end()
}

fn name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

/// Compact JSON that also escapes what JSON allows raw and a line must not hold.
struct OneLine;

impl Formatter for OneLine {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| breaks_lines(*c)) {
            write!(writer, "{}\\u{:04x}", &rest[..at], u32::from(c))?;
            rest = &rest[at + c.len_utf8()..];
        }
        writer.write_all(rest.as_bytes())
    }
}
