//! The tools of tests/tools in Python and JavaScript, with the interpreters that scripts/provision installs.

use std::path::Path;
use std::process::Command;

/// A tool in JavaScript, to be given its arguments.
#[track_caller]
pub fn node(name: &str) -> Command {
    let mut command = tool("node.py");
    command.arg(name);
    command
}

/// A tool, to be given its arguments. Where it is not installed the test fails and says how to get it.
#[track_caller]
pub fn tool(name: &str) -> Command {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = project.join(".tools/venv/bin/python");
    assert!(
        python.exists(),
        "{name} needs {}, which is missing: `make test` (scripts/provision) installs it",
        python.display()
    );
    let mut command = Command::new(python);
    command.arg(project.join("tests/tools").join(name));
    command
}
