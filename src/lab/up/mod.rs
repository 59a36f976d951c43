//! `o11y-lab up`: the whole lab on this machine, from one executable.
//!
//! 1. lock the data folder, check the ports, empty the folder if asked: `data`, `plan`, `ports`, `otlp`
//! 2. start the console and the roles as children of this program: `spec`, `environment`, `child`, `process`;
//!    and, if asked, Prometheus and Alertmanager with the lab's rules: `backends`, `until_eof`
//! 3. wait until they are ready, print one table: `probe`, `table`
//! 4. pass their log lines on: `lines`, `render`, `output`
//! 5. start a crashed child again: `machine`; on SIGTERM, SIGHUP or Ctrl-C drain them in order
//! 6. say of itself what `status`, `logs`, `down` and `open` ask: `state`; in the background: `detach`, `rotate`

mod backends;
mod child;
mod data;
mod detach;
mod environment;
mod lines;
mod links;
mod machine;
mod otlp;
mod output;
mod own_names;
mod plan;
mod ports;
mod probe;
mod process;
mod render;
mod rotate;
mod spec;
mod state;
mod table;
#[cfg(test)]
mod tests;
mod until_eof;

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures_util::future::join_all;
use tokio::sync::mpsc;

use crate::config::{Transport, UpConfig, child as child_variables, default_data_dir};
use crate::runtime::Shutdown;
use crate::schema::SERVICES;
use child::{Supervised, SupervisorContext};
use data::DataDir;
use machine::ChildState;
use output::{Outputs, Streams};
use plan::LabPlan;
use spec::{CONSOLE, ChildSpec, Program};
use state::StateFile;
pub use until_eof::UntilEof;

pub(in crate::lab) use child::BEYOND_GRACE;
pub(in crate::lab) use links::dead_letters_at;
pub(in crate::lab) use ports::is_free;
pub(in crate::lab) use probe::{Probe, ProbeAnswer};
pub(in crate::lab) use render::Style;
pub(in crate::lab) use rotate::{log_before, log_file};
pub(in crate::lab) use state::{ChildRecord, FoundLab, LabState, find};

/// How long the table waits for every child to be ready.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// Log lines on their way to the console.
const CONSOLE_QUEUE: usize = 2048;

/// Runs the lab until SIGTERM, SIGINT or SIGHUP and drains it.
///
/// # Errors
/// Before anything is started: the data folder is in use or cannot be had, or a port is taken.
/// Later: a child cannot work with its settings or never became ready; the rest is drained first.
pub async fn run(config: UpConfig) -> anyhow::Result<()> {
    if config.detach && !detach::is_detached() {
        return detach::start(&config, &data_folder(&config)).await;
    }
    if config.detach {
        detach::leave_the_terminal()?;
    }
    let program = Program::this().context("finding this program")?;
    let data = open_data(&config)?;
    let plan = plan(&config, data.path());
    plan.check_ports()?;
    plan.check_export()?;
    let programs = backends::programs(&plan)?;
    if config.fresh {
        data.empty(queue_is_elsewhere(&inherited))?;
    }
    let mut children = spec::children(&plan, &inherited);
    children.extend(backends::children(programs, &plan)?);
    let width = children.iter().map(|c| c.name.len()).max().unwrap_or(0);
    let log = config.detach.then(|| log_file(data.path()));
    let streams = Streams::open(&config, width, log.as_deref())?;
    let drain = longest_drain(config.shutdown_grace);
    let mut state = StateFile::new(data.path(), LabState::of(&plan, log.clone(), drain));
    let shutdown = Shutdown::new(config.shutdown_grace);
    shutdown.listen().context("listening for signals")?;

    let mut lab = RunningLab::start(program, children, streams, config.quiet, config.shutdown_grace);
    lab.say(&format!("starting; data in {}", data.path().display()));
    own_names::without_effect(&inherited).iter().for_each(|line| lab.say(line));
    if !config.host.is_loopback() {
        let host = config.host;
        lab.say(&format!("listening on {host}: whoever reaches this machine can use the lab and break it"));
    }
    let ended = lab.run(&plan, &shutdown, &mut state, log.as_deref()).await;
    lab.stop().await;
    ended
}

fn plan(config: &UpConfig, data_dir: &Path) -> LabPlan {
    LabPlan {
        ports: config.ports.ports(),
        otlp: otlp::choose(config.ports.port_base, config.host, config.export.is_some(), &inherited),
        host: config.host,
        public_host: config.public_host.clone(),
        roles: config.roles.clone(),
        with: backends::wanted(&config.with),
        export: config.export.clone(),
        keep: config.keep.clone(),
        retain: config.retain,
        data_dir: data_dir.to_owned(),
        grace: config.shutdown_grace,
    }
}

/// What the drain takes at the most: each child has its grace, and then it is killed.
fn longest_drain(grace: Duration) -> Duration {
    (grace + BEYOND_GRACE) * (SERVICES.len() as u32 + 1)
}

fn data_folder(config: &UpConfig) -> PathBuf {
    config.data_dir.clone().unwrap_or_else(default_data_dir)
}

fn open_data(config: &UpConfig) -> anyhow::Result<DataDir> {
    let (path, default) = (data_folder(config), default_data_dir());
    // By its name the default is the lab's own; without a home it is just a folder here.
    let known_ours = path == default && default.is_absolute();
    DataDir::lock(&path, known_ours, config.ports.port_base)
}

/// Whether the queue outlives the data folder.
fn queue_is_elsewhere(inherited: environment::Inherited<'_>) -> bool {
    inherited(child_variables::QUEUE_TRANSPORT).is_some_and(|name| name != Transport::Embedded.as_str())
}

fn inherited(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The running children and what they share.
struct RunningLab {
    children: Vec<Supervised>,
    shared: Rc<SupervisorContext>,
    fatal: mpsc::Receiver<anyhow::Error>,
}

impl RunningLab {
    /// Starts every child at once: each says on `/ready` what it still misses.
    fn start(
        program: Program,
        children: Vec<ChildSpec>,
        streams: Streams,
        quiet: bool,
        grace: Duration,
    ) -> Self {
        let (console, lines) = mpsc::channel(CONSOLE_QUEUE);
        let (given_up, fatal) = mpsc::channel(1);
        let outputs = Outputs::new(streams, quiet, console);
        let shared = Rc::new(SupervisorContext { program, outputs, grace, fatal: given_up });
        let mut lines = Some(lines);
        let children = children
            .into_iter()
            .enumerate()
            .map(|(index, child)| {
                let feed = if child.command == CONSOLE { lines.take() } else { None };
                Supervised::start(index, child, feed, shared.clone())
            })
            .collect();
        Self { children, shared, fatal }
    }

    fn say(&self, text: &str) {
        self.shared.outputs.say(text);
    }

    /// Until a signal ends it, or a child is not started again.
    async fn run(
        &mut self,
        plan: &LabPlan,
        shutdown: &Shutdown,
        state: &mut StateFile,
        log: Option<&Path>,
    ) -> anyhow::Result<()> {
        let outputs = &self.shared.outputs;
        let announced = async {
            let ready = announce(&self.children, outputs, plan, READY_WITHIN).await;
            if let Some(log) = log {
                // Nobody sees how it goes on: whoever waits is told that it did not begin.
                ensure!(ready, "not ready after {} s, and therefore ended", READY_WITHIN.as_secs());
                outputs.let_go();
                detach::let_go(log).with_context(|| format!("the log file {}", log.display()))?;
            }
            std::future::pending().await
        };
        tokio::select! {
            () = shutdown.wait() => Ok(()),
            error = self.fatal.recv() => error.map_or(Ok(()), Err),
            ended = announced => ended,
            () = state.follow(&self.children, outputs) => Ok(()),
        }
    }

    /// Drains the children one after the other, those who make work before those who do it. What they export at their
    /// end they export at the same time; the console, which may be where that goes, is the last.
    async fn stop(mut self) {
        self.say("draining; once more to leave at once");
        self.children.sort_by_key(|c| c.child.drain_place());
        let mut drained = Vec::new();
        for child in self.children {
            if child.child.command == CONSOLE {
                join_all(drained.drain(..).map(Supervised::ended)).await;
            }
            child.drain().await;
            drained.push(child);
        }
        join_all(drained.into_iter().map(Supervised::ended)).await;
        self.shared.outputs.say("stopped");
        self.shared.outputs.close().await;
    }
}

/// Waits until every child is ready, but not longer than `within`, then prints the table; whether all are.
async fn announce(children: &[Supervised], outputs: &Outputs, plan: &LabPlan, within: Duration) -> bool {
    let all_ready = join_all(children.iter().map(Supervised::settled));
    let all_settled = tokio::time::timeout(within, all_ready).await.is_ok();
    let rows: Vec<_> = children
        .iter()
        .map(|c| table::TableRow { name: c.child.name, url: plan.shown(&c.child.url), status: c.status() })
        .collect();
    let mut text = table::table(&rows);
    let alerts = links::alerts_page(plan).await.map(|page| plan.shown(&page));
    text.push_str(&table::next_steps(plan, alerts.as_deref(), &outputs.how_to_stop(plan)));
    outputs.table(&text);
    if !all_settled {
        let waiting = rows.iter().filter(|r| r.status.state != ChildState::Ready).map(|r| r.name);
        let names = waiting.collect::<Vec<_>>().join(", ");
        outputs.say(&format!("not ready after {} s: {names}; the rest works", within.as_secs()));
    }
    if let Some(note) = environment::no_traces(&inherited).as_ref().or(plan.otlp.note.as_ref()) {
        outputs.say(note);
    }
    if let Some(waiting) = links::dead_letters(plan).await {
        outputs.say(&waiting);
    }
    rows.iter().all(|row| row.status.state == ChildState::Ready)
}
