//! Two reports beside each other: what got worse, what got better.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
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

/// A claim's id and its source.
type RowKey = (String, String);
pub(super) type Rows = BTreeMap<RowKey, (String, String)>;

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
///
/// Where another backend is asked for a signal than before, its rows stand beside the other's. One that is asked in one of the
/// two runs only is one line, beside those of its rows that fail.
pub(super) fn changes(before: &Rows, after: &Rows) -> Vec<Value> {
    let moved = moved(before, after);
    let now = |(id, source): &RowKey| match moved.get(&(signal(id), source.as_str())) {
        Some(other) => (id.clone(), (*other).to_owned()),
        None => (id.clone(), source.clone()),
    };
    let before: Rows = before.iter().map(|(key, row)| (now(key), row.clone())).collect();
    let (first, second) = (asked(&before), asked(after));
    let mut all: Vec<_> = before.keys().chain(after.keys()).collect();
    all.sort();
    all.dedup();
    let (mut changes, mut alone) = (Vec::new(), BTreeMap::<_, Vec<_>>::new());
    for key in all {
        let (old, new) = (before.get(key), after.get(key));
        let place = (signal(&key.0), key.1.as_str());
        let from =
            moved.iter().find(|((signal, _), to)| (*signal, **to) == place).map(|((_, from), _)| *from);
        let Some(change) = changed(key, from, old, new) else { continue };
        if first.contains(&place) == second.contains(&place) || change["after"] == RANKS[2] {
            changes.push(change);
        } else {
            alone.entry(place).or_default().push(change);
        }
    }
    for ((signal, source), rows) in alone {
        if rows.len() == 1 {
            changes.extend(rows);
            continue;
        }
        let claims = format!("{} claims", rows.len());
        let (from, to) =
            if first.contains(&(signal, source)) { (Some(claims), None) } else { (None, Some(claims)) };
        let lost = rows.iter().any(|row| row["change"] == "worse");
        let change = if lost { "worse" } else { "other" };
        let claim = format!("{signal} in {source}");
        changes.push(json!({"claim": claim, "change": change, "before": from, "after": to,
            "found": "it was not asked"}));
    }
    changes.sort_by_key(|change| change["claim"].as_str().unwrap_or_default().to_owned());
    changes
}

/// One claim, if it is not as it was; `from` is the backend that was asked before, where that is another.
fn changed(
    key: &RowKey,
    from: Option<&str>,
    old: Option<&(String, String)>,
    new: Option<&(String, String)>,
) -> Option<Value> {
    let (before, after) = (old.map(|row| row.0.as_str()), new.map(|row| row.0.as_str()));
    if before == after {
        return None;
    }
    // What is not there says as little as what cannot be told.
    let rank = |verdict: Option<&str>| {
        RANKS.iter().position(|known| *known == verdict.unwrap_or(RANKS[1])).unwrap_or_default()
    };
    let change = match rank(after).cmp(&rank(before)) {
        Ordering::Greater => "worse",
        Ordering::Less if rank(after) == 0 => "better",
        Ordering::Less | Ordering::Equal => "other",
    };
    let other = from.map_or_else(String::new, |from| format!(", before in {from}"));
    let claim = format!("{} in {}{other}", key.0, key.1);
    let found = new.map(|row| row.1.as_str());
    Some(json!({"claim": claim, "change": change, "before": before, "after": after, "found": found}))
}

/// The first word of a claim's id.
fn signal(id: &str) -> &str {
    id.split('.').next().unwrap_or_default()
}

/// Which backends were asked for which signals.
fn asked(rows: &Rows) -> BTreeSet<(&str, &str)> {
    rows.keys().map(|(id, source)| (signal(id), source.as_str())).collect()
}

/// Where one backend of a signal took the place of one: by signal and the one before, the one after.
fn moved<'a>(before: &'a Rows, after: &'a Rows) -> BTreeMap<(&'a str, &'a str), &'a str> {
    let (first, second) = (asked(before), asked(after));
    let (gone, new): (Vec<_>, Vec<_>) =
        (first.difference(&second).copied().collect(), second.difference(&first).copied().collect());
    let of = |list: &[(&'a str, &'a str)], wanted: &str| {
        let mut all = list.iter().filter(|(signal, _)| *signal == wanted).map(|(_, source)| *source);
        all.next().filter(|_| all.next().is_none())
    };
    let pairs =
        gone.iter().filter_map(|(signal, _)| Some(((*signal, of(&gone, signal)?), of(&new, signal)?)));
    pairs.collect()
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

    #[test]
    fn another_backend_for_a_signal_stands_beside_the_one_before_and_one_more_or_less_is_one_line() {
        let rows = |source: &str, verdicts: &[(&str, &str)]| -> Rows {
            let one = |(id, verdict): &(&str, &str)| {
                (((*id).to_owned(), source.to_owned()), ((*verdict).to_owned(), String::new()))
            };
            verdicts.iter().map(one).collect()
        };
        let of = |parts: [Rows; 2]| parts.into_iter().flatten().collect::<Rows>();
        let said = |before: &Rows, after: &Rows| {
            let all = changes(before, after);
            let line = |change: &Value| {
                format!(
                    "{} {}",
                    change["change"].as_str().unwrap_or(""),
                    change["claim"].as_str().unwrap_or("")
                )
            };
            all.iter().map(line).collect::<Vec<_>>()
        };
        let (traces, logs) =
            ([("traces.a", "pass"), ("traces.b", "pass")], [("logs.a", "pass"), ("logs.b", "pass")]);
        let both = of([rows("console", &traces), rows("console", &logs)]);
        let jaeger =
            of([rows("jaeger", &[("traces.a", "pass"), ("traces.b", "fail")]), rows("console", &logs)]);
        assert_eq!(said(&both, &jaeger), ["worse traces.b in jaeger, before in console"]);
        let alone = rows("console", &logs);
        assert_eq!(said(&both, &alone), ["worse traces in console"]);
        assert_eq!(said(&alone, &both), ["other traces in console"]);
        assert_eq!(said(&alone, &jaeger), ["better traces.a in jaeger", "worse traces.b in jaeger"]);
    }
}
