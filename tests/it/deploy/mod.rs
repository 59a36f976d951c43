//! The stack as code: what compose, the backends' files, the image and CI say fits together and fits
//! the program. docs/stack.md says which of it was run on the real thing and which only read.

mod backends;
mod compose;
mod image;
mod kubernetes;
mod light;
mod tasks;
mod terraform;

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::helpers::dashboards::folder;

/// A file of the repository.
#[track_caller]
fn read(file: &str) -> String {
    std::fs::read_to_string(folder(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// A YAML file of the repository, with `<<` merged.
#[track_caller]
fn yaml(file: &str) -> Value {
    let mut value: serde_yaml_ng::Value =
        serde_yaml_ng::from_str(&read(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    // What is merged may itself merge: gateway, role, lab, hardened.
    for _ in 0..4 {
        value.apply_merge().unwrap();
    }
    serde_json::to_value(value).unwrap()
}

/// The texts of a list; nothing where there is none.
fn list(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// A program of the Python tools; the file it is given is one of the repository.
#[track_caller]
fn assert_tool(program: &str, args: &[&str]) {
    let path = folder(".tools/venv/bin").join(program);
    assert!(Path::new(&path).exists(), "{program} is missing: `make test` (scripts/provision) installs it");
    let run = Command::new(path).args(args).current_dir(folder("")).output().unwrap();
    let said = [run.stdout, run.stderr].concat();
    assert!(run.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&said));
}

/// The addresses in a text, as (host, port), of everything that is written `scheme://host:port`.
fn addresses(text: &str) -> Vec<(String, u16)> {
    let after = text.split("://").skip(1);
    after
        .filter_map(|rest| {
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "-.:@_$?{}".contains(c)));
            let place = &rest[..end.unwrap_or(rest.len())];
            let (host, port) = place.rsplit('@').next()?.rsplit_once(':')?;
            Some((host.to_owned(), port.parse().ok()?))
        })
        .collect()
}
