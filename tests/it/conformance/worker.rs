//! The one worker on each transport.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use o11y_lab::config::TraceMode;
use o11y_lab::queue::worker::{self, Handler, HandlerError, Policy};
use o11y_lab::queue::{Depth, Message};
use o11y_lab::runtime::Shutdown;
use tokio::sync::Notify;

use super::cases::{depth_becomes, message, receive};
use super::row::Pair;
use crate::helpers::DEADLINE;

/// Fails as its message's body says.
#[derive(Default)]
struct Failing {
    calls: AtomicU32,
}

#[async_trait]
impl Handler for Failing {
    async fn handle(&self, message: &Message) -> Result<(), HandlerError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        match message.id.as_str() {
            "poison" => Err(HandlerError::Poison("cannot be read".to_owned())),
            "failing" => Err(HandlerError::Retry("not today".to_owned())),
            _ => Ok(()),
        }
    }
}

/// Takes as long as it is let; tells when it starts.
#[derive(Default)]
struct Slow {
    started: Notify,
    go_on: Notify,
    finished: AtomicU32,
}

#[async_trait]
impl Handler for Slow {
    async fn handle(&self, _: &Message) -> Result<(), HandlerError> {
        self.started.notify_one();
        self.go_on.notified().await;
        self.finished.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

fn policy(pair: &Pair, max_attempts: u32) -> Policy {
    Policy {
        concurrency: 4,
        max_attempts,
        retry_base: Duration::from_millis(50),
        visibility_timeout: pair.visibility_timeout,
        trace_mode: TraceMode::Child,
    }
}

/// Runs a worker on `pair.two` until `pair.one` counts as expected, then drains it.
async fn until(pair: &Pair, handler: Arc<Failing>, max_attempts: u32, expected: Depth) {
    let shutdown = Shutdown::new(Duration::from_secs(5));
    let worker = worker::run(pair.two.clone(), handler, policy(pair, max_attempts), shutdown.clone());
    let watch = async {
        depth_becomes(&*pair.one, expected).await;
        shutdown.begin();
    };
    futures_util::future::join(worker, watch).await;
}

pub async fn a_poison_message_goes_straight_to_the_dead_letters(pair: &Pair) {
    pair.one.publish(&[message("poison", "a"), message("good", "b")]).await.unwrap();
    let handler = Arc::new(Failing::default());
    until(pair, handler.clone(), 5, Depth { waiting: 0, in_flight: 0, dead: 1 }).await;
    assert_eq!(handler.calls.load(Ordering::SeqCst), 2);
    let dead = pair.one.dead_letters(10).await.unwrap();
    assert_eq!(dead[0].message, message("poison", "a"));
    assert_eq!((dead[0].reason.as_str(), dead[0].attempts), ("cannot be read", 1));
}

pub async fn a_failing_message_is_retried_and_then_given_up(pair: &Pair) {
    pair.one.publish(&[message("failing", "a"), message("good", "b")]).await.unwrap();
    let handler = Arc::new(Failing::default());
    until(pair, handler.clone(), 3, Depth { waiting: 0, in_flight: 0, dead: 1 }).await;
    assert_eq!(handler.calls.load(Ordering::SeqCst), 4);
    let dead = pair.one.dead_letters(10).await.unwrap();
    assert_eq!((dead[0].message.id.as_str(), dead[0].attempts), ("failing", 3));
}

/// Once the handler finishes within the grace, once it does not.
pub async fn a_drain_in_the_middle_of_a_message_neither_loses_nor_leaves_it(pair: &Pair) {
    for finishes in [false, true] {
        let queue = pair.open().await;
        pair.one.publish(&[message("m-1", "k")]).await.unwrap();
        let handler = Arc::new(Slow::default());
        // A tenth of it is for the calls that requeue: three of them on SQS.
        let grace = if finishes { DEADLINE } else { Duration::from_secs(5) };
        let shutdown = Shutdown::new(grace);
        let began = Instant::now();
        let worker = worker::run(queue, handler.clone(), policy(pair, 5), shutdown.clone());
        let stop = async {
            handler.started.notified().await;
            shutdown.begin();
            if finishes {
                handler.go_on.notify_one();
            }
        };
        futures_util::future::join(worker, stop).await;
        assert!(began.elapsed() < DEADLINE, "the drain waited for nothing");
        assert_eq!(handler.finished.load(Ordering::SeqCst), u32::from(finishes));
        if !finishes {
            // A handle that consumed stays a consumer, and the next message may be sent to it.
            let other = pair.open().await;
            let again = receive(&*other, 1).await;
            assert_eq!(again[0].message.id, "m-1");
            other.ack(&again[0]).await.unwrap();
            other.close().await;
        }
        depth_becomes(&*pair.one, Depth::default()).await;
    }
}
