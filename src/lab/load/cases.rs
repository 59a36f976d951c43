//! The tables: each kind of request, its share of the draws, and what it must be answered.

use super::draw::{Draw, LoadCase};
use super::fixtures::{CREATE_ORDER, Fixtures, new_user};

/// Longer than the 64 KiB that a service reads.
const OVERSIZE: usize = 70 * 1024;
/// An id that no row will have.
const NOBODY: &str = "9000000000000000";

const fn get(
    route: &'static str,
    what: &'static str,
    expect: &'static [u16],
    weight: u32,
    path: fn(&Draw, &Fixtures) -> String,
) -> LoadCase {
    LoadCase { route, what, expect, weight, path, body: |_, _| String::new() }
}

/// Reads.
pub(super) const BROWSE: &[LoadCase] = &[
    get("GET /", "", &[200], 5, |_, _| "/".into()),
    get("GET /api/users", "", &[200], 15, |_, _| "/api/users?limit=20".into()),
    get("GET /api/users/{id}", "", &[200], 25, |d, f| format!("/api/users/{}", f.user(d.user))),
    get("GET /api/orders", "", &[200], 20, |_, _| "/api/orders?limit=20".into()),
    get("GET /api/orders/{id}", "", &[200], 35, |d, f| format!("/api/orders/{}", f.order(d.order))),
];

/// Writes, and reads of what was written.
pub(super) const CHECKOUT: &[LoadCase] = &[
    LoadCase {
        route: "POST /api/users",
        what: "",
        expect: &[201],
        weight: 10,
        path: |_, _| "/api/users".into(),
        body: |d, f| new_user(&format!("{}-{}", f.run(), d.number)),
    },
    LoadCase {
        route: "POST /api/orders/validate",
        what: "",
        expect: &[200],
        weight: 15,
        path: |_, _| "/api/orders/validate".into(),
        body: Draw::sound_order,
    },
    LoadCase {
        route: CREATE_ORDER,
        what: "",
        expect: &[201],
        weight: 50,
        path: orders,
        body: Draw::sound_order,
    },
    get("GET /api/orders/{id}", "", &[200], 15, |d, f| format!("/api/orders/{}", f.order(d.order))),
    LoadCase {
        route: "PATCH /api/orders/{id}/status",
        what: "",
        // The second change of an order is refused, and which is the second depends on the answers.
        expect: &[200, 409],
        weight: 10,
        path: |d, f| format!("/api/orders/{}/status", f.order(d.order)),
        body: |_, _| r#"{"status":"completed"}"#.into(),
    },
];

/// What must be refused.
pub(super) const ERRORS: &[LoadCase] = &[
    bad_order("an order without items", &[400], |d, f| d.order_with(f.user(d.user), "[]", &d.total())),
    bad_order("a negative total", &[400], |d, f| d.order_with(f.user(d.user), &d.items(), "-5")),
    bad_order("a userId that is text", &[400], |d, _| d.order_with("\"1\"", &d.items(), &d.total())),
    bad_order("an unknown user", &[404], |d, _| d.order_with(NOBODY, &d.items(), &d.total())),
    bad_order("malformed JSON", &[400], |_, _| r#"{"userId":"#.into()),
    LoadCase {
        route: "POST /api/users",
        what: "an address that is none",
        expect: &[400],
        weight: 10,
        path: |_, _| "/api/users".into(),
        body: |_, _| r#"{"name":"Nobody","email":"nowhere"}"#.into(),
    },
    LoadCase {
        route: "POST /api/users",
        what: "a body over 64 KiB",
        expect: &[413],
        weight: 10,
        path: |_, _| "/api/users".into(),
        body: |_, _| format!(r#"{{"name":"{}"}}"#, "x".repeat(OVERSIZE)),
    },
    LoadCase {
        route: "PATCH /api/orders/{id}/status",
        what: "an unknown status",
        expect: &[400],
        weight: 10,
        path: |d, f| format!("/api/orders/{}/status", f.order(d.order)),
        body: |_, _| r#"{"status":"lost"}"#.into(),
    },
    get("GET /api/users", "a limit of 0", &[400], 10, |_, _| "/api/users?limit=0".into()),
    get("GET /api/users/{id}", "an unknown user", &[404], 10, |_, _| format!("/api/users/{NOBODY}")),
    get("GET /api/orders/{id}", "an unknown order", &[404], 10, |_, _| format!("/api/orders/{NOBODY}")),
    get("GET (unknown route)", "", &[404], 10, |_, _| "/api/nothing/here".into()),
];

const fn bad_order(
    what: &'static str,
    expect: &'static [u16],
    body: fn(&Draw, &Fixtures) -> String,
) -> LoadCase {
    LoadCase { route: CREATE_ORDER, what, expect, weight: 10, path: orders, body }
}

fn orders(_: &Draw, _: &Fixtures) -> String {
    "/api/orders".into()
}
