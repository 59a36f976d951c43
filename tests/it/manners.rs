//! What a program owes its user: completed words, a manual, a version that says what was built, examples that work.

use std::path::Path;
use std::process::{Command, Output};

use crate::helpers::bin;
use crate::helpers::rules::root;

fn run(args: &[&str]) -> Output {
    bin().args(args).output().expect("the program runs")
}

#[track_caller]
fn said(args: &[&str]) -> String {
    let done = run(args);
    assert!(done.status.success(), "{args:?}: {done:?}");
    String::from_utf8(done.stdout).expect("text")
}

#[test]
fn every_shell_gets_a_script_that_knows_the_commands_and_an_unknown_one_is_refused_with_the_list() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = said(&["completions", shell]);
        assert!(script.contains("detach") && script.contains("doctor"), "{shell}");
        assert!(!script.contains("until-eof"), "{shell}");
    }
    let refused = run(&["completions", "tcsh"]);
    let why = String::from_utf8(refused.stderr).unwrap();
    assert!(refused.status.code() == Some(2) && why.contains("elvish"), "{why}");
}

/// Every command that a help shows, with its words.
fn commands<'a>(above: &'a clap::Command, path: &str) -> Vec<(String, &'a clap::Command)> {
    let below = above.get_subcommands().filter(|command| !command.is_hide_set());
    let below = below.flat_map(|command| commands(command, &format!("{path}-{}", command.get_name())));
    std::iter::once((path.to_owned(), above)).chain(below).collect()
}

/// What a reader of a page sees; groff has to have nothing to complain of.
fn read(page: &Path) -> String {
    let mut groff = Command::new("groff");
    groff.args(["-man", "-Tutf8", "-ww", "-rLL=400n", "-P-c", "-P-b", "-P-u", "-P-o"]).arg(page);
    let done = groff.output().expect("groff (Debian: groff)");
    let warnings = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && warnings.is_empty(), "{}: {warnings}", page.display());
    String::from_utf8(done.stdout).expect("text").replace('\u{2010}', "-")
}

#[test]
fn every_command_has_a_page_of_the_manual_with_each_of_its_flags_and_groff_takes_it_without_a_warning() {
    let temp = tempfile::tempdir().unwrap();
    let folder = temp.path().join("man/man1");
    said(&["man", "--out", folder.to_str().unwrap()]);
    let root = o11y_lab::cli::command();
    let commands = commands(&root, "o11y-lab");
    for (name, command) in &commands {
        let page = folder.join(format!("{name}.1"));
        let text = read(&page);
        let shown = command.get_arguments().filter(|arg| !arg.is_hide_set());
        for flag in shown.filter_map(clap::Arg::get_long) {
            assert!(text.contains(&format!("--{flag}")), "{name}: --{flag}\n{text}");
        }
        if name != "o11y-lab" {
            assert!(text.contains("Examples:"), "{name}\n{text}");
        }
        let words: Vec<_> = ["man"].into_iter().chain(name.split('-').skip(2)).collect();
        assert_eq!(said(&words), std::fs::read_to_string(&page).unwrap(), "{words:?}");
    }
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), commands.len(), "and no others");
    let unknown = run(&["man", "queue", "depths"]);
    let why = String::from_utf8(unknown.stderr).unwrap();
    assert!(unknown.status.code() == Some(1) && why.contains("depth, dead"), "{why}");
}

#[test]
fn the_version_says_commit_date_features_and_target_and_the_short_one_is_one_line() {
    assert_eq!(said(&["-V"]), concat!("o11y-lab ", env!("CARGO_PKG_VERSION"), "\n"));
    let long = said(&["--version"]);
    let lines: Vec<_> = long.lines().collect();
    let [name, commit, built, features, target] = &lines[..] else { panic!("{long}") };
    assert_eq!(*name, concat!("o11y-lab ", env!("CARGO_PKG_VERSION")));
    assert!(commit.starts_with("commit: "), "{long}");
    let date = built.strip_prefix("built: ").unwrap_or_else(|| panic!("{long}")).trim();
    assert!(date.parse::<jiff::civil::Date>().is_ok(), "{long}");
    for (feature, built) in [("kafka", cfg!(feature = "kafka")), ("grpc", cfg!(feature = "grpc"))] {
        assert_eq!(features.contains(feature), built, "{long}");
    }
    assert!(target.contains(std::env::consts::ARCH), "{long}");
}

#[test]
fn commit_and_dates_of_a_build_are_those_of_its_environment_and_a_debug_build_asks_no_repository() {
    let temp = tempfile::tempdir().unwrap();
    let script = temp.path().join("script");
    let mut made = Command::new("rustc");
    made.args(["--edition", "2024", "-o"]).arg(&script).arg(root().join("build.rs"));
    assert!(made.status().expect("rustc").success());
    let build = |set: &[(&str, &str)]| {
        let mut script = Command::new(&script);
        script.env_clear().current_dir(root()).env("PROFILE", "debug").envs(set.iter().copied());
        String::from_utf8(script.output().unwrap().stdout).unwrap()
    };
    for (seconds, date) in [
        ("0", "1970-01-01"),
        ("951782399", "2000-02-28"),
        ("951868799", "2000-02-29"),
        ("1735689599", "2024-12-31"),
        ("4107542400", "2100-03-01"),
    ] {
        let said = build(&[("O11Y_LAB_COMMIT", "abc123"), ("SOURCE_DATE_EPOCH", seconds)]);
        assert!(said.contains("O11Y_LAB_BUILD_COMMIT=abc123\n"), "{said}");
        for of in ["BUILD", "BUILD_COMMIT"] {
            assert!(said.contains(&format!("O11Y_LAB_{of}_DATE={date}\n")), "{said}");
        }
    }
    let (before, said, after) = (jiff::Timestamp::now(), build(&[]), jiff::Timestamp::now());
    assert!(said.contains("BUILD_COMMIT=unknown") && said.contains("COMMIT_DATE=unknown"), "{said}");
    // A day may end meanwhile.
    let today = [before, after].map(|time| format!("BUILD_DATE={}", time.strftime("%F")));
    assert!(today.iter().any(|day| said.contains(day)), "{said}");
    // It runs again for what it names here and not for each build: what it says is part of the program.
    assert!(said.contains("cargo:rerun-if-changed=build.rs\n"), "{said}");
    assert!(!said.contains("if-changed=.git"), "each commit would build the tests again: {said}");
}
