"""Queue: from the outbox through the broker to the notification, and what died on the way."""

from .grafana import GREEN, ORANGE, RED, dashboard, panel, quantiles, query, stat

PROCESSED = "queue_messages_processed_total"

now = [
    stat("Waiting", "Messages waiting in the queue. Order and notification service both look, so that a dead "
         "consumer leaves a number behind.", "short", query("max(queue_consumer_lag{@})", "lag"),
         steps=[(None, GREEN), (100, ORANGE), (1000, RED)]),
    stat("Outbox", "Messages stored with their order and not yet published. More than a moment's worth: the broker "
         "does not confirm.", "short", query("sum(queue_outbox_pending{@})", "pending"),
         steps=[(None, GREEN), (50, ORANGE), (500, RED)]),
    stat("Dead letters", "Messages that failed for good: `o11y-lab queue dead list` says why.", "short",
         query("max(queue_dead_letters{@})", "dead"), steps=[(None, GREEN), (1, RED)]),
    stat("Handled at the first attempt", "Share of messages that neither came back nor died; 100 % where none did.",
         "percentunit",
         query(f'1 - sum(rate({PROCESSED}{{@,status!="success"}}[$i])) '
               f"/ clamp_min(sum(rate({PROCESSED}{{@}}[$i])), 1e-9)", "success"),
         most=1, steps=[(None, RED), (0.9, ORANGE), (0.99, GREEN)]),
]

flow = [
    panel("Published and processed", "Messages per second. Where the lines part, the lag grows.", "ops",
          query("sum(rate(queue_messages_published_total{@}[$i]))", "published"),
          query(f'sum(rate({PROCESSED}{{@,status="success"}}[$i]))', "processed"), w=12),
    panel("Processed, by outcome", "Messages per second: success, retried later, dead for good.", "ops",
          query(f"sum by (status) (rate({PROCESSED}{{@}}[$i]))", "{{status}}"), w=12, stack=True),
    panel("Lag", "Messages waiting, as order and notification service see it.", "short",
          query("max by (job) (queue_consumer_lag{@})", "{{job}}")),
    panel("Outbox backlog", "Messages not yet published.", "short", query("sum(queue_outbox_pending{@})", "pending")),
    panel("Dead letters, over time", "Falls when somebody replays them.", "short",
          query("max(queue_dead_letters{@})", "dead")),
]

latency = [
    panel("Publishing", "Time until the broker has confirmed a batch.", "s",
          *quantiles("queue_publish_duration_seconds", "job", ""), w=6),
    panel("Age", "Of messages when they are first tried, since they were stored with their order.", "s",
          *quantiles("queue_message_age_seconds", "job", ""), w=6),
    panel("Handling", "Time to handle one message.", "ms", *quantiles("notification_processing_duration_ms", "job", ""),
          w=6),
    panel("Failures", "Attempts per second that the broker did not confirm, and notifications that failed.", "ops",
          query("sum(rate(queue_publish_errors_total{@}[$i]))", "publish"),
          query("sum(rate(notifications_failed_total{@}[$i]))", "notification"), w=6),
]

DASHBOARD = dashboard(
    "o11y-queue", "Queue", "From the outbox through the broker to the notification.",
    [("Now", now), ("Flow", flow), ("Latency and failures", latency)])
