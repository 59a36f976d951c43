//! What came in, kept in a file, so that a console that starts again has it: a journal of exports and log lines, in the order
//! in which they came, bounded by bytes and by age.
//!
//! At the start the journal is taken in again, by the same ways as what comes in and at the times when it came: so the
//! stores need no second form on disk, their own bounds hold, and a tail sampler decides as it had decided. A writer takes what waits twice a second; a console that is killed loses that much.

mod journal;

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use actix_web::web::Bytes;
use anyhow::Context;
use serde_json::{Value, json};

use super::export::{LOGS, METRICS, OtlpExport, TRACES};
use super::params::now;
use super::state::Console;
use crate::config::RetainConfig;
use crate::runtime::Shutdown;
use crate::runtime::telemetry::Signal;
use journal::{Journal, JournalEntry, JournalKind};

/// What may wait to be written, in bytes: more is not retained, and counted.
const MOST_WAITING: usize = 16 << 20;
/// Time between two writes.
const WRITE_EVERY: Duration = Duration::from_millis(500);
/// The longest one write may take; what it had is lost for the journal then.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// What follows on its like is joined to entries of this size at the most, in bytes: they are packed better, and what an
/// export of this size would take decoded is never too much.
const JOINED: usize = 256 << 10;

/// What waits to be written, and what became of the rest.
#[derive(Debug, Default)]
struct RetainState {
    waiting: Vec<JournalEntry>,
    /// Bytes that wait.
    bytes: usize,
    /// Entries that were not retained: for want of room, or because they could not be written.
    lost: u64,
    /// Bytes in the journal.
    kept: u64,
    failing: Option<String>,
}

/// The journal of a console that has one.
pub(super) struct Retention {
    journal: Journal,
    state: Mutex<RetainState>,
}

impl Retention {
    /// The journal of these settings, if they ask for one. Opens nothing yet.
    pub(super) fn new(config: &RetainConfig) -> Option<Self> {
        Some(Self { journal: Journal::new(config)?, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, RetainState> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Notes an export, unpacked; never waits.
    pub(super) fn note_export(&self, signal: Signal, is_json: bool, body: &Bytes) {
        let kind = match signal {
            Signal::Traces => JournalKind::Spans,
            Signal::Logs => JournalKind::Records,
            Signal::Metrics => JournalKind::Points,
        };
        // Two exports in protobuf, one after the other, are an export: what is repeated adds up (its encoding, "Last One
        // Wins", where messages are merged).
        let between = if is_json { None } else { Some(&b""[..]) };
        self.note(kind, is_json, body, between);
    }

    /// Notes that what is kept of a service, or of all, was removed.
    pub(super) fn note_removal(&self, service: Option<&str>) {
        self.note(JournalKind::Removal, true, json!(service).to_string().as_bytes(), None);
    }

    /// Notes a log line; never waits.
    pub(super) fn note_line(&self, line: &str) {
        self.note(JournalKind::Lines, true, line.as_bytes(), Some(b"\n"));
    }

    /// A copy: a body that came in pieces holds on to more memory than it has bytes. With something to write between them
    /// it may be joined to the one before.
    fn note(&self, kind: JournalKind, is_json: bool, body: &[u8], between: Option<&[u8]>) {
        let mut state = self.state();
        let state = &mut *state;
        if state.bytes + body.len() > MOST_WAITING {
            state.lost += 1;
            return;
        }
        state.bytes += body.len();
        if let (Some(last), Some(between)) = (state.waiting.last_mut(), between)
            && (last.kind, last.is_json) == (kind, is_json)
            && last.body.len() + between.len() + body.len() <= JOINED
        {
            last.body.extend_from_slice(between);
            last.body.extend_from_slice(body);
            state.bytes += between.len();
            return;
        }
        state.waiting.push(JournalEntry { at: now(), kind, is_json, body: body.to_vec() });
    }

    /// Writes what waits. A failure is told, once for each reason, and costs what should have been written.
    pub(super) async fn write(&self) {
        let entries = {
            let mut state = self.state();
            if state.waiting.is_empty() && state.kept > 0 && state.failing.is_none() {
                // What grows old meanwhile goes with the next write, and no start takes it in.
                return;
            }
            state.bytes = 0;
            std::mem::take(&mut state.waiting)
        };
        let count = entries.len() as u64;
        let written = tokio::time::timeout(WRITE_TIMEOUT, self.journal.append(entries, now())).await;
        let failure = match written {
            Ok(Ok(kept)) => {
                let mut state = self.state();
                (state.kept, state.failing) = (kept, None);
                return;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the file did not answer in time".to_owned(),
        };
        let mut state = self.state();
        state.lost += count;
        if state.failing.as_ref() != Some(&failure) {
            super::forward_reports::say(&format!("telemetry is not retained: {failure}"));
            state.failing = Some(failure);
        }
    }

    /// Writes what is left and closes the file.
    pub(super) async fn finish(&self) {
        self.write().await;
        self.journal.close().await;
    }

    /// `{"bytes":N,"maxBytes":N,"lost":N,"failing":null}`
    pub(super) fn json(&self) -> Value {
        let state = self.state();
        json!({"bytes": state.kept, "maxBytes": self.journal.max_bytes(), "lost": state.lost, "failing": state.failing})
    }

    /// Takes in again what the journal has, oldest first.
    ///
    /// # Errors
    /// The file cannot be opened or read.
    pub(super) async fn restore(&self, console: &Console) -> anyhow::Result<()> {
        let place = self.journal.place();
        let mut after = 0;
        loop {
            let page = self.journal.page(after, now()).await;
            let page = page.with_context(|| format!("cannot read {place}, which --retain names"))?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = *last;
            page.into_iter().for_each(|(_, entry)| take_again(console, entry));
        }
    }
}

/// Takes an entry in as what it was, and when: what was decided of a trace before it came is decided again. One that is
/// refused now was refused before.
fn take_again(console: &Console, entry: JournalEntry) {
    let JournalEntry { at, kind, is_json, body } = entry;
    console.decide(at);
    let body = Bytes::from(body);
    let export = |signal| OtlpExport::read(signal, body.clone(), is_json).ok();
    match kind {
        JournalKind::Spans => _ = export(&TRACES).map(|export| console.take_spans_of(export, at)),
        JournalKind::Records => _ = export(&LOGS).map(|export| console.take_records(export)),
        JournalKind::Points => _ = export(&METRICS).map(|export| console.take_metrics(export)),
        JournalKind::Removal => {
            if let Ok(service) = serde_json::from_slice::<Option<String>>(&body) {
                console.remove(service.as_deref());
            }
        }
        JournalKind::Lines => {
            let lines = String::from_utf8_lossy(&body);
            lines.split('\n').for_each(|line| console.keep_line(line));
        }
    }
}

/// Writes until the end.
pub(super) fn start(console: actix_web::web::Data<Console>, shutdown: Shutdown) {
    actix_web::rt::spawn(async move {
        let Some(retention) = &console.retention else { return };
        let mut ticks = tokio::time::interval(WRITE_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => retention.write().await,
                () = shutdown.wait() => return,
            }
        }
    });
}

#[cfg(test)]
#[path = "retain_tests.rs"]
mod tests;
