//! What stands of OpenTelemetry's variables: each one, with tests that exist.

use std::collections::BTreeSet;

use o11y_lab::config::{OTEL_SPECIFICATION, OtelSupport, OtelVariable, otel_variables};

use super::*;

/// The `OTEL_*` variables that a role reads.
fn read_by_a_role() -> BTreeSet<String> {
    let command = o11y_lab::cli::command();
    let role = command.find_subcommand("order").unwrap();
    let variables = role.get_arguments().filter_map(|arg| arg.get_env());
    let names = variables.map(|name| name.to_string_lossy().into_owned());
    names.filter(|name| name.starts_with("OTEL_")).collect()
}

fn variable_row(row: &OtelVariable) -> String {
    let names: Vec<_> = row.names.iter().map(|name| format!("`{name}`")).collect();
    let (here, tests) = match row.here {
        OtelSupport::Whole { tests } => ("the same".to_owned(), tests),
        OtelSupport::But { difference, tests } => (format!("the same, but {difference}"), tests),
        OtelSupport::None { instead } => (format!("**no effect**: {instead}"), &[][..]),
    };
    let tests: Vec<_> = tests.iter().map(|test| format!("`{test}`")).collect();
    format!("| {} | {} | {here} | {} |\n", names.join(", "), row.specified, tests.join(", "))
}

#[test]
fn every_variable_of_opentelemetry_is_documented_with_what_holds_and_what_shows_it() {
    let mut table = "| variable | the specification | here | shown by |\n|---|---|---|---|\n".to_owned();
    otel_variables().for_each(|row| table += &variable_row(row));
    assert_block("docs/settings.md", "variables", &table);
    let said = format!("what version {OTEL_SPECIFICATION} of the specification asks");
    assert!(read("docs/settings.md").contains(&said), "{said}");
}

#[test]
fn the_table_of_variables_has_each_that_is_read_once_and_says_of_no_other_that_it_has_an_effect() {
    let names = |effect: bool| {
        let rows = otel_variables().filter(|row| matches!(row.here, OtelSupport::None { .. }) != effect);
        rows.flat_map(|row| row.names).map(|name| (*name).to_owned()).collect::<Vec<_>>()
    };
    let (with, without) = (names(true), names(false));
    let all: BTreeSet<_> = with.iter().chain(&without).collect();
    assert_eq!(all.len(), with.len() + without.len(), "a variable stands there twice");
    assert_eq!(with.into_iter().collect::<BTreeSet<_>>(), read_by_a_role());
}

#[test]
fn every_test_that_the_table_of_variables_names_exists() {
    let mut files = Vec::new();
    ["src", "tests"].iter().for_each(|folder| walk(&root().join(folder), &mut files));
    let rust = files.iter().filter(|file| file.extension().is_some_and(|e| e == "rs"));
    let text: String = rust.map(|file| std::fs::read_to_string(file).unwrap()).collect();
    for row in otel_variables() {
        let (OtelSupport::Whole { tests } | OtelSupport::But { tests, .. }) = row.here else { continue };
        assert!(!tests.is_empty(), "{:?}", row.names);
        for test in tests {
            let attribute = text.find(&format!("fn {test}()")).map(|at| text[..at].trim_end());
            let above = attribute.and_then(|above| above.trim_end_matches("async").trim_end().lines().last());
            assert!(
                above.is_some_and(|line| line.trim().starts_with("#[") && line.contains("test")),
                "{test}"
            );
        }
    }
}
