//! The report: a table for a person, JSON for a program; for CI servers see `export`.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::claim::{Claim, ClaimVerdict};
use super::findings::{Finding, findings};
use super::quality::QualityScore;
use crate::lab::output::CommandOutput;
use crate::terminal::escaped;

/// Everything that is known of a run.
pub(super) struct Report {
    /// The gateway's base URL.
    pub(super) target: String,
    /// Requests sent, and how long that took.
    pub(super) requests: usize,
    pub(super) took: Duration,
    /// From the last answer to this report.
    pub(super) judging: Duration,
    pub(super) seed: u64,
    /// From the last answer until all was there: signal, source, time.
    pub(super) visible: Vec<(&'static str, String, Option<Duration>)>,
    /// What the reader should know of how it came about.
    pub(super) notes: Vec<String>,
    pub(super) claims: Vec<Claim>,
    /// How good it is.
    pub(super) score: QualityScore,
    /// Of a file's telemetry (`--spec`), where nothing was sent: what has arrived, in words.
    pub(super) arrived: Option<String>,
}

impl Report {
    pub(super) fn count(&self, verdict: ClaimVerdict) -> usize {
        self.claims.iter().filter(|claim| claim.verdict == verdict).count()
    }

    /// The worst of all claims.
    pub(super) fn verdict(&self) -> ClaimVerdict {
        self.claims.iter().map(|claim| claim.verdict).max().unwrap_or(ClaimVerdict::CannotTell)
    }

    /// What happened on the way; a file's rows are told apart by names of their own, which say nothing of that.
    fn findings(&self) -> Vec<Finding> {
        if self.arrived.is_some() { Vec::new() } else { findings(&self.claims) }
    }

    /// In one line.
    pub(super) fn summary(&self) -> String {
        let (fail, untold) = (self.count(ClaimVerdict::Fail), self.count(ClaimVerdict::CannotTell));
        let all = self.claims.len();
        match (fail, untold) {
            (0, 0) if all == 1 => "verified: 1 claim holds".to_owned(),
            (0, 0) => format!("verified: {all} claims hold"),
            (0, untold) => format!("cannot tell: {untold} of {all} claims"),
            (fail, 0) => format!("not verified: {fail} of {all} claims do not hold"),
            (fail, untold) => {
                format!("not verified: {fail} of {all} claims do not hold, {untold} cannot be told")
            }
        }
    }

    /// Both forms.
    pub(super) fn output(&self, details: bool) -> CommandOutput {
        CommandOutput { text: self.text(details), json: self.json() }
    }

    fn json(&self) -> Value {
        let visible = self.visible.iter().map(|(signal, source, after)| {
            json!({"signal": signal, "source": source, "seconds": after.map(|after| after.as_secs_f64())})
        });
        json!({
            "verdict": self.verdict().as_str(),
            "target": self.target,
            "seed": self.seed,
            "requests": self.requests,
            "seconds": self.took.as_secs_f64(),
            "judging": self.judging.as_secs_f64(),
            "arrived": self.arrived,
            "notes": self.notes,
            "visible": visible.collect::<Vec<_>>(),
            "findings": self.findings().iter().map(Finding::json).collect::<Vec<_>>(),
            "score": self.score.json(),
            "claims": self.claims.iter().map(Claim::json).collect::<Vec<_>>(),
        })
    }

    fn text(&self, details: bool) -> String {
        let mut text = String::new();
        let seconds = self.took.as_secs_f64();
        let _ = match &self.arrived {
            Some(arrived) => writeln!(text, "{}: {arrived} in {seconds:.1} s\n", escaped(&self.target)),
            None => {
                let (requests, seed) = (self.requests, self.seed);
                writeln!(text, "{}: {requests} requests in {seconds:.1} s, seed {seed}\n", self.target)
            }
        };
        for (signal, source) in self.groups() {
            let of = self.claims.iter().filter(|claim| group(claim) == (signal, source));
            let (held, all) =
                (of.clone().filter(|c| c.verdict == ClaimVerdict::Pass).count(), of.clone().count());
            let first =
                of.clone().next().filter(|c| c.verdict == ClaimVerdict::Pass && c.found != "as expected");
            let found = first.map_or("", |claim| claim.found.as_str());
            let after = self.visible.iter().find(|(s, from, _)| (*s, from.as_str()) == (signal, source));
            let after = match after {
                Some((_, _, Some(after))) if held == all => {
                    format!("all there after {:.1} s", after.as_secs_f64())
                }
                Some((_, _, None)) if held < all => "not all there in time".to_owned(),
                _ => String::new(),
            };
            let holds = format!("{held} of {all} hold");
            let (source, found) = (escaped(source), escaped(found));
            let line = format!("{signal:<9} {source:<21} {holds:<15} {found:<28} {after}");
            let _ = writeln!(text, "{}", line.trim_end());
        }
        if let Some(score) = self.score.text() {
            let _ = writeln!(text, "\n{}", escaped(&score));
        }
        for note in &self.notes {
            let _ = writeln!(text, "\nnote: {note}");
        }
        let findings = self.findings();
        if !findings.is_empty() {
            text.push_str("\nwhat happened on the way:\n");
        }
        for finding in findings {
            let _ = writeln!(text, "  {}", escaped(&finding.line()));
        }
        let shown = self.claims.iter().filter(|claim| details || claim.verdict != ClaimVerdict::Pass);
        for claim in shown {
            let verdict = claim.verdict.as_str().to_uppercase();
            let _ = writeln!(text, "\n{verdict:<12} {}   {}", escaped(&claim.id), escaped(&claim.source));
            let rows = [("expected", &claim.expected), ("found", &claim.found), ("look", &claim.look)];
            for (name, value) in rows.into_iter().filter(|(_, value)| !value.is_empty()) {
                let _ = writeln!(text, "  {name:<10} {}", escaped(value));
            }
        }
        let _ = writeln!(text, "\n{}", self.summary());
        text
    }

    /// Signal and source of each group of rows, in the order of the claims.
    pub(super) fn groups(&self) -> Vec<(&str, &str)> {
        let mut groups = Vec::new();
        for claim in &self.claims {
            if !groups.contains(&group(claim)) {
                groups.push(group(claim));
            }
        }
        groups
    }
}

/// The signal, which is the first word of a claim's id, and the source.
pub(super) fn group(claim: &Claim) -> (&str, &str) {
    (claim.id.split('.').next().unwrap_or_default(), &claim.source)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::claim::Flaws;
    use super::*;

    pub(in super::super) fn report(verdicts: &[ClaimVerdict]) -> Report {
        let claim = |verdict: &ClaimVerdict| match verdict {
            ClaimVerdict::CannotTell => {
                Claim::untold("logs.readable", "loki <a>", "it can be read", "no answer")
            }
            verdict => {
                let mut flaws = Flaws::default();
                if *verdict == ClaimVerdict::Fail {
                    flaws.add("a\nb 100%".to_owned(), || "http://x/?a&b".to_owned());
                }
                Claim::of("traces.complete", "console", "12 spans", &flaws)
            }
        };
        Report {
            target: "http://127.0.0.1:3000".to_owned(),
            requests: 3,
            took: Duration::from_millis(1500),
            judging: Duration::ZERO,
            seed: 1,
            visible: vec![("traces", "console".to_owned(), Some(Duration::from_secs(2)))],
            notes: Vec::new(),
            claims: verdicts.iter().map(claim).collect(),
            score: QualityScore::default(),
            arrived: None,
        }
    }

    #[test]
    fn the_worst_claim_decides_and_the_text_shows_what_does_not_hold() {
        let (pass, fail, untold) = (ClaimVerdict::Pass, ClaimVerdict::Fail, ClaimVerdict::CannotTell);
        assert_eq!(report(&[pass]).verdict(), pass);
        assert_eq!(report(&[pass, untold]).verdict(), untold);
        assert_eq!(report(&[pass, untold, fail]).verdict(), fail);
        assert_eq!(report(&[]).verdict(), untold);
        let text = report(&[pass, fail]).text(false);
        assert!(text.contains("traces    console               1 of 2 hold"), "{text}");
        assert!(!text.contains("all there after"), "{text}");
        assert!(report(&[pass]).text(false).contains("all there after 2.0 s"));
        assert!(text.contains("FAIL         traces.complete   console"), "{text}");
        assert!(text.ends_with("not verified: 1 of 2 claims do not hold\n"), "{text}");
        assert_eq!(report(&[pass]).summary(), "verified: 1 claim holds");
    }
}
