//! A program of somebody else's as a child of `up`: it cannot watch its standard input, so this does.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use anyhow::{Context as _, bail};
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

/// Time to end after SIGTERM.
const PATIENCE: Duration = Duration::from_secs(10);

/// The program and its arguments.
#[derive(clap::Args, Clone, Debug)]
pub struct Tied {
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

impl Tied {
    /// Runs the program until it ends, or until SIGTERM, SIGINT or the end of standard input ends it.
    ///
    /// # Errors
    /// It could not be started, or ended by itself with anything but success.
    pub async fn run(self) -> anyhow::Result<()> {
        let (program, args) = self.command.split_first().context("no program")?;
        let named = program.to_string_lossy().into_owned();
        let mut command = Command::new(program);
        let child = command.args(args).stdin(std::process::Stdio::null()).kill_on_drop(true).spawn();
        let mut child = child.with_context(|| format!("starting {named}"))?;
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        tokio::select! {
            ended = child.wait() => match ended?.into_raw() {
                0 => Ok(()),
                _ => bail!("{named} ended by itself"),
            },
            () = end_of_input() => end(child).await,
            _ = terminate.recv() => end(child).await,
            _ = interrupt.recv() => end(child).await,
        }
    }
}

async fn end_of_input() {
    let mut stdin = tokio::io::stdin();
    let mut waste = [0; 512];
    while stdin.read(&mut waste).await.is_ok_and(|read| read > 0) {}
}

async fn end(mut child: Child) -> anyhow::Result<()> {
    // No id: it is reaped already, and its pid may be somebody else's by now.
    if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
        let _ = signal::kill(Pid::from_raw(pid), Signal::SIGTERM);
    }
    if tokio::time::timeout(PATIENCE, child.wait()).await.is_err() {
        child.kill().await?;
    }
    // Standard input is read on a thread that nothing wakes; the process must not wait for it.
    std::process::exit(0)
}
