//! The query language: what a person types to find traces, read into terms. docs/console.md has it in words.

use super::subject::{FilterSubject, Test};

/// The longest filter, in bytes.
const MOST_BYTES: usize = 2_000;
/// The most terms of one filter.
const MOST_TERMS: usize = 32;

/// One condition of a filter.
#[derive(Debug, PartialEq)]
pub(super) enum Term {
    /// In lower case; to be found anywhere in the trace.
    Text(String),
    /// What one span has to meet, or what no span may.
    Field { subject: FilterSubject, test: Test, negated: bool },
}

/// Why a filter is not understood, and where: the place of a character, the first being 1.
#[derive(Debug, PartialEq)]
pub(super) struct FilterError {
    pub(super) at: usize,
    pub(super) why: String,
}

impl std::fmt::Display for FilterError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "filter, character {}: {}", self.at, self.why)
    }
}

/// The operators, the longer before those that they begin with.
const OPERATORS: [&str; 8] = ["!=", "!~", ">=", "<=", "=", "~", ">", "<"];
const EXISTS: [(&str, bool); 2] = [("exists", false), ("!exists", true)];

/// The terms of a filter, in order; all of them have to hold.
///
/// # Errors
/// What is not understood, and where.
pub(super) fn read(text: &str) -> Result<Vec<Term>, FilterError> {
    let mut reader = FilterReader { text, at: 0 };
    if text.len() > MOST_BYTES {
        return Err(reader.error(0, format!("a filter is {MOST_BYTES} bytes long at most")));
    }
    let mut terms = Vec::new();
    while reader.skip_spaces() {
        if terms.len() == MOST_TERMS {
            return Err(reader.error(reader.at, format!("a filter has {MOST_TERMS} terms at most")));
        }
        terms.push(reader.term()?);
    }
    Ok(terms)
}

struct FilterReader<'a> {
    text: &'a str,
    /// In bytes.
    at: usize,
}

impl<'a> FilterReader<'a> {
    fn error(&self, at: usize, why: impl Into<String>) -> FilterError {
        FilterError { at: self.text[..at].chars().count() + 1, why: why.into() }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// Whether anything follows.
    fn skip_spaces(&mut self) -> bool {
        self.at = self.text.len() - self.rest().trim_start().len();
        !self.rest().is_empty()
    }

    fn operator(&self) -> Option<&'static str> {
        OPERATORS.into_iter().find(|operator| self.rest().starts_with(operator))
    }

    fn term(&mut self) -> Result<Term, FilterError> {
        let begin = self.at;
        let (word, quoted) = self.word()?;
        let after = self.at;
        self.skip_spaces();
        if let Some(operator) = self.operator() {
            return self.compared(begin, &word, operator);
        }
        // `!exists` begins like no other operator; a quoted "exists" is a text to look for.
        let next = self.rest().split_whitespace().next().unwrap_or_default();
        if let Some((name, negated)) = EXISTS.into_iter().find(|(name, _)| *name == next)
            && !quoted
        {
            self.at += name.len();
            return Ok(Term::Field { subject: FilterSubject::of(&word), test: Test::Exists, negated });
        }
        self.at = after;
        Ok(Term::Text(word.to_lowercase()))
    }

    fn compared(&mut self, begin: usize, key: &str, operator: &'static str) -> Result<Term, FilterError> {
        if key.is_empty() {
            return Err(self.error(
                begin,
                format!("a key is missing before '{operator}'; a text with this sign stands in \"quotes\""),
            ));
        }
        self.at += operator.len();
        self.skip_spaces();
        let from = self.at;
        if self.rest().is_empty() || self.operator().is_some() {
            return Err(self.error(
                from,
                format!(
                    "a value is missing after '{operator}'; '{key} exists' finds traces that have the key"
                ),
            ));
        }
        let value = if self.rest().starts_with('"') { self.word()?.0 } else { self.until(|_| false) };
        let subject = FilterSubject::of(key);
        let test = subject.test(operator, &value).map_err(|why| self.error(from, why))?;
        Ok(Term::Field { subject, test, negated: operator.starts_with('!') })
    }

    /// A quoted text, or one up to a space or an operator.
    fn word(&mut self) -> Result<(String, bool), FilterError> {
        if !self.rest().starts_with('"') {
            return Ok((self.until(|rest| OPERATORS.iter().any(|o| rest.starts_with(o))), false));
        }
        let begin = self.at;
        let mut word = String::new();
        let mut chars = self.rest().char_indices().skip(1);
        while let Some((place, char)) = chars.next() {
            match char {
                '"' => {
                    self.at += place + 1;
                    let joined = self.rest().chars().next().is_some_and(|next| !next.is_whitespace());
                    if joined && self.operator().is_none() {
                        return Err(self.error(self.at, "a space is missing after the quoted text"));
                    }
                    return Ok((word, true));
                }
                '\\' => word.extend(chars.next().map(|(_, escaped)| escaped)),
                other => word.push(other),
            }
        }
        Err(self.error(begin, "the quote that begins here has no end"))
    }

    /// What stands before the next space, or before the rest that is to stop at.
    fn until(&mut self, stop: impl Fn(&str) -> bool) -> String {
        let rest = self.rest();
        let end = rest.char_indices().find(|(at, char)| char.is_whitespace() || stop(&rest[*at..]));
        let word = &rest[..end.map_or(rest.len(), |(at, _)| at)];
        self.at += word.len();
        word.to_owned()
    }
}

#[cfg(test)]
#[path = "language_tests.rs"]
mod tests;
