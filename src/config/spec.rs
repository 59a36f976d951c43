//! The file of `verify --spec`: what telemetry has to arrive, in YAML.
//!
//! `fields` is the one table of what may stand in it. A file is checked against that first, so that everything that
//! is wrong is told at once, with line, column and path; what passes is read into the types here.

mod check;
pub mod fields;
mod locate;
mod refs;
mod rows;
mod schema;
#[cfg(test)]
mod tests;
mod unique;

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::Path;

use super::Invalid;
use crate::terminal::escaped;
use check::Checker;
pub use check::old_boolean;
use fields::{SPEC, SpecObject, SpecShape};
pub use rows::{
    SpecLog, SpecMetric, SpecPattern, SpecRange, SpecRule, SpecSeries, SpecSpan, SpecText, SpecValue,
    SpecValues, TelemetrySpec,
};
pub use schema::schema;

/// The most of a file that is read, in bytes.
const LARGEST: u64 = 1 << 20;
/// The most of what is wrong that is told at once.
const MOST_WRONG: usize = 20;

impl TelemetrySpec {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, is no YAML, or is not as the table of fields has it: all of it with line, column and path.
    pub fn read(file: &Path) -> Result<Self, Invalid> {
        let name = file.display();
        let invalid = |what: String| Invalid(format!("--spec (VERIFY_SPEC) {name}: {what}"));
        let mut bytes = Vec::new();
        let opened = std::fs::File::open(file).map_err(|error| invalid(error.to_string()))?;
        opened.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|error| invalid(error.to_string()))?;
        if bytes.len() as u64 > LARGEST {
            return Err(invalid("it is larger than 1 MiB".to_owned()));
        }
        let text = String::from_utf8(bytes).map_err(|error| invalid(no_utf8(&error)))?;
        Self::parse(&text).map_err(|wrong| invalid(told(&wrong)))
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// What is wrong with it, one sentence each.
    pub fn parse(text: &str) -> Result<Self, Vec<String>> {
        if let Some(((line, column), key)) = unique::repeated(text) {
            let said = format!("the key `{key}` is there twice: in one of these two places it has no effect");
            return Err(vec![format!("line {line}, column {column}: {} (duplicate)", escaped(&said))]);
        }
        let yaml: serde_yaml_ng::Value =
            serde_yaml_ng::from_str(text).map_err(|error| vec![format!("it is no YAML: {error}")])?;
        let value = serde_json::to_value(&yaml).map_err(|error| vec![error.to_string()])?;
        let mut checker = Checker::default();
        checker.check(&value, &SpecShape::Object(&SPEC));
        let mut wrong = checker.wrong;
        if wrong.is_empty() {
            wrong = refs::check(&value);
        }
        if wrong.is_empty() {
            return serde_json::from_value(value).map_err(|error| vec![error.to_string()]);
        }
        let mut placed: Vec<_> =
            wrong.into_iter().map(|(path, what)| (locate::place(text, &path), path, what)).collect();
        placed.sort_by_key(|(place, ..)| *place);
        let sentence = |((line, column), path, what): ((usize, usize), Vec<locate::PathStep>, String)| {
            let said = format!("{}: {what}", locate::shown(&path));
            format!("line {line}, column {column}: {}", escaped(&said))
        };
        Err(placed.into_iter().map(sentence).collect())
    }

    /// The service of a row.
    pub fn service_of<'a>(&'a self, own: Option<&'a str>) -> &'a str {
        own.or(self.service.as_deref()).unwrap_or_default()
    }
}

/// Where bytes stop being UTF-8.
fn no_utf8(error: &std::string::FromUtf8Error) -> String {
    let whole = &error.as_bytes()[..error.utf8_error().valid_up_to()];
    let line = whole.iter().filter(|byte| **byte == b'\n').count() + 1;
    let last = whole.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    let column = String::from_utf8_lossy(last).chars().count() + 1;
    format!("line {line}, column {column}: this byte is no UTF-8, which a file of YAML is")
}

/// What is wrong with one row, as a file would have it; nothing where it may stand there.
pub fn wrong_in(row: &impl serde::Serialize, object: &'static SpecObject) -> Vec<String> {
    let value = match serde_json::to_value(row) {
        Ok(value) => value,
        Err(error) => return vec![error.to_string()],
    };
    let mut checker = Checker::default();
    checker.check(&value, &SpecShape::Object(object));
    checker.wrong.into_iter().map(|(path, what)| format!("{}: {what}", locate::shown(&path))).collect()
}

/// All that is wrong, one a line.
fn told(wrong: &[String]) -> String {
    let mut text = match wrong {
        [one] => return one.clone(),
        more => format!("{} things are wrong", more.len()),
    };
    for one in wrong.iter().take(MOST_WRONG) {
        let _ = write!(text, "\n  {one}");
    }
    if wrong.len() > MOST_WRONG {
        let _ = write!(text, "\n  and {} more", wrong.len() - MOST_WRONG);
    }
    text
}
