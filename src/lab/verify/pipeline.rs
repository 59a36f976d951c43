//! A lab of its own for the time of one run: `verify --pipeline`, whose telemetry goes to a foreign receiver, and
//! `scenario check --own-lab`.
//!
//! The lab is a child in a process group of its own, so that Ctrl-C reaches only this program, which then ends it. Its
//! standard input is a lifeline: where this program is killed, the lab ends too.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use crate::config::{TraceMode, VerifyConfig, pipeline_environment};
use crate::lab::program::this_program;
use crate::runtime::oneshot::OneShot;
use crate::schema::SERVICES;

/// How long the roles may take to be ready, and to finish in the end.
const READY_WITHIN: Duration = Duration::from_secs(60);
const ENDED_WITHIN: Duration = Duration::from_secs(20);
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
const LARGEST_ANSWER: usize = 1 << 20;
const PAUSE: Duration = Duration::from_millis(100);
/// How many places for ten ports in a row are tried, and how often its folder.
const TRIES: usize = 200;

/// A lab that runs until it is stopped.
pub(crate) struct EmbeddedLab {
    up: Child,
    folder: PathBuf,
    port_base: u16,
}

impl EmbeddedLab {
    /// Starts it; without a receiver its telemetry goes to its own console.
    ///
    /// # Errors
    /// It cannot be started.
    pub(crate) fn start(receiver: Option<&str>, mode: TraceMode) -> anyhow::Result<Self> {
        let port_base = free_ports().context("there are no ten free ports in a row")?;
        let name = format!("o11y-lab-own-{}-{:08x}", std::process::id(), fastrand::u32(..));
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir(&folder).with_context(|| format!("creating {}", folder.display()))?;
        match spawn(receiver, mode, &folder, port_base) {
            Ok(up) => Ok(Self { up, folder, port_base }),
            Err(error) => {
                let _ = std::fs::remove_dir_all(&folder);
                Err(error)
            }
        }
    }

    /// The settings of the run on this lab.
    pub(super) fn settings(&self, config: &VerifyConfig) -> VerifyConfig {
        let mut config = config.clone();
        (config.ports.port_base, config.url) = (self.port_base, None);
        if config.metrics.is_empty() {
            config.metrics.push(VerifyConfig::roles());
        }
        config
    }

    /// Its first port.
    pub(crate) fn port_base(&self) -> u16 {
        self.port_base
    }

    /// Waits until every role is ready.
    ///
    /// # Errors
    /// It is not in time: with what it said last.
    pub(crate) async fn ready(&mut self) -> Result<(), String> {
        let ready = self.all_ready().await;
        ready.map_err(|why| format!("{why}{}", self.said()))
    }

    async fn all_ready(&mut self) -> Result<(), String> {
        let ports = crate::schema::Ports::from_base(self.port_base);
        let http = OneShot::new(ANSWER_WITHIN, LARGEST_ANSWER);
        let end = Instant::now() + READY_WITHIN;
        for service in &SERVICES {
            let url = format!("http://127.0.0.1:{}/ready", ports.of(service.role));
            while !http.get(&url).await.is_ok_and(|answer| answer.is_success()) {
                if let Ok(Some(status)) = self.up.try_wait() {
                    return Err(format!("it ended, {status}"));
                }
                if Instant::now() >= end {
                    return Err(format!("{} is not ready", service.name));
                }
                sleep(PAUSE).await;
            }
        }
        Ok(())
    }

    /// The last line it said to people, if it said any.
    fn said(&self) -> String {
        let said = std::fs::read_to_string(self.folder.join("said")).unwrap_or_default();
        said.lines().last().map(|line| format!("; it said: {line}")).unwrap_or_default()
    }

    /// Lets it finish, and removes its data.
    pub(crate) async fn stop(mut self) {
        drop(self.up.stdin.take());
        if timeout(ENDED_WITHIN, self.up.wait()).await.is_err() {
            let _ = self.up.kill().await;
        }
        // A role that outlives a killed `up` for a moment may still write there.
        for _ in 0..TRIES {
            if std::fs::remove_dir_all(&self.folder).is_ok() || !self.folder.exists() {
                return;
            }
            sleep(PAUSE / 10).await;
        }
    }
}

fn spawn(receiver: Option<&str>, mode: TraceMode, folder: &Path, port_base: u16) -> anyhow::Result<Child> {
    let program = this_program().context("finding this program")?;
    let said = std::fs::File::create(folder.join("said")).context("a file for what the lab says")?;
    let mut command = Command::new(program);
    command.args(["up", "--quiet", "--port-base", &port_base.to_string(), "--data-dir"]);
    command.arg(folder.join("data")).env_clear().envs(pipeline_environment(receiver, mode));
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(said).process_group(0).kill_on_drop(true);
    command.spawn().context("starting a lab")
}

/// The first of ten ports in a row that nobody listens on.
fn free_ports() -> Option<u16> {
    let free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    let bases = std::iter::repeat_with(|| 10_000 + fastrand::u16(0..2_000) * 10).take(TRIES);
    bases.into_iter().find(|base| (*base..base + 10).all(free))
}
