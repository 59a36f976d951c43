//! What of a recorded file may stand in one: rows that may not are left out and named, so that the rest is written.

use serde::Serialize;

use crate::config::spec::fields::{LOG, METRIC, MOST_ROWS, SPAN, SpecObject};
use crate::config::spec::{TelemetrySpec, wrong_in};

/// The most of what was left out that is named.
const MOST_NAMED: usize = 10;

/// Takes out what no file takes, with what refers to it; says what that was. Where spans or lines are missing then,
/// others than the file's rows are no mistake.
pub(super) fn trimmed(spec: &mut TelemetrySpec) -> Vec<String> {
    let mut out = Vec::new();
    let (mut spans, mut metrics, mut logs) = (Vec::new(), Vec::new(), Vec::new());
    trim(&mut spec.spans, &SPAN, &mut spans, |row| (row.label().to_owned(), row.service.clone()));
    trim(&mut spec.metrics, &METRIC, &mut metrics, |row| (row.name.clone(), row.service.clone()));
    let line = |row: &crate::config::spec::SpecLog| {
        (
            row.event.clone().or(row.body.as_ref().map(|body| body.as_str().to_owned())).unwrap_or_default(),
            row.service.clone(),
        )
    };
    trim(&mut spec.logs, &LOG, &mut logs, line);
    if !(spans.is_empty() && logs.is_empty()) {
        spec.strict = false;
    }
    for list in [spans, metrics, logs] {
        out.extend(list);
    }
    let labels: Vec<_> = spec.spans.iter().map(|row| row.label().to_owned()).collect();
    let there = |name: &String| labels.contains(name);
    for row in &mut spec.spans {
        row.parent = row.parent.take().filter(there);
        row.links.retain(there);
    }
    for row in &mut spec.logs {
        row.span = row.span.take().filter(there);
    }
    let more = out.len().saturating_sub(MOST_NAMED);
    out.truncate(MOST_NAMED);
    if more > 0 {
        out.push(format!("and {more} more"));
    }
    out
}

fn trim<T: Serialize>(
    rows: &mut Vec<T>,
    object: &'static SpecObject,
    out: &mut Vec<String>,
    named: impl Fn(&T) -> (String, Option<String>),
) {
    let mut kept = 0;
    rows.retain(|row| {
        let wrong = match kept == MOST_ROWS {
            true => vec![format!("there are {MOST_ROWS} already")],
            false => wrong_in(row, object),
        };
        if wrong.is_empty() {
            kept += 1;
            return true;
        }
        let (name, service) = named(row);
        let of = service.map_or_else(String::new, |service| format!(" of '{service}'"));
        out.push(format!("the {} '{}'{of}: {}", object.name, short(&name), wrong.join("; ")));
        false
    });
}

fn short(name: &str) -> String {
    name.chars().take(80).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::config::spec::{SpecSpan, SpecText};

    #[test]
    fn a_row_that_no_file_takes_is_named_and_left_out_with_what_refers_to_it_and_the_rest_stays() {
        let span = |name: &str, service: &str| SpecSpan {
            name: SpecText::Exactly(name.to_owned()),
            service: Some(service.to_owned()),
            ..SpecSpan::default()
        };
        let mut spec = TelemetrySpec { strict: true, ..TelemetrySpec::default() };
        spec.spans = vec![span("page", "shop"), span("nameless", "")];
        spec.spans[0].links = vec!["nameless".to_owned(), "page".to_owned()];
        spec.spans[0].parent = Some("nameless".to_owned());
        let out = trimmed(&mut spec);
        assert_eq!(out, ["the span 'nameless' of '': service: is an empty text"]);
        let [page] = &spec.spans[..] else { unreachable!("{spec:?}") };
        assert_eq!((page.label(), &page.parent, page.links.len()), ("page", &None, 1));
        assert!(!spec.strict);

        spec.spans = (0..MOST_ROWS + 20).map(|n| span(&format!("s{n}"), "shop")).collect();
        let out = trimmed(&mut spec);
        assert_eq!((spec.spans.len(), out.len()), (MOST_ROWS, MOST_NAMED + 1));
        assert!(out[0].contains("there are 1000 already") && out[MOST_NAMED] == "and 10 more", "{out:?}");
    }
}
