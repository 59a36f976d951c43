//! Asks the backends until everything is there or the time is over, and once more when it had time to settle:
//! what arrives too often arrives late.

use std::collections::HashMap;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures_util::{Stream, StreamExt as _};
use tokio::time::sleep;

use super::claim::Claim;
use super::ledger::{LedgerEntry, RequestLedger};
use super::logs::{LogJudge, SeenLines};
use super::sources::Named;
use super::traces::{SeenSpans, SpanIds, TraceJudge};
use crate::config::{TraceMode, VerifyConfig};
use crate::lab::backend::BackendError;
use crate::lab::backend::log::LogReader;
use crate::lab::backend::trace::TraceReader;

/// Between two rounds of questions; grows up to the longest.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(50);
pub(super) const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// Lines of one trace that are read: many more than any has.
const MOST_LINES: usize = 200;

/// What was found in one backend.
pub(super) struct Gathered {
    /// The rows.
    pub(super) claims: Vec<Claim>,
    /// From the last answer until everything was there, if it was.
    pub(super) visible: Option<Duration>,
}

/// When the waiting began, and when it ends.
#[derive(Clone, Copy)]
pub(super) struct GatherWait<'a> {
    pub(super) config: &'a VerifyConfig,
    pub(super) began: Instant,
}

impl<'a> GatherWait<'a> {
    /// From now on.
    pub(super) fn begin(config: &'a VerifyConfig) -> Self {
        Self { config, began: Instant::now() }
    }

    fn left(&self) -> Duration {
        self.config.within.saturating_sub(self.began.elapsed())
    }

    /// Asks again and again for `pending`, so many at once, of which `missing` gives back those that are not there yet, until
    /// none is left; how long that took, if all came in time.
    pub(super) async fn until_none<T: Copy, F: Future<Output = Vec<T>>>(
        &self,
        mut pending: Vec<T>,
        at_once: usize,
        missing: impl Fn(Vec<T>) -> F,
    ) -> Option<Duration> {
        let mut pause = FIRST_PAUSE;
        loop {
            let asked = portions(&pending, at_once).map(&missing);
            let left = asked.buffer_unordered(in_flight(self.config, at_once)).concat();
            // A backend that hangs costs no more than the time there is.
            pending = tokio::time::timeout(self.left(), left).await.ok()?;
            if pending.is_empty() {
                return Some(self.began.elapsed());
            }
            if self.began.elapsed() >= self.config.within {
                return None;
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// How many traces the console has let go of so far for want of room; another backend says nothing.
pub(super) async fn traces_let_go(source: &Named<TraceReader>) -> Option<u64> {
    if is_console(&source.label) { source.reader.let_go().await } else { None }
}

/// How many log lines.
pub(super) async fn lines_let_go(source: &Named<LogReader>) -> Option<u64> {
    if is_console(&source.label) { source.reader.let_go().await } else { None }
}

fn is_console(label: &str) -> bool {
    label.starts_with("console")
}

/// What is missing explains itself where the console let go of items meanwhile. Nothing else does.
fn unless_let_go(claim: Claim, before: Option<u64>, after: Option<u64>) -> Claim {
    let gone = after.unwrap_or_default().saturating_sub(before.unwrap_or_default());
    if gone == 0 || !claim.id.ends_with(".complete") {
        return claim;
    }
    claim.unless(Some(&format!(
        "the console let go of {gone} to make room: give it more, or send fewer orders"
    )))
}

/// Questions to a backend at once. One about many traces keeps it busy: behind others it would wait for its time to be over.
fn in_flight(config: &VerifyConfig, at_once: usize) -> usize {
    let most = config.connections as usize;
    if at_once > 1 { most.min(2) } else { most }
}

/// So many at once.
fn portions<T: Copy>(all: &[T], at_once: usize) -> impl Stream<Item = Vec<T>> {
    futures_util::stream::iter(all.chunks(at_once).map(<[T]>::to_vec))
}

/// Of each request its traces.
fn traces_of<'a>(entries: &[&'a LedgerEntry], mode: TraceMode) -> Vec<Vec<&'a str>> {
    entries.iter().map(|entry| entry.traces(mode).collect()).collect()
}

/// Those of which less is there than has to be, by the numbers of their traces.
fn fewer<'a>(
    entries: Vec<&'a LedgerEntry>,
    traces: &[Vec<&str>],
    counts: &[usize],
    wanted: impl Fn(&LedgerEntry) -> usize,
) -> Vec<&'a LedgerEntry> {
    let mut counts = counts.iter();
    let there = traces.iter().map(|ids| counts.by_ref().take(ids.len()).sum::<usize>());
    let left = entries.into_iter().zip(there).filter(|(entry, there)| *there < wanted(entry));
    left.map(|(entry, _)| entry).collect()
}

/// A request and what there is of it: of its trace, and of the consumer's where that is another.
type Answered<'a, T> = (&'a LedgerEntry, Vec<T>);

/// What was found by trace, by request.
fn by_entry<'a, T>(
    entries: Vec<&'a LedgerEntry>,
    mode: TraceMode,
    mut found: HashMap<String, Vec<T>>,
) -> Vec<Answered<'a, T>> {
    let mut of = |id: &str| found.remove(id).unwrap_or_default();
    let of = |entry: &'a LedgerEntry| (entry, entry.traces(mode).flat_map(&mut of).collect());
    entries.into_iter().map(of).collect()
}

/// The traces in one backend, which had let go of `gone` before, and what else they tell.
pub(super) async fn traces(
    source: &Named<TraceReader>,
    gone: Option<u64>,
    ledger: &RequestLedger,
    wait: GatherWait<'_>,
) -> (Gathered, Option<SeenSpans>) {
    let (reader, config) = (&source.reader, wait.config);
    let mode = config.queue_trace_mode;
    let recorded: Vec<_> = ledger.known().filter(|entry| ledger.spans_of(entry) > 0).collect();
    let visible = wait
        .until_none(recorded, reader.at_once(), async |entries| {
            let traces = traces_of(&entries, mode);
            match reader.counts(&traces.concat()).await {
                Ok(counts) => fewer(entries, &traces, &counts, |entry| ledger.spans_of(entry)),
                Err(_) => entries,
            }
        })
        .await;
    sleep(config.settle).await;
    let mut judge = TraceJudge::new(&source.label, &source.base, config, &ledger.queue);
    let all: Vec<_> = ledger.known().filter(|entry| entry.trace.is_some()).collect();
    let answers = portions(&all, reader.at_once()).map(async |entries: Vec<&LedgerEntry>| {
        let found = reader.spans(&traces_of(&entries, mode).concat()).await?;
        Ok::<_, BackendError>(by_entry(entries, mode, found))
    });
    let mut answers = pin!(answers.buffer_unordered(in_flight(config, reader.at_once())));
    // After the waiting: a backend may be starting.
    let mut unread = reader.check().await.err().map(|error| error.to_string());
    while let (None, Some(answered)) = (&unread, answers.next().await) {
        match answered {
            Ok(all) => all.iter().for_each(|(entry, spans)| judge.answer(entry, ledger, spans)),
            Err(error) => {
                unread = Some(error.to_string());
                break;
            }
        }
    }
    if let Some(why) = unread {
        let claims = vec![Claim::unread("traces", &source.label, why)];
        return (Gathered { claims, visible }, None);
    }
    let (claims, seen) = judge.claims(ledger);
    let after = traces_let_go(source).await;
    let claims = claims.into_iter().map(|claim| unless_let_go(claim, gone, after)).collect();
    (Gathered { claims, visible }, Some(seen))
}

/// Waits for the log lines in one backend.
pub(super) async fn wait_for_lines(
    source: &Named<LogReader>,
    ledger: &RequestLedger,
    wait: GatherWait<'_>,
) -> Option<Duration> {
    let all: Vec<_> = ledger.known().filter(|entry| entry.trace.is_some()).collect();
    let (reader, mode) = (&source.reader, wait.config.queue_trace_mode);
    wait.until_none(all, reader.at_once(), async |entries| {
        let traces = traces_of(&entries, mode);
        match reader.counts(&traces.concat(), MOST_LINES).await {
            Ok(counts) => fewer(entries, &traces, &counts, |entry| entry.shape.expected_lines().len()),
            Err(_) => entries,
        }
    })
    .await
}

/// The log lines in one backend, which had let go of `gone` before, judged with the spans that a trace backend has.
pub(super) async fn logs(
    source: &Named<LogReader>,
    gone: Option<u64>,
    ledger: &RequestLedger,
    ids: Option<&SpanIds>,
    config: &VerifyConfig,
) -> (Vec<Claim>, SeenLines) {
    let mut judge = LogJudge::new(&source.label, &source.base, ids);
    let all: Vec<_> = ledger.known().filter(|entry| entry.trace.is_some()).collect();
    let (reader, mode) = (&source.reader, config.queue_trace_mode);
    let answers = portions(&all, reader.at_once()).map(async |entries: Vec<&LedgerEntry>| {
        let found = reader.lines(&traces_of(&entries, mode).concat(), MOST_LINES).await?;
        Ok::<_, BackendError>(by_entry(entries, mode, found))
    });
    let mut answers = pin!(answers.buffer_unordered(in_flight(config, reader.at_once())));
    let mut unread = None;
    while let Some(answered) = answers.next().await {
        match answered {
            Ok(all) => all.iter().for_each(|(entry, lines)| judge.add(entry, lines)),
            Err(error) => {
                unread = Some(error.to_string());
                break;
            }
        }
    }
    if let Some(why) = unread {
        return (vec![Claim::unread("logs", &source.label, why)], SeenLines::default());
    }
    let after = lines_let_go(source).await;
    let (claims, seen) = judge.claims(ledger);
    (claims.into_iter().map(|claim| unless_let_go(claim, gone, after)).collect(), seen)
}

#[cfg(test)]
mod tests {
    use super::super::claim::{ClaimVerdict, Flaws};
    use super::super::ledger::RequestOutcome;
    use super::*;
    use crate::lab::expect::{Shape, Subject};

    #[test]
    fn of_requests_asked_about_at_once_those_are_asked_about_again_whose_traces_have_less_than_they_should() {
        let entry = |trace: &str, linked: Option<&str>| LedgerEntry {
            shape: Shape::of(Subject::NewOrder).clone().into(),
            path: String::new(),
            outcome: RequestOutcome::AsExpected,
            trace: Some(trace.to_owned()),
            sampled: true,
            flagged: true,
            order: None,
            linked: linked.map(str::to_owned),
            cents: 0,
        };
        let all = [entry("a", Some("b")), entry("c", None), entry("d", Some("e"))];
        let entries: Vec<_> = all.iter().collect();
        let traces = traces_of(&entries, TraceMode::Link);
        assert_eq!(traces.concat(), ["a", "b", "c", "d", "e"]);
        let left = fewer(entries.clone(), &traces, &[9, 3, 11, 12, 0], |_| 12);
        assert_eq!(left.iter().map(|entry| entry.trace.as_deref()).collect::<Vec<_>>(), [Some("c")]);
        let found = [("a", 1), ("b", 2), ("d", 4), ("x", 8)];
        let found = found.map(|(id, one)| (id.to_owned(), vec![one])).into();
        let by_entry: Vec<_> =
            by_entry(entries, TraceMode::Link, found).into_iter().map(|one| one.1).collect();
        assert_eq!(by_entry, [vec![1, 2], vec![], vec![4]]);
    }

    #[test]
    fn what_the_console_let_go_of_meanwhile_explains_what_is_missing_and_nothing_else() {
        let mut flaws = Flaws::default();
        flaws.add("a span".to_owned(), String::new);
        let verdict =
            |id, before, after| unless_let_go(Claim::of(id, "console", "all", &flaws), before, after).verdict;
        assert_eq!(verdict("traces.complete", Some(3), Some(5)), ClaimVerdict::CannotTell);
        // What it had let go of before has nothing to do with this run.
        assert_eq!(verdict("traces.complete", Some(5), Some(5)), ClaimVerdict::Fail);
        assert_eq!(verdict("traces.complete", None, None), ClaimVerdict::Fail);
        assert_eq!(verdict("traces.parents", Some(3), Some(5)), ClaimVerdict::Fail);
    }
}
