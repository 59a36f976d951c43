//! Several instances of every role behind balancers, each replaced while clients go on: nothing is lost, nothing doubled, and
//! the telemetry of all instances together is that of one lab.

mod client;
mod cluster;
mod evidence;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use o11y_lab::schema::Role;

use self::client::{Client, Seen};
use self::cluster::Cluster;
use self::evidence::Evidence;
use crate::helpers::brokers::{Broker, RedisServer};
use crate::helpers::eventually_within;

/// As spans name it; the broker is this test's own.
const QUEUE: &str = "notifications";
/// Clients at once; each begins ten requests a second.
const CLIENTS: usize = 4;
const WORKED_OFF: Duration = Duration::from_secs(60);

/// Replaces every instance under load, then stops all; what the clients saw, and what the telemetry says.
fn rolled(broker: &dyn Broker) -> (Seen, Evidence) {
    let mut cluster = Cluster::start(&broker.settings(QUEUE));
    let going = AtomicBool::new(true);
    let address = cluster.gateway();
    let mut seen = Seen::default();
    std::thread::scope(|scope| {
        let work = || {
            let mut client = Client::new(address);
            let user = client.user().expect("a user");
            client.work(user, &|| going.load(Ordering::SeqCst));
            client.seen
        };
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(work)).collect();
        let rolled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            cluster.replace_all();
            cluster.wait_served();
        }));
        going.store(false, Ordering::SeqCst);
        for client in clients {
            seen.add(client.join().expect("a client"));
        }
        rolled.unwrap_or_else(|why| std::panic::resume_unwind(why));
    });
    eventually_within(WORKED_OFF, "everything is published and every order notified of", || {
        (cluster.outbox() == 0 && cluster.notified().len() >= seen.orders.len()).then_some(())
    });
    assert_eq!(cluster.stored(), seen.orders.keys().copied().collect::<Vec<_>>(), "orders are stored once");
    assert_eq!(cluster.notified(), cluster.stored(), "each order has one notification");
    (seen, Evidence::of(cluster.stop()))
}

/// What holds on any broker.
#[track_caller]
fn assert_all_arrived(seen: &Seen, evidence: &Evidence) {
    assert!(seen.lost.is_empty(), "requests without an answer: {:#?}", seen.lost);
    assert!(seen.failed.is_empty(), "{:#?}", seen.failed);
    assert!(seen.orders.len() > 50, "{} orders", seen.orders.len());
    assert_eq!(
        evidence.requests("api-gateway", "/api/"),
        seen.answers,
        "the counters of all gateways are the clients' counts"
    );
    for (order, trace) in &seen.orders {
        evidence.assert_joined(trace).unwrap_or_else(|why| panic!("order {order}, trace {trace}: {why}"));
    }
    evidence.assert_one_relay_at_a_time();
}

/// The instances from before and those after have worked; one that was there for a second may have had nothing to do.
#[track_caller]
fn assert_shared_out(evidence: &Evidence) {
    for (role, least) in [(Role::Gateway, 3), (Role::User, 3), (Role::Order, 4), (Role::Notify, 5)] {
        let instances: BTreeSet<_> = evidence.instances(role.service().name);
        assert!(instances.len() >= least, "{role}: {} instances have worked", instances.len());
    }
}

#[test]
#[ignore = "thirteen roles at once want the machine for themselves: make test-scale"]
fn every_instance_is_replaced_under_load_on_redis_and_no_request_order_or_span_is_lost_or_doubled() {
    let (seen, evidence) = rolled(&*RedisServer::boxed());
    assert_all_arrived(&seen, &evidence);
    assert_shared_out(&evidence);
}

#[cfg(feature = "kafka")]
#[test]
#[ignore = "thirteen roles at once want the machine for themselves: make test-scale"]
fn every_instance_is_replaced_under_load_on_kafka_and_no_request_order_or_span_is_lost_or_doubled() {
    let (seen, evidence) = rolled(&*crate::helpers::brokers::KafkaServer::boxed());
    assert_all_arrived(&seen, &evidence);
    // The group hands partitions on; more members than partitions have nothing to do.
    assert!(evidence.instances(Role::Notify.service().name).len() >= 3, "the partitions have moved");
}
