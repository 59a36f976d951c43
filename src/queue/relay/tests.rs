#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use metrics_exporter_prometheus::PrometheusBuilder;
use opentelemetry::trace::{SpanKind, Status};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::*;
use crate::queue::testing::{Spans, attribute, eventually, message, queue, receive};

/// An outbox in memory.
#[derive(Default)]
struct MemoryOutbox {
    rows: Mutex<BTreeMap<i64, Message>>,
    aside: Mutex<Vec<(i64, String)>>,
    lease: Mutex<Option<(String, Instant)>>,
    committed: Notify,
    /// `published` never answers, as if the process died there.
    dies_before_marking: AtomicBool,
    dying: Notify,
}

impl MemoryOutbox {
    fn store(&self, messages: impl IntoIterator<Item = Message>) {
        let mut rows = self.rows.lock().unwrap();
        for message in messages {
            let seq = rows.last_key_value().map_or(1, |(seq, _)| seq + 1);
            rows.insert(seq, message);
        }
        self.committed.notify_one();
    }

    async fn until_empty(&self) {
        eventually("the outbox is empty", async || self.rows.lock().unwrap().is_empty()).await;
    }
}

#[async_trait]
impl RelayedOutbox for MemoryOutbox {
    async fn lease(&self, owner: &str, ttl: Duration) -> Result<bool, String> {
        let mut lease = self.lease.lock().unwrap();
        let free = lease.as_ref().is_none_or(|(holder, until)| holder == owner || *until < Instant::now());
        if free {
            *lease = Some((owner.to_owned(), Instant::now() + ttl));
        }
        Ok(free)
    }

    async fn release(&self, owner: &str) -> Result<(), String> {
        self.lease.lock().unwrap().take_if(|(holder, _)| holder == owner);
        Ok(())
    }

    async fn pending(&self, limit: i64) -> Result<Vec<Pending>, String> {
        let rows = self.rows.lock().unwrap();
        let rows = rows.iter().take(limit as usize);
        Ok(rows.map(|(seq, message)| Pending { seq: *seq, message: message.clone() }).collect())
    }

    async fn published(&self, seqs: &[i64]) -> Result<(), String> {
        if self.dies_before_marking.load(Ordering::SeqCst) {
            self.dying.notify_one();
            std::future::pending::<()>().await;
        }
        self.rows.lock().unwrap().retain(|seq, _| !seqs.contains(seq));
        Ok(())
    }

    async fn refused(&self, seq: i64, reason: &str) -> Result<(), String> {
        self.rows.lock().unwrap().remove(&seq);
        self.aside.lock().unwrap().push((seq, reason.to_owned()));
        Ok(())
    }

    async fn count(&self) -> Result<i64, String> {
        Ok(self.rows.lock().unwrap().len() as i64)
    }

    async fn committed(&self) {
        self.committed.notified().await;
    }
}

struct RelayBench {
    folder: tempfile::TempDir,
    outbox: Arc<MemoryOutbox>,
    queue: Arc<dyn Queue>,
    shutdown: Shutdown,
}

impl RelayBench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let queue = queue(folder.path());
        let shutdown = Shutdown::new(Duration::from_secs(5));
        Self { folder, outbox: Arc::default(), queue, shutdown }
    }

    fn relay(&self, owner: &str) -> JoinHandle<()> {
        let run = run(
            self.outbox.clone(),
            self.queue.clone(),
            owner.to_owned(),
            Faults::default(),
            self.shutdown.clone(),
        );
        tokio::spawn(run)
    }

    async fn stop(&self, relay: JoinHandle<()>) {
        self.shutdown.begin();
        tokio::time::timeout(Duration::from_secs(10), relay).await.unwrap().unwrap();
    }

    /// Everything in the queue, in the order it was published; every message has its own key.
    async fn ids(&self, want: usize) -> Vec<String> {
        receive(&*self.queue, want).await.into_iter().map(|delivery| delivery.message.id).collect()
    }
}

fn messages(ids: std::ops::Range<usize>) -> Vec<Message> {
    ids.map(|n| message(&format!("m-{n}"), &format!("k-{n}"))).collect()
}

fn names(ids: std::ops::Range<usize>) -> Vec<String> {
    ids.map(|n| format!("m-{n}")).collect()
}

#[tokio::test]
async fn everything_committed_is_published_in_order_and_leaves_the_outbox() {
    let bench = RelayBench::new();
    bench.outbox.store(messages(0..150));
    let relay = bench.relay("one");
    bench.outbox.until_empty().await;
    bench.outbox.store(messages(150..250));
    bench.outbox.until_empty().await;
    bench.stop(relay).await;
    assert_eq!(bench.ids(250).await, names(0..250));
    assert!(bench.outbox.lease.lock().unwrap().is_none(), "the lease was released");
}

#[tokio::test]
async fn what_is_committed_when_the_shutdown_begins_is_still_published() {
    let bench = RelayBench::new();
    bench.shutdown.begin();
    bench.outbox.store(messages(0..3));
    bench.stop(bench.relay("one")).await;
    assert_eq!(bench.ids(3).await, names(0..3));
}

#[tokio::test]
async fn a_broker_that_is_away_is_waited_for_and_nothing_is_lost_or_reordered() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let rendered = recorder.handle();
    let _guard = ::metrics::set_default_local_recorder(&recorder);
    let spans = Spans::recorded();
    let bench = RelayBench::new();
    let in_the_way = bench.folder.path().join("queue");
    std::fs::write(&in_the_way, "").unwrap();
    bench.outbox.store(messages(0..5));
    let relay = bench.relay("one");
    let tried = async || rendered.render().contains("queue_publish_errors_total 3");
    eventually("three attempts", tried).await;
    bench.outbox.store(messages(5..7));
    assert!(rendered.render().contains("queue_outbox_pending 5"), "{}", rendered.render());
    std::fs::remove_file(&in_the_way).unwrap();
    bench.outbox.until_empty().await;
    bench.stop(relay).await;
    assert_eq!(bench.ids(7).await, names(0..7));
    let text = rendered.render();
    assert!(text.contains("queue_messages_published_total 7"), "{text}");
    assert!(text.contains("queue_outbox_pending 0"), "{text}");
    let (failed, sent): (Vec<_>, Vec<_>) =
        spans.finished().into_iter().partition(|span| span.status != Status::Unset);
    // Only the first attempt of the outage made spans.
    assert_eq!((failed.len(), sent.len()), (5, 7));
    assert_eq!(attribute(&failed[0], "error.type").as_deref(), Some("queue_unavailable"));
    assert_eq!(failed[0].events.len(), 1);
}

#[tokio::test]
async fn a_crash_between_publishing_and_marking_publishes_the_same_id_again() {
    let bench = RelayBench::new();
    bench.outbox.dies_before_marking.store(true, Ordering::SeqCst);
    bench.outbox.store(messages(0..2));
    let crashed = bench.relay("one");
    bench.outbox.dying.notified().await;
    crashed.abort();
    bench.outbox.dies_before_marking.store(false, Ordering::SeqCst);
    bench.outbox.lease.lock().unwrap().take();
    let relay = bench.relay("two");
    bench.outbox.until_empty().await;
    bench.stop(relay).await;
    let mut seen = Vec::new();
    for _ in 0..2 {
        for delivery in receive(&*bench.queue, 2).await {
            bench.queue.ack(&delivery).await.unwrap();
            seen.push(delivery.message.id);
        }
    }
    assert_eq!(seen, ["m-0", "m-1", "m-0", "m-1"]);
}

#[tokio::test]
async fn a_refused_message_is_set_aside_and_the_others_go_on() {
    let spans = Spans::recorded();
    let bench = RelayBench::new();
    let mut stored = messages(0..4);
    stored[1].body = vec![b' '; crate::queue::MAX_MESSAGE_BYTES];
    bench.outbox.store(stored);
    let relay = bench.relay("one");
    bench.outbox.until_empty().await;
    bench.stop(relay).await;
    assert_eq!(bench.ids(3).await, ["m-0", "m-2", "m-3"]);
    let aside = bench.outbox.aside.lock().unwrap().clone();
    assert_eq!(aside.len(), 1);
    assert!(aside[0].0 == 2 && aside[0].1.contains("too many"), "{aside:?}");
    let refused: Vec<_> = spans.finished().into_iter().filter(|s| s.status != Status::Unset).collect();
    assert_eq!(refused.len(), 1);
    assert_eq!(attribute(&refused[0], "messaging.message.id").as_deref(), Some("m-1"));
}

#[tokio::test]
async fn only_the_relay_that_holds_the_lease_publishes_and_another_takes_over() {
    let bench = RelayBench::new();
    assert_eq!(bench.outbox.lease("other", Duration::from_secs(60)).await, Ok(true));
    bench.outbox.store(messages(0..2));
    let relay = bench.relay("one");
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(bench.outbox.count().await, Ok(2));
    bench.outbox.release("other").await.unwrap();
    bench.outbox.until_empty().await;
    bench.stop(relay).await;
}

#[tokio::test]
async fn the_message_carries_the_producer_span_which_is_a_child_of_the_span_that_stored_it() {
    let spans = Spans::recorded();
    let bench = RelayBench::new();
    let mut stored = message("m-1", "k");
    stored.headers.insert("x-other".to_owned(), "kept".to_owned());
    bench.outbox.store([stored]);
    let relay = bench.relay("one");
    bench.outbox.until_empty().await;
    bench.stop(relay).await;
    let spans = spans.finished();
    assert_eq!(spans.len(), 1, "{spans:?}");
    let span = &spans[0];
    assert_eq!((span.name.as_ref(), &span.span_kind), ("send notifications", &SpanKind::Producer));
    let stored_in = (7u128.into(), 9u64.into());
    assert_eq!((span.span_context.trace_id(), span.parent_span_id), stored_in);
    for (key, value) in [
        ("messaging.system", "o11y_lab.embedded"),
        ("messaging.operation.name", "send"),
        ("messaging.operation.type", "send"),
        ("messaging.destination.name", "notifications"),
        ("messaging.message.id", "m-1"),
        ("messaging.message.body.size", "12"),
    ] {
        assert_eq!(attribute(span, key).as_deref(), Some(value), "{key}");
    }
    let headers = receive(&*bench.queue, 1).await.remove(0).message.headers;
    let expected = format!("00-{}-{}-01", span.span_context.trace_id(), span.span_context.span_id());
    assert_eq!(headers["traceparent"], expected);
    assert_eq!(headers["x-other"], "kept");
}
