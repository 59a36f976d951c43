//! Ground truth as data: the spans of one order's trace in a backend.
//!
//! The README's diagram, the tests and every command that judges a backend read this one table.

pub use super::backend::trace::SpanKind;

/// One span of the joined trace.
#[derive(Clone, Copy, Debug)]
pub struct ExpectedSpan {
    /// Depth in the tree; the parent is the nearest row above with a smaller depth.
    pub depth: usize,
    /// The span's name.
    pub name: &'static str,
    /// `service.name` of its resource.
    pub service: &'static str,
    /// Its kind.
    pub kind: SpanKind,
    /// Attributes that must be there, with any value.
    pub attributes: &'static [&'static str],
}

const HTTP_SERVER: &[&str] = &[
    "http.request.method",
    "http.route",
    "http.response.status_code",
    "url.path",
    "url.scheme",
    "server.address",
    "network.protocol.version",
];
const HTTP_CLIENT: &[&str] = &[
    "http.request.method",
    "http.response.status_code",
    "url.full",
    "url.template",
    "server.address",
    "server.port",
];
const DB: &[&str] = &[
    "db.system.name",
    "db.namespace",
    "db.collection.name",
    "db.operation.name",
    "db.query.text",
    "db.query.summary",
];
const MESSAGING: &[&str] = &[
    "messaging.system",
    "messaging.operation.name",
    "messaging.operation.type",
    "messaging.destination.name",
    "messaging.message.id",
];

/// The trace of `POST /api/orders`: these spans and no others.
pub const ORDER_TRACE: &[ExpectedSpan] = &[
    span(0, "POST /api/orders", "api-gateway", SpanKind::Server, HTTP_SERVER),
    span(
        1,
        "invoke order-validator",
        "api-gateway",
        SpanKind::Client,
        &["faas.invoked_name", "faas.invoked_provider", "faas.invoked_region"],
    ),
    span(
        2,
        "order-validator",
        "order-validator",
        SpanKind::Server,
        &["faas.trigger", "faas.invocation_id", "faas.coldstart"],
    ),
    span(1, "POST /orders", "api-gateway", SpanKind::Client, HTTP_CLIENT),
    span(2, "POST /orders", "order-service", SpanKind::Server, HTTP_SERVER),
    span(3, "GET /users/{id}", "order-service", SpanKind::Client, HTTP_CLIENT),
    span(4, "GET /users/{id}", "user-service", SpanKind::Server, HTTP_SERVER),
    span(5, "SELECT users", "user-service", SpanKind::Client, DB),
    span(3, "INSERT orders", "order-service", SpanKind::Client, DB),
    span(3, "send notifications", "order-service", SpanKind::Producer, MESSAGING),
    span(4, "process notifications", "notification-service", SpanKind::Consumer, MESSAGING),
    span(5, "send email", "notification-service", SpanKind::Internal, &[]),
];

/// The root above [`ORDER_TRACE`] where `o11y-lab load` sends the order and exports its spans.
pub const LOAD_SPAN: ExpectedSpan =
    span(0, "POST /api/orders", "o11y-lab-load", SpanKind::Client, HTTP_CLIENT);

const fn span(
    depth: usize,
    name: &'static str,
    service: &'static str,
    kind: SpanKind,
    attributes: &'static [&'static str],
) -> ExpectedSpan {
    ExpectedSpan { depth, name, service, kind, attributes }
}

/// The place of a row's parent in the table.
pub fn parent_of(table: &[ExpectedSpan], row: usize) -> Option<usize> {
    let depth = table.get(row)?.depth;
    (0..row).rev().find(|above| table[*above].depth < depth)
}

/// The table as the README draws it.
pub fn diagram(table: &[ExpectedSpan]) -> String {
    let last_child = |row: usize| {
        let rest = &table[row + 1..];
        rest.iter().take_while(|e| e.depth >= table[row].depth).all(|e| e.depth > table[row].depth)
    };
    let mut text = String::new();
    for (row, expected) in table.iter().enumerate() {
        let mut prefix = String::new();
        for depth in 1..expected.depth {
            let ancestor = (0..row).rev().find(|above| table[*above].depth == depth);
            prefix.push_str(if ancestor.is_some_and(last_child) { "   " } else { "│  " });
        }
        if expected.depth > 0 {
            prefix.push_str(if last_child(row) { "└─ " } else { "├─ " });
        }
        let name = format!("{prefix}{}", expected.name);
        text.push_str(format!("{name:<42} {:<21} {}", expected.service, expected.kind.as_str()).trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_are_the_nearest_rows_above_that_are_less_deep() {
        let name = |row: usize| parent_of(ORDER_TRACE, row).map(|p| ORDER_TRACE[p].name);
        assert_eq!(name(0), None);
        assert_eq!(name(3), Some("POST /api/orders"));
        assert_eq!(name(9), Some("POST /orders"));
        assert_eq!(name(11), Some("process notifications"));
        assert!(diagram(ORDER_TRACE).contains("\n      └─ send notifications"));
    }
}
