//! PostgreSQL that commits an order, and says so too late for the one who ordered.

use std::collections::BTreeSet;

use o11y_lab::schema::Role;
use serde_json::{Value, json};

use crate::helpers::raw::Raw;
use crate::helpers::{Lab, Postgres, eventually, get, post};

/// A commit waits for a table that a test can lock. The limit of a statement, which would end that wait, is
/// taken from the transaction.
const SLOW_COMMITS: &str = "
    CREATE TABLE order_service.gate ();
    CREATE FUNCTION order_service.without_limit() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM set_config('statement_timeout', '0', true); RETURN NEW; END $$;
    CREATE FUNCTION order_service.waits() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM FROM order_service.gate; RETURN NULL; END $$;
    CREATE TRIGGER without_limit BEFORE INSERT ON order_service.orders
        FOR EACH ROW EXECUTE FUNCTION order_service.without_limit();
    CREATE CONSTRAINT TRIGGER waits AFTER INSERT ON order_service.orders
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION order_service.waits()";

fn ids(page: &Value) -> BTreeSet<i64> {
    page["orders"].as_array().unwrap().iter().map(|order| order["id"].as_i64().unwrap()).collect()
}

#[test]
fn an_order_whose_commit_answers_too_late_or_to_nobody_is_counted_once_and_notified_once() {
    let database = Postgres::shared().database();
    let lab = Lab::start_with(&[("DATABASE_URL", &database.url), ("DATABASE_TIMEOUT_MS", "1000")]);
    let user = lab.user();
    database.sql(SLOW_COMMITS);
    let waiting = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() \
                   AND query LIKE 'COMMIT%' AND wait_event_type = 'Lock'";
    let created = || lab.metric(Role::Order, "orders_created_total");
    let order = json!({"userId": user, "items": ["a"], "total": 1});

    let gate = database.lock("order_service.gate");
    let answer = post(&lab.api("/api/orders"), &order);
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(database.sql(waiting), ["1"], "its commit is under way all the same");
    // One more, whose client goes away meanwhile.
    let body = order.to_string();
    let mut client = Raw::sending(&lab.api(""), "GET / HTTP/1.1\r\nhost: lab\r\n\r\n");
    client.send(&format!(
        "POST /api/orders HTTP/1.1\r\nhost: lab\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    ));
    eventually("it is being committed", || (database.sql(waiting) == ["2"]).then_some(()));
    client.reset();
    eventually("the gateway has noticed", || {
        let aborted = "http_server_request_duration_seconds_count{http_request_method=\"POST\",\
                       http_route=\"/api/orders\",http_response_status_code=\"499\"}";
        lab.metric(Role::Gateway, aborted).filter(|count| *count == 1.0)
    });
    assert_eq!(created(), Some(0.0));
    drop(gate);
    eventually("both are counted", || created().filter(|count| *count == 2.0));

    let third = post(&lab.api("/api/orders"), &order);
    assert_eq!(third.status, 201, "{third:?}");
    let stored = ids(&get(&lab.api("/api/orders")).json);
    assert_eq!(stored.len(), 3, "{stored:?}");
    for id in stored {
        assert_eq!(lab.wait_notifications(id, 1).len(), 1);
    }
    assert_eq!(created(), Some(3.0));
}
