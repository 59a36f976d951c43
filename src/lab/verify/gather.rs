//! Asks the backends until everything is there or the time is over, and once more when it had time to settle:
//! what arrives too often arrives late.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use tokio::time::sleep;

use super::claim::Claim;
use super::ledger::{LedgerEntry, RequestLedger};
use super::logs::{LogJudge, SeenLines};
use super::sources::Named;
use super::traces::{SeenSpans, SpanIds, TraceJudge};
use crate::config::{TraceMode, VerifyConfig};
use crate::lab::backend::BackendError;
use crate::lab::backend::log::{LogLine, LogReader};
use crate::lab::backend::trace::{Span, TraceReader};

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
pub(super) struct Wait<'a> {
    pub(super) config: &'a VerifyConfig,
    began: Instant,
}

impl<'a> Wait<'a> {
    /// From now on.
    pub(super) fn begin(config: &'a VerifyConfig) -> Self {
        Self { config, began: Instant::now() }
    }

    fn left(&self) -> Duration {
        self.config.within.saturating_sub(self.began.elapsed())
    }

    /// Asks again and again for `pending` until none is left; how long that took, if all came in time.
    pub(super) async fn until_none<T: Copy, F: Future<Output = bool>>(
        &self,
        mut pending: Vec<T>,
        arrived: impl Fn(T) -> F,
    ) -> Option<Duration> {
        let mut pause = FIRST_PAUSE;
        loop {
            let asked = futures_util::stream::iter(pending).map(|one| {
                let arrived = arrived(one);
                async move { (one, arrived.await) }
            });
            let left = asked.buffer_unordered(self.config.connections as usize);
            let left = left.filter_map(async |(one, arrived)| (!arrived).then_some(one)).collect();
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

/// The spans of a request: of its trace, and of the consumer's where that is another.
async fn spans_of(
    reader: &TraceReader,
    mode: TraceMode,
    entry: &LedgerEntry,
) -> Result<Vec<Span>, BackendError> {
    let mut spans = Vec::new();
    for id in entry.traces(mode) {
        spans.extend(reader.trace(id).await?.spans);
    }
    Ok(spans)
}

/// The traces in one backend, which had let go of `gone` before, and what else they tell.
pub(super) async fn traces(
    source: &Named<TraceReader>,
    gone: Option<u64>,
    ledger: &RequestLedger,
    wait: Wait<'_>,
) -> (Gathered, Option<SeenSpans>) {
    let (reader, config) = (&source.reader, wait.config);
    let mode = config.queue_trace_mode;
    let recorded: Vec<_> = ledger.known().filter(|entry| ledger.spans_of(entry) > 0).collect();
    let visible = wait
        .until_none(recorded, async |entry: &LedgerEntry| {
            spans_of(reader, mode, entry).await.is_ok_and(|spans| spans.len() >= ledger.spans_of(entry))
        })
        .await;
    sleep(config.settle).await;
    let mut judge = TraceJudge::new(&source.label, &source.base, config, &ledger.queue);
    let all = ledger.known().filter(|entry| entry.trace.is_some());
    let answers =
        futures_util::stream::iter(all).map(async |entry| (entry, spans_of(reader, mode, entry).await));
    let mut answers = answers.buffer_unordered(config.connections as usize);
    // After the waiting: a backend may be starting.
    let mut unread = reader.check().await.err().map(|error| error.to_string());
    while let (None, Some((entry, spans))) = (&unread, answers.next().await) {
        match spans {
            Ok(spans) => judge.answer(entry, ledger, &spans),
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

/// The lines of a request.
async fn lines_of(
    reader: &LogReader,
    mode: TraceMode,
    entry: &LedgerEntry,
) -> Result<Vec<LogLine>, BackendError> {
    let mut lines = Vec::new();
    for id in entry.traces(mode) {
        lines.extend(reader.of_trace(id, MOST_LINES).await?);
    }
    Ok(lines)
}

/// Waits for the log lines in one backend.
pub(super) async fn wait_for_lines(
    source: &Named<LogReader>,
    ledger: &RequestLedger,
    wait: Wait<'_>,
) -> Option<Duration> {
    let all: Vec<_> = ledger.known().filter(|entry| entry.trace.is_some()).collect();
    let mode = wait.config.queue_trace_mode;
    wait.until_none(all, async |entry: &LedgerEntry| {
        let wanted = entry.shape.expected_lines().len();
        lines_of(&source.reader, mode, entry).await.is_ok_and(|lines| lines.len() >= wanted)
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
    let all = ledger.known().filter(|entry| entry.trace.is_some());
    let (reader, mode) = (&source.reader, config.queue_trace_mode);
    let answers =
        futures_util::stream::iter(all).map(async |entry| (entry, lines_of(reader, mode, entry).await));
    let mut answers = answers.buffer_unordered(config.connections as usize);
    let mut unread = None;
    while let Some((entry, lines)) = answers.next().await {
        match lines {
            Ok(lines) => judge.add(entry, &lines),
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
    use super::*;

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
