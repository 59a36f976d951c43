//! Ground truth as data: what each kind of request leaves in the backends, its spans first of all.
//!
//! The README's diagram, the tests and every command that judges a backend read these tables: the spans of
//! an order here, the other kinds of requests, with lines and counts, in [`shapes`].

mod conditions;
mod derive;
mod shapes;

pub use super::backend::trace::SpanKind;
use super::backend::trace::SpanStatus;
pub use conditions::{CONDITIONS, Condition, NO_VALIDATOR};
pub use derive::ExpectedLine;
pub use shapes::{Growth, SHAPES, Shape, Subject};

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
    /// `http.response.status_code`; 0 where it has none.
    pub http_status: u16,
    /// Its `error.type` where it fails otherwise than with a status.
    pub failure: Option<&'static str>,
    /// The fault that hits it: `o11y_lab.fault`.
    pub fault: Option<&'static str>,
    /// The least it takes, in milliseconds.
    pub at_least_ms: u64,
    /// Of a CONSUMER span: which attempt it is.
    pub attempt: u32,
    /// Neither a child of the row above nor linked to it: its context was lost.
    pub detached: bool,
    /// Says that the order was passed on without a verdict.
    pub unvalidated: bool,
}

impl ExpectedSpan {
    const fn answers(mut self, http_status: u16) -> Self {
        self.http_status = http_status;
        self
    }

    /// Its status: a client's 4xx is an error, a server's is not.
    pub fn status(&self) -> SpanStatus {
        let from = if self.kind == SpanKind::Client { 400 } else { 500 };
        if self.failure.is_some() || self.http_status >= from { SpanStatus::Error } else { SpanStatus::Unset }
    }

    /// Its name where the queue has that name: those of a message's spans end with it.
    pub fn name_on(&self, queue: &str) -> String {
        match (self.kind, self.name.split_once(' ')) {
            (SpanKind::Producer | SpanKind::Consumer, Some((operation, _))) => format!("{operation} {queue}"),
            _ => self.name.to_owned(),
        }
    }

    /// Whether a span has its name.
    pub fn is_named(&self, name: &str, queue: &str) -> bool {
        match (self.kind, self.name.split_once(' ')) {
            (SpanKind::Producer | SpanKind::Consumer, Some((operation, _))) => {
                name.split_once(' ') == Some((operation, queue))
            }
            _ => name == self.name,
        }
    }

    /// The HTTP method and the route template that an HTTP span's name consists of.
    pub fn http(&self) -> Option<(&'static str, &'static str)> {
        let http = self.http_status > 0 && self.attributes.contains(&"http.request.method");
        self.name.split_once(' ').filter(|_| http)
    }
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

const INVOKE: &[&str] = &["faas.invoked_name", "faas.invoked_provider", "faas.invoked_region"];
const FUNCTION: &[&str] = &["faas.trigger", "faas.invocation_id", "faas.coldstart"];
const SEND_EMAIL: &[&str] = &["o11y_lab.notification.type"];

const GATEWAY: &str = "api-gateway";
const USER: &str = "user-service";
const ORDER: &str = "order-service";
const NOTIFY: &str = "notification-service";
const LAMBDA: &str = "order-validator";

/// The trace of `POST /api/orders`: these spans and no others.
pub const ORDER_TRACE: &[ExpectedSpan] = &[
    server(0, "POST /api/orders", GATEWAY, 201),
    INVOCATION,
    VALIDATION,
    client(1, "POST /orders", GATEWAY, 201),
    server(2, "POST /orders", ORDER, 201),
    client(3, "GET /users/{id}", ORDER, 200),
    server(4, "GET /users/{id}", USER, 200),
    database(5, "SELECT users", USER),
    database(3, "INSERT orders", ORDER),
    SEND,
    PROCESS,
    EMAIL,
];

const INVOCATION: ExpectedSpan = span(1, "invoke order-validator", GATEWAY, SpanKind::Client, INVOKE);
const VALIDATION: ExpectedSpan = span(2, "order-validator", LAMBDA, SpanKind::Server, FUNCTION).answers(200);
const SEND: ExpectedSpan = span(3, "send notifications", ORDER, SpanKind::Producer, MESSAGING);
const PROCESS: ExpectedSpan = span(4, "process notifications", NOTIFY, SpanKind::Consumer, MESSAGING);
const EMAIL: ExpectedSpan = span(5, "send email", NOTIFY, SpanKind::Internal, SEND_EMAIL);

/// The root above [`ORDER_TRACE`] where `o11y-lab load` sends the order and exports its spans.
pub const LOAD_SPAN: ExpectedSpan = client(0, "POST /api/orders", "o11y-lab-load", 201);

const fn server(depth: usize, name: &'static str, service: &'static str, status: u16) -> ExpectedSpan {
    span(depth, name, service, SpanKind::Server, HTTP_SERVER).answers(status)
}

const fn client(depth: usize, name: &'static str, service: &'static str, status: u16) -> ExpectedSpan {
    span(depth, name, service, SpanKind::Client, HTTP_CLIENT).answers(status)
}

const fn database(depth: usize, name: &'static str, service: &'static str) -> ExpectedSpan {
    span(depth, name, service, SpanKind::Client, DB)
}

const fn span(
    depth: usize,
    name: &'static str,
    service: &'static str,
    kind: SpanKind,
    attributes: &'static [&'static str],
) -> ExpectedSpan {
    ExpectedSpan {
        depth,
        name,
        service,
        kind,
        attributes,
        http_status: 0,
        failure: None,
        fault: None,
        at_least_ms: 0,
        attempt: 1,
        detached: false,
        unvalidated: false,
    }
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
