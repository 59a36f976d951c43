#![allow(clippy::unwrap_used)]

use std::sync::Mutex;

use opentelemetry::trace::{TraceId, TraceState};
use opentelemetry_sdk::trace::{SamplingDecision, SamplingResult, ShouldSample};

use super::*;
use crate::queue::testing::{Spans, message, queue};

/// A span's name and the traces it linked to when it started.
type Start = (String, Vec<TraceId>);

/// Takes every span, and remembers how each one started.
#[derive(Clone, Debug, Default)]
struct LinksAtStart(Arc<Mutex<Vec<Start>>>);

impl ShouldSample for LinksAtStart {
    fn should_sample(
        &self,
        _: Option<&Context>,
        _: TraceId,
        name: &str,
        _: &SpanKind,
        _: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let links = links.iter().map(|link| link.span_context.trace_id()).collect();
        self.0.lock().unwrap().push((name.to_owned(), links));
        SamplingResult {
            decision: SamplingDecision::RecordAndSample,
            attributes: Vec::new(),
            trace_state: TraceState::default(),
        }
    }
}

#[test]
fn in_link_mode_a_sampler_sees_the_link_because_it_is_there_when_the_span_starts() {
    let seen = LinksAtStart::default();
    let _spans = Spans::sampled_by(seen.clone());
    let folder = tempfile::tempdir().unwrap();
    let made = QueueSpans::new(queue(folder.path()));
    let delivery = Delivery { message: message("m-1", "k"), attempt: 1, receipt: String::new() };
    drop(made.process(&delivery, producer(&delivery.message), TraceMode::Link).entered());
    // testing::message() comes from trace 7.
    let started = seen.0.lock().unwrap().clone();
    assert_eq!(started, [("process notifications".to_owned(), vec![TraceId::from(7_u128)])]);
}

#[test]
fn the_span_that_stored_a_message_is_local_to_its_relay_and_the_one_that_sent_it_remote_to_the_consumer() {
    let spans = Spans::recorded();
    let folder = tempfile::tempdir().unwrap();
    let made = QueueSpans::new(queue(folder.path()));
    let stored = message("m-1", "k");
    drop(made.send(&stored).entered());
    let delivery = Delivery { message: stored.clone(), attempt: 1, receipt: String::new() };
    drop(made.process(&delivery, producer(&stored), TraceMode::Child).entered());
    let finished: Vec<_> =
        spans.finished().into_iter().map(|span| (span.span_kind, span.parent_span_is_remote)).collect();
    assert_eq!(finished, [(SpanKind::Producer, false), (SpanKind::Consumer, true)]);
}
