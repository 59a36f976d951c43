//! What follows from a request's spans: its log lines, and by how much which series grow.

use super::super::backend::count::CountKey;
use super::{ExpectedSpan, LAMBDA, Shape, SpanKind, parent_of};
use crate::api::lambda::INVOKE_PATH;
use crate::schema::{OTHER_ROUTE, names};

/// A log line that a request leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExpectedLine {
    /// The service that writes it.
    pub service: &'static str,
    /// Its message.
    pub message: &'static str,
    /// The span it is written in, by its place in the shape's table.
    pub span: usize,
}

impl Shape {
    /// Every log line that a request of this kind leaves, in the order of the spans.
    pub fn expected_lines(&self) -> Vec<ExpectedLine> {
        let mut lines = Vec::new();
        for (place, span) in self.spans.iter().enumerate() {
            if span.kind == SpanKind::Server {
                let message = match span.http_status {
                    _ if span.service == LAMBDA => "Order validated",
                    500.. => "request failed",
                    _ => "request served",
                };
                lines.push(ExpectedLine { service: span.service, message, span: place });
            }
            if span.failure.is_some() && span.kind == SpanKind::Consumer {
                let message = match self.is_retried(place) {
                    true => "Message failed and will be retried",
                    false => "Message goes to the dead letters",
                };
                lines.push(ExpectedLine { service: span.service, message, span: place });
            }
            let own = self.lines.iter().filter(|(service, _, name)| {
                // A CLIENT span may have the same name as the SERVER span below it.
                (*service, *name) == (span.service, span.name) && span.kind != SpanKind::Client
            });
            lines.extend(own.map(|(service, message, _)| ExpectedLine { service, message, span: place }));
        }
        lines
    }

    /// Whether another attempt follows.
    fn is_retried(&self, place: usize) -> bool {
        self.spans[place + 1..].iter().any(|later| later.kind == SpanKind::Consumer)
    }

    /// Every counter, and every count of a histogram, that a request of this kind makes grow by one.
    pub fn expected_counts(&self) -> Vec<CountKey> {
        let mut counts: Vec<_> = self
            .counts
            .iter()
            .map(|(service, metric, label)| key(service, metric, label.as_slice()))
            .collect();
        let endpoint = self.route.split_once(' ').map_or(self.route, |(_, path)| path);
        counts.push(key(super::GATEWAY, names::GATEWAY_REQUESTS, &[("endpoint", endpoint)]));
        if self.status >= 500 {
            counts.push(key(super::GATEWAY, names::GATEWAY_ERRORS, &[("endpoint", endpoint)]));
        }
        for (place, span) in self.spans.iter().enumerate() {
            counts.extend(self.of_span(place, span));
        }
        counts
    }

    /// The series in whose histogram the latency of a SERVER span is. Not of the function's: its request is one to the
    /// Invoke API, which takes longer.
    pub fn latency_key(&self, place: usize) -> Option<CountKey> {
        let span =
            self.spans.get(place).filter(|span| span.kind == SpanKind::Server && span.service != LAMBDA)?;
        self.of_span(place, span).pop()
    }

    fn of_span(&self, place: usize, span: &ExpectedSpan) -> Vec<CountKey> {
        let of = |metric: &str, labels: &[(&str, &str)]| key(span.service, metric, labels);
        match span.kind {
            SpanKind::Server => {
                // The function's span stands for a request to the Invoke API, which local callers use.
                let invoked = (span.service == LAMBDA).then_some(("POST", INVOKE_PATH));
                let (method, route) = invoked.or(span.http()).unwrap_or((span.name, OTHER_ROUTE));
                let status = span.http_status.to_string();
                let labels = [
                    ("http_request_method", method),
                    ("http_route", route),
                    ("http_response_status_code", status.as_str()),
                ];
                vec![of(&format!("{}_count", names::HTTP_SERVER_DURATION), &labels)]
            }
            SpanKind::Client if span.failure.is_some() => {
                let outcome = span.failure.unwrap_or_default();
                let labels = [("peer_service", LAMBDA), ("outcome", outcome)];
                vec![of(&format!("{}_count", names::HTTP_CLIENT_DURATION), &labels)]
            }
            SpanKind::Client => {
                let callee = self.spans.iter().enumerate();
                let mut callee = callee.filter(|(row, _)| parent_of(&self.spans, *row) == Some(place));
                let Some((_, callee)) = callee.next() else { return Vec::new() };
                // The invocation is answered with 200 whatever the function says.
                let outcome = format!("{}xx", span.http_status.max(200) / 100);
                let labels = [("peer_service", callee.service), ("outcome", outcome.as_str())];
                vec![of(&format!("{}_count", names::HTTP_CLIENT_DURATION), &labels)]
            }
            SpanKind::Producer => vec![of(names::QUEUE_PUBLISHED, &[])],
            SpanKind::Consumer => {
                let status = match span.failure {
                    None => "success",
                    Some(_) if self.is_retried(place) => "retried",
                    Some(_) => "dead",
                };
                let mut counts = vec![
                    of(names::QUEUE_PROCESSED, &[("status", status)]),
                    of(&format!("{}_count", names::NOTIFICATION_DURATION), &[]),
                ];
                counts.extend(span.failure.map(|_| of(names::NOTIFICATIONS_FAILED, &[])));
                counts
            }
            SpanKind::Internal => {
                let label = self.notification.map(|kind| ("type", kind));
                vec![of(names::NOTIFICATIONS_SENT, label.as_slice())]
            }
            _ => Vec::new(),
        }
    }
}

fn key(service: &str, metric: &str, labels: &[(&str, &str)]) -> CountKey {
    let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    CountKey { service: service.to_owned(), metric: metric.to_owned(), labels }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::{SHAPES, Subject};
    use super::*;
    use crate::schema::{METRICS, MetricKind};

    #[test]
    fn every_shape_has_a_name_and_a_subject_of_its_own_and_one_root() {
        let names: BTreeSet<_> = SHAPES.iter().map(|shape| shape.name).collect();
        assert_eq!(names.len(), SHAPES.len());
        for shape in &SHAPES {
            assert_eq!(Shape::of(shape.subject).name, shape.name);
            assert_eq!(shape.spans.iter().filter(|span| span.depth == 0).count(), 1, "{}", shape.name);
            assert_eq!(shape.spans[0].http_status, shape.status, "{}", shape.name);
        }
    }

    #[test]
    fn every_series_that_a_shape_counts_is_one_of_the_schema() {
        for key in SHAPES.iter().flat_map(Shape::expected_counts) {
            let name = key.metric.strip_suffix("_count").unwrap_or(&key.metric);
            let metric = METRICS.iter().find(|metric| metric.name == name);
            let metric = metric.unwrap_or_else(|| panic!("{key:?}"));
            assert_eq!(matches!(metric.kind, MetricKind::Histogram(_)), key.metric.ends_with("_count"));
            let labels: BTreeSet<_> = metric.labels.iter().map(|label| label.key).collect();
            assert_eq!(labels, key.labels.keys().map(String::as_str).collect(), "{key:?}");
            for label in metric.labels.iter().filter(|label| !label.values.is_empty()) {
                assert!(label.values.contains(&key.labels[label.key].as_str()), "{key:?}");
            }
        }
    }

    #[test]
    fn an_order_leaves_six_lines_each_in_its_span() {
        let order = Shape::of(Subject::NewOrder);
        let lines = order.expected_lines();
        let lines: Vec<_> = lines.iter().map(|line| (line.message, order.spans[line.span].name)).collect();
        assert_eq!(
            lines,
            [
                ("request served", "POST /api/orders"),
                ("Order validated", "order-validator"),
                ("request served", "POST /orders"),
                ("Order created", "POST /orders"),
                ("request served", "GET /users/{id}"),
                ("Notification sent", "send email"),
            ]
        );
    }
}
