#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::BoxFuture;
use metrics_exporter_prometheus::PrometheusBuilder;
use opentelemetry::trace::{SpanKind, Status};
use tempfile::TempDir;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::*;
use crate::queue::testing::{Spans, VISIBILITY, attribute, eventually, message, queue};
use crate::queue::{DeadLetter, Deliver, Depth, Describe, Inspect, watch_depth};
use crate::schema::QueueUse;

const POLICY: Policy = Policy {
    concurrency: 3,
    max_attempts: 3,
    retry_base: Duration::from_millis(10),
    visibility_timeout: VISIBILITY,
    trace_mode: TraceMode::Child,
};

struct Do<F>(F);

#[async_trait]
impl<F> Handler for Do<F>
where
    F: Fn(Message) -> BoxFuture<'static, Result<(), HandlerError>> + Send + Sync,
{
    async fn handle(&self, message: &Message) -> Result<(), HandlerError> {
        (self.0)(message.clone()).await
    }
}

/// A queue whose broker answers an acknowledgement only when it is told to.
struct SilentBroker {
    broker: Arc<dyn Queue>,
    settled: Arc<Notify>,
}

#[async_trait]
impl Deliver for SilentBroker {
    async fn publish(&self, batch: &[Message]) -> Result<(), QueueError> {
        self.broker.publish(batch).await
    }

    async fn receive(&self, max: usize, wait: Duration) -> Result<Vec<Delivery>, QueueError> {
        self.broker.receive(max, wait).await
    }

    async fn ack(&self, delivery: &Delivery) -> Result<(), QueueError> {
        self.settled.notified().await;
        self.broker.ack(delivery).await
    }

    async fn retry(&self, delivery: &Delivery, delay: Duration) -> Result<(), QueueError> {
        self.broker.retry(delivery, delay).await
    }

    async fn dead_letter(&self, delivery: &Delivery, reason: &str) -> Result<(), QueueError> {
        self.broker.dead_letter(delivery, reason).await
    }

    async fn heartbeat(&self, delivery: &Delivery) -> Result<(), QueueError> {
        self.broker.heartbeat(delivery).await
    }

    async fn close(&self) {
        self.broker.close().await;
    }
}

impl Describe for SilentBroker {
    fn system(&self) -> &'static str {
        self.broker.system()
    }

    fn name(&self) -> &str {
        self.broker.name()
    }
}

#[async_trait]
impl Inspect for SilentBroker {
    async fn depth(&self) -> Result<Depth, QueueError> {
        self.broker.depth().await
    }

    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>, QueueError> {
        self.broker.dead_letters(limit).await
    }

    async fn replay(&self, id: Option<&str>) -> Result<u64, QueueError> {
        self.broker.replay(id).await
    }
}

/// A worker at work on a queue of its own.
struct WorkerBench {
    folder: TempDir,
    queue: Arc<dyn Queue>,
    shutdown: Shutdown,
    worker: JoinHandle<()>,
}

fn start<F>(policy: Policy, grace: Duration, handle: F) -> WorkerBench
where
    F: Fn(Message) -> BoxFuture<'static, Result<(), HandlerError>> + Send + Sync + 'static,
{
    let folder = tempfile::tempdir().unwrap();
    let shutdown = Shutdown::new(grace);
    let worker = run(queue(folder.path()), Arc::new(Do(handle)), policy, shutdown.clone());
    WorkerBench { queue: queue(folder.path()), folder, shutdown, worker: tokio::spawn(worker) }
}

fn quick<F>(handle: F) -> WorkerBench
where
    F: Fn(Message) -> Result<(), HandlerError> + Send + Sync + 'static,
{
    start(POLICY, Duration::from_secs(5), move |message| {
        let handled = handle(message);
        Box::pin(async { handled })
    })
}

impl WorkerBench {
    async fn publish(&self, ids: &[&str]) {
        let batch: Vec<_> = ids.iter().map(|id| message(id, id)).collect();
        self.queue.publish(&batch).await.unwrap();
    }

    async fn until(&self, depth: Depth) {
        eventually(&format!("{depth:?}"), async || self.queue.depth().await.unwrap() == depth).await;
    }

    async fn stop(self) -> (Arc<dyn Queue>, TempDir) {
        self.shutdown.begin();
        tokio::time::timeout(Duration::from_secs(10), self.worker).await.unwrap().unwrap();
        (self.queue, self.folder)
    }
}

fn dead(dead: u64) -> Depth {
    Depth { waiting: 0, in_flight: 0, dead }
}

#[tokio::test]
async fn a_failing_message_is_retried_and_then_kept_with_its_reason() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let rendered = recorder.handle();
    let _guard = ::metrics::set_default_local_recorder(&recorder);
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let bench = quick(move |message| match message.id.as_str() {
        "good" => Ok(()),
        _ => Err(HandlerError::Retry(format!("no luck {}", counted.fetch_add(1, Ordering::SeqCst)))),
    });
    bench.publish(&["bad", "good"]).await;
    bench.until(dead(1)).await;
    let letter = bench.queue.dead_letters(10).await.unwrap().remove(0);
    assert_eq!((letter.reason.as_str(), letter.attempts), ("no luck 2", 3));
    assert_eq!(letter.message, message("bad", "bad"));
    assert_eq!(calls.load(Ordering::SeqCst), 3);
    bench.stop().await;
    let rendered = rendered.render();
    for line in [
        "queue_messages_processed_total{status=\"success\"} 1",
        "queue_messages_processed_total{status=\"retried\"} 2",
        "queue_messages_processed_total{status=\"dead\"} 1",
        "notifications_failed_total 3",
        "notification_processing_duration_ms_count 4",
    ] {
        assert!(rendered.contains(line), "{line} is not in\n{rendered}");
    }
}

#[tokio::test]
async fn a_poisonous_message_is_given_up_at_once() {
    let bench = quick(|_| Err(HandlerError::Poison("not JSON".to_owned())));
    bench.publish(&["bad"]).await;
    bench.until(dead(1)).await;
    let letter = bench.queue.dead_letters(10).await.unwrap().remove(0);
    assert_eq!((letter.reason.as_str(), letter.attempts), ("not JSON", 1));
    bench.stop().await;
}

#[tokio::test]
async fn a_message_that_kills_every_consumer_is_given_up_without_another_try() {
    let folder = tempfile::tempdir().unwrap();
    let queue = queue(folder.path());
    queue.publish(&[message("deadly", "k")]).await.unwrap();
    let mut delivery = crate::queue::testing::receive(&*queue, 1).await.remove(0);
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let handler = Do(move |_| -> BoxFuture<'static, Result<(), HandlerError>> {
        counted.fetch_add(1, Ordering::SeqCst);
        Box::pin(async { Err(HandlerError::Retry("not this time".to_owned())) })
    });
    let attempts =
        Arc::new(Attempts::new(queue.clone(), Arc::new(handler), POLICY, CancellationToken::new()));
    delivery.attempt = 100;
    attempts.process(delivery, Default::default(), Default::default()).await;
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    let letters = queue.dead_letters(10).await.unwrap();
    assert_eq!(letters[0].reason, "delivered 99 times and never settled");
}

#[tokio::test]
async fn a_panic_is_the_failure_of_one_message_and_not_the_end_of_the_worker() {
    let bench = quick(|message| match message.id.as_str() {
        "good" => Ok(()),
        _ => panic!("on purpose"),
    });
    bench.publish(&["bad"]).await;
    bench.until(dead(1)).await;
    assert_eq!(bench.queue.dead_letters(1).await.unwrap()[0].attempts, 3);
    bench.publish(&["good"]).await;
    bench.until(dead(1)).await;
    bench.stop().await;
}

#[tokio::test]
async fn no_more_messages_are_in_hand_than_allowed() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = most.clone();
    let bench = start(POLICY, Duration::from_secs(5), move |_| {
        let (now, most) = (now.clone(), most.clone());
        Box::pin(async move {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(10)).await;
            now.fetch_sub(1, Ordering::SeqCst);
            Ok(())
        })
    });
    let ids: Vec<_> = (0..20).map(|n| n.to_string()).collect();
    bench.publish(&ids.iter().map(String::as_str).collect::<Vec<_>>()).await;
    bench.until(dead(0)).await;
    assert_eq!(seen.load(Ordering::SeqCst), POLICY.concurrency);
    bench.stop().await;
}

#[tokio::test]
async fn a_drain_finishes_what_is_in_hand_and_takes_nothing_new() {
    let (started, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (s, g) = (started.clone(), go_on.clone());
    // One at a time: no receive is under way while the message is in flight.
    let policy = Policy { concurrency: 1, ..POLICY };
    let bench = start(policy, Duration::from_secs(10), move |_| {
        let (started, go_on) = (s.clone(), g.clone());
        Box::pin(async move {
            started.notify_one();
            go_on.notified().await;
            Ok(())
        })
    });
    bench.publish(&["in hand"]).await;
    started.notified().await;
    bench.shutdown.begin();
    bench.publish(&["new"]).await;
    go_on.notify_one();
    let (queue, _folder) = bench.stop().await;
    assert_eq!(queue.depth().await.unwrap(), Depth { waiting: 1, in_flight: 0, dead: 0 });
}

#[tokio::test]
async fn what_does_not_finish_within_the_grace_is_given_back_at_once() {
    let started = Arc::new(Notify::new());
    let s = started.clone();
    let bench = start(POLICY, Duration::from_millis(200), move |_| {
        s.notify_one();
        Box::pin(std::future::pending())
    });
    bench.publish(&["endless"]).await;
    started.notified().await;
    let (queue, _folder) = bench.stop().await;
    assert_eq!(queue.depth().await.unwrap(), Depth { waiting: 1, in_flight: 0, dead: 0 });
}

#[tokio::test]
async fn deliveries_that_drains_cut_short_use_up_no_attempts() {
    let folder = tempfile::tempdir().unwrap();
    let published = queue(folder.path());
    published.publish(&[message("m-1", "k")]).await.unwrap();
    for _ in 0..POLICY.max_attempts + 2 {
        let (started, shutdown) = (Arc::new(Notify::new()), Shutdown::new(Duration::from_millis(50)));
        let begun = started.clone();
        let handler = Do(move |_| -> BoxFuture<'static, Result<(), HandlerError>> {
            begun.notify_one();
            Box::pin(std::future::pending())
        });
        let worker = run(queue(folder.path()), Arc::new(handler), POLICY, shutdown.clone());
        let worker = tokio::spawn(worker);
        started.notified().await;
        shutdown.begin();
        worker.await.unwrap();
    }
    let delivery = crate::queue::testing::receive(&*published, 1).await.remove(0);
    assert_eq!(delivery.attempt, 1);
}

#[tokio::test]
async fn the_span_of_a_message_ends_with_its_handler_and_not_when_the_broker_has_been_told() {
    let spans = Spans::recorded();
    let folder = tempfile::tempdir().unwrap();
    let (broker, settled) = (queue(folder.path()), Arc::new(Notify::new()));
    broker.publish(&[message("m-1", "k")]).await.unwrap();
    let delivery = crate::queue::testing::receive(&*broker, 1).await.remove(0);
    // The broker does not answer until the test says so.
    let silent = Arc::new(SilentBroker { broker, settled: settled.clone() });
    let handler = Arc::new(Do(|_| -> BoxFuture<'static, _> { Box::pin(async { Ok(()) }) }));
    let attempts = Arc::new(Attempts::new(silent, handler, POLICY, CancellationToken::new()));
    let telling = async {
        let ended = || spans.finished().iter().any(|span| span.name == "process notifications");
        eventually("the span has ended", async || ended()).await;
        settled.notify_one();
    };
    tokio::join!(attempts.process(delivery, Default::default(), Default::default()), telling);
}

#[tokio::test]
async fn a_slow_handler_keeps_its_message_by_heartbeats() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let bench = start(POLICY, Duration::from_secs(5), move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        Box::pin(async {
            tokio::time::sleep(VISIBILITY * 3).await;
            Ok(())
        })
    });
    bench.publish(&["slow"]).await;
    bench.until(dead(0)).await;
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    bench.stop().await;
}

#[tokio::test]
async fn a_queue_that_is_away_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("queue"), "in the way").unwrap();
    let shutdown = Shutdown::new(Duration::from_secs(5));
    let handler = Arc::new(Do(|_| -> BoxFuture<'static, _> { Box::pin(async { Ok(()) }) }));
    let worker = tokio::spawn(run(queue(folder.path()), handler, POLICY, shutdown.clone()));
    tokio::time::sleep(Duration::from_millis(50)).await;
    std::fs::remove_file(folder.path().join("queue")).unwrap();
    let queue = queue(folder.path());
    queue.publish(&[message("m-1", "k")]).await.unwrap();
    eventually("handled", async || queue.depth().await.unwrap() == dead(0)).await;
    shutdown.begin();
    worker.await.unwrap();
}

#[tokio::test]
async fn the_span_of_a_message_is_a_child_of_its_producer_or_a_root_that_links_to_it() {
    for mode in [TraceMode::Child, TraceMode::Link] {
        let spans = Spans::recorded();
        let policy = Policy { trace_mode: mode, ..POLICY };
        let inside = Arc::new(Mutex::new(None));
        let noted = inside.clone();
        let bench = start(policy, Duration::from_secs(5), move |_| {
            let noted = noted.clone();
            Box::pin(async move {
                let current = opentelemetry::Context::current();
                *noted.lock().unwrap() =
                    Some(opentelemetry::trace::TraceContextExt::span(&current).span_context().clone());
                Ok(())
            })
        });
        bench.publish(&["m-1"]).await;
        bench.until(dead(0)).await;
        bench.stop().await;
        let spans = spans.finished();
        assert_eq!(spans.len(), 1, "{spans:?}");
        let span = &spans[0];
        assert_eq!(span.name, "process notifications");
        assert_eq!(span.span_kind, SpanKind::Consumer);
        assert_eq!(span.status, Status::Unset);
        assert_eq!(inside.lock().unwrap().as_ref(), Some(&span.span_context), "the handler is inside");
        for (key, value) in [
            ("messaging.system", "o11y_lab.embedded"),
            ("messaging.operation.name", "process"),
            ("messaging.operation.type", "process"),
            ("messaging.destination.name", "notifications"),
            ("messaging.message.id", "m-1"),
            ("messaging.message.body.size", "12"),
            ("o11y_lab.delivery.attempt", "1"),
        ] {
            assert_eq!(attribute(span, key).as_deref(), Some(value), "{key}");
        }
        // testing::message() comes from trace 7, span 9.
        let (trace, producer) = (7u128.into(), 9u64.into());
        match mode {
            TraceMode::Child => {
                assert_eq!((span.span_context.trace_id(), span.parent_span_id), (trace, producer));
                assert!(span.links.is_empty());
            }
            TraceMode::Link => {
                assert_ne!(span.span_context.trace_id(), trace);
                assert_eq!(span.parent_span_id, opentelemetry::SpanId::INVALID);
                let link = &span.links.links[0].span_context;
                assert_eq!((link.trace_id(), link.span_id()), (trace, producer));
            }
        }
    }
}

#[tokio::test]
async fn a_failure_is_on_its_span_once_and_each_attempt_has_one() {
    let spans = Spans::recorded();
    let bench = quick(|_| Err(HandlerError::Retry("no luck".to_owned())));
    bench.publish(&["bad"]).await;
    bench.until(dead(1)).await;
    bench.stop().await;
    let spans = spans.finished();
    let attempts: Vec<_> = spans.iter().filter_map(|s| attribute(s, "o11y_lab.delivery.attempt")).collect();
    assert_eq!(attempts, ["1", "2", "3"]);
    for span in &spans {
        assert_eq!(span.status, Status::error("no luck"));
        assert_eq!(attribute(span, "error.type").as_deref(), Some("handler_error"));
        assert_eq!(span.events.iter().map(|e| e.name.as_ref()).collect::<Vec<_>>(), ["exception"]);
    }
}

#[tokio::test]
async fn an_idle_worker_makes_no_spans() {
    let spans = Spans::recorded();
    let bench = quick(|_| Ok(()));
    let watch = tokio::spawn(watch_depth(bench.queue.clone(), QueueUse::Consumes, bench.shutdown.clone()));
    tokio::time::sleep(Duration::from_millis(100)).await;
    bench.stop().await;
    watch.await.unwrap();
    assert!(spans.finished().is_empty());
}
