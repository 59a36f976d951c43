//! Numbers of both sides of the queue, each measured in one place.
//!
//! The handles are looked up once, when relay or worker begin, and not again for each message: begin
//! them after the recorder is installed.

use std::time::{Duration, SystemTime};

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use uuid::Uuid;

use super::Depth;
use crate::schema::{QueueUse, names};

/// Result of a delivery; the values of the label `status`.
#[derive(Clone, Copy, Debug)]
pub(super) enum Settled {
    Success,
    Retried,
    Dead,
}

/// Metrics of the relay.
pub(super) struct RelayMetrics {
    published: Counter,
    publish_duration: Histogram,
    publish_errors: Counter,
    outbox_pending: Gauge,
}

impl RelayMetrics {
    pub(super) fn new() -> Self {
        Self {
            published: counter!(names::QUEUE_PUBLISHED),
            publish_duration: histogram!(names::QUEUE_PUBLISH_DURATION),
            publish_errors: counter!(names::QUEUE_PUBLISH_ERRORS),
            outbox_pending: gauge!(names::QUEUE_OUTBOX_PENDING),
        }
    }

    /// The broker confirmed a batch.
    pub(super) fn published(&self, messages: usize, took: Duration) {
        self.published.increment(messages as u64);
        self.publish_duration.record(took.as_secs_f64());
    }

    /// The broker did not confirm an attempt.
    pub(super) fn publish_failed(&self) {
        self.publish_errors.increment(1);
    }

    /// What the outbox still holds.
    pub(super) fn outbox_pending(&self, messages: i64) {
        self.outbox_pending.set(messages as f64);
    }
}

/// Metrics of the worker.
pub(super) struct WorkerMetrics {
    age: Histogram,
    duration: Histogram,
    failed: Counter,
    success: Counter,
    retried: Counter,
    dead: Counter,
}

impl WorkerMetrics {
    pub(super) fn new() -> Self {
        let processed = |status: &'static str| counter!(names::QUEUE_PROCESSED, "status" => status);
        Self {
            age: histogram!(names::QUEUE_AGE),
            duration: histogram!(names::NOTIFICATION_DURATION),
            failed: counter!(names::NOTIFICATIONS_FAILED),
            success: processed("success"),
            retried: processed("retried"),
            dead: processed("dead"),
        }
    }

    /// A message is tried for the first time. Its id says when it was made, if it is a UUID of version 7 (RFC 9562, section
    /// 5.7); where the clocks of two machines disagree, none is younger than new.
    pub(super) fn tried(&self, id: &str, now: SystemTime) {
        let id = Uuid::parse_str(id).ok().filter(|id| id.get_version_num() == 7);
        let Some(made) = id.and_then(|id| id.get_timestamp()) else { return };
        let (seconds, nanos) = made.to_unix();
        let made = SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos);
        self.age.record(now.duration_since(made).unwrap_or_default().as_secs_f64());
    }

    /// A handler ran.
    pub(super) fn handled(&self, took: Duration, failed: bool) {
        self.duration.record(took.as_secs_f64() * 1000.0);
        if failed {
            self.failed.increment(1);
        }
    }

    /// The broker knows what became of a delivery.
    pub(super) fn processed(&self, status: Settled) {
        let counter = match status {
            Settled::Success => &self.success,
            Settled::Retried => &self.retried,
            Settled::Dead => &self.dead,
        };
        counter.increment(1);
    }
}

/// Messages that wait and, from the consumer, dead letters.
pub(super) fn depth(depth: Depth, side: QueueUse) {
    gauge!(names::QUEUE_LAG).set(depth.waiting as f64);
    if side == QueueUse::Consumes {
        gauge!(names::QUEUE_DEAD).set(depth.dead as f64);
    }
}

#[cfg(test)]
mod tests {
    use metrics::with_local_recorder;
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    #[test]
    fn a_message_is_as_old_as_its_id_says_never_younger_than_new_and_of_no_age_without() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let made = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let id = Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, 1_700_000_000, 0)).to_string();
        with_local_recorder(&recorder, || {
            let metrics = WorkerMetrics::new();
            metrics.tried(&id, made + Duration::from_millis(2_500));
            metrics.tried(&id, made - Duration::from_secs(9));
            metrics.tried("m-1", made);
            // A time too, of version 1, and in another count.
            metrics.tried("c232ab00-9414-11ec-b3c8-9f6bdeced846", made);
        });
        let page = recorder.handle().render();
        assert!(page.contains("queue_message_age_seconds_sum 2.5\n"), "{page}");
        assert!(page.contains("queue_message_age_seconds_count 2\n"), "{page}");
    }
}
