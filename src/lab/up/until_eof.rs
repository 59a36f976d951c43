//! Another program as a child of `up`: it cannot watch its standard input, so this does.

use std::ffi::OsString;
use std::io::Write as _;
use std::time::Duration;

use anyhow::Context as _;
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};

use crate::runtime::shutdown::StopSignals;

/// Time to end after SIGTERM. Less than what `up` gives beyond its grace: killed before it has killed
/// its program, this would leave it behind.
const PATIENCE: Duration = Duration::from_secs(3);

/// The program and its arguments.
#[derive(clap::Args, Clone, Debug)]
pub struct UntilEof {
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

impl UntilEof {
    /// Runs the program until it ends, or until a signal to stop or the end of standard input ends it.
    ///
    /// # Errors
    /// It could not be started, or ended by itself with anything but success.
    pub async fn run(self) -> anyhow::Result<()> {
        let (program, args) = self.command.split_first().context("no program")?;
        let named = program.to_string_lossy().into_owned();
        let mut command = Command::new(program);
        // Before it: a signal from now on ends the program as well.
        let mut signals = StopSignals::listen()?;
        let child = command.args(args).stdin(std::process::Stdio::null()).kill_on_drop(true).spawn();
        let mut child = child.with_context(|| format!("starting {named}"))?;
        tokio::select! {
            ended = child.wait() => match ended?.success() {
                true => leave(0),
                false => {
                    let _ = writeln!(std::io::stderr(), "{named} ended by itself");
                    leave(1)
                }
            },
            () = end_of_input() => end(child).await,
            _ = signals.next() => end(child).await,
        }
    }
}

/// Standard input is read on a thread that nothing wakes; the process must not wait for it.
fn leave(code: i32) -> ! {
    std::process::exit(code)
}

async fn end_of_input() {
    let mut stdin = tokio::io::stdin();
    let mut waste = [0; 512];
    while stdin.read(&mut waste).await.is_ok_and(|read| read > 0) {}
}

async fn end(mut child: Child) -> anyhow::Result<()> {
    // No id: it is reaped already, and its pid may be another process's by now.
    if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
        let _ = signal::kill(Pid::from_raw(pid), Signal::SIGTERM);
    }
    if tokio::time::timeout(PATIENCE, child.wait()).await.is_err() {
        child.kill().await?;
    }
    leave(0)
}
