//! Text in a line: escaped and cut while it is formatted, whatever the value's size.

use std::fmt::{self, Write};

/// What stands at the end of a text that was cut.
const ELLIPSIS: char = '…';

/// Appends to `to` what a JSON string holds between its quotes, at most `room` bytes of it. Beyond what
/// JSON asks, nothing is left raw that a terminal or a viewer obeys. Returns the bytes it took.
pub(super) fn json(to: &mut String, text: fmt::Arguments<'_>, room: usize) -> usize {
    let before = to.len();
    let mut clip = Clip { to, left: room.saturating_sub(ELLIPSIS.len_utf8()), put: put_json };
    if clip.write_fmt(text).is_err() {
        to.push(ELLIPSIS);
    }
    to.len() - before
}

/// The same text with nothing escaped, cut where [`json`] would cut it.
pub(super) fn raw(text: fmt::Arguments<'_>, room: usize) -> String {
    let mut to = String::new();
    let mut clip = Clip { to: &mut to, left: room.saturating_sub(ELLIPSIS.len_utf8()), put: String::push };
    if clip.write_fmt(text).is_err() {
        to.push(ELLIPSIS);
    }
    to
}

struct Clip<'a> {
    to: &'a mut String,
    left: usize,
    /// Writes a character that is not plain.
    put: fn(&mut String, char),
}

impl Write for Clip<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while !rest.is_empty() {
            let plain = rest.bytes().position(|byte| !is_plain(byte)).unwrap_or(rest.len());
            let fits = plain.min(self.left);
            self.to.push_str(&rest[..fits]);
            self.left -= fits;
            if fits < plain {
                return Err(fmt::Error);
            }
            rest = &rest[plain..];
            if let Some(c) = rest.chars().next() {
                self.left = self.left.checked_sub(cost(c)).ok_or(fmt::Error)?;
                (self.put)(self.to, c);
                rest = &rest[c.len_utf8()..];
            }
        }
        Ok(())
    }
}

/// A byte that is a character by itself and needs no escape.
fn is_plain(byte: u8) -> bool {
    matches!(byte, 0x20..=0x7e) && byte != b'"' && byte != b'\\'
}

fn put_json(to: &mut String, c: char) {
    match c {
        '"' => to.push_str("\\\""),
        '\\' => to.push_str("\\\\"),
        '\n' => to.push_str("\\n"),
        '\r' => to.push_str("\\r"),
        '\t' => to.push_str("\\t"),
        c if breaks_lines(c) => {
            // It cannot fail: it writes into memory.
            let _ = write!(to, "\\u{:04x}", u32::from(c));
        }
        c => to.push(c),
    }
}

/// The most bytes a character takes in a line.
fn cost(c: char) -> usize {
    match c {
        '"' | '\\' => 2,
        c if breaks_lines(c) => 6,
        c => c.len_utf8(),
    }
}

/// Characters that a terminal or a log viewer obeys instead of showing: controls, and the
/// separators that some of them take for the end of a line.
fn breaks_lines(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn escaped(text: &str, room: usize) -> String {
        let mut to = String::from("before ");
        let taken = json(&mut to, format_args!("{text}"), room);
        assert!(taken <= room && to.len() == "before ".len() + taken);
        to.split_off("before ".len())
    }

    #[test]
    fn what_is_read_back_is_what_was_written_and_no_control_character_is_left() {
        for text in
            ["", "plain", "añ€\u{1f600}", "a\n\"b\\\r\t\u{8}\u{c}\u{0}\u{1b}[2J\u{7f}\u{85}\u{2028}\u{2029}"]
        {
            let line = format!("\"{}\"", escaped(text, 1000));
            assert!(!line.chars().any(breaks_lines), "{line:?}");
            assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
        }
    }

    #[test]
    fn a_text_is_cut_between_characters_and_marked() {
        assert_eq!(escaped("abcdef", 6), "abc…");
        assert_eq!(escaped("ab\n\n", 9), "ab…");
        assert_eq!(escaped("añoñ", 6), "añ…");
        assert_eq!(escaped("abc", 6), "abc");
        assert_eq!(raw(format_args!("ab\n\n"), 9), "ab…");
    }
}
