//! `o11y-lab verify`: sends a workload of known shape and says, claim by claim, what the backends received.
//!
//! 1. what is sent, and what the client saw of it: `workload`, `ledger`; what that has to leave behind stands
//!    in [`super::expect`]; faults for the time of it: `faults`
//! 2. which backends are asked: `sources`; asking them until all is there: `gather`, `measured`; all of it: `round`
//! 3. judging it, one row for each `claim`: `traces` (with `align`, `spans`), `counts`, `latencies`, `logs`, `links`,
//!    `queue`, `quality`, where on the way something was lost: `stations`, and which settings say why: `settings`
//! 4. `report` (with `export`), with `findings`; two of them beside each other: `diff`; one after the other: `watch`
//! 5. the same for the telemetry of other programs, by a file that says what has to arrive: `spec`
//!
//! `pipeline` starts a lab of its own for all that, whose `receiver` is asked whether it is there; `stop` is how all of it
//! is stopped.
//!
//! Standard output is the report. The exit code is 0 where every claim holds, 1 where one does not, 3 where
//! none fails and one cannot be told, 130 where it was interrupted, once what it set up is cleaned up.

mod align;
mod claim;
mod counts;
mod diff;
mod export;
mod faults;
mod files;
mod findings;
mod gather;
mod latencies;
pub(crate) mod ledger;
mod links;
mod logs;
mod measured;
pub(crate) mod pipeline;
mod quality;
pub(crate) mod queue;
mod receiver;
mod recorded;
mod report;
mod round;
mod settings;
mod sources;
mod spans;
mod spec;
mod stations;
mod stop;
mod traces;
mod watch;
pub(crate) mod workload;

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::Value;

use crate::config::spec::TelemetrySpec;
use crate::config::{Invalid, VerifyConfig, without_login};
use crate::runtime::oneshot::OneShot;
use crate::schema::Role;
use claim::{Claim, ClaimVerdict};
use pipeline::EmbeddedLab;
use quality::QualityScore;
use report::Report;
use round::verify;
use sources::Sources;
use stop::Stop;

/// How long the gateway may take to show that it is there.
const REACHED_WITHIN: Duration = Duration::from_secs(5);
const LARGEST_ANSWER: usize = 1 << 20;
const PAUSE: Duration = Duration::from_millis(100);

/// Not every claim holds.
#[derive(Debug, thiserror::Error)]
#[error("{summary}")]
pub struct NotVerified {
    summary: String,
    /// 1 where a claim does not hold, 3 where one cannot be told, 130 and the like where a signal stopped it.
    pub exit_code: u8,
}

/// Sends the workload and reports what became of it.
///
/// # Errors
/// A JUnit file that cannot be written, headers or a certificate that cannot be used ([`Invalid`]); [`NotVerified`], also where nothing could be sent.
pub async fn run(config: VerifyConfig) -> anyhow::Result<()> {
    if let [before, after] = config.diff.as_slice() {
        return diff::diff(before, after, config.json);
    }
    let stop = Stop::listen()?;
    if let Some(file) = &config.other.record {
        return spec::record(&config, file, &stop).await;
    }
    config.sampling.expected()?;
    let wanted = config.other.spec.as_deref().map(TelemetrySpec::read).transpose()?;
    if wanted.is_none() && !config.other.command.is_empty() {
        return Err(Invalid("a command is run with --spec or --record only".to_owned()).into());
    }
    // Before anything is sent: a report that cannot be written is no reason to have sent it.
    let junit = config.junit.as_deref().map(writable).transpose()?;
    if let Some(dir) = &config.files {
        let report = recorded::verify(dir).await?;
        tell(&report, &config, junit)?;
        return exit_of(&report);
    }
    let report = match (&wanted, &config.pipeline) {
        (Some(spec), _) => spec::verify(&config, spec, &stop).await?,
        (None, Some(receiver)) => through(receiver, &config, &stop).await?,
        (None, None) => {
            let sources = match stop.during(reached(&config)).await {
                Ok(sources) => sources,
                Err(error) => {
                    if let Some(report) = nothing_sent(&config, &error) {
                        tell(&report, &config, junit)?;
                    }
                    return Err(error);
                }
            };
            if config.watch {
                return watch::watch(&config, &sources, &stop).await;
            }
            faults::under(&config, verify(&config, &sources), &stop).await?
        }
    };
    tell(&report, &config, junit)?;
    exit_of(&report)
}

/// Opens a file for a report. What is in it stays until there is another one: an empty file is no report.
fn writable(file: &Path) -> Result<File, Invalid> {
    let opened = File::options().write(true).create(true).truncate(false).open(file);
    opened.map_err(|error| Invalid(format!("--junit (VERIFY_JUNIT) '{}': {error}", file.display())))
}

/// Writes a report wherever it is wanted.
fn tell(report: &Report, config: &VerifyConfig, junit: Option<File>) -> anyhow::Result<()> {
    report.output(config.details).print(config.json)?;
    if let Some(mut file) = junit {
        // A pipe has no length.
        if file.metadata()?.is_file() {
            file.set_len(0)?;
        }
        file.write_all(report.junit().as_bytes()).context("writing the file of --junit")?;
    }
    if config.github {
        let _ = std::io::stderr().write_all(report.annotations().as_bytes());
    }
    Ok(())
}

/// The report of a run in which nothing could be sent; there is none where it was refused or stopped.
fn nothing_sent(config: &VerifyConfig, error: &anyhow::Error) -> Option<Report> {
    let NotVerified { summary, exit_code: 3 } = error.downcast_ref()? else { return None };
    let why = summary.trim_start_matches(UNTOLD);
    Some(Report {
        target: without_login(&config.target()),
        requests: 0,
        took: Duration::ZERO,
        judging: Duration::ZERO,
        seed: config.seed,
        visible: Vec::new(),
        notes: Vec::new(),
        claims: vec![Claim::untold("requests.sent", "client", "the workload can be sent", why)],
        score: QualityScore::default(),
        arrived: None,
    })
}

const UNTOLD: &str = "cannot tell: ";

/// What a report is as the end of this program.
fn exit_of(report: &Report) -> anyhow::Result<()> {
    let exit_code = match report.verdict() {
        ClaimVerdict::Pass => return Ok(()),
        ClaimVerdict::Fail => 1,
        ClaimVerdict::CannotTell => 3,
    };
    Err(NotVerified { summary: report.summary(), exit_code }.into())
}

async fn reached(config: &VerifyConfig) -> anyhow::Result<Sources> {
    reach(config).await?;
    let sources = Sources::find(config).await?;
    if sources.traces.is_empty() && sources.counts.is_empty() && sources.logs.is_empty() {
        return Err(untold(
            "no backend is named, and there is none of this lab: --traces, --metrics, --logs",
        ));
    }
    Ok(sources)
}

/// A run on a lab of its own, which is ended however this ends.
async fn through(receiver: &str, config: &VerifyConfig, stop: &Stop) -> anyhow::Result<Report> {
    if config.traces.is_empty() && config.metrics.is_empty() && config.logs.is_empty() {
        let why = "--pipeline needs the backends behind it: --traces, --metrics, --logs";
        return Err(Invalid(why.to_owned()).into());
    }
    let mut lab = EmbeddedLab::start(Some(receiver), config.queue_trace_mode)?;
    let settings = lab.settings(config);
    let run = async {
        let before = receiver::answers(receiver).await;
        lab.ready().await.map_err(|why| untold(&format!("the lab for --pipeline did not start: {why}")))?;
        let sources = reached(&settings).await?;
        let mut report = faults::under(&settings, verify(&settings, &sources), stop).await?;
        report.claims.insert(0, receiver::row(receiver, before, receiver::answers(receiver).await));
        if config.url.is_some() {
            report.notes.push("--url has no effect: --pipeline starts a lab of its own".to_owned());
        }
        Ok(report)
    };
    let report = stop.during(run).await;
    lab.stop().await;
    report
}

/// Nothing was sent, so nothing can be told.
fn untold(why: &str) -> anyhow::Error {
    NotVerified { summary: format!("{UNTOLD}{why}"), exit_code: 3 }.into()
}

/// Waits until the gateway answers: it may be starting.
async fn reach(config: &VerifyConfig) -> anyhow::Result<()> {
    let url = format!("{}/health", config.target());
    let http = OneShot::new(REACHED_WITHIN, LARGEST_ANSWER);
    let end = Instant::now() + REACHED_WITHIN;
    loop {
        let why = match http.get(&url).await {
            Ok(answer) => {
                let service = answer.json::<Value>().unwrap_or_default()["service"].clone();
                return match service == Role::Gateway.service().name {
                    true => Ok(()),
                    false => Err(untold("what answers there is not the lab's gateway (--url, --port-base)")),
                };
            }
            Err(why) => why,
        };
        if Instant::now() >= end {
            return Err(untold(&format!("the gateway does not answer; is the lab up? {why}")));
        }
        tokio::time::sleep(PAUSE).await;
    }
}
