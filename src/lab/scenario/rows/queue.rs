//! The queue: lost context, poison, attempts.

use std::collections::BTreeMap;

use super::plain;
use crate::lab::backend::count::CountSnapshot;
use crate::lab::backend::trace::SpanStatus;
use crate::lab::expect::Subject;
use crate::lab::scenario::answer::{Answer, AnswerKind};
use crate::lab::scenario::eyes::most;
use crate::lab::scenario::model::{Level, Scenario, Step, Wait};
use crate::schema::{Role, faults, names};

pub(crate) static REDELIVERIES: Scenario = Scenario {
    name: "redeliveries",
    title: "How often is a message tried?",
    level: Level::Intermediate,
    learn: "Each retry is work: a fault behind a queue multiplies its load before anything is given up.",
    stage: &[
        Step::Note("attempts before", attempts),
        Step::Fault(&[plain(faults::HANDLER_ERROR, Role::Notify)]),
        Step::Send(Subject::NewOrder, 2, 4),
        Step::Wait(Wait::Delivered),
        Step::Wait(Wait::Traced),
    ],
    question: "Since {began} no notification goes out, and the consumer has more to do than ever. How many times was each message tried \
               before it became a dead letter?",
    answer: AnswerKind::Number { unit: "times", share: 0.0, slack: 0.0 },
    look: &[
        ("console", "{console}/?service=notification-service&status=error"),
        (
            "PromQL",
            "sum by (status) (increase(queue_messages_processed_total[5m])), before: {attempts before}",
        ),
        ("queue", "o11y-lab queue dead list"),
    ],
    hints: &[
        "Count the spans `process …` in the trace of one order.",
        "Each CONSUMER span says in `o11y_lab.delivery.attempt` which attempt it is.",
    ],
    explanation: "{answer} times, each with twice the wait of the one before: that backoff is what keeps the storm from being one. The attempts \
                  are CONSUMER spans below one PRODUCER span; the last makes it a dead letter, which can be replayed.",
    fix: "o11y-lab fault clear handler-error, then o11y-lab queue dead replay --all",
    healed: "the dead letters were sent back and each order has its notification, once",
    sound: Subject::NewOrder,
    truth: |scene, eyes| {
        Box::pin(async move {
            let before = scene.notes.get("attempts before").copied().unwrap_or_default();
            let tried = attempts(&eyes.counts().await?) - before;
            #[allow(clippy::cast_precision_loss, reason = "some")]
            let messages = scene.orders().count().max(1) as f64;
            Ok(Answer::Number(tried / messages))
        })
    },
    solve: |eyes| {
        Box::pin(async move {
            let mut tried: BTreeMap<String, usize> = BTreeMap::new();
            for span in eyes.consumed().await?.iter().filter(|span| span.status == SpanStatus::Error) {
                *tried.entry(span.text("messaging.message.id")).or_default() += 1;
            }
            most(tried.into_values())
                .map(|(tried, _)| Answer::count(tried))
                .ok_or_else(|| "no message failed".to_owned())
        })
    },
};

/// The attempts of all messages so far.
fn attempts(counts: &CountSnapshot) -> f64 {
    counts.sum(names::QUEUE_PROCESSED, |_| true)
}

pub(crate) static LOST_CONTEXT: Scenario = Scenario {
    name: "lost-context",
    title: "Trace context that is lost at the queue",
    level: Level::Intermediate,
    learn: "Context travels in a message's headers; without it the consumer begins a trace of its own, and only an id of the business joins both.",
    stage: &[
        Step::Fault(&[plain(faults::DROP_CONTEXT, Role::Order)]),
        Step::Send(Subject::NewOrder, 1, 1),
        Step::Wait(Wait::Delivered),
        Step::Wait(Wait::Traced),
    ],
    question: "Order {order} was notified, and yet its trace {trace} ends at `send notifications`. What is the id of the trace in which its \
               notification was sent?",
    answer: AnswerKind::TraceId,
    look: &[
        ("console", "{console}/logs?service=notification-service&text=Notification%20sent"),
        (
            "LogQL",
            "{service_name=\"notification-service\"} |= \"Notification sent\" | json | orderId = {order}",
        ),
        ("API", "{console}/api/logs?service=notification-service&text=Notification%20sent"),
    ],
    hints: &[
        "The consumer wrote a line about this order. Which field do both sides share?",
        "Search the lines of notification-service for the orderId {order}, and take the traceId of that line.",
    ],
    explanation: "It is {answer}: a trace whose root is `process notifications`. Nothing alerts on this, since every counter is right. Look for \
                  CONSUMER spans without a parent and without a link, and put ids of the business on log lines.",
    fix: "o11y-lab fault clear drop-context (in a real system: let the producer inject the context into the headers)",
    healed: "a new order's trace goes on through the queue",
    sound: Subject::NewOrder,
    truth: |scene, eyes| {
        Box::pin(async move {
            let sent = scene.last().ok_or("nothing was sent")?;
            let order = sent.order.ok_or("the order was not accepted")?;
            let notified = eyes.notification(order).await?;
            match sent.trace.as_deref() == Some(notified.as_str()) {
                true => Err("the notification is in the order's own trace".to_owned()),
                false => Ok(Answer::Text(notified)),
            }
        })
    },
    solve: |eyes| {
        Box::pin(async move {
            let lines = eyes.lines(Role::Notify, "Notification sent").await?;
            let order: i64 = eyes.fact("order").parse().map_err(|_| "no order was told")?;
            let mut of_order = lines
                .iter()
                .filter(|line| line.fields.get("orderId").and_then(serde_json::Value::as_i64) == Some(order));
            let line = of_order.next().ok_or("no line tells of the notification")?;
            match line.text("traceId") {
                same if same == eyes.fact("trace") => Err("it is in the order's own trace".to_owned()),
                other => Ok(Answer::text(other)),
            }
        })
    },
};

pub(crate) static POISON: Scenario = Scenario {
    name: "poison",
    title: "A poison message, and its replay",
    level: Level::Intermediate,
    learn: "A message that can never be handled must not block the others; it waits as a dead letter until the consumer can read it.",
    stage: &[
        Step::Send(Subject::NewOrder, 2, 4),
        Step::Wait(Wait::Delivered),
        Step::Fault(&[plain(faults::POISON, Role::Notify)]),
        Step::Send(Subject::NewOrder, 1, 1),
        Step::Wait(Wait::Delivered),
        Step::Clear,
        Step::Send(Subject::NewOrder, 2, 4),
        Step::Wait(Wait::Delivered),
        Step::Wait(Wait::Traced),
    ],
    question: "Since {began} several orders were accepted, and one of them was never notified. Which one; what is its id?",
    answer: AnswerKind::Number { unit: "", share: 0.0, slack: 0.0 },
    look: &[
        ("console", "{console}/logs?service=notification-service&text=dead%20letters"),
        ("PromQL", "queue_dead_letters, increase(queue_messages_processed_total{status=\"dead\"}[5m])"),
        ("queue", "o11y-lab queue dead list, then dead show ID"),
    ],
    hints: &[
        "notification-service says `Message goes to the dead letters`, with a traceId.",
        "The same trace has the line `Order created` of order-service, with its orderId.",
    ],
    explanation: "It is order {answer}. Its message could not be parsed, and no further attempt would have helped: so it went to the dead letters at \
                  once, whole, with its headers, and the orders behind it were not held up. After the repair a replay finishes it, in its own trace.",
    fix: "o11y-lab queue dead replay --all, once the consumer can read it",
    healed: "the dead letter was sent back and its order has its notification, once",
    sound: Subject::NewOrder,
    truth: |scene, _| {
        Box::pin(async move {
            let order = scene.caused().find_map(|sent| sent.order).ok_or("no order was sent meanwhile")?;
            #[allow(clippy::cast_precision_loss, reason = "ids are far below 2^53")]
            Ok(Answer::Number(order as f64))
        })
    },
    solve: |eyes| {
        Box::pin(async move {
            let died = eyes.lines(Role::Notify, "Message goes to the dead letters").await?;
            let id = died.first().ok_or("no message became a dead letter")?.text("traceId").to_owned();
            let created = eyes.lines(Role::Order, "Order created").await?;
            // Where the consumer's spans are a trace of their own, they are linked to the producer's.
            let consumer = eyes.trace(&id).await?;
            let linked = consumer.spans.iter().flat_map(|span| &span.links).map(|link| link.trace.clone());
            let ids: Vec<_> = linked.chain([id]).collect();
            let line = created.iter().find(|line| ids.iter().any(|id| id == line.text("traceId")));
            let order = line.and_then(|line| line.fields.get("orderId")?.as_f64());
            order.map(Answer::Number).ok_or_else(|| "no line tells of its order".to_owned())
        })
    },
};
