//! One round: the workload, the waiting, and all rows of the report.

use std::time::Duration;

use futures_util::future::join_all;

use super::claim::{Claim, Flaws};
use super::counts::other_traffic;
use super::gather::{self, GatherWait, Gathered};
use super::ledger::{RequestLedger, RequestOutcome};
use super::logs::SeenLines;
use super::measured::{self, JudgedCounts};
use super::quality::{QualityScore, RegistryFlaws};
use super::queue::QueueWitness;
use super::report::Report;
use super::settings::{likely_causes, unused};
use super::sources::{Named, Sources};
use super::stations::Stations;
use super::traces::SeenSpans;
use super::workload::Workload;
use super::{files, links};
use crate::config::{TraceSampler, VerifyConfig, without_login};
use crate::lab::backend::count::{ArrivedMetrics, CountReader};
use crate::lab::backend::log::LogReader;
use crate::lab::backend::trace::TraceReader;
use crate::lab::score::Facts;
use crate::schema::Role;

/// Sends the workload, waits for its telemetry, and judges it.
pub(super) async fn verify(config: &VerifyConfig, sources: &Sources) -> Report {
    let stations = Stations::before(config).await;
    let witness = CountReader::pages(vec![(Role::Gateway.service().name, config.target())]);
    let queue = QueueWitness::before(config).await;
    // Before the backends' metrics, which may take seconds: a request of others in that time is one that is counted.
    let gateway = witness.read().await;
    let mut measured = measured::before(config, sources).await;
    let gone = join_all(sources.traces.iter().map(gather::traces_let_go)).await;
    let lines_gone = join_all(sources.logs.iter().map(gather::lines_let_go)).await;
    let mut ledger = Workload::new(config).send().await;

    let wait = GatherWait::begin(config);
    let mut claims = answered(&ledger);
    claims.extend(queue.settle(&mut ledger, config).await);
    let traces = sources.traces.iter().zip(gone);
    let traces = join_all(traces.map(|(source, gone)| gather::traces(source, gone, &ledger, wait)));
    let lines = join_all(sources.logs.iter().map(|source| gather::wait_for_lines(source, &ledger, wait)));
    let (traces, lines, ()) =
        futures_util::join!(traces, lines, measured::after(&sources.counts, &mut measured, &ledger, wait));

    let mut round = Round { claims, ..Round::default() };
    for (source, (gathered, seen)) in sources.traces.iter().zip(traces) {
        round.traces(source, gathered, seen);
    }
    let others = match (gateway, witness.read().await) {
        (Ok(before), Ok(after)) => other_traffic(&before, &after, &ledger),
        _ => None,
    };
    for (source, measured) in sources.counts.iter().zip(measured) {
        let told = (others.as_deref(), round.spans.as_ref().map(|seen| &seen.latencies));
        let judged = measured::judge(config, source, measured, &ledger, told);
        round.counts(source, judged);
    }
    for ((source, gone), visible) in sources.logs.iter().zip(lines_gone).zip(lines) {
        let ids = round.spans.as_ref().map(|seen| &seen.ids);
        let (claims, seen) = gather::logs(source, gone, &ledger, ids, config).await;
        round.lines(source, claims, visible, seen);
    }
    round.claims.extend(links::exemplars(&config.target(), &ledger, &sources.traces).await);
    for source in &sources.alerts {
        round.claims.extend(links::alerts(source).await);
    }
    let placed = stations.claims(config, &round.claims).await;
    round.claims.extend(placed);
    let score = round.rate();
    let (requests, took) = (ledger.entries.len(), ledger.took);
    let target = without_login(&config.target());
    let mut notes: Vec<_> = sources.notes.iter().copied().chain(unused(config)).map(str::to_owned).collect();
    notes.extend(some_left_out(&ledger).then(|| SOME_LEFT_OUT.to_owned()));
    let Round { visible, claims, .. } = round;
    notes.extend(likely_causes(config, &ledger, &claims));
    let (judging, seed) = (wait.began.elapsed(), config.seed);
    Report { target, requests, took, judging, seed, visible, notes, claims, score, arrived: None }
}

/// The rows so far, and what the backends tell beside them.
#[derive(Default)]
struct Round {
    claims: Vec<Claim>,
    visible: Vec<(&'static str, String, Option<Duration>)>,
    /// Of the first backend of traces that can be read.
    spans: Option<SeenSpans>,
    facts: Facts,
    strange: RegistryFlaws,
}

impl Round {
    fn traces(&mut self, source: &Named<TraceReader>, gathered: Gathered, seen: Option<SeenSpans>) {
        self.visible.push(("traces", source.label.clone(), gathered.visible));
        self.claims.extend(gathered.claims);
        self.claims.extend(files::lines("traces", &source.label, &source.base, source.reader.tally()));
        let Some(mut seen) = seen else { return };
        self.strange.add(&source.label, std::mem::take(&mut seen.strange));
        if self.spans.is_none() {
            self.facts = std::mem::take(&mut seen.facts);
            self.spans = Some(seen);
        }
    }

    fn counts(&mut self, source: &Named<CountReader>, judged: JudgedCounts) {
        self.visible.push(("metrics", source.label.clone(), judged.visible));
        self.claims.extend(judged.claims);
        self.claims.extend(files::lines("metrics", &source.label, &source.base, source.reader.tally()));
        self.strange.extend(&source.label, judged.strange);
        if let Some(ArrivedMetrics::Series(series)) = judged.arrived {
            self.facts.series(&series);
        }
    }

    fn lines(
        &mut self,
        source: &Named<LogReader>,
        claims: Vec<Claim>,
        visible: Option<Duration>,
        seen: SeenLines,
    ) {
        self.visible.push(("logs", source.label.clone(), visible));
        self.claims.extend(claims);
        self.claims.extend(files::lines("logs", &source.label, &source.base, source.reader.tally()));
        self.strange.extend(&source.label, seen.strange);
        self.facts.join_lines(seen.facts);
    }

    /// The rows about quality, which come last: they have nothing to add to what another row says.
    fn rate(&mut self) -> QualityScore {
        self.claims.extend(self.strange.claims());
        let score = QualityScore::of(&self.facts);
        let rated = score.claim(&self.claims);
        self.claims.extend(rated);
        score
    }
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
    .into_iter()
    .chain(match &ledger.sampler {
        Some(sampler) => Some(sampled(ledger, sampler)),
        None => none_recorded(ledger),
    })
    .collect()
}

const SOME_LEFT_OUT: &str = "the lab's sampler leaves traces out: only the recorded ones are judged (traces.sampling says how many it \
                             left out; --sampling expected asks for exactly those that it has to keep)";

/// How many traces the answers name, and how many of them are recorded.
fn recorded(ledger: &RequestLedger) -> (usize, usize) {
    let named = || ledger.known().filter(|entry| entry.trace.is_some());
    (named().count(), named().filter(|entry| entry.sampled).count())
}

fn some_left_out(ledger: &RequestLedger) -> bool {
    let (named, kept) = recorded(ledger);
    ledger.sampler.is_none() && kept < named
}

/// Where nobody asked for a sampler and it left all out, no row about spans has anything to judge.
fn none_recorded(ledger: &RequestLedger) -> Option<Claim> {
    let (named, kept) = recorded(ledger);
    let why = || format!("none of {named}: the lab's sampler leaves them all out, so no span was judged");
    (named > 0 && kept == 0)
        .then(|| Claim::untold("requests.recorded", "client", "some of the traces are recorded", why()))
}

/// Whether the lab's answers say of each trace what its sampler has to decide.
fn sampled(ledger: &RequestLedger, sampler: &TraceSampler) -> Claim {
    let mut flaws = Flaws::default();
    let named = ledger.known().filter_map(|entry| Some((entry, entry.trace.as_deref()?)));
    let (mut all, mut kept) = (0, 0);
    for (entry, id) in named {
        all += 1;
        kept += usize::from(entry.sampled);
        if entry.flagged != entry.sampled {
            let says = if entry.flagged { "is recorded" } else { "is left out" };
            flaws.add(format!("{id} {says}, not as {} has it", sampler.name), String::new);
        }
    }
    let expected = format!("{kept} of {all} traces are recorded, those that {} keeps", sampler.name);
    Claim::of("requests.sampled", "client", expected, &flaws)
}
