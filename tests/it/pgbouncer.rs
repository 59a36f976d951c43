//! The lab on PostgreSQL behind a pooler, which lends a session for one transaction or one statement.

use o11y_lab::schema::Role;
use serde_json::json;

use crate::helpers::{Lab, PgBouncer, Postgres, eventually, get, post, single};

const TABLES: &str = "SELECT table_schema || '.' || table_name FROM information_schema.tables \
                      WHERE table_schema !~ '^(pg_|information_schema$)' ORDER BY 1";

#[test]
fn behind_pgbouncer_in_transaction_mode_each_service_keeps_to_its_schema_and_leaves_nothing_in_the_session() {
    let database = Postgres::shared().database();
    let bouncer = PgBouncer::before(&database, "pool_mode = transaction");
    let mut lab = Lab::start_with(&[("DATABASE_URL", &bouncer.url)]);
    let user = lab.user();
    let orders: Vec<_> = std::thread::scope(|scope| {
        let ordering: Vec<_> = (0..20).map(|_| scope.spawn(|| lab.order(user).id())).collect();
        ordering.into_iter().map(|order| order.join().unwrap()).collect()
    });
    for order in orders {
        lab.wait_notifications(order, 1);
    }
    let expected = [
        "notification_service.alerts",
        "notification_service.notification_service_migrations",
        "notification_service.notifications",
        "order_service.order_service_migrations",
        "order_service.orders",
        "order_service.outbox",
        "order_service.outbox_lease",
        "user_service.user_service_migrations",
        "user_service.users",
    ];
    assert_eq!(database.sql(TABLES), expected);
    // The one session that all of them had.
    let through = database.at(&bouncer.url);
    let fresh = database.sql("SHOW statement_timeout");
    assert_eq!(through.sql("SHOW statement_timeout"), fresh);
    assert_eq!(through.sql("SHOW search_path"), database.sql("SHOW search_path"));
    assert_eq!(through.sql("SELECT count(*) FROM pg_prepared_statements"), ["0"]);
    assert_eq!(database.sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), ["0"]);
    assert!(lab.up.stop().success());
    let direct = Lab::start_with(&[("DATABASE_URL", &database.url)]);
    direct.order(user);
}

#[test]
fn a_pooler_that_drops_the_settings_of_a_session_is_known_by_their_absence() {
    let database = Postgres::shared().database();
    let drops = "pool_mode = transaction\nignore_startup_parameters = options";
    let bouncer = PgBouncer::before(&database, drops);
    let (_process, url, _temp) = single(Role::User, &[("DATABASE_URL", &bouncer.url)]);
    eventually("it is ready", || (get(&format!("{url}/ready")).status == 200).then_some(()));
    let created = post(&format!("{url}/users"), &json!({"name": "Ada", "email": "ada@example.com"}));
    assert_eq!(created.status, 201, "{created:?}");
    assert_eq!(database.sql(TABLES), ["user_service.user_service_migrations", "user_service.users"]);
    let through = database.at(&bouncer.url);
    assert_eq!(through.sql("SHOW search_path"), database.sql("SHOW search_path"));
}

#[test]
fn behind_pgbouncer_in_statement_mode_a_role_is_not_ready_and_writes_nothing() {
    let database = Postgres::shared().database();
    let bouncer = PgBouncer::before(&database, "pool_mode = statement");
    let (_process, url, _temp) = single(Role::User, &[("DATABASE_URL", &bouncer.url)]);
    let reason = || Some(get(&format!("{url}/ready")).json["checks"][0]["reason"].as_str()?.to_owned());
    eventually("it says why", || reason().filter(|reason| reason == "the database cannot be reached"));
    assert_eq!(database.sql(TABLES), [""; 0]);
}
