//! The words of the code: one name, one type.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The same type under another condition, or under a shorter path.
const ALLOWED: [&str; 2] = ["Ear", "Span"];

fn sources(folder: &Path, into: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            into.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
        }
    }
}

/// The name that a line defines, if it does. An indented `type` belongs to a trait.
fn defined(line: &str) -> Option<&str> {
    let word = line.trim_start();
    let word = word.strip_prefix("pub").map_or(word, |rest| {
        rest.strip_prefix('(')
            .and_then(|rest| rest.split_once(')'))
            .map_or(rest, |(_, rest)| rest)
            .trim_start()
    });
    let (kind, rest) = word.split_once(' ')?;
    let is_type = ["struct", "enum", "trait"].contains(&kind) || (kind == "type" && !line.starts_with(' '));
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
    (is_type && end > 0).then(|| &rest[..end])
}

#[test]
fn a_types_name_is_that_of_one_type() {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    let mut places = BTreeMap::<&str, Vec<&str>>::new();
    for (path, text) in &files {
        for name in text.lines().filter_map(defined) {
            places.entry(name).or_default().push(path);
        }
    }
    assert!(places.len() > 500, "{} types were found", places.len());
    places.retain(|name, at| at.len() > 1 && !ALLOWED.contains(name));
    assert!(places.is_empty(), "a name that another type has too carries its module's noun: {places:#?}");
}
