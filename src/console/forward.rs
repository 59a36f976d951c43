//! Sends on what comes in, to a vendor or a collector, without a delay for who sent it.
//!
//! A queue and a thread for each signal. What has no room is dropped and what the receiver does not take is
//! lost, both counted: what left and what did not add up to what came in.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use actix_web::web;
use http::{HeaderMap, HeaderValue};
use hyper::body::Bytes;
use serde_json::{Map, Value, json};

use super::body::BodyHead;
use super::forward_reports::{LaneReports, say};
use crate::config::ForwardConfig;
use crate::runtime::telemetry::forward::ForwardSender;
use crate::runtime::telemetry::{PartialSuccess, Signal};

/// What may wait of one signal, the export on its way included, in bytes. The largest body fits.
const MOST_WAITING: usize = 8 << 20;
/// Plain protobuf is joined up to this size, so that a distant receiver keeps up with many small exports.
const MOST_JOINED: usize = 1 << 20;
/// The longest the end waits for what is left.
const LAST_EXPORTS: Duration = Duration::from_secs(3);

const SIGNALS: [Signal; 3] = [Signal::Traces, Signal::Logs, Signal::Metrics];

/// An export as it came.
struct ForwardedExport {
    body: Bytes,
    head: HeaderMap,
    /// Spans, log records or data points.
    items: u64,
}

/// Counts of items since start.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct ForwardCounts {
    /// Taken by the receiver.
    forwarded: u64,
    /// Not taken, after the retries that the protocol allows, or rejected by a partial success.
    lost: u64,
    /// Thrown away for want of room.
    dropped: u64,
}

#[derive(Default)]
struct LaneState {
    waiting: VecDeque<ForwardedExport>,
    /// Of what waits and of what is on its way.
    bytes: usize,
    items: u64,
    counts: ForwardCounts,
    /// Why the last export was not taken, if it was not.
    cause: Option<String>,
    stopping: bool,
    stopped: bool,
}

/// The way of one signal.
struct ForwardLane {
    signal: Signal,
    state: Mutex<LaneState>,
    /// Something waits, or the end has come.
    work: Condvar,
    /// The end is reached.
    done: Condvar,
}

/// The ways of all three.
pub(super) struct Forwarder {
    to: String,
    lanes: [Arc<ForwardLane>; 3],
}

impl Forwarder {
    /// Starts it, where the settings name a receiver.
    ///
    /// # Errors
    /// A PEM file that cannot be used, no authorities to trust, or no thread.
    pub(super) fn start(config: &ForwardConfig) -> anyhow::Result<Option<Self>> {
        let Some(otel) = config.otel() else { return Ok(None) };
        let lanes = SIGNALS.map(|signal| Arc::new(ForwardLane::new(signal)));
        let mut to = String::new();
        for lane in &lanes {
            let (sender, lane) = (ForwardSender::new(lane.signal, &otel)?, lane.clone());
            to = sender.place();
            let name = format!("forward-{}", lane.signal.label());
            std::thread::Builder::new()
                .name(name)
                .spawn(move || lane.run(|body, head| sender.send(body, head)))?;
        }
        Ok(Some(Self { to, lanes }))
    }

    /// Takes a body as it came; never waits.
    pub(super) fn push(&self, signal: Signal, came: BodyHead<'_>, body: &web::Bytes, items: u64) {
        let mut head = HeaderMap::new();
        for (name, value) in
            [(http::header::CONTENT_TYPE, came.content_type), (http::header::CONTENT_ENCODING, came.coding)]
        {
            let value = HeaderValue::from_bytes(value).ok().filter(|value| !value.is_empty());
            head.extend(value.map(|value| (name, value)));
        }
        let lane = self.lanes.iter().find(|lane| lane.signal == signal);
        // A copy, because a body that came in pieces holds on to more memory than it has bytes.
        let export = ForwardedExport { body: Bytes::copy_from_slice(body), head, items };
        if let Some(lane) = lane {
            lane.push(export);
        }
    }

    /// Takes nothing more and waits, for a while, for what is left. Blocks.
    pub(super) fn finish(&self) {
        let end = Instant::now() + LAST_EXPORTS;
        self.lanes.iter().for_each(|lane| lane.stop());
        for lane in &self.lanes {
            let left = lane.wait(end.saturating_duration_since(Instant::now()));
            if left > 0 {
                say(&format!("{left} {} were not sent on before the end", lane.signal.items()));
            }
        }
    }

    /// `{"to":"host:port","traces":{"forwarded":N,"lost":N,"dropped":N,"waiting":N,"failing":null},…}`
    pub(super) fn json(&self) -> Value {
        let mut fields = Map::from_iter([("to".to_owned(), json!(self.to))]);
        for lane in &self.lanes {
            let state = lane.lock();
            let ForwardCounts { forwarded, lost, dropped } = state.counts;
            let counts = json!({"forwarded": forwarded, "lost": lost, "dropped": dropped,
                "waiting": state.items, "failing": state.cause});
            fields.insert(lane.signal.label().to_owned(), counts);
        }
        Value::Object(fields)
    }
}

impl ForwardLane {
    fn new(signal: Signal) -> Self {
        let (state, work, done) = Default::default();
        Self { signal, state, work, done }
    }

    fn lock(&self) -> MutexGuard<'_, LaneState> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn push(&self, export: ForwardedExport) {
        let mut state = self.lock();
        if state.stopping || state.bytes + export.body.len() > MOST_WAITING {
            state.counts.dropped += export.items;
            return;
        }
        state.bytes += export.body.len();
        state.items += export.items;
        state.waiting.push_back(export);
        drop(state);
        self.work.notify_one();
    }

    fn stop(&self) {
        self.lock().stopping = true;
        self.work.notify_one();
    }

    /// Until all is settled; how many items are not.
    fn wait(&self, within: Duration) -> u64 {
        let waited = self.done.wait_timeout_while(self.lock(), within, |state| !state.stopped);
        waited.unwrap_or_else(|e| e.into_inner()).0.items
    }

    fn run(&self, send: impl Fn(Bytes, &HeaderMap) -> Result<PartialSuccess, String>) {
        let mut reports = LaneReports::default();
        while let Some(export) = self.next() {
            let (bytes, items) = (export.body.len(), export.items);
            let (rejected, cause) = match send(export.body, &export.head) {
                Ok(partial) => {
                    (partial.rejected.min(items), (partial.rejected > 0).then_some(partial.message))
                }
                Err(cause) => (items, Some(cause)),
            };
            let mut state = self.lock();
            state.bytes -= bytes;
            state.items -= items;
            state.counts.forwarded += items - rejected;
            state.counts.lost += rejected;
            state.cause.clone_from(&cause);
            let dropped = state.counts.dropped;
            drop(state);
            reports.tell(self.signal, rejected, cause, dropped);
        }
        self.lock().stopped = true;
        self.done.notify_all();
    }

    /// The next export, with what can be joined to it; nothing at the end.
    fn next(&self) -> Option<ForwardedExport> {
        let idle = |state: &mut LaneState| state.waiting.is_empty() && !state.stopping;
        let mut state = self.work.wait_while(self.lock(), idle).unwrap_or_else(|e| e.into_inner());
        let mut first = state.waiting.pop_front()?;
        if first.is_plain_protobuf() {
            // Messages one after the other are one message: the repeated field of an export goes on.
            let mut joined = Vec::from(first.body);
            while let Some(next) = state.waiting.pop_front_if(|next| {
                next.is_plain_protobuf() && joined.len() + next.body.len() <= MOST_JOINED
            }) {
                joined.extend_from_slice(&next.body);
                first.items += next.items;
            }
            first.body = joined.into();
        }
        Some(first)
    }
}

impl ForwardedExport {
    fn is_plain_protobuf(&self) -> bool {
        let is = |name, wanted: &str| self.head.get(name).is_some_and(|value| value == wanted);
        let plain = !self.head.contains_key(http::header::CONTENT_ENCODING)
            || is(http::header::CONTENT_ENCODING, "identity");
        plain && is(http::header::CONTENT_TYPE, "application/x-protobuf")
    }
}

#[cfg(test)]
#[path = "forward_tests.rs"]
mod tests;
