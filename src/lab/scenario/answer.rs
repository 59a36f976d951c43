//! Answers: how they are read, and when one is right.

use serde::{Deserialize, Serialize};

use crate::schema::SERVICES;

/// The longest answer that is read, in bytes.
const LONGEST: usize = 200;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub enum AnswerKind {
    /// 32 hexadecimal digits; a link to a trace will do.
    TraceId,
    /// A `service.name`; the role's command will do.
    Service,
    /// A span's name.
    SpanName,
    /// A number, right within a share of the truth or so much, whichever is more.
    Number {
        /// What it counts, as people write it; empty for a mere number.
        unit: &'static str,
        /// Of the truth.
        share: f64,
        /// In the unit.
        slack: f64,
    },
    /// The value of an attribute or label, as it stands there.
    Value,
    /// One of a few words.
    Word(&'static [&'static str]),
}

/// An answer that was understood, or the truth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Answer {
    /// A number in the unit of its question.
    Number(f64),
    /// Anything else.
    Text(String),
}

impl Answer {
    /// Of a text.
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// Of a count.
    #[allow(clippy::cast_precision_loss, reason = "counts of some dozens")]
    pub(super) fn count(count: usize) -> Self {
        Self::Number(count as f64)
    }

    /// As it is shown.
    pub fn shown(&self) -> String {
        match self {
            Self::Number(number) if number.fract().abs() < 1e-9 => format!("{number:.0}"),
            Self::Number(number) => format!("{number:.2}"),
            Self::Text(text) => text.clone(),
        }
    }
}

impl AnswerKind {
    /// What is asked for, in words.
    pub fn words(self) -> String {
        match self {
            Self::TraceId => "a trace id".to_owned(),
            Self::Service => "a service".to_owned(),
            Self::SpanName => "a span's name".to_owned(),
            Self::Number { unit: "", .. } => "a number".to_owned(),
            Self::Number { unit, .. } => format!("a number, in {unit}"),
            Self::Value => "a value".to_owned(),
            Self::Word(words) => format!("one of: {}", words.join(", ")),
        }
    }

    /// Reads an answer; case, surrounding spaces and quotes do not matter.
    ///
    /// # Errors
    /// It cannot be an answer to this; in words.
    pub fn read(self, text: &str) -> Result<Answer, String> {
        let expected = || format!("expected {}", self.words());
        if text.len() > LONGEST {
            return Err(format!("{}, at most {LONGEST} bytes long", expected()));
        }
        let plain = plain(text);
        let read = match self {
            Self::TraceId => trace_id(&plain).map(Answer::Text),
            Self::Service => service(&plain).map(Answer::text),
            Self::Number { unit, .. } => number(&plain, unit).map(Answer::Number),
            Self::SpanName | Self::Value => Some(Answer::Text(plain)).filter(|_| !text.trim().is_empty()),
            Self::Word(words) => words.iter().find(|word| **word == plain).map(|word| Answer::text(*word)),
        };
        read.ok_or_else(expected)
    }

    /// Whether an answer is the truth.
    pub(super) fn is_right(self, given: &Answer, truth: &Answer) -> bool {
        match (self, given, truth) {
            (Self::Number { share, slack, .. }, Answer::Number(given), Answer::Number(truth)) => {
                (given - truth).abs() <= slack.max(truth.abs() * share)
            }
            (_, Answer::Text(given), Answer::Text(truth)) => plain(given) == plain(truth),
            _ => false,
        }
    }
}

/// Lower case, one space between words, without what a person puts around a quotation.
fn plain(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    words.join(" ").trim_matches(['"', '\'', '`', '.']).to_lowercase()
}

fn trace_id(text: &str) -> Option<String> {
    let last = text.trim_end_matches('/').rsplit('/').next()?.split(['?', '#']).next()?;
    let id = last.replace('-', "");
    (id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(id)
}

fn service(text: &str) -> Option<&'static str> {
    let text = text.replace([' ', '_'], "-");
    let named = |row: &&crate::schema::Service| row.name == text || row.command == text;
    SERVICES.iter().find(named).map(|row| row.name)
}

/// With or without its unit; with commas between thousands.
fn number(text: &str, unit: &str) -> Option<f64> {
    let bare = text.strip_suffix(&unit.to_lowercase()).unwrap_or(text).trim();
    let bare = bare.replace([',', '_'], "");
    bare.parse().ok().filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: AnswerKind = AnswerKind::Number { unit: "ms", share: 0.1, slack: 5.0 };

    fn read(kind: AnswerKind, text: &str) -> Option<String> {
        kind.read(text).ok().map(|answer| answer.shown())
    }

    #[test]
    fn case_spaces_quotes_units_and_links_do_not_matter() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        let link = format!(" http://127.0.0.1:3005/trace/{} ", id.to_uppercase());
        assert_eq!(read(AnswerKind::TraceId, &link).as_deref(), Some(id));
        for text in ["user-service", " User Service ", "user", "`user-service`"] {
            assert_eq!(read(AnswerKind::Service, text).as_deref(), Some("user-service"), "{text}");
        }
        for text in ["1200", "1,200 ms", " 1200MS", "1.2e3"] {
            assert_eq!(read(MS, text).as_deref(), Some("1200"), "{text}");
        }
        let span = AnswerKind::SpanName.read("insert  ORDERS");
        assert!(
            span.is_ok_and(|given| AnswerKind::SpanName.is_right(&given, &Answer::text("INSERT orders")))
        );
        assert_eq!(read(AnswerKind::Word(&["slow", "stalled"]), "Stalled.").as_deref(), Some("stalled"));
    }

    #[test]
    fn what_cannot_be_an_answer_is_refused_with_what_is_expected() {
        let long = "x".repeat(LONGEST + 1);
        for (kind, text) in [
            (AnswerKind::TraceId, "4bf9"),
            (AnswerKind::Service, "postgres"),
            (MS, "many"),
            (MS, "inf"),
            (MS, "NaN"),
            (MS, ""),
            (AnswerKind::Word(&["slow", "stalled"]), "both"),
            (AnswerKind::Value, " "),
            (AnswerKind::Value, &long),
        ] {
            assert!(kind.read(text).is_err_and(|why| why.starts_with("expected ")), "{text}");
        }
    }

    #[test]
    fn a_number_is_right_within_its_share_or_its_slack() {
        let right = |given, truth| MS.is_right(&Answer::Number(given), &Answer::Number(truth));
        assert!(right(109.0, 100.0) && right(14.0, 10.0) && !right(111.0, 100.0) && !right(16.0, 10.0));
        assert!(!MS.is_right(&Answer::text("100"), &Answer::Number(100.0)));
    }
}
