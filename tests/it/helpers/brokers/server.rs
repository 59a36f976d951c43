//! A server process that ends with this test process, however that ends.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::helpers::eventually_within;

/// A cold RabbitMQ beside four other brokers takes its time.
const READY_WITHIN: Duration = Duration::from_secs(90);

/// Its standard input ends with us, and then it removes the folder and kills its whole process
/// group. Statics are never dropped and a parent-death signal would come when the starting thread
/// ends, so neither would do.
const WRAPPER: &str = r#""$@" & cat >/dev/null; rm -rf "$0"; kill -9 0"#;

/// Knows how to start one server again and again.
pub struct Server {
    name: &'static str,
    command: Box<dyn Fn() -> Command + Send + Sync>,
    answers: Box<dyn Fn() -> bool + Send + Sync>,
    folder: PathBuf,
    running: Mutex<Option<(Child, ChildStdin)>>,
}

impl Server {
    /// Starts it. `answers` says whether it serves; what it prints goes to a file in `folder`.
    pub fn start(
        name: &'static str,
        folder: &Path,
        command: impl Fn() -> Command + Send + Sync + 'static,
        answers: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Self {
        let server = Self {
            name,
            command: Box::new(command),
            answers: Box::new(answers),
            folder: folder.to_owned(),
            running: Mutex::new(None),
        };
        server.run();
        server
    }

    /// Starts it again, and waits until it answers.
    pub fn run(&self) {
        let inner = (self.command)();
        let log = self.folder.join(format!("{}.out", self.name));
        let out = std::fs::File::options().create(true).append(true).open(&log).expect("a log file");
        let mut outer = Command::new("sh");
        outer.args(["-c", WRAPPER]).arg(&self.folder).arg(inner.get_program()).args(inner.get_args());
        for (name, value) in inner.get_envs() {
            match value {
                Some(value) => outer.env(name, value),
                None => outer.env_remove(name),
            };
        }
        outer.stdin(Stdio::piped()).stdout(out.try_clone().expect("a file")).stderr(out).process_group(0);
        let mut child = outer.spawn().expect("sh starts");
        let stdin = child.stdin.take().expect("a pipe");
        *self.running.lock().expect("no poison") = Some((child, stdin));
        let said = || std::fs::read_to_string(&log).unwrap_or_default();
        eventually_within(READY_WITHIN, &format!("{} answers; see {}", self.name, log.display()), || {
            let over = said().contains("not found");
            assert!(!over, "{} did not start: {}", self.name, said());
            (self.answers)().then_some(())
        });
    }

    /// Kills it and all it started.
    pub fn kill(&self) {
        if let Some((mut child, _stdin)) = self.running.lock().expect("no poison").take() {
            let _ = killpg(Pid::from_raw(child.id() as i32), Signal::SIGKILL);
            let _ = child.wait();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The path of a program, or a failure that says how to get it.
pub fn program(name: &str, found: Option<PathBuf>) -> PathBuf {
    found.unwrap_or_else(|| panic!("{name} is not installed; scripts/provision installs it"))
}

/// Looks a program up on the PATH.
pub fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}
