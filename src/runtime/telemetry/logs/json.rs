//! `{"timestamp":…,"level":…,"message":…,"service":…,"traceId":…,"spanId":…, fields…}`

use tracing::Level;

use super::record::Record;
use super::{Line, clock, escape};

/// Appends one line without its end.
pub(super) fn line(to: &mut String, line: &Line<'_>, record: &Record) {
    to.push_str("{\"timestamp\":\"");
    clock::date_and_time(to);
    to.push_str("\",\"level\":\"");
    to.push_str(name(line.level));
    to.push_str("\",\"message\":\"");
    to.push_str(&record.message);
    to.push_str("\",\"service\":\"");
    escape::json(to, format_args!("{}", line.service), usize::MAX);
    if let Some((trace, span)) = line.ids {
        to.push_str("\",\"traceId\":\"");
        hex(to, &trace.to_bytes());
        to.push_str("\",\"spanId\":\"");
        hex(to, &span.to_bytes());
    }
    to.push('"');
    to.push_str(&record.fields);
    to.push('}');
}

/// Appends the bytes as lower-case hexadecimal digits.
fn hex(to: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        to.push(char::from(DIGITS[usize::from(byte >> 4)]));
        to.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

/// The level's name in a line and in a log record.
pub(super) fn name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

/// The level's number in a log record (logs data model, "SeverityNumber").
pub(super) fn severity(level: Level) -> u64 {
    match level {
        Level::TRACE => 1,
        Level::DEBUG => 5,
        Level::INFO => 9,
        Level::WARN => 13,
        Level::ERROR => 17,
    }
}
