//! The kinds of requests whose traces, lines and counts are known beforehand.

use std::borrow::Cow;

use super::{
    EMAIL, ExpectedSpan, GATEWAY, INVOCATION, ORDER, ORDER_TRACE, PROCESS, SEND, USER, VALIDATION, client,
    database, server,
};
use crate::schema::names;

/// What a request is about: it says which path and body it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A new user.
    NewUser,
    /// A user whose name and email are invalid.
    BadUser,
    /// A new order of a user that exists.
    NewOrder,
    /// An order that breaks the validator's rules.
    BadOrder,
    /// An order of a user that nobody has.
    OrphanOrder,
    /// A verdict on a valid order, and nothing stored.
    Verdict,
    /// An order that exists.
    OneOrder,
    /// An order that nobody has.
    NoOrder,
    /// A user that exists.
    OneUser,
    /// A user that nobody has.
    NoUser,
    /// A page of users.
    Users,
    /// A page of orders.
    Orders,
    /// The first and last change of an order's status; each order has one at most.
    Complete,
    /// The root path.
    Root,
    /// A path that no route has.
    Stray,
}

/// A counter that grows by one: its service, its name on `/metrics`, its label.
pub type Growth = (&'static str, &'static str, Option<(&'static str, &'static str)>);

/// One kind of request: what is sent, how it is answered, and what it leaves behind.
#[derive(Clone, Debug)]
pub struct Shape {
    /// One word, as reports name it.
    pub name: &'static str,
    /// The method and the route template at the gateway; the route of a stray is `other`.
    pub route: &'static str,
    /// What is sent.
    pub subject: Subject,
    /// The status of the answer.
    pub status: u16,
    /// The spans of its trace, and no others.
    pub spans: Cow<'static, [ExpectedSpan]>,
    /// Log lines beside those that every SERVER span has: service, message, and the span they are written in.
    pub lines: Cow<'static, [(&'static str, &'static str, &'static str)]>,
    /// Counters that grow, beside those that spans tell.
    pub counts: Cow<'static, [Growth]>,
    /// The `type` of the notification it causes.
    pub notification: Option<&'static str>,
}

impl Shape {
    /// The row of a subject.
    pub fn of(subject: Subject) -> &'static Self {
        // Held by a test: each subject has a row.
        SHAPES.iter().find(|shape| shape.subject == subject).unwrap_or(&SHAPES[0])
    }

    /// Whether one of its spans is of this kind.
    pub fn has(&self, kind: super::SpanKind) -> bool {
        self.spans.iter().any(|span| span.kind == kind)
    }
}

/// Every kind of request that is sent on purpose.
pub static SHAPES: [Shape; 15] = [
    leaving(
        More {
            lines: &[
                (ORDER, "Order created", "POST /orders"),
                ("notification-service", "Notification sent", "send email"),
            ],
            counts: &[
                (ORDER, names::ORDERS_CREATED, None),
                (ORDER, names::ORDERS_BY_STATUS, Some(("status", "pending"))),
                (ORDER, "order_value_count", None),
            ],
            notification: Some("order_created"),
        },
        "order",
        "POST /api/orders",
        Subject::NewOrder,
        201,
        ORDER_TRACE,
    ),
    shape(
        "refused-order",
        "POST /api/orders",
        Subject::BadOrder,
        400,
        &[server(0, "POST /api/orders", GATEWAY, 400), INVOCATION, VALIDATION],
    ),
    leaving(
        More { counts: &[(ORDER, names::ORDERS_ERRORS, Some(("reason", "user_not_found")))], ..More::NONE },
        "order-of-nobody",
        "POST /api/orders",
        Subject::OrphanOrder,
        404,
        &[
            server(0, "POST /api/orders", GATEWAY, 404),
            INVOCATION,
            VALIDATION,
            client(1, "POST /orders", GATEWAY, 404),
            server(2, "POST /orders", ORDER, 404),
            client(3, "GET /users/{id}", ORDER, 404),
            server(4, "GET /users/{id}", USER, 404),
            database(5, "SELECT users", USER),
        ],
    ),
    shape(
        "verdict",
        "POST /api/orders/validate",
        Subject::Verdict,
        200,
        &[server(0, "POST /api/orders/validate", GATEWAY, 200), INVOCATION, VALIDATION],
    ),
    shape(
        "order-read",
        "GET /api/orders/{id}",
        Subject::OneOrder,
        200,
        &[
            server(0, "GET /api/orders/{id}", GATEWAY, 200),
            client(1, "GET /orders/{id}", GATEWAY, 200),
            server(2, "GET /orders/{id}", ORDER, 200),
            database(3, "SELECT orders", ORDER),
            client(3, "GET /users/{id}", ORDER, 200),
            server(4, "GET /users/{id}", USER, 200),
            database(5, "SELECT users", USER),
        ],
    ),
    shape(
        "order-not-found",
        "GET /api/orders/{id}",
        Subject::NoOrder,
        404,
        &[
            server(0, "GET /api/orders/{id}", GATEWAY, 404),
            client(1, "GET /orders/{id}", GATEWAY, 404),
            server(2, "GET /orders/{id}", ORDER, 404),
            database(3, "SELECT orders", ORDER),
        ],
    ),
    shape(
        "orders",
        "GET /api/orders",
        Subject::Orders,
        200,
        &[
            server(0, "GET /api/orders", GATEWAY, 200),
            client(1, "GET /orders", GATEWAY, 200),
            server(2, "GET /orders", ORDER, 200),
            database(3, "SELECT orders", ORDER),
        ],
    ),
    leaving(
        More {
            lines: &[
                (ORDER, "Order status changed", "PATCH /orders/{id}/status"),
                ("notification-service", "Notification sent", "send email"),
            ],
            counts: &[(ORDER, names::ORDERS_BY_STATUS, Some(("status", "completed")))],
            notification: Some("order_status_changed"),
        },
        "order-completed",
        "PATCH /api/orders/{id}/status",
        Subject::Complete,
        200,
        &[
            server(0, "PATCH /api/orders/{id}/status", GATEWAY, 200),
            client(1, "PATCH /orders/{id}/status", GATEWAY, 200),
            server(2, "PATCH /orders/{id}/status", ORDER, 200),
            database(3, "UPDATE orders", ORDER),
            SEND,
            PROCESS,
            EMAIL,
        ],
    ),
    leaving(
        More {
            lines: &[(USER, "User created", "POST /users")],
            counts: &[(USER, names::USERS_CREATED, None)],
            ..More::NONE
        },
        "user",
        "POST /api/users",
        Subject::NewUser,
        201,
        &[
            server(0, "POST /api/users", GATEWAY, 201),
            client(1, "POST /users", GATEWAY, 201),
            server(2, "POST /users", USER, 201),
            database(3, "INSERT users", USER),
        ],
    ),
    shape(
        "refused-user",
        "POST /api/users",
        Subject::BadUser,
        400,
        &[
            server(0, "POST /api/users", GATEWAY, 400),
            client(1, "POST /users", GATEWAY, 400),
            server(2, "POST /users", USER, 400),
        ],
    ),
    shape(
        "user-read",
        "GET /api/users/{id}",
        Subject::OneUser,
        200,
        &[
            server(0, "GET /api/users/{id}", GATEWAY, 200),
            client(1, "GET /users/{id}", GATEWAY, 200),
            server(2, "GET /users/{id}", USER, 200),
            database(3, "SELECT users", USER),
        ],
    ),
    shape(
        "user-not-found",
        "GET /api/users/{id}",
        Subject::NoUser,
        404,
        &[
            server(0, "GET /api/users/{id}", GATEWAY, 404),
            client(1, "GET /users/{id}", GATEWAY, 404),
            server(2, "GET /users/{id}", USER, 404),
            database(3, "SELECT users", USER),
        ],
    ),
    shape(
        "users",
        "GET /api/users",
        Subject::Users,
        200,
        &[
            server(0, "GET /api/users", GATEWAY, 200),
            client(1, "GET /users", GATEWAY, 200),
            server(2, "GET /users", USER, 200),
            database(3, "SELECT users", USER),
        ],
    ),
    shape("root", "GET /", Subject::Root, 200, &[server(0, "GET /", GATEWAY, 200)]),
    shape("stray", "GET other", Subject::Stray, 404, STRAY),
];

/// A request that no route takes has the method alone as its name, as the HTTP conventions ask.
const STRAY: &[ExpectedSpan] = &[super::span(
    0,
    "GET",
    GATEWAY,
    super::SpanKind::Server,
    &["http.request.method", "http.response.status_code", "url.path", "url.scheme", "server.address"],
)
.answers(404)];

const fn shape(
    name: &'static str,
    route: &'static str,
    subject: Subject,
    status: u16,
    spans: &'static [ExpectedSpan],
) -> Shape {
    leaving(More::NONE, name, route, subject, status, spans)
}

/// What a request leaves beside its spans and what follows from them.
struct More {
    lines: &'static [(&'static str, &'static str, &'static str)],
    counts: &'static [Growth],
    notification: Option<&'static str>,
}

impl More {
    const NONE: Self = Self { lines: &[], counts: &[], notification: None };
}

const fn leaving(
    more: More,
    name: &'static str,
    route: &'static str,
    subject: Subject,
    status: u16,
    spans: &'static [ExpectedSpan],
) -> Shape {
    Shape {
        name,
        route,
        subject,
        status,
        spans: Cow::Borrowed(spans),
        lines: Cow::Borrowed(more.lines),
        counts: Cow::Borrowed(more.counts),
        notification: more.notification,
    }
}
