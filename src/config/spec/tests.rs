//! Files as people write them, right and wrong.
#![allow(clippy::unwrap_used)]

use serde_json::{Map, Value, json};

use super::fields::{OBJECTS, SpecObject, SpecShape};
use super::*;

fn wrong(text: &str) -> Vec<String> {
    TelemetrySpec::parse(text).unwrap_err()
}

/// Something that has a shape.
fn sample(shape: &SpecShape) -> Value {
    match shape {
        SpecShape::Text => json!("one"),
        SpecShape::Flag => json!(true),
        SpecShape::Whole => json!(3),
        SpecShape::Number => json!(1.5),
        SpecShape::Word(words) => json!(words[0]),
        SpecShape::Pattern => json!("a+"),
        SpecShape::Literal => json!(["a", 1, true]),
        SpecShape::List(shape) => json!([sample(shape)]),
        SpecShape::Map(shape) => json!({"some.key": sample(shape)}),
        SpecShape::Object(object) | SpecShape::Or(_, object) => full(object),
    }
}

fn full(object: &SpecObject) -> Value {
    object
        .fields
        .iter()
        .map(|field| (field.name.to_owned(), sample(&field.shape)))
        .collect::<Map<_, _>>()
        .into()
}

/// The names that a type takes, as it tells them itself.
fn names<T: serde::de::DeserializeOwned + std::fmt::Debug>() -> Vec<String> {
    let told = serde_json::from_value::<T>(json!({"?": 1})).unwrap_err().to_string();
    let known = told.split("expected one of ").nth(1).unwrap();
    known.split(", ").map(|name| name.trim_matches('`').to_owned()).collect()
}

#[test]
fn the_table_of_fields_and_the_types_have_the_same_fields() {
    let types = [
        names::<TelemetrySpec>(),
        names::<SpecSpan>(),
        names::<SpecMetric>(),
        names::<SpecSeries>(),
        names::<SpecLog>(),
        names::<SpecRule>(),
    ];
    for (object, names) in OBJECTS.iter().zip(types) {
        let table: Vec<_> = object.fields.iter().map(|field| field.name).collect();
        assert_eq!(names, table, "{}", object.name);
    }
    // Whatever the table allows is read, and written as it was.
    let all = full(&SPEC);
    let read: TelemetrySpec = serde_json::from_value(all.clone()).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), all);
    let mut checker = Checker::default();
    checker.check(&all, &SpecShape::Object(&SPEC));
    assert_eq!(checker.wrong, []);
}

#[test]
fn everything_that_is_wrong_is_told_at_once_with_line_column_and_path() {
    let text = "service: shop\nspans:\n  - name: GET /\n    kin: server\n    count: two\n  - nam: x\n\
                metrics:\n  - {name: sold, kind: conter, series: [{delta: [1]}]}\nlogs:\n  - body: {pattern: '(['}\n";
    let expected = [
        "line 4, column 5: spans[0].kin: is no field of a span; did you mean `kind`?; there are id, name,",
        "line 5, column 5: spans[0].count: expected a whole number or a mapping with min, max, found \"two\"",
        "line 6, column 5: spans[1].nam: is no field of a span; did you mean `name`?",
        "line 6, column 5: spans[1]: has no `name`",
        "line 8, column 18: metrics[0].kind: 'conter' is none of counter, up_down_counter, gauge, histogram, \
         exponential_histogram, summary; did you mean `counter`?",
        "line 8, column 42: metrics[0].series[0].delta: expected a number or a mapping with min, max, found a list",
        "line 10, column 12: logs[0].body.pattern: is no regular expression: ",
    ];
    let found = wrong(text);
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}\ninstead of\n{expected}");
    }
}

#[test]
fn what_is_no_yaml_empty_or_said_twice_is_refused_at_its_place() {
    for (text, expected) in [
        ("spans: [", "it is no YAML: "),
        ("", "the file: expected a mapping with service, strict, spans, metrics, logs, found nothing"),
        ("- a", "found a list"),
        ("service: a\nservice: b\n", "duplicate"),
        ("service: a\nservice: b\n", "line 2, column 1: the key `service` is there twice"),
        (
            "service: a\nspans:\n  - name: b\n    attributes: {k: 1, k: 2}\n",
            "line 4, column 24: the key `k` is there twice",
        ),
        ("service: a\nstrict: yes\nspans: [{name: b}]\n", "found the text \"yes\": write true"),
        (
            "service: a\nspans: [{name: b, attributes: {c: {tipe: int}}}]\n",
            "is no field of an attribute; did you",
        ),
        (
            "service: a\nspans:\n  - {name: b, attributes: {c: {presence: forbidden, type: int}}}\n",
            "line 3, column 28: spans[0].attributes.c: is forbidden, so it has no `type`",
        ),
        (
            "service: a\nmetrics: [{name: m, series: [{attributes: {c: {presence: forbidden, one_of: [1]}}}]}]\n",
            "metrics[0].series[0].attributes.c: is forbidden, so it has no `one_of`",
        ),
        ("service: a\n", "names no span, no metric and no log line"),
        ("service: a\nspans: []\n", "line 2, column 1: spans: is an empty list"),
        ("service: ''\nspans: [{name: a}]\n", "line 1, column 1: service: is an empty text"),
    ] {
        let found = wrong(text).join("\n");
        assert!(found.contains(expected), "{text}: {found}");
    }
    assert!(
        wrong(&format!("service: {}\nspans: [{{name: a}}]", "x".repeat(1_001)))[0].contains("longer than")
    );
}

#[test]
fn a_file_that_is_no_utf8_is_refused_at_its_place() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), b"service: a\nspans: [{name: gr\xc3\xbc\xdfe}]\n").unwrap();
    let said = TelemetrySpec::read(file.path()).unwrap_err().to_string();
    assert!(said.ends_with("line 2, column 19: this byte is no UTF-8, which a file of YAML is"), "{said}");
}

#[test]
fn rows_that_name_each_other_and_fields_that_exclude_each_other_are_held_too() {
    for (text, expected) in [
        ("spans:\n  - {name: a}\n", "line 2, column 5: spans[0]: has no `service`, and the file has none"),
        (
            "service: s\nspans:\n  - {name: a, parent: b}\n",
            "line 3, column 15: spans[0].parent: no row of `spans` is called 'b': a",
        ),
        ("service: s\nspans:\n  - {name: a, links: [a, c]}\n", "spans[0].links[1]: no row"),
        (
            "service: s\nspans: [{name: a}, {name: a}, {name: b, parent: a}]\n",
            "2 rows of `spans` are called 'a': give",
        ),
        ("service: s\nspans: [{name: a}, {name: b, id: a}]\n", "spans[1].id: another row is called so"),
        ("service: s\nspans: [{name: a}, {name: b, root: true, parent: a}]\n", "a root has no parent"),
        ("service: s\nspans: [{name: a, count: {min: 3, max: 2}}]\n", "has a min of 3 and a max of 2"),
        ("service: s\nlogs: [{severity: info}]\n", "logs[0]: has neither `body` nor `event`"),
        ("service: s\nlogs: [{body: a, span: a}]\n", "no row of `spans` is called 'a': none has a name"),
        (
            "service: s\nmetrics: [{name: m, kind: gauge, series: [{delta: 1}]}]\n",
            "a gauge is judged by its `value`",
        ),
        (
            "service: s\nmetrics: [{name: m, kind: counter, series: [{value: 1}]}]\n",
            "a counter is judged by its `delta`",
        ),
        ("service: s\nmetrics: [{name: m, series: [{value: 1}]}]\n", "say so in `kind`"),
    ] {
        let found = wrong(text).join("\n");
        assert!(found.contains(expected), "{text}: {found}");
    }
}

#[test]
fn a_pattern_matches_the_whole_text_and_a_row_is_called_by_its_id() {
    let spec = TelemetrySpec::parse(
        "service: s\nspans:\n  - {id: page, name: {pattern: 'GET /[a-z]+|GET /'}}\n  - {name: b, service: t, parent: page}\n",
    );
    let spec = spec.unwrap();
    let [page, child] = &spec.spans[..] else { panic!("{spec:?}") };
    assert!(page.name.matches("GET /") && page.name.matches("GET /cart"));
    assert!(!page.name.matches("GET /cart/1") && !page.name.matches("a GET /"));
    assert_eq!((page.label(), child.label()), ("page", "b"));
    let services = [page, child].map(|row| spec.service_of(row.service.as_deref()));
    assert_eq!(services, ["s", "t"]);
}
