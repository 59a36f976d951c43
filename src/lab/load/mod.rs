//! `o11y-lab load`: traffic for a running lab, as a heartbeat, by a plan, or as a load test.
//!
//! 1. which requests, and when each is due: `plan`, `schedule`, `mix` (a draw, `draw`, from
//!    the tables, `cases`), functions of plan and seed
//! 2. users and orders to ask about: `fixtures`, made by `setup`
//! 3. send them by the clock or by the answers: `engine`, `client`, each with a `span` and the time
//!    of its connection, `connect`
//! 4. count: `tally`; show progress and report: `progress`, `report`, with `links` to traces
//!
//! Standard output is the report, standard error the progress and warnings.

mod cases;
mod client;
mod connect;
mod draw;
mod engine;
mod fixtures;
mod links;
mod listing;
mod mix;
mod plan;
mod progress;
mod report;
mod run;
mod schedule;
mod setup;
pub(crate) mod span;
mod tally;

use std::io::Write as _;
use std::time::Duration;

use anyhow::Context as _;

use super::output::tolerate_closed_pipe;
use crate::config::{Invalid, LoadConfig};
use plan::{Phase, Rate};
use run::LoadRun;

/// A heartbeat's round, after which it makes new users and orders if the old ones are gone.
const ROUND: Duration = Duration::from_secs(30);
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
    let run = LoadRun::start(config, phases).context("the run cannot be started")?;
    run.finish().await
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

fn print(lines: impl IntoIterator<Item = String>) -> anyhow::Result<()> {
    let mut stdout = std::io::BufWriter::new(std::io::stdout().lock());
    let written = lines.into_iter().try_for_each(|line| writeln!(stdout, "{line}"));
    tolerate_closed_pipe(written.and_then(|()| stdout.flush()))
}
