//! The command that runs while telemetry is waited for: a team's tests, or whatever makes it.

use std::os::fd::AsFd as _;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use super::super::claim::{Claim, Flaws};
use crate::config::{VerifyConfig, child};
use crate::schema::Endpoint;

/// What became of it.
pub(super) enum CommandEnd {
    /// There is none.
    None,
    /// It cannot be started.
    NotStarted(String),
    /// It took longer than it may, and was killed.
    TooLong(Duration),
    /// It ended.
    Exit(ExitStatus),
}

/// Runs it to its end. What it writes to standard output goes to standard error: standard output is the report.
/// Where its environment says nothing else, OpenTelemetry's exporters in it send to the console.
pub(super) async fn run_command(config: &VerifyConfig) -> CommandEnd {
    let Some((program, args)) = config.other.command.split_first() else { return CommandEnd::None };
    let mut command = tokio::process::Command::new(program);
    command.args(args).kill_on_drop(true);
    if let Ok(stderr) = std::io::stderr().as_fd().try_clone_to_owned() {
        command.stdout(Stdio::from(stderr));
    }
    if std::env::var_os(child::OTLP_ENDPOINT).is_none_or(|value| value.is_empty()) {
        let port = config.ports.ports().at(Endpoint::Otlp);
        command.env(child::OTLP_ENDPOINT, format!("http://127.0.0.1:{port}"));
        if std::env::var_os(child::OTLP_PROTOCOL).is_none_or(|value| value.is_empty()) {
            command.env(child::OTLP_PROTOCOL, "http/protobuf");
        }
    }
    let mut running = match command.spawn() {
        Ok(running) => running,
        Err(error) => return CommandEnd::NotStarted(error.to_string()),
    };
    match tokio::time::timeout(config.other.command_within, running.wait()).await {
        Ok(Ok(status)) => CommandEnd::Exit(status),
        Ok(Err(error)) => CommandEnd::NotStarted(error.to_string()),
        Err(_) => {
            let _ = running.kill().await;
            CommandEnd::TooLong(config.other.command_within)
        }
    }
}

impl CommandEnd {
    /// Whether there is something to wait for.
    pub(super) fn was_run(&self) -> bool {
        !matches!(self, Self::NotStarted(_))
    }

    /// Its row in the report.
    pub(super) fn claim(&self) -> Option<Claim> {
        let mut flaws = Flaws::default();
        match self {
            Self::None => return None,
            Self::NotStarted(why) => flaws.add(format!("it cannot be started: {why}"), String::new),
            Self::TooLong(within) => {
                flaws.add(format!("it did not end within {within:?} and was killed"), String::new);
            }
            Self::Exit(status) if status.success() => {}
            Self::Exit(status) => flaws.add(status.to_string(), String::new),
        }
        Some(Claim::of("command.exit", "client", "the command ends with exit code 0", &flaws))
    }
}
