//! What an injected fault, or a role that is not there, makes of each kind of request.

use std::borrow::Cow;

use super::{
    EMAIL, ExpectedSpan, GATEWAY, LAMBDA, ORDER, PROCESS, Shape, SpanKind, Subject, USER, client, parent_of,
    server,
};
use crate::schema::{faults, names};

/// One row: a fault of [`crate::schema::FAULTS`] with its parameters, and what it changes.
#[derive(Debug)]
pub struct Condition {
    /// The fault's name, or [`NO_VALIDATOR`].
    pub name: &'static str,
    /// Parameters with which it is set: small enough that every request is still answered in time.
    pub parameters: &'static [(&'static str, u64)],
    /// What is expected then, in words.
    pub rows: &'static str,
    /// It is verified in a run of its own: with another fault the same spans would be hit twice.
    pub alone: bool,
    /// Series that grow by a number that depends on the time it lasts.
    pub uncounted: &'static [&'static str],
    /// Changes a shape; the number is that of the attempts a message has.
    change: fn(&mut Shape, u32),
}

/// A lab without the `lambda` role.
pub const NO_VALIDATOR: &str = "no validator";

/// The parameter by which a fault makes something slow, in milliseconds.
const SLOW_MS: u64 = 50;

/// Every condition.
pub static CONDITIONS: [Condition; 20] = [
    Condition {
        parameters: &[("ms", SLOW_MS)],
        rows: "each SERVER span of user-service has `o11y_lab.fault` and takes 50 ms or more; everything else as ever",
        ..row(faults::LATENCY, |shape, _| slow(shape, faults::LATENCY, |span| serves(span, USER)))
    },
    Condition {
        parameters: &[("status", 500)],
        rows: "what reaches order-service ends there with 500 and nothing below it, and is answered 502; `request failed` in both, `gateway_errors_total`, no order, no notification",
        ..row(faults::ERROR, |shape, _| fails_at_orders(shape))
    },
    Condition {
        parameters: &[("ms", SLOW_MS)],
        rows: "each span of order-service's database has `o11y_lab.fault` and takes 50 ms or more; everything else as ever",
        ..row(faults::SLOW_DB, |shape, _| {
            slow(shape, faults::SLOW_DB, |span| {
                span.service == ORDER && span.attributes.contains(&"db.query.text")
            });
        })
    },
    Condition {
        rows: "traces end at `send notifications`; every message waits, none is notified",
        ..row(faults::CONSUMER_STALL, |shape, _| consumed(shape, Vec::new(), false))
    },
    Condition {
        rows: "one red CONSUMER span for each attempt (`QUEUE_MAX_ATTEMPTS`), with its number; retried, then a dead letter; none is notified",
        ..row(faults::HANDLER_ERROR, |shape, attempts| {
            let failed = ExpectedSpan {
                failure: Some("handler_error"),
                fault: Some(faults::HANDLER_ERROR),
                ..PROCESS
            };
            let all = (1..=attempts).map(|attempt| ExpectedSpan { attempt, ..failed });
            consumed(shape, all.collect(), false);
        })
    },
    Condition {
        rows: "one red CONSUMER span, `error.type` `poison_message`; a dead letter at once; none is notified",
        ..row(faults::POISON, |shape, _| {
            let failed =
                ExpectedSpan { failure: Some("poison_message"), fault: Some(faults::POISON), ..PROCESS };
            consumed(shape, vec![failed], false);
        })
    },
    Condition {
        rows: "`send notifications` has `o11y_lab.fault`; the consumer's spans are a trace of their own, not linked either; counters as ever",
        ..row(faults::DROP_CONTEXT, |shape, _| {
            consumed(shape, vec![ExpectedSpan { detached: true, ..PROCESS }, EMAIL], true);
            hit(shape, faults::DROP_CONTEXT, |span| span.kind == SpanKind::Producer);
        })
    },
    Condition {
        rows: "no span at all of sending and handling; nothing is published, none is notified, `queue_publish_errors_total` grows; all of it comes after the run",
        uncounted: &[names::QUEUE_PUBLISH_ERRORS],
        ..row(faults::PUBLISH_ERROR, |shape, _| unpublished(shape))
    },
    Condition {
        parameters: &[("connections", 1)],
        rows: "one of order-service's connections is never put back; as long as others are there everything is as ever",
        ..row(faults::POOL_LEAK, |_, _| {})
    },
    Condition {
        parameters: &[("ms", SLOW_MS)],
        rows: "each span of user-service has `o11y_lab.fault`, and is not earlier than `--clock-tolerance` allows; everything else as ever",
        alone: true,
        ..row(faults::CLOCK_SKEW, |shape, _| hit(shape, faults::CLOCK_SKEW, |span| span.service == USER))
    },
    Condition {
        parameters: &[("status", 500)],
        rows: "all users: `GET /users/{id}` ends at user-service with 500 and is answered 502, orders with it; users can be created and listed",
        alone: true,
        ..row(faults::USER_OUTAGE, |shape, _| {
            fails_at_users(shape, faults::USER_OUTAGE, 500, |span| span.name == "GET /users/{id}");
        })
    },
    Condition {
        parameters: &[("ms", SLOW_MS)],
        rows: "each call of user-service by order-service has `o11y_lab.fault` and takes 50 ms or more; everything else as ever",
        ..row(faults::SLOW_NETWORK, |shape, _| {
            slow(shape, faults::SLOW_NETWORK, |span| {
                span.service == ORDER && span.attributes.contains(&"url.template")
            });
        })
    },
    Condition {
        parameters: &[("times", REPEATED as u64)],
        rows: "`GET /orders` of order-service has `o11y_lab.fault`, and three `SELECT orders` more; everything else as ever",
        alone: true,
        ..row(faults::REPEATED_QUERY, |shape, _| repeated(shape))
    },
    Condition {
        rows: "nothing fails, so nothing is repeated: everything as ever",
        alone: true,
        ..row(faults::RETRY_STORM, |_, _| {})
    },
    Condition {
        parameters: &[("ms", SLOW_MS)],
        rows: "each SERVER span of order-service has `o11y_lab.fault` and takes 50 ms or more; everything else as ever",
        alone: true,
        ..row(faults::DEPLOY, |shape, _| slow(shape, faults::DEPLOY, |span| serves(span, ORDER)))
    },
    Condition {
        rows: "what reaches user-service ends there with 503 and nothing below it, and is answered 503; no user, no order, no notification",
        alone: true,
        ..row(faults::SLOW_START, |shape, _| fails_at_users(shape, faults::SLOW_START, 503, |_| true))
    },
    Condition {
        parameters: &[("kib", 1)],
        rows: "each SERVER span of user-service has `o11y_lab.fault`; everything else as ever",
        alone: true,
        ..row(faults::MEMORY_GROWTH, |shape, _| hit(shape, faults::MEMORY_GROWTH, |span| serves(span, USER)))
    },
    Condition {
        parameters: &[("percent", 20)],
        rows: "everything as ever",
        ..row(faults::CPU_BURN, |_, _| {})
    },
    Condition {
        parameters: &[("lines", 20)],
        rows: "everything as ever: the lines are in no trace",
        ..row(faults::LOG_FLOOD, |_, _| {})
    },
    row(NO_VALIDATOR, |shape, _| unvalidated(shape)),
];

/// How often a page's orders are read again where that is expected.
const REPEATED: usize = 3;

/// A row that is set without parameters.
const fn row(name: &'static str, change: fn(&mut Shape, u32)) -> Condition {
    Condition { name, parameters: &[], rows: "", alone: false, uncounted: &[], change }
}

impl Condition {
    /// The row with this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        CONDITIONS.iter().find(|condition| condition.name == name)
    }

    /// Changes a shape to what it is under this condition, where a message has so many attempts.
    pub fn apply(&self, shape: &mut Shape, attempts: u32) {
        (self.change)(shape, attempts);
    }
}

fn serves(span: &ExpectedSpan, service: &str) -> bool {
    span.service == service && span.kind == SpanKind::Server
}

fn hit(shape: &mut Shape, fault: &'static str, which: impl Fn(&ExpectedSpan) -> bool) {
    for span in shape.spans.to_mut().iter_mut().filter(|span| which(span)) {
        span.fault = Some(fault);
    }
}

fn slow(shape: &mut Shape, fault: &'static str, which: impl Fn(&ExpectedSpan) -> bool) {
    hit(shape, fault, &which);
    for span in shape.spans.to_mut().iter_mut().filter(|span| which(span)) {
        span.at_least_ms = SLOW_MS;
    }
}

/// The first row below a row that is not in its subtree.
fn end_of(spans: &[ExpectedSpan], row: usize) -> usize {
    (row + 1..spans.len()).find(|below| spans[*below].depth <= spans[row].depth).unwrap_or(spans.len())
}

fn fails_at_orders(shape: &mut Shape) {
    let failed = |span: &ExpectedSpan| span.service == ORDER && span.kind == SpanKind::Server;
    let spans = shape.spans.to_mut();
    let Some(row) = spans.iter().position(failed) else { return };
    let end = end_of(spans, row);
    spans.drain(row + 1..end);
    (spans[row].http_status, spans[row].fault) = (500, Some(faults::ERROR));
    if let Some(call) = parent_of(spans, row) {
        spans[call].http_status = 500;
    }
    spans[0].http_status = 502;
    leaves_nothing(shape, 502);
}

/// What reaches user-service fails there with a status, where `which` says so, and is answered with what follows
/// from it.
fn fails_at_users(
    shape: &mut Shape,
    fault: &'static str,
    status: u16,
    which: impl Fn(&ExpectedSpan) -> bool,
) {
    match shape.subject {
        // Without its user no order was made that could be read or changed.
        Subject::OneOrder => {
            let none = Shape::of(Subject::NoOrder);
            (shape.spans, shape.status) = (none.spans.clone(), none.status);
            return;
        }
        Subject::Complete => {
            let spans = shape.spans.to_mut();
            spans.truncate(4);
            spans[..3].iter_mut().for_each(|span| span.http_status = 404);
            leaves_nothing(shape, 404);
            return;
        }
        _ => {}
    }
    let spans = shape.spans.to_mut();
    let Some(row) = spans.iter().position(|span| serves(span, USER) && which(span)) else { return };
    spans.truncate(row + 1);
    (spans[row].http_status, spans[row].fault) = (status, Some(fault));
    let (mut below, mut answered) = (row, status);
    while let Some(above) = parent_of(spans, below) {
        if spans[above].kind == SpanKind::Server {
            // A caller of what is broken says so; of what is not available, that it is not either.
            answered = if status == 500 { 502 } else { status };
        }
        (spans[above].http_status, below) = (answered, above);
    }
    let ordered = spans.iter().any(|span| serves(span, ORDER));
    leaves_nothing(shape, answered);
    let counts = shape.counts.to_mut();
    counts.push((USER, names::USERS_ERRORS, None));
    if ordered {
        counts.push((ORDER, names::ORDERS_ERRORS, Some(("reason", "user_unavailable"))));
    }
}

fn leaves_nothing(shape: &mut Shape, status: u16) {
    (shape.status, shape.notification) = (status, None);
    shape.lines = Cow::Borrowed(&[]);
    shape.counts = Cow::Borrowed(&[]);
}

fn unpublished(shape: &mut Shape) {
    let spans = shape.spans.to_mut();
    let Some(row) = spans.iter().position(|span| span.kind == SpanKind::Producer) else { return };
    spans.drain(row..end_of(spans, row));
    shape.notification = None;
}

fn repeated(shape: &mut Shape) {
    let spans = shape.spans.to_mut();
    if shape.subject != Subject::Orders {
        return;
    }
    let again: Vec<_> = spans.last().into_iter().flat_map(|query| [*query; REPEATED]).collect();
    spans.extend(again);
    hit(shape, faults::REPEATED_QUERY, |span| serves(span, ORDER));
}

/// Puts other spans in the place of those of the consumer.
fn consumed(shape: &mut Shape, instead: Vec<ExpectedSpan>, notified: bool) {
    let spans = shape.spans.to_mut();
    let Some(row) = spans.iter().position(|span| span.kind == SpanKind::Consumer) else { return };
    let end = end_of(spans, row);
    spans.splice(row..end, instead);
    if !notified {
        shape.notification = None;
    }
}

fn unvalidated(shape: &mut Shape) {
    let spans = shape.spans.to_mut();
    let Some(row) = spans.iter().position(|span| span.service == LAMBDA) else { return };
    spans.remove(row);
    spans[row - 1].failure = Some("unreachable");
    if shape.subject == Subject::Verdict {
        (spans[0].http_status, shape.status) = (503, 503);
        return;
    }
    if shape.subject == Subject::BadOrder {
        // Its rules are order-service's too.
        spans.extend([client(1, "POST /orders", GATEWAY, 400), server(2, "POST /orders", ORDER, 400)]);
        shape.counts.to_mut().push((ORDER, names::ORDERS_ERRORS, Some(("reason", "validation"))));
    }
    spans[0].unvalidated = true;
    shape.counts.to_mut().push((GATEWAY, names::GATEWAY_VALIDATION_SKIPPED, Some(("reason", "unreachable"))));
    shape.lines.to_mut().push((
        GATEWAY,
        "Order passed on without the validator's verdict",
        "POST /api/orders",
    ));
}

#[cfg(test)]
mod tests {
    use super::super::SHAPES;
    use super::*;
    use crate::schema::FAULTS;

    #[test]
    fn every_fault_has_a_row_with_parameters_that_it_takes() {
        for fault in &FAULTS {
            let row = Condition::named(fault.name).unwrap_or_else(|| panic!("{}", fault.name));
            for (name, _) in row.parameters {
                assert!(fault.parameters.iter().any(|parameter| parameter.name == *name), "{name}");
            }
        }
        assert_eq!(CONDITIONS.len(), FAULTS.len() + 1);
    }

    #[test]
    fn under_each_condition_a_shape_has_one_root_with_the_status_of_its_answer() {
        for condition in &CONDITIONS {
            for shape in &SHAPES {
                let mut changed = shape.clone();
                condition.apply(&mut changed, 3);
                let roots = changed.spans.iter().filter(|span| span.depth == 0).count();
                assert_eq!((roots, changed.spans[0].http_status), (1, changed.status), "{}", condition.name);
            }
        }
        let mut order = Shape::of(Subject::NewOrder).clone();
        Condition::named(faults::HANDLER_ERROR).unwrap_or(&CONDITIONS[0]).apply(&mut order, 3);
        let attempts: Vec<_> =
            order.spans.iter().filter(|s| s.kind == SpanKind::Consumer).map(|s| s.attempt).collect();
        assert_eq!(attempts, [1, 2, 3]);
        let lines = order.expected_lines();
        let count = |message| lines.iter().filter(|line| line.message == message).count();
        assert_eq!(count("Message failed and will be retried"), 2);
        assert_eq!(count("Message goes to the dead letters"), 1);
        assert_eq!(count("Notification sent"), 0);
    }
}
