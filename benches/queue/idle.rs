//! What a consumer costs while there is nothing to do.

use std::time::{Duration, Instant};

use o11y_lab::schema::Role;

use crate::helpers::brokers::{Broker, fresh_queue};
use crate::helpers::proc::cpu;
use crate::helpers::{eventually, http, single};

/// Connections are made and first looks are taken before this is over.
const SETTLE: Duration = Duration::from_secs(5);
const WATCHED: Duration = Duration::from_secs(20);

/// CPU time of a `notify` without messages, in per cent of a core.
pub fn percent(broker: &dyn Broker) -> f64 {
    let settings = broker.settings(&fresh_queue());
    let env: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let (process, url, _folder) = single(Role::Notify, &env);
    eventually("notify is ready", || {
        http::try_send("GET", &format!("{url}/ready"), &[], None).filter(|answer| answer.status == 200)
    });
    std::thread::sleep(SETTLE);
    let (began, before) = (Instant::now(), cpu(process.pid()));
    std::thread::sleep(WATCHED);
    (cpu(process.pid()) - before).as_secs_f64() / began.elapsed().as_secs_f64() * 100.0
}
