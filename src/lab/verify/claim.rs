//! What is claimed of a run, and what became of each claim.

use serde_json::{Value, json};

/// What became of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ClaimVerdict {
    /// It holds.
    Pass,
    /// It cannot be told: something else happened meanwhile, or a backend cannot be read.
    CannotTell,
    /// It does not hold.
    Fail,
}

impl ClaimVerdict {
    /// As reports spell it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::CannotTell => "cannot tell",
            Self::Fail => "fail",
        }
    }
}

/// One row of the report.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    /// What it is about, such as `traces.parents`: the same in every run.
    pub(super) id: String,
    /// Where it was looked for, such as `console`; `client` for what the requests themselves showed.
    pub(super) source: String,
    /// Whether it holds.
    pub(super) verdict: ClaimVerdict,
    /// What has to be there, in words.
    pub(super) expected: String,
    /// What is there.
    pub(super) found: String,
    /// How to look at it: a URL or a query; empty where there is nothing to see.
    pub(super) look: String,
}

impl Claim {
    /// A claim of which everything that does not hold is known: it passes where there is nothing of that.
    pub(super) fn of(id: &str, source: &str, expected: impl Into<String>, flaws: &Flaws) -> Self {
        Self {
            id: id.to_owned(),
            source: source.to_owned(),
            verdict: if flaws.count == 0 { ClaimVerdict::Pass } else { ClaimVerdict::Fail },
            expected: expected.into(),
            found: flaws.found(),
            look: flaws.look.clone(),
        }
    }

    /// The same where nothing can be told, and why.
    pub(super) fn untold(
        id: &str,
        source: &str,
        expected: impl Into<String>,
        why: impl Into<String>,
    ) -> Self {
        Self {
            id: id.to_owned(),
            source: source.to_owned(),
            verdict: ClaimVerdict::CannotTell,
            expected: expected.into(),
            found: why.into(),
            look: String::new(),
        }
    }

    /// A backend of a signal that cannot be read, and why.
    pub(super) fn unread(signal: &str, source: &str, why: impl Into<String>) -> Self {
        Self::untold(&format!("{signal}.readable"), source, "it can be read", why)
    }

    /// Where it does not hold and there is another explanation, nothing can be told.
    pub(super) fn unless(mut self, explanation: Option<&str>) -> Self {
        if let (ClaimVerdict::Fail, Some(explanation)) = (self.verdict, explanation) {
            self.verdict = ClaimVerdict::CannotTell;
            self.found = format!("{}; {explanation}", self.found);
        }
        self
    }

    /// As an object of the report.
    pub(super) fn json(&self) -> Value {
        json!({"id": self.id, "source": self.source, "verdict": self.verdict.as_str(), "expected": self.expected,
            "found": self.found, "look": self.look})
    }
}

/// Most examples of what does not hold in one row.
const EXAMPLES: usize = 3;

/// What does not hold of one claim: how much, the first of it in words, and where to look.
#[derive(Debug, Default)]
pub(super) struct Flaws {
    count: usize,
    examples: Vec<String>,
    look: String,
}

impl Flaws {
    /// One more; the words and the place of the first ones are kept.
    pub(super) fn add(&mut self, what: String, look: impl FnOnce() -> String) {
        self.count += 1;
        if self.examples.len() < EXAMPLES && !self.examples.contains(&what) {
            self.examples.push(what);
        }
        if self.look.is_empty() {
            self.look = look();
        }
    }

    /// Those of another one too.
    pub(super) fn join(&mut self, other: Self) {
        self.count += other.count;
        for what in other.examples {
            if self.examples.len() < EXAMPLES && !self.examples.contains(&what) {
                self.examples.push(what);
            }
        }
        if self.look.is_empty() {
            self.look = other.look;
        }
    }

    fn found(&self) -> String {
        let examples = self.examples.join("; ");
        match self.count {
            0 => "as expected".to_owned(),
            1 => examples,
            more if more > self.examples.len() => format!("{more} times, such as: {examples}"),
            _ => examples,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_how_much_does_not_hold_with_some_examples_and_passes_without() {
        let mut flaws = Flaws::default();
        assert_eq!(Claim::of("a.b", "console", "x", &flaws).verdict, ClaimVerdict::Pass);
        for n in 0..5 {
            flaws.add(format!("span {n}"), || format!("http://{n}"));
        }
        let claim = Claim::of("a.b", "console", "x", &flaws);
        assert_eq!((claim.verdict, claim.look.as_str()), (ClaimVerdict::Fail, "http://0"));
        assert_eq!(claim.found, "5 times, such as: span 0; span 1; span 2");
        let claim = claim.unless(Some("order-service was restarted"));
        assert_eq!(claim.verdict, ClaimVerdict::CannotTell);
        assert!(claim.found.ends_with("; order-service was restarted"));
    }
}
