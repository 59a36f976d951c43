//! The README's walks, word by word: its commands are run as they stand there, by a shell.
//!
//! Only the place differs: `o11y-lab` is the program under test, and the environment moves ports and data.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use o11y_lab::schema::PORT_BASE;
use serde_json::Value;

use crate::helpers::process::clean;
use crate::helpers::rules::root;
use crate::helpers::{Lab, Process, eventually, free_port_base, get};

fn readme() -> String {
    std::fs::read_to_string(root().join("README.md")).unwrap()
}

/// The commands of all blocks below a heading of the README.
#[track_caller]
pub fn commands(heading: &str) -> Vec<String> {
    let text = readme();
    let section = text.split(&format!("\n## {heading}\n")).nth(1).expect(heading);
    let section = section.split("\n## ").next().unwrap_or_default();
    let blocks = section.split("```").skip(1).step_by(2);
    blocks.flat_map(str::lines).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// A reader's shell.
pub struct Shell {
    base: u16,
    data: PathBuf,
    path: String,
}

impl Shell {
    /// A shell whose `o11y-lab` is the program under test, on free ports, with its data below `dir`.
    pub fn new(dir: &Path) -> Self {
        let programs = dir.join("programs");
        std::fs::create_dir_all(&programs).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_o11y-lab"), programs.join("o11y-lab")).unwrap();
        let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap_or_default());
        Self { base: free_port_base(), data: dir.join("data"), path }
    }

    /// A line of the README as a process of its own; the default ports in URLs are the lab's.
    pub fn command(&self, line: &str) -> Command {
        let moved = (0..10).fold(line.to_owned(), |line, n| {
            line.replace(&format!("127.0.0.1:{}/", PORT_BASE + n), &format!("127.0.0.1:{}/", self.base + n))
        });
        let mut command = clean(Command::new("sh"));
        command.args(["-c", &format!("exec {moved}")]).env("PATH", &self.path);
        command.env("PORT_BASE", self.base.to_string()).env("DATA_DIR", &self.data);
        command.env("UP_QUIET", "true").env("UP_LOGS", self.data.with_extension("log"));
        command
    }

    /// What a line says; it must succeed.
    #[track_caller]
    pub fn run(&self, line: &str) -> String {
        let done = self.command(line).stdin(Stdio::null()).output().expect("a shell");
        assert!(done.status.success(), "{line}: {done:?}");
        String::from_utf8(done.stdout).expect("text")
    }

    /// The lab of a line that starts it.
    #[track_caller]
    pub fn up(&self, line: &str) -> Lab {
        assert!(line.starts_with("o11y-lab up"), "{line}");
        Lab::adopt(Process::spawn(self.command(line)), &self.data, self.base)
    }

    /// The JSON that a line of `curl` prints.
    #[track_caller]
    pub fn json(&self, line: &str) -> Value {
        assert!(line.starts_with("curl "), "{line}");
        let said = self.run(&line.replacen("curl ", "curl --silent --show-error ", 1));
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{line}: {error}: {said}"))
    }
}

#[test]
fn the_first_walk_goes_as_printed_on_fresh_state_and_after_another_up() {
    let temp = tempfile::tempdir().unwrap();
    let shell = Shell::new(temp.path());
    let lines = commands("Two commands");
    let [up, test, user, order, install] = &lines[..] else { panic!("{lines:#?}") };
    assert!(test.starts_with("make test ") && install == "cargo install --locked --path .", "{lines:#?}");
    let up = up.strip_prefix("cargo run --release -- ").map(|args| format!("o11y-lab {args}"));
    let up = &up.expect("the first command builds and starts");
    for first in [true, false] {
        let mut lab = shell.up(up);
        let answer = shell.json(user);
        let expected = if first { ("id", Value::from(1)) } else { ("status", Value::from(409)) };
        assert_eq!(answer[expected.0], expected.1, "{answer}");
        let answer = shell.json(order);
        assert_eq!(answer["total"], 49.99, "{answer}");
        lab.wait_notifications(answer["id"].as_i64().unwrap(), 1);
        assert_eq!(get(&lab.console("/")).status, 200);

        // What `up` itself suggests works each time.
        let table = eventually("the table", || Some(lab.up.stdout()).filter(|out| out.contains("Stop:")));
        let lines: Vec<_> =
            table.lines().filter_map(|line| line.find("curl ").map(|at| line[at..].to_owned())).collect();
        assert_eq!(lines.len(), 2, "{table}");
        for line in &lines {
            let answer = shell.json(line);
            assert!(answer["id"].is_u64(), "{line}: {answer}");
        }
        let verify = commands("Did everything arrive?");
        let [verify] = &verify[..] else { panic!("{verify:#?}") };
        let said = shell.run(verify);
        assert!(said.contains(": 48 requests in ") && said.ends_with(" claims hold\n"), "{said}");
        assert!(lab.up.stop().success());
    }
}

#[test]
fn the_readme_names_the_least_rust_version_and_all_that_make_test_installs() {
    let text = readme();
    assert!(text.contains(&format!("Rust {} or newer", env!("CARGO_PKG_RUST_VERSION"))));
    let help = Command::new(root().join("scripts/provision")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let things = help.lines().filter(|line| line.starts_with("  ") && !line.contains("--aws"));
    let names: Vec<_> = things.filter_map(|line| line.get(2..16)).map(str::trim).collect();
    let names: Vec<_> = names.into_iter().filter(|name| !name.is_empty()).collect();
    assert!(names.len() >= 10, "{help}");
    for name in names {
        assert!(text.to_lowercase().contains(&name.to_lowercase()), "{name}: {help}");
    }
}

#[test]
fn the_way_of_a_page_is_one_that_the_live_test_walks() {
    let lines = commands("A page, from the fault to the repair");
    let starts = [
        "o11y-lab up --with ",
        "o11y-lab load ",
        "o11y-lab fault set ",
        "curl ",
        "o11y-lab fault clear ",
        "curl ",
    ];
    assert_eq!(lines.len(), starts.len(), "{lines:#?}");
    assert!(lines.iter().zip(starts).all(|(line, start)| line.starts_with(start)), "{lines:#?}");
    // A reader may take longer than a fault lasts by itself, or the page than a reader waits.
    assert!(lines[2].contains("--seconds 3600"), "{}", lines[2]);
}
