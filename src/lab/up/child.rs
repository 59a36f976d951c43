//! The supervisor of one child: starts it, watches it, restarts it, stops it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::process::Child as Process;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::lines::each_line;
use super::machine::{AfterExit, ChildExit, ChildState, Lifecycle};
use super::output::Outputs;
use super::probe::{Probe, ProbeAnswer};
use super::process;
use super::spec::{ChildSpec, Program};
use super::state::{ChildRecord, now};
use crate::runtime::STOPPED;

/// Lines of standard error kept for the report on a child that is not started again.
const LAST_WORDS: usize = 10;
/// A process that has ended may have left its pipes to one that has not.
const PIPES_CLOSE_WITHIN: Duration = Duration::from_millis(500);
/// What a child gets beyond its own grace before it is killed: the time to refuse the last requests,
/// and to flush its spans to a slow collector.
pub(in crate::lab) const BEYOND_GRACE: Duration = Duration::from_secs(5);

/// The context that all supervisors share.
pub(super) struct SupervisorContext {
    pub(super) program: Program,
    pub(super) outputs: Outputs,
    /// The time children have to finish work in flight.
    pub(super) grace: Duration,
    /// Takes the reason when a child is not started again.
    pub(super) fatal: mpsc::Sender<anyhow::Error>,
}

/// The status of a child.
#[derive(Clone, Debug)]
pub(super) struct ChildStatus {
    pub(super) state: ChildState,
    pub(super) pid: Option<u32>,
    /// Why it is not ready, where that is known.
    pub(super) reason: Option<String>,
    /// How often it was started before this.
    pub(super) restarts: u32,
    /// When this process was started, RFC 3339; none of it before the first.
    pub(super) since: Option<String>,
}

impl ChildStatus {
    fn first() -> Self {
        Self { state: ChildState::Starting, pid: None, reason: None, restarts: 0, since: None }
    }
}

/// A child under supervision, seen from outside.
pub(super) struct Supervised {
    pub(super) child: ChildSpec,
    status: watch::Receiver<ChildStatus>,
    stop: CancellationToken,
    drained: CancellationToken,
    task: JoinHandle<()>,
}

impl Supervised {
    /// Starts `child` now. `index` is its place in the table; `feed` goes, line by line, to its
    /// standard input.
    pub(super) fn start(
        index: usize,
        child: ChildSpec,
        feed: Option<mpsc::Receiver<String>>,
        shared: Rc<SupervisorContext>,
    ) -> Self {
        let (status, seen) = watch::channel(ChildStatus::first());
        let (stop, drained) = (CancellationToken::new(), CancellationToken::new());
        let supervisor = Supervisor {
            index,
            child: child.clone(),
            shared,
            status,
            stop: stop.clone(),
            drained: drained.clone(),
            feed,
            machine: Lifecycle::new(),
            starts: 0,
            since: None,
            last_words: Rc::default(),
        };
        Self { child, status: seen, stop, drained, task: actix_web::rt::spawn(supervisor.run()) }
    }

    /// How it is now.
    pub(super) fn status(&self) -> ChildStatus {
        self.status.borrow().clone()
    }

    /// The same, and when it changes.
    pub(super) fn watched(&self) -> watch::Receiver<ChildStatus> {
        self.status.clone()
    }

    /// What is kept of it in the data folder.
    pub(super) fn record(&self, status: &ChildStatus) -> ChildRecord {
        ChildRecord {
            name: self.child.name.to_owned(),
            url: self.child.url.clone(),
            ready: self.child.ready.to_owned(),
            pid: status.pid,
            since: status.since.clone(),
            restarts: status.restarts,
            // What a child that runs misses, it says itself, and differently in each moment.
            reason: status.reason.clone().filter(|_| status.pid.is_none()),
        }
    }

    /// Resolves when it is ready, or over.
    pub(super) async fn settled(&self) {
        let mut status = self.status.clone();
        let _ = status.wait_for(|s| matches!(s.state, ChildState::Ready | ChildState::Stopped)).await;
    }

    /// SIGTERM, the grace, and SIGKILL if that was not enough; returns when its work is done: what it still exports
    /// to its telemetry backend holds up nobody else.
    pub(super) async fn drain(&self) {
        self.stop.cancel();
        self.drained.cancelled().await;
    }

    /// Returns when the process is gone.
    pub(super) async fn ended(self) {
        let _ = self.task.await;
    }
}

struct Supervisor {
    index: usize,
    child: ChildSpec,
    shared: Rc<SupervisorContext>,
    status: watch::Sender<ChildStatus>,
    stop: CancellationToken,
    drained: CancellationToken,
    feed: Option<mpsc::Receiver<String>>,
    machine: Lifecycle,
    starts: u32,
    since: Option<String>,
    last_words: Rc<RefCell<VecDeque<String>>>,
}

impl Supervisor {
    async fn run(mut self) {
        let stop = self.stop.clone();
        while !stop.is_cancelled() {
            let (exit, pid) = match process::start(&self.shared.program, &self.child) {
                Ok(process) => {
                    let pid = process.id();
                    match self.attend(process).await {
                        Some(exit) => (exit, pid),
                        None => break,
                    }
                }
                Err(error) => (ChildExit::Failed(error.to_string()), None),
            };
            let AfterExit::Restart(wait) = self.machine.exited(&exit, Instant::now()) else {
                self.give_up(&exit);
                break;
            };
            let pid = pid.map_or(String::new(), |pid| format!(" (pid {pid})"));
            self.say(&format!("{pid} {exit}; it is started again in {} ms", wait.as_millis()));
            self.publish(None, Some(exit.to_string()));
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = stop.cancelled() => {}
            }
        }
        self.machine.stopped();
        self.publish(None, None);
        self.drained.cancel();
    }

    /// Supervises one process until it ends (its exit) or until it was told to stop (`None`).
    async fn attend(&mut self, mut process: Process) -> Option<ChildExit> {
        self.machine.started();
        self.starts = self.starts.saturating_add(1);
        self.since = Some(now());
        self.publish(process.id(), None);
        let mut pumps = self.pump(&mut process);
        let stdin = process.stdin.take();
        // Lent to this process; its successor goes on with the lines this one did not take.
        let mut feed = self.feed.take();
        let exit = {
            let mut lifeline = std::pin::pin!(process::hold(stdin, feed.as_mut()));
            tokio::select! {
                exit = self.watch(&mut process) => exit,
                never = &mut lifeline => match never {},
            }
        };
        self.feed = feed;
        if tokio::time::timeout(PIPES_CLOSE_WITHIN, &mut pumps).await.is_err() {
            pumps.abort();
        }
        exit
    }

    async fn watch(&mut self, process: &mut Process) -> Option<ChildExit> {
        let pid = process.id();
        let mut probe = Probe::new(format!("{}{}", self.child.url, self.child.ready));
        let stop = self.stop.clone();
        loop {
            tokio::select! {
                status = process.wait() => {
                    return Some(status.map_or_else(|e| ChildExit::Failed(e.to_string()), ChildExit::from));
                }
                () = stop.cancelled() => {
                    self.drain(process).await;
                    return None;
                }
                answer = probe.next(), if self.machine.state() != ChildState::Ready => self.answered(pid, answer),
            }
        }
    }

    fn answered(&mut self, pid: Option<u32>, answer: ProbeAnswer) {
        match answer {
            ProbeAnswer::NotYet(reason) => self.publish(pid, Some(reason)),
            ProbeAnswer::Ready => {
                self.machine.ready(Instant::now());
                self.publish(pid, None);
                if let (true, Some(pid)) = (self.machine.restarted(), pid) {
                    self.say(&format!(" (pid {pid}) is ready again"));
                }
            }
        }
    }

    /// Carries the child's output away until it ends.
    fn pump(&self, process: &mut Process) -> JoinHandle<()> {
        self.last_words.borrow_mut().clear();
        let (stdout, stderr) = (process.stdout.take(), process.stderr.take());
        let (index, child) = (self.index, self.child.clone());
        let (shared, last_words) = (self.shared.clone(), self.last_words.clone());
        let (stop, drained) = (self.stop.clone(), self.drained.clone());
        actix_web::rt::spawn(async move {
            let logs = async {
                if let Some(pipe) = stdout {
                    each_line(pipe, |line| {
                        shared.outputs.log(index, &child, line);
                        if stop.is_cancelled() && says_stopped(line) {
                            drained.cancel();
                        }
                    })
                    .await;
                }
            };
            let complaints = async {
                if let Some(pipe) = stderr {
                    each_line(pipe, |line| {
                        shared.outputs.complaint(index, &child, line);
                        remember(&mut last_words.borrow_mut(), line);
                    })
                    .await;
                }
            };
            tokio::join!(logs, complaints);
        })
    }

    async fn drain(&self, process: &mut Process) {
        let pid = process.id().unwrap_or_default();
        let patience = self.shared.grace + BEYOND_GRACE;
        if !process::terminate(process, patience).await {
            self.say(&format!(" (pid {pid}) did not stop within {patience:?} and is killed"));
            process::kill(process).await;
        }
    }

    fn give_up(&self, exit: &ChildExit) {
        let mut text = format!("{} {exit} and is not started again", self.child.name);
        let last_words = self.last_words.borrow();
        if !last_words.is_empty() {
            text.push_str("; the last it said:");
        }
        for line in last_words.iter() {
            text.push_str("\n    ");
            text.push_str(&crate::terminal::escaped(line));
        }
        // Full means that others failed before it; the first reason is the one to tell.
        let _ = self.shared.fatal.try_send(anyhow::Error::msg(text));
    }

    fn publish(&self, pid: Option<u32>, reason: Option<String>) {
        let (restarts, since) = (self.starts.saturating_sub(1), self.since.clone());
        self.status.send_replace(ChildStatus { state: self.machine.state(), pid, reason, restarts, since });
    }

    fn say(&self, text: &str) {
        self.shared.outputs.say(&format!("{}{text}", self.child.name));
    }
}

/// Whether a role's log line is the one behind which it only exports what is left. Quotes within a text are escaped in
/// JSON: no field forges it.
fn says_stopped(line: &str) -> bool {
    line.split_once("\"message\":\"")
        .is_some_and(|(_, rest)| rest.strip_prefix(STOPPED).is_some_and(|rest| rest.starts_with('"')))
}

fn remember(last_words: &mut VecDeque<String>, line: &str) {
    if last_words.len() == LAST_WORDS {
        last_words.pop_front();
    }
    last_words.push_back(line.to_owned());
}
