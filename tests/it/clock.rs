//! A clock that was set back, as rows that were written before show it.

use o11y_lab::schema::Role;

use crate::helpers::{Lab, Postgres};

/// Gives the lease to a process that is gone, until so many milliseconds since the epoch.
const LEASE: &str = "UPDATE outbox_lease SET owner = 'gone:1', expires_ms = 4102444800000";

fn assert_publishes(lab: &Lab) {
    let order = lab.order(lab.user()).id();
    assert_eq!(lab.wait_notifications(order, 1).len(), 1);
}

#[test]
fn a_lease_from_before_the_clock_was_set_back_does_not_keep_orders_unpublished() {
    let lab = Lab::start();
    assert_publishes(&lab);
    let orders = rusqlite::Connection::open(lab.dir.join("orders.db")).unwrap();
    orders.busy_timeout(crate::helpers::DEADLINE).unwrap();
    // The relay wrote the row when it began to publish.
    assert_eq!(orders.execute(LEASE, []).unwrap(), 1);
    assert_publishes(&lab);
}

#[test]
fn a_lease_from_before_the_server_s_clock_was_set_back_does_not_keep_orders_unpublished() {
    let database = Postgres::shared().database();
    let lab = Lab::start_with(&[("DATABASE_URL", &database.url)]);
    assert_publishes(&lab);
    let lease = LEASE.replace("outbox_lease", &format!("{}.outbox_lease", schema()));
    database.sql(&lease);
    assert_publishes(&lab);
}

fn schema() -> String {
    Role::Order.service().name.replace('-', "_")
}
