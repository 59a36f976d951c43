//! `o11y-lab verify`: sends a workload of known shape and says, claim by claim, what the backends received.
//!
//! 1. what is sent, and what the client saw of it: `workload`, `ledger`; what that has to leave behind stands
//!    in [`super::expect`]; faults for the time of it: `faults`
//! 2. which backends are asked: `sources`; asking them until all is there: `gather`
//! 3. judging it, one row for each `claim`: `traces` (with `align`), `counts`, `logs`, `links`, `queue`
//!    and where on the way something was lost: `stations`
//! 4. `report`, with `findings`; two of them beside each other: `diff`; one after the other: `watch`
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
mod faults;
mod files;
mod findings;
mod gather;
pub(crate) mod ledger;
mod links;
mod logs;
pub(crate) mod pipeline;
pub(crate) mod queue;
mod receiver;
mod report;
mod sources;
mod spec;
mod stations;
mod stop;
mod traces;
mod watch;
pub(crate) mod workload;

use std::fs::File;
use std::io::Write as _;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use futures_util::future::join_all;
use serde_json::Value;

use crate::config::spec::TelemetrySpec;
use crate::config::{Invalid, VerifyConfig, without_login};
use crate::lab::backend::count::{CountReader, CountSnapshot};
use crate::runtime::oneshot::OneShot;
use crate::schema::Role;
use claim::{Claim, ClaimVerdict, Flaws};
use counts::{CountedSource, books, other_traffic};
use gather::Wait;
use ledger::{RequestLedger, RequestOutcome};
use pipeline::EmbeddedLab;
use queue::QueueWitness;
use report::Report;
use sources::{Named, Sources};
use stations::Stations;
use stop::Stop;
use workload::Workload;

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
    let wanted = config.other.spec.as_deref().map(TelemetrySpec::read).transpose()?;
    if wanted.is_none() && !config.other.command.is_empty() {
        return Err(Invalid("a command is run with --spec or --record only".to_owned()).into());
    }
    // Before anything is sent: a report that cannot be written is no reason to have sent it.
    let junit = config.junit.as_ref().map(|file| (file, File::create(file)));
    if let Some((file, Err(error))) = &junit {
        return Err(Invalid(format!("--junit (VERIFY_JUNIT) '{}': {error}", file.display())).into());
    }
    let report = match (&wanted, &config.pipeline) {
        (Some(spec), _) => spec::verify(&config, spec, &stop).await?,
        (None, Some(receiver)) => through(receiver, &config, &stop).await?,
        (None, None) => {
            let sources = stop.during(reached(&config)).await?;
            if config.watch {
                return watch::watch(&config, &sources, &stop).await;
            }
            faults::under(&config, verify(&config, &sources), &stop).await?
        }
    };
    report.output(config.details).print(config.json)?;
    if let Some((file, Ok(mut writer))) = junit {
        let written = writer.write_all(report.junit().as_bytes());
        written.with_context(|| format!("writing {}", file.display()))?;
    }
    if config.github {
        let _ = std::io::stderr().write_all(report.annotations().as_bytes());
    }
    exit_of(&report)
}

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
        Ok(report)
    };
    let report = stop.during(run).await;
    lab.stop().await;
    report
}

/// Nothing was sent, so nothing can be told.
fn untold(why: &str) -> anyhow::Error {
    NotVerified { summary: format!("cannot tell: {why}"), exit_code: 3 }.into()
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

/// What one source of metrics showed before and after, or why it could not be read.
struct BeforeAndAfter {
    before: Result<CountSnapshot, String>,
    after: Option<Result<(CountSnapshot, Option<Duration>), String>>,
}

async fn verify(config: &VerifyConfig, sources: &Sources) -> Report {
    let stations = Stations::before(config).await;
    let witness = CountReader::pages(vec![(Role::Gateway.service().name, config.target())]);
    let queue = QueueWitness::before(config).await;
    let mut measured = before(config, sources).await;
    let gateway = witness.read().await;
    let gone = join_all(sources.traces.iter().map(gather::traces_let_go)).await;
    let lines_gone = join_all(sources.logs.iter().map(gather::lines_let_go)).await;
    let mut ledger = Workload::new(config).send().await;

    let wait = Wait::begin(config);
    let mut claims = answered(&ledger);
    claims.extend(queue.settle(&mut ledger, config).await);
    let traces = sources.traces.iter().zip(gone);
    let traces = join_all(traces.map(|(source, gone)| gather::traces(source, gone, &ledger, wait)));
    let lines = join_all(sources.logs.iter().map(|source| gather::wait_for_lines(source, &ledger, wait)));
    let (traces, lines, ()) =
        futures_util::join!(traces, lines, after(&sources.counts, &mut measured, &ledger, wait));

    let mut visible = Vec::new();
    let mut ids = None;
    for (source, (gathered, found)) in sources.traces.iter().zip(traces) {
        visible.push(("traces", source.label.clone(), gathered.visible));
        claims.extend(gathered.claims);
        claims.extend(files::lines("traces", &source.label, &source.base, source.reader.tally()));
        ids.get_or_insert(found);
    }
    let others = match (gateway, witness.read().await) {
        (Ok(before), Ok(after)) => other_traffic(&before, &after, &ledger),
        _ => None,
    };
    for (source, measured) in sources.counts.iter().zip(measured) {
        let (rows, seen) = judge_counts(config, source, measured, &ledger, others.as_deref());
        visible.push(("metrics", source.label.clone(), seen));
        claims.extend(rows);
        claims.extend(files::lines("metrics", &source.label, &source.base, source.reader.tally()));
    }
    for ((source, gone), seen) in sources.logs.iter().zip(lines_gone).zip(lines) {
        visible.push(("logs", source.label.clone(), seen));
        claims.extend(gather::logs(source, gone, &ledger, ids.as_ref(), config).await);
        claims.extend(files::lines("logs", &source.label, &source.base, source.reader.tally()));
    }
    claims.extend(links::exemplars(&config.target(), &ledger, &sources.traces).await);
    for source in &sources.alerts {
        claims.extend(links::alerts(source).await);
    }
    let placed = stations.claims(config, &claims).await;
    claims.extend(placed);
    let (requests, took) = (ledger.entries.len(), ledger.took);
    let (target, notes) = (without_login(&config.target()), sources.notes.clone());
    Report { target, requests, took, seed: config.seed, visible, notes, claims, arrived: None }
}

/// Every source of metrics before the first request.
async fn before(config: &VerifyConfig, sources: &Sources) -> Vec<BeforeAndAfter> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
    let pages = match sources.counts.iter().find(|source| source.label == "roles") {
        Some(pages) => pages.reader.read().await.ok(),
        None => None,
    };
    let baselines = sources.counts.iter().map(async |source| {
        let before = match (&pages, source.label.as_str()) {
            (Some(pages), "roles") => Ok(pages.clone()),
            _ => gather::baseline(source, pages.as_ref(), since, config.within).await,
        };
        BeforeAndAfter { before, after: None }
    });
    join_all(baselines).await
}

/// Every source of metrics when all of it is there, or the time is over.
async fn after(
    sources: &[Named<CountReader>],
    measured: &mut [BeforeAndAfter],
    ledger: &RequestLedger,
    wait: Wait<'_>,
) {
    let all = sources.iter().zip(measured.iter_mut()).map(async |(source, measured)| {
        if let Ok(before) = &measured.before {
            measured.after = Some(gather::counts(source, before, ledger, wait).await);
        }
    });
    join_all(all).await;
}

fn judge_counts(
    config: &VerifyConfig,
    source: &Named<CountReader>,
    measured: BeforeAndAfter,
    ledger: &RequestLedger,
    others: Option<&str>,
) -> (Vec<Claim>, Option<Duration>) {
    let unread = |why: String| (vec![Claim::unread("metrics", &source.label, why)], None);
    let (before, after, seen) = match (measured.before, measured.after) {
        (Ok(before), Some(Ok((after, seen)))) => (before, after, seen),
        (Err(why), _) | (_, Some(Err(why))) => return unread(why),
        (Ok(_), None) => return unread("it was not asked".to_owned()),
    };
    let look = match source.label.split(' ').next() {
        Some("roles") => format!("{}/metrics, and that of each other role", config.of(Role::Gateway)),
        Some("file") => format!("grep {{metric}} {}", source.base),
        Some("prometheus") => format!("{}/graph?g0.expr={{metric}}", source.base),
        _ => format!("{}/api/metrics", source.base),
    };
    let counted = CountedSource { source: &source.label, before: &before, after: &after, look: &look };
    let mut claims = counted.claims(ledger, others);
    if source.label == "roles" {
        claims.extend(books(&counted, ledger, others));
    }
    (claims, seen)
}

/// What the client itself saw.
fn answered(ledger: &RequestLedger) -> Vec<Claim> {
    let (mut wrong, mut unknown, mut untraced) = (Flaws::default(), Flaws::default(), Flaws::default());
    for entry in &ledger.entries {
        let route = entry.shape.route;
        match &entry.outcome {
            RequestOutcome::Otherwise(status) => {
                wrong
                    .add(format!("{route} answered {status} instead of {}", entry.shape.status), String::new);
            }
            RequestOutcome::Settled => {
                unknown.add(format!("{route} was not answered the first time"), String::new)
            }
            RequestOutcome::Unknown(why) => unknown.add(format!("{route}: {why}"), String::new),
            RequestOutcome::AsExpected if entry.trace.is_none() => {
                untraced.add(format!("{route} names no trace"), String::new);
            }
            RequestOutcome::AsExpected => {}
        }
    }
    let all = ledger.entries.len();
    let unsettled = Claim::of("requests.certain", "client", "every request is answered", &unknown);
    vec![
        Claim::of("requests.answered", "client", format!("{all} requests, each with its status"), &wrong),
        unsettled.unless(Some("what they left in the telemetry is not known")),
        Claim::of("requests.traced", "client", "every answer names its trace", &untraced),
    ]
}
