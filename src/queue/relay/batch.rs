//! Batch of messages on their way to the broker, a PRODUCER span each.

use std::ops::Range;
use std::time::Instant;

use tracing::Span;

use super::{Pending, RelayedOutbox};
use crate::queue::metrics::RelayMetrics;
use crate::queue::span::{self, QueueSpans};
use crate::queue::{Message, Queue, QueueError, fault};
use crate::runtime::Faults;

/// Batch under target. The same place in all three lists is the same message.
pub(super) struct RelayBatch {
    seqs: Vec<i64>,
    messages: Vec<Message>,
    spans: Vec<Span>,
}

/// Both ends of a batch's way, and its numbers.
#[derive(Clone, Copy)]
pub(super) struct PublishTarget<'a> {
    pub(super) queue: &'a dyn Queue,
    pub(super) outbox: &'a dyn RelayedOutbox,
    pub(super) metrics: &'a RelayMetrics,
}

impl RelayBatch {
    /// Starts the spans and puts their contexts into the messages.
    pub(super) fn of(pending: Vec<Pending>, spans: &QueueSpans, faults: &Faults) -> Self {
        let many = pending.len();
        let mut batch = Self {
            seqs: Vec::with_capacity(many),
            messages: Vec::with_capacity(many),
            spans: Vec::with_capacity(many),
        };
        for Pending { seq, mut message } in pending {
            let span = spans.send(&message);
            span::put_into(&span, &mut message);
            fault::on_publishing(faults, &span, &mut message);
            batch.seqs.push(seq);
            batch.messages.push(message);
            batch.spans.push(span);
        }
        batch
    }

    /// Publishes all and returns the rows that are to be removed: the broker has their messages. An
    /// error means that the rest must be tried again later.
    pub(super) async fn publish(mut self, target: PublishTarget<'_>) -> Result<Vec<i64>, String> {
        let all = 0..self.messages.len();
        match self.hand_over(all.clone(), target).await {
            Ok(()) => {
                self.spans.fill(Span::none());
                return Ok(self.seqs);
            }
            // The broker does not say which one it refused.
            Err(QueueError::Refused(_)) if all.len() > 1 => {
                for one in all {
                    let handed_over = self.hand_over(one..one + 1, target).await;
                    self.settle(one..one + 1, handed_over, target.outbox).await?;
                }
            }
            failed => self.settle(all, failed, target.outbox).await?,
        }
        Ok(Vec::new())
    }

    async fn hand_over(&self, which: Range<usize>, target: PublishTarget<'_>) -> Result<(), QueueError> {
        let started = Instant::now();
        let handed_over = target.queue.publish(&self.messages[which.clone()]).await;
        match handed_over {
            // One of its spans becomes the exemplar.
            Ok(()) => self.spans[which.start].in_scope(|| {
                target.metrics.published(which.len(), started.elapsed());
            }),
            Err(_) => target.metrics.publish_failed(),
        }
        handed_over
    }

    /// Ends the spans and tells the outbox.
    async fn settle(
        &mut self,
        which: Range<usize>,
        handed_over: Result<(), QueueError>,
        outbox: &dyn RelayedOutbox,
    ) -> Result<(), String> {
        match handed_over {
            Ok(()) => {
                self.spans[which.clone()].fill(Span::none());
                outbox.published(&self.seqs[which]).await
            }
            Err(QueueError::Unavailable(reason)) => {
                // All that are still open: when the broker went away during the search for a
                // refused message, the later ones were part of the failed batch too.
                let open = self.spans.iter().filter(|span| !span.is_disabled());
                open.for_each(|span| span::fail(span, "queue_unavailable", &reason));
                Err(reason)
            }
            Err(QueueError::Refused(reason)) => {
                for one in which {
                    self.set_aside(one, &reason, outbox).await?;
                }
                Ok(())
            }
        }
    }

    async fn set_aside(
        &mut self,
        one: usize,
        reason: &str,
        outbox: &dyn RelayedOutbox,
    ) -> Result<(), String> {
        let span = std::mem::replace(&mut self.spans[one], Span::none());
        span::fail(&span, "queue_refused", reason);
        span.in_scope(|| {
            tracing::error!(
                messageId = self.messages[one].id,
                reason,
                "Message cannot be published and is kept aside in the outbox"
            );
        });
        outbox.refused(self.seqs[one], reason).await
    }
}
