//! Claims about files that are read as backends: each line has to be what the exporter writes.

use super::claim::{Claim, Flaws};
use crate::lab::backend::LineTally;

/// The row of a file, once it was read.
pub(super) fn lines(signal: &str, source: &str, path: &str, tally: Option<LineTally>) -> Option<Claim> {
    let LineTally { lines, bad } = tally?;
    let mut flaws = Flaws::default();
    if bad > 0 {
        flaws.add(format!("{bad} of {lines} lines are not"), || path.to_owned());
    }
    Some(Claim::of(&format!("{signal}.lines"), source, "each line is a message of OTLP in JSON", &flaws))
}

/// Where a trace can be seen.
pub(super) fn trace_place(source: &str, base: &str, id: &str) -> String {
    match source.split(' ').next() {
        Some("file") => format!("grep {id} {base}"),
        Some("tempo") => format!("{base}/api/traces/{id}"),
        _ => format!("{base}/trace/{id}"),
    }
}
