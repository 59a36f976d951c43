//! Text for a terminal: what comes from outside is escaped, and a log line has one form, whether a
//! service writes it itself (`LOG_FORMAT=pretty`) or `up` shows it.

use std::borrow::Cow;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::IsTerminal;

use serde_json::Value;

use crate::config::{NO_COLOR_VARIABLE, TERM_VARIABLE};

const RESET: &str = "\x1b[0m";
const DIM: &str = "\x1b[2m";

/// Text from outside with everything escaped that could move a cursor, end a line, recolour a
/// terminal or reorder what is read: no log field forges a line.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_unsafe(c) { out.extend(c.escape_default()) } else { out.push(c) }
    }
    Cow::Owned(out)
}

/// Whether a terminal obeys the character instead of showing it.
pub(crate) fn is_unsafe(c: char) -> bool {
    c.is_control()
        // Line and paragraph separators, and the marks that change reading direction.
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{061c}')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The escape sequences around painted text, empty without colour.
pub(crate) fn paint(colour: bool, code: &'static str) -> (&'static str, &'static str) {
    if colour && !code.is_empty() { (code, RESET) } else { ("", "") }
}

/// Whether `stream` is a terminal that obeys escape sequences.
pub(crate) fn obeys_escapes(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && !is_dumb(std::env::var_os)
}

/// Whether text for `stream` may be coloured.
pub(crate) fn has_colour(stream: &impl IsTerminal) -> bool {
    obeys_escapes(stream) && !is_plain(std::env::var_os)
}

/// A shell inside an editor and many build systems have such a terminal.
fn is_dumb(variable: impl Fn(&'static str) -> Option<OsString>) -> bool {
    variable(TERM_VARIABLE).is_some_and(|value| value == "dumb")
}

fn is_plain(variable: impl Fn(&'static str) -> Option<OsString>) -> bool {
    variable(NO_COLOR_VARIABLE).is_some_and(|value| !value.is_empty())
}

/// The head of a log line; its fields follow.
pub(crate) struct LogHead<'a> {
    /// The time of day.
    pub(crate) time: &'a str,
    /// As it is to be shown, padded.
    pub(crate) level: &'a str,
    /// An escape sequence, or nothing for a level without a colour.
    pub(crate) level_colour: &'static str,
    /// The module that logs, where it is worth the room.
    pub(crate) target: Option<&'a str>,
    pub(crate) message: &'a str,
}

/// A log line as a person reads it: `time level [target:] message key=value …`.
pub(crate) struct LogText {
    text: String,
    colour: bool,
}

impl LogText {
    pub(crate) fn new(head: &LogHead<'_>, colour: bool) -> Self {
        let (dim, off) = paint(colour, DIM);
        let (on, level_off) = paint(colour, head.level_colour);
        let mut text = String::with_capacity(128);
        let _ = write!(text, "{dim}{}{off} {on}{}{level_off} ", escaped(head.time), escaped(head.level));
        if let Some(target) = head.target {
            let _ = write!(text, "{dim}{}{off}: ", escaped(target));
        }
        text.push_str(&escaped(head.message));
        Self { text, colour }
    }

    /// Adds a field: a text as [`LogText::text`] does, all else as JSON.
    pub(crate) fn field(&mut self, key: &str, value: &Value) {
        match value {
            Value::String(text) => self.text(key, text),
            other => self.pair(key, &other.to_string()),
        }
    }

    /// Adds a text: bare where that is unambiguous, quoted where not.
    pub(crate) fn text(&mut self, key: &str, text: &str) {
        let special = |c: char| c.is_whitespace() || c == '"' || c == '=';
        if text.is_empty() || text.contains(special) {
            self.pair(key, &Value::from(text).to_string());
        } else {
            self.pair(key, text);
        }
    }

    /// Adds a field whose value is shown as it is.
    pub(crate) fn pair(&mut self, key: &str, value: &str) {
        let (dim, off) = paint(self.colour, DIM);
        let _ = write!(self.text, " {dim}{}={off}{}", escaped(key), escaped(value));
    }

    /// The line, without its end.
    pub(crate) fn finish(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_of_both_sets_separators_and_direction_marks_are_escaped_and_text_is_not() {
        let evil = "\u{1b}\u{7}\r\n\u{7f}\u{85}\u{9b}\u{9d}\u{2028}\u{2029}\u{61c}\u{200e}\u{200f}\u{202e}\u{2066}\u{2069}";
        assert!(evil.chars().all(is_unsafe));
        let shown = escaped(evil);
        assert!(shown.is_ascii() && !shown.contains(char::is_control), "{shown}");
        assert_eq!(escaped("\u{1b}[2J"), "\\u{1b}[2J");
        assert!(matches!(escaped("Zürich, 東京 ✓"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_dumb_terminal_gets_no_escapes_and_one_with_no_color_no_colour() {
        let set = |name: &'static str, value: &'static str| {
            move |asked: &'static str| (asked == name).then(|| OsString::from(value))
        };
        assert!(is_dumb(set("TERM", "dumb")) && !is_dumb(set("TERM", "xterm")) && !is_dumb(|_| None));
        assert!(is_plain(set("NO_COLOR", "0")) && !is_plain(set("NO_COLOR", "")) && !is_plain(|_| None));
        assert!(!has_colour(&std::fs::File::open("/dev/null").expect("it is there")), "no terminal");
    }

    #[test]
    fn no_part_of_a_line_reaches_the_terminal_as_a_control_sequence() {
        let evil = "\u{9b}31m\u{202e}\n";
        let head = LogHead { time: evil, level: evil, level_colour: "", target: Some(evil), message: evil };
        let mut line = LogText::new(&head, false);
        line.field(evil, &Value::String(evil.into()));
        line.field("list", &serde_json::json!([evil]));
        line.pair("trace", evil);
        let line = line.finish();
        assert!(!line.contains(is_unsafe), "{line:?}");
        assert!(line.ends_with(r"trace=\u{9b}31m\u{202e}\n"), "{line:?}");
    }
}
