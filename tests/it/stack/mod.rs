//! The image and the compose stack, run by a Docker engine: `make test-stack`, which gets the engine and the images and
//! says by variables what there is. Each part of it is one test, and its checks are rows of a report.

mod checks;
mod compose;
mod image;
mod kills;
mod profiles;
mod report;

use std::process::Command;

/// The port of the stack's gateway; the other roles' follow.
const PORT_BASE: u16 = 3000;
const JAEGER: &str = "http://127.0.0.1:16686";
const PROMETHEUS: &str = "http://127.0.0.1:9090";
const VICTORIALOGS: &str = "http://127.0.0.1:9428";
const LOKI: &str = "http://127.0.0.1:3110";
const IMAGE: &str = "o11y-lab:local";

/// Whether images stand in for those that compose.yaml pins: then Grafana, Loki, Alloy and the socket proxy are not there.
fn with_stand_ins() -> bool {
    std::env::var_os("STACK_STAND_INS").is_some()
}

/// A call of the engine that may take this many seconds.
fn docker(seconds: u32, args: &[&str]) -> Command {
    let mut command = Command::new("timeout");
    command.arg(seconds.to_string()).arg("docker").args(args);
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

/// What a call of the engine prints; it has to succeed.
#[track_caller]
fn ask(args: &[&str]) -> String {
    printed(docker(60, args))
}

#[track_caller]
fn printed(mut command: Command) -> String {
    let done = command.output().expect("docker");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{command:?}: {said}");
    String::from_utf8_lossy(&done.stdout).trim().to_owned()
}
