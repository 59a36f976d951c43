//! Processes killed and the broker restarted at random while orders come in: accepted orders, stored
//! orders and notifications are the same, each once, and every notification is in its order's trace.
//!
//! `make test` runs the small sizes below, `make chaos` the large ones and prints their table.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use o11y_lab::schema::Role;
use serde_json::json;

use crate::conformance::row::Row;
use crate::helpers::brokers::{Broker, fresh_queue};
use crate::helpers::process::signal_pid;
use crate::helpers::{Lab, eventually, eventually_within, get, http};
use crate::queue::{notifications, stored};

const CLIENTS: usize = 5;
const VICTIMS: [Role; 5] = [Role::Notify, Role::Order, Role::User, Role::Lambda, Role::Gateway];

/// At least so many orders and faults.
#[derive(Clone, Copy)]
pub struct Size {
    pub orders: usize,
    pub kills: usize,
    pub restarts: usize,
}

/// What one run saw.
struct Seen {
    /// The trace of each accepted order, by its id.
    accepted: BTreeMap<i64, String>,
    kills: usize,
    restarts: usize,
}

/// Creates an order and repeats it with the same key and in the same trace until it is accepted: what
/// a careful client does. Returns its id and trace.
pub fn order(lab: &Lab, user: i64) -> (i64, String) {
    let (key, trace) = (uuid::Uuid::now_v7().to_string(), uuid::Uuid::now_v7().simple().to_string());
    let parent = format!("00-{trace}-00f067aa0ba902b7-01");
    let headers = [("content-type", "application/json"), ("idempotency-key", &key), ("traceparent", &parent)];
    let body = json!({"userId": user, "items": ["book"], "total": 2.5}).to_string();
    let id = eventually("the order is accepted", || {
        let answer = http::try_send("POST", &lab.api("/api/orders"), &headers, Some(body.as_bytes()))?;
        assert!([201, 500, 502, 503, 504].contains(&answer.status), "{answer:?}");
        (answer.status == 201).then(|| answer.id())
    });
    (id, trace)
}

fn orders_under_fire(lab: &Lab, broker: &dyn Broker, size: Size) -> Seen {
    let user = lab.user();
    let (kills, restarts) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let (made, done) = (AtomicUsize::new(0), AtomicBool::new(false));
    let enough = || {
        made.load(Ordering::SeqCst) >= size.orders
            && kills.load(Ordering::SeqCst) >= size.kills
            && restarts.load(Ordering::SeqCst) >= size.restarts
    };
    let client = || {
        let mut mine = Vec::new();
        while !enough() && !done.load(Ordering::SeqCst) {
            mine.push(order(lab, user));
            made.fetch_add(1, Ordering::SeqCst);
        }
        mine
    };
    let kill = || {
        while !done.load(Ordering::SeqCst) {
            let role = VICTIMS[fastrand::usize(..VICTIMS.len())];
            signal_pid(lab.pid(role), Signal::SIGKILL);
            kills.fetch_add(1, Ordering::SeqCst);
            // `up` starts it again; whether the broker is there is not this thread's business.
            let health = lab.url(role, "/health");
            eventually("the role is back", || http::try_send("GET", &health, &[], None));
            std::thread::sleep(Duration::from_millis(fastrand::u64(50..500)));
        }
    };
    let restart = || {
        while !done.load(Ordering::SeqCst) && restarts.load(Ordering::SeqCst) < size.restarts {
            std::thread::sleep(Duration::from_millis(fastrand::u64(500..2000)));
            broker.stop();
            std::thread::sleep(Duration::from_millis(fastrand::u64(100..500)));
            broker.start();
            restarts.fetch_add(1, Ordering::SeqCst);
        }
    };
    let accepted = std::thread::scope(|scope| {
        let faults = [scope.spawn(kill), scope.spawn(restart)];
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        let accepted: Vec<_> = clients.into_iter().map(|client| client.join()).collect();
        // Before a client's failure is passed on: the others must not go on for ever.
        done.store(true, Ordering::SeqCst);
        faults.into_iter().for_each(|fault| fault.join().expect("the faults"));
        accepted.into_iter().flat_map(|orders| orders.expect("a client")).collect()
    });
    lab.wait_ready();
    Seen { accepted, kills: kills.into_inner(), restarts: restarts.into_inner() }
}

/// One run on a broker and a lab of its own; a line of the table.
fn run(row: &'static Row, size: Size) -> String {
    let broker = (row.start)();
    let settings = broker.settings(&fresh_queue());
    let mut env: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    env.push(("QUEUE_VISIBILITY_TIMEOUT_MS", "3000"));
    let lab = Lab::start_with(&env);
    let began = Instant::now();
    let seen = orders_under_fire(&lab, &*broker, size);
    let ids: Vec<_> = seen.accepted.keys().copied().collect();
    assert_eq!(stored(&lab), ids, "stored orders are the accepted ones");
    // A minute for each ten thousand beside the usual: SQS's emulator delivers some fifty a second.
    let patience = Duration::from_secs(60 + ids.len() as u64 / 20);
    eventually_within(patience, "every order is notified", || {
        (notifications(&lab).len() >= ids.len()).then_some(())
    });
    eventually("nothing is left in the queue", || {
        let stats = get(&lab.url(Role::Notify, "/stats")).json;
        (stats["waiting"] == 0 && stats["inFlight"] == 0).then_some(())
    });
    let expected: Vec<_> = seen.accepted.clone().into_iter().collect();
    assert_eq!(notifications(&lab), expected, "each order is notified once, in its own trace");
    assert_eq!(get(&lab.url(Role::Notify, "/stats")).json["dead"], 0, "nothing was dead-lettered");
    format!(
        "| {} | {} | {} | {} | {} | {} | {} | {} s |",
        row.name,
        seen.kills,
        seen.restarts,
        ids.len(),
        stored(&lab).len(),
        notifications(&lab).len(),
        expected.len(),
        began.elapsed().as_secs(),
    )
}

/// A run and its line under the table's head.
fn table(row: &'static Row, size: Size) {
    let line = run(row, size);
    eprintln!("\n{HEAD}\n{line}");
}

const HEAD: &str = "| transport | kills | broker restarts | accepted | stored | notifications | joined traces | took |\n\
                    |---|---|---|---|---|---|---|---|";

macro_rules! small {
    ($($name:ident: $size:expr),* $(,)?) => {
        $(mod $name {
            #[test]
            fn orders_survive_kills_and_a_restarted_broker_each_once_in_one_trace() {
                super::run(&crate::conformance::$name::ROW, $size);
            }
        })*
    };
}

macro_rules! large {
    ($($(#[$only:meta])? $name:ident: $size:expr),* $(,)?) => {
        mod large {
            $($(#[$only])?
            #[test]
            #[ignore = "minutes long: make chaos"]
            fn $name() {
                super::table(&crate::conformance::$name::ROW, $size);
            })*
        }
    };
}

const SMALL: Size = Size { orders: 60, kills: 4, restarts: 1 };
const LARGE: Size = Size { orders: 10_000, kills: 50, restarts: 5 };
/// The emulator takes some fifty calls a second.
const LARGE_EMULATED: Size = Size { orders: 300, kills: 10, restarts: 2 };

/// A file has no process that could be restarted.
const NO_BROKER: usize = 0;

small!(
    embedded: super::Size { restarts: super::NO_BROKER, ..super::SMALL },
    redis: super::SMALL,
    rabbitmq: super::SMALL,
    sqs: super::SMALL,
);
#[cfg(feature = "kafka")]
small!(kafka: super::SMALL);

large!(
    embedded: super::Size { restarts: super::NO_BROKER, ..super::LARGE },
    redis: super::LARGE,
    rabbitmq: super::LARGE,
    sqs: super::LARGE_EMULATED,
    #[cfg(feature = "kafka")]
    kafka: super::LARGE,
);
