//! The same lab on PostgreSQL, on a server that goes away, comes back, is slow or is not to be trusted.

use std::sync::OnceLock;

use o11y_lab::lab::expect::ORDER_TRACE;
use o11y_lab::schema::{Role, SERVICES};
use serde_json::{Value, json};

use crate::helpers::{Answer, Lab, Postgres, eventually, get, post, send, single};
use crate::queue::{notified, order_while_killing, stored};
use crate::traces::assert_is_the_order_trace;

const WITH_STORE: [Role; 3] = [Role::User, Role::Order, Role::Notify];

/// The lab on PostgreSQL that tests share which only add to it.
fn shared() -> &'static Lab {
    static SHARED: OnceLock<Lab> = OnceLock::new();
    SHARED.get_or_init(|| Lab::start_with(&[("DATABASE_URL", &Postgres::shared().database().url)]))
}

fn email() -> String {
    format!("{}@example.com", uuid::Uuid::now_v7())
}

/// Names neither the server's address nor its user, password or driver.
#[track_caller]
fn assert_tells_nothing(answer: &Answer, server: &Postgres) {
    let port = server.port.to_string();
    for secret in ["127.0.0.1", port.as_str(), "postgres", "sqlx", "os error", "certificate"] {
        assert!(!answer.text.contains(secret), "{secret} in {answer:?}");
    }
}

#[track_caller]
fn assert_unavailable(answer: &Answer, server: &Postgres) {
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/problem+json", "{answer:?}");
    assert!(answer.json["detail"].as_str().is_some_and(|detail| detail.contains("database")), "{answer:?}");
    assert_tells_nothing(answer, server);
}

/// `/ready` says that the store is what is missing.
#[track_caller]
fn assert_misses_its_store(url: &str, server: &Postgres) {
    let ready =
        eventually(&format!("{url} is not ready"), || Some(get(url)).filter(|ready| ready.status == 503));
    let store =
        ready.json["checks"].as_array().unwrap().iter().find(|check| check["name"] == "store").unwrap();
    assert_eq!((&store["ok"], &store["required"]), (&json!(false), &json!(true)), "{ready:?}");
    assert!(store["reason"].as_str().is_some_and(|reason| reason.contains("database")), "{ready:?}");
    assert_tells_nothing(&ready, server);
}

#[test]
fn the_trace_of_an_order_on_postgresql_is_exactly_the_one_of_the_contract() {
    let lab = shared();
    let trace = lab.trace(&lab.order(lab.user()).trace_id(), ORDER_TRACE.len());
    assert_is_the_order_trace(&trace);
    let databases: Vec<_> =
        trace.spans.iter().filter(|s| s.attributes.contains_key("db.system.name")).collect();
    assert_eq!(databases.len(), 2, "{}", trace.drawing());
    for span in databases {
        assert_eq!(span.text("db.system.name"), "postgresql", "{span:?}");
        assert!(span.text("db.namespace").ends_with(&span.service.replace('-', "_")), "{span:?}");
    }
}

#[test]
fn users_on_postgresql_are_created_paged_and_unique_by_email() {
    let lab = shared();
    let address = email();
    let created = post(&lab.api("/api/users"), &json!({"name": "Gr\u{e9}ta '; --", "email": address}));
    assert_eq!(created.status, 201, "{created:?}");
    assert_eq!(get(&lab.api(created.header("location"))).json, created.json);
    for taken in [address.clone(), address.to_uppercase()] {
        assert_eq!(post(&lab.api("/api/users"), &json!({"name": "b", "email": taken})).status, 409);
    }
    let page = get(&lab.api(&format!("/api/users?limit=1&after={}", created.id() - 1)));
    assert_eq!(page.json["users"], json!([created.json]));
    assert_eq!(get(&lab.api("/api/users/999999999")).status, 404);
}

#[test]
fn orders_on_postgresql_are_created_once_by_key_paged_changed_and_notified() {
    let lab = shared();
    let user = lab.user();
    let key = uuid::Uuid::now_v7().to_string();
    let headers = [("content-type", "application/json"), ("idempotency-key", key.as_str())];
    let order = |total: f64| {
        let body = json!({"userId": user, "items": ["book"], "total": total}).to_string();
        send("POST", &lab.api("/api/orders"), &headers, Some(body.as_bytes()))
    };
    let (first, again) = (order(19.99), order(19.99));
    assert_eq!((first.status, again.status), (201, 201), "{first:?} {again:?}");
    assert_eq!(first.json, again.json);
    assert_eq!(order(20.0).status, 409);

    let ids: Vec<_> = std::iter::once(first.id()).chain((0..4).map(|_| lab.order(user).id())).collect();
    let (mut seen, mut after) = (Vec::new(), json!(ids[0] - 1));
    while !after.is_null() {
        let page = get(&lab.api(&format!("/api/orders?limit=2&after={after}")));
        seen.extend(page.json["orders"].as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()));
        after = page.json["next"].clone();
    }
    assert!(ids.iter().all(|id| seen.contains(id)) && seen.is_sorted(), "{ids:?} in {seen:?}");

    let url = lab.api(&format!("/api/orders/{}/status", first.id()));
    let change = |status: &str| crate::helpers::http::patch(&url, &json!({"status": status})).status;
    assert_eq!((change("completed"), change("failed")), (200, 409));
    let read = get(&lab.api(&format!("/api/orders/{}", first.id())));
    assert_eq!((&read.json["status"], &read.json["user"]["id"]), (&json!("completed"), &json!(user)));
    let sent = lab.wait_notifications(first.id(), 2);
    let mut kinds: Vec<_> = sent.iter().map(|n| n["type"].as_str().unwrap()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["order_created", "order_status_changed"]);
}

#[test]
fn each_service_works_as_a_database_user_that_may_see_nothing_but_its_own_schema() {
    let server = Postgres::shared();
    let database = server.database();
    let tables = "SELECT table_schema || '.' || table_name FROM information_schema.tables \
                  WHERE table_schema !~ '^(pg_|information_schema$)' ORDER BY 1";
    let temp = tempfile::tempdir().unwrap();
    let folder = temp.path().to_str().unwrap();
    let mut user_service = String::new();
    let mut running = Vec::new();
    for role in WITH_STORE {
        let schema = role.service().name.replace('-', "_");
        let login = format!("{}_{schema}", database.name);
        database.sql(&format!(
            "REVOKE ALL ON SCHEMA public FROM PUBLIC; CREATE ROLE {login} LOGIN PASSWORD 'own'; \
             CREATE SCHEMA {schema} AUTHORIZATION {login}"
        ));
        let own = database.login(&login, "own");
        let mut env = vec![("DATABASE_URL", own.url.as_str()), ("DATA_DIR", folder)];
        if !user_service.is_empty() {
            env.push(("USER_SERVICE_URL", &user_service));
        }
        let (process, url, _) = single(role, &env);
        eventually("it is ready", || (get(&format!("{url}/ready")).status == 200).then_some(()));
        let seen = own.sql(tables);
        assert!(!seen.is_empty() && seen.iter().all(|t| t.starts_with(&format!("{schema}."))), "{seen:?}");
        if role == Role::User {
            user_service.clone_from(&url);
        }
        running.push((process, url));
    }
    let url = |index: usize, path: &str| format!("{}{path}", running[index].1);
    let user = post(&url(0, "/users"), &json!({"name": "Ada", "email": email()}));
    let order = post(&url(1, "/orders"), &json!({"userId": user.id(), "items": ["a"], "total": 1}));
    assert_eq!(order.status, 201, "{order:?}");
    eventually("the notification", || {
        let sent = get(&url(2, &format!("/notifications?orderId={}", order.id())));
        (sent.json["count"] == 1).then_some(())
    });
    let all = database.sql(tables);
    for table in [
        "user_service.users",
        "order_service.orders",
        "order_service.outbox",
        "notification_service.notifications",
    ] {
        assert!(all.iter().any(|t| t == table), "{table} in {all:?}");
    }
    assert!(all.iter().all(|t| SERVICES.iter().any(|s| t.starts_with(&s.name.replace('-', "_")))), "{all:?}");
}

#[test]
fn trap_19_a_restart_on_postgresql_keeps_rows_and_never_reuses_an_id() {
    let database = Postgres::shared().database();
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("data");
    let start = || Lab::start_in(&dir, crate::helpers::free_port_base(), &[("DATABASE_URL", &database.url)]);
    let mut lab = start();
    let (user, gone) = (lab.user(), lab.user());
    let (order, deleted) = (lab.order(user), lab.order(user));
    lab.wait_notifications(order.id(), 1);
    lab.wait_notifications(deleted.id(), 1);
    assert!(lab.up.stop().success());
    database.sql(&format!("DELETE FROM user_service.users WHERE id = {gone}"));
    database.sql(&format!("DELETE FROM order_service.orders WHERE id = {}", deleted.id()));
    let lab = start();
    assert_eq!(get(&lab.api(&format!("/api/users/{user}"))).status, 200);
    let read = get(&lab.api(&format!("/api/orders/{}", order.id())));
    assert_eq!(read.json["createdAt"], order.json["createdAt"]);
    assert!(lab.user() > gone);
    assert!(lab.order(user).id() > deleted.id());
    assert_eq!(lab.notifications(order.id()).len(), 1);
}

/// The table of migrations as sqlx 0.9 makes it, which did this before.
#[test]
fn a_schema_of_the_version_before_is_taken_over_and_one_that_was_changed_is_refused() {
    let server = Postgres::shared();
    let database = server.database();
    // What `sha384sum` says of the file.
    let checksum =
        "d7cea2980fd0db2dc4a6fc775acc19e6ccb4f7a1f7d118be0eaee83ad714b8421165369d981984a3cc0d3c5aae7bbfd3";
    let users = include_str!("../../src/store/migrations/postgres/users/0001_users.sql");
    database.sql(&format!(
        "CREATE SCHEMA user_service; SET search_path TO user_service;
         CREATE TABLE IF NOT EXISTS user_service_migrations (
             version BIGINT PRIMARY KEY,
             description TEXT NOT NULL,
             installed_on TIMESTAMPTZ NOT NULL DEFAULT now(),
             success BOOLEAN NOT NULL,
             checksum BYTEA NOT NULL,
             execution_time BIGINT NOT NULL
         );
         {users}
         INSERT INTO user_service_migrations (version, description, success, checksum, execution_time)
         VALUES (1, 'users/0001_users', TRUE, decode('{checksum}', 'hex'), 181920);
         INSERT INTO users (name, email, created_at) VALUES ('Ada', 'ada@example.com', '2026-01-01T00:00:00Z')"
    ));
    let start = || single(Role::User, &[("DATABASE_URL", &database.url)]);
    let (process, url, _temp) = start();
    eventually("it is ready", || (get(&format!("{url}/ready")).status == 200).then_some(()));
    assert_eq!(get(&format!("{url}/users/1")).json["name"], "Ada");
    let notes = "SELECT version || description || encode(checksum, 'hex') || success \
                 FROM user_service.user_service_migrations";
    assert_eq!(database.sql(notes), [format!("1users/0001_users{checksum}true")]);
    drop(process);
    for changed in ["'\\x00', TRUE, 1", "'\\x{}', FALSE, 1", "'\\x{}', TRUE, 7"] {
        let changed = changed.replace("{}", checksum);
        let columns = "checksum, success, version";
        database.sql(&format!("UPDATE user_service.user_service_migrations SET ({columns}) = ({changed})"));
        let (_process, url, _temp) = start();
        assert_misses_its_store(&format!("{url}/ready"), server);
    }
}

#[test]
fn a_server_that_stops_is_said_and_when_it_is_back_everything_goes_on_without_a_restart() {
    let mut server = Postgres::start();
    let url = server.database().url;
    // A message is in flight when the store goes, and one attempt is all it has.
    let env = [("DATABASE_URL", url.as_str()), ("NOTIFY_DELAY_MS", "1000"), ("QUEUE_MAX_ATTEMPTS", "1")];
    let lab = Lab::start_with(&env);
    let user = lab.user();
    let before = lab.order(user).id();
    let stats = || get(&lab.url(Role::Notify, "/stats")).json;
    eventually("its message is in flight", || (stats()["inFlight"].as_u64()? > 0).then_some(()));
    let pids = WITH_STORE.map(|role| lab.pid(role));

    server.stop();
    let new_user = json!({"name": "Ada", "email": email()});
    let order = json!({"userId": user, "items": ["a"], "total": 1});
    let status = json!({"status": "failed"});
    let read_order = format!("/api/orders/{before}");
    let change = format!("/api/orders/{before}/status");
    let requests: [(&str, &str, Option<&Value>); 7] = [
        ("GET", "/api/users", None),
        ("GET", "/api/users/1", None),
        ("POST", "/api/users", Some(&new_user)),
        ("GET", "/api/orders", None),
        ("GET", &read_order, None),
        ("POST", "/api/orders", Some(&order)),
        ("PATCH", &change, Some(&status)),
    ];
    std::thread::scope(|scope| {
        let ask = |(method, path, body): (&str, &str, Option<&Value>)| {
            let body = body.map(Value::to_string);
            send(
                method,
                &lab.api(path),
                &[("content-type", "application/json")],
                body.as_ref().map(String::as_bytes),
            )
        };
        let asked: Vec<_> = requests.into_iter().map(|request| scope.spawn(move || ask(request))).collect();
        for answer in asked {
            assert_unavailable(&answer.join().unwrap(), &server);
        }
    });
    for role in WITH_STORE {
        assert_misses_its_store(&lab.url(role, "/ready"), &server);
        assert_eq!(get(&lab.url(role, "/health")).status, 200);
    }

    server.start_again();
    lab.wait_ready();
    let after = lab.order(lab.user()).id();
    for order in [before, after] {
        assert_eq!(lab.wait_notifications(order, 1).len(), 1);
    }
    assert_eq!(stats()["dead"], 0);
    assert_eq!(WITH_STORE.map(|role| lab.pid(role)), pids, "no role was started again");
}

#[test]
fn a_role_that_starts_before_its_server_says_so_and_recovers_when_it_comes() {
    let mut server = Postgres::start();
    let url = server.database().url;
    server.stop();
    let running = WITH_STORE.map(|role| single(role, &[("DATABASE_URL", &url)]));
    for (_, url, _) in &running {
        assert_eq!(get(&format!("{url}/health")).status, 200);
        assert_misses_its_store(&format!("{url}/ready"), &server);
    }
    let user_service = &running[0].1;
    assert_unavailable(&get(&format!("{user_service}/users")), &server);
    server.start_again();
    for (_, url, _) in &running {
        eventually("it is ready", || (get(&format!("{url}/ready")).status == 200).then_some(()));
    }
    let created = post(&format!("{user_service}/users"), &json!({"name": "Ada", "email": email()}));
    assert_eq!(created.status, 201, "{created:?}");
}

#[test]
fn a_server_that_is_slow_is_503_before_the_caller_loses_patience() {
    let server = Postgres::shared();
    let database = server.database();
    // Far below UPSTREAM_TIMEOUT_MS, 3000: a store that took longer than it may would be a 504.
    let lab = Lab::start_with(&[("DATABASE_URL", &database.url), ("DATABASE_TIMEOUT_MS", "500")]);
    let user = lab.user();
    let lock = database.lock("user_service.users");
    // More than there are connections: those that wait for one are held to the same limit.
    std::thread::scope(|scope| {
        let read = || get(&lab.api(&format!("/api/users/{user}")));
        let asked: Vec<_> = (0..12).map(|_| scope.spawn(read)).collect();
        for answer in asked {
            assert_unavailable(&answer.join().unwrap(), server);
        }
    });
    assert_unavailable(&post(&lab.api("/api/users"), &json!({"name": "a", "email": email()})), server);
    assert_unavailable(
        &post(&lab.api("/api/orders"), &json!({"userId": user, "items": ["a"], "total": 1})),
        server,
    );
    drop(lock);
    eventually("it recovers", || (get(&lab.api(&format!("/api/users/{user}"))).status == 200).then_some(()));
    lab.order(lab.user());
}

#[test]
fn tls_is_verified_and_a_server_that_another_authority_signed_is_refused() {
    let server = Postgres::shared();
    let database = server.database();
    let (_process, url, temp) =
        single(Role::User, &[("DATABASE_URL", &database.verified_by(&server.ca_file))]);
    eventually("it is ready", || (get(&format!("{url}/ready")).status == 200).then_some(()));
    let ciphers = "SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                   WHERE application_name = 'user-service' AND datname = current_database()";
    assert_eq!(database.sql(ciphers), ["t"]);

    let stranger = temp.path().join("stranger.pem");
    let certificate = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(&stranger, certificate.cert.pem()).unwrap();
    let (_process, url, _temp) = single(Role::User, &[("DATABASE_URL", &database.verified_by(&stranger))]);
    assert_misses_its_store(&format!("{url}/ready"), server);
    assert_unavailable(&get(&format!("{url}/users")), server);
}

#[test]
fn killing_order_and_notify_during_100_orders_on_postgresql_loses_and_doubles_none() {
    let database = Postgres::shared().database();
    let lab = Lab::start_with(&[("DATABASE_URL", &database.url), ("QUEUE_VISIBILITY_TIMEOUT_MS", "2000")]);
    let (accepted, kills) = order_while_killing(&lab, &[Role::Notify, Role::Order], 100);
    assert!(kills >= 2, "{kills}");
    assert_eq!(accepted.len(), 100);
    assert_eq!(stored(&lab), accepted, "stored orders are the accepted ones");
    eventually("every order is notified", || (notified(&lab).len() >= 100).then_some(()));
    assert_eq!(notified(&lab), accepted, "each order is notified once, after {kills} kills");
}

#[test]
fn what_is_too_old_is_forgotten_on_postgresql_too() {
    let database = Postgres::shared().database();
    let mut lab = Lab::start_with(&[("DATABASE_URL", &database.url)]);
    let order = lab.order(lab.user()).id();
    lab.wait_notifications(order, 1);
    assert!(lab.up.stop().success());
    database.sql(
        "UPDATE notification_service.notifications SET sent_at = '2020-01-01T00:00:00.000Z';
         UPDATE order_service.orders SET created_at = '2020-01-01T00:00:00.000Z', idempotency_key = 'old'",
    );
    let _running = [Role::Order, Role::Notify].map(|role| single(role, &[("DATABASE_URL", &database.url)]));
    let left = "SELECT (SELECT COUNT(*) FROM notification_service.notifications) \
                + (SELECT COUNT(idempotency_key) FROM order_service.orders)";
    eventually("they are forgotten", || (database.sql(left) == ["0"]).then_some(()));
}
