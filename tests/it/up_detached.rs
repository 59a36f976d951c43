//! A lab that runs, seen by its data folder: in the background by `up --detach`, and in a terminal.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use nix::sys::signal::Signal;
use nix::unistd::{Pid, getpgid, getsid};
use o11y_lab::schema::{Endpoint, Ports, Role};
use serde_json::Value;

use crate::helpers::process::{children, is_alive, signal_pid};
use crate::helpers::{Lab, bin, eventually, free_port_base, get, http};
use crate::readme::{Shell, commands};

/// A data folder with a lab of one role in the background; ended when dropped.
struct Background {
    temp: tempfile::TempDir,
    base: u16,
}

impl Background {
    fn new() -> Self {
        Self { temp: tempfile::tempdir().unwrap(), base: free_port_base() }
    }

    fn dir(&self) -> PathBuf {
        self.temp.path().join("data")
    }

    fn up(&self, args: &[&str]) -> Output {
        let mut command = self.command("up");
        command.args(["--detach", "--role", "notify", "--port-base", &self.base.to_string()]).args(args);
        command.output().unwrap()
    }

    fn command(&self, name: &str) -> Command {
        let mut command = bin();
        command.arg(name).arg("--data-dir").arg(self.dir()).stdin(Stdio::null());
        command
    }

    fn run(&self, name: &str, args: &[&str]) -> (i32, String, String) {
        ended(self.command(name).args(args).output().unwrap())
    }

    fn status(&self) -> Value {
        serde_json::from_str(&self.run("status", &["--json"]).1).unwrap_or_default()
    }

    fn state(&self) -> Value {
        let text = std::fs::read_to_string(self.dir().join("up.json")).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    fn pid(&self) -> u32 {
        self.state()["pid"].as_u64().expect("a pid") as u32
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // Only of a lab that runs: a pid that was left is a stranger's by now.
        if let Some(pid) = self.status()["pid"].as_u64() {
            signal_pid(pid as u32, Signal::SIGKILL);
        }
    }
}

fn ended(done: Output) -> (i32, String, String) {
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (done.status.code().expect("a code"), text(done.stdout), text(done.stderr))
}

#[track_caller]
fn started(lab: &Background) -> String {
    let (code, out, err) = ended(lab.up(&[]));
    assert_eq!(code, 0, "{out}{err}");
    out
}

fn notify(base: u16) -> String {
    format!("http://127.0.0.1:{}", Ports::from_base(base).of(Role::Notify))
}

#[test]
fn a_detached_lab_is_ready_tells_of_itself_outlives_its_terminal_and_down_drains_it() {
    let lab = Background::new();
    let out = started(&lab);
    let pid = lab.pid();
    assert!(out.contains("notification-service  ") && out.contains(&format!("Pid:   {pid}\n")), "{out}");
    assert!(out.contains("Stop:  o11y-lab down --data-dir ") && !out.contains('\0'), "{out}");
    assert_eq!(get(&format!("{}/ready", notify(lab.base))).status, 200);
    let number = Pid::from_raw(pid as i32);
    assert_eq!(
        (getsid(Some(number)), getpgid(Some(number))),
        (Ok(number), Ok(number)),
        "a session of its own"
    );
    let mode = |file: &str| std::fs::metadata(lab.dir().join(file)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("up.json"), mode("up.log")), (0o600, 0o600));

    let status = lab.status();
    let programs = status["programs"].as_array().unwrap();
    assert_eq!((status["pid"].as_u64(), programs.len()), (Some(u64::from(pid)), 2), "{status:#}");
    let role = programs.iter().find(|row| row["name"] == "notification-service").unwrap();
    assert_eq!(
        (&role["ready"], &role["restarts"], &role["deadLetters"]),
        (&true.into(), &0.into(), &0.0.into())
    );
    let (code, table, _) = lab.run("status", &[]);
    assert!(code == 0 && table.contains(&notify(lab.base)) && table.contains("  ready"), "{table}");

    let (code, lines, err) = lab.run("logs", &["--lines", "1000"]);
    assert!(code == 0 && lines.contains("up                   | starting; data in "), "{lines}{err}");
    let (_, own, _) = lab.run("logs", &["notify"]);
    assert!(
        own.lines().count() > 0 && own.lines().all(|line| line.starts_with("notification-service |")),
        "{own}"
    );
    let (code, page, err) = lab.run("open", &[]);
    let console = format!("http://127.0.0.1:{}\n", Ports::from_base(lab.base).at(Endpoint::Console));
    assert_eq!((code, page, err), (0, console, String::new()));

    let pids = children(pid);
    let (code, said, err) = lab.run("down", &[]);
    assert!(code == 0 && said.starts_with(&format!("stopped (pid {pid}) after ")), "{said}{err}");
    assert!(!is_alive(pid) && pids.len() == 2 && pids.iter().all(|pid| !is_alive(*pid)));
    assert!(!lab.dir().join("up.json").exists());
    let (_, last, note) = lab.run("logs", &["up"]);
    assert!(last.ends_with("| stopped\n") && note.contains("no lab runs"), "{last}{note}");
    assert!(lab.run("down", &[]).1.starts_with("no lab runs on the data in "));
}

#[test]
fn a_second_lab_on_the_same_data_is_told_that_one_runs_already() {
    let lab = Background::new();
    started(&lab);
    let pid = lab.pid();
    let (code, out, err) = ended(lab.up(&["--fresh"]));
    assert!(
        code == 1
            && out.is_empty()
            && err.contains(&format!("runs already on the data in {}", lab.dir().display()))
    );
    assert!(err.contains(&format!("pid {pid}")), "{err}");
    assert_eq!(lab.pid(), pid);
    assert_eq!(lab.run("status", &[]).0, 0);
}

#[test]
fn a_killed_lab_is_seen_as_gone_whatever_it_has_left_and_the_next_one_starts() {
    let lab = Background::new();
    started(&lab);
    let pid = lab.pid();
    signal_pid(pid, Signal::SIGKILL);
    let (_, _, err) =
        eventually("it is seen as gone", || Some(lab.run("status", &[])).filter(|ended| ended.0 == 3));
    assert!(
        err.contains("no lab runs on the data in ") && lab.state()["pid"].as_u64() == Some(u64::from(pid))
    );
    for command in ["open", "status"] {
        assert_eq!(lab.run(command, &[]).0, 3, "{command}");
    }
    assert_eq!(lab.run("down", &[]).0, 0);
    // Its children end with it, and their ports are free again then.
    eventually("the port is free", || {
        http::try_send("GET", &notify(lab.base), &[], None).is_none().then_some(())
    });
    eventually("another one starts", || lab.up(&[]).status.success().then_some(()));
    assert_ne!(lab.pid(), pid);
}

#[test]
fn a_detached_lab_that_cannot_work_says_why_ends_as_up_does_and_leaves_nothing_behind() {
    let lab = Background::new();
    let taken =
        std::net::TcpListener::bind(("127.0.0.1", Ports::from_base(lab.base).of(Role::Notify))).unwrap();
    let (code, out, err) = ended(lab.up(&[]));
    assert!(code == 1 && out.is_empty() && err.contains("(notification-service)"), "{out}{err}");
    drop(taken);
    let mut wrong = lab.command("up");
    wrong.args(["--detach", "--role", "notify", "--port-base", &lab.base.to_string()]);
    wrong.env("QUEUE_TRANSPORT", "redis").env("REDIS_URL", "");
    let (code, _, err) = ended(wrong.output().unwrap());
    assert!(code == 1 && err.contains("REDIS_URL"), "{err}");
    assert_eq!(lab.run("status", &[]).0, 3);
    assert!(!lab.dir().join("up.json").exists());
}

#[test]
fn a_child_that_was_killed_counts_as_a_restart() {
    let lab = Background::new();
    started(&lab);
    let role =
        || lab.status()["programs"].as_array().and_then(|rows| rows.last().cloned()).unwrap_or_default();
    let pid = role()["pid"].as_u64().unwrap();
    signal_pid(pid as u32, Signal::SIGKILL);
    let again = eventually("it is ready again", || {
        Some(role()).filter(|row| row["restarts"] == 1 && row["ready"] == true)
    });
    assert_ne!(again["pid"].as_u64(), Some(pid));
}

#[test]
fn a_follower_of_the_log_has_each_line_and_ends_with_the_lab() {
    let lab = Background::new();
    started(&lab);
    let mut command = lab.command("logs");
    command.args(["--follow", "--lines", "1"]);
    let mut follower = crate::helpers::Process::spawn(command);
    eventually("the last line", || (!follower.stdout().is_empty()).then_some(()));
    assert_eq!(lab.run("down", &[]).0, 0);
    assert!(follower.wait().success(), "{}", follower.stderr());
    eventually("the last word", || follower.stdout().ends_with("| stopped\n").then_some(()));
}

#[test]
fn a_follower_that_wants_no_earlier_line_has_only_those_that_come() {
    let lab = Background::new();
    let (code, _, why) = lab.run("logs", &["--lines", "0"]);
    assert!(code == 2 && why.contains("--follow"), "{why}");
    started(&lab);
    let mut command = lab.command("logs");
    command.args(["--follow", "--lines", "0"]);
    let mut follower = crate::helpers::Process::spawn(command);
    // It has the file open, and with that its end.
    let files = format!("/proc/{}/fd", follower.pid());
    eventually("it reads", || {
        let open = std::fs::read_dir(&files).ok()?.flatten();
        open.filter_map(|file| std::fs::read_link(file.path()).ok())
            .any(|to| to.ends_with("up.log"))
            .then_some(())
    });
    assert_eq!(lab.run("down", &[]).0, 0);
    assert!(follower.wait().success(), "{}", follower.stderr());
    let lines =
        eventually("the last word", || Some(follower.stdout()).filter(|out| out.ends_with("| stopped\n")));
    assert!(!lines.contains("| starting; data in "), "{lines}");
}

#[test]
fn a_lab_in_a_terminal_is_found_too_and_its_lines_are_the_consoles() {
    let lab = Lab::shared();
    let run = |name: &str, args: &[&str]| {
        ended(bin().arg(name).arg("--data-dir").arg(Path::new(&lab.dir)).args(args).output().unwrap())
    };
    let (code, table, err) = run("status", &[]);
    assert!(code == 0 && table.contains("lines go to its terminal"), "{table}{err}");
    let order = lab.order(lab.user());
    let trace = order.trace_id();
    eventually("the order's line", || {
        let (code, lines, _) = run("logs", &["order", "--lines", "1000"]);
        (code == 0
            && lines.lines().all(|line| line.starts_with("order-service"))
            && lines.contains(&trace[..8]))
        .then_some(())
    });
    let (code, _, err) = run("logs", &["--follow"]);
    assert!(code == 1 && err.contains("runs in a terminal"), "{err}");
    assert!(err.contains("up --detach") && err.contains("tail -f"), "what to do instead: {err}");
}

/// Ends a lab also where a step before its end failed.
struct Ended<'a>(&'a Shell);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        let _ = self.0.command("o11y-lab down").output();
    }
}

#[test]
fn the_readmes_day_goes_as_printed() {
    let temp = tempfile::tempdir().unwrap();
    let shell = Shell::new(temp.path());
    let _ended = Ended(&shell);
    let said: Vec<_> = commands("Day by day").iter().map(|line| shell.run(line)).collect();
    let [doctor, up, status, _logs, open, settings, down] = &said[..] else { panic!("{said:#?}") };
    assert!(doctor.contains("ok    ports") && !doctor.contains("fail"), "{doctor}");
    assert!(up.contains("Stop:  o11y-lab down") && status.matches("  ready").count() == 6, "{up}{status}");
    assert!(
        open.starts_with("http://127.0.0.1:") && settings.contains("--queue-transport"),
        "{open}{settings}"
    );
    assert!(down.starts_with("stopped (pid "), "{down}");
}
