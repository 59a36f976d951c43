//! One running lab: a given program's `up` on free ports with an empty data folder.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use nix::sys::signal::Signal;
use o11y_lab::schema::{Endpoint, Ports, Role, SERVICES};
use serde_json::{Value, json};

use crate::helpers::process::{clean, signal_pid};
use crate::helpers::{self, http, proc};

const READY_WITHIN: Duration = Duration::from_secs(60);
/// Longer than `up` gives its children one after the other: then it is killed.
const STOP_WITHIN: Duration = Duration::from_secs(60);
/// Longest wait until everything that was sent is worked off.
const SETTLED_WITHIN: Duration = Duration::from_secs(120);
/// All processes together rest if they use less than this, three times in a row, which is longer than
/// spans wait for their export; idle they use 2 % of a core.
const RESTING: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(250));

/// CPU time, or whatever else, by process: a role's subcommand, `console` or `up`.
pub type ByProcess<T> = BTreeMap<String, T>;

/// Ended by SIGTERM when dropped. It also ends if this process is killed: its standard input does then.
pub struct RunningLab {
    up: Child,
    ports: Ports,
    /// Subcommand and pid, `up` included.
    processes: ByProcess<u32>,
    /// When each was first seen ready, counted from the machine's boot.
    ready: ByProcess<Duration>,
    folder: tempfile::TempDir,
}

impl RunningLab {
    /// Starts it and waits until every part is ready.
    ///
    /// Log lines are printed, and go to /dev/null, so that `up` works on them as it does for a user.
    pub fn start(program: &Path, env: &[(&str, &str)]) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let base = helpers::free_port_base();
        let mut command = clean(Command::new(program));
        command.args(["up", "--port-base", &base.to_string(), "--data-dir"]).arg(folder.path().join("data"));
        command.envs(env.iter().copied()).stdin(Stdio::piped()).stdout(Stdio::null());
        command.stderr(File::create(folder.path().join("stderr"))?);
        let up = command.spawn().with_context(|| program.display().to_string())?;
        let ports = Ports::from_base(base);
        let mut lab = Self { up, ports, processes: ByProcess::new(), ready: ByProcess::new(), folder };
        lab.wait_ready()?;
        let named = |pid: u32| Some((proc::arguments(pid).get(1)?.clone(), pid));
        lab.processes = proc::children(lab.up.id()).into_iter().filter_map(named).collect();
        lab.processes.insert("up".to_owned(), lab.up.id());
        Ok(lab)
    }

    fn wait_ready(&mut self) -> anyhow::Result<()> {
        let mut waiting: Vec<_> = SERVICES.iter().map(|s| (s.command, self.ports.of(s.role))).collect();
        waiting.push(("console", self.ports.at(Endpoint::Console)));
        let until = Instant::now() + READY_WITHIN;
        while !waiting.is_empty() {
            waiting.retain(|(name, port)| {
                let answer = http::try_send("GET", &format!("http://127.0.0.1:{port}/ready"), &[], None);
                let ready = answer.is_some_and(|answer| answer.status == 200);
                if ready {
                    self.ready.insert((*name).to_owned(), proc::uptime());
                }
                !ready
            });
            let ended = self.up.try_wait()?;
            if ended.is_some() || Instant::now() > until {
                let names: Vec<_> = waiting.iter().map(|(name, _)| *name).collect();
                bail!("not ready: {}; up said:\n{}", names.join(", "), self.said());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("stderr")).unwrap_or_default()
    }

    /// A folder that goes with the lab.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Subcommand and pid of every process.
    pub fn processes(&self) -> &ByProcess<u32> {
        &self.processes
    }

    /// The time from the start of each process to its first 200 on /ready, and of the whole lab as `up`'s;
    /// 10 ms fine.
    pub fn start_times(&self) -> ByProcess<Duration> {
        let last = self.ready.values().max().copied().unwrap_or_default();
        let time = |(name, pid): (&String, &u32)| {
            let ready = self.ready.get(name).copied().unwrap_or(last);
            Some((name.clone(), ready.saturating_sub(proc::stat(*pid)?.started)))
        };
        self.processes.iter().filter_map(time).collect()
    }

    pub fn gateway(&self) -> u16 {
        self.ports.of(Role::Gateway)
    }

    /// A URL of the gateway.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.gateway())
    }

    /// The URL of what is no role.
    pub fn endpoint(&self, endpoint: Endpoint) -> String {
        format!("http://127.0.0.1:{}", self.ports.at(endpoint))
    }

    /// Creates a user; the body of an order by it.
    pub fn order(&self) -> anyhow::Result<String> {
        let user = json!({"name": "Ada", "email": "ada@example.com"}).to_string();
        let headers = [("content-type", "application/json")];
        let answer = http::try_send("POST", &self.url("/api/users"), &headers, Some(user.as_bytes()));
        let answer = answer.context("no answer to POST /api/users")?;
        let id = answer.json["id"].as_i64().with_context(|| format!("no user: {}", answer.text))?;
        Ok(json!({"userId": id, "items": ["book"], "total": 49.99}).to_string())
    }

    /// CPU time of each process so far.
    pub fn cpu(&self) -> ByProcess<Duration> {
        self.processes.iter().map(|(name, pid)| (name.clone(), proc::cpu(*pid))).collect()
    }

    /// Memory of each process.
    pub fn memory(&self) -> anyhow::Result<ByProcess<proc::Memory>> {
        let of = |(name, pid): (&String, &u32)| {
            let memory = proc::memory(*pid).with_context(|| format!("no memory of {name} (pid {pid})"))?;
            Ok((name.clone(), memory))
        };
        self.processes.iter().map(of).collect()
    }

    /// Waits, without asking the lab anything, until it rests: orders are delivered, spans exported.
    /// Then makes sure that every order has been delivered.
    pub fn settle(&self) -> anyhow::Result<()> {
        let sum = || self.cpu().values().sum::<Duration>();
        at_rest(SETTLED_WITHIN, sum)?;
        self.check_delivered()
    }

    fn check_delivered(&self) -> anyhow::Result<()> {
        let url = |role, path: &str| format!("http://127.0.0.1:{}{path}", self.ports.of(role));
        let stats = http::try_send("GET", &url(Role::Notify, "/stats"), &[], None).context("no /stats")?;
        let left = |name: &str| stats.json.get(name).and_then(Value::as_u64);
        if left("waiting") != Some(0) || left("inFlight") != Some(0) || left("dead") != Some(0) {
            bail!("at rest, but not every order is delivered: {}", stats.text);
        }
        Ok(())
    }
}

impl Drop for RunningLab {
    fn drop(&mut self) {
        signal_pid(self.up.id(), Signal::SIGTERM);
        let until = Instant::now() + STOP_WITHIN;
        // Not `wait`, which would close its standard input, and while a child is there its pid is its own.
        while matches!(self.up.try_wait(), Ok(None)) {
            if Instant::now() > until {
                let _ = self.up.kill();
                let _ = self.up.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Waits until processes rest that have used so much CPU time together; the time then.
pub fn at_rest(within: Duration, cpu: impl Fn() -> Duration) -> anyhow::Result<Duration> {
    let until = Instant::now() + within;
    let (mut quiet, mut before) = (0, cpu());
    while quiet < 3 {
        if Instant::now() > until {
            bail!("no rest within {within:?}");
        }
        std::thread::sleep(RESTING.1);
        let now = cpu();
        quiet = if now.saturating_sub(before) < RESTING.0 { quiet + 1 } else { 0 };
        before = now;
    }
    Ok(before)
}

/// Where the program is, absolute, so that a child may be started from anywhere.
pub fn program(path: &Path) -> anyhow::Result<PathBuf> {
    let found = std::fs::canonicalize(path).ok().filter(|file| file.is_file());
    found.with_context(|| {
        format!("no program at {}; cargo build --release --locked builds it", path.display())
    })
}
