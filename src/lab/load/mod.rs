//! `o11y-lab load`: traffic for a running lab, as a heartbeat, by a plan, or as a load test.
//!
//! 1. which requests, and when each is due: `plan`, `schedule`, `mix` (a draw, `draw`, from
//!    the tables, `cases`), functions of plan and seed
//! 2. users and orders to ask about: `fixtures`
//! 3. send them by the clock or by the answers: `engine`, `client`
//! 4. count: `tally`; show progress and report: `progress`, `report`
//!
//! Standard output is the report, standard error the progress.

mod cases;
mod client;
mod draw;
mod engine;
mod fixtures;
mod listing;
mod mix;
mod plan;
mod progress;
mod report;
mod schedule;
mod tally;

use std::cell::RefCell;
use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use super::output::tolerate_closed_pipe;
use crate::config::{Invalid, LoadConfig};
use crate::runtime::Shutdown;
use client::LoadClient;
use engine::{LoadEnd, LoadEvent, Pace, SentRequest};
use fixtures::Fixtures;
use plan::{Phase, Rate};
use progress::Progress;
use report::LoadReport;
use schedule::{Arrival, Schedule};
use tally::LoadRecorder;

/// A heartbeat's round, after which it makes new users and orders if the old ones are gone.
const ROUND: Duration = Duration::from_secs(30);
/// How long a heartbeat may pause between two rounds.
const REMAKE_WITHIN: Duration = Duration::from_secs(2);
/// The longest plan that is read, in bytes.
const LARGEST_PLAN: u64 = 64 * 1024;

/// A run that had an end was stopped before it: exit code 130.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted;

/// Sends the traffic and reports it.
///
/// # Errors
/// A plan that cannot be read ([`Invalid`]); a gateway that cannot be reached at the start (a
/// heartbeat waits for it); [`Interrupted`]; more errors than `--max-error-ratio`.
pub async fn run(config: LoadConfig) -> anyhow::Result<()> {
    let phases = phases(&config)?;
    if config.dry_run {
        return print(listing::listing(&config, &phases));
    }
    let shutdown = Shutdown::new(config.timeout);
    shutdown.listen().context("listening for signals")?;
    let client = LoadClient::new(config.target(), config.timeout, config.connections as usize)?;
    let length = phases.iter().map(|phase| phase.length).sum();
    let progress = Progress::new(&config, length);
    let recorder = LoadRecorder::new(phases.len())?;
    let mut load = LoadRun { config, phases, client, shutdown, recorder, progress };
    if load.config.forever { load.heartbeat().await } else { load.once().await }
}

fn phases(config: &LoadConfig) -> anyhow::Result<Vec<Phase>> {
    let Some(plan) = &config.plan else {
        let length = if config.forever { ROUND } else { config.duration };
        let rate = Rate::Line(config.rps(), config.rps());
        return Ok(vec![Phase { name: "steady".to_owned(), length, rate, mix: config.mix }]);
    };
    let text = if plan == "default" { Ok(plan::DEFAULT.to_owned()) } else { read(plan) };
    let phases = text.and_then(|text| plan::parse(&text, config.mix));
    phases.map_err(|error| Invalid(format!("--plan (LOAD_PLAN) '{plan}': {error}")).into())
}

fn read(file: &str) -> Result<String, String> {
    use std::io::Read as _;
    let mut text = String::new();
    let file = std::fs::File::open(file).map_err(|error| error.to_string())?;
    file.take(LARGEST_PLAN + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 > LARGEST_PLAN { Err(format!("longer than {LARGEST_PLAN} bytes")) } else { Ok(text) }
}

/// A run with everything it needs.
struct LoadRun {
    config: LoadConfig,
    phases: Vec<Phase>,
    client: LoadClient,
    shutdown: Shutdown,
    recorder: LoadRecorder,
    progress: Progress,
}

impl LoadRun {
    /// From the beginning of the plan to its end.
    async fn once(&mut self) -> anyhow::Result<()> {
        let fixtures = tokio::select! {
            fixtures = Fixtures::make(&self.client, self.config.seed) => fixtures,
            () = self.shutdown.wait() => return Err(Interrupted.into()),
        };
        let fixtures = fixtures.with_context(|| {
            format!("no users and orders could be made at {}; is the lab up?", self.config.target())
        })?;
        let ended = self.round(&RefCell::new(fixtures), 0).await;
        self.progress.finish();
        let report = self.report(&ended);
        print([if self.config.json {
            format!("{:#}", report.json())
        } else {
            report.text().trim_end().to_owned()
        }])?;
        if ended.interrupted {
            return Err(Interrupted.into());
        }
        let ratio = self.recorder.error_ratio();
        match self.config.max_error_ratio {
            Some(most) if ratio > most => bail!("error ratio {ratio:.4} is above --max-error-ratio {most}"),
            _ => Ok(()),
        }
    }

    /// Round after round, until it is stopped: that is its regular end. It begins when the gateway
    /// answers, and then goes on through every failure: traffic that stops when it fails
    /// would end the very alert it set off.
    async fn heartbeat(&mut self) -> anyhow::Result<()> {
        let started = Instant::now();
        let mut unfinished = 0;
        if let Some(mut fixtures) = self.first_fixtures().await {
            // The rounds' requests are numbered apart, so that they differ.
            for first in (0_u64..).map(|round| round << 32) {
                let wrong = self.recorder.total.wrong();
                let ended = self.round(&fixtures, first).await;
                unfinished = ended.unfinished;
                if ended.interrupted {
                    break;
                }
                // Perhaps its users are not known any more.
                if self.recorder.total.wrong() > wrong
                    && let Some(new) = self.other_fixtures().await
                {
                    fixtures = new;
                }
            }
        }
        let ended = LoadEnd { elapsed: started.elapsed(), unfinished, interrupted: true };
        // Phases that came again and again have no length of their own.
        self.phases.clear();
        print([self.report(&ended).json().to_string()])
    }

    /// New users and orders, if they can be made now.
    async fn other_fixtures(&self) -> Option<RefCell<Fixtures>> {
        tokio::select! {
            fixtures = Fixtures::make(&self.client, self.config.seed) => fixtures.ok().map(RefCell::new),
            // Nothing is sent meanwhile.
            () = tokio::time::sleep(REMAKE_WITHIN) => None,
            () = self.shutdown.wait() => None,
        }
    }

    /// The users and orders to begin with, as soon as they can be made; `None` if it is stopped first.
    async fn first_fixtures(&self) -> Option<RefCell<Fixtures>> {
        let make = async {
            loop {
                match Fixtures::make(&self.client, self.config.seed).await {
                    Ok(fixtures) => return RefCell::new(fixtures),
                    Err(error) => self.progress.waiting(&format!("{error:#}")),
                }
                tokio::time::sleep(self.config.report_every).await;
            }
        };
        tokio::select! {
            fixtures = make => Some(fixtures),
            () = self.shutdown.wait() => None,
        }
    }

    /// One time through the plan, with requests numbered from `first`.
    async fn round(&mut self, fixtures: &RefCell<Fixtures>, first: u64) -> LoadEnd {
        let Self { config, phases, client, shutdown, recorder, progress } = self;
        let pace = if config.closed {
            Pace::Closed { length: config.duration }
        } else {
            Pace::Open { schedule: Schedule::new(phases, config.seed, first), backlog: config.backlog }
        };
        let send = |arrival: Arrival| {
            let draw = mix::draw(config.seed, arrival.number, phases[arrival.phase].mix);
            let (path, body) = (draw.path(&fixtures.borrow()), draw.body(&fixtures.borrow()));
            let client = &*client;
            async move {
                let case = draw.case;
                let reply = client.send(case.method(), &path, body).await;
                if let Ok(answer) = &reply.result {
                    fixtures.borrow_mut().learn(case.route, answer.status, &answer.body);
                }
                SentRequest {
                    case,
                    trace_id: reply.trace_id,
                    result: reply.result.map(|answer| answer.status),
                }
            }
        };
        engine::run(pace, config.connections as usize, shutdown.wait(), send, |event| match event {
            LoadEvent::Over(outcome) => recorder.add(outcome),
            LoadEvent::Dropped => recorder.dropped += 1,
            LoadEvent::Tick { elapsed } => progress.tick(elapsed, phase_at(phases, elapsed), recorder),
        })
        .await
    }

    fn report<'a>(&'a self, ended: &'a LoadEnd) -> LoadReport<'a> {
        LoadReport {
            url: self.client.base(),
            closed: self.config.closed,
            seed: self.config.seed,
            phases: &self.phases,
            recorder: &self.recorder,
            ended,
        }
    }
}

/// The name of the phase at a time; of the last one afterwards.
fn phase_at(phases: &[Phase], mut elapsed: Duration) -> &str {
    for phase in phases {
        match elapsed.checked_sub(phase.length) {
            Some(left) => elapsed = left,
            None => return &phase.name,
        }
    }
    phases.last().map_or("", |phase| &phase.name)
}

fn print(lines: impl IntoIterator<Item = String>) -> anyhow::Result<()> {
    let mut stdout = std::io::BufWriter::new(std::io::stdout().lock());
    let written = lines.into_iter().try_for_each(|line| writeln!(stdout, "{line}"));
    tolerate_closed_pipe(written.and_then(|()| stdout.flush()))
}
