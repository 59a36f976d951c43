//! The whole HTTP API at the gateway, with good and bad input.

use o11y_lab::schema::Role;
use serde_json::{Value, json};

use crate::helpers::http::patch;
use crate::helpers::{Answer, Lab, get, post, send};

#[track_caller]
fn assert_problem(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/problem+json", "{answer:?}");
    assert_eq!(answer.json["status"], status);
    assert_eq!(answer.json["error"], answer.json["detail"]);
    assert!(answer.json["title"].is_string() && answer.json["type"].is_string(), "{answer:?}");
    assert_eq!(answer.json["traceId"], answer.trace_id(), "{answer:?}");
}

#[test]
fn the_index_names_service_version_and_endpoints() {
    let answer = get(&Lab::shared().api("/"));
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json["service"], "api-gateway");
    assert_eq!(answer.json["version"], env!("CARGO_PKG_VERSION"));
    assert!(answer.json["endpoints"].as_array().unwrap().contains(&json!("POST /api/orders")));
}

#[test]
fn a_user_is_created_listed_and_read() {
    let lab = Lab::shared();
    let email = format!("{}@example.com", uuid::Uuid::now_v7());
    let created = post(&lab.api("/api/users"), &json!({"name": " Grace ", "email": email}));
    assert_eq!(created.status, 201, "{created:?}");
    let id = created.id();
    assert_eq!(created.header("location"), format!("/api/users/{id}"));
    assert_eq!(created.json["name"], "Grace");
    assert_eq!(created.json["email"], email);
    assert!(created.json["createdAt"].as_str().unwrap().ends_with('Z'));
    let read = get(&lab.api(created.header("location")));
    assert_eq!((read.status, &read.json), (200, &created.json));
    let page = get(&lab.api(&format!("/api/users?limit=1&after={}", id - 1)));
    assert_eq!(page.json["users"], json!([created.json]));
    assert_eq!(page.json["count"], 1);
}

#[test]
fn an_email_is_taken_once_whatever_its_case() {
    let lab = Lab::shared();
    let email = format!("{}@example.com", uuid::Uuid::now_v7());
    assert_eq!(post(&lab.api("/api/users"), &json!({"name": "a", "email": email})).status, 201);
    assert_problem(&post(&lab.api("/api/users"), &json!({"name": "b", "email": email})), 409);
    assert_problem(&post(&lab.api("/api/users"), &json!({"name": "b", "email": email.to_uppercase()})), 409);
}

#[test]
fn invalid_users_are_refused_with_every_reason() {
    let lab = Lab::shared();
    let cases = [
        json!({}),
        json!([]),
        json!(null),
        json!({"name": "a"}),
        json!({"name": "", "email": "a@b.co"}),
        json!({"name": "x".repeat(201), "email": "a@b.co"}),
        json!({"name": 3, "email": "a@b.co"}),
        json!({"name": "a", "email": "not an address"}),
    ];
    for body in cases {
        let answer = post(&lab.api("/api/users"), &body);
        assert_problem(&answer, 400);
        assert!(!answer.json["errors"].as_array().unwrap().is_empty(), "{answer:?}");
    }
}

#[test]
fn an_order_is_created_listed_and_read_with_its_user() {
    let lab = Lab::shared();
    let user = lab.user();
    let created = lab.order(user);
    let id = created.id();
    assert_eq!(created.header("location"), format!("/api/orders/{id}"));
    assert_eq!(created.json["total"], 49.99);
    assert_eq!(created.json["status"], "pending");
    assert_eq!(created.json["items"], json!(["book"]));
    let read = get(&lab.api(&format!("/api/orders/{id}")));
    assert_eq!(read.status, 200);
    assert_eq!(read.json["user"]["id"], user);
    let page = get(&lab.api(&format!("/api/orders?limit=1&after={}", id - 1)));
    assert_eq!(page.json["orders"], json!([created.json]));
}

#[test]
fn pages_follow_each_other_without_gaps_and_end() {
    let lab = Lab::shared();
    let user = lab.user();
    let first = lab.order(user).id();
    let ids: Vec<_> = (0..4).map(|_| lab.order(user).id()).collect();
    let mut seen = Vec::new();
    let mut after = json!(first);
    while !after.is_null() {
        let page = get(&lab.api(&format!("/api/orders?limit=2&after={after}")));
        assert_eq!(page.status, 200, "{page:?}");
        let rows = page.json["orders"].as_array().unwrap();
        assert!(rows.len() <= 2);
        seen.extend(rows.iter().map(|row| row["id"].as_i64().unwrap()));
        after = page.json["next"].clone();
    }
    assert!(ids.iter().all(|id| seen.contains(id)), "{ids:?} in {seen:?}");
    assert!(seen.windows(2).all(|pair| pair[0] < pair[1]), "{seen:?}");
}

#[test]
fn page_parameters_out_of_range_are_refused() {
    let lab = Lab::shared();
    for query in ["limit=0", "limit=501", "limit=x", "limit=-1", "after=x", "after=-1", "limit=1&after=1e3"] {
        assert_problem(&get(&lab.api(&format!("/api/users?{query}"))), 400);
        assert_problem(&get(&lab.api(&format!("/api/orders?{query}"))), 400);
    }
}

#[test]
fn a_status_changes_once_and_only_along_the_allowed_ways() {
    let lab = Lab::shared();
    let user = lab.user();
    for status in ["completed", "failed", "cancelled"] {
        let id = lab.order(user).id();
        let url = lab.api(&format!("/api/orders/{id}/status"));
        assert_problem(&patch(&url, &json!({"status": "pending"})), 409);
        let changed = patch(&url, &json!({"status": status}));
        assert_eq!((changed.status, &changed.json["status"]), (200, &json!(status)));
        for next in ["pending", "completed", "failed", "cancelled"] {
            assert_problem(&patch(&url, &json!({"status": next})), 409);
        }
    }
    let id = lab.order(user).id();
    for bad in [json!({}), json!({"status": "shipped"}), json!({"status": 1}), json!([])] {
        assert_problem(&patch(&lab.api(&format!("/api/orders/{id}/status")), &bad), 400);
    }
    assert_problem(&patch(&lab.api("/api/orders/999999999/status"), &json!({"status": "failed"})), 404);
}

#[test]
fn the_validator_gives_its_verdict_and_stores_nothing() {
    let lab = Lab::shared();
    let user = lab.user();
    let newest = lab.order(user).id();
    let valid = post(&lab.api("/api/orders/validate"), &json!({"userId": 1, "items": ["a"], "total": 0}));
    assert_eq!(valid.status, 200, "{valid:?}");
    assert_eq!(valid.json["valid"], true);
    assert_eq!(valid.json["warnings"], json!(["total is zero"]));
    assert!(valid.json["requestId"].is_string() && valid.json["timestamp"].is_string());
    let invalid = post(&lab.api("/api/orders/validate"), &json!({"userId": 1, "items": [], "total": -1}));
    assert_eq!((invalid.status, &invalid.json["valid"]), (200, &json!(false)));
    assert_eq!(invalid.json["errors"].as_array().map(Vec::len), Some(2));
    // Other tests may order in between; none of theirs is this user's.
    let orders = get(&lab.api(&format!("/api/orders?limit=500&after={newest}")));
    let mine = |order: &&Value| order["userId"] == user;
    assert_eq!(orders.json["orders"].as_array().unwrap().iter().filter(mine).count(), 0);
}

#[test]
fn trap_22_input_that_an_earlier_lab_accepted_is_refused_with_the_reason() {
    let lab = Lab::shared();
    let user = lab.user();
    let order = |patch: Value| {
        let mut order = json!({"userId": user, "items": ["book"], "total": 1});
        order.as_object_mut().unwrap().extend(patch.as_object().unwrap().clone());
        order
    };
    let cases = [
        (json!({"userId": "../health"}), "userId must be a positive integer"),
        (json!({"userId": "1abc"}), "userId must be a positive integer"),
        (json!({"userId": format!("{user}")}), "userId must be a positive integer"),
        (json!({"items": "book"}), "items must be an array"),
        (json!({"items": []}), "items must not be empty"),
        (json!({"items": [""]}), "each item must be a non-empty string"),
        (json!({"total": -5}), "total must be a non-negative number"),
    ];
    for (change, expected) in cases {
        let answer = post(&lab.api("/api/orders"), &order(change));
        assert_problem(&answer, 400);
        assert!(answer.json["errors"][0].as_str().unwrap().starts_with(expected), "{answer:?}");
    }
    assert_problem(&post(&lab.api("/api/users"), &json!({"name": "no email"})), 400);
}

#[test]
fn trap_22_a_path_id_is_digits_or_nothing() {
    let lab = Lab::shared();
    let user = lab.user();
    let order = lab.order(user).id();
    for id in [
        "1abc",
        "0",
        "-1",
        "+1",
        "abc",
        "1.0",
        "%20",
        "99999999999999999999",
        "..%2Fmetrics",
        "..%2Fhealth",
        "1%00",
    ] {
        let answer = get(&lab.api(&format!("/api/users/{id}")));
        assert_problem(&answer, 404);
        assert!(!answer.text.contains("# TYPE"), "{answer:?}");
    }
    assert_problem(&get(&lab.api(&format!("/api/orders/{order}abc"))), 404);
    assert_problem(&get(&lab.api("/api/orders/999999999")), 404);
}

#[test]
fn trap_22_bodies_that_are_malformed_or_too_large_are_the_clients_error() {
    let lab = Lab::shared();
    let json = [("content-type", "application/json")];
    for path in ["/api/users", "/api/orders", "/api/orders/validate"] {
        let url = lab.api(path);
        for bad in ["{", "", "{\"name\":}", "\u{feff}{}", "nul"] {
            assert_problem(&send("POST", &url, &json, Some(bad.as_bytes())), 400);
        }
        assert_problem(&send("POST", &url, &json, Some(b"\xff\xfe{}")), 400);
        let large = format!("{{\"name\":\"{}\"}}", "x".repeat(200 * 1024));
        assert_problem(&send("POST", &url, &json, Some(large.as_bytes())), 413);
        assert_problem(&send("POST", &url, &[("content-type", "text/plain")], Some(b"{}")), 415);
        assert_problem(&send("POST", &url, &[], Some(b"{}")), 415);
        let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
        assert_problem(&send("POST", &url, &json, Some(deep.as_bytes())), 400);
    }
}

#[test]
fn a_body_of_exactly_64_kib_is_read() {
    let lab = Lab::shared();
    let padding = 64 * 1024 - json!({"pad": ""}).to_string().len();
    let body = json!({"pad": "x".repeat(padding)}).to_string();
    assert_eq!(body.len(), 64 * 1024);
    let json = [("content-type", "application/json")];
    assert_problem(&send("POST", &lab.api("/api/users"), &json, Some(body.as_bytes())), 400);
    assert_problem(&send("POST", &lab.api("/api/users"), &json, Some(format!("{body} ").as_bytes())), 413);
}

#[test]
fn an_unknown_user_cannot_order() {
    let lab = Lab::shared();
    let answer = post(&lab.api("/api/orders"), &json!({"userId": 999_999_999, "items": ["a"], "total": 1}));
    assert_problem(&answer, 404);
}

#[test]
fn unknown_paths_are_404_and_wrong_methods_405_with_the_right_ones_named() {
    let lab = Lab::shared();
    for path in ["/nothing", "/api", "/api/", "/api/users/1/2", "/users", "/API/users"] {
        assert_problem(&get(&lab.api(path)), 404);
    }
    let answer = send("DELETE", &lab.api("/api/users"), &[], None);
    assert_problem(&answer, 405);
    let mut allowed: Vec<_> = answer.header("allow").split(", ").collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["GET", "POST"]);
    assert_problem(&send("BREW", &lab.api("/api/orders/1"), &[], None), 405);
}

#[test]
fn heads_that_are_too_long_are_refused() {
    let lab = Lab::shared();
    let long = "x".repeat(20 * 1024);
    assert_problem(&send("GET", &lab.api("/api/users"), &[("x-long", &long)], None), 431);
    assert_problem(&get(&lab.api(&format!("/api/users?q={}", "x".repeat(9 * 1024)))), 414);
}

#[test]
fn the_same_idempotency_key_makes_the_same_order() {
    let lab = Lab::shared();
    let user = lab.user();
    let key = uuid::Uuid::now_v7().to_string();
    let order = |total: f64| json!({"userId": user, "items": ["book"], "total": total}).to_string();
    let headers = [("content-type", "application/json"), ("idempotency-key", key.as_str())];
    let first = send("POST", &lab.api("/api/orders"), &headers, Some(order(5.0).as_bytes()));
    let again = send("POST", &lab.api("/api/orders"), &headers, Some(order(5.0).as_bytes()));
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!(first.json, again.json);
    let other = send("POST", &lab.api("/api/orders"), &headers, Some(order(6.0).as_bytes()));
    assert_problem(&other, 409);
    assert_eq!(lab.wait_notifications(first.id(), 1).len(), 1);
}

#[test]
fn every_role_says_that_it_is_healthy_ready_and_what_it_needs() {
    let lab = Lab::shared();
    for role in [Role::Gateway, Role::User, Role::Order, Role::Notify, Role::Lambda] {
        let health = get(&lab.url(role, "/health"));
        assert_eq!(health.json, json!({"status": "healthy", "service": role.service().name}));
        let ready = get(&lab.url(role, "/ready"));
        assert_eq!((ready.status, &ready.json["status"]), (200, &json!("ready")));
        let names: Vec<_> =
            ready.json["checks"].as_array().unwrap().iter().map(|c| c["name"].clone()).collect();
        assert_eq!(names.contains(&json!("store")), role.service().store.is_some(), "{role}: {ready:?}");
    }
}

#[test]
fn notify_reports_its_queue_and_keeps_alerts() {
    let lab = Lab::shared();
    let stats = get(&lab.url(Role::Notify, "/stats"));
    assert_eq!(stats.json["transport"], "embedded");
    for count in ["waiting", "inFlight", "dead"] {
        assert!(stats.json[count].is_u64(), "{stats:?}");
    }
    let name = uuid::Uuid::now_v7().to_string();
    let alert = |status: &str| {
        json!({"version": "4", "status": status, "receiver": "r", "alerts": [{
            "status": status, "fingerprint": name, "labels": {"alertname": name, "severity": "critical"},
            "annotations": {"summary": "s"}, "startsAt": "2026-01-01T00:00:00Z", "endsAt": "0001-01-01T00:00:00Z"}]})
    };
    let url = lab.url(Role::Notify, "/alerts");
    assert_eq!(post(&url, &alert("firing")).status, 200);
    assert_eq!(post(&url, &alert("resolved")).status, 200);
    let alerts = get(&url);
    let mine: Vec<_> = alerts.json["alerts"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|a| a["fingerprint"] == name.as_str())
        .cloned()
        .collect();
    assert_eq!(mine.len(), 1, "{alerts:?}");
    assert_eq!(mine[0]["status"], "resolved");
    for bad in [
        json!({}),
        json!({"version": "3", "alerts": []}),
        json!({"version": "4"}),
        json!({"version": "4", "alerts": [1]}),
    ] {
        assert_problem(&post(&url, &bad), 400);
    }
}

#[test]
fn the_openapi_document_describes_what_the_gateway_serves() {
    let answer = get(&Lab::shared().api("/openapi.json"));
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json["info"]["version"], env!("CARGO_PKG_VERSION"));
    let paths = answer.json["paths"].as_object().unwrap();
    for route in o11y_lab::roles::gateway::ROUTES {
        assert!(
            paths[route.path][route.method.to_lowercase()].is_object(),
            "{} {}",
            route.method,
            route.path
        );
    }
    let described: usize = paths
        .values()
        .map(|path| path.as_object().unwrap().keys().filter(|k| *k != "parameters").count())
        .sum();
    let operational = 3;
    assert_eq!(described, o11y_lab::roles::gateway::ROUTES.len() + operational);
}
