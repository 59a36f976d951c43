//! Two reports beside each other: what got worse, what got better.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use super::NotVerified;
use crate::config::Invalid;
use crate::lab::output::CommandOutput;
use crate::terminal::escaped;

/// The largest report that is read, in bytes: one of a run has some tens of thousands.
const LARGEST_REPORT: u64 = 16 << 20;

/// Verdicts from the best to the worst.
const RANKS: [&str; 3] = ["pass", "cannot tell", "fail"];

pub(super) type Rows = BTreeMap<(String, String), (String, String)>;

/// Reads two reports and says what changed from the first to the second.
///
/// # Errors
/// One cannot be read or is no report ([`Invalid`]); [`NotVerified`] where something got worse.
pub(super) fn diff(before: &Path, after: &Path, in_json: bool) -> anyhow::Result<()> {
    let changes = changes(&rows(before)?, &rows(after)?);
    let worse = changes.iter().filter(|change| change["change"] == "worse").count();
    let mut text = described(&changes);
    if changes.is_empty() {
        text.push_str("every claim is as it was\n");
    }
    CommandOutput { text, json: json!({"worse": worse, "changes": changes}) }.print(in_json)?;
    match worse {
        0 => Ok(()),
        worse => {
            let claims = if worse == 1 { "claim is" } else { "claims are" };
            Err(NotVerified { summary: format!("{worse} {claims} worse than before"), exit_code: 1 }.into())
        }
    }
}

/// One line for each change, and what was found where it got worse.
pub(super) fn described(changes: &[Value]) -> String {
    let mut text = String::new();
    for change in changes {
        let word = |key: &str| change[key].as_str().unwrap_or("-").to_owned();
        let (from, to) = (word("before"), word("after"));
        let _ = writeln!(text, "{:<7} {:<40} {from} -> {to}", word("change"), escaped(&word("claim")));
        if change["change"] == "worse" {
            let _ = writeln!(text, "        found {}", escaped(&word("found")));
        }
    }
    text
}

fn rows(file: &Path) -> Result<Rows, Invalid> {
    let refused = |why: String| Invalid(format!("--diff '{}': {why}", file.display()));
    let size = std::fs::metadata(file).map_err(|error| refused(error.to_string()))?.len();
    if size > LARGEST_REPORT {
        return Err(refused(format!("longer than {LARGEST_REPORT} bytes")));
    }
    let text = std::fs::read_to_string(file).map_err(|error| refused(error.to_string()))?;
    let report: Value = serde_json::from_str(&text).map_err(|error| refused(format!("no JSON: {error}")))?;
    let Some(claims) = report["claims"].as_array() else {
        return Err(refused("no report of verify --json: it has no claims".to_owned()));
    };
    let known = |claim: &Value| claim["verdict"].as_str().is_some_and(|verdict| RANKS.contains(&verdict));
    if !claims.iter().all(known) {
        return Err(refused(format!(
            "no report of verify --json: a verdict is none of {}",
            RANKS.join(", ")
        )));
    }
    Ok(rows_of(&report))
}

/// The verdict of each claim of a report, and what was found.
pub(super) fn rows_of(report: &Value) -> Rows {
    let claims = report["claims"].as_array().into_iter().flatten();
    let text = |claim: &Value, key: &str| claim[key].as_str().unwrap_or_default().to_owned();
    let row =
        |claim| ((text(claim, "id"), text(claim, "source")), (text(claim, "verdict"), text(claim, "found")));
    claims.map(row).collect()
}

/// What is not as it was. A claim that is new and fails is worse, one that is gone cannot be told any more; one that
/// failed and cannot be told any more is neither better nor worse.
pub(super) fn changes(before: &Rows, after: &Rows) -> Vec<Value> {
    let rank = |verdict: &str| RANKS.iter().position(|known| *known == verdict);
    let mut all: Vec<_> = before.keys().chain(after.keys()).collect();
    all.sort();
    all.dedup();
    let mut changes = Vec::new();
    for key in all {
        let (old, new) = (before.get(key), after.get(key));
        let (from, to) = (old.map(|row| row.0.as_str()), new.map(|row| row.0.as_str()));
        if from == to {
            continue;
        }
        // What is not there says as little as what cannot be told.
        let of = |verdict: Option<&str>| rank(verdict.unwrap_or("cannot tell"));
        let change = match of(to).cmp(&of(from)) {
            std::cmp::Ordering::Greater => "worse",
            std::cmp::Ordering::Less if of(to) == Some(0) => "better",
            std::cmp::Ordering::Less | std::cmp::Ordering::Equal => "other",
        };
        let found = new.map(|row| row.1.as_str());
        let claim = format!("{} in {}", key.0, key.1);
        changes.push(json!({"claim": claim, "change": change, "before": from, "after": to, "found": found}));
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(rows: &[(&str, &str)]) -> Rows {
        let row = |(id, verdict): &(&str, &str)| {
            (((*id).to_owned(), "console".to_owned()), ((*verdict).to_owned(), "x".to_owned()))
        };
        rows.iter().map(row).collect()
    }

    #[test]
    fn what_failed_later_or_is_gone_is_worse_and_what_is_as_it_was_is_not_said() {
        let before = report(&[("a", "pass"), ("b", "fail"), ("c", "pass"), ("d", "pass"), ("f", "fail")]);
        let after =
            report(&[("a", "fail"), ("b", "pass"), ("c", "pass"), ("e", "fail"), ("f", "cannot tell")]);
        let changes = changes(&before, &after);
        let said: Vec<_> = changes
            .iter()
            .map(|change| format!("{} {}", change["claim"].as_str().unwrap_or(""), change["change"]))
            .collect();
        assert_eq!(
            said,
            [
                "a in console \"worse\"",
                "b in console \"better\"",
                "d in console \"worse\"",
                "e in console \"worse\"",
                "f in console \"other\""
            ]
        );
    }
}
