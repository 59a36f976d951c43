//! One process of a child: started, fed and ended.
//!
//! Its standard input is its lifeline: however `up` ends, the pipe closes with it and the child
//! drains by itself.

use std::convert::Infallible;
use std::io;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child as Process, ChildStdin, Command};
use tokio::sync::mpsc;

use super::spec::{ChildSpec, Program};

/// The most lines of the feed that travel in one write.
const BATCH: usize = 256;
/// How long a line waits for others to travel with: each write wakes the console once.
const GATHER: Duration = Duration::from_millis(10);
/// The kernel ends a killed process at once, unless it hangs in a system call.
const KILLED_WITHIN: Duration = Duration::from_secs(1);

/// Starts `child` with all three standard streams piped.
pub(super) fn start(program: &Program, child: &ChildSpec) -> io::Result<Process> {
    let mut command = Command::new(&program.exe);
    child.environment.apply(&mut command);
    command
        .args(&program.args)
        .arg(child.command)
        .args(&child.args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A group of its own: Ctrl-C reaches us alone, and we stop the children in order.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

/// SIGTERM; whether the process was gone within `patience`.
pub(super) async fn terminate(process: &mut Process, patience: Duration) -> bool {
    // No id: it is reaped already, and its pid may be another process's by now.
    let Some(pid) = process.id().and_then(|pid| i32::try_from(pid).ok()) else { return true };
    let _ = signal::kill(Pid::from_raw(pid), Signal::SIGTERM);
    tokio::time::timeout(patience, process.wait()).await.is_ok()
}

/// SIGKILL.
pub(super) async fn kill(process: &mut Process) {
    let _ = process.start_kill();
    let _ = tokio::time::timeout(KILLED_WITHIN, process.wait()).await;
}

/// Keeps the pipe open, writing what `feed` brings, for as long as this is not dropped.
pub(super) async fn hold(
    mut stdin: Option<ChildStdin>,
    feed: Option<&mut mpsc::Receiver<String>>,
) -> Infallible {
    if let (Some(stdin), Some(feed)) = (stdin.as_mut(), feed) {
        let mut lines = Vec::with_capacity(BATCH);
        while feed.recv_many(&mut lines, BATCH).await > 0 {
            if lines.len() < BATCH {
                tokio::time::sleep(GATHER).await;
                let room = BATCH - lines.len();
                lines.extend(std::iter::from_fn(|| feed.try_recv().ok()).take(room));
            }
            lines.push(String::new());
            if stdin.write_all(lines.join("\n").as_bytes()).await.is_err() {
                break;
            }
            lines.clear();
        }
    }
    std::future::pending().await
}
