//! Pictures are made from a running lab by `make pictures`, and by nobody's hand.

use std::collections::BTreeSet;
use std::path::Path;

use super::{read, root};

/// The names in the table of `pictures.py`, as files below `docs`.
fn made() -> BTreeSet<String> {
    let tool = read("tests/tools/pictures.py");
    let (_, table) = tool.split_once("\nPICTURES = [\n").expect("a table");
    let (table, _) = table.split_once("\n]").expect("its end");
    let name = |line: &str| line.trim().trim_matches([',', '"']).to_owned();
    table.lines().map(|line| format!("docs/{}.png", name(line))).collect()
}

/// The pictures that a document shows, from the project's root.
fn shown(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).expect("a document");
    let folder = file.parent().and_then(|folder| folder.strip_prefix(root()).ok().map(Path::to_owned));
    let folder = folder.unwrap_or_default();
    let images = text.split("![").skip(1).filter_map(|rest| rest.split_once("](")?.1.split_once(')'));
    let local = images.map(|(target, _)| target).filter(|target| !target.starts_with("http"));
    local.map(|target| folder.join(target).display().to_string()).collect()
}

/// The files below a folder with this ending.
fn files(folder: &Path, ending: &str) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let deeper = |path: std::path::PathBuf| if path.is_dir() { files(&path, ending) } else { vec![path] };
    entries.flat_map(deeper).filter(|path| path.extension().is_some_and(|it| it == ending)).collect()
}

#[test]
fn every_picture_of_readme_and_docs_is_one_that_a_command_makes_and_every_one_made_is_shown() {
    let mut documents = files(&root().join("docs"), "md");
    documents.extend(["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"].map(|name| root().join(name)));
    let shown: BTreeSet<_> = documents.iter().flat_map(|file| shown(file)).collect();
    let kept = files(&root().join("docs"), "png");
    let kept = kept.iter().filter_map(|file| file.strip_prefix(root()).ok());
    let kept: BTreeSet<_> = kept.map(|file| file.display().to_string()).collect();
    assert_eq!((&shown, &kept), (&made(), &made()));
}
