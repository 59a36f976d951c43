//! `verify --spec`: whether the telemetry that a file names has arrived; `--record` writes the first such file.
//!
//! 1. `arrived`: what came in since the start of the run; `command`: what runs meanwhile
//! 2. judging it, rows of claims for each row of the file: `spans`, `metrics`, `logs`; `assign` says which item stands
//!    for which row, `values` what is wrong with an attribute; `silence`: services of which nothing came are told once
//! 3. `record`: a file from what arrived; `volatile` tells what another run would have otherwise, `recordable` what no
//!    file takes

mod arrived;
mod assign;
mod command;
mod logs;
mod metrics;
mod record;
mod recordable;
mod silence;
mod spans;
mod values;
mod volatile;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use super::claim::{Claim, ClaimVerdict};
use super::report::Report;
use super::stop::Stop;
use super::{NotVerified, untold};
use crate::config::spec::TelemetrySpec;
use crate::config::{Invalid, VerifyConfig};
use crate::lab::output::tolerate_closed_pipe;
use crate::terminal::escaped;
use arrived::{ArrivalWindow, Arrived, so_many};
use command::{CommandEnd, run_command};
use silence::Silence;

/// Between two rounds of questions; grows up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

const WATCHED: &str = "nothing of the file has to arrive, so all of --within was waited for what must not";

/// Runs the command, if there is one, waits for what the file names, and says what has arrived.
///
/// # Errors
/// Settings that do not go together ([`Invalid`]); [`NotVerified`] where a backend cannot be read at all.
pub(super) async fn verify(
    config: &VerifyConfig,
    spec: &TelemetrySpec,
    stop: &Stop,
) -> anyhow::Result<Report> {
    let window = stop.during(ArrivalWindow::open(config, Some(spec))).await?;
    let ended = run_command(config, stop).await?;
    stop.during(async { Ok(report(config, spec, &window, &ended).await) }).await
}

/// Waits until every claim holds, or the time is over, and says what has arrived.
async fn report(
    config: &VerifyConfig,
    spec: &TelemetrySpec,
    window: &ArrivalWindow,
    ended: &CommandEnd,
) -> Report {
    let began = Instant::now();
    let within = if ended.was_run() { config.within } else { Duration::ZERO };
    // Where nothing has to arrive, and no command says when it is over, something may arrive until the end.
    let holds = |claims: &[Claim]| claims.iter().all(|claim| claim.verdict == ClaimVerdict::Pass);
    let watches = matches!(ended, CommandEnd::None) && holds(&judge(spec, window, &Arrived::default()));
    let mut pause = FIRST_PAUSE;
    let mut visible = Visible::default();
    loop {
        let read = tokio::time::timeout(within.saturating_sub(began.elapsed()), window.read()).await;
        if let Ok(Ok(arrived)) = read {
            let claims = judge(spec, window, &arrived);
            visible.note(&claims, began.elapsed());
            if holds(&claims) && !watches {
                break;
            }
        }
        if began.elapsed() >= within {
            break;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    if ended.was_run() {
        tokio::time::sleep(config.settle).await;
    }
    let mut claims: Vec<Claim> = ended.claim().into_iter().collect();
    let arrived = match window.read().await {
        Ok(arrived) => {
            claims.extend(judge(spec, window, &arrived));
            arrived.counts()
        }
        Err(unread) => {
            claims.push(unread);
            "nothing".to_owned()
        }
    };
    let file = config.other.spec.as_ref().map_or_else(String::new, |file| file.display().to_string());
    Report {
        target: file,
        requests: 0,
        took: window.began.elapsed(),
        judging: std::time::Duration::ZERO,
        seed: 0,
        visible: visible.rows(window),
        notes: watches.then(|| WATCHED.to_owned()).into_iter().collect(),
        claims,
        score: super::quality::QualityScore::default(),
        arrived: Some(arrived),
    }
}

fn judge(spec: &TelemetrySpec, window: &ArrivalWindow, arrived: &Arrived) -> Vec<Claim> {
    let silence = Silence::of(spec, arrived);
    let mut claims = silence.claims(window, &arrived.services);
    claims.extend(spans::judge(spec, window, arrived, &silence));
    claims.extend(metrics::judge(spec, window, arrived, &silence));
    claims.extend(logs::judge(spec, window, arrived, &silence));
    claims
}

/// When all claims of a signal held, from the end of the command.
#[derive(Default)]
struct Visible([(Option<Duration>, bool); 3]);

const SIGNALS: [&str; 3] = ["spans", "metrics", "logs"];

impl Visible {
    fn note(&mut self, claims: &[Claim], now: Duration) {
        for (signal, (since, there)) in SIGNALS.iter().zip(&mut self.0) {
            let mut of = claims.iter().filter(|claim| claim.id.split('.').next() == Some(signal)).peekable();
            *there = of.peek().is_some();
            let holds = *there && of.all(|claim| claim.verdict == ClaimVerdict::Pass);
            *since = holds.then(|| since.unwrap_or(now));
        }
    }

    fn rows(self, window: &ArrivalWindow) -> Vec<(&'static str, String, Option<Duration>)> {
        let there = SIGNALS.into_iter().zip(self.0).filter(|(_, (_, there))| *there);
        there.map(|(signal, (since, _))| (signal, window.source(signal).0.to_owned(), since)).collect()
    }
}

/// Runs the command, waits until nothing more arrives, and writes what did as a file.
///
/// # Errors
/// The file is there or cannot be written ([`Invalid`]); the command failed, or nothing arrived ([`NotVerified`]).
pub(super) async fn record(config: &VerifyConfig, file: &Path, stop: &Stop) -> anyhow::Result<()> {
    let invalid = |why: String| Invalid(format!("--record {}: {why}", file.display()));
    if file.exists() {
        return Err(invalid("it is there already".to_owned()).into());
    }
    let window = stop.during(ArrivalWindow::open(config, None)).await?;
    let ended = run_command(config, stop).await?;
    if let Some(claim) = ended.claim().filter(|claim| claim.verdict != ClaimVerdict::Pass) {
        let summary = format!("the command failed ({}): nothing is written", claim.found);
        return Err(NotVerified { summary, exit_code: 1 }.into());
    }
    let quiet = until_quiet(config, &window, matches!(ended, CommandEnd::None));
    let arrived = stop.during(quiet).await?;
    let mut spec = record::spec(&arrived);
    let left_out = recordable::trimmed(&mut spec);
    if spec.spans.is_empty() && spec.metrics.is_empty() && spec.logs.is_empty() {
        return Err(untold(&format!("{}, so nothing is written", nothing(config, &arrived, &left_out))));
    }
    let text = record::written(&spec, &left_out)?;
    let made = std::fs::File::create_new(file).and_then(|mut made| made.write_all(text.as_bytes()));
    made.map_err(|error| invalid(error.to_string()))?;
    let rows = spec.spans.len() + spec.metrics.len() + spec.logs.len();
    let name = file.display().to_string();
    let said = format!("{}: {} in {}\n", escaped(&name), arrived.counts(), so_many(rows, "row", "rows"));
    let _ = std::io::stderr().write_all(remarks(config, &arrived, &left_out).as_bytes());
    tolerate_closed_pipe(std::io::stdout().lock().write_all(said.as_bytes()))
}

/// Why there is nothing to write.
fn nothing(config: &VerifyConfig, arrived: &Arrived, left_out: &[String]) -> String {
    match config.other.services.as_slice() {
        _ if !left_out.is_empty() => format!("nothing arrived that a file takes ({})", left_out.join("; ")),
        [] => "nothing arrived".to_owned(),
        [one] => silence::nothing_of(one, &arrived.services),
        all => format!("nothing of {} arrived", all.join(", ")),
    }
}

/// What who reads the file should know of how it came about.
fn remarks(config: &VerifyConfig, arrived: &Arrived, left_out: &[String]) -> String {
    let mut text: String = left_out.iter().map(|what| format!("left out: {}\n", escaped(what))).collect();
    let services: Vec<_> = arrived.of_services().into_iter().collect();
    if config.other.services.is_empty() && services.len() > 1 {
        let all = services.join(", ");
        let _ = writeln!(
            text,
            "note: {} services sent something: {}. What runs by itself counts otherwise in the next run; --service NAME \
             records only those that are meant",
            services.len(),
            escaped(&all)
        );
    }
    text
}

/// What has arrived when nothing more came for as long as `--settle`; without a command, when the time is over.
async fn until_quiet(
    config: &VerifyConfig,
    window: &ArrivalWindow,
    all_the_time: bool,
) -> anyhow::Result<Arrived> {
    let began = Instant::now();
    let read = async || window.read().await.map_err(|unread| untold(&unread.found));
    let mut last = read().await?;
    let mut since = Instant::now();
    while began.elapsed() < config.within {
        let enough = !last.is_empty() && since.elapsed() >= config.settle;
        if enough && !all_the_time {
            break;
        }
        tokio::time::sleep(LONGEST_PAUSE.min(config.settle)).await;
        let now = read().await?;
        if now.counts() != last.counts() {
            since = Instant::now();
        }
        last = now;
    }
    Ok(last)
}
