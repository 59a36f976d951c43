//! System calls counted by strace, one for each process, so that each role has its own sum.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use nix::sys::signal::Signal;

use crate::helpers::proc;
use crate::helpers::process::signal_pid;

/// Longest wait until strace has hold of every thread, or has let go of them.
const PATIENCE: Duration = Duration::from_secs(15);

/// Calls by their names.
pub type Calls = BTreeMap<String, u64>;

/// A process whose calls are being counted; it goes on uncounted when this is dropped.
pub struct Counter {
    strace: Child,
    summary: PathBuf,
}

impl Counter {
    /// Counts from when this returns. The summary goes to a file in `folder`.
    pub fn attach(pid: u32, folder: &Path) -> anyhow::Result<Self> {
        let (summary, errors) = (folder.join(format!("{pid}.calls")), folder.join(format!("{pid}.strace")));
        let mut command = Command::new("strace");
        command.args(["-f", "-c", "-p", &pid.to_string(), "-o"]).arg(&summary);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(std::fs::File::create(&errors)?);
        let mut counter = Self { strace: command.spawn().context("strace")?, summary };
        let until = Instant::now() + PATIENCE;
        while !proc::is_traced(pid) {
            let ended = counter.strace.try_wait()?;
            if ended.is_some() || Instant::now() > until {
                let said = std::fs::read_to_string(&errors)?;
                bail!("strace took no hold of {pid}: {}{}", said.trim(), permission());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(counter)
    }

    /// Lets the process go on by itself and reads the sums.
    pub fn finish(mut self) -> anyhow::Result<Calls> {
        signal_pid(self.strace.id(), Signal::SIGINT);
        let until = Instant::now() + PATIENCE;
        while self.strace.try_wait()?.is_none() {
            if Instant::now() > until {
                bail!("strace did not end");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(parse(&std::fs::read_to_string(&self.summary)?))
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        // A process survives its tracer.
        let _ = self.strace.kill();
        let _ = self.strace.wait();
    }
}

/// Attaching to what strace has not started itself may be forbidden.
fn permission() -> String {
    let scope = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default();
    match scope.trim() {
        "" | "0" => String::new(),
        scope => format!(" (kernel.yama.ptrace_scope is {scope}: be root, or set it to 0)"),
    }
}

/// Reads the table of `strace -c`: time, seconds, usecs/call, calls, errors (often empty), name.
pub fn parse(summary: &str) -> Calls {
    let row = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let calls = fields.get(3)?.parse().ok()?;
        let name = *fields.last()?;
        // The rule below the head has no number, and the last line is the sum.
        (fields.len() >= 5 && name != "total").then(|| (name.to_owned(), calls))
    };
    summary.lines().filter_map(row).collect()
}
