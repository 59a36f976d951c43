//! One delivery: its span, its handler, its end.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use futures_util::FutureExt;
use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::{Handler, HandlerError, Policy};
use crate::queue::metrics::{Settled, WorkerMetrics};
use crate::queue::span::{self, QueueSpans};
use crate::queue::{Delivery, Queue};

/// Longest time a handler may take; heartbeats keep its message in flight so long.
const HANDLER_LIMIT: Duration = Duration::from_secs(300);
/// Number of deliveries beyond the last attempt after which a message is taken for the one that kills its
/// consumer. Crashes it did not cause cost deliveries too, so this is generous.
const DELIVERIES_TO_SPARE: u32 = 15;
/// Longest wait before a retry.
pub(in crate::queue) const LONGEST_RETRY: Duration = Duration::from_secs(60);

/// What every attempt needs.
pub(super) struct Attempts {
    queue: Arc<dyn Queue>,
    handler: Arc<dyn Handler>,
    policy: Policy,
    spans: QueueSpans,
    metrics: WorkerMetrics,
    /// Fires when the grace is over: handlers are dropped and their messages requeued.
    abandon: CancellationToken,
}

enum AttemptOutcome {
    Done,
    Failed { kind: &'static str, reason: String, again: bool },
    Abandoned,
}

/// What the broker is to be told.
enum End {
    Ack,
    Retry(Duration),
    Requeue,
    DeadLetter(String),
}

impl Attempts {
    pub(super) fn new(
        queue: Arc<dyn Queue>,
        handler: Arc<dyn Handler>,
        policy: Policy,
        abandon: CancellationToken,
    ) -> Self {
        let (spans, metrics) = (QueueSpans::new(queue.clone()), WorkerMetrics::new());
        Self { queue, handler, policy, spans, metrics, abandon }
    }

    /// Starts an attempt for each of the deliveries that one call brought.
    pub(super) fn spawn_all(
        self: &Arc<Self>,
        deliveries: Vec<Delivery>,
        started: SystemTime,
        in_flight: &mut JoinSet<()>,
    ) {
        let producers: Vec<_> = deliveries.iter().map(|delivery| span::producer(&delivery.message)).collect();
        let received = self.spans.receive(&producers, started);
        for (delivery, producer) in deliveries.into_iter().zip(producers) {
            in_flight.spawn(self.clone().process(delivery, producer, received.clone()));
        }
    }

    /// `producer` is the context of the span that sent the message, `received` that of the call that
    /// brought it.
    ///
    /// The span of the attempt ends with the handler: how long the broker takes to be told is no part of
    /// it.
    pub(super) async fn process(self: Arc<Self>, delivery: Delivery, producer: Context, received: Context) {
        let span = self.spans.process(&delivery, producer, self.policy.trace_mode);
        let own = Context::new().with_remote_span_context(span.context().span().span_context().clone());
        let end = async {
            let outcome = self.handle(&delivery).await;
            self.judge(&delivery, outcome)
        };
        let end = end.instrument(span).await;
        self.settle(&delivery, end, &received, &own).await;
    }

    async fn handle(&self, delivery: &Delivery) -> AttemptOutcome {
        if delivery.attempt > self.policy.max_attempts.saturating_add(DELIVERIES_TO_SPARE) {
            let reason = format!("delivered {} times and never settled", delivery.attempt - 1);
            return failed("never_settled", reason, false);
        }
        if delivery.message.id.is_empty() {
            // Effects are told apart by it: the second one without would be taken for done.
            return failed("poison_message", "the message has no id".to_owned(), false);
        }
        if delivery.attempt <= 1 {
            self.metrics.tried(&delivery.message.id, SystemTime::now());
        }
        let started = Instant::now();
        // A panic is one message's failure, not the worker's end.
        let handling =
            AssertUnwindSafe(async { self.handler.handle(&delivery.message).await }).catch_unwind();
        let outcome = tokio::select! {
            handled = handling => match handled {
                Ok(Ok(())) => AttemptOutcome::Done,
                Ok(Err(HandlerError::Retry(reason))) => failed("handler_error", reason, true),
                Ok(Err(HandlerError::Poison(reason))) => failed("poison_message", reason, false),
                Err(_) => failed("panic", "the handler panicked".to_owned(), true),
            },
            () = self.heartbeats(delivery) => failed("timeout", "the handler took too long".to_owned(), true),
            () = self.abandon.cancelled() => return AttemptOutcome::Abandoned,
        };
        self.metrics.handled(started.elapsed(), matches!(outcome, AttemptOutcome::Failed { .. }));
        outcome
    }

    /// Keeps the delivery in flight for as long as a handler may take.
    async fn heartbeats(&self, delivery: &Delivery) {
        let beats = async {
            loop {
                tokio::time::sleep(self.policy.visibility_timeout / 3).await;
                if let Err(error) = self.queue.heartbeat(delivery).await {
                    tracing::warn!(messageId = delivery.message.id, reason = %error, "Heartbeat failed");
                }
            }
        };
        let _: Result<(), _> = tokio::time::timeout(HANDLER_LIMIT, beats).await;
    }

    /// What is to become of the delivery, said on its span and in the log.
    fn judge(&self, delivery: &Delivery, outcome: AttemptOutcome) -> End {
        let span = Span::current();
        let (id, attempt) = (delivery.message.id.as_str(), delivery.attempt);
        match outcome {
            AttemptOutcome::Done => End::Ack,
            AttemptOutcome::Failed { kind, reason, again: true } if attempt < self.policy.max_attempts => {
                span::fail(&span, kind, &reason);
                let delay = backoff(self.policy.retry_base, attempt);
                let wait = delay.as_millis() as u64;
                tracing::warn!(
                    messageId = id,
                    attempt,
                    retryInMs = wait,
                    reason,
                    "Message failed and will be retried"
                );
                End::Retry(delay)
            }
            AttemptOutcome::Failed { kind, reason, .. } => {
                span::fail(&span, kind, &reason);
                tracing::error!(messageId = id, attempt, reason, "Message goes to the dead letters");
                End::DeadLetter(reason)
            }
            AttemptOutcome::Abandoned => {
                span::fail(&span, "shutdown", "requeued at shutdown");
                End::Requeue
            }
        }
    }

    /// Tells the broker; `own` is the context of the attempt's span.
    async fn settle(&self, delivery: &Delivery, end: End, received: &Context, own: &Context) {
        let (how, status) = match &end {
            End::Ack => ("ack", Some(Settled::Success)),
            End::Retry(_) => ("retry", Some(Settled::Retried)),
            End::Requeue => ("retry", None),
            End::DeadLetter(_) => ("dead_letter", Some(Settled::Dead)),
        };
        let settling = self.spans.settle(delivery, how, received);
        let settled = match end {
            End::Ack => self.queue.ack(delivery).await,
            End::Retry(delay) => self.queue.retry(delivery, delay).await,
            End::Requeue => self.queue.requeue(delivery).await,
            End::DeadLetter(reason) => self.queue.dead_letter(delivery, &reason).await,
        };
        settling.end(&settled);
        match settled {
            Ok(()) => status.into_iter().for_each(|status| self.metrics.processed(status)),
            Err(error) => {
                // The line belongs to the message's trace, whose span has ended.
                let _own = own.clone().attach();
                tracing::warn!(
                    messageId = delivery.message.id,
                    attempt = delivery.attempt,
                    reason = %error,
                    "Message could not be settled and will be redelivered"
                );
            }
        }
    }
}

fn failed(kind: &'static str, reason: String, again: bool) -> AttemptOutcome {
    AttemptOutcome::Failed { kind, reason, again }
}

/// Full jitter: anything up to the exponential bound, so that what failed together does not come
/// back together.
fn backoff(base: Duration, attempt: u32) -> Duration {
    let bound = base.saturating_mul(2u32.saturating_pow(attempt.saturating_sub(1))).min(LONGEST_RETRY);
    bound.mul_f64(fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_before_a_retry_grows_with_jitter_and_is_capped_at_a_minute() {
        let base = Duration::from_millis(200);
        let longest = |attempt| (0..500).map(|_| backoff(base, attempt)).max().unwrap_or_default();
        assert!(longest(1) <= base);
        assert!(longest(3) > base && longest(3) <= base * 4);
        assert!(longest(u32::MAX) <= LONGEST_RETRY && longest(u32::MAX) > LONGEST_RETRY / 2);
    }
}
