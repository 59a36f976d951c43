//! The metrics of a run: what each source shows before the first request and when all is there, and the rows of it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_util::future::join_all;
use tokio::time::sleep;

use super::claim::{Claim, Flaws};
use super::counts::{CountedSource, all_counted, all_exported, books};
use super::gather::{FIRST_PAUSE, GatherWait, LONGEST_PAUSE};
use super::latencies::{self, SpanLatencies};
use super::ledger::RequestLedger;
use super::quality::strange_metrics;
use super::sources::{Named, Sources};
use crate::config::VerifyConfig;
use crate::lab::backend::count::{ArrivedMetrics, CountReader, CountSnapshot};
use crate::schema::{Role, SERVICES, Service};

/// What one source of metrics showed before and after, or why it could not be read.
pub(super) struct BeforeAndAfter {
    /// When it began, in seconds since the epoch.
    since: f64,
    before: Result<CountSnapshot, String>,
    after: Option<Result<(CountSnapshot, Option<Duration>), String>>,
    /// All that it has in the end.
    arrived: Option<ArrivedMetrics>,
}

/// Every source of metrics before the first request.
pub(super) async fn before(config: &VerifyConfig, sources: &Sources) -> Vec<BeforeAndAfter> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
    let pages = match sources.counts.iter().find(|source| source.label == "roles") {
        Some(pages) => pages.reader.read().await.ok(),
        None => None,
    };
    let baselines = sources.counts.iter().map(async |source| {
        let before = match (&pages, source.label.as_str()) {
            (Some(pages), "roles") => Ok(pages.clone()),
            _ => baseline(source, pages.as_ref(), since, config.within).await,
        };
        BeforeAndAfter { since, before, after: None, arrived: None }
    });
    join_all(baselines).await
}

/// Every source of metrics when all of it is there, or the time is over.
pub(super) async fn after(
    sources: &[Named<CountReader>],
    measured: &mut [BeforeAndAfter],
    ledger: &RequestLedger,
    wait: GatherWait<'_>,
) {
    let all = sources.iter().zip(measured.iter_mut()).map(async |(source, measured)| {
        if let Ok(before) = &measured.before {
            measured.after = Some(counts(source, before, ledger, wait).await);
            measured.arrived = source.reader.arrived(measured.since).await.ok();
        }
    });
    join_all(all).await;
}

/// The rows of one source, and what else it tells.
pub(super) struct JudgedCounts {
    pub(super) claims: Vec<Claim>,
    /// From the last answer until everything was there, if it was.
    pub(super) visible: Option<Duration>,
    /// What the registry does not have.
    pub(super) strange: Option<Flaws>,
    /// All series, where it has them as OTLP brought them.
    pub(super) arrived: Option<ArrivedMetrics>,
}

/// Judges a source, with the durations of spans that another backend has.
pub(super) fn judge(
    config: &VerifyConfig,
    source: &Named<CountReader>,
    measured: BeforeAndAfter,
    ledger: &RequestLedger,
    (others, spans): (Option<&str>, Option<&SpanLatencies>),
) -> JudgedCounts {
    let unread = |why: String| {
        let claims = vec![Claim::unread("metrics", &source.label, why)];
        JudgedCounts { claims, visible: None, strange: None, arrived: None }
    };
    let (before, after, visible) = match (measured.before, measured.after) {
        (Ok(before), Some(Ok((after, visible)))) => (before, after, visible),
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
    claims.extend(spans.and_then(|spans| latencies::claim(&counted, spans)));
    if source.label == "roles" {
        claims.extend(books(&counted, ledger, others));
    }
    let strange = measured.arrived.as_ref().map(|arrived| strange_metrics(arrived, &look));
    JudgedCounts { claims, visible, strange, arrived: measured.arrived }
}

/// Waits until a backend of metrics has what the roles have: all of it, or a sample that is newer than
/// `since`, in seconds since the epoch.
///
/// # Errors
/// It cannot be read, or did not get there in time.
async fn baseline(
    source: &Named<CountReader>,
    pages: Option<&CountSnapshot>,
    since: f64,
    within: Duration,
) -> Result<CountSnapshot, String> {
    let end = Instant::now() + within;
    loop {
        let found = source.reader.read().await;
        let why = match found {
            // Read in parts, it may have come in the midst of them: once more, now that all is there.
            Ok(found) if is_current(&found, pages, since) => {
                sleep(FIRST_PAUSE * 4).await;
                return source.reader.read().await.map_err(|error| error.to_string());
            }
            Ok(_) => "it has no sample that is newer than the start".to_owned(),
            Err(error) => error.to_string(),
        };
        if Instant::now() >= end {
            return Err(why);
        }
        sleep(LONGEST_PAUSE).await;
    }
}

fn is_current(found: &CountSnapshot, pages: Option<&CountSnapshot>, since: f64) -> bool {
    let fresh = |service: &Service| found.newest.get(service.name).is_some_and(|newest| *newest >= since);
    if SERVICES.iter().all(fresh) {
        return true;
    }
    let Some(pages) = pages else { return found.newest.is_empty() && !found.values.is_empty() };
    // What telemetry and the databases count goes on without requests.
    let moves = |metric: &str| metric.starts_with("telemetry_") || metric.starts_with("db_");
    !found.values.is_empty()
        && pages
            .values
            .iter()
            .filter(|(key, _)| !moves(&key.metric) && !key.metric.ends_with("_sum"))
            .all(|(key, value)| found.value(key).is_some_and(|found| (found - value).abs() < f64::EPSILON))
}

/// Waits until every series has grown by what was sent; what the backend has in the end.
///
/// # Errors
/// It cannot be read any more.
async fn counts(
    source: &Named<CountReader>,
    before: &CountSnapshot,
    ledger: &RequestLedger,
    wait: GatherWait<'_>,
) -> Result<(CountSnapshot, Option<Duration>), String> {
    let (wanted, pages) = (ledger.counts(), source.label == "roles");
    let visible = wait
        .until_none(vec![()], 1, async |source_of_all| {
            let Ok(after) = source.reader.read().await else { return source_of_all };
            let there =
                all_counted(before, &after, &wanted) && (!pages || all_exported(before, &after, ledger));
            if there { Vec::new() } else { source_of_all }
        })
        .await;
    sleep(wait.config.settle).await;
    let after = source.reader.read().await.map_err(|error| error.to_string())?;
    Ok((after, visible))
}
