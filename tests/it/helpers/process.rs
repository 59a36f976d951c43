//! Processes that tests start, signal by pid and always end.

use std::io::Read;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use o11y_lab::config::LIFELINE_VARIABLE;

use super::eventually_within;
pub use super::proc::{child_named, children, is_alive};

/// The binary under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_o11y-lab");

/// The binary under test, with an environment that holds nothing of the tester's own settings.
pub fn bin() -> Command {
    if !hang_ups_are_ignored() {
        return clean(Command::new(PROGRAM));
    }
    // Tests that `nohup` started hand that on, and a hang-up means nothing then.
    let mut command = Command::new("/usr/bin/env");
    command.args(["--default-signal=HUP", PROGRAM]);
    clean(command)
}

/// Whether this process was told to ignore SIGHUP, which is signal 1 (proc_pid_status(5)).
fn hang_ups_are_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

/// Any program, with that environment. A lab that tests share is dropped by nobody: it stops because
/// its standard input ends with the tests.
pub fn clean(mut command: Command) -> Command {
    command.env_clear().env(LIFELINE_VARIABLE, "stdin");
    for keep in ["PATH", "HOME", "TMPDIR", "LANG"] {
        if let Some(value) = std::env::var_os(keep) {
            command.env(keep, value);
        }
    }
    // Who tests the export of logs or metrics asks for it.
    command.env("OTEL_LOGS_EXPORTER", "none").env("OTEL_METRICS_EXPORTER", "prometheus");
    command
}

/// A child process with its output kept; killed when dropped.
pub struct Process {
    child: Child,
    stdout: Arc<Mutex<String>>,
    stderr: Arc<Mutex<String>>,
}

impl Process {
    /// Starts a process; its standard input stays open, and empty, for as long as this is there.
    pub fn spawn(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).stdin(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let stdout = collect(child.stdout.take());
        let stderr = collect(child.stderr.take());
        Self { child, stdout, stderr }
    }

    /// The same, with standard output left to the caller.
    pub fn spawn_unread(mut command: Command) -> (Self, ChildStdout) {
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).stdin(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let unread = child.stdout.take().expect("a pipe");
        let stderr = collect(child.stderr.take());
        (Self { child, stdout: Arc::default(), stderr }, unread)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn stdout(&self) -> String {
        self.stdout.lock().expect("no poison").clone()
    }

    pub fn stderr(&self) -> String {
        self.stderr.lock().expect("no poison").clone()
    }

    pub fn signal(&self, signal: Signal) {
        signal_pid(self.pid(), signal);
    }

    /// The exit status, once there is one.
    pub fn try_wait(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child of ours")
    }

    /// Waits for the end.
    ///
    /// Not `Child::wait`, which would close standard input: to the program that is a reason to stop.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        eventually_within(Duration::from_secs(40), "the process ended", || self.try_wait())
    }

    /// SIGTERM, then waits for the end.
    #[track_caller]
    pub fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.wait()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.try_wait().is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn collect(stream: Option<impl Read + Send + 'static>) -> Arc<Mutex<String>> {
    let text = Arc::new(Mutex::new(String::new()));
    let sink = text.clone();
    if let Some(mut stream) = stream {
        std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(n @ 1..) = stream.read(&mut buffer) {
                sink.lock().expect("no poison").push_str(&String::from_utf8_lossy(&buffer[..n]));
            }
        });
    }
    text
}

/// Sends a signal to one process.
/// Whether a process has a handler of its own for a signal.
pub fn catches(pid: u32, signal: Signal) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal as i32 - 1) & 1 == 1)
}

pub fn signal_pid(pid: u32, signal: Signal) {
    let _ = kill(Pid::from_raw(pid as i32), signal);
}
