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
    /// Changes a shape; the number is that of the attempts a message has.
    change: fn(&mut Shape, u32),
}

/// A lab without the `lambda` role.
pub const NO_VALIDATOR: &str = "no validator";

/// The parameter by which a fault makes something slow, in milliseconds.
const SLOW_MS: u64 = 50;

/// Every condition.
pub static CONDITIONS: [Condition; 8] = [
    Condition {
        name: faults::LATENCY,
        parameters: &[("ms", SLOW_MS)],
        rows: "each SERVER span of user-service has `o11y_lab.fault` and takes 50 ms or more; everything else as ever",
        change: |shape, _| {
            slow(shape, faults::LATENCY, |span| span.service == USER && span.kind == SpanKind::Server)
        },
    },
    Condition {
        name: faults::ERROR,
        parameters: &[("status", 500)],
        rows: "what reaches order-service ends there with 500 and nothing below it, and is answered 502; `request failed` in both, `gateway_errors_total`, no order, no notification",
        change: |shape, _| fails_at_orders(shape),
    },
    Condition {
        name: faults::SLOW_DB,
        parameters: &[("ms", SLOW_MS)],
        rows: "each span of order-service's database has `o11y_lab.fault` and takes 50 ms or more; everything else as ever",
        change: |shape, _| {
            slow(shape, faults::SLOW_DB, |span| {
                span.service == ORDER && span.attributes.contains(&"db.query.text")
            });
        },
    },
    Condition {
        name: faults::CONSUMER_STALL,
        parameters: &[],
        rows: "traces end at `send notifications`; every message waits, none is notified",
        change: |shape, _| consumed(shape, Vec::new(), false),
    },
    Condition {
        name: faults::HANDLER_ERROR,
        parameters: &[],
        rows: "one red CONSUMER span for each attempt (`QUEUE_MAX_ATTEMPTS`), with its number; retried, then a dead letter; none is notified",
        change: |shape, attempts| {
            let failed = ExpectedSpan {
                failure: Some("handler_error"),
                fault: Some(faults::HANDLER_ERROR),
                ..PROCESS
            };
            consumed(
                shape,
                (1..=attempts).map(|attempt| ExpectedSpan { attempt, ..failed }).collect(),
                false,
            );
        },
    },
    Condition {
        name: faults::POISON,
        parameters: &[],
        rows: "one red CONSUMER span, `error.type` `poison_message`; a dead letter at once; none is notified",
        change: |shape, _| {
            let failed =
                ExpectedSpan { failure: Some("poison_message"), fault: Some(faults::POISON), ..PROCESS };
            consumed(shape, vec![failed], false);
        },
    },
    Condition {
        name: faults::DROP_CONTEXT,
        parameters: &[],
        rows: "`send notifications` has `o11y_lab.fault`; the consumer's spans are a trace of their own, not linked either; counters as ever",
        change: |shape, _| {
            consumed(shape, vec![ExpectedSpan { detached: true, ..PROCESS }, EMAIL], true);
            for span in shape.spans.to_mut().iter_mut().filter(|span| span.kind == SpanKind::Producer) {
                span.fault = Some(faults::DROP_CONTEXT);
            }
        },
    },
    Condition { name: NO_VALIDATOR, parameters: &[], rows: "", change: |shape, _| unvalidated(shape) },
];

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

fn slow(shape: &mut Shape, fault: &'static str, hit: impl Fn(&ExpectedSpan) -> bool) {
    for span in shape.spans.to_mut().iter_mut().filter(|span| hit(span)) {
        (span.fault, span.at_least_ms) = (Some(fault), SLOW_MS);
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
    (shape.status, shape.notification) = (502, None);
    shape.lines = Cow::Borrowed(&[]);
    shape.counts = Cow::Borrowed(&[]);
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
