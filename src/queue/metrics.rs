//! The numbers of both sides of the queue, each measured in one place.

use std::time::Duration;

use metrics::{counter, gauge, histogram};

use super::Depth;
use crate::schema::{QueueUse, names};

/// What became of a delivery; the values of the label `status`.
#[derive(Clone, Copy, Debug)]
pub(super) enum Settled {
    Success,
    Retried,
    Dead,
}

impl Settled {
    fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Retried => "retried",
            Self::Dead => "dead",
        }
    }
}

/// The broker confirmed a batch.
pub(super) fn published(messages: usize, took: Duration) {
    counter!(names::QUEUE_PUBLISHED).increment(messages as u64);
    histogram!(names::QUEUE_PUBLISH_DURATION).record(took.as_secs_f64());
}

/// The broker did not confirm an attempt.
pub(super) fn publish_failed() {
    counter!(names::QUEUE_PUBLISH_ERRORS).increment(1);
}

/// What the outbox still holds.
pub(super) fn outbox_pending(messages: i64) {
    gauge!(names::QUEUE_OUTBOX_PENDING).set(messages as f64);
}

/// A handler ran.
pub(super) fn handled(took: Duration, failed: bool) {
    histogram!(names::NOTIFICATION_DURATION).record(took.as_secs_f64() * 1000.0);
    if failed {
        counter!(names::NOTIFICATIONS_FAILED).increment(1);
    }
}

/// The broker knows what became of a delivery.
pub(super) fn processed(status: Settled) {
    counter!(names::QUEUE_PROCESSED, "status" => status.as_str()).increment(1);
}

/// How many messages wait and, from the consumer, how many were given up.
pub(super) fn depth(depth: Depth, side: QueueUse) {
    gauge!(names::QUEUE_LAG).set(depth.waiting as f64);
    if side == QueueUse::Consumes {
        gauge!(names::QUEUE_DEAD).set(depth.dead as f64);
    }
}
