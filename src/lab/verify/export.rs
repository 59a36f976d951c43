//! The report for CI servers: JUnit, and annotations for GitHub.

use std::fmt::Write as _;

use super::claim::ClaimVerdict;
use super::report::{Report, group};
use crate::terminal::escaped;

impl Report {
    /// As JUnit's XML: a test suite for each group, a case for each claim; what cannot be told is an error.
    pub(super) fn junit(&self) -> String {
        let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        let (fail, untold) = (self.count(ClaimVerdict::Fail), self.count(ClaimVerdict::CannotTell));
        let counts = |all: usize, fail: usize, untold: usize| {
            format!("tests=\"{all}\" failures=\"{fail}\" errors=\"{untold}\"")
        };
        let _ = writeln!(
            xml,
            "<testsuites name=\"o11y-lab verify\" {}>",
            counts(self.claims.len(), fail, untold)
        );
        for wanted in self.groups() {
            let of: Vec<_> = self.claims.iter().filter(|claim| group(claim) == wanted).collect();
            let number = |verdict| of.iter().filter(|claim| claim.verdict == verdict).count();
            let name = markup(&format!("{} in {}", wanted.0, wanted.1));
            let counts = counts(of.len(), number(ClaimVerdict::Fail), number(ClaimVerdict::CannotTell));
            let _ = writeln!(xml, "  <testsuite name=\"{name}\" {counts}>");
            for claim in of {
                let _ = write!(xml, "    <testcase classname=\"{name}\" name=\"{}\"", markup(&claim.id));
                let message = markup(&format!("expected {}; found {}", claim.expected, claim.found));
                let _ = match claim.verdict {
                    ClaimVerdict::Pass => writeln!(xml, "/>"),
                    ClaimVerdict::Fail => {
                        writeln!(
                            xml,
                            "><failure message=\"{message}\">{}</failure></testcase>",
                            markup(&claim.look)
                        )
                    }
                    ClaimVerdict::CannotTell => writeln!(xml, "><error message=\"{message}\"/></testcase>"),
                };
            }
            let _ = writeln!(xml, "  </testsuite>");
        }
        xml.push_str("</testsuites>\n");
        xml
    }

    /// As workflow commands of GitHub: an error for what does not hold, a warning for what cannot be told.
    pub(super) fn annotations(&self) -> String {
        let mut text = String::new();
        for claim in self.claims.iter().filter(|claim| claim.verdict != ClaimVerdict::Pass) {
            let command = if claim.verdict == ClaimVerdict::Fail { "error" } else { "warning" };
            let title = property(&format!("{} in {}", claim.id, claim.source));
            let message = data(&format!("expected {}; found {}", claim.expected, claim.found));
            let _ = writeln!(text, "::{command} title={title}::{message}");
        }
        text
    }
}

/// Text as XML has it, within quotes too. Control characters are not allowed in XML in any form: they are escaped as a
/// terminal's are.
fn markup(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in escaped(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\u{fffe}' | '\u{ffff}' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// The message of a workflow command.
fn data(text: &str) -> String {
    let text = text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    escaped(&text).into_owned()
}

/// A property of a workflow command.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::report;
    use super::*;

    #[test]
    fn reports_for_ci_are_well_formed_whatever_the_words_are() {
        let report = report(&[ClaimVerdict::Pass, ClaimVerdict::Fail, ClaimVerdict::CannotTell]);
        let xml = report.junit();
        assert!(
            xml.contains("<testsuites name=\"o11y-lab verify\" tests=\"3\" failures=\"1\" errors=\"1\">")
        );
        assert!(xml.contains("logs in loki &lt;a&gt;") && xml.contains("http://x/?a&amp;b"), "{xml}");
        let annotations = report.annotations();
        let lines: Vec<_> = annotations.lines().collect();
        assert_eq!(
            lines[0],
            "::error title=traces.complete in console::expected 12 spans; found a%0Ab 100%25"
        );
        assert!(lines[1].starts_with("::warning title=logs.readable in loki <a>::"), "{annotations}");
    }
}
