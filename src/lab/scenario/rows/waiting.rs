//! Where a message waits: in the outbox, in the queue, among the dead; and whether a consumer still finishes anything.

use super::plain;
use crate::lab::backend::trace::{SpanKind, SpanStatus};
use crate::lab::expect::Subject;
use crate::lab::scenario::answer::{Answer, AnswerKind};
use crate::lab::scenario::eyes::millis;
use crate::lab::scenario::model::{FaultChoice, Level, Scenario, Setting, Step, Wait};
use crate::schema::{Role, faults};

const ORDER: &str = "POST /api/orders";

pub(crate) static WHERE_IT_WAITS: Scenario = Scenario {
    name: "where-it-waits",
    title: "Accepted, and not notified: where is the message?",
    level: Level::Intermediate,
    learn: "The last span of a trace says how far a message came: the outbox, the queue, or the dead letters.",
    stage: &[
        Step::Fault(&[
            plain(faults::PUBLISH_ERROR, Role::Order),
            plain(faults::CONSUMER_STALL, Role::Notify),
            plain(faults::POISON, Role::Notify),
        ]),
        Step::Send(Subject::NewOrder, 3, 5),
        Step::Wait(Wait::Begun),
        Step::Wait(Wait::Traced),
    ],
    question: "Since {began} orders are accepted and nobody is notified. Where are their messages: in the `outbox` of order-service, in the `queue`, or are they \
               `dead` letters?",
    answer: AnswerKind::Word(&["outbox", "queue", "dead"]),
    look: &[
        ("console", "{console}/trace/{trace}"),
        ("PromQL", "queue_outbox_pending, queue_consumer_lag, queue_dead_letters"),
        ("API", "{notification-service}/stats"),
    ],
    hints: &[
        "Which is the last span of an order's trace: INSERT, send, or process?",
        "Without `send` it never left order-service; without `process` nobody took it.",
    ],
    explanation: "{answer}: no `send` span is the outbox, where the relay tries again until the broker takes it; `send` without `process` is the queue; a red `process` is a dead letter. \
                  In none of the three is anything lost.",
    fix: "o11y-lab fault clear; o11y-lab queue dead replay --all where there are dead letters",
    healed: "each order has its notification, once, and nothing waits",
    sound: Subject::NewOrder,
    truth: |scene, _| {
        Box::pin(async move {
            Ok(Answer::text(match scene.fault()?.fault.as_str() {
                faults::PUBLISH_ERROR => "outbox",
                faults::CONSUMER_STALL => "queue",
                _ => "dead",
            }))
        })
    },
    solve: |eyes| {
        Box::pin(async move {
            let traces = eyes.requests(ORDER).await?;
            let consumed = eyes.consumed().await?;
            if !consumed.is_empty() {
                return match consumed.iter().any(|span| span.status == SpanStatus::Error) {
                    true => Ok(Answer::text("dead")),
                    false => Err("the messages are consumed".to_owned()),
                };
            }
            let mut spans = traces.iter().flat_map(|trace| &trace.spans);
            let sent = spans.any(|span| span.kind == SpanKind::Producer);
            match traces.is_empty() {
                true => Err("no order was sent".to_owned()),
                false => Ok(Answer::text(if sent { "queue" } else { "outbox" })),
            }
        })
    },
};

pub(crate) static STALLED_OR_SLOW: Scenario = Scenario {
    name: "stalled-or-slow",
    title: "Stalled, or only slow?",
    level: Level::Advanced,
    learn: "Lag says that work waits, not why: whether the consumer still finishes anything decides between a restart and more consumers.",
    stage: &[
        Step::Fault(&[
            plain(faults::CONSUMER_STALL, Role::Notify),
            FaultChoice {
                fault: faults::SLOW_DB,
                role: Role::Notify,
                settings: &[("ms", Setting::Between(600, 900))],
            },
        ]),
        Step::Send(Subject::NewOrder, 12, 16),
        Step::Wait(Wait::Begun),
    ],
    question: "Since {began} messages wait in the queue. Is the consumer `stalled`, or is it only `slow`?",
    answer: AnswerKind::Word(&["stalled", "slow"]),
    look: &[
        ("console", "{console}/?service=notification-service"),
        ("PromQL", "queue_consumer_lag, rate(queue_messages_processed_total[1m])"),
        ("metrics page", "{notification-service}/metrics"),
    ],
    hints: &[
        "Lag alone is the same in both cases. What about the rate of what is finished?",
        "Do the traces of the orders since then have a span `process notifications`, and how long is it?",
    ],
    explanation: "It is {answer}. Stalled: nothing is finished, traces end at `send notifications`, no error is counted and `/ready` is 200. Slow: messages \
                  are finished, each takes long, and the gap in front of `process` grows with the lag.",
    fix: "o11y-lab fault clear consumer-stall, or o11y-lab fault clear slow-db --role notify",
    healed: "each order has its notification, once, and nothing waits",
    sound: Subject::NewOrder,
    truth: |scene, _| {
        Box::pin(async move {
            let stalled = scene.fault()?.fault == faults::CONSUMER_STALL;
            Ok(Answer::text(if stalled { "stalled" } else { "slow" }))
        })
    },
    solve: |eyes| {
        Box::pin(async move {
            let traces = eyes.requests(ORDER).await?;
            let consumed: Vec<_> = eyes.consumed().await?.iter().map(millis).collect();
            match consumed.iter().copied().reduce(f64::max) {
                None if !traces.is_empty() => Ok(Answer::text("stalled")),
                Some(longest) if longest >= 500.0 => Ok(Answer::text("slow")),
                _ => Err("messages are consumed, and quickly".to_owned()),
            }
        })
    },
};
