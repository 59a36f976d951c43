//! The command that runs while telemetry is waited for: a team's tests, or whatever makes it.

use std::os::fd::AsFd as _;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Child;

use super::super::claim::{Claim, Flaws};
use super::super::stop::Stop;
use crate::config::{VerifyConfig, child};
use crate::schema::Endpoint;

/// How long it may take to end where this program is stopped.
const ENDED_WITHIN: Duration = Duration::from_secs(10);
/// The exit code of a program that an interrupt ended: the terminal has sent it to the command too.
const INTERRUPTED: i32 = 130;

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
///
/// # Errors
/// It was stopped, with this program.
pub(super) async fn run_command(config: &VerifyConfig, stop: &Stop) -> anyhow::Result<CommandEnd> {
    let Some((program, args)) = config.other.command.split_first() else { return Ok(CommandEnd::None) };
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
        Err(error) => return Ok(CommandEnd::NotStarted(error.to_string())),
    };
    let ended = tokio::select! {
        ended = tokio::time::timeout(config.other.command_within, running.wait()) => ended,
        code = stop.wait() => {
            end(&mut running, code).await;
            return Err(Stop::stopped(code));
        }
    };
    Ok(match ended {
        Ok(Ok(status)) => CommandEnd::Exit(status),
        Ok(Err(error)) => CommandEnd::NotStarted(error.to_string()),
        Err(_) => {
            let _ = running.kill().await;
            CommandEnd::TooLong(config.other.command_within)
        }
    })
}

/// Lets it clean up after itself, for a while.
async fn end(running: &mut Child, code: i32) {
    let pid = running.id().and_then(|id| i32::try_from(id).ok());
    if let Some(pid) = pid.filter(|_| code != INTERRUPTED) {
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
    }
    if tokio::time::timeout(ENDED_WITHIN, running.wait()).await.is_err() {
        let _ = running.kill().await;
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
