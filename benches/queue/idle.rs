//! What a consumer costs while there is nothing to do.

use std::time::{Duration, Instant};

use o11y_lab::schema::Role;

use crate::helpers::brokers::{Broker, fresh_queue};
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
    let (began, before) = (Instant::now(), cpu_time(process.pid()));
    std::thread::sleep(WATCHED);
    (cpu_time(process.pid()) - before).as_secs_f64() / began.elapsed().as_secs_f64() * 100.0
}

/// User and system time so far (proc_pid_stat(5), fields 14 and 15, in hundredths of a second).
fn cpu_time(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
    // The name, field 2, may hold spaces; it ends with the last parenthesis.
    let fields: Vec<_> = stat.rsplit(')').next().expect("fields").split_whitespace().collect();
    let ticks: u64 = fields[11..13].iter().map(|ticks| ticks.parse::<u64>().expect("a number")).sum();
    Duration::from_millis(ticks * 10)
}
