//! Containers killed while orders come in: accepted = stored = notified, each once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use super::compose::Stack;
use super::docker;
use super::printed;
use crate::chaos;
use crate::helpers::{Lab, eventually, eventually_within, get};
use crate::queue::{notifications, stored};
use o11y_lab::schema::Role;
use std::time::Duration;

const CLIENTS: usize = 4;

/// Kills each of these once, and starts it again as its restart policy would after a crash: the engine takes a kill by
/// its own command for a wish to have it stopped.
pub fn under_load(stack: &Stack, lab: &Lab, victims: &[&str]) -> String {
    let user = lab.user();
    let before = stored(lab).len();
    let done = AtomicBool::new(false);
    let client = || {
        let mut mine = Vec::new();
        while !done.load(Ordering::SeqCst) {
            mine.push(chaos::order(lab, user));
            std::thread::sleep(Duration::from_millis(50));
        }
        mine
    };
    let accepted: BTreeMap<i64, String> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        let killed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for victim in victims {
                let id = stack.id(victim);
                printed(docker(60, &["kill", &id]));
                printed(docker(60, &["start", &id]));
                eventually_within(Duration::from_secs(120), &format!("{victim} is healthy again"), || {
                    let health = stack.inspect(victim)["State"]["Health"]["Status"].clone();
                    (health == "healthy").then_some(())
                });
            }
        }));
        // Before a failure is passed on: the clients must not go on for ever.
        done.store(true, Ordering::SeqCst);
        let all: Vec<_> = clients.into_iter().map(|client| client.join()).collect();
        if let Err(panic) = killed {
            std::panic::resume_unwind(panic);
        }
        all.into_iter().flat_map(|orders| orders.expect("a client")).collect()
    });
    lab.wait_ready();
    let ours = |all: Vec<(i64, String)>| -> Vec<_> {
        all.into_iter().filter(|(id, _)| accepted.contains_key(id)).collect()
    };
    let found = stored(lab);
    let missing: Vec<_> = accepted.keys().filter(|id| found.binary_search(id).is_err()).collect();
    assert!(missing.is_empty(), "accepted and not stored: {missing:?}");
    eventually_within(Duration::from_secs(120), "every order is notified", || {
        (ours(notifications(lab)).len() >= accepted.len()).then_some(())
    });
    eventually("nothing is left in the queue", || {
        let stats = get(&lab.url(Role::Notify, "/stats")).json;
        (stats["waiting"].as_u64()? <= 1).then_some(())
    });
    let expected: Vec<_> = accepted.clone().into_iter().collect();
    assert_eq!(ours(notifications(lab)), expected, "each order is notified once, in its own trace");
    assert!(found.len() >= before + accepted.len(), "nothing that was stored before is gone");
    format!(
        "{} killed, {} of {} orders stored and notified once",
        victims.join(", "),
        expected.len(),
        accepted.len()
    )
}
