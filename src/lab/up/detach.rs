//! `up --detach`: the lab as a process of its own, which this one starts, and leaves once it is ready.
//!
//! Until then the new process has this one's standard output and error as pipes, and says there what `up` says on a
//! terminal. It ends the first with [`READY`] and gives up both: its lines go to a file in the data folder from then on.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use anyhow::Context as _;
use nix::unistd::{dup2_stderr, dup2_stdout, setsid};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use super::process::terminate;
use super::spec::Program;
use super::state::{FoundLab, find};
use crate::config::{DETACHED_VARIABLE, LIFELINE_VARIABLE, UpConfig};
use crate::runtime::shutdown::StopSignals;

/// The last byte of standard output: no text has it.
const READY: u8 = 0;
/// The most that is said before that, in bytes.
const LONGEST: u64 = 1 << 20;

/// Whether this process is the one that is left behind.
pub(super) fn is_detached() -> bool {
    std::env::var_os(DETACHED_VARIABLE).is_some_and(|value| !value.is_empty())
}

/// Starts this command line again as a process of its own, and returns once it is ready. Where it fails, this process
/// ends as it did.
///
/// # Errors
/// A lab runs on the data already, or no process could be started.
pub(super) async fn start(config: &UpConfig, folder: &Path) -> anyhow::Result<()> {
    if let FoundLab::Running(lab) = find(folder)? {
        anyhow::bail!(
            "a lab runs already on the data in {} (pid {}, {}): `o11y-lab down` ends it, or start this one with its \
             own --data-dir and --port-base",
            folder.display(),
            lab.pid,
            lab.console
        );
    }
    let program = Program::this().context("finding this program")?;
    let mut signals = StopSignals::listen()?;
    let mut child = Command::new(&program.exe)
        .args(std::env::args_os().skip(1))
        .env(DETACHED_VARIABLE, "true")
        .env_remove(LIFELINE_VARIABLE)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("starting the lab, which takes /dev/null for its input")?;
    let (stdout, stderr) =
        (child.stdout.take().context("its output")?, child.stderr.take().context("its errors")?);
    let mut said = Vec::new();
    let talk = async {
        let (mut stderr, mut ours) = (stderr, tokio::io::stderr());
        let _ = tokio::io::copy(&mut stderr, &mut ours).await;
        let _ = ours.flush().await;
    };
    let mut stdout = stdout.take(LONGEST);
    let table = stdout.read_to_end(&mut said);
    let interrupted = tokio::select! {
        _ = async { tokio::join!(talk, table) } => None,
        code = signals.next() => Some(code),
    };
    let ready = said.pop_if(|last| *last == READY).is_some();
    let _ = std::io::stdout().write_all(&said);
    if let Some(code) = interrupted {
        terminate(&mut child, super::longest_drain(config.shutdown_grace)).await;
        std::process::exit(code);
    }
    if ready {
        return Ok(());
    }
    let status = child.wait().await.context("waiting for the lab")?;
    // It has said why.
    std::process::exit(status.code().unwrap_or(1))
}

/// Leaves the terminal and the shell's job behind: no signal of theirs comes any more.
///
/// # Errors
/// The process leads a group already.
pub(super) fn leave_the_terminal() -> anyhow::Result<()> {
    setsid()
        .map(drop)
        .with_context(|| format!("a session of its own ({DETACHED_VARIABLE} is for `up --detach`)"))
}

/// Tells the one that waits that the lab is ready, and lets go of it. What still writes to standard error, as a panic
/// does, writes to the log file.
///
/// # Errors
/// The file cannot be opened.
pub(super) fn let_go(log: &Path) -> std::io::Result<()> {
    let mut stdout = std::io::stdout();
    // Whoever waited may be gone; the lab runs all the same.
    let _ = stdout.write_all(&[READY]).and_then(|()| stdout.flush());
    let nothing = File::options().write(true).open("/dev/null");
    let nothing =
        nothing.map_err(|error| std::io::Error::new(error.kind(), format!("/dev/null: {error}")))?;
    let log = File::options().append(true).create(true).open(log)?;
    dup2_stdout(&nothing)?;
    dup2_stderr(&log)?;
    Ok(())
}
