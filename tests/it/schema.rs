//! The gateway against its own OpenAPI document.

use o11y_lab::schema::Role;

use crate::helpers::tools::tool;
use crate::helpers::{Lab, get};
use serde_json::json;

#[test]
fn the_gateway_answers_as_its_document_says_and_never_with_a_5xx() {
    let lab = Lab::start();
    // The document's examples order for user 1, whom the document's own example cannot create twice.
    assert_eq!(lab.user(), 1);
    let done = tool("schema.py").args(["--url", &lab.api("")]).output().expect("the tool runs");
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{said}\n{}", String::from_utf8_lossy(&done.stderr));
    // It has reached what the document promises, not only refusals.
    for (role, series) in [(Role::User, "users_created_total"), (Role::Order, "orders_created_total")] {
        assert!(lab.metric(role, series).is_some_and(|created| created > 1.0), "{series}: {said}");
    }
}

#[test]
fn a_key_used_for_another_order_is_a_documented_conflict() {
    let lab = Lab::shared();
    let order = |total: f64| json!({"userId": lab.user(), "items": ["book"], "total": total}).to_string();
    let send = |body: &str| {
        let headers = [("content-type", "application/json"), ("idempotency-key", "schema-conflict")];
        crate::helpers::send("POST", &lab.api("/api/orders"), &headers, Some(body.as_bytes()))
    };
    let first = order(1.0);
    assert_eq!((send(&first).status, send(&first).status), (201, 201));
    assert_eq!(send(&order(2.0)).status, 409);
    let document = get(&lab.api("/openapi.json")).json;
    let operation = &document["paths"]["/api/orders"]["post"];
    assert!(operation["responses"]["409"].is_object());
    assert_eq!(operation["parameters"][0]["$ref"], "#/components/parameters/idempotencyKey");
}

#[test]
fn a_wrong_method_on_an_operational_path_is_405_with_the_method_it_takes() {
    let lab = Lab::shared();
    for role in [Role::Gateway, Role::User, Role::Order, Role::Notify, Role::Lambda] {
        for path in ["/health", "/ready", "/metrics"] {
            let answer = crate::helpers::send("DELETE", &lab.url(role, path), &[], None);
            assert_eq!((answer.status, answer.header("allow")), (405, "GET"), "{role} {path}");
        }
    }
}
